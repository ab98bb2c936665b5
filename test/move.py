#!/usr/bin/python3
"""A connection moves from one worker process to another: it is not closed, and no message
is lost or doubled.

Each test restarts a worker while its connections are busy in some way, and checks that the
move has no effect for the charge point, the operator and the journal."""

import contextlib
import ssl

from disk import Disk, held, unanswered
from answers import answer
from redis_fleet import (events, gateway as redis_gateway, held_by, order,
                         outcome, redis, session, tidy, wait_event)
from waits import Shim
from workers import successor
from tls import At, TlsCharger, authority, client, gateway as tls_gateway
from lib import *

HEARTBEAT = '[2,"%s","Heartbeat",{}]'


def restart(g, n=0, lost=0):
    """Starts a successor of worker n. Returns when it has all connections."""
    old, log = g.worker_pid(n), len(g.log())
    g.ctl("worker-restart", str(n), json_=False)
    for words in ("took over .* lost %d$" % lost, "after the hand-over$"):
        poll(lambda: re.search(r"master: worker %d: .*%s" % (n, words),
                               g.log()[log:], re.M), what=words)
    return old


def one(**settings):
    settings.setdefault("server_workers", "1")
    return Gateway(**settings)


def live(g, cp="CP1"):
    """Returns the record of the connection from its worker."""
    return g.show(cp)["connection"]


def undisturbed(g, n=1):
    """Checks that no session has begun or ended except the n open ones."""
    assert not g.events("charge_point.disconnected")
    assert len(g.events("charge_point.connected")) == n
    assert g.stat("connections") == n


def test_a_quiet_connection_moves_with_its_whole_record():
    g = one()
    c = Charger(g, "CP1")
    c.boot()
    for i in range(5):
        c.call("Heartbeat")
    before = g.show("CP1")
    restart(g)
    after = g.show("CP1")
    for key in ("generation", "worker", "address", "since", "booted",
                "connections", "lastAction"):
        assert before[key] == after[key], (key, before, after)
    before, after = before["connection"], after["connection"]
    for key in ("generation", "protocol", "messagesIn", "messagesOut", "boot",
                "unanswered", "quiet"):
        assert before[key] == after[key], (key, before, after)
    assert after["connectedMs"] >= before["connectedMs"]
    c.call("Heartbeat")
    undisturbed(g)
    assert g.stat("moved") == 1
    # The successor pings the connection, which stays open for longer than idle_timeout.
    n = len(c.pings)
    c.silence(3.0)
    assert len(c.pings) > n, "no ping after the move"
    c.close()
    e = g.wait_events(1, type="charge_point.disconnected")[0]
    assert e["payload"]["reason"] == "peer_closed"
    assert e["payload"]["messagesIn"] >= 7
    assert e["payload"]["durationMs"] >= 3000


def test_ten_moves_in_a_row_under_traffic_lose_no_message():
    g = one()
    chargers = [Charger(g, "CP%d" % i) for i in range(20)]
    for c in chargers:
        c.boot()
    stop = []

    def talk(c):
        n = 0
        while not stop:
            t = c.start(tag="T%d" % n)
            c.call("Heartbeat")
            c.stop(t)
            n += 1
        return n
    handles = [background(talk, c) for c in chargers]
    for i in range(10):
        restart(g)
    stop.append(1)
    total = sum(h.wait() for h in handles)
    assert total > 0
    starts = g.wait_events(total, type="transaction.started")
    ids = [e["answer"]["transactionId"] for e in starts]
    twice = [e.raw for e in starts if ids.count(e["answer"]["transactionId"]) > 1]
    assert not twice, twice
    assert len(starts) == total, (len(starts), total)
    undisturbed(g, 20)


def test_half_a_frame_and_the_fragments_of_a_message_move():
    g = one()
    c = Charger(g, "CP1")
    c.boot()
    text = HEARTBEAT % "half"
    big = json.dumps([2, "big", "DataTransfer",
                      {"vendorId": "V", "data": "\u00e9\u20ac" * 9000}],
                     ensure_ascii=False)
    for i, (message, cuts) in enumerate(
            [(text, (1, 2, 5, 6, 7, 20)), (big, (3, 8, 9, 10, 5001, 40000))]):
        f = frame(TEXT, message)
        for cut in cuts:
            c.raw(f[:cut])
            poll(lambda: live(g)["quiet"] is False, what="half a frame")
            restart(g)
            c.raw(f[cut:])
            assert c.get("half" if i == 0 else "big")
    # Two complete fragments, a ping, and half of the last fragment are sent.
    data = (HEARTBEAT % "parts").encode()
    last = frame(0, data[12:])
    c.raw(frame(TEXT, data[:5], fin=False))
    restart(g)
    c.raw(frame(0, data[5:12], fin=False) + frame(9, b"are you there"))
    poll(lambda: c.pongs or not c.silence(0.05))
    restart(g)
    c.raw(last[:9])
    restart(g)
    c.raw(last[9:])
    assert c.get("parts")
    # Half a control frame within a message is sent.
    ping = frame(9, b"half")
    c.raw(frame(TEXT, data[:5], fin=False) + ping[:4])
    restart(g)
    c.raw(ping[4:] + frame(0, data[5:]))
    assert c.get("parts")
    undisturbed(g)


