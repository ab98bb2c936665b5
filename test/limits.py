#!/usr/bin/env python3
"""Limits of unknown clients: [limits] and the deny list.

Most tests connect with a PROXY header, by which they can have any address, because the
limits do not apply to addresses of this machine."""

from lib import *
from auth import KEY, add, basic
from proxyproto import v1
from waits import Shim


def gateway(**more):
    more.setdefault("server_proxy_from", "127.0.0.1")
    return Gateway(**more)


def connect(g, identity, source, wait=True):
    """Makes a handshake. Returns the connection and the status of the response."""
    c = Charger(g, identity, open=False)
    c.raw(v1(source) + c.request())
    return c, c.response() if wait else None


def status(g, identity, source):
    c, r = connect(g, identity, source)
    if r.status == 101:
        c.close()
    c.sock.close()
    return r.status


def reasons(g):
    return g.stats("refused")["refused"]


def test_an_address_has_at_most_the_configured_connections_over_all_workers():
    g = gateway(limits_address_connections=5, server_workers=3)
    here = [connect(g, "CP%d" % i, "192.0.2.1") for i in range(5)]
    assert [r.status for _, r in here] == [101] * 5
    c, r = connect(g, "CP6", "192.0.2.1")
    assert r.status == 503 and r["Retry-After"]
    assert reasons(g)["crowded"] == 1
    assert status(g, "CP7", "192.0.2.2") == 101
    # When one connection ends, another one is accepted. A connection whose handshake has
    # not ended counts too.
    here[0][0].close()
    poll(lambda: status(g, "CP6", "192.0.2.1") == 101)
    half = [Charger(g, "H", open=False)]
    half[0].raw(v1("192.0.2.1"))
    poll(lambda: g.stat("proxied") >= 9)
    poll(lambda: status(g, "CP8", "192.0.2.1") == 503)


def test_a_network_has_at_most_the_configured_connections():
    g = gateway(limits_prefix_connections=4)
    here = [connect(g, *who) for i in range(4) for who in (
        ("F%d" % i, "192.0.2.%d" % i), ("S%d" % i, "2001:db8::%d" % i))]
    assert [r.status for _, r in here] == [101] * 8
    assert status(g, "F9", "192.0.2.9") == 503
    assert status(g, "S9", "2001:db8::9") == 503
    assert status(g, "F8", "192.0.3.9") == 101
    assert status(g, "S8", "2001:db8:0:1::9") == 101
    assert reasons(g)["crowded_prefix"] == 2


def test_the_connections_of_a_dead_worker_do_not_count():
    g = gateway(limits_address_connections=6, server_workers=2)
    here = [connect(g, "CP%d" % i, "192.0.2.1")[0] for i in range(6)]
    assert status(g, "X", "192.0.2.1") == 503
    for w in (0, 1):
        g.kill_worker(w)
        poll(lambda: all(x["state"] == "ready" for x in g.workers()))
    here = [connect(g, "N%d" % i, "192.0.2.1") for i in range(6)]
    assert [r.status for _, r in here] == [101] * 6
    assert status(g, "X", "192.0.2.1") == 503


def test_addresses_of_this_machine_are_not_limited():
    g = Gateway(limits_address_connections=1, limits_prefix_connections=1,
                limits_failure_rate=1)
    here = [Charger(g, "CP%d" % i) for i in range(5)]
    for _ in range(5):
        assert refusal(g, "CP", path="/elsewhere/CP").status == 404
    assert Charger(g, "CP9").boot()


def test_handshakes_at_the_same_time_are_limited():
    g = Gateway(limits_handshakes=3, websocket_handshake_timeout="1m",
                server_workers=1)
    # The worker accepts them in one turn: none has been silent for a second.
    worker = g.worker_pid(0)
    os.kill(worker, signal.SIGSTOP)
    half = [Charger(g, open=False) for _ in range(3)]
    c = Charger(g, "CP1", open=False)
    c.raw(c.request())
    os.kill(worker, signal.SIGCONT)
    r = c.response()
    assert r.status == 503 and r["Retry-After"]
    assert reasons(g)["handshakes_full"] == 1
    assert g.stat("handshaking") == 3
    half[0].sock.close()
    poll(lambda: g.stat("handshaking") == 2)
    assert Charger(g, "CP1").boot()


