#!/usr/bin/python3
"""Large messages in all parts that handle them: the WebSocket, the journal, recovery,
Redis, ocppctl and the HTTP port; and the memory that they may take."""

import http.client

from lib import *
from redis_resp import Server

MIB = 1 << 20


def samples(size):
    """Returns a meterValue of about n bytes."""
    one = {"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [
        {"value": "%d.%03d" % (17, i), "context": "Sample.Periodic",
         "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        for i in range(8)]}
    return [one] * max(1, size // len(json.dumps(one)))


def stop_of(id, size, **more):
    return dict(transactionId=id, meterStop=7, timestamp="2026-01-31T13:00:00Z",
                transactionData=samples(size), **more)


def rss(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) * 1024


def test_by_default_the_stop_of_a_long_session_is_accepted():
    g = Gateway(server_workers=1, websocket_max_message_size=None)
    g.settings.pop("websocket_max_message_size", None)
    c = Charger(g, "LONG")
    c.boot()
    id = c.start()["transactionId"]
    for size in (66000, 140000, 900000):
        c.call("StopTransaction", stop_of(id, size))
        c.call("Heartbeat")
    got = [e for e in g.events("transaction.stopped")]
    assert [len(e["payload"]["transactionData"]) for e in got] == \
        [len(samples(n)) for n in (66000, 140000, 900000)]


def test_messages_of_fifteen_mebibytes_are_handled_by_all_parts():
    s = Server("--appendonly", "no")
    try:
        port = free_port()
        g = Gateway(server_workers=1, websocket_max_message_size="16MiB", websocket_idle_timeout="120s",
                    redis_host="127.0.0.1", redis_port=s.port,
                    admin_listen="127.0.0.1:%d" % port)
        c = Charger(g, "BIG")
        c.timeout = 60 * SLOW
        c.boot()
        id = c.start()["transactionId"]
        small = rss(g.worker_pid(0))
        text = json.dumps(stop_of(id, 15 * MIB))
        assert 14 * MIB < len(text) < 16 * MIB
        c.call("StopTransaction", text)
        # A message that only lenient validation accepts may be large too.
        odd = json.dumps(dict(stop_of(id, 3 * MIB), transactionId=None, x=1))
        c.call("StopTransaction", odd)
        c.call("Heartbeat")
        r = s.client()
        stream = "ocppd:events:0"

        def shipped():
            return [e for e in r.entries(stream) if e["eventType"] == "transaction.stopped"]
        got = poll(lambda: (lambda e: e if len(e) == 2 else None)(shipped()), 60 * SLOW,
                   "both events in the stream")
        assert got[0]["payload"] == text and got[1]["payload"] == odd
        assert {"null_field", "extra_field"} & set(json.loads(got[1]["deviations"])), got[1]["deviations"]
        # The memory is released when it is no longer needed.
        poll(lambda: rss(g.worker_pid(0)) < small + 8 * MIB, 20,
             "the memory to be given back")

        r = g.run("-j", "events", "--type", "transaction.stopped")
        lines = r.stdout.splitlines()
        assert r.returncode == 0 and len(lines) == 2
        assert json.loads(lines[0])["payload"] == json.loads(text)
        h = http.client.HTTPConnection("127.0.0.1", port, timeout=60 * SLOW)
        h.request("GET", "/v1/events?type=transaction.stopped&follow=0")
        a = h.getresponse()
        body = a.read().decode()
        assert a.status == 200 and text in body and odd in body
        h.close()

        # The charge point sends a large answer.
        b = background(g.call, "BIG", "GetConfiguration", {})
        n, _, _ = c.take(60)
        keys = [{"key": "K%d" % i, "readonly": True, "value": "v" * 400} for i in range(5000)]
        c.result(n, {"configurationKey": keys})
        assert b.wait()["outcome"] == "result"
        e = g.wait_events(1, type="command.response", cp="BIG")[0]
        assert len(e["payload"]["payload"]["configurationKey"]) == 5000

        # After a restart, the gateway reads everything from the journal.
        before = len(g.events("all"))
        g.kill_everything()
        g.start()
        assert len(g.events("all")) > before
        assert g.run("journal", "check").returncode == 0
    finally:
        s.stop()


def test_a_message_of_one_byte_too_many_is_reported_with_its_id_and_the_setting():
    g = Gateway(server_workers=1, websocket_max_message_size="64KiB")
    c = Charger(g, "MUCH")
    c.boot()
    text = '[2,"id-7","StopTransaction",%s]' % json.dumps(stop_of(1, 70000))
    c.send(text)
    c.wait_closed(1009)
    e = g.wait_events(1, type="protocol.violation", cp="MUCH")[0]["payload"]
    assert e["kind"] == "too_big", e
    assert e["detail"] == "a message of %d bytes; websocket.max_message_size is 65536; message type 2, " \
        "id id-7, action StopTransaction" % len(text), e
    g.wait_log(r"warn .*MUCH: a message of %d bytes.*raise websocket.max_message_size" % len(text))


def test_slow_senders_of_large_messages_get_no_more_memory_than_the_limit():
    g = Gateway(server_workers=1, websocket_max_message_size="4MiB",
                limits_buffer_memory="16MiB", server_max_connections="100",
                websocket_idle_timeout="120s")
    pid = g.worker_pid(0)
    good = Charger(g, "GOOD")
    good.boot()
    before = rss(pid)
    slow = [Charger(g, "SLOW%d" % i) for i in range(24)]
    body = b"[2,\"1\",\"Heartbeat\",{\"x\":\"" + b"y" * (3 * MIB)
    whole = frame(TEXT, body + b"\"}]", length=None)
    closed, most = set(), 0
    for k in range(24):  # 128 KiB at a time of a message that does not end
        for i, c in enumerate(slow):
            if i in closed:
                continue
            try:
                c.raw(whole[k * 131072:(k + 1) * 131072])
            except OSError:
                closed.add(i)
        most = max(most, rss(pid) - before)
        good.call("Heartbeat")
    assert most < 32 * MIB, "%d MiB" % (most >> 20)
    poll(lambda: g.stat("closed", "buffers_full") > 0)
    assert good.call("Heartbeat") and g.worker_pid(0) == pid


if __name__ == "__main__":
    main()
