#!/usr/bin/python3
"""The death of a worker closes only its own connections (promise P4)."""

from lib import *
from waits import Shim, SYNC


def successor(g, n, old):
    def there():
        w = g.workers()[n]  # one response describes one moment
        return w["state"] == "ready" and w["pid"] != old and w["pid"]
    return poll(there, what="a successor")


class Talker:
    """A charge point that sends Heartbeats continuously, in a thread."""

    def __init__(self, g, name, worker):
        self.c = Charger(g, name, worker=worker)
        self.worker, self.beats, self.stop = worker, 0, False
        self.handle = background(self.talk)

    def talk(self):
        try:
            while not self.stop:
                self.c.call("Heartbeat")
                self.beats += 1
            return None
        except (Closed, OSError) as e:
            return e


def test_kill_9_of_each_worker_under_load_closes_only_its_own_connections():
    g = Gateway(server_workers="3")
    for victim in range(3):
        talkers = [Talker(g, "T%d-%d-%d" % (victim, w, i), w)
                   for w in range(3) for i in range(3)]
        old = g.kill_worker(victim)
        for t in talkers:
            if t.worker == victim:
                assert t.handle.wait() is not None
        successor(g, victim, old)
        for t in talkers:
            if t.worker != victim:
                n = t.beats
                poll(lambda: t.beats > n + 5, what="Heartbeats of the other worker's connections")
        for t in talkers:
            t.stop = True
        for t in talkers:
            if t.worker != victim:
                assert t.handle.wait() is None, "a connection of another worker was closed"
                t.c.close()
        c = Charger(g, "AFTER", worker=victim)
        c.boot()
        c.close()
        assert re.search(r"error master: worker %d: pid %d was killed by signal"
                         r" 9 \(Killed\) after .*, with 3 connections"
                         % (victim, old), g.log()), "no obituary"


def test_disconnected_events_of_a_dead_workers_connections_are_published():
    g = Gateway(server_workers="2")
    chargers = [Charger(g, "D%d" % i, worker=0) for i in range(5)]
    for c in chargers:
        c.boot()
    other = Charger(g, "OTHER", worker=1)
    before = g.stat("closed", "worker_died")
    old = g.kill_worker(0)
    successor(g, 0, old)
    ends = g.wait_events(5, type="charge_point.disconnected")
    assert sorted(e["chargePointId"] for e in ends) == \
        ["D%d" % i for i in range(5)]
    connected = {e["chargePointId"]: e["generation"]
                 for e in g.events(type="charge_point.connected")}
    for e in ends:
        assert e["payload"]["reason"] == "worker_died"
        assert e["generation"] == connected[e["chargePointId"]]
        assert e.slot == 0
    for i in range(5):
        s = g.show("D%d" % i)
        assert not s["online"] and s["closeReason"] == "worker_died", s
    assert g.stat("closed", "worker_died") == before + 5
    assert g.stat("connections") == 1
    other.call("Heartbeat")


def test_a_charge_point_that_reconnects_before_the_successor_is_ready_is_not_disconnected():
    g = Gateway(server_workers="2")
    c = Charger(g, "FAST", worker=0)
    c.boot()
    old = g.kill_worker(0)
    d = Charger(g, "FAST", worker=1)
    d.boot()
    successor(g, 0, old)
    ends = g.wait_events(cp="FAST", type="charge_point.disconnected")
    first, second = g.events(cp="FAST", type="charge_point.connected")
    assert [e["generation"] for e in ends] == [first["generation"]], ends
    assert ends[0]["payload"]["reason"] == "worker_died"
    d.call("Heartbeat")
    assert g.show("FAST")["worker"] == 1