def test_the_largest_message_and_the_largest_output_move():
    g = one(websocket_max_message_size="16MiB",
            websocket_max_output_size="16MiB", websocket_idle_timeout="60s")
    c = Charger(g, "CP1", timeout=60 * SLOW)
    c.boot()
    text = json.dumps([2, "big", "DataTransfer",
                       {"vendorId": "V", "data": "\u20ac" * 4000000}],
                      ensure_ascii=False)
    f = frame(TEXT, text)
    n = g.stat("bytes_in")
    c.raw(f[:11000000])
    poll(lambda: g.stat("bytes_in") == n + 11000000, 60 * SLOW)
    restart(g)
    c.raw(f[11000000:])
    assert c.get("big")
    undisturbed(g)


def test_text_that_is_not_utf8_is_detected_over_a_move():
    g = one()
    c = Charger(g, "CP1")
    bad = '[2,"x","Heartbeat",{}] \u20ac'.encode()[:-1] + b"x"
    f = frame(TEXT, bad)
    c.raw(f[:-1])  # the first part ends within a character
    poll(lambda: live(g)["quiet"] is False, what="half a frame")
    restart(g)
    c.raw(f[-1:])
    c.wait_closed(1007)


def test_output_that_the_charge_point_does_not_read_moves():
    g = one(websocket_max_output_size="4MiB")
    c = Charger(g, "CP1", rcvbuf=4096)
    c.boot()
    n = 0
    while live(g)["outputBytes"] == 0:
        c.raw(b"".join(frame(TEXT, '[2,"a%d","Unheard%s",{}]' %
                             (n + i, "of" * 300)) for i in range(500)))
        n += 500
        assert n < 50000
    restart(g)
    assert live(g)["outputBytes"] > 0
    restart(g)
    for i in range(n):
        m = json.loads(c.message())
        assert m[1] == "a%d" % i, (i, m)
    c.call("Heartbeat")
    undisturbed(g)


def test_answers_that_wait_for_their_commit_move():
    g = one(journal_commit_interval="500ms")
    c = Charger(g, "CP1")
    c.boot()
    for round in range(3):
        for i in range(40):  # after fewer than these the gateway stops reading
            c.put("StatusNotification",
                  {"connectorId": 1, "errorCode": "NoError",
                   "status": "Available"}, id="s%d" % i)
        restart(g)
        for i in range(40):
            c.get("s%d" % i)
    undisturbed(g)


def test_a_call_in_flight_and_those_that_wait_move():
    g = one(ocpp_message_timeout="20s")
    c = Charger(g, "CP1")
    c.boot()
    first = background(g.call, "CP1", "Reset", {"type": "Soft"})
    id, action, payload = c.take()
    second = background(g.call, "CP1", "ClearCache", {})
    poll(lambda: live(g)["commandsPending"] == 2)
    restart(g)
    assert live(g)["commandsPending"] == 2
    c.silence(0.3)  # still only one is in flight
    c.result(id, {"status": "Accepted"})
    restart(g)
    id2, action2, _ = c.take()
    assert action2 == "ClearCache"
    restart(g)
    c.result(id2, {"status": "Accepted"})
    for h in (first, second):
        r = h.wait()
        assert "Accepted" in str(r), r
    e = g.wait_events(2, type="command.response")
    assert [x["payload"]["outcome"] for x in e] == ["result", "result"]
    assert len(g.events("command.sent")) == 2
    undisturbed(g)


def test_the_deadline_of_a_call_moves():
    # Deadlines are checked once a second; this one must not be in the same second as
    # idle_timeout.
    g = one(ocpp_message_timeout="3s", websocket_idle_timeout="60s")
    c = Charger(g, "CP1")
    c.boot()
    began = time.monotonic()
    h = background(g.run, "call", "CP1", "Reset", '{"type":"Soft"}')
    c.take()
    for _ in range(4):
        restart(g)
        time.sleep(0.1)
    h.wait()
    assert 2.5 < time.monotonic() - began < 3 + 3 * SLOW
    e = g.wait_events(1, type="command.response")
    assert [x["payload"]["outcome"] for x in e] == ["timeout"]
    undisturbed(g)


@contextlib.contextmanager
def commands(g, chargers):
    """Sends commands to each charge point, one after the other, and checks that the one
    outcome of each command is the result."""
    stop, over = [], []

    def serve(c):
        while not over:
            try:
                id, _, _ = c.take(timeout=0.5)
            except TimeoutError:
                continue
            c.result(id, {"status": "Accepted"})

    def command(c):
        n = 0
        while not stop:
            r = g.call(c.identity, "ClearCache", {})
            assert "Accepted" in str(r), r
            n += 1
        return n
    servers = [background(serve, c) for c in chargers]
    users = [background(command, c) for c in chargers]
    try:
        yield
    finally:
        stop.append(1)
    try:
        total = sum(u.wait() for u in users)
    finally:  # the last commands are answered
        over.append(1)
    for s in servers:
        s.wait()
    e = g.wait_events(total, type="command.response")
    assert len(e) == total > 0
    assert {x["payload"]["outcome"] for x in e} == {"result"}
    ids = [x["payload"]["commandId"] for x in e]
    assert len(set(ids)) == len(ids)


def test_commands_that_arrive_while_the_slot_moves_have_one_outcome():
    g = one(ocpp_message_timeout="30s")
    chargers = [Charger(g, "CP%d" % i) for i in range(8)]
    for c in chargers:
        c.boot()
    with commands(g, chargers):
        for _ in range(8):
            restart(g)
    undisturbed(g, 8)