def half(g, source, text=b""):
    """A connection that sends nothing more."""
    c = Charger(g, open=False)
    c.raw(v1(source) + text)
    return c


def descriptors(g, workers):
    return sum(len(os.listdir("/proc/%d/fd" % g.worker_pid(w))) for w in range(workers))


def test_incomplete_handshakes_give_their_places_to_new_clients():
    g = gateway(limits_handshakes=60, websocket_handshake_timeout="1m", server_workers=2)
    before = descriptors(g, 2)
    # Each of these clients has sent half of its request, and is the only one at its
    # address.
    slow = [Charger(g, "SLOW%d" % i, open=False) for i in range(4)]
    for i, c in enumerate(slow):
        c.raw(v1("198.51.%d.1" % i) + c.request()[:40])
    held = [half(g, "203.0.%d.1" % (i % 5)) for i in range(56)]
    poll(lambda: g.stat("handshaking") == 60)
    # A handshake may be displaced when it has received nothing for a second.
    poll(lambda: status(g, "FIRST", "192.0.2.1") == 101)
    full = reasons(g).get("handshakes_full", 0)
    for i in range(30):
        held.append(half(g, "203.0.%d.1" % (i % 5)))
        poll(lambda: g.stat("handshaking") == 60)
        assert status(g, "NEW%d" % i, "192.0.2.%d" % i) == 101, i
    # Each new client has displaced one.
    assert reasons(g)["handshakes_full"] == full + 30, (full, reasons(g))
    assert g.stat("handshaking") == 59
    assert descriptors(g, 2) - before <= 59 + 2 * 64 + 2
    for c in slow:
        c.raw(c.request()[40:])
    assert [c.response().status for c in slow] == [101] * 4
    assert g.wait_log("limits.handshakes were in progress; the last one came from ")
    for c in held:
        c.sock.close()


def test_incomplete_handshakes_of_an_address_give_their_places_to_its_others():
    g = gateway(limits_address_connections=20, limits_prefix_connections=30,
                websocket_handshake_timeout="1m", websocket_idle_timeout="10m",
                server_workers=1)
    here = [connect(g, "CP%d" % i, "203.0.113.5")[0] for i in range(8)]
    other = half(g, "203.0.113.77")
    held = [half(g, "203.0.113.5") for _ in range(12)]
    poll(lambda: g.stat("handshaking") == 13)
    poll(lambda: status(g, "FIRST", "203.0.113.5") == 101)
    first = reasons(g)["crowded"]
    more = [connect(g, "MORE%d" % i, "203.0.113.5") for i in range(12)]
    assert [r.status for _, r in more] == [101] * 12
    assert g.stat("handshaking") == 1
    # FIRST has displaced one of the twelve.
    assert reasons(g)["crowded"] == first + 11, (first, reasons(g))
    # All places have open connections now, which are not displaced.
    assert status(g, "LAST", "203.0.113.5") == 503
    # The same for the network, whose places are 20 + 1 + 9.
    held += [half(g, "203.0.113.%d" % (200 + i)) for i in range(9)]
    poll(lambda: g.stat("handshaking") == 10)
    poll(lambda: connect(g, "N0", "203.0.113.9")[1].status == 101)
    poll(lambda: all(status(g, "N%d" % i, "203.0.113.9") == 101 for i in range(1, 4)))
    assert reasons(g)["crowded_prefix"] >= 1
    assert all(c.call("Heartbeat") for c in here)
    for c in held + [other]:
        c.sock.close()


def test_connections_are_accepted_at_a_limited_rate_and_none_is_lost():
    g = Gateway(limits_accept_rate=100, server_workers=1)
    began = time.monotonic()
    all = [Charger(g, "CP%d" % i, open=False) for i in range(80)]
    for c in all:
        c.raw(c.request())
    for c in all:
        assert c.response().status == 101
    took = time.monotonic() - began
    # A quarter of a second's connections are accepted at once, then a hundred per second.
    assert took >= 0.45, took
    assert g.stat("accepts_delayed") > 0
    assert g.stat("connections") == 80


