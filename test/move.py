#!/usr/bin/python3
"""A connection moves from one worker process to another: no client sees a
close, nothing is lost or doubled."""

from lib import *


def restart(g, n=0):
    """A successor of worker n; returns when it has all connections."""
    old, log = g.worker_pid(n), len(g.log())
    g.ctl("worker-restart", str(n), json_=False)
    for words in ("took over .* lost 0$", "after the hand-over$"):
        poll(lambda: re.search(r"master: worker %d: .*%s" % (n, words),
                               g.log()[log:], re.M), what=words)
    return old


def one(**settings):
    return Gateway(server_workers="1", **settings)


def test_a_quiet_connection_moves():
    g = one()
    c = Charger(g, "CP1")
    c.boot()
    before = g.show("CP1")
    restart(g)
    after = g.show("CP1")
    for key in ("generation", "boot", "connectedSince", "protocol"):
        assert before.get(key) == after.get(key), (key, before, after)
    c.call("Heartbeat")
    assert len(g.events("charge_point.connected")) == 1
    assert not g.events("charge_point.disconnected")
    c.close()
    g.wait_events(1, type="charge_point.disconnected")


def test_ten_times_in_a_row_under_traffic():
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
        log = g.log()
    stop.append(1)
    total = sum(h.wait() for h in handles)
    assert total > 0
    starts = g.wait_events(total, type="transaction.started")
    assert len(starts) == total
    assert not g.events("charge_point.disconnected")
    assert len(g.events("charge_point.connected")) == 20
    ids = [e["answer"]["transactionId"] for e in starts]
    assert len(set(ids)) == len(ids)


def test_what_a_pending_charge_point_may_send_moves_with_it():
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


if __name__ == "__main__":
    main()