def test_a_connection_that_is_slowed_down_stays_slowed_down():
    g = one(limits_message_rate=20, limits_message_burst=5,
            websocket_idle_timeout="60s")
    c = Charger(g, "CP1")
    c.boot()
    for i in range(60):
        c.put("Heartbeat", {}, id="h%d" % i)
    poll(lambda: g.stat("slowed") >= 1)
    for _ in range(3):
        restart(g)
    began = time.monotonic()
    for i in range(60):
        c.get("h%d" % i)
    assert time.monotonic() - began > 0.5, "after the move the connection is not slowed down"
    undisturbed(g)


def test_an_incomplete_opening_handshake_moves():
    g = one(websocket_handshake_timeout="20s", server_proxy_from="127.0.0.1")
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n"
    whole = header + (
        "GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n").encode()
    for cut in (0, 5, len(header), len(header) + 30, len(whole) - 2):
        c = Charger(g, "CP1", open=False)
        poll(lambda: g.stat("handshaking") == 1)
        if cut:
            n = g.stat("bytes_in")
            c.raw(whole[:cut])
            poll(lambda: g.stat("bytes_in") == n + cut)
        restart(g)
        assert g.stat("handshaking") == 1
        c.raw(whole[cut:])
        assert c.response().status == 101
        c.call("Heartbeat")
        assert g.show("CP1")["address"] == "192.0.2.7:5555"
        c.close()
        poll(lambda: not g.online("CP1"))


def test_tls_connections_move():
    g = tls_gateway(server_workers="1")
    chargers = []
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256",
                      "ECDHE-ECDSA-AES256-GCM-SHA384",
                      "ECDHE-ECDSA-CHACHA20-POLY1305"):
            if version == ssl.TLSVersion.TLSv1_3 and "128" not in suite:
                continue
            c = TlsCharger(g, "CP%d" % len(chargers), client(version, suite))
            c.boot()
            chargers.append(c)
    plain = Charger(g, "PLAIN")
    plain.boot()
    stop = []

    def talk(c):
        n = 0
        while not stop:
            c.call("Heartbeat")
            c.stop(c.start(tag="T%d" % n))
            n += 1
        return n
    handles = [background(talk, c) for c in chargers]
    for _ in range(6):
        restart(g)
    stop.append(1)
    for h in handles:
        assert h.wait() > 0
    undisturbed(g, len(chargers) + 1)


class Cut:
    """A relay between a TLS client and the gateway. It forwards the client's records up to a
    given byte, and the rest later."""

    def __init__(self, port):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.port = self.listener.getsockname()[1]
        self.held, self.hold, self.up = b"", None, port
        background(self.run)

    def run(self):
        a, _ = self.listener.accept()
        b = socket.create_connection(("127.0.0.1", self.up))
        self.gateway = b
        background(self.pump_down, a, b)
        while True:
            data = a.recv(65536)
            if not data:
                return b.close()
            if self.hold is not None:
                n = self.hold
                b.sendall(data[:n])
                self.held, self.hold = data[n:], None
            else:
                b.sendall(data)

    def pump_down(self, a, b):
        while True:
            data = b.recv(65536)
            if not data:
                return a.close()
            a.sendall(data)

    def release(self):
        self.gateway.sendall(self.held)


def test_half_a_tls_record_moves():
    g = tls_gateway(server_workers="1")
    cut = Cut(g.tls_port)
    class Through(At):
        def __init__(self, g):
            self.g, self.port = g, cut.port
    c = Charger(Through(g), "CP1", open=False)
    c.sock = client().wrap_socket(c.sock, server_hostname="localhost")
    assert c.handshake().status == 101
    c.boot()
    for n in (1, 4, 5, 6, 30):
        cut.hold = n
        c.put("Heartbeat", {}, id="r%d" % n)
        poll(lambda: cut.held)
        poll(lambda: live(g)["quiet"] is False)
        restart(g)
        cut.release()
        cut.held = b""
        c.get("r%d" % n)
    undisturbed(g)


