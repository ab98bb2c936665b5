#!/usr/bin/python3
"""The journal: its contents, how it is read, and that every message that was answered is
in it (promise P1)."""

from lib import *

NAMES = {"charge_point.connected", "charge_point.booted",
         "charge_point.disconnected", "connector.status_changed",
         "transaction.started", "transaction.meter_values",
         "transaction.stopped", "authorization.requested", "command.response",
         "protocol.violation", "gateway.started", "command.sent"}


def story(g, name, worker=None):
    """Sends the messages of a usual day."""
    c = Charger(g, name, worker=worker)
    c.boot()
    c.call("StatusNotification", {"connectorId": 1, "status": "Available",
                                  "errorCode": "NoError"})
    c.call("Authorize", {"idTag": "TAG1"})
    t = c.start()["transactionId"]
    c.call("MeterValues", {"connectorId": 1, "transactionId": t, "meterValue": [
        {"timestamp": "2026-01-31T12:30:00Z", "sampledValue": [{"value": "5"}]}]})
    c.stop(t)
    h = background(g.call, name, "ClearCache")
    c.result(c.take()[0], {"status": "Accepted"})
    h.wait()
    c.send("garbage")
    c.close()
    g.wait_events(len(g.events(cp=name, type="charge_point.connected")),
                  cp=name, type="charge_point.disconnected")


def test_every_event_has_the_fields_of_its_kind():
    g = Gateway(server_workers="2", server_node="node-7")
    for name, worker in (("A", 0), ("B", 1)):
        story(g, name, worker)
    events = g.events("all")
    assert {e["eventType"] for e in events} == NAMES
    started, = [e for e in events if e["eventType"] == "gateway.started"]
    assert started["chargePointId"] == "" and started["payload"]["workers"] == 2
    events.remove(started)
    for e in events:
        assert re.fullmatch(r"[0-9a-f]{16}-node-7", e["eventId"]), e
        assert list(e)[:5] == ["eventId", "eventType", "chargePointId",
                               "gatewayId", "timestamp"], list(e)
        assert e["gatewayId"] == "node-7" and e["chargePointId"] in "AB"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                            e["timestamp"])
        assert type(e["generation"]) is int and e["generation"] > 0
        assert e["protocol"] == "ocpp1.6"
        assert isinstance(e["payload"], dict)
        of_call = e["eventType"] in {
            "charge_point.booted", "connector.status_changed",
            "transaction.started", "transaction.meter_values",
            "transaction.stopped", "authorization.requested"}
        assert of_call == ("answer" in e), e
        if of_call:
            assert e["messageId"].startswith(e["chargePointId"] + "-")
            assert e["action"]
    assert len({e["eventId"] for e in events}) == len(events)
    end = [e for e in events if e["eventType"] == "charge_point.disconnected"]
    assert end[0]["payload"]["messagesIn"] == 8, end[0]


def test_the_events_of_a_charge_point_are_in_the_order_of_its_messages():
    g = Gateway(server_workers="2")
    for round in range(6):
        story(g, "WANDERER", round % 2)
    events = g.events(cp="WANDERER")
    want = ["charge_point.connected", "charge_point.booted",
            "connector.status_changed", "authorization.requested",
            "transaction.started", "transaction.meter_values",
            "transaction.stopped", "command.response", "protocol.violation",
            "charge_point.disconnected"]
    types = [e["eventType"] for e in events]
    # Equal StartTransactions begin new transactions, because each transaction was ended.
    assert types == want * 6, types
    generations = [e["generation"] for e in events]
    assert generations == sorted(generations)
    assert len(set(generations)) == 6


# --- ocppctl events ----------------------------------------------------------------

def lines(text):
    return [json.loads(l) for l in text.splitlines()]