def test_each_session_of_a_dead_worker_ends_once_whatever_is_in_its_journal():
    """The worker dies while events wait for its disk: the ends of sessions and the beginning
    of one. Another session was replaced while the worker was stopped."""
    shim = Shim()
    g = Gateway(server_workers="2", env=shim.env)
    names = ["HOLDS", "CLOSED", "REPLACED", "AGAIN", "STOPPED"]
    old = {cp: Charger(g, cp, worker=0) for cp in names}
    for c in old.values():
        c.boot()
    shim.hang(SYNC, "/w000-")
    old["HOLDS"].put("DataTransfer", {"vendorId": "holds"})
    poll(lambda: shim.hit() >= 1, what="a hanging write")
    old["CLOSED"].reset()
    new = {"REPLACED": Charger(g, "REPLACED", worker=1), "AGAIN": Charger(g, "AGAIN", worker=0)}
    old["REPLACED"].wait_end()
    old["AGAIN"].wait_end()
    early = Charger(g, "EARLY", worker=0)
    poll(lambda: g.show("CLOSED")["online"] is False, what="the disconnection of CLOSED")
    pid = g.worker_pid(0)
    os.kill(pid, signal.SIGSTOP)
    new["STOPPED"] = Charger(g, "STOPPED", worker=1)
    g.deaths_expected = True
    os.kill(pid, signal.SIGKILL)
    shim.go_on()
    successor(g, 0, pid)
    early.wait_end()
    for c in new.values():
        if c is not new["AGAIN"]:
            c.boot()
    events = g.events()
    for cp in names + ["EARLY"]:
        mine = [e for e in events if e["chargePointId"] == cp and
                e["eventType"] in ("charge_point.connected", "charge_point.disconnected")]
        began, ended = ([e["generation"] for e in mine if e["eventType"] == "charge_point." + t]
                        for t in ("connected", "disconnected"))
        assert ended == began[:1], (cp, mine)
        assert all(e["payload"]["reason"] == "worker_died" for e in mine if e["generation"] in ended and
                   e["eventType"] == "charge_point.disconnected"), mine
        assert len(began) == {"EARLY": 0, "REPLACED": 2, "STOPPED": 2}.get(cp, 1), mine
    # The gateway is started again, and finds the same in the journal.
    g.kill_everything()
    g.start()
    Charger(g, "AFTER").boot()
    for cp in names:
        began, ended = (sorted(e["generation"] for e in g.events("charge_point." + t, cp=cp))
                        for t in ("connected", "disconnected"))
        assert began == ended, (cp, began, ended)


def test_clients_in_the_accept_queue_of_a_dead_worker_are_served():
    g = Gateway(server_workers="2")
    old = g.worker_pid(0)
    os.kill(old, signal.SIGSTOP)
    waiting = []
    # About half of them get into the queue of the stopped worker.
    for i in range(24):
        c = Charger(g, "Q%d" % i, open=False)
        c.raw(c.request())
        waiting.append(c)
    g.deaths_expected = True
    os.kill(old, signal.SIGKILL)
    for c in waiting:
        assert c.response().status == 101
        assert c.boot()["status"] == "Accepted"
    assert g.worker_pid(0) not in (0, old)
    # The successor serves the connections in that queue. If the machine is so busy that the
    # start of the successor takes a second, the other worker serves them.
    served = [g.show(c.identity)["worker"] for c in waiting]
    assert served.count(0) >= 3 or \
        "worker 1 accepts those that wait for it" in g.log(), served


def test_the_listening_socket_is_never_closed():
    g = Gateway(server_workers="1")
    for i in range(3):
        old = g.kill_worker(0)
        c = Charger(g, "ALWAYS")  # the connection is made at once and served later
        c.boot()
        successor(g, 0, old)


def test_the_successor_continues_the_journal_of_a_dead_worker():
    g = Gateway(server_workers="2")
    tags = []
    for i in range(4):
        c = Charger(g, "J", worker=0)
        for k in range(5):
            tags.append("%d-%d" % (i, k))
            c.call("Authorize", {"idTag": tags[-1]})
        old = g.kill_worker(0)
        if i < 2:
            successor(g, 0, old)
    events = g.wait_events(20, cp="J", type="authorization.requested")
    assert [e["payload"]["idTag"] for e in events] == tags
    assert {e.slot for e in events} == {0}
    ids = [e["eventId"] for e in g.events(cp="J")]
    assert len(ids) == len(set(ids))