def test_tls_handshakes_move_or_end_before_the_move():
    g = tls_gateway(server_workers="1", tls_handshake_timeout="20s")
    # A part of the ClientHello has been received: the handshake has not begun, so the
    # connection moves.
    cut = Cut(g.tls_port)
    cut.hold = 3
    class Through(At):
        def __init__(self, g):
            self.g, self.port = g, cut.port
    c = Charger(Through(g), "CP1", open=False)
    wrapped = background(lambda: client().wrap_socket(
        c.sock, server_hostname="localhost"))
    poll(lambda: cut.held)
    restart(g)
    cut.release()
    c.sock = wrapped.wait()
    # The TLS handshake has ended, and half of the request has been received.
    c.raw(b"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\nUpgr")
    poll(lambda: g.stat("bytes_in") > 500)
    restart(g)
    c.raw(b"ade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
          b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
          b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n")
    assert c.response().status == 101
    c.boot()
    undisturbed(g)


def test_a_connection_with_a_client_certificate_moves_before_its_boot():
    a = authority()
    g = tls_gateway(server_workers="1", tls_client_ca=a.ca,
                    tls_client="required", tls_client_name="serial")
    c = TlsCharger(g, "STATION", client(certificate=a.path("cp1")))
    restart(g)
    p = {"chargePointVendor": "V", "chargePointModel": "M"}
    assert c.call("BootNotification", dict(p, chargePointSerialNumber="CP1"))
    d = TlsCharger(g, "STATION2", client(certificate=a.path("cp1")))
    restart(g)
    d.put("BootNotification", dict(p, chargePointSerialNumber="CP9"))
    d.wait_closed(1008)
    c.call("Heartbeat")


def test_connections_of_ocpp_2_move():
    g = one(ocpp_versions="ocpp2.1 ocpp2.0.1 ocpp1.6")
    for version in ("ocpp2.0.1", "ocpp2.1"):
        c = Charger(g, version, protocols=version)
        c.call("BootNotification", {"reason": "PowerUp", "chargingStation": {
            "model": "M", "vendorName": "V"}})
        restart(g)
        assert c.call("Heartbeat")["currentTime"]
        h = background(g.call, version, "ClearCache", {})
        id, _, _ = c.take()
        restart(g)
        c.result(id, {"status": "Accepted"})
        assert "Accepted" in str(h.wait())
        c.close()
        poll(lambda: not g.online(version))
    e = g.wait_events(2, type="charge_point.disconnected")
    assert [x["protocol"] for x in e] == ["ocpp2.0.1", "ocpp2.1"]


def test_the_list_of_messages_that_a_pending_charge_point_may_send_moves():
    from ocpp2 import BOTH, Station
    g = one(answers_BootNotification="pending")
    for version in BOTH:
        c = Station(g, "PENDING" + version, version)
        c.boot()
        for word in ("Heartbeat", "StatusNotification"):
            r = background(g.call, c.identity, "TriggerMessage", {"requestedMessage": word})
            c.result(c.take()[0], {"status": "Accepted"})
            assert r.wait()["outcome"] == "result"
        restart(g)
        assert c.call("Heartbeat")["currentTime"]
        status = {"timestamp": "2026-01-31T12:00:00Z", "connectorStatus": "Available",
                  "evseId": 1, "connectorId": 1}
        assert c.call("StatusNotification", status) == {}
        assert c.refused("LogStatusNotification", {"status": "Idle"}).code == "SecurityError"
        c.close()
    g.close()


def test_a_charge_point_may_reconnect_while_its_slot_moves():
    g = one()
    stop = []

    def come_and_go(name):
        n = 0
        while not stop:
            c = Charger(g, name)
            c.boot()
            n += 1
        return n
    handles = [background(come_and_go, "CP%d" % i) for i in range(4)]
    for _ in range(8):
        restart(g)
    stop.append(1)
    total = sum(h.wait() for h in handles)
    assert total >= 8
    for i in range(4):
        name = "CP%d" % i
        c = g.wait_events(1, type="charge_point.connected", cp=name)
        poll(lambda: len(g.events("charge_point.disconnected", cp=name)) ==
             len(g.events("charge_point.connected", cp=name)) - 1 or
             not g.online(name), what="the end of each session")
        began = [e["generation"] for e in g.events("charge_point.connected", cp=name)]
        ended = [e["generation"] for e in g.events("charge_point.disconnected", cp=name)]
        assert len(set(began)) == len(began)
        assert len(set(ended)) == len(ended), "a session ended twice"
        assert set(ended) <= set(began)


def test_a_connection_does_not_move_while_its_journal_waits_for_the_disk():
    with Disk() as disk:
        g = one(server_state_dir=disk.dir + "/state", journal_stall_time="60s")
        c = Charger(g, "CP1")
        c.boot()
        disk.fill()
        id = held(c)
        unanswered(c, id)
        pid = g.worker_pid(0)
        g.ctl("worker-restart", "0", json_=False)
        g.wait_log("its successor does not take over")
        assert g.worker_pid(0) == pid
        poll(lambda: g.workers()[0]["state"] == "ready")
        disk.free()
        assert c.get(id, 30 * SLOW)
        c.call("Heartbeat")
        restart(g)
        c.call("Heartbeat")
        assert not g.events("charge_point.disconnected")


@tidy
def test_messages_that_wait_for_redis_and_the_platform_move():
    s = redis()
    r = s.client()
    g = redis_gateway(s, "a", answers_DataTransfer="platform",
                      answers_StartTransaction="platform",
                      ocpp_message_timeout="30s")
    c = Charger(g, "CP1")
    c.boot()
    before = held_by(r, "CP1", "a")
    # The platform is asked before the move, and its answer comes after it.
    c.put("DataTransfer", {"vendorId": "V"}, id="q1")
    e = wait_event(r, "CP1", "answer.requested")[0]
    restart(g)
    assert answer(r, e, {"status": "Accepted", "data": "late"}) == "taken"
    assert c.get("q1") == {"status": "Accepted", "data": "late"}
    # The platform is asked about a StartTransaction, which is sent again after the move.
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0,
             "timestamp": "2026-01-31T12:00:00Z"}
    c.put("StartTransaction", start, id="s1")
    e = wait_event(r, "CP1", "answer.requested", 2)[1]
    restart(g)
    c.put("StartTransaction", start, id="s2")
    c.silence(0.2)
    want = {"transactionId": 77, "idTagInfo": {"status": "Accepted"}}
    assert answer(r, e, want) == "taken"
    assert c.get("s2") == want
    assert len(events(r, "CP1", "answer.requested")) == 2
    # A command of the queue is in flight, and another one waits.
    order(r, "CP1", commandId="o1")
    id, action, _ = c.take()
    order(r, "CP1", "ClearCache", "{}", commandId="o2")
    restart(g)
    poll(lambda: g.stat("sessions_unclaimed") == 0)
    c.silence(0.3)
    c.result(id, {"status": "Accepted"})
    restart(g)
    id, action, _ = c.take()
    assert action == "ClearCache"
    c.result(id, {"status": "Accepted"})
    assert outcome(r, "CP1", "o1") == "result"
    assert outcome(r, "CP1", "o2") == "result"
    after = session(r, "CP1")
    assert after["epoch"] == before["epoch"], (before, after)
    assert g.stat("claims_stale") == 0
    assert len(events(r, "CP1", "charge_point.connected")) == 1
    assert not events(r, "CP1", "charge_point.disconnected")
    c.close()
    poll(lambda: session(r, "CP1")["state"] == "offline")