def test_ocppctl_prints_all_events_in_order_over_all_workers():
    g = Gateway(server_workers="2")
    for i in range(6):
        story(g, "P%d" % i, i % 2)

    def all_there():
        # The fdatasync of a line may not have finished.
        r = g.run("-j", "events")
        assert r.returncode == 0, r
        return r.stdout.splitlines() == [e.line for e in g.events("all")]
    poll(all_there)
    text = g.run("events")
    assert text.returncode == 0 and "transaction.started" in text.stdout


def test_events_are_selected_by_charge_point_type_and_time():
    g = Gateway(server_workers="2")
    story(g, "ONE"), story(g, "TWO")

    def chosen(*words):
        r = g.run("-j", "events", *words)
        assert r.returncode == 0, r
        return lines(r.stdout)
    poll(lambda: len(chosen()) == len(g.events("all")))
    assert chosen("--cp", "ONE") == [dict(e) for e in g.events("all", cp="ONE")]
    assert chosen("--type", "transaction.started") == \
        [dict(e) for e in g.events(type="transaction.started")]
    got = chosen("--cp", "TWO", "--type", "transaction.stopped")
    assert got == [dict(e) for e in g.events(cp="TWO",
                                             type="transaction.stopped")]
    assert len(got) == 1
    assert chosen("--cp", "THREE") == []
    all = [dict(e) for e in g.events("all")]
    assert chosen("--since", "1h") == all
    assert chosen("--since", "2099-01-01T00:00:00Z") == []
    middle = all[len(all) // 2]["timestamp"]
    assert chosen("--since", middle) == \
        [e for e in all if e["timestamp"] >= middle]
    for wrong in (["--since", "yesterday"], ["--type", "no.such"],
                  ["--nonsense"], ["word"]):
        r = g.run("events", *wrong)
        assert r.returncode == 2 and r.stderr, (wrong, r)


def follow(g, *words):
    """A running `ocppctl events --follow`. next() returns its next event."""
    p = subprocess.Popen([OCPPCTL, "-s", g.control, "-j", "events", "--follow",
                          *words], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    buffer = [b""]

    def next(timeout=DEADLINE):
        end = time.monotonic() + timeout
        while b"\n" not in buffer[0]:
            left = end - time.monotonic()
            if left <= 0 or not select.select([p.stdout], [], [], left)[0]:
                raise TimeoutError("no event came")
            some = os.read(p.stdout.fileno(), 65536)
            assert some, "ocppctl events --follow ended"
            buffer[0] += some
        line, _, buffer[0] = buffer[0].partition(b"\n")
        return json.loads(line)
    p.next = next
    return p


def test_follow_prints_new_events_while_the_daemon_runs():
    g = Gateway(server_workers="2")
    story(g, "BEFORE")
    p = follow(g, "--since", "1h")
    try:
        got = [p.next() for _ in g.events("all")]
        for i in range(4):
            story(g, "LIVE%d" % i, i % 2)
        want = [dict(e) for e in g.events("all")]
        got += [p.next() for _ in range(len(want) - len(got))]
        assert got == want
        began = time.monotonic()
        c = Charger(g, "QUICK")
        assert p.next()["chargePointId"] == "QUICK"
        assert time.monotonic() - began < 3 * SLOW
    finally:
        p.kill()
        p.wait()


def test_follow_without_since_begins_with_new_events():
    g = Gateway(server_workers="2")
    story(g, "OLD")
    # The fdatasync of lines that were written before may not have finished; ocppctl
    # prints them afterwards.
    poll(lambda: g.stat("journal_backlog_bytes") == 0)
    p = follow(g)
    try:
        # ocppctl follows when it has printed the first of the new events. No older event may
        # come before that one.
        c = Charger(g, "NEW")

        def printed():
            c.call("Authorize", {"idTag": "NOW"})
            try:
                return p.next(0.2)
            except TimeoutError:
                return None
        assert poll(printed)["chargePointId"] == "NEW"
    finally:
        p.kill()
        p.wait()


def test_follow_continues_after_the_death_of_workers_and_rotation():
    g = Gateway(server_workers="2", journal_segment_age="1s")
    p = follow(g, "--since", "1h", "--type", "authorization.requested")
    tags = []
    try:
        for i in range(6):
            c = Charger(g, "F%d" % i, worker=i % 2)
            for k in range(3):
                tags.append("T%d-%d" % (i, k))
                c.call("Authorize", {"idTag": tags[-1]})
            if i == 2:
                old = g.kill_worker(0)
                poll(lambda: g.worker_pid(0) not in (0, old) and
                     g.workers()[0]["state"] == "ready")
        got = [p.next()["payload"]["idTag"] for _ in tags]
        assert got == tags, got
    finally:
        p.kill()
        p.wait()


def test_the_events_can_be_read_without_a_daemon():
    g = Gateway()
    story(g, "GONE")
    g.stop()
    r = subprocess.run([OCPPCTL, "-j", "events", "--dir", g.state_dir],
                       stdout=subprocess.PIPE, text=True)
    assert r.returncode == 0 and lines(r.stdout) == [dict(e) for e in g.events("all")]


# --- durability ----------------------------------------------------------------------

def hammer(g, n=8):
    """Starts charge points that send messages until their connection ends. wait() of the
    returned handle returns the tags of the messages that were answered."""
    def talk(i):
        answered, k = [], 0
        try:
            c = Charger(g, "H%d" % i)
            while True:
                tag = "H%d-%d" % (i, k)
                k += 1
                c.call("Authorize", {"idTag": tag})
                answered.append(tag)
        except (Closed, OSError, AssertionError):
            return answered
    return [background(talk, i) for i in range(n)]


def test_the_event_of_every_answered_message_survives_kill_9_of_all_processes():
    g = Gateway(server_workers="2")
    handles = hammer(g)
    g.wait_events(300, type="authorization.requested")
    g.kill_everything()
    answered = [t for h in handles for t in h.wait()]
    g.start()

    def tags():
        return [e["payload"]["idTag"]
                for e in g.events(type="authorization.requested")]
    there = tags()
    assert len(answered) >= 100
    assert set(answered) <= set(there), set(answered) - set(there)
    assert len(there) == len(set(there))
    # The owners of the identities are released: the charge points connect again and
    # continue.
    c = Charger(g, "H0")
    c.call("Authorize", {"idTag": "AFTER"})
    assert "AFTER" in tags()
    # The event numbers continue to increase.
    r = g.run("-j", "events")
    assert [e["eventId"] for e in lines(r.stdout)] == \
        [e["eventId"] for e in g.events("all")]
    assert g.events()[-1]["payload"]["idTag"] == "AFTER"


def test_incomplete_lines_at_the_end_of_segments_are_removed():
    g = Gateway(server_workers="1")
    story(g, "TORN")
    before = g.events()
    g.kill_everything()
    path = g.segments()[-1]
    with open(path, "ab") as f:
        f.write(b'{"eventId":"ffffffffffffff00-test","eventType":"transac')
    g.start()
    g.wait_log("cut")
    story(g, "TORN2")
    after = [e for e in g.events() if e["chargePointId"] == "TORN"]
    assert after == before
    assert not any(b"ffffffffffffff00" in open(p, "rb").read()
                   for p in g.segments())
    # The end of TORN2's connection may not be in the journal yet.
    def same():
        r = g.run("-j", "events")
        assert r.returncode == 0, r
        return len(lines(r.stdout)) == len(g.events("all"))
    poll(same)


def test_a_pipe_in_place_of_a_segment_prevents_only_the_start():
    g = Gateway(server_workers=1)
    Charger(g).boot()
    g.stop()
    path = g.segments()[0]
    os.unlink(path)
    os.mkfifo(path)
    r = g.run("journal", "check", "--dir", g.state_dir)
    assert r.returncode == 1 and path in r.stdout, r
    absent = os.path.join(g.state_dir, "absent")
    r = g.run("journal", "check", "--dir", absent)
    assert r.returncode == 1 and absent in r.stderr, r
    assert "a worker makes this directory below server.state_dir" in r.stderr, r
    r = g.run("events", "--dir", g.state_dir)
    assert r.returncode == 1 and path in r.stderr, r
    g.start(wait=False)
    g.deaths_expected = True
    assert g.wait_exit() != 0
    assert path in g.log(), g.log()
    g.process = None


def test_segments_rotate_by_age_and_size_and_are_removed_after_retention():
    g = Gateway(server_workers="1", journal_segment_size="64KiB",
                journal_segment_age="1h")
    c = Charger(g, "ROTATE")
    for i in range(200):
        c.call("DataTransfer", {"vendorId": "V", "data": "x" * 900})
    assert len(g.segments()) >= 3, g.segments()
    for p in g.segments():
        assert os.path.getsize(p) < 80 << 10
    assert len(g.events(cp="ROTATE", type="data_transfer.received")) == 200
    g = Gateway(server_workers="1", journal_segment_age="1s",
                journal_retention="1m")
    c = Charger(g, "AGE")
    c.boot()
    first = g.segments()[0]
    poll(lambda: (c.call("Authorize", {"idTag": "X"}), len(g.segments()) > 1)[1])
    old = time.time() - 100
    os.utime(first, (old, old))
    poll(lambda: not os.path.exists(first), 20 * SLOW,
         "the removal of an old segment")
    assert g.segments()


def damage(g, number, change):
    """Changes bytes of the line of one event. Returns the file and the offset."""
    for path in g.segments():
        with open(path, "r+b") as f:
            data = f.read()
            at = data.find(b'{"eventId":"%016x-' % number)
            if at >= 0:
                end = data.index(b"\n", at)
                line = change(data[at:end])
                assert len(line) == end - at and line != data[at:end]
                f.seek(at)
                f.write(line)
                return os.path.basename(path), at
    raise AssertionError("the journal has no event %x" % number)


def test_a_damaged_line_is_reported_and_only_that_line_is_skipped():
    g = Gateway(server_workers="1")
    for i in range(12):
        c = Charger(g, "D%d" % i)
        c.boot()
        c.close()
        g.wait_events(cp="D%d" % i, type="charge_point.disconnected")
    g.stop()
    r = g.run("journal", "check", "--dir", g.state_dir)
    assert r.returncode == 0 and ", 0 damaged places" in r.stdout, r
    all = g.events("all")
    hurt = [all[i] for i in (4, 9, 20)]
    places = [damage(g, int(e["eventId"][:16], 16), change)
              for e, change in zip(hurt, (
                  lambda l: l.replace(b'{"eventId":"0', b'{"eventId":"1', 1),
                  lambda l: b'{"eventId":"' + b"f" * 16 + l[28:],
                  lambda l: l.replace(b'"generation":', b'"generatiom":', 1)))]
    left = [e for e in all if e not in hurt]

    def check():
        r = g.run("-j", "events", "--dir", g.state_dir)
        assert r.returncode == 1, r
        assert lines(r.stdout)[:len(left)] == [dict(e) for e in left]
        for name, at in places:
            assert re.search(r"%s: the line of \d+ bytes at byte %d is damaged"
                             % (name, at), r.stderr), (name, at, r.stderr)
        r = g.run("-j", "journal", "check", "--dir", g.state_dir)
        assert r.returncode == 1
        found = json.loads(r.stdout)
        assert sorted((d["file"], d["offset"]) for d in found["damaged"]) == \
            sorted(places), (found, places)
        assert found["events"] >= len(left) and found["unchecked"] == 0
    check()
    g.start()  # the worker must not continue from a damaged number that is far too high
    c = Charger(g, "AFTER")
    c.boot()
    assert c.start()["transactionId"] > 0
    check()
    assert g.stats()["journal_damaged"] == 3
    assert g.log().count("is damaged and is skipped") == 3
    newest = max(int(e["eventId"][:16], 16) for e in g.events(cp="AFTER"))
    assert newest < time.time() * 1e6 + 1e9, "the event numbers are far ahead of the clock"


# --- a durable cursor ------------------------------------------------------------

# The example of ocppctl(8): each event is handled before the next one is read.
RECIPE = """%s -s %s events --follow --cursor %s/cursor %s |
while IFS= read -r event; do
    printf '%%s\\n' "$event" >> %s/taken
done"""


def recipe(g, more=""):
    return subprocess.Popen(["sh", "-c", RECIPE % (
        OCPPCTL, g.control, g.dir, more, g.dir)], start_new_session=True)


def taken(g):
    try:
        with open(g.dir + "/taken") as f:
            return [json.loads(l)["eventId"] for l in f.read().splitlines()]
    except FileNotFoundError:
        return []


def test_with_a_cursor_each_event_is_read_at_least_once_whatever_dies():
    g = Gateway(server_workers="2")
    chargers = [Charger(g, "CUR%d" % i, worker=i % 2) for i in range(4)]
    for c in chargers:
        c.boot()
    for round in range(6):
        p = recipe(g)
        before = len(set(taken(g)))
        for i in range(20):
            for c in chargers:
                c.call("StatusNotification", {
                    "connectorId": 1, "errorCode": "NoError",
                    "status": "Available"})
        poll(lambda: len(set(taken(g))) > before + 20)
        os.killpg(p.pid, signal.SIGKILL)  # kills ocppctl and its reader
        p.wait()
    p = recipe(g)
    want = [e["eventId"] for e in g.events(type="all")]
    poll(lambda: set(taken(g)) >= set(want))
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()
    got = taken(g)
    # The events are in order; a run repeats only events that the former run had not
    # finished.
    first = {}
    for i, id in enumerate(got):
        first.setdefault(id, i)
    order = sorted(first, key=first.get)
    assert order == sorted(order), "the events are out of order"
    assert [id for id in order if id in set(want)] == want
    with open(g.dir + "/cursor") as f:
        assert re.fullmatch(r"[0-9a-f]{16}\n", f.read())


def test_events_that_a_reader_has_not_read_are_printed_again():
    g = Gateway(server_workers="1")
    c = Charger(g, "CUR")
    c.boot()
    for i in range(500):
        c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError",
                                      "status": "Available"})
    want = [e["eventId"] for e in g.events(type="all")]

    def run(reader):
        r = subprocess.run(
            ["sh", "-c", "%s -s %s events --cursor %s/cursor | %s" % (
                OCPPCTL, g.control, g.dir, reader)], stdout=subprocess.PIPE,
            text=True)
        return [json.loads(l)["eventId"] for l in r.stdout.splitlines()]
    # The shell's `read` reads byte by byte: three lines and not more.
    got = run("{ read -r a; read -r b; read -r c; "
              "printf '%s\\n' \"$a\" \"$b\" \"$c\"; }")
    assert got == want[:3], got
    again = run("cat")
    assert again[0] in want[1:4] and again[-1] == want[-1], again[:3]
    # Output to a file counts as read when it is written.
    assert run("cat")[-1:] == want[-1:]
    out = g.dir + "/out"
    for n in (1, 0):
        with open(out, "w") as f:
            subprocess.run([OCPPCTL, "-s", g.control, "events", "--cursor",
                            g.dir + "/cursor"], stdout=f, check=True)
        with open(out) as f:
            assert len(f.readlines()) == n
    with open(g.dir + "/cursor", "w") as f:
        f.write("nonsense")
    r = g.run("events", "--cursor", g.dir + "/cursor")
    assert r.returncode == 1 and "holds no cursor" in r.stderr, r


if __name__ == "__main__":
    main()
