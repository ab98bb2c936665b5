#!/usr/bin/python3
"""The answer in an event is the one that was sent. The platform of these tests is late, does
not answer, answers wrongly or repeats itself; connections break before the answer; workers
and Redis are killed. In each case the journal and the stream have the answer that the
charge point received, with its author, and a StartTransaction that is sent again gets the
same answer.

    test/answers.py [--seed N] [--seconds N] [part of a name]"""

from redis_resp import Error
from redis_fleet import EV, events, gateway, redis, tidy, wait_event, wait_ids
from lib import *
from ocpp2 import BOTH, HASH, ONLY, SAME, TOKEN, V201, Station, timeless, transaction

SECONDS = 300.0 if os.environ.get("OCPPD_TEST_LONG") else 36.0
SEED = int.from_bytes(os.urandom(4), "big")
WHEN = "2026-01-31T12:00:00Z"
INFO = {"status": "Accepted"}


def start_of(tag, meter=0):
    return {"connectorId": 1, "idTag": tag, "meterStart": meter,
            "timestamp": WHEN}


def answer(r, e, payload):
    return r("FCALL", "ocppd_answer", 1, e["chargePointId"], e["replyToken"],
             payload if isinstance(payload, str) else json.dumps(payload))


def final(r, cp, type, n=1):
    e = wait_event(r, cp, type, n)
    assert len(e) == n, e
    return json.loads(e[-1]["answer"]), e[-1]["answeredBy"]


# --- single cases ----------------------------------------------------------------


@tidy
def test_a_verdict_of_the_platform_is_used_for_the_start_that_follows():
    s = redis()
    r = s.client()
    g = gateway(s, "a", answers_Authorize="platform",
                answers_verdict_time="2s")
    c = Charger(g, "CP1")
    c.boot()
    c.put("Authorize", {"idTag": "STOLEN"}, "m1")
    info = {"status": "Blocked", "parentIdTag": "P"}
    assert answer(r, wait_event(r, "CP1", "answer.requested")[0],
                  {"idTagInfo": info}) == "taken"
    assert c.get("m1") == {"idTagInfo": info}
    got = c.start(tag="STOLEN")
    assert got["idTagInfo"] == info
    assert final(r, "CP1", "transaction.started") == (got, "gateway")
    # The answer to a StopTransaction has no idTagInfo for an unknown idTag.
    assert c.stop(got["transactionId"], idTag="STOLEN") == {"idTagInfo": info}
    assert c.stop(got["transactionId"], idTag="OTHER") == {}
    # The platform is asked about another tag, and after a while again about the first one.
    for n, tag in ((2, "NEW"), (3, "STOLEN")):
        if tag == "STOLEN":
            end = time.monotonic() + 2
            poll(lambda: time.monotonic() > end)
        c.put("StartTransaction", start_of(tag, n), "s%d" % n)
        e = wait_event(r, "CP1", "answer.requested", n)[-1]
        assert e["action"] == "Authorize" and e["cause"] == "StartTransaction"
        assert json.loads(e["payload"]) == {"idTag": tag}
        assert answer(r, e, {"idTagInfo": {"status": "Invalid"}}) == "taken"
        got = c.get("s%d" % n)
        assert got["idTagInfo"] == {"status": "Invalid"}
        assert final(r, "CP1", "transaction.started", n) == (got, "platform")


@tidy
def test_an_answer_that_comes_while_the_charge_point_is_away_is_sent_later():
    s = redis()
    r = s.client()
    g = gateway(s, "a", server_workers=2, answers_StartTransaction="platform")
    poll(lambda: g.stat("redis_shards_ready") == 2)
    c = Charger(g, "CP1", worker=0)
    c.put("StartTransaction", start_of("T"), "m1")
    e = wait_event(r, "CP1", "answer.requested")[0]
    c.reset()
    poll(lambda: not g.online("CP1"))
    want = {"transactionId": -1, "idTagInfo": {
        "status": "ConcurrentTx", "expiryDate": "2027-01-01T00:00:00Z"}}
    assert answer(r, e, want) == "taken"
    for worker in (1, 0):
        c = Charger(g, "CP1", worker=worker)
        assert c.call("StartTransaction", start_of("T")) == want
        c.reset()
    g.stop()
    g.settings["server_workers"] = 1
    g.start()
    c = Charger(g, "CP1")
    assert c.call("StartTransaction", start_of("T")) == want
    assert final(r, "CP1", "transaction.started") == (want, "platform")
    assert len(events(r, "CP1", "answer.requested")) == 1


@tidy
def test_a_session_ends_once_if_the_platform_answers_after_its_end():
    s = redis()
    r = s.client()
    g = gateway(s, "a", server_workers=2, answers_Authorize="platform")
    for how in (g.stop, g.kill_everything):
        c = Charger(g, "CP1", worker=0)
        c.boot()
        asked = len(events(r, "CP1", "answer.requested"))
        c.put("Authorize", {"idTag": "T"}, "m1")
        e = wait_event(r, "CP1", "answer.requested", asked + 1)[-1]
        ends = len(events(r, "CP1", "charge_point.disconnected"))
        c.reset()
        wait_event(r, "CP1", "charge_point.disconnected", ends + 1)
        assert answer(r, e, {"idTagInfo": INFO}) == "taken"
        final(r, "CP1", "authorization.requested", asked + 1)
        how()
        g.start()
        Charger(g, "OTHER", worker=0).close()
        Charger(g, "OTHER", worker=1).close()
        got = g.events(cp="CP1", type="charge_point.disconnected")
        assert len(got) == ends + 1, got