@tidy
def test_commands_of_the_queue_end_once_if_redis_is_away_while_the_slot_moves():
    s = redis()
    r = s.client()
    g = redis_gateway(s, "a", ocpp_message_timeout="30s")
    chargers = [Charger(g, "CP%d" % i) for i in range(6)]
    for c in chargers:
        c.boot()
        held_by(r, c.identity, "a")
    stop = []

    def serve(c):
        while not stop:
            try:
                id, _, _ = c.take(timeout=0.5)
            except TimeoutError:
                continue
            c.result(id, {"status": "Accepted"})
    servers = [background(serve, c) for c in chargers]
    names = []
    for n in range(6):
        for c in chargers:
            for k in range(3):
                names.append((c.identity, "n%d-%d-%s" % (n, k, c.identity)))
                order(r, c.identity, "ClearCache", "{}", commandId=names[-1][1])
        restart(g)
    left = Charger(g, "LEFT")
    left.boot()
    held_by(r, "LEFT", "a")
    s.kill()
    left.close()
    poll(lambda: not g.online("LEFT"))
    restart(g)
    s.start()
    r = s.client()
    poll(lambda: session(r, "LEFT")["state"] == "offline")
    assert session(r, "LEFT")["reason"] == "peer_closed", session(r, "LEFT")
    for cp, name in names:
        assert outcome(r, cp, name, 60 * SLOW) == "result", name
    stop.append(1)
    for h in servers:
        h.wait()
    assert [e["chargePointId"] for e in g.events("charge_point.disconnected")] == ["LEFT"]


def test_compressed_messages_and_their_window_move():
    import deflate
    g = one(websocket_compression="yes", websocket_compress_from="64")
    for offer in ("permessage-deflate",
                  "permessage-deflate; server_max_window_bits=10"):
        c = deflate.charger(g, offer)
        text = HEARTBEAT % "small"
        data = deflate.squeeze(text)
        f = frame(TEXT, data, rsv=4)
        c.raw(frame(TEXT, data[:3], fin=False, rsv=4))
        poll(lambda: live(g)["quiet"] is False)
        restart(g)
        rest = frame(0, data[3:])
        c.raw(rest[:7])
        restart(g)
        c.raw(rest[7:])
        assert deflate.answer_to(c, "small")
        c.raw(f[:5])
        poll(lambda: live(g)["quiet"] is False)
        restart(g)
        c.raw(f[5:])
        assert deflate.answer_to(c, "small")
        c.close()
        poll(lambda: not g.online("CP1"))
    assert {e["payload"]["reason"] for e in
            g.wait_events(2, type="charge_point.disconnected")} <= {
                "peer_closed", "peer_vanished"}


def test_a_tap_continues_after_a_move():
    from operators import Tap, tapped
    g = one()
    c = Charger(g, "CP1")
    c.boot()
    tap = Tap(g, "-j", "tap", "CP*")
    try:
        tapped(g, tap, c)
        for n in range(3):
            restart(g)
            c.call("Heartbeat", id="t%d" % n)
            lines = [json.loads(tap.line()) for _ in range(2)]
            assert all("t%d" % n in x["frame"] for x in lines), lines
    finally:
        tap.stop()


@tidy
def test_verdicts_of_the_platform_move():
    s = redis()
    r = s.client()
    g = redis_gateway(s, "a", answers_Authorize="platform")
    c = Charger(g, "CP1")
    c.boot()
    c.put("Authorize", {"idTag": "STOLEN"}, "m1")
    info = {"status": "Blocked", "parentIdTag": "P"}
    assert answer(r, wait_event(r, "CP1", "answer.requested")[0],
                  {"idTagInfo": info}) == "taken"
    assert c.get("m1") == {"idTagInfo": info}
    restart(g)
    assert c.start(tag="STOLEN")["idTagInfo"] == info
    assert len(events(r, "CP1", "answer.requested")) == 1


def spread(g):
    return [w["connections"] for w in g.workers()]


def rebalance(g):
    log = len(g.log())
    g.ctl("rebalance", json_=False)
    return poll(lambda: re.search(
        r"rebalance: done, (\d+) connections have moved, (\d+) stayed",
        g.log()[log:]), what="the end of the rebalance")