def test_after_the_death_of_a_worker_its_counters_remain_and_its_gauges_are_zero():
    g = Gateway(server_workers="1")
    c = Charger(g, "COUNT")
    c.boot()
    before = g.stats()
    assert before["connections"] == 1
    successor(g, 0, g.kill_worker(0))
    after = g.stats()
    assert after["connections"] == 0
    assert after["messages_in"] == before["messages_in"]
    assert after["handshakes"] == before["handshakes"]
    assert g.workers()[0]["starts"] == 2


def test_a_worker_that_dies_repeatedly_is_started_after_increasing_delays():
    g = Gateway(server_workers="1")
    times = []
    for i in range(4):
        began = time.monotonic()
        successor(g, 0, g.kill_worker(0))
        times.append(time.monotonic() - began)
    assert times[3] > times[1], times
    assert times[3] > 0.15, times
    assert times[0] < 2 * SLOW, times


def test_when_the_master_has_died_workers_drain_and_exit():
    g = Gateway(server_workers="2")
    pids = [w["pid"] for w in g.workers()]
    chargers = [Charger(g, "ORPHAN%d" % i) for i in range(6)]
    for c in chargers:
        c.boot()
    g.note_stats()
    g.process.kill()
    g.process.wait()
    for c in chargers:
        c.wait_closed(1001)
    for pid in pids:
        poll(lambda: not alive(pid), what="the end of worker %d" % pid)
    g.wait_log("the master has ended")
    ends = g.events(type="charge_point.disconnected")
    assert [e["payload"]["reason"] for e in ends] == ["drained"] * 6
    g.process = None
    g.start()  # the control socket of the dead master is replaced
    Charger(g, "ORPHAN0").boot()


def test_a_worker_that_is_stopped_is_reported_by_health():
    g = Gateway(server_workers="2")
    pid = g.worker_pid(1)
    os.kill(pid, signal.SIGSTOP)
    try:
        def degraded():
            code, body = g.ask("health")
            return "no progress" in body and code == 220
        poll(degraded, 20 * SLOW)
    finally:
        os.kill(pid, signal.SIGCONT)
    poll(lambda: g.ask("health")[0] == 200)


def test_a_worker_that_hangs_is_aborted_and_replaced():
    g = Gateway(server_workers="3", server_stuck_timeout="%dms" % (2000 * SLOW))
    chargers = [Charger(g, "HANG%d" % i, worker=i) for i in range(2)]
    for c in chargers:
        c.boot()
    other = Talker(g, "OTHER", 2)
    old = [w["pid"] for w in g.workers()]
    g.deaths_expected = True
    for pid in old[:2]:
        os.kill(pid, signal.SIGSTOP)
    g.wait_log(r"worker 0: pid %d made no progress for \d+ s; it is aborted" % old[0],
               20 * SLOW)
    # A process that hangs handles the signal; a stopped one would not.
    os.kill(old[0], signal.SIGCONT)
    g.wait_log(r"worker 0: pid %d was killed by signal 6" % old[0])
    g.wait_log(r"worker 1: pid %d made no progress .*; it is aborted" % old[1])
    g.wait_log(r"worker 1: pid %d did not end in time; killing" % old[1],
               20 * SLOW)
    g.wait_log(r"worker 1: pid %d was killed by signal 9" % old[1])
    for n in (0, 1):
        successor(g, n, old[n])
        chargers[n].wait_end()
        ends = g.wait_events(cp="HANG%d" % n, type="charge_point.disconnected")
        assert [e["payload"]["reason"] for e in ends] == ["worker_died"], ends
        Charger(g, "HANG%d" % n, worker=n).boot()
    other.stop = True
    assert other.handle.wait() is None and other.beats > 0
    assert g.worker_pid(2) == old[2]
    assert g.run("health").returncode == 0