@tidy
def test_a_start_on_another_worker_waits_for_the_same_question():
    s = redis()
    r = s.client()
    g = gateway(s, "a", server_workers=2, answers_StartTransaction="platform")
    poll(lambda: g.stat("redis_shards_ready") == 2)
    c = Charger(g, "CP1", worker=0)
    c.put("StartTransaction", start_of("T"), "m1")
    e = wait_event(r, "CP1", "answer.requested")[0]
    c.reset()
    c = Charger(g, "CP1", worker=1)
    c.put("StartTransaction", start_of("T"), "m2")
    poll(lambda: g.stat("calls_parked") == 1)
    want = {"transactionId": 0, "idTagInfo": INFO}
    assert answer(r, e, want) == "taken"
    assert c.get("m2") == want
    assert len(events(r, "CP1", "answer.requested")) == 1
    assert final(r, "CP1", "transaction.started") == (want, "platform")


@tidy
def test_the_platform_answers_each_transaction_event_once():
    s = redis()
    r = s.client()
    g = gateway(s, "a", server_workers=2, answers_TransactionEvent="platform",
                ocpp_message_timeout="2s")
    poll(lambda: g.stat("redis_shards_ready") == 2)
    for version in BOTH:
        cp = "TXP" + version
        c = Station(g, cp, version, worker=0)
        c.boot()
        tx = transaction("Started", idToken=TOKEN, seqNo=0)
        c.put("TransactionEvent", tx, "m1")
        e = wait_event(r, cp, "answer.requested")[0]
        assert e["action"] == "TransactionEvent" and json.loads(e["payload"]) == tx
        # An answer to another message, and an answer that is too large to be stored.
        for bad, words in (
                ({"idTokenInfo": {"status": "Perhaps"}}, "idTokenInfo: it is not one of Accepted,"),
                ({"idTokenInfo": {}}, "idTokenInfo: it is missing"),
                ({"idTagInfo": {"status": "Accepted"}}, "idTagInfo: the message has no such"),
                ({"totalCost": "1.5"}, "totalCost: it is not a number"),
                ({"idTokenInfo": {"status": "Accepted", "evseId": []}}, "idTokenInfo: it is not a list"),
                ({"updatedPersonalMessage": {"format": "UTF8", "content": "x" * 200}},
                 "it has 2.. bytes; .* may have 190")):
            got = answer(r, e, bad)
            assert re.match("invalid: " + words, got), (bad, got)
        want = {"totalCost": 1.5, "idTokenInfo": {"status": "NoCredit", "language1": "de"}}
        assert answer(r, e, want) == "taken"
        assert c.get("m1") == want
        got = wait_event(r, cp, "transaction.started")[0]
        assert json.loads(got["answer"]) == want and got["answeredBy"] == "platform", got
        assert json.loads(got["tx"])["seq"] == 0 and got["question"] == e["replyToken"], got
        # The same on a new connection, on the other worker, and after a restart.
        c.put("TransactionEvent", dict(tx, eventType="Updated", seqNo=1), "m2")
        e = wait_event(r, cp, "answer.requested", 2)[1]
        c.reset()
        poll(lambda: not g.online(cp))
        assert answer(r, e, {"chargingPriority": 3}) == "taken"
        for worker in (1, 0):
            c = Station(g, cp, version, worker=worker)
            assert c.event("Started", "t", 0, triggerReason="Trigger", idToken=TOKEN,
                           offline=True) == want
            assert c.event("Updated", "t", 1, triggerReason="Trigger",
                           idToken=TOKEN) == {"chargingPriority": 3}
            c.reset()
        # If the platform does not answer, the gateway answers once.
        c = Station(g, cp, version)
        assert c.event("Ended", "t", 2) == {}
        assert c.event("Ended", "t", 2) == {}
        got = wait_event(r, cp, "transaction.stopped")
        assert [x["answeredBy"] for x in got] == ["fallback"], got
        c.reset()
        assert len(events(r, cp, "answer.requested")) == 3
        assert len(events(r, cp, "transaction.started")) == 1
        assert len(events(r, cp, "transaction.updated")) == 1
    g.kill_everything()
    g.start()
    for version in BOTH:
        c = Station(g, "TXP" + version, version)
        assert c.event("Started", "t", 0, idToken=TOKEN) == want
        assert c.event("Ended", "t", 2) == {}
        c.reset()
        assert len(events(r, c.identity, "answer.requested")) == 3


