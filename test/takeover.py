#!/usr/bin/python3
"""One identity has one connection, and the newest one wins (promise P2)."""

from lib import *
from waits import Shim, datagram


def replaced(c, within=1.0):
    """Checks that this connection is closed with 1008 in time."""
    began = time.monotonic()
    c.wait_closed(1008, reason="new connection")
    waited = time.monotonic() - began
    assert waited < within * SLOW + 0.5, waited


def test_the_older_connection_is_closed_with_1008_within_a_second():
    g = shared(server_workers="2")
    for a, b in ((0, 0), (1, 1), (0, 1), (1, 0)):
        name = "OVER%d%d" % (a, b)
        before = g.stat("takeovers")
        old = Charger(g, name, worker=a)
        old.boot()
        new = Charger(g, name, worker=b)
        new.call("Heartbeat")               # the new connection is served at once
        replaced(old)
        new.call("Heartbeat")  # the end of the old connection does not affect the new one
        assert g.stat("takeovers") == before + 1
        s = g.show(name)
        assert s["online"] and s["worker"] == b and s["connections"] == 2
        new.close()


# Names for which FNV-1a has the same state, whatever the seed is.
BLOCKS = (("ZY#,5`#+j5P", "b--!O4QVoJj", "@?8!?*n+#0k", "UQ&({^5-YN`"),
          ("LVfF$1;5rRv", "d!u?2qsb-)v", "DU;4&9*-!<N", "Vz6^!$:R3?X"),
          ("maK(PP67>bn", "b$sjYR*n4DH", "A|s0i$sU,kF"),
          ("fD9Y4xp&?yX", "NH;-W<R4+}i", "=!_w,T4|d$^"))


def test_names_that_collide_in_another_hash_function_take_no_longer_than_others():
    g = Gateway(server_workers="2")
    names = [""]
    for block in BLOCKS:
        names = [n + b for n in names for b in block]
    assert len(names) == 144
    before = g.stat("registry_steps")
    first = [Charger(g, n) for n in names]
    again = [Charger(g, n) for n in names]  # each replaces the connection of its own identity
    for c in first:
        replaced(c, 5.0)
    assert g.stat("connections") == 144 and g.tell("status")["identities"] == 144
    seen = g.tell("connections", "--limit", "1000")["connections"]
    assert sorted(x["identity"] for x in seen) == sorted(names)
    poll(lambda: g.stat("registry_steps") > before)
    steps = g.stat("registry_steps") - before
    assert steps < 144 * 2 * 8, steps
    for c in again:
        c.sock.close()


def test_the_events_name_the_connection_that_was_replaced_and_its_successor():
    g = shared(server_workers="2")
    old = Charger(g, "TELL", worker=0)
    new = Charger(g, "TELL", worker=1)
    replaced(old)
    new.close()
    first, second = g.wait_events(2, cp="TELL", type="charge_point.connected")
    ends = g.wait_events(2, cp="TELL", type="charge_point.disconnected")
    assert "replaced" not in first["payload"]
    r = second["payload"]["replaced"]
    assert r["generation"] == first["generation"] < second["generation"]
    assert r["remoteAddress"] == first["payload"]["remoteAddress"]
    ends = {e["generation"]: e["payload"] for e in ends}
    assert ends[first["generation"]]["reason"] == "replaced"
    assert ends[first["generation"]]["code"] == 1008
    assert ends[second["generation"]]["reason"] == "peer_closed"


def test_a_half_open_connection_is_replaced_at_once():
    g = shared(server_workers="2", websocket_idle_timeout="60s")
    for a, b in ((0, 0), (0, 1)):
        name = "HALF%d%d" % (a, b)
        old = Charger(g, name, worker=a)
        old.boot()  # the charge point answers nothing after this
        began = time.monotonic()
        new = Charger(g, name, worker=b)
        new.call("Heartbeat")
        g.wait_events(cp=name, type="charge_point.disconnected")
        assert time.monotonic() - began < 1.5 * SLOW
        # The old socket is closed after close_timeout, although the charge point sends nothing.
        poll(lambda: g.stat("closing") == 0)
        assert g.online(name)
        new.call("Heartbeat")
        old.sock.close()
        new.close()


