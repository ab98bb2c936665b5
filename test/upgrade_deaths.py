#!/usr/bin/python3
"""kill -9 of each process at each step of an upgrade.

At each step one message is sent; fault_shim.c stops its sender before that. Then one of
four processes is killed: the old or the new master, the old or the new worker of the slot
that moves. Each charge point has an event that was acknowledged before, an event that it
sends while the upgrade is held, and a command that it has not answered yet.

By default one of the masters is killed at each step, and a worker at some steps.
OCPPD_TEST_LONG=1 kills each of the four, while each of two workers moves."""

import upgrade
from lib import *
from waits import Shim, datagram

LONG = os.environ.get("OCPPD_TEST_LONG")
OLD, NEW, WORKER, HEIR = "old master", "new master", "old worker", "new worker"
PER_WORKER = 2


# The steps in their order, with the sender of the message. once: the step happens once,
# other steps happen for each slot. Before `go` of the first slot nothing has moved.
STEPS = (
    # word         text                                        sender  once
    ("hello",      "hello format=1 version",                   OLD,    True),
    ("state",      "state",                                    OLD,    True),
    ("prepared",   "prepared",                                 NEW,    True),
    ("begin",      "begin",                                    OLD,    True),
    ("heir",       "heir",                                     NEW,    False),
    ("hand_over",  datagram("hand_over"),                       OLD,    False),
    ("frozen",     datagram("frozen"),                          WORKER, False),
    ("take",       "take",                                     OLD,    False),
    ("took",       "took",                                     NEW,    False),
    ("go",         datagram("go"),                              OLD,    False),
    ("slot",       "slot format=",                             WORKER, False),
    ("entry",      "entry",                                    WORKER, False),
    ("inherited",  datagram("inherited"),                       HEIR,   False),
    ("gone",       "gone",                                     OLD,    False),
    ("moved",      "moved",                                    NEW,    False),
    ("rest",       "rest",                                     OLD,    True),
    ("end",        "end",                                      OLD,    True),
    ("running",    "running",                                  NEW,    True),
)
WORDS = [s[0] for s in STEPS]


class Stopped(Shim):
    """An upgrade that is held at one step."""

    def __init__(self, word, slot, message_timeout="60s"):
        super().__init__()
        self.g = g = Gateway(server_workers=2, server_drain_time="1s",
                             upgrade_patience="20s", env=self.env,
                             server_pidfile=self.file.name + ".pid",
                             ocpp_message_timeout=message_timeout,
                             websocket_idle_timeout="5m",
                             websocket_ping_interval="45s")
        g.deaths_expected = True
        subreaper()
        self.points = [Charger(g, "W%d-%d" % (w, i), worker=w)
                       for w in range(2) for i in range(PER_WORKER)]
        for c in self.points:
            c.boot()
            c.call("DataTransfer", {"vendorId": "v", "data": c.identity + "-a"})
        self.calls = [background(g.ask, "-j", "call", c.identity,
                                 "GetLocalListVersion") for c in self.points]
        self.ids = [c.take()[0] for c in self.points]
        self.pids = {OLD: g.pid, WORKER: g.workers()[slot]["pid"]}
        self.all = [w["pid"] for w in g.workers()]
        step = STEPS[WORDS.index(word)]
        self.stop_before(step[1], 0 if step[3] else slot)
        self.client = background(g.ask, "-j", "upgrade")
        poll(lambda: self.sender() > 1, what="the sender of step " + word)
        for pid in upgrade.children(g.pid) + [self.sender()]:
            if name(pid) == "ocppd" and pid != g.pid:
                self.pids[NEW] = pid
        for pid in upgrade.children(self.pids.get(NEW, 0)):
            if name(pid) == "ocppd-w%d" % slot:
                self.pids[HEIR] = pid
            if name(pid).startswith("ocppd-w"):
                self.all.append(pid)