# By action, an answer of the platform that differs from every answer of the gateway.
LATER = "2027-01-01T00:00:00Z"
CHOICES = {
    "BootNotification": {"currentTime": LATER, "interval": 7, "status": "Pending"},
    "Authorize": {"idTokenInfo": {"status": "ConcurrentTx", "cacheExpiryDateTime": LATER}},
    "DataTransfer": {"status": "Accepted", "data": {"any": [1, None]}},
    "SignCertificate": {"status": "Accepted"},
    "NotifyEVChargingNeeds": {"status": "Processing"},
    "NotifyEVChargingSchedule": {"status": "Rejected"},
    "OpenPeriodicEventStream": {"status": "Accepted"},
    "VatNumberValidation": {"vatNumber": "DE\u00fc1", "status": "Accepted",
                            "company": {"name": "C", "address1": "a", "city": "b",
                                        "country": "c"}},
    "Heartbeat": {"currentTime": LATER},
    "StatusNotification": {"customData": {"vendorId": "P"}},
    "TransactionEvent": {"totalCost": 2.5},
    "MeterValues": {"customData": {"vendorId": "P"}},
    "FirmwareStatusNotification": {"customData": {"vendorId": "P"}},
    "LogStatusNotification": {"customData": {"vendorId": "P"}},
    "SecurityEventNotification": {"customData": {"vendorId": "P"}},
    "Get15118EVCertificate": {"status": "Accepted", "exiResponse": "e"},
    "GetCertificateStatus": {"status": "Accepted", "ocspResult": "r"},
    "GetCertificateChainStatus": {"certificateStatus": [
        {"certificateHashData": HASH, "source": "CRL", "status": "Good", "nextUpdate": LATER}]},
    "PullDynamicScheduleUpdate": {"status": "Accepted", "scheduleUpdate": {"limit": 16.0}},
}
# Messages that only 1.6 has, and messages whose only valid answer is {}.
OF_16 = {"StartTransaction", "StopTransaction", "DiagnosticsStatusNotification",
         "SignedFirmwareStatusNotification"}


def rows_with_a_choice(version):
    """Returns the first message of each action that is in [answers]."""
    seen = {}
    for action, payload, alone, _ in SAME + ONLY[version]:
        if action in CHOICES and action not in seen:
            seen[action] = (payload, alone)
    return seen


def test_each_setting_of_answers_has_a_row_in_the_table():
    listed = subprocess.run([OCPPD, "-x", "conf"], stdout=subprocess.PIPE, text=True).stdout
    part = listed[listed.index(".Ss [answers]"):]
    names = set(re.findall(r"^\.It Cm ([A-Z]\w+) No", part.split(".Ss [journal]")[0], re.M))
    names = {n for n in names if not n.endswith("_fallback")}
    assert names == CHOICES.keys() | OF_16, names ^ (CHOICES.keys() | OF_16)


def answered(r, cp):
    """Waits for the event of the only answered message of a charge point, and returns it."""
    return poll(lambda: [e for e in r.entries(EV) if e["chargePointId"] == cp and
                         "answeredBy" in e], what="the event of " + cp)[0]


@tidy
def test_every_answer_of_2x_that_is_a_setting_may_be_given_by_the_platform():
    """`platform` is set for all actions. If an answer breaks the schema, the platform gets it
    back; a valid one reaches the charge point unchanged; and if the platform does not answer,
    the gateway does."""
    s = redis()
    r = s.client()
    g = gateway(s, "a", server_workers=2, ocpp_heartbeat_events="yes", ocpp_heartbeat_jitter=0,
                ocpp_heartbeat_interval="300s", ocpp_message_timeout="5s",
                **{"answers_" + name: "platform" for name in CHOICES})
    poll(lambda: g.stat("redis_shards_ready") == 2)
    # Each action that is a setting in one of the versions is tried.
    assert set().union(*map(rows_with_a_choice, BOTH)) == set(CHOICES)
    for version in BOTH:
        rows = rows_with_a_choice(version)
        silent = []
        for action, (payload, alone) in rows.items():
            # The message that is not answered is sent first, because all messages wait at the same
            # time.
            c = Station(g, "%s-%s-silent" % (version[4:], action), version)
            c.put(action, payload, "s")
            silent.append((c, action, alone))
        for action, (payload, alone) in rows.items():
            c = Station(g, "%s-%s" % (version[4:], action), version)
            c.put(action, payload, "m")
            e = wait_event(r, c.identity, "answer.requested")[0]
            assert e["action"] == action and json.loads(e["payload"]) == payload, e
            for bad in ([], 5, {"nosuchfield": 1}, {"customData": {}}):
                got = answer(r, e, bad)
                assert got.startswith("invalid: "), (version, action, bad, got)
            assert answer(r, e, CHOICES[action]) == "taken", (version, action)
            assert c.get("m") == CHOICES[action], (version, action)
            got = answered(r, c.identity)
            assert json.loads(got["answer"]) == CHOICES[action] and \
                got["answeredBy"] == "platform", (version, got)
            c.reset()
        for c, action, alone in silent:
            assert timeless(c.get("s")) == alone, (version, action)
            got = answered(r, c.identity)
            assert timeless(json.loads(got["answer"])) == alone and \
                got["answeredBy"] == "fallback", (version, got)
            c.reset()


@tidy
def test_the_fallback_of_a_question_that_is_open_at_a_stop_is_an_event():
    """A worker that stops waits for Redis for 2 s. If a question is closed in this time, its
    fallback is an event even if Redis does not reply."""
    s = redis()
    r = s.client()
    g = gateway(s, "a", redis_timeout="60s", ocpp_message_timeout="2s",
                answers_StartTransaction="platform")
    c = Charger(g, "CP1")
    c.put("StartTransaction", start_of("T"), "m1")
    wait_event(r, "CP1", "answer.requested")
    s.signal(signal.SIGSTOP)
    try:
        assert g.stop() == 0
    finally:
        s.signal(signal.SIGCONT)
    assert "last words" not in g.log(), g.log()
    e = g.wait_events(type="transaction.started")
    assert [x["answeredBy"] for x in e] == ["fallback"], e
    g.start()
    assert Charger(g, "CP1").start(tag="T") == e[0]["answer"]


