#!/usr/bin/python3
"""Each reason for which a connection may be busy: `ocppctl show` names the part that is
busy, and afterwards the connection is quiet again."""

from faults import Orders, SHIM
from lib import *
from ocpp2 import WHEN, Station
from redis_resp import Server


def part(g, identity="CP1"):
    """Returns the busy part of a connection, or None if it is quiet."""
    k = g.show(identity)["connection"]
    assert k["quiet"] == ("busyPart" not in k), k
    return k.get("busyPart")


def becomes(g, word, identity="CP1"):
    poll(lambda: part(g, identity) == word, what="the busy part %s" % word)


def test_a_connection_without_activity_is_quiet():
    g = shared()
    c = Charger(g)
    c.boot()
    becomes(g, None)


def test_a_quiet_connection_takes_at_most_384_bytes():
    g = Gateway(server_workers="1", log_level="warn")
    pid = g.workers()[0]["pid"]
    chargers = []

    def connect(n):
        for _ in range(n):
            c = Charger(g, "M%d" % len(chargers))
            c.call("Heartbeat")
            chargers.append(c)

    connect(100)  # allocates the memory that is allocated only once
    before = resident(pid)
    connect(3000)
    # The memory that handshakes have used is released a moment later.
    poll(lambda: (resident(pid) - before) / 3000 <= 384, 30 * SLOW,
         what="at most 384 bytes for each connection")
    assert g.stat("connections") == len(chargers) == 3100


def shared_pages(pid):
    """Returns the number of pages of shared memory that a process has used."""
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"RssShmem:\s+(\d+)", f.read())[1]) // 4


def test_the_memory_of_a_2x_charge_points_transactions_is_released():
    """Its last four events stay remembered, because they need no additional memory."""
    g = Gateway(server_workers="1", log_level="warn", ocpp_resend_time="3s",
                websocket_idle_timeout="5m")
    pid = g.workers()[0]["pid"]
    stations = [Station(g, "T%d" % i) for i in range(300)]

    def send(seq):
        """Sends the event with that number from each station; returns the answers."""
        kind = "Started" if seq == 0 else "Ended" if seq == 5 else "Updated"
        for i, c in enumerate(stations):
            c.send(json.dumps([2, "%d" % seq, "TransactionEvent", {
                "eventType": kind, "timestamp": WHEN, "triggerReason": "Authorized",
                "seqNo": seq, "transactionInfo": {"transactionId": "T%d" % i},
                "idToken": {"idToken": "A", "type": "Central"}}]))
        return [json.loads(c.message()) for c in stations]

    for c in stations:
        c.boot()
    answers = [send(seq) for seq in range(4)]
    few = shared_pages(pid)
    answers += [send(seq) for seq in (4, 5)]
    assert shared_pages(pid) >= few + 300 // 9
    # All six events are recognised,
    before = g.stat("starts_resent")
    assert [send(seq) for seq in range(6)] == answers
    assert g.stat("starts_resent") == before + 6 * 300
    # and the last ones also when the memory of the older ones was released.
    poll(lambda: shared_pages(pid) <= few + 2, 30 * SLOW,
         what="release of the memory that the fifth event took")
    assert [send(seq) for seq in (2, 3, 4, 5)] == answers[2:]
    assert g.stat("starts_resent") == before + 10 * 300
    ended = [e for e in g.events("transaction.stopped") if e["chargePointId"] == "T7"]
    assert len(ended) == 1, ended


def test_half_a_frame_makes_a_connection_busy():
    g = shared()
    c = Charger(g)
    whole = frame(TEXT, '[2,"1","Heartbeat",{}]')
    c.sock.sendall(whole[:9])
    becomes(g, "net")
    c.sock.sendall(whole[9:])
    c.get("1")
    becomes(g, None)


def test_an_incomplete_fragmented_message_makes_a_connection_busy():
    g = shared()
    c = Charger(g)
    c.sock.sendall(frame(TEXT, '[2,"1","Heart', fin=False))
    becomes(g, "net")
    c.sock.sendall(frame(CONT, 'beat",{}]'))
    c.get("1")
    becomes(g, None)


def test_output_that_the_socket_does_not_take_makes_a_connection_busy():
    g = shared(websocket_idle_timeout="60s", websocket_max_output_size="16MiB",
               limits_message_rate=0, limits_byte_rate=0)
    c = Charger(g, open=False)
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.handshake()
    c.sock.settimeout(1)
    one = frame(TEXT, '[2,"1","Heartbeat",{}]') * 500
    sent = 0

    def waits():
        nonlocal sent
        try:
            sent += c.sock.send(one)
        except OSError:
            pass
        return g.show("CP1")["connection"]["outputBytes"] > 0
    poll(waits, what="output that waits for the socket")
    assert part(g) == "net"


def test_a_connection_that_is_slowed_down_is_busy():
    g = shared(limits_message_rate=20, limits_message_burst=5)
    c = Charger(g)
    for i in range(30):
        c.put("Heartbeat", {}, "h%d" % i)
    poll(lambda: part(g) == "net", what="a slowed-down connection, which is not read")
    for i in range(30):
        c.get("h%d" % i)
    becomes(g, "access")  # the connection is read again, but its limits are still allocated
    becomes(g, None)


def test_a_call_in_flight_or_queued_makes_a_connection_busy():
    g = shared(ocpp_call_hold="0s")
    c = Charger(g)
    c.boot()
    call = background(lambda: g.call("CP1", "ClearCache"))
    id, _, _ = c.take()
    assert part(g) == "session"
    c.result(id, {"status": "Accepted"})
    call.wait()
    becomes(g, None)


def test_an_answer_that_waits_for_its_commit_makes_a_connection_busy():
    with tempfile.TemporaryDirectory() as d:
        faults = Orders(d + "/faults")
        g = Gateway(server_workers=1, env={"LD_PRELOAD": SHIM,
                                           "OCPPD_FAULTS": faults.path})
        c = Charger(g)
        c.boot()
        becomes(g, None)
        faults.give("sync_ms", 1500)
        c.put("StatusNotification", {"connectorId": 1, "errorCode": "NoError",
                                     "status": "Available"}, "s1")
        becomes(g, "session")
        c.get("s1")
        faults.clear()
        becomes(g, None)
        g.close()


def test_a_claim_without_a_reply_makes_a_connection_busy():
    s = Server("--appendonly", "no")
    try:
        g = Gateway(server_workers=1, redis_host="127.0.0.1", redis_port=s.port,
                    redis_timeout="60s")
        poll(lambda: g.stat("redis_shards_ready") >= 1, what="the connection to Redis")
        c = Charger(g)
        c.boot()
        becomes(g, None)
        s.signal(signal.SIGSTOP)
        other = Charger(g, "CP2")
        becomes(g, "fleet", "CP2")
        s.signal(signal.SIGCONT)
        becomes(g, None, "CP2")
        other.close()
        g.close()
    finally:
        s.signal(signal.SIGCONT)
        s.stop()


if __name__ == "__main__":
    main()