def test_a_worker_that_starts_accepts_slowly():
    g = Gateway(limits_accept_rate=400, limits_slow_start="10m",
                server_workers=1)
    began = time.monotonic()
    for i in range(60):
        Charger(g, "CP%d" % i)
    assert time.monotonic() - began >= 0.3


def test_a_connection_that_sends_too_many_messages_is_read_slowly():
    g = Gateway(limits_message_rate=40, limits_message_burst=20,
                server_workers=1)
    c, other = Charger(g, "FAST"), Charger(g, "OTHER")
    n, seen = 100, None
    began = time.monotonic()
    sender = background(lambda: [c.put("Heartbeat", {}, "h%d" % i)
                                 for i in range(n)])
    for i in range(n):
        c.get("h%d" % i)
        if i % 10 == 0:
            assert other.call("Heartbeat")["currentTime"]
            seen = seen or g.ctl("why", "FAST")
            seen = seen if seen["slowed"] else None
    assert seen and "is read more slowly" in seen["text"], seen
    took = time.monotonic() - began
    sender.wait()
    # All messages are answered. Those of one read are answered at once and only counted
    # afterwards, so the next message has to wait.
    c.put("Heartbeat", {}, "last")
    c.get("last")
    assert time.monotonic() - began >= (n - 20) / 40 - 1.2, took
    assert g.stat("slowed") >= 1
    assert g.online("FAST") and g.online("OTHER")


def test_a_connection_that_keeps_sending_too_fast_is_closed():
    g = Gateway(limits_message_rate=5, limits_message_burst=5,
                limits_rate_patience="2s", server_workers=1)
    c = Charger(g, "FAST")
    c.auto_pong = True

    def flood():
        try:
            while True:
                c.sock.sendall(frame(TEXT, '[2,"1","Heartbeat",{}]') * 50)
                time.sleep(0.05)
        except OSError:
            pass
    background(flood)
    poll(lambda: g.stat("closed", "too_fast") == 1, timeout=20 * SLOW)
    assert not g.online("FAST")


def test_a_connection_that_sends_too_many_bytes_is_read_slowly():
    g = Gateway(limits_byte_rate="64KiB", limits_byte_burst="64KiB",
                server_workers=1)
    c = Charger(g, "FAT")
    data = "x" * 30000
    began = time.monotonic()
    for i in range(8):
        c.call("DataTransfer", {"vendorId": "V", "data": data})
    assert time.monotonic() - began >= 1.0
    assert g.stat("slowed") >= 1


def test_a_compressed_message_counts_with_all_its_bytes():
    """The work for a message depends on its length of a megabyte, not on the 2,400 bytes
    that were received."""
    from deflate import squeeze
    g = Gateway(limits_byte_rate="64KiB", limits_byte_burst="4MiB", server_workers=1)
    c = Charger(g, "DENSE", open=False)
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    # The messages are sent in one segment, so that the worker reads them together.
    dense = frame(TEXT, squeeze('[2,"x","Heartbeat",{"customData":"%s"}]' % ("x" * 1000000)), rsv=4)
    assert len(dense) < 2400, len(dense)
    c.raw(c.request(headers=offer) + dense * 100)
    assert c.response().status == 101
    other = Charger(g, "OTHER")
    poll(lambda: g.stat("slowed") == 1)
    other.call("Heartbeat")
    # The burst, and the messages that were read together with its last one.
    taken = g.stat("messages_in")
    assert taken <= 10, taken
    c.sock.close()