@tidy
def test_a_message_of_a_transaction_gets_the_same_answer_from_all_gateways():
    """Another gateway does not ask the platform again, whether or not the platform answered the
    first time."""
    s = redis()
    r = s.client()
    a, b = [gateway(s, n, answers_TransactionEvent="platform",
                    answers_StopTransaction="platform", ocpp_message_timeout="2s") for n in "ab"]
    for version in BOTH:
        cp = "ONE" + version
        c = Station(a, cp, version)
        want = {"totalCost": 1.5}
        c.put("TransactionEvent", transaction("Updated", seqNo=1), "m1")
        assert answer(r, wait_event(r, cp, "answer.requested")[0], want) == "taken"
        assert c.get("m1") == want
        assert c.event("Updated", "t", 2) == {}  # the fallback is the answer
        c = Station(b, cp, version)
        c.put("TransactionEvent", transaction("Updated", seqNo=1, offline=True), "m2")
        assert c.get("m2") == want
        assert c.event("Updated", "t", 2) == {}
        assert len(events(r, cp, "answer.requested")) == 2
        got = b.wait_events(2, cp=cp, type="transaction.updated")
        assert [e["answer"] for e in got] == [want, {}], got
        assert len(wait_event(r, cp, "transaction.updated", 2)) == 2
    c = Charger(a, "ONE16")
    stop = {"transactionId": 5, "meterStop": 9, "timestamp": WHEN, "idTag": "T"}
    c.put("StopTransaction", stop, "m1")
    want = {"idTagInfo": {"status": "Blocked"}}
    assert answer(r, wait_event(r, "ONE16", "answer.requested")[0], want) == "taken"
    assert c.get("m1") == want
    assert Charger(b, "ONE16").call("StopTransaction", stop) == want
    assert len(events(r, "ONE16", "answer.requested")) == 1
    for g in (a, b):  # every acknowledged message is shipped once
        poll(lambda: g.stat("ship_lag_ms") == 0 and g.stat("redis_shards_ready") == 1)
    assert len(events(r, "ONE16", "transaction.stopped")) == 1


def platform_starts(r, c, id, n=1):
    """Answers a StartTransaction as the platform, with question n of the charge point."""
    c.put("StartTransaction", start_of("T"), "m%d" % n)
    given = {"transactionId": id, "idTagInfo": {"status": "Blocked"}}
    e = wait_event(r, c.identity, "answer.requested", n)[n - 1]
    assert answer(r, e, given) == "taken"
    assert c.get("m%d" % n) == given
    return given


def asked_in_vain(s, g, cp):
    """Breaks the connection of a charge point while its StartTransaction waits for Redis, and
    waits until the worker has the reply."""
    c = Charger(g, cp)
    c.boot()
    other = Charger(g, "OTHER")
    other.boot()
    s.signal(signal.SIGSTOP)
    c.put("StartTransaction", start_of("T"))
    poll(lambda: g.stat("calls_parked") == 1)
    c.reset()
    poll(lambda: g.stat("connections") == 1)
    s.signal(signal.SIGCONT)
    other.call("StartTransaction", start_of("T"))  # Redis replies in order


@tidy
def test_a_reply_of_redis_to_a_call_of_a_closed_connection_is_not_used_later():
    s = redis()
    a, b = [gateway(s, n, server_workers=1) for n in "ab"]
    asked_in_vain(s, b, "CP1")
    c = Charger(a, "CP1")
    id = c.call("StartTransaction", start_of("T"))["transactionId"]
    c.call("StopTransaction", {"transactionId": id, "meterStop": 9, "timestamp": WHEN})
    again = Charger(b, "CP1").call("StartTransaction", start_of("T"))
    assert again["transactionId"] != id, again  # a new transaction has begun


@tidy
def test_a_fallback_that_redis_does_not_know_is_marked():
    s = redis()
    r = s.client()
    a, b = [gateway(s, n, server_workers=1, answers_StartTransaction="platform")
            for n in "ab"]
    asked_in_vain(s, b, "CP1")
    given = platform_starts(r, Charger(a, "CP1"), 77)
    s.kill()
    poll(lambda: b.stat("redis_shards_ready") == 0)
    got = Charger(b, "CP1").call("StartTransaction", start_of("T"))
    [e] = b.events("transaction.started", cp="CP1")
    assert e["answer"] == got != given and e["deviations"] == ["start_unchecked"], e


@tidy
def test_a_call_whose_question_another_gateway_has_asked_since_is_answered():
    s = redis()
    r = s.client()
    a, b = [gateway(s, n, server_workers=1, answers_StartTransaction="platform",
                    ocpp_message_timeout="2s") for n in "ab"]
    for n, g in enumerate((b, a)):
        c = Charger(g, "CP1")
        c.put("StartTransaction", start_of("T"))
        wait_event(r, "CP1", "answer.requested", n + 1)
        c.reset()
    c = Charger(b, "CP1")
    c.put("StartTransaction", start_of("T"), "m1")
    got = c.get("m1")
    for g in (a, b):
        poll(lambda: g.stat("platform_waiting") == 0)
    answers = [e["answer"] for g in (a, b) for e in g.events("transaction.started", cp="CP1")]
    assert answers and all(x == got for x in answers), (got, answers)