def test_the_master_uses_no_number_that_workers_can_write():
    g = Gateway(server_workers="1", admin_listen="127.0.0.1:%d" % free_port())
    c = Charger(g, "GEOMETRY")
    c.boot()
    worker = g.worker_pid(0)
    os.kill(worker, signal.SIGSTOP)  # a running worker would die of these values
    g.deaths_expected = True
    subprocess.run([os.path.join(B, "scribble"), str(g.pid), "geometry", "7"],
                   check=True, stdout=subprocess.DEVNULL)
    assert g.tell("connections")["total"] == 1
    assert g.show("GEOMETRY")["online"]
    assert g.show("UNKNOWN") is None
    assert len(g.workers()) == 1
    for words in (["status"], ["refused"], ["stats"], ["redis"]):
        assert g.ask(*words)[0] == 200, words
    # The status is 220 as soon as the master has detected that the worker is stopped.
    assert g.ask("health")[0] in (200, 220)
    import urllib.request
    port = g.settings["admin_listen"].rpartition(":")[2]
    with urllib.request.urlopen("http://127.0.0.1:%s/metrics" % port) as r:
        assert b'ocppd_connections{worker="0"} 1' in r.read()
    assert alive(g.pid)


def test_status_and_health_report_a_worker_that_died():
    g = Gateway(server_workers="2")
    assert "died" not in g.run("status").stdout
    assert [w["lastDeath"] for w in g.workers()] == [None, None]
    old = g.kill_worker(1)
    successor(g, 1, old)
    assert re.search(r"worker 1 +died \d+s ago \(1 time in all\); it was killed "
                     r"by signal 9", g.run("status").stdout)
    w = g.tell("health")["workers"]
    assert w[0]["deaths"] == 0 and w[1]["deaths"] == 1
    assert w[1]["lastDeath"]["how"].startswith("was killed by signal 9")
    old = g.worker_pid(0)
    g.ctl("worker-restart", "0")  # a requested restart does not count as a death
    successor(g, 0, old)
    assert g.workers()[0]["deaths"] == 0


def test_an_operator_restarts_a_worker_without_closing_a_connection():
    g = Gateway(server_workers="2")
    mine, others = Charger(g, "MINE", worker=1), Charger(g, "OTHERS", worker=0)
    mine.boot(), others.boot()
    old = g.worker_pid(1)
    r = g.run("worker-restart", "1")
    assert r.returncode == 0, r
    successor(g, 1, old)
    poll(lambda: g.worker_of(mine.sock) == 1, what="the moved connection")
    mine.call("Heartbeat")
    others.call("Heartbeat")
    assert not re.search(r"error .*worker 1", g.log())
    c = Charger(g, "ANOTHER", worker=1)
    c.boot()


def test_without_free_descriptors_clients_wait_and_the_worker_does_not_spin():
    # The worker has few free descriptors: accept fails, is counted, and continues when some
    # are free again.
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    g = Gateway(server_workers="1", preexec=few, server_max_connections="100")
    chargers = [Charger(g, "FD%d" % i, open=False) for i in range(60)]
    poll(lambda: g.stat("accept_errors") > 0)
    for c in chargers:
        c.raw(c.request())
    errors = g.stat("accept_errors")
    assert errors < 20
    served = [c for c in chargers if select.select([c.sock], [], [], 0.02)[0]]
    assert 5 < len(served) < 40, len(served)
    # An answer needs some descriptors, for the segments of the journal.
    for c in served:
        assert c.response().status == 101
        c.boot()
    g.wait_log("accept: .*open files.*LimitNOFILE|accept: .*ulimit -n")
    for c in served:
        c.close()
    last = [c for c in chargers if c not in served][0]
    assert last.response().status == 101
    last.boot()


if __name__ == "__main__":
    main()