def test_an_identity_that_connects_too_often_waits():
    g = Gateway(limits_identity_rate=5)
    for _ in range(5):
        Charger(g, "CP1").close()
    r = refusal(g, "CP1")
    assert r.status == 429 and 1 <= int(r["Retry-After"]) <= 5, r.headers
    assert reasons(g)["flapping"] == 1
    assert Charger(g, "CP2").boot()
    assert g.stat("penalties") == 1
    # The penalty ends even if the identity continues to connect.
    def knock():
        c = Charger(g, "CP1", open=False)
        return c.handshake().status == 101
    poll(knock, timeout=10 * SLOW)
    assert g.wait_log("CP1: connected more than 5 times in a minute")


def test_an_address_that_is_refused_too_often_waits():
    g = gateway(limits_failure_rate=3)
    for _ in range(3):
        c = Charger(g, open=False)
        c.raw(v1("192.0.2.1") + b"GET /nowhere HTTP/1.0\r\n\r\n")
        assert c.response().status == 505
    assert status(g, "CP1", "192.0.2.1") == 101  # the limit is reached, not exceeded
    c = Charger(g, open=False)
    c.raw(v1("192.0.2.1") + b"nonsense\r\n\r\n")
    assert c.response().status == 400
    # Connections that would be refused anyway now get 429; a valid handshake is accepted.
    c = Charger(g, open=False)
    c.raw(v1("192.0.2.1") + b"nonsense\r\n\r\n")
    r = c.response()
    assert r.status == 429 and 1 <= int(r["Retry-After"]) <= 5, r.headers
    assert status(g, "CP1", "192.0.2.1") == 101
    assert status(g, "CP1", "192.0.2.2") == 101
    assert reasons(g)["failing"] == 1
    [got] = [r for r in g.tell("refused") if r["reason"] == "failing"]
    assert "not an HTTP/1.1 request" in got["detail"], got
    code, body = g.ask("health")
    assert code == 200 and "limits.failure_rate" in body, body


def test_other_charge_points_at_the_address_of_one_that_fails_are_accepted():
    g = gateway(auth_mode="file", limits_failure_rate=10)
    add(g, "GOOD", KEY)
    add(g, "BAD", KEY)
    key = bytes.fromhex(KEY)

    def attempt(identity, key, source="203.0.113.5"):
        c = Charger(g, identity, open=False)
        c.raw(v1(source) + c.request(headers=basic(identity, key)))
        r = c.response()
        c.sock.close()
        return r.status
    assert [attempt("BAD", b"wrong") for _ in range(11)] == [401] * 11
    assert attempt("BAD", b"wrong") == 429
    assert attempt("UNKNOWN", b"wrong") == 429  # 404 would show that it is unknown
    why = g.run("why", "BAD").stdout
    assert "Its address was refused too often" in why, why
    assert g.ctl("why", "BAD")["addressPenaltySeconds"] > 0
    assert attempt("GOOD", key) == 101
    # From that address the key of an identity can no longer be guessed, because a right
    # key is refused too. From another address the charge point is accepted.
    assert attempt("BAD", key) == 429
    assert attempt("BAD", key, "198.51.100.1") == 101


def test_all_ipv6_addresses_of_a_64_count_as_one_address():
    g = gateway(auth_mode="file", limits_failure_rate=10,
                limits_address_connections=4)
    add(g, "CP1", KEY)

    def attempt(source, key):
        c = Charger(g, "CP1", open=False)
        c.raw(v1(source) + c.request(headers=basic("CP1", key)))
        r = c.response()
        c.sock.close()
        return r.status
    seen = [attempt("2001:db8:2:2::%x" % (i + 1), b"guess %d" % i)
            for i in range(200)]
    assert seen == [401] * 11 + [429] * 189, seen
    assert attempt("2001:db8:2:2:ffff::1", bytes.fromhex(KEY)) == 429
    assert attempt("2001:db8:2:3::1", bytes.fromhex(KEY)) == 101
    g = gateway(limits_address_connections=4)
    here = [connect(g, "S%d" % i, "2001:db8::%d" % i) for i in range(4)]
    assert status(g, "S9", "2001:db8::9") == 503
    assert status(g, "S9", "2001:db8:0:1::9") == 101