def name(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read().strip()
    except OSError:
        return ""


def settled(g):
    """Waits until a gateway answers, its workers are ready, and no upgrade is in
    progress."""
    try:
        status = g.tell("status")
        return not status["upgrade"]["underWay"] and status["pid"] and \
            len(g.workers()) == 2 and \
            all(w["state"] == "ready" for w in g.workers()) and status["pid"]
    except (OSError, AssertionError, ValueError, KeyError):
        return None


def taken_over(g):
    """Returns True if a master answers, which may be one that was started again."""
    try:
        return g.tell("status")["pid"]
    except (OSError, AssertionError, ValueError, KeyError):
        return None


def next_pid(g):
    """Returns the process that continues if the victim is killed."""
    try:
        with open(g.settings["server_pidfile"] + ".next") as f:
            return int(f.read())
    except FileNotFoundError:
        return None


def kept(c, id):
    """Returns True if the connection is open; then checks that all its messages are
    answered."""
    try:
        c.get(id, DEADLINE * 3)
        c.call("Heartbeat")
        return True
    except (Closed, OSError):
        return False


def kill_at(word, slot, victim):
    """Kills the victim at this step. Returns the identities whose connections were
    closed."""
    s = Stopped(word, slot)
    g = s.g
    if not alive(s.pids.get(victim, 0)):  # the process has ended or does not exist yet
        s.resume()
        s.client.wait()
        g.follow(settled(g))
        g.close()
        return None
    during = [c.put("DataTransfer", {"vendorId": "v", "data": c.identity + "-b"})
              for c in s.points]
    os.kill(s.pids[victim], signal.SIGKILL)
    main = next_pid(g)
    s.resume()
    pid = poll(lambda: settled(g) or not any(alive(s.pids.get(m, 0)) for m in
                                             (OLD, NEW)) and not taken_over(g),
               timeout=DEADLINE * 4, what="a gateway without an upgrade in progress")
    if pid is True:         # a service manager would do the same
        g.process.wait()
        for p in s.all:
            poll(lambda: not alive(p), what="the end of process %d" % p)
        g.start()
    elif pid != g.pid:
        g.follow(pid)
    # systemd reads this file when the main process of the service ends.
    if victim == OLD and pid is not True:
        assert main == pid, (main, pid)
    else:
        poll(lambda: next_pid(g) is None, what="the end of the file for systemd")
    lost, again = set(), []
    for c, id, call in zip(s.points, during, s.ids):
        if kept(c, id):
            c.result(call, {"listVersion": 7})
            c.call("Heartbeat")
        else:
            lost.add(c.identity)
            again.append(Charger(g, c.identity))
            again[-1].call("Heartbeat")
    for c in s.points:
        if c.identity not in lost:
            poll(lambda: outcomes(g, c.identity), what="the outcome of a command")
    events = g.events("data_transfer.received")
    seen = [e["payload"]["data"] for e in events]
    for c in s.points:
        assert seen.count(c.identity + "-a") == 1, (c.identity, seen)
        times = seen.count(c.identity + "-b")
        assert times <= 1 and (times or c.identity in lost), (c.identity, seen)
        poll(lambda: len(outcomes(g, c.identity)) == 1,
             what="the outcome of %s" % c.identity)
    for c in s.points:  # every session that has ended has an event
        poll(lambda: [len(g.events("charge_point." + w, c.identity)) for w in
                      ("connected", "disconnected")] == (
                          [2, 1] if c.identity in lost else [1, 0]),
             what="the events of the sessions of " + c.identity)
    if victim in (WORKER, HEIR):  # the gateway has not died
        assert {e["payload"]["reason"] for e in g.events("charge_point.disconnected")
                } <= {"worker_died"}, g.events("charge_point.disconnected")
    assert len({e["eventId"] for e in g.events()}) == len(g.events())
    upgrade.lives(g)
    for c in s.points:
        assert len(outcomes(g, c.identity)) == 1, outcomes(g, c.identity)
        if c.identity not in lost:
            assert outcomes(g, c.identity) == ["result"]
    # Only the processes that serve may remain.
    serving = {w["pid"] for w in g.workers()}
    for p in set(s.all) - serving:
        poll(lambda: not alive(p), what="the end of process %d" % p)
    assert g.stop(signal.SIGQUIT) == 0
    return lost


def outcomes(g, identity):
    return [e["payload"]["outcome"] for e in g.events("command.response", identity)]


def promised(word, slot, victim):
    """Returns the identities whose connections may be closed. The death of a master closes
    none, because the other master continues with its workers; but the new program cannot take
    over before it has the state of the old one."""
    if victim in (OLD, NEW):
        return ALL if victim == OLD and word in ("hello", "state") else set()
    return {i for i in ALL if i.startswith("W%d" % slot)}


ALL = {"W%d-%d" % (w, i) for w in range(2) for i in range(PER_WORKER)}
# Without OCPPD_TEST_LONG each master is killed while worker 1 moves, and these processes.
SHORT = {"hand_over": (WORKER, 1), "go": (HEIR, 1), "entry": (WORKER, 0),
         "moved": (HEIR, 0)}


def deaths(word):
    if LONG:
        slots = (1,) if STEPS[WORDS.index(word)][3] else (0, 1)
        return [(v, s) for s in slots for v in (OLD, NEW, WORKER, HEIR)]
    return [(OLD, 1), (NEW, 1)] + \
        ([SHORT[word]] if word in SHORT else [])


def story(word):
    def test():
        for victim, slot in deaths(word):
            lost = kill_at(word, slot, victim)
            print("    %-9s  worker %d moves, %s dies: %s" % (
                word, slot, victim, "not there" if lost is None else
                "%d of %d connections closed" % (len(lost), len(ALL))))
            assert lost is None or lost <= promised(word, slot, victim), \
                (word, slot, victim, lost)
    return test


def test_a_command_whose_deadline_passes_during_an_upgrade_ends_once():
    """The successor of worker 0 gets the commands and is stopped until their deadline has
    passed, and the old master, which sent them to the worker, dies."""
    for victim in (OLD, NEW):
        s = Stopped("inherited", 0, message_timeout="2s")
        time.sleep(2.5)  # only the deadline of the commands passes in this time
        os.kill(s.pids[victim], signal.SIGKILL)
        s.resume()
        pid = poll(lambda: settled(s.g), timeout=DEADLINE * 4,
                   what="a gateway without an upgrade in progress")
        if pid != s.g.pid:
            s.g.follow(pid)
        for c in s.points:
            poll(lambda: outcomes(s.g, c.identity), what="the outcome of a command")
        upgrade.lives(s.g)
        # The worker gets the master's question before this command.
        late = [background(s.g.ask, "-j", "call", c.identity, "ClearCache")
                for c in s.points]
        for c, call in zip(s.points, late):
            c.result(c.take()[0], {"status": "Accepted"})
            call.wait()
            assert outcomes(s.g, c.identity) == ["timeout", "result"], \
                (victim, c.identity, outcomes(s.g, c.identity))
        s.g.close()


for w in WORDS:
    globals()["test_" + w] = story(w)

if __name__ == "__main__":
    main()
