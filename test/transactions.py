#!/usr/bin/python3
"""Transaction ids are never used twice, and a StartTransaction that is sent again belongs
to the same transaction."""

from lib import *


def started(g, cp):
    return g.events(cp=cp, type="transaction.started")


def test_ids_are_unique_over_all_workers():
    g = Gateway(server_workers="2")
    ids, most = [], 0
    for worker in (0, 1):
        c = Charger(g, "U%d" % worker, worker=worker)
        # More than the number of ids that a worker reserves at a time.
        for i in range(600):
            c.put("StartTransaction", {
                "connectorId": 1, "idTag": "T", "meterStart": i,
                "timestamp": "2026-01-31T12:00:00Z"}, id=str(i))
        for i in range(600):
            ids.append(c.get(str(i))["transactionId"])
        c.close()
    assert len(set(ids)) == 1200
    assert all(type(i) is int and 0 < i < 2 ** 31 for i in ids)


def test_ids_are_unique_after_the_death_of_workers():
    g = Gateway(server_workers="2")
    ids = []
    for round in range(2):
        for worker in (0, 1):
            c = Charger(g, "K%d" % worker, worker=worker)
            ids += [c.start(meter=round * 100 + i)["transactionId"]
                    for i in range(5)]
            old = g.kill_worker(worker)
            poll(lambda: g.workers()[worker]["state"] == "ready" and
                 g.worker_pid(worker) != old)
    assert len(set(ids)) == len(ids) == 20, ids


def test_ids_are_unique_after_the_death_of_all_processes():
    g = Gateway(server_workers="2")
    ids = []
    for round in range(4):
        for worker in (0, 1):
            c = Charger(g, "E%d" % worker, worker=worker)
            ids += [c.start(meter=round * 100 + i)["transactionId"]
                    for i in range(5)]
        if round % 2:
            g.stop()
        else:
            g.kill_everything()
        g.start()
    assert len(set(ids)) == len(ids) == 40, ids


def test_a_start_that_is_sent_again_gets_the_same_id_and_makes_no_second_event():
    g = shared()
    c = Charger(g, "RESENT")
    before = g.stat("starts_resent")
    first = c.start()
    assert c.start() == first
    # The answer is the same although white space and the order of members differ; it has
    # the current status.
    c.put("StartTransaction", '{"timestamp": "2026-01-31T12:00:00Z", '
          '"meterStart":0,"idTag" :"TAG1","connectorId":1}', id="again")
    assert c.get("again")["transactionId"] == first["transactionId"]
    assert g.stat("starts_resent") == before + 2
    assert len(started(g, "RESENT")) == 1
    c.close()


def stopped(g, cp):
    return g.events(cp=cp, type="transaction.stopped")


def test_a_stop_that_is_sent_again_gets_the_same_answer_and_makes_no_second_event():
    g = Gateway(server_workers=2)
    c = Charger(g, "STOP", worker=0)
    id = c.start()["transactionId"]
    stop = '{"transactionId":%d,"meterStop":7,"timestamp":"2026-01-31T13:00:00Z","idTag":"T"}' % id
    c.put("StopTransaction", stop, "m1")
    first = c.get("m1")
    for worker in (1, 0):
        c.reset()
        c = Charger(g, "STOP", worker=worker)
        c.put("StopTransaction", stop, "other id %d" % worker)
        assert c.get("other id %d" % worker) == first
    for how in (g.kill_everything, g.stop):
        how()
        g.start()
        c = Charger(g, "STOP")
        c.put("StopTransaction", stop, "m5")
        assert c.get("m5") == first
    old = [g.kill_worker(n) for n in (0, 1)]
    poll(lambda: all(w["state"] == "ready" and w["pid"] not in old for w in g.workers()))
    c = Charger(g, "STOP")
    c.put("StopTransaction", stop, "m6")
    assert c.get("m6") == first
    assert len(stopped(g, "STOP")) == 1
    # The StopTransaction is sent twice before its answer.
    c.put("StopTransaction", stop.replace(":7,", ":8,"), "m2")
    c.put("StopTransaction", stop.replace(":7,", ":8,"), "m3")
    assert c.get("m2") == c.get("m3")
    assert len(stopped(g, "STOP")) == 2
    # A StopTransaction with other content is another message.
    c.put("StopTransaction", stop.replace("}", ',"reason":"Local"}'), "m4")
    c.get("m4")
    assert len(stopped(g, "STOP")) == 3
    # An equal StartTransaction after that begins a new transaction.
    assert c.start()["transactionId"] != id