def test_refused_connections_hold_few_descriptors():
    g = gateway(server_workers=1, limits_address_connections=20,
                websocket_close_timeout="1m", websocket_handshake_timeout="1m")
    before = len(os.listdir("/proc/%d/fd" % g.worker_pid(0)))
    # These clients do not close their connections, and send nothing after the PROXY header.
    all = []
    for i in range(600):
        s = socket.create_connection(("127.0.0.1", g.port))
        s.sendall(v1("203.0.113.9"))
        all.append(s)
        if i % 100 == 0:
            assert status(g, "HONEST", "198.51.100.7") == 101
    poll(lambda: reasons(g).get("crowded", 0) >= 580)
    held = len(os.listdir("/proc/%d/fd" % g.worker_pid(0))) - before
    assert held <= 20 + 64 + 2, held
    assert g.stat("handshaking") == 20 and g.stat("closing") <= 64
    assert status(g, "HONEST", "198.51.100.7") == 101
    # The last connections are ended too, although close_timeout is long.
    poll(lambda: g.stat("closing") == 0)
    for s in all:
        s.close()


def test_many_refusals_in_one_turn_of_the_loop_hold_few_descriptors():
    shim = Shim()
    g = gateway(server_workers=1, limits_address_connections=20,
                websocket_handshake_timeout="1m", env=shim.env)
    pid = g.worker_pid(0)
    before = len(os.listdir("/proc/%d/fd" % pid))
    all = [socket.create_connection(("127.0.0.1", g.port)) for _ in range(220)]
    poll(lambda: g.stat("handshaking") == 220, what="acceptance of all connections")
    # The worker reads all requests in the same turn. It is stopped in the middle of this
    # turn, while it refuses the last 72.
    os.kill(pid, signal.SIGSTOP)
    for s in all:
        s.sendall(v1("203.0.113.9"))
    shim.stop_before("HTTP/1.1 503", 190)
    os.kill(pid, signal.SIGCONT)
    poll(lambda: shim.sender() == pid, what="the 191st refusal")
    held = len(os.listdir("/proc/%d/fd" % pid)) - before
    shim.resume()
    # 20 connections are accepted, 9 are not refused yet, and 64 refused ones may stay open
    # until their client has read the response.
    assert held <= 20 + 9 + 64 + 2, held
    poll(lambda: g.stat("closing") == 0)
    assert len(os.listdir("/proc/%d/fd" % pid)) - before <= 20 + 2
    for s in all:
        s.close()


def test_half_open_connections_do_not_prevent_new_ones_from_their_address():
    g = gateway(limits_address_connections=30, server_workers=2,
                websocket_idle_timeout="10m")
    lost = [connect(g, "CP%d" % i, "203.0.113.5")[0] for i in range(30)]
    assert status(g, "MORE", "203.0.113.5") == 503
    # All clients have lost their connections, and the gateway cannot detect it.
    back = [connect(g, "CP%d" % i, "203.0.113.5") for i in range(30)]
    assert [r.status for _, r in back] == [101] * 30
    for c in lost:
        c.wait_closed(1008)
    assert status(g, "MORE", "203.0.113.5") == 503
    assert reasons(g)["crowded"] == 2
    # A connection of the identity from another address does not count here.
    assert status(g, "CP1", "203.0.113.6") == 101
    poll(lambda: g.stat("connections") == 29 and g.stat("closing") == 0)
    assert status(g, "CP1", "203.0.113.5") == 101


def test_reached_limits_are_shown_by_health_and_logged():
    g = gateway(limits_address_connections=2)
    here = [connect(g, "CP%d" % i, "192.0.2.1") for i in range(2)]
    assert g.ask("health")[0] == 200
    for i in range(50):
        assert status(g, "X%d" % i, "192.0.2.1") == 503
    code, body = g.ask("health")
    assert code == 220 and "limits.address_connections" in body, body
    assert "50 since the start" in body, body
    lines = re.findall("handshakes refused: .*limits.address_connections; the "
                       "last one came from 192.0.2.1:", g.log())
    assert 1 <= len(lines) <= 2, lines  # each worker logs one line in a minute


