#!/usr/bin/python3
"""Pings: each connection gets one ping per interval, the pings are spread evenly, and a
ping is skipped and not queued if the socket is full."""

from lib import *


def collect(chargers, seconds):
    """Answers pings, and returns when they were received: [(time, charger)]."""
    seen = []
    by_fd = {c.sock.fileno(): c for c in chargers}
    p = select.poll()
    for fd in by_fd:
        p.register(fd, select.POLLIN)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for fd, _ in p.poll(20):
            c = by_fd[fd]
            now = time.monotonic()
            f = c.recv()
            assert f.op == PING, f
            seen.append((now, c))
            c.send(f.data, PONG)
    return seen


def test_pings_are_spread_evenly_over_the_interval():
    g = Gateway(server_workers="2", websocket_ping_interval="2s",
                websocket_idle_timeout="20s")
    chargers = [Charger(g, "P%03d" % i, worker=i % 2) for i in range(200)]
    collect(chargers, 2.5)  # the sweep needs time to adapt its speed to the number of connections
    first = g.stats()
    seen = collect(chargers, 6)
    last = g.stats()
    # Each connection gets a ping about every two seconds,
    for c in chargers:
        mine = [t for t, d in seen if d is c]
        assert 2 <= len(mine) <= 4, (c.identity, len(mine))
        gaps = [b - a for a, b in zip(mine, mine[1:])]
        assert all(1.5 < x < 2.5 * SLOW for x in gaps), gaps
    # and no interval of 100 ms has much more than a twentieth of them.
    t0 = min(t for t, c in seen)
    slots = {}
    for t, c in seen:
        slots[int((t - t0) * 10)] = slots.get(int((t - t0) * 10), 0) + 1
    full = [slots.get(i, 0) for i in range(2, 55)]
    assert max(full) <= 20 * SLOW, full  # 10 on average
    assert sum(1 for n in full if n == 0) <= 10, full
    # The counters must agree with the pings that were received.
    n = last["pings"] - first["pings"]
    assert abs(n - len(seen)) <= 25, (n, len(seen))
    assert abs((last["pongs"] - first["pongs"]) - len(seen)) <= 25
    assert last["pings_skipped"] == first["pings_skipped"]
    h = g.ctl("health")["ping_service"]
    assert h["active_connections"] == 200 and h["ping_interval"] == "2s"
    assert h["total_pings"] >= last["pings"] and h["skipped_pings"] == 0
    assert g.stats()["ping_time"]["count"] > 0


def test_the_ping_interval_is_observed_while_the_number_of_connections_grows():
    g = Gateway(server_workers="1", websocket_ping_interval="8s",
                websocket_idle_timeout="60s")
    first = [Charger(g, "A%03d" % i) for i in range(100)]
    born = {c: time.monotonic() for c in first}
    seen = collect(first, 3)
    # Most of the table is new now, and the sweep has not reached it yet.
    meanwhile = background(collect, first, 10)
    late = []
    for i in range(400):
        late.append(Charger(g, "B%03d" % i))
        born[late[-1]] = time.monotonic()
    seen += collect(late, 10) + meanwhile.wait()
    end = time.monotonic()
    for c, since in born.items():
        times = [since] + [t for t, d in seen if d is c] + [end]
        longest = max(b - a for a, b in zip(times, times[1:]))
        assert longest <= 8 + 0.5 * SLOW, (c.identity, longest)


def test_a_ping_that_cannot_be_sent_at_once_is_skipped_and_counted():
    g = Gateway(server_workers="1", websocket_ping_interval="1s",
                websocket_idle_timeout="30s", websocket_max_output_size="16MiB")
    c = Charger(g, "FULL", rcvbuf=4096)
    many = frame(TEXT, '[2,"%s","Heartbeat",{}]' % ("x" * 36)) * 500

    def stuck():
        c.sock.settimeout(0.2)
        try:
            c.sock.sendall(many)
        except (TimeoutError, socket.timeout):
            pass
        return g.show("FULL")["connection"]["outputBytes"] > 0
    poll(stuck)
    poll(lambda: g.stat("pings_skipped") >= 2)
    n = g.stat("pings")
    skipped = g.stat("pings_skipped")
    poll(lambda: g.stat("pings_skipped") > skipped)
    assert g.stat("pings") == n, "a ping was queued"
    assert g.online("FULL")
    assert g.ctl("health")["ping_service"]["skipped_pings"] >= 2
    c.reset()


def test_the_round_trip_of_a_ping_is_reported():
    g = Gateway(server_workers="1")
    c = Charger(g, "RTT")

    def told():
        c.ended()
        return g.show("RTT")["connection"].get("pingMs") is not None
    poll(told)
    assert g.show("RTT")["connection"]["pingMs"] < 1000 * SLOW
    assert g.stats()["ping_time"]["count"] >= 1


if __name__ == "__main__":
    main()