def test_connections_are_spread_evenly_over_the_workers():
    g = tls_gateway(server_workers="3", websocket_idle_timeout="60s")
    chargers = [Charger(g, "CP%d" % i, worker=0) for i in range(45)]
    chargers += [TlsCharger(g, "TLS%d" % i) for i in range(6)]
    for c in chargers:
        c.boot()
    stop = []

    def talk(c):
        n = 0
        while not stop:
            c.stop(c.start(tag="T%d" % n))
            n += 1
            time.sleep(0.01)
        return n
    handles = [background(talk, c) for c in chargers[::4]]
    poll(lambda: rebalance(g) and max(spread(g)) - min(spread(g)) <= 1,
         what="equal shares")
    assert spread(g) == [17, 17, 17]
    # The same if one worker has died.
    successor(g, 1, g.kill_worker(1))
    stop.append(1)
    for h in handles:
        try:
            h.wait()
        except (Closed, OSError):
            pass

    def lost():  # peer_closed is of the attempts to reach worker 0
        return [e for e in g.events("charge_point.disconnected")
                if e["payload"]["reason"] != "peer_closed"]
    poll(lambda: len(lost()) >= 17, what="the end of 17 connections")
    left = [c for c in chargers if g.online(c.identity)]
    assert len(left) == 34, (len(left), lost())
    rebalance(g)
    assert sorted(spread(g)) == [11, 11, 12]
    for c in left:
        c.call("Heartbeat")
    assert len(lost()) == 17


def test_commands_reach_a_connection_that_has_moved():
    g = Gateway(server_workers="2", ocpp_message_timeout="30s")
    chargers = [Charger(g, "CP%d" % i, worker=0) for i in range(12)]
    for c in chargers:
        c.boot()
    with commands(g, chargers):
        for _ in range(5):
            poll(lambda: int(rebalance(g).group(2)) == 0 and
                 spread(g) == [6, 6], what="equal shares")
            restart(g, 0)
            restart(g, 1)
    undisturbed(g, 12)


def test_a_connection_that_has_moved_is_replaced_once():
    """This also holds if a claim on a worker takes the present worker of the connection for
    one that started later."""
    g = Gateway(server_workers="2", websocket_idle_timeout="60s")
    c = Charger(g, "CP1", worker=0)
    c.boot()
    others = [Charger(g, "CP%d" % i, worker=0) for i in range(2, 5)]
    successor(g, 1, g.kill_worker(1))
    rebalance(g)
    moved = [x for x in [c] + others if g.show(x.identity)["worker"] == 1]
    assert len(moved) == 2
    new = [Charger(g, x.identity, worker=w) for w, x in enumerate(moved)]
    for x in moved:
        x.wait_closed(1008)
    e = g.wait_events(2, type="charge_point.disconnected")
    new[0].call("Heartbeat")
    assert len(g.events("charge_point.disconnected")) == 2
    assert {x["payload"]["reason"] for x in e} <= {"replaced", "worker_died"}, e


def test_a_former_process_that_ends_at_once_does_not_close_its_successors_channel():
    """In the same turn of its loop the master makes the successor's channel that of the
    worker and reads the end of the former process' channel."""
    shim = Shim()
    g = one(env=shim.env)
    c = Charger(g, "CP1")
    c.boot()
    old = g.worker_pid(0)
    g.ctl("worker-restart", "0", json_=False)
    shim.put(8 * 7, struct.pack("=qq", 500, g.pid))     # RECEIVE_DELAY_MS, _PID
    poll(lambda: g.worker_pid(0) != old)
    g.wait_log("after the hand-over")
    shim.put(8 * 7, struct.pack("=qq", 0, 0))
    c.call("Heartbeat")
    assert live(g)["messagesIn"] >= 2
    restart(g)
    undisturbed(g)
    c.close()


def test_a_successor_also_accepts_connections_of_a_worker_that_hangs():
    g = Gateway(server_workers="2")
    hung = g.worker_pid(1)
    os.kill(hung, signal.SIGSTOP)
    try:
        g.wait_log("worker 0 accepts those that wait for it")
        log = len(g.log())
        restart(g, 0)
        poll(lambda: "worker 0 accepts those" in g.log()[log:])
        chargers = [Charger(g, "CP%d" % i) for i in range(12)]
        for c in chargers:
            c.call("Heartbeat")
    finally:
        os.kill(hung, signal.SIGCONT)


def test_a_reload_while_the_slot_moves_takes_effect_in_the_successor():
    with open(os.path.join(ROOT, "conf/test.conf")) as f:
        text = f.read()
    g = one(conf=text)
    c = Charger(g, "CP1")
    old = g.worker_pid(0)
    os.kill(old, signal.SIGSTOP)  # the hand-over cannot continue
    g.ctl("worker-restart", "0", json_=False)
    heir = poll(lambda: [p for p in workers_of(g) if p != old])[0]
    poll(lambda: sleeps(heir), what="a successor that is prepared")
    with open(g.conf, "w") as f:
        f.write(text.replace("heartbeat_interval = 10s",
                             "heartbeat_interval = 77s"))
    g.ctl("reload", json_=False)
    os.kill(old, signal.SIGCONT)
    g.wait_log("after the hand-over")
    poll(lambda: c.boot()["interval"] == 77, what="the new setting")