@tidy
def test_a_late_answer_to_a_start_that_ended_at_another_gateway_begins_no_transaction():
    s = redis()
    r = s.client()
    a, b = [gateway(s, n, server_workers=1, answers_StartTransaction="platform")
            for n in "ab"]
    c = Charger(a, "CP1")
    c.put("StartTransaction", start_of("T"))
    token = wait_event(r, "CP1", "answer.requested")[0]["replyToken"]
    c.reset()
    poll(lambda: a.stat("connections") == 0)
    c = Charger(b, "CP1")
    given = platform_starts(r, c, 77, 2)
    c.call("StopTransaction", {"transactionId": 77, "meterStop": 9, "timestamp": WHEN})
    wait_event(r, "CP1", "transaction.stopped")
    # Only now the first gateway ships its question, and the platform answers it.
    r("XADD", "{%s}:inbox:a/0" % EV, "*", "what", "answer", "identity", "CP1",
      "token", token, "payload", json.dumps(dict(given, transactionId=78)))
    a.wait_log("CP1: an answer to a StartTransaction is not used")
    poll(lambda: a.stat("platform_waiting") == 0)
    assert a.events("transaction.started") == []
    # An equal StartTransaction of a connected charge point is another transaction.
    platform_starts(r, Charger(a, "CP1"), 79, 3)


@tidy
def test_a_question_that_is_shipped_late_is_not_opened_again():
    s = redis()
    r = s.client()
    a, b = [gateway(s, n, server_workers=1, answers_StartTransaction="platform",
                    ocpp_message_timeout="2s") for n in "ab"]
    cursor = poll(lambda: r("KEYS", "{%s}:cursor:a-*/0" % EV))[0]

    def asked_late(cp, meanwhile):
        """Asks at gateway a, which ships its question only after meanwhile(token)."""
        at = r("GET", cursor)
        r("SET", cursor, "held")
        c = Charger(a, cp)
        c.put("StartTransaction", start_of("T"), "m1")
        [e] = poll(lambda: a.events("answer.requested", cp=cp))
        given = meanwhile(c, e["replyToken"])
        r("SET", cursor, at)
        late = {"transactionId": 78, "idTagInfo": INFO}
        [e] = poll(lambda: [x for x in events(r, cp, "answer.requested")
                            if x["eventId"] == e["eventId"]])
        assert answer(r, e, late) == "late"
        poll(lambda: a.stat("platform_waiting") == 0)
        return c, given

    def at_b(c, stops):
        c.reset()
        poll(lambda: a.stat("connections") == 0)
        d = Charger(b, c.identity)
        given = platform_starts(r, d, 77)
        if stops:
            d.stop(77)
        wait_event(r, c.identity, "transaction." + ("stopped" if stops else "started"))
        return given

    # The charge point goes to another gateway, which asks the platform, too. There
    # the transaction begins, or also ends.
    for cp, stops in (("CP1", False), ("CP2", True)):
        asked_late(cp, lambda c, token: at_b(c, stops))
        assert a.events("transaction.started", cp=cp) == []
        assert len(events(r, cp, "transaction.started")) == 1
    assert "is not used" not in a.log()
    # The charge point waits, and its start was answered elsewhere: it gets that answer.
    fallbacks = a.stat("platform_fallbacks")
    given = {"transactionId": 5, "idTagInfo": INFO}
    c, _ = asked_late("CP3", lambda c, token: r(
        "FCALL", "ocppd_start", 1, "CP3", token.rsplit("/s")[-1].split(".")[0], json.dumps(given)))
    assert c.get("m1") == given and a.stat("platform_fallbacks") == fallbacks
    # An equal start after the end is another transaction, which the platform answers.
    d = Charger(b, "CP2")
    d.put("StartTransaction", start_of("T"), "m2")
    e = poll(lambda: [x for x in events(r, "CP2", "answer.requested") if x["gatewayId"] == "b"][1:])[0]
    assert answer(r, e, dict(given, transactionId=79)) == "taken"
    assert d.get("m2")["transactionId"] == 79


def in_stream(r, cp):
    """Returns the transaction events of a charge point, as (kind, number)."""
    return [e["eventType"][12:] + str(json.loads(e["tx"])["seq"]) for e in r.entries(EV)
            if e["chargePointId"] == cp and e["eventType"].startswith("transaction.")]