def test_many_invalid_names_do_not_prevent_valid_ones():
    g = Gateway(server_workers=1, server_max_connections="400",
                server_max_identities="400")
    for i in range(600):
        c = Charger(g, "FLOOD%d" % i)
        c.close()
        poll(lambda: g.stat("connections") == 0)
    assert reasons(g).get("identities_full", 0) == 0
    # To find a free entry, the registry reads a few entries (about 45), not all.
    poll(lambda: g.stat("registry_steps") > 0)
    assert g.stat("registry_steps") <= 600 * 100, g.stat("registry_steps")


def test_messages_queued_while_offline_are_all_accepted_even_if_it_takes_long():
    g = Gateway(limits_message_rate=50, limits_message_burst=1,
                server_workers=1)
    c = Charger(g, "BACK")
    c.raw(b"".join(frame(TEXT, '[2,"q%d","Heartbeat",{}]' % i)
                   for i in range(200)))
    for i in range(200):
        c.get("q%d" % i, timeout=20 * SLOW)
    assert g.stat("slowed") >= 1 and g.stat("closed", "too_fast") == 0


def test_incomplete_frames_do_not_exhaust_the_memory():
    g = Gateway(limits_buffer_memory="8MiB", server_workers=1,
                websocket_idle_timeout="1m")
    good = Charger(g, "GOOD")
    # 120 times 100 KiB is more than the limit allows.
    half = [Charger(g, "CP%d" % i) for i in range(120)]
    for c in half:
        try:
            c.raw(frame(TEXT, "x" * 200000)[:100000])
        except OSError:
            pass                # the gateway has closed the connection
    poll(lambda: g.stat("leases") <= 100 and
         g.stat("closed", "buffers_full") > 0, timeout=15 * SLOW)
    assert good.call("Heartbeat")["currentTime"]
    assert g.wait_log("of the 8 MiB of limits.buffer_memory")


# --- output on a terminal --------------------------------------------------------

def test_control_characters_of_payloads_are_escaped_on_a_terminal():
    g = Gateway(server_workers=1)
    c = Charger(g, "C1")
    c.boot()
    evil = "\u009b2J\u009d0;owned\u009c\x7f\u202egnp\u2066"
    tap = subprocess.Popen([OCPPCTL, "-s", g.control, "tap", "C1"],
                           stdout=subprocess.PIPE)
    poll(lambda: g.stat("commands_pending") == 0 and "C1" in g.log())

    def seen(raw):
        text = raw.decode()
        assert not [x for x in text if ord(x) in range(0x7f, 0xa0) or
                    x in "\u202e\u2066" or x < " " and x not in "\n\t"], text
        return text
    # The tap is active as soon as it prints a frame.
    def shown():
        c.call("DataTransfer", {"vendorId": "v", "data": "PROBE"})
        return select.select([tap.stdout], [], [], 0.05)[0]
    poll(shown)
    c.send('[2,"e1","DataTransfer",{"vendorId":"v","data":"%s"}]' % evil)
    c.get("e1")
    out = b""
    while b"owned" not in out:
        out += os.read(tap.stdout.fileno(), 65536)
    tap.terminate()
    tap.wait()
    assert "\\u009b2J" in seen(out)
    g.wait_events(cp="C1", type="data_transfer.received")

    def event():
        r = subprocess.run([OCPPCTL, "-s", g.control, "events", "--type",
                            "data_transfer.received"], stdout=subprocess.PIPE)
        return [json.loads(l) for l in seen(r.stdout).splitlines()
                if "owned" in l]
    [e] = poll(event)
    assert e["payload"]["data"] == evil      # the text is unchanged in JSON
    for words in ((), ("-j",)):
        h = background(lambda: subprocess.run(
            [OCPPCTL, "-s", g.control, *words, "call", "C1", "DataTransfer",
             '{"vendorId":"v"}'], stdout=subprocess.PIPE))
        id, _, _ = c.take()[:3]
        c.result(id, '{"status":"Accepted","data":"%s"}' % evil)
        text = seen(h.wait().stdout)
        assert "owned" in text, text
    assert json.loads(text)["payload"]["data"] == evil