def test_the_death_of_either_process_closes_at_most_the_slots_connections():
    """Each process is killed at various times after the restart command. Whenever that is,
    each session has one end, no answered event is missing, and the slot works again."""
    for n in range(14):
        g = one()
        g.deaths_expected = True
        chargers = [Charger(g, "K%d" % i) for i in range(30)]
        for c in chargers:
            c.boot()
        old = g.worker_pid(0)
        g.ctl("worker-restart", "0", json_=False)
        if n % 2 == 0:
            time.sleep(n * 0.002)
            kill(old)
        else:
            poll(lambda: [p for p in workers_of(g) if p != old],
                 what="the state `ready` of the successor")
            time.sleep((n - 1) * 0.003)
            for pid in workers_of(g):
                if pid != old:
                    kill(pid)
        poll(lambda: g.workers()[0]["state"] == "ready" and
             len(workers_of(g)) == 1, what="a worker that serves")
        for c in chargers:
            try:
                c.call("Heartbeat", timeout=10 * SLOW)
            except (Closed, OSError):
                pass
            c.sock.close()
        poll(lambda: g.stat("connections") == 0, what="the end of all connections")
        after = Charger(g, "AFTER")
        after.boot()
        began = g.wait_events(31, type="charge_point.connected")
        ended = g.wait_events(30, type="charge_point.disconnected")
        assert len(g.events("charge_point.booted")) == 31
        ids = sorted(e["chargePointId"] for e in ended)
        assert ids == sorted("K%d" % i for i in range(30)), (
            "one end for each session", n, ids)
        g.close()


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # the hand-over has ended before the kill


def test_a_fleet_is_moved_at_random_during_its_sessions():
    """A fleet of all OCPP versions has whole sessions, while workers are restarted and
    rebalanced. The ledger of the simulator is compared with the journal."""
    g = Gateway(server_workers="3", log_level="info", ocpp_message_timeout="30s",
                limits_address_connections="0", limits_prefix_connections="0",
                websocket_idle_timeout="60s", journal_retention="1h")
    ledger = g.dir + "/ledger"
    sim = subprocess.Popen(
        [os.path.join(B, "ocppsim"), "-n", "200", "-r", "400", "-t", "8s",
         "--session-every", "3s", "--session-length", "2s", "--meter-every",
         "1s", "--heartbeat-every", "2s", "--version", "mixed", "--deflate",
         "-j", "-q", "--ledger", ledger, "ws://127.0.0.1:%d/ocpp" % g.port],
        stdout=subprocess.PIPE, text=True)
    poll(lambda: g.stat("connections") == 200, 30 * SLOW)
    end = time.monotonic() + 6
    while time.monotonic() < end:
        if random.random() < 0.3:
            g.run("rebalance")
        else:
            g.run("worker-restart", str(random.randrange(3)))
    report = json.loads(sim.communicate()[0])
    assert not any(report["errors"].values()), report["errors"]
    for word in ("closed_by_server", "lost", "resent", "interrupted"):
        assert not report["counts"].get(word), (word, report["counts"])
    assert g.stat("moved") > 400
    g.verify(ledger)
    assert len(g.events("charge_point.connected")) == 200


def test_a_session_that_has_moved_ends_once_even_after_a_restart():
    """Its beginning is in the journal of one slot, and its end in that of another or in none."""
    g = Gateway(server_workers="2")
    chargers = [Charger(g, "M%d" % i, worker=0) for i in range(6)]
    for c in chargers:
        c.boot()
    rebalance(g)
    moved = [i for i in range(6) if g.show("M%d" % i)["worker"] == 1]
    assert len(moved) == 3, moved
    for c in chargers[::2]:
        c.close()
    poll(lambda: g.stat("connections") == 3)
    for c in chargers[1::4]:  # the newest event is in the other journal
        c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError",
                                      "status": "Available"})
    g.kill_everything()
    for _ in range(2):
        g.start()
        after = Charger(g, "AFTER")
        after.boot()
        after.close()
        g.stop()
    g.start()
    ends = [e["chargePointId"] for e in g.events("charge_point.disconnected")
            if e["chargePointId"] != "AFTER"]
    assert sorted(ends) == ["M%d" % i for i in range(6)], ends


def test_a_worker_is_not_replaced_during_a_rebalance():
    """While connections pass from worker to worker no worker is replaced, and while a worker is
    replaced no connection passes to another worker."""
    g = Gateway(server_workers="2")
    chargers = [Charger(g, "CP%d" % i, worker=0) for i in range(4)]
    former = g.worker_pid(0)
    os.kill(former, signal.SIGSTOP)  # the hand-over cannot begin
    try:
        g.ctl("worker-restart", "0", json_=False)
        code, text = g.ask("rebalance")
        assert code == 409 and "worker 0 is being replaced" in text, (code, text)
    finally:
        os.kill(former, signal.SIGCONT)
    g.wait_log("worker 0: pid .* exited with code 0 after the hand-over")
    taker = g.worker_pid(1)
    os.kill(taker, signal.SIGSTOP)  # the taker cannot send hello
    try:
        g.ctl("rebalance", json_=False)
        for words in (["worker-restart", "0"], ["upgrade"]):
            code, text = g.ask(*words)
            assert code == 409 and "rebalance" in text, (words, code, text)
    finally:
        os.kill(taker, signal.SIGCONT)
    g.wait_log("rebalance: done, 2 connections have moved")
    for c in chargers:
        c.call("Heartbeat")
    undisturbed(g, 4)