def test_a_charge_point_of_a_stopped_worker_can_connect_to_another_one():
    g = Gateway(server_workers="2")
    old = Charger(g, "STOPPED", worker=0)
    old.boot()
    pid = g.worker_pid(0)
    os.kill(pid, signal.SIGSTOP)
    try:
        new = Charger(g, "STOPPED", worker=1)
        assert new.boot()["status"] == "Accepted"
        assert new.start()["transactionId"] > 0
        assert g.show("STOPPED")["worker"] == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    replaced(old)
    new.call("Heartbeat")
    assert g.online("STOPPED")


def test_the_old_connection_ends_even_if_its_worker_is_not_notified():
    shim = Shim()
    g = Gateway(server_workers="2", env=shim.env, websocket_ping_interval="1h",
                websocket_idle_timeout="2h")  # the old connection sends nothing
    old = Charger(g, "QUIET", worker=0)
    old.boot()
    shim.stop_before(datagram("takeover"))
    new = background(lambda: Charger(g, "QUIET", worker=1))
    poll(lambda: shim.sender() > 1, what="the notification of the former worker")
    replaced(old, within=2.5)  # the sweep reads the owner once a second
    shim.resume()
    new.wait().call("Heartbeat")
    assert g.stat("takeovers") == 1


def test_a_late_message_of_the_old_connection_makes_no_event():
    g = shared(server_workers="2")
    old = Charger(g, "LATE", worker=0)
    old.boot()
    new = Charger(g, "LATE", worker=1)
    try:
        old.put("Authorize", {"idTag": "GHOST"})
    except OSError:
        pass
    replaced(old)
    # Worker 0 has read the late message. An event of it would be in its journal before
    # this one.
    barrier = Charger(g, "AFTER LATE", worker=0)
    barrier.call("Authorize", {"idTag": "BARRIER"})
    barrier.close()
    new.call("Authorize", {"idTag": "LIVING"})
    tags = [e["payload"]["idTag"] for e in
            g.wait_events(cp="LATE", type="authorization.requested")]
    assert tags == ["LIVING"], tags
    new.close()


def test_many_takeovers_leave_one_connection():
    g = shared(server_workers="2")
    chargers = []
    for i in range(40):
        chargers.append(Charger(g, "MANY", open=False))
    for c in chargers:
        c.raw(c.request())
    for c in chargers:
        assert c.response().status == 101

    def only_one():  # ended() may detect an end late, but never detects a wrong one
        left = [c for c in chargers if not c.ended()]
        return left[0] if len(left) == 1 else None
    last = poll(only_one, what="the end of all connections but one")
    last.boot()
    connected = g.wait_events(40, cp="MANY", type="charge_point.connected")
    gone = g.wait_events(39, cp="MANY", type="charge_point.disconnected")
    newest = max(e["generation"] for e in connected)
    assert newest not in [e["generation"] for e in gone]
    assert len({e["generation"] for e in connected}) == 40
    s = g.show("MANY")
    assert s["online"] and s["generation"] == newest
    assert s["address"] == "%s:%d" % last.sock.getsockname()
    last.close()
    poll(lambda: g.stat("connections") == 0)


def test_two_addresses_with_one_identity_cause_a_conflict_event():
    g = shared(server_workers="2")
    chargers = []
    for i in range(5):
        chargers.append(Charger(g, "TWINS", source="127.0.0.%d" % (2 + i % 2)))
        chargers[-1].call("Heartbeat")
    e = g.wait_events(cp="TWINS", type="charge_point.identity_conflict")
    assert len(e) == 1, e
    addresses = {a.rsplit(":", 1)[0] for a in e[0]["payload"]["remoteAddresses"]}
    assert addresses == {"127.0.0.2", "127.0.0.3"}, addresses
    g.wait_log("TWINS: 127.0.0.*keep replacing each other")
    chargers[-1].close()


def test_reconnects_from_one_address_are_not_a_conflict():
    g = shared(server_workers="2")
    for i in range(6):
        c = Charger(g, "SINGLE")
        c.call("Heartbeat")
    c.close()
    # The event of a conflict is in the journal of the worker that detected it, before the
    # end of the connection that caused it.
    g.wait_events(6, cp="SINGLE", type="charge_point.disconnected")
    assert not g.events(cp="SINGLE", type="charge_point.identity_conflict")


def test_after_a_reconnect_no_boot_is_needed():
    g = shared(server_workers="2")
    c = Charger(g, "NOBOOT")
    c.boot()
    c.reset()
    c = Charger(g, "NOBOOT")
    c.start()
    c.close()
    types = [e["eventType"] for e in g.events(cp="NOBOOT")]
    assert types.count("charge_point.booted") == 1
    assert types.count("transaction.started") == 1


if __name__ == "__main__":
    main()