@tidy
def test_a_transaction_event_that_is_sent_to_two_gateways_is_in_the_stream_once():
    s = redis()
    r = s.client()
    a, b = gateway(s, "a"), gateway(s, "b")
    rows = [("Started", 0)] + [("Updated", n) for n in range(1, 12)] + [("Ended", 12)]
    names = [{"Started": "started", "Updated": "updated", "Ended": "stopped"}[k] + str(n)
             for k, n in rows]
    for version in BOTH:
        c = Station(a, "TWO" + version, version)
        c.boot()
        for kind, n in rows[:8]:
            c.event(kind, "t", n)
        # They are sent in any order, with further ones, and while the first gateway ships.
        c = Station(b, c.identity, version)
        for kind, n in reversed(rows):
            assert c.event(kind, "t", n, offline=True) == {}
        c = Station(a, c.identity, version)
        for kind, n in rows[4:]:
            c.event(kind, "t", n)
        c.event("Started", "t", 0, timestamp="2026-02-01T00:00:00Z")
        poll(lambda: len(in_stream(r, c.identity)) >= 14)
        poll(lambda: all(g.stat("ship_lag_ms") == 0 for g in (a, b)))
        got = in_stream(r, c.identity)
        assert sorted(got) == sorted(names + ["started0"]), got
        c.close()
    # The first gateway dies before its acknowledged events are in Redis.
    c = Station(a, "DEAD", V201)
    c.boot()
    wait_event(r, "DEAD", "charge_point.booted")
    s.kill()
    for kind, n in rows:
        assert c.event(kind, "t", n) == {}
    a.kill_everything()
    s.start()
    r = s.client()
    c = Station(b, "DEAD", V201)
    for kind, n in rows:
        c.event(kind, "t", n)
    poll(lambda: len(in_stream(r, "DEAD")) == len(rows))
    a.start()
    ids = {e["eventId"] for e in a.events("gateway.started")}
    poll(lambda: ids <= {e["eventId"] for e in r.entries(EV)})
    poll(lambda: a.stat("ship_lag_ms") == 0)
    assert in_stream(r, "DEAD") == names, in_stream(r, "DEAD")