def slow_taker(shim, g, n):
    """Rebalances n connections to worker 1, which reads them late. Returns when worker 0 has
    sent all of them."""
    shim.put(8 * 7, struct.pack("=qq", 500, g.worker_pid(1)))
    g.ctl("rebalance", json_=False)
    g.wait_log("passed %d connections on to another worker" % n)


def test_a_worker_is_replaced_when_connections_that_it_gave_have_arrived():
    shim = Shim()
    g = Gateway(server_workers="2", log_level="info", env=shim.env)
    chargers = [Charger(g, "CP%d" % i, worker=0) for i in range(20)]
    slow_taker(shim, g, 10)
    assert "rebalance: done" not in g.log()
    code, text = g.ask("worker-restart", "0")
    assert code == 409 and "rebalance" in text, (code, text)
    shim.put(8 * 7, struct.pack("=qq", 0, 0))
    g.wait_log("rebalance: done, 10 connections have moved")
    g.ctl("worker-restart", "0", json_=False)
    g.wait_log("after the hand-over")
    for c in chargers:
        c.call("Heartbeat")
    undisturbed(g, 20)


def test_a_command_for_a_connection_that_has_not_arrived_yet_waits_for_it():
    """Its former worker does not have the connection any more, and its new one not yet."""
    shim = Shim()
    g = Gateway(server_workers="2", log_level="info", env=shim.env,
                ocpp_message_timeout="30s", websocket_idle_timeout="60s")
    chargers = [Charger(g, "CP%d" % i, worker=0) for i in range(20)]
    for c in chargers:
        c.boot()
    slow_taker(shim, g, 10)
    with commands(g, chargers):
        g.wait_events(20, type="command.response")  # of those that did not move
        shim.put(8 * 7, struct.pack("=qq", 0, 0))
        g.wait_log("rebalance: done, 10 connections have moved")
    undisturbed(g, 20)


def test_if_a_worker_dies_sessions_that_have_not_arrived_elsewhere_end_once():
    """The successor of the worker ends these sessions."""
    shim = Shim()
    g = Gateway(server_workers="2", log_level="info", env=shim.env)
    chargers = [Charger(g, "CP%d" % i, worker=0) for i in range(20)]
    slow_taker(shim, g, 10)
    g.kill_worker(0)
    g.wait_log("20 sessions ended with the former process of this slot")
    shim.put(8 * 7, struct.pack("=qq", 0, 0))
    g.wait_log("rebalance: done, 10 connections have moved")
    poll(lambda: g.stat("connections") == 0)
    ends = g.events("charge_point.disconnected")
    assert len({e["chargePointId"] for e in ends}) == 20
    assert len(ends) == 20, len(ends)
    assert g.log().count("not_moved: ") == 10


def sleeps(pid):
    """Returns True if the process was stopped for some time."""
    for _ in range(5):
        with open("/proc/%d/stat" % pid) as f:
            if f.read().rsplit(")", 1)[1].split()[0] != "S":
                return False
        time.sleep(0.02)
    return True


def test_if_a_former_process_dies_the_connections_that_it_gave_stay_open():
    g = one(websocket_max_output_size="4MiB", websocket_idle_timeout="60s")
    g.deaths_expected = True
    chargers = [Charger(g, "CP%d" % i, rcvbuf=4096) for i in range(6)]
    for c in chargers:
        c.boot()
        n = 0
        while live(g, c.identity)["outputBytes"] < 1 << 20:
            c.raw(b"".join(frame(TEXT, '[2,"%s%d","Unheard",{}]' % ("a" * 30, n + i))
                           for i in range(500)))
            n += 500
            assert n < 100000
        c.unread = n
    old = g.worker_pid(0)
    os.kill(old, signal.SIGSTOP)
    g.ctl("worker-restart", "0", json_=False)
    heir = poll(lambda: [p for p in workers_of(g) if p != old])[0]
    poll(lambda: sleeps(heir), what="a successor that is prepared")
    os.kill(heir, signal.SIGSTOP)
    os.kill(old, signal.SIGCONT)
    poll(lambda: g.worker_pid(0) == heir, what="the hand-over")
    poll(lambda: sleeps(old), what="a full socket")
    os.kill(old, signal.SIGKILL)
    os.kill(heir, signal.SIGCONT)
    g.wait_log("in the middle of the hand-over")
    poll(lambda: re.search("master: worker 0: took over", g.log()))
    lost = g.wait_events(1, type="charge_point.disconnected")
    assert {e["payload"]["reason"] for e in lost} == {"not_moved"}
    stay = [c for c in chargers if g.online(c.identity)]
    assert 0 < len(stay) < 6 and len(stay) + len(lost) == 6
    assert g.stat("closed", "not_moved") == len(lost)
    for c in stay:
        for i in range(c.unread):
            assert json.loads(c.message())[1] == "%s%d" % ("a" * 30, i)
        c.call("Heartbeat")
    gone = g.show(lost[0]["chargePointId"])
    assert gone["closeReason"] == "not_moved" and gone["closed"] is not None, gone
    again = Charger(g, lost[0]["chargePointId"])
    again.boot()


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(x) for x in f.read().split()]


def name_of(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return ""


def workers_of(g):
    return [p for p in children(g.pid) if name_of(p) == "ocppd-w0"]


if __name__ == "__main__":
    main()