# --- the deny list -------------------------------------------------------------

def test_a_denied_charge_point_is_closed_and_refused_until_allowed():
    g = gateway()
    a, r = connect(g, "CP1", "192.0.2.1")
    b, r = connect(g, "CP2", "192.0.3.1")
    c, r = connect(g, "CP 3", "192.0.3.2")
    assert g.ask("deny", "add", "address", "192.0.2.0/24")[0] == 200
    assert g.ask("deny", "add", "identity", "CP 3")[0] == 200
    a.wait_closed(1008)
    c.wait_closed(1008)
    assert b.call("Heartbeat")
    assert status(g, "CP1", "192.0.2.99") == 403
    assert status(g, "CP 3", "192.0.3.2") == 403
    assert {(e["kind"], e["what"]) for e in g.tell("deny", "list")} == {
        ("address", "192.0.2.0/24"), ("identity", "CP 3")}
    assert g.ask("deny", "remove", "address", "192.0.2.0/24")[0] == 200
    assert g.ask("deny", "remove", "identity", "CP 3")[0] == 200
    assert g.ask("deny", "remove", "identity", "CP 3")[0] == 404
    poll(lambda: status(g, "CP1", "192.0.2.99") == 101)
    poll(lambda: status(g, "CP 3", "192.0.3.2") == 101)
    assert g.stat("closed", "denied") == 2


def test_a_handshake_waits_until_the_worker_has_the_newest_deny_list():
    """The worker gets the handshakes and the notice of the new list in the same turn."""
    g = gateway(server_workers=1)
    worker = g.worker_pid(0)
    names = ["CP%d" % i for i in range(20)]
    os.kill(worker, signal.SIGSTOP)
    for name in names:
        assert g.ask("deny", "add", "identity", name)[0] == 200
    here = [connect(g, name, "192.0.2.1", wait=False)[0] for name in names + ["OTHER"]]
    os.kill(worker, signal.SIGCONT)
    assert [c.response().status for c in here] == [403] * 20 + [101]


def test_the_deny_list_is_a_file_that_a_reload_reads():
    g = gateway(server_workers=1)
    assert g.ask("deny", "add", "identity", "CP1")[0] == 200
    assert status(g, "CP1", "192.0.2.1") == 403      # the worker has read it
    path = g.state_dir + "/deny"
    with open(path, "a") as f:
        f.write("identity CP2 # by hand\n")
    assert status(g, "CP2", "192.0.2.1") == 101
    assert g.ask("reload")[0] == 200
    poll(lambda: status(g, "CP2", "192.0.2.1") == 403)
    with open(path, "a") as f:
        f.write("address 300.1.2.3\n")
    code, body = g.ask("reload")
    assert code == 500 and "%s:4: the entry is not an address" % path in body, body
    assert g.ask("deny", "add", "address", "nonsense")[0] == 400
    assert g.ask("deny", "add", "moon", "x")[0] == 400
    # A file that was deleted does not remove the entries.
    os.unlink(path)
    for words in (("reload",), ("deny", "add", "identity", "CP3"), ("deny", "list"),
                  ("deny", "remove", "identity", "CP2")):
        code, body = g.ask(*words)
        assert code == 500 and "deny does not exist any more" in body, (words, body)
    assert status(g, "CP1", "192.0.2.1") == 403
    open(path, "w").close()
    assert g.ask("reload")[0] == 200
    poll(lambda: status(g, "CP1", "192.0.2.1") == 101)
    with open(path, "w") as f:
        f.write("address 300.1.2.3\n")
    g.stop()
    g.start(wait=False)
    assert g.wait_exit() != 0  # the next start fails too


def test_the_deny_list_is_still_valid_after_a_restart():
    g = gateway()
    g.ask("deny", "add", "identity", "CP1")
    g.stop()
    g.start()
    assert status(g, "CP1", "192.0.2.1") == 403


if __name__ == "__main__":
    main()