def test_calls_wait_for_the_answer_to_the_boot():
    g = Gateway(server_workers=1, ocpp_call_hold="30s")
    c = Charger(g, "BOOT")
    h = background(g.call, "BOOT", "ClearCache")
    poll(lambda: g.stat("commands_pending") == 1)
    i = c.put("BootNotification", {"chargePointVendor": "v",
                                   "chargePointModel": "m"})
    first, second = json.loads(c.message()), json.loads(c.message())
    assert first[:2] == [3, i] and second[2] == "ClearCache"
    c.result(second[1], {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"


def test_charge_points_are_refused_while_the_journal_stalls():
    orders = tempfile.NamedTemporaryFile()
    orders.write(bytes(32 * 8))
    orders.flush()

    def sync_fails(errno_):
        orders.seek(2 * 8)
        orders.write(struct.pack("=q", errno_))
        orders.flush()
    g = Gateway(server_workers=1, journal_stall_time="2s",
                env={"LD_PRELOAD": B + "/fault_shim.so",
                     "OCPPD_FAULTS": orders.name})
    c, quiet = Charger(g, "STALL"), Charger(g, "QUIET")
    assert c.start(meter=1)["transactionId"]
    sync_fails(28)
    c.put("StartTransaction", start_of("T", 2), "m1")
    c.wait_closed(1013)
    r = refusal(g, "STALL")
    assert r.status == 503 and r["Retry-After"], (r.status, r.headers)
    assert quiet.call("Heartbeat")          # this message makes no event
    # A transaction message that arrives now also waits for the whole time.
    began = time.monotonic()
    quiet.put("StartTransaction", start_of("Q", 3), "m2")
    quiet.wait_closed(1013)
    assert time.monotonic() - began > 1.9
    sync_fails(0)
    g.wait_log("the journal takes events again")
    c = Charger(g, "STALL")
    assert c.call("StartTransaction", start_of("T", 2))["transactionId"]
    assert len(g.events(cp="STALL", type="transaction.started")) == 2


@tidy
def test_a_wrong_answer_in_redis_is_never_sent():
    """Another program has changed an answer that a gateway has stored in Redis."""
    s = redis()
    r = s.client()
    gates = [gateway(s, name) for name in "ab"]
    for g in gates:
        poll(lambda: g.stat("redis_shards_ready") == 1)
        wait_ids(g)
    key = "{ocppd:events:0}:starts:CP"
    for n, wrong in enumerate(({}, {"transactionId": 5}, {"idTagInfo": INFO}, {"transactionId": 99999999999, "idTagInfo": INFO},
                               {"transactionId": "5", "idTagInfo": INFO}, {"transactionId": 5, "idTagInfo": {"status": "Odd"}},
                               {"transactionId": 1.5, "idTagInfo": INFO}, [], {"transactionId": 5, "idTagInfo": INFO, "x": 1})):
        for state in ("known", "draft"):
            first = Charger(gates[0], "CP")
            start = start_of("T", 2 * n + (state == "draft"))
            first.call("StartTransaction", start)
            first.close()
            for fp in r("HKEYS", key):
                r("HSET", key, fp, "%s 1 %s" % (state, json.dumps(wrong)))
            second = Charger(gates[1], "CP")
            got = second.call("StartTransaction", start)
            second.close()
            assert set(got) == {"transactionId", "idTagInfo"} and got["idTagInfo"] == INFO, (wrong, got)
            assert isinstance(got["transactionId"], int) and got["transactionId"] != 5, (wrong, got)
            assert 0 < got["transactionId"] < 2 ** 31, (wrong, got)
            e = gates[1].wait_events(cp="CP", type="transaction.started")[-1]
            assert "start_unchecked" in e["deviations"], e
            r("DEL", key)


# --- random cases ----------------------------------------------------------------


class Platform(threading.Thread):
    """A platform that answers questions as a seed determines, and records its answers."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server, self.random = server, random.Random(seed)
        self.taken = {}         # token -> payload
        self.sent = {}  # token -> payloads, also those whose reply was lost
        self.replies = {}  # word -> number of times
        self.late = []          # (when, event, payload)
        self.ids = 70000000  # above those of the gateways
        self.stopped = False
        self.failed = None

    def give(self, r, e, payload):
        self.sent.setdefault(e["replyToken"], []).append(json.loads(payload))
        got = answer(r, e, payload)
        word = got.split(":")[0]
        self.replies[word] = self.replies.get(word, 0) + 1
        if word == "taken":
            assert e["replyToken"] not in self.taken, "two answers to one question were taken"
            self.taken[e["replyToken"]] = json.loads(payload)
        return word

    def look_at(self, r, e):
        info = {"status": self.random.choice(
            ["Accepted", "Blocked", "Invalid", "Expired", "ConcurrentTx"])}
        if self.random.random() < 0.3:
            info["parentIdTag"] = "P%d" % self.random.randrange(99)
        good = {"idTagInfo": info}
        if e["action"] == "StopTransaction" and self.random.random() < 0.3:
            good = {}
        if e["action"] == "StartTransaction":
            self.ids += 1
            good["transactionId"] = self.random.choice(
                [0, -self.ids, self.ids, self.ids])
        good = json.dumps(good)
        how = self.random.random()
        if how < 0.15:
            return  # the platform does not answer
        if how < 0.3:
            self.late.append((time.monotonic() + 1.3 * self.random.random(),
                              e, good))
        elif how < 0.4:
            assert self.give(r, e, '{"idTagInfo":{"status":"Perhaps"}}') in (
                "invalid", "late")
            self.give(r, e, good)
        else:
            if self.give(r, e, good) == "taken" and how < 0.6:
                assert self.give(r, e, good) == "late"

    def run(self):
        try:
            last = "0"
            r = None
            while not self.stopped:
                try:
                    r = r or self.server.client()
                    now = time.monotonic()
                    due = [x for x in self.late if x[0] <= now]
                    self.late = [x for x in self.late if x[0] > now]
                    for _, e, payload in due:
                        self.give(r, e, payload)
                    got = r("XREAD", "BLOCK", 50, "STREAMS", EV, last)
                    for entry, fields in got[0][1] if got else []:
                        last = entry
                        e = dict(zip(fields[::2], fields[1::2]))
                        if "replyToken" in e:
                            self.look_at(r, e)
                except (OSError, Error):  # Redis was killed, or is loading its data
                    r = None
        except BaseException as e:
            self.failed = e


class Story:
    """A charge point that starts transactions, loses its connection and sends again."""

    def __init__(self, rig, n):
        self.rig, self.cp = rig, "R%d" % n
        self.received = []  # (action, payload, answer) of each answer

    def connect(self):
        def try_it():
            g = self.rig.random.choice(self.rig.gateways)
            try:
                return Charger(g, self.cp, worker=self.rig.random.
                               randrange(2) if not self.rig.killing else None)
            except (OSError, Closed, AssertionError, TimeoutError):
                return None
        return poll(try_it, 20 * SLOW, "a connection")

    def tell(self, action, payload):
        """Sends a message until it is answered, as a charge point does."""
        for attempt in range(20):
            c = self.connect()
            try:
                i = c.put(action, payload)
                if attempt == 0:
                    self.rig.race(c)
                got = c.get(i, 6 * SLOW)
                self.received.append((action, payload, got))
                return c, got
            except (OSError, Closed, TimeoutError):
                try:
                    c.reset()
                except OSError:
                    pass
        raise AssertionError("%s was never answered" % self.cp)

    def run(self):
        rnd = self.rig.random
        start = start_of("T%d" % rnd.randrange(3), rnd.randrange(1000))
        if rnd.random() < 0.4:
            c = self.connect()
            try:
                c.put("Authorize", {"idTag": start["idTag"]}, "auth")
                c.get("auth", 6 * SLOW)
            except (OSError, Closed, TimeoutError):
                pass
            c.reset()
        c, first = self.tell("StartTransaction", start)
        for _ in range(rnd.randrange(3)):
            c.reset()
            c, again = self.tell("StartTransaction", start)
            # A gateway that cannot ask Redis in time decides alone; its event has a deviation, which
            # check() takes into account.
            assert again == first or len(self.rig.gateways) > 1, (self.cp, first, again)
            first = again
        c.reset()
        stop = {"transactionId": first["transactionId"], "meterStop": 2000,
                "timestamp": WHEN, "idTag": start["idTag"]}
        for _ in range(1 + rnd.randrange(2)):
            c, got = self.tell("StopTransaction", stop)
            c.reset()


class Rig:
    """Runs the charge points, which connect to the gateways `nodes` in turn."""

    def __init__(self, seed, nodes):
        self.random = random.Random(seed)
        self.killing = False
        self.s = redis()
        answers = dict(
            answers_StartTransaction=self.random.choice(
                ["platform", "platform", "gateway"]),
            answers_StopTransaction=self.random.choice(["platform", "gateway"]),
            answers_Authorize="platform",
            answers_Authorize_fallback=self.random.choice(
                ["accept", "invalid", "blocked"]))
        self.gateways = [gateway(
            self.s, "ab"[i], server_workers=2, ocpp_message_timeout="1s",
            journal_retention="1h", **answers) for i in range(nodes)]
        for g in self.gateways:
            g.deaths_expected = True

    def race(self, c):
        """Returns the disturbances that may happen between a CALL and its answer."""
        what = self.random.random()
        if what < 0.35:
            return
        if what < 0.7:
            c.reset()
        elif what < 0.85:
            self.killing = True
            g = c.g
            old = g.kill_worker(self.random.randrange(2))
            # The successor of a worker that dies repeatedly may start only after 26 s.
            poll(lambda: all(w["state"] == "ready" and w["pid"] != old
                             for w in g.workers()), 40 * SLOW, "a successor")
            self.killing = False
        elif what < 0.92:
            c.g.kill_everything()
            c.g.start()
        else:
            self.s.kill()
            self.s.start()

    def journal(self):
        return [e for g in self.gateways for e in g.events()]

    def check(self, stories, platform):
        """Checks that the journals, the stream and the charge points have the same answers."""
        poll(lambda: all(g.stat("platform_waiting") == 0 and
                         g.stat("ship_lag_ms") == 0 for g in self.gateways),
             30 * SLOW, "the end")
        journal = self.journal()
        r = self.s.client()

        def content(e):
            payload, given = e["payload"], e["answer"]
            return (e["chargePointId"], e["eventType"],
                    payload if isinstance(payload, str) else raw(e, "payload"),
                    json.dumps(json.loads(given) if isinstance(given, str) else given))

        def missing():
            """Returns the events that must be in the stream and are not. If two gateways have
            acknowledged a message with the same answer, the stream has one event for both."""
            stream = r.entries(EV)
            ids = {e["eventId"] for e in stream}
            once = {content(e) for e in stream if "answer" in e}
            return [e for e in journal if e["eventId"] not in ids and not (
                len(self.gateways) > 1 and e["eventType"].startswith("transaction.") and
                content(e) in once)]
        poll(lambda: not missing(), 20 * SLOW, "the shipping")
        stream = {e["eventId"]: e for e in r.entries(EV)}
        for e in journal:
            if "answer" not in e:
                continue
            if e["eventId"] in stream:
                there = stream[e["eventId"]]
                assert json.loads(there["answer"]) == e["answer"]
                assert there["answeredBy"] == e["answeredBy"]
            by = e["answeredBy"]
            assert by in ("gateway", "platform", "fallback"), e
            if by == "platform":
                said = platform.taken.get(e["question"])
                # The question was asked again after a death, or the reply was lost.
                same = stem(e["question"])
                said = [said] if said else [
                    p for t, all in platform.sent.items() for p in all
                    if stem(t) == same]
                assert e["answer"].get("idTagInfo") in [
                    p.get("idTagInfo") for p in said], (e, said)
        ids, several = {}, 0
        for story in stories:
            for action, payload, got in story.received:
                mine = [e for e in journal if e["chargePointId"] == story.cp and
                        e.get("action") == action and e["payload"] == payload and
                        e["eventType"] != "answer.requested"]
                # Two gateways may each have acknowledged the message. Then both have sent the same
                # answer, unless Redis could not be asked.
                free = [e for e in mine if "start_unchecked" in e.get("deviations", [])]
                assert len(mine) == 1 or (len(self.gateways) > 1 and len(
                    {e["eventId"].split("-")[-1] for e in mine}) == len(mine)), (story.cp, mine)
                several += len(mine) > 1
                assert any(e["answer"] == got for e in mine), (got, mine)
                if action != "StartTransaction":
                    continue
                assert free or all(e["answer"] == got for e in mine), (got, mine)
                if got["transactionId"] > 0:
                    owner = ids.setdefault(got["transactionId"], story.cp)
                    assert owner == story.cp, (got, owner, story.cp)
        return several


def stem(token):
    """Returns the part of the key that all questions about one message have in common."""
    return token.rsplit("/", 1)[1].split(".")[0]


def raw(e, member):
    """Returns the bytes of a member of an event in the journal."""
    at = e.raw.index('"%s":' % member) + len(member) + 3
    _, end = json.JSONDecoder().raw_decode(e.raw, at)
    return e.raw[at:end]


def play(seed, nodes):
    rig = Rig(seed, nodes)
    platform = Platform(rig.s, seed)
    platform.start()
    stories, end = [], time.monotonic() + SECONDS / 3
    while time.monotonic() < end:
        stories.append(Story(rig, len(stories)))
        stories[-1].run()
        assert platform.failed is None, platform.failed
    several = rig.check(stories, platform)
    platform.stopped = True
    print("       seed %d, %d gateways: %d starts, %d acknowledged by both, replies of ocppd_answer: %s" % (
        seed, nodes, len(stories), several, platform.replies))


def play_some(nodes, times):
    import redis_fleet
    for n in range(times):
        print("       seed %d" % (SEED + n), flush=True)
        play(SEED + n, nodes)
        while redis_fleet._servers:
            redis_fleet._servers.pop().stop()


@tidy
def test_answers_events_and_stream_agree_whatever_fails():
    play_some(1, 2)


@tidy
def test_answers_events_and_streams_of_two_gateways_agree_whatever_fails():
    play_some(2, 1)


if __name__ == "__main__":
    args = sys.argv[1:]
    for flag in ("--seed", "--seconds"):
        if flag in args:
            i = args.index(flag)
            value = float(args[i + 1])
            del args[i:i + 2]
            if flag == "--seed":
                SEED = int(value)
            else:
                SECONDS = value
    sys.argv[1:] = args
    main()