def test_meter_values_that_are_sent_again_make_events_with_one_message_id():
    g = shared(server_workers="2")
    meter = {"connectorId": 1, "meterValue": [
        {"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [{"value": "1"}]}]}
    for worker in (0, 1):
        c = Charger(g, "METER", worker=worker)
        c.put("MeterValues", meter, "m1")
        assert c.get("m1") == {}
        c.reset()
    first, second = g.events(cp="METER", type="transaction.meter_values")
    assert first["messageId"] == second["messageId"] == "m1"
    assert first["payload"] == second["payload"]
    assert first["eventId"] != second["eventId"]


def test_a_stop_whose_answer_was_lost_is_answered_again():
    g = shared(server_workers="2")
    for worker in (0, 1):
        c = Charger(g, "SLOST%d" % worker, worker=0)
        id = c.start()["transactionId"]
        stop = {"transactionId": id, "meterStop": 9, "timestamp": "2026-01-31T13:00:00Z"}
        c.put("StopTransaction", stop)
        c.reset()                       # the answer is lost
        g.wait_events(cp="SLOST%d" % worker, type="transaction.stopped")
        c = Charger(g, "SLOST%d" % worker, worker=worker)
        assert c.call("StopTransaction", stop) == {}
        assert len(stopped(g, "SLOST%d" % worker)) == 1
        c.close()


def test_starts_that_differ_are_different_transactions():
    g = shared()
    c = Charger(g, "DIFFER")
    ids = [c.start()["transactionId"], c.start(connector=2)["transactionId"],
           c.start(tag="TAG2")["transactionId"],
           c.start(meter=1)["transactionId"],
           c.start(when="2026-01-31T12:00:01Z")["transactionId"]]
    assert len(set(ids)) == 5
    assert len(started(g, "DIFFER")) == 5
    d = Charger(g, "DIFFER-TOO")
    assert d.start()["transactionId"] not in ids
    c.close(), d.close()


def test_a_start_that_is_sent_again_to_another_worker_is_the_same_transaction():
    g = shared(server_workers="2")
    c = Charger(g, "MOVED", worker=0)
    first = c.start()
    c.close()
    c = Charger(g, "MOVED", worker=1)
    assert c.start() == first
    c.reset()
    c = Charger(g, "MOVED", worker=0)
    assert c.start() == first
    assert len(started(g, "MOVED")) == 1
    c.close()


def test_a_start_whose_answer_was_lost_gets_the_same_answer_again():
    g = shared(server_workers="2")
    for worker in (0, 1):
        c = Charger(g, "LOST%d" % worker, worker=0)
        c.put("StartTransaction", {
            "connectorId": 1, "idTag": "TAG1", "meterStart": 0,
            "timestamp": "2026-01-31T12:00:00Z"})
        c.reset()                       # the answer is lost
        e = g.wait_events(cp="LOST%d" % worker, type="transaction.started")
        c = Charger(g, "LOST%d" % worker, worker=worker)
        assert c.start()["transactionId"] == e[0]["answer"]["transactionId"]
        assert len(started(g, "LOST%d" % worker)) == 1
        c.close()


def test_a_start_that_is_sent_again_before_its_answer_is_the_same_transaction():
    g = shared(server_workers="2")
    c = Charger(g, "HASTY")
    text = '[2,"%d","StartTransaction",{"connectorId":1,"idTag":"TAG1",' \
        '"meterStart":0,"timestamp":"2026-01-31T12:00:00Z"}]'
    c.raw(b"".join(frame(TEXT, text % i) for i in range(3)))
    ids = {c.get(str(i))["transactionId"] for i in range(3)}
    assert len(ids) == 1, ids
    assert len(started(g, "HASTY")) == 1
    c.close()


def test_a_start_that_is_sent_again_after_the_death_of_the_worker_is_the_same_transaction():
    g = Gateway(server_workers="2")
    c = Charger(g, "DIED", worker=0)
    first = c.start()
    old = g.kill_worker(0)
    c.wait_closed(None)
    c = Charger(g, "DIED", worker=1)
    assert c.start() == first
    poll(lambda: g.workers()[0]["state"] == "ready" and g.worker_pid(0) != old)
    c = Charger(g, "DIED", worker=0)
    assert c.start() == first
    assert len(started(g, "DIED")) == 1


def test_a_start_that_is_sent_again_after_a_restart_is_the_same_transaction():
    g = Gateway(server_workers="2")
    first = {}
    for name, worker in (("R0", 0), ("R1", 1)):
        first[name] = Charger(g, name, worker=worker).start()
    for end in (g.stop, g.kill_everything):
        end()
        g.start()
        for name, worker in (("R0", 1), ("R1", 0), ("R1", 1)):
            c = Charger(g, name, worker=worker)
            assert c.start() == first[name], name
            c.close()
    assert len(started(g, "R0")) == len(started(g, "R1")) == 1


def test_a_start_that_is_sent_again_in_another_spelling_is_the_same_transaction():
    g = Gateway(server_workers=1)
    forms = ('{"connectorId":01,"idTag":"T\u0000\\u0041\u00e9","meterStart":007,'
             '"timestamp":"2026-01-31T12:00:00Z"}').replace("\0", "\x01"), \
        ('{"connectorId":1,"idTag":"\\u0054\\u0001A\\u00e9","meterStart":+7,'
         '"timestamp":"2026-01-31T12\\u003a00:00Z"}')
    first = Charger(g).call("StartTransaction", forms[0])
    assert Charger(g).call("StartTransaction", forms[1]) == first
    g.kill_everything()
    g.start()
    for form in forms:
        assert Charger(g).call("StartTransaction", form) == first, form
    assert len(started(g, "CP1")) == 1


def test_a_start_that_is_sent_again_after_a_restart_with_fewer_workers_is_the_same_transaction():
    g = Gateway(server_workers="3")
    first = {}
    for worker in range(3):
        first[worker] = Charger(g, "F%d" % worker, worker=worker).start(
            meter=worker)
    for workers in ("2", "1", "3"):
        g.stop()
        g.settings["server_workers"] = workers
        g.start()
        for worker in range(3):
            c = Charger(g, "F%d" % worker)
            assert c.start(meter=worker) == first[worker], (workers, worker)
            c.close()
    for worker in range(3):
        assert len(started(g, "F%d" % worker)) == 1


def test_a_start_that_is_equal_to_one_of_an_ended_transaction_is_a_new_transaction():
    g = Gateway(server_workers="2")
    ids = []
    when = "1970-01-01T00:00:05Z"       # the time of a charge point without a clock
    for n in range(6):
        c = Charger(g, "CLOCKLESS", worker=n % 2)
        c.boot()
        ids.append(c.start(when=when)["transactionId"])
        assert c.start(when=when)["transactionId"] == ids[-1]
        c.stop(ids[-1], when=when)
        c.close()
        if n == 2:
            g.stop(), g.start()
        elif n == 4:
            g.settings["server_workers"] = "3"
            g.kill_everything(), g.start()
    assert len(set(ids)) == 6, ids
    assert [e["answer"]["transactionId"] for e in started(g, "CLOCKLESS")] == ids
    assert [e["payload"]["transactionId"] for e in
            g.events(cp="CLOCKLESS", type="transaction.stopped")] == ids


def test_after_a_stop_only_the_start_of_its_transaction_is_forgotten():
    g = shared(server_workers="2")
    c = Charger(g, "TWO")
    first, second = c.start(connector=1), c.start(connector=2)
    c.stop(first["transactionId"])
    c.reset()
    c = Charger(g, "TWO", worker=1)
    assert c.start(connector=2) == second
    assert c.start(connector=1) != first
    c.close()


def test_the_answer_to_a_start_is_repeated_literally():
    g = Gateway(server_workers="2", answers_Authorize="blocked")
    c = Charger(g, "LETTER", worker=0)
    first = c.start()
    assert first["idTagInfo"] == {"status": "Blocked"}
    g.settings["answers_Authorize"] = "accept"
    g.stop(), g.start()
    c = Charger(g, "LETTER", worker=1)
    assert c.start() == first
    e = started(g, "LETTER")
    assert len(e) == 1 and e[0]["answer"] == first
    assert e[0]["answeredBy"] == "gateway"


def test_the_last_four_starts_are_remembered():
    g = shared()
    c = Charger(g, "FOUR")
    ids = [c.start(connector=n)["transactionId"] for n in (1, 2, 3, 4)]
    assert [c.start(connector=n)["transactionId"] for n in (1, 2, 3, 4)] == ids
    assert len(started(g, "FOUR")) == 4
    c.close()


def test_with_a_damaged_counter_no_ids_are_reserved():
    g = Gateway(server_workers="1")
    g.stop()
    path = g.state_dir + "/transaction-ids"
    with open(path, "w") as f:
        f.write("rubbish\n")
    g.start()
    c = Charger(g, "DAMAGED")
    c.boot()
    c.put("StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": 0,
                               "timestamp": "2026-01-31T12:00:00Z"}, id="1")
    g.wait_log("transaction-ids holds no transaction id")
    assert not started(g, "DAMAGED")
    assert "currentTime" in c.call("Heartbeat", id="2")
    poll(lambda: g.stat("calls_parked") == 1)
    with open(path, "w") as f:
        f.write("%020d\n" % 5000)
    # The same CALL is answered when there are ids again.
    assert c.get("1")["transactionId"] >= 5000
    assert len(started(g, "DAMAGED")) == 1 and g.stat("calls_parked") == 0


if __name__ == "__main__":
    main()
