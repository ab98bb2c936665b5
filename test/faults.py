#!/usr/bin/env python3
"""The promises of the gateway hold while everything on which it depends fails.

In each round a gateway is under load, a fault begins, the fault ends, and the state is
checked: `ocppsim verify` finds every acknowledged message in the journal and no
transaction twice; no identity has an owner without a connection; no descriptor, memory,
lease or registry entry is left over; and the counters are consistent.

        test/faults.py                              each fault once, a minute
        test/faults.py killed stopped               tests whose name contains a word
        test/faults.py --minutes 60 [--seed N]      faults at random

The seed is printed. It determines the order of the faults and the actions of the charge
points, but not the instant at which a process is killed or stopped. B and OCPPD_TEST_SLOW
are as for the other tests. FAULTS.md describes each fault."""

import errno
import mmap

import lib
from lib import *
from redis_resp import Server

SIM = os.path.join(B, "ocppsim")
SHIM = os.path.join(B, "fault_shim.so")
SCRIBBLE = os.path.join(B, "scribble")
DISK_MB = 512
CONF = open(os.path.join(ROOT, "conf/test.conf")).read()

# The gauges that are zero if there are no connections.
RESTING = ["connections", "handshaking", "closing", "leases", "output_bytes",
           "commands_pending", "answers_held", "journal_backlog_bytes",
           "journal_failing"]

# The gauges that are also zero if everything has been shipped to Redis.
SHIPPED = ["ship_lag_ms", "sessions_unclaimed", "outcomes_waiting"]
STREAM = "ocppd:events:0"
SESSIONS = "{%s}:cp:" % STREAM

ORDERS = {"write": 0, "write_ms": 1, "sync": 2, "sync_ms": 3, "accept": 4,
          "clock_ms": 5}
COUNTS = 16

total = {"rounds": 0, "faults": {}, "acknowledged": 0, "events": 0,
         "missing": 0, "starts": 0, "shim": {}, "connections": 0,
         "down_ms": [], "shipped": 0, "unshipped": 0, "away_ms": [],
         "mended_ms": {}}


class Orders:
    """The file from which fault_shim reads its orders."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.write(bytes(32 * 8))
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 32 * 8)

    def give(self, name, value):
        struct.pack_into("<q", self.map, ORDERS[name] * 8, value)

    def done(self, name):
        return struct.unpack_from("<q", self.map,
                                  (ORDERS[name] + COUNTS) * 8)[0]

    def clear(self):
        for name in ORDERS:
            self.give(name, 0)


class Load:
    """A fleet whose ledger has the messages that were acknowledged."""

    def __init__(self, rig, name, count, *words):
        self.ledger = "%s/%s-%d" % (rig.ledgers, name, total["rounds"])
        self.names, self.count = "%s%%04d" % name, count
        self.process = subprocess.Popen(
            [SIM, "-n", str(count), "-i", self.names, "--json", "-q",
             "--ledger", self.ledger, "--backoff", "50ms", "--backoff-max",
             "500ms", "--connect-timeout", "%gs" % (5 * SLOW),
             "--message-timeout", "%gs" % (8 * SLOW), "--version", "mixed", "--seed",
             str(rig.random.randrange(1, 1 << 31)), *words,
             "ws://127.0.0.1:%d/ocpp" % rig.g.port],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)

    def written(self):
        n = 0
        d, name = os.path.split(self.ledger)
        for f in os.listdir(d):
            if f.startswith(name + "."):
                n += os.path.getsize(os.path.join(d, f))
        return n

    def end(self, allowed):
        """Ends the load, waits for every answer, and returns the summary."""
        self.process.send_signal(signal.SIGINT)
        try:
            out, err = self.process.communicate(timeout=60 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise AssertionError("ocppsim has not ended: " + err[-500:])
        assert out, err
        got = json.loads(out)
        # Every CALL must have got its own answer.
        bad = {k: n for k, n in got["errors"].items()
               if n and k not in allowed}
        assert not bad, (self.process.returncode, bad, err)
        return got

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Rig:
    """A gateway into which all faults can be injected. With redis it ships its journal to a
    server of its own, which syncs its data before it answers."""

    def __init__(self, seed, redis=False):
        self.random = random.Random(seed)
        self.redis = Server("--appendonly", "yes", "--appendfsync",
                            "always") if redis else None
        settings = {"redis_host": "127.0.0.1", "redis_port": self.redis.port,
                    "redis_timeout": "1s", "redis_connect_timeout": "1s",
                    "redis_session_ttl": "3s"} if redis else {}
        self.g = Gateway(conf=CONF, start=False, journal_retention="30d",
                         journal_segment_size="1MiB", log_level="info",
                         # The witness sends nothing while the test waits for something.
                         websocket_idle_timeout="%dms" % (4000 * SLOW),
                         **settings,
                         env={"LD_PRELOAD": SHIM, "ASAN_OPTIONS":
                              os.environ.get("ASAN_OPTIONS", "") +
                              ":verify_asan_link_order=0"})
        lib._gateways.remove(self.g)
        self.g.deaths_expected = True
        self.orders = Orders(self.g.dir + "/orders")
        self.g.env["OCPPD_FAULTS"] = self.orders.path
        self.ledgers = self.g.dir + "/ledgers"
        os.mkdir(self.ledgers)
        os.mkdir(self.g.state_dir)
        self.disk = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=%dm" % DISK_MB, "ocppd-test",
             self.g.state_dir], stderr=subprocess.DEVNULL).returncode == 0
        self.loads = []
        self.ages = {}  # the memory of each worker process at its start
        self.most_names = 0
        self.kills = 0  # deaths of workers in this round
        self.cuts = 0        # deaths of the master in this round
        self.scribbled = False  # overwritten since the last start of all processes
        try:
            self.g.start()
            if redis:
                self.redis_serves()
                # Without a first range of transaction ids no StartTransaction is answered.
                ids = self.g.state_dir + "/transaction-ids-ocppd"
                poll(lambda: os.path.exists(ids) and os.path.getsize(ids),
                     what="transaction ids")
        except BaseException:
            self.remove()
            raise
        self.baseline()

    # -- load ----------------------------------------------------------------

    def start_load(self):
        self.loads = [
            Load(self, "MIX", 60, "--rate", "%d" % (300 / SLOW), "-m", "mix",
                 "--half-open", "4", "--flap", "6", "--takeover", "6",
                 "--slow-reader", "4", "--garbage", "1", "--mischief-every",
                 "2s"),
            Load(self, "SES", 30, "--session-every", "500ms",
                 "--session-length", "1s", "--meter-every", "200ms")]
        # Waits for all charge points except those that are just reconnecting: a charge point that
        # is never connected when a short round ends counts as unreached.
        poll(lambda: self.g.stat("connections") >= 85, 30 * SLOW,
             "the fleet's arrival")
        self.progress()

    def acknowledged(self):
        return sum(l.written() for l in self.loads)

    def progress(self, bytes=20000, timeout=30 * SLOW):
        """Waits until that many further bytes were written to the ledgers."""
        before = self.acknowledged()
        poll(lambda: self.acknowledged() >= before + bytes, timeout,
             "further acknowledgements")

    def stalls(self, within=DEADLINE):
        """Waits until a commit of every worker has failed."""
        self.failed = True
        poll(lambda: all(w["journalFailing"] for w in self.g.workers()),
             within, "the failure of each journal")
        # Answers that were sent may still arrive; after them none may arrive.
        last = [-1]

        def same():
            now = self.acknowledged()
            still, last[0] = now == last[0], now
            return still
        poll(same, what="the end of acknowledgements")

    def recovers(self):
        poll(lambda: not any(w["journalFailing"] for w in self.g.workers()),
             what="the recovery of each journal")
        self.progress()

    # -- shared memory -----------------------------------------------------------

    def scribble(self, place, *names):
        """Overwrites a place of the shared memory. Returns the identities whose entries were
        changed."""
        self.scribbled = True
        seed = self.random.randrange(1, 1 << 62)
        r = subprocess.run([SCRIBBLE, str(self.g.pid), place, str(seed),
                            *names], stdout=subprocess.PIPE, text=True,
                           errors="replace")
        assert r.returncode == 0, (place, seed, r)
        return r.stdout.split("\n")[:-1]

    def mended(self, place, condition, within=5):
        """Waits until the gateway has repaired the place without help."""
        began = time.monotonic()
        poll(condition, within * SLOW, "the mending of " + place)
        total["mended_ms"].setdefault(place, []).append(
            (time.monotonic() - began) * 1000)

    # -- Redis -----------------------------------------------------------------

    def redis_serves(self):
        poll(lambda: all(w["state"] == "ready" for w in self.g.workers()) and
             self.g.stat("redis_shards_ready") == 2, 30 * SLOW,
             "the use of Redis by each worker")

    def redis_is_missed(self):
        poll(lambda: self.g.stat("redis_shards_ready") == 0,
             what="loss of Redis in each worker")

    def stream(self):
        """Returns the whole stream, which is read in pieces."""
        r, last, out = self.redis.client(), "-", []
        while True:
            some = r("XRANGE", STREAM, last, "+", "COUNT", 2000)
            out += [dict(zip(f[::2], f[1::2], strict=True)) for _, f in some]
            if len(some) < 2000:
                r.close()
                return out
            last = "(" + some[-1][0]

    def check_shipped(self):
        """Checks that the stream has each event of the journal once."""
        poll(lambda: all(n == 0 for n in map(self.g.stat, SHIPPED)),
             60 * SLOW, "the end of the backlog")
        want = set()
        for path in self.g.segments():
            with open(path, "rb") as f:
                # An incomplete line is not an event.
                want.update(re.findall(rb'^{"eventId":"([^"]+)".*\n',
                                       f.read(), re.M))
        want = {i.decode() for i in want}
        r = self.redis.client()
        poll(lambda: r("XLEN", STREAM) >= len(want), what="the last events")
        r.close()
        stream = self.stream()
        ids = [e["eventId"] for e in stream]
        assert len(ids) == len(set(ids)), "an event is in the stream twice"
        assert set(ids) == want, "not in the stream: %s; not in the journal: " \
            "%s" % (sorted(want - set(ids))[:5], sorted(set(ids) - want)[:5])
        total["shipped"] = max(total["shipped"], len(ids))
        # Writes the events as lines of a journal, for `ocppsim verify`.
        path = self.g.dir + "/stream"
        with open(path, "w", errors="surrogateescape") as f:
            for e in stream:
                f.write("{" + ",".join("%s:%s" % (json.dumps(k), v if k in (
                    "payload", "answer") else json.dumps(v))
                    for k, v in e.items()) + "}\n")
        for load in self.loads:
            r = subprocess.run([SIM, "verify", "--json", "--ledger",
                                load.ledger, "--journal", path],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, timeout=300 * SLOW)
            got = json.loads(r.stdout)
            total["unshipped"] += got["missing"]
            assert r.returncode == 0 and got["ok"] and \
                got["unreadable"] == 0 and got["events"] == len(ids), \
                ("the stream", got, r.stderr[-3000:])

    def check_sessions(self, listed, here):
        """Checks that each session that is online in Redis has a connection here, on the same
        worker."""
        want = {i: ("test", c["worker"]) for i, c in listed.items()}
        r, seen = self.redis.client(), [None]

        def online():
            there = {}
            for key in r("KEYS", SESSIONS + "*"):
                i = key[len(SESSIONS):]
                s = json.loads(r("FCALL_RO", "ocppd_session", 1, i))
                if s["state"] == "online":
                    there[i] = (s["node"], s["worker"])
            return there

        def same():
            for c in here:  # otherwise idle_timeout ends them
                c.call("Heartbeat")
            seen[0] = online()
            return seen[0] == want
        # The session of a damaged name cannot be ended in Redis. It ends when the charge point
        # connects again, which most of them have done by now.
        if self.nameless:
            for i in set(online()) - set(want):
                Charger(self.g, i).close()
        try:
            poll(same, 20 * SLOW)
        except AssertionError:
            raise AssertionError("found the sessions %s in Redis, expected %s"
                                 % (seen[0], want))
        r.close()

    # -- checks -----------------------------------------------------------------

    def descriptors(self, pid):
        """Returns the open descriptors of a quiet worker by kind, except that of the shared
        memory."""
        kinds = []
        d = "/proc/%d/fd" % pid
        for n in os.listdir(d):
            try:
                name = os.readlink(d + "/" + n)
            except OSError:
                continue
            if not name.endswith(".jsonl"):
                kinds.append(re.sub(r"\d+", "N", name.replace(" (deleted)", "")))
        return sorted(kinds)

    @staticmethod
    def memory(pid):
        """Returns the anonymous memory of a process in KiB."""
        with open("/proc/%d/status" % pid) as f:
            return int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1))

    def baseline(self):
        pid = self.g.workers()[0]["pid"]

        # After the start the file of transaction ids is open for a moment.
        def quiet():
            self.open = self.descriptors(pid)
            return not any("transaction-ids" in name for name in self.open)
        poll(quiet)

    def check_workers(self):
        for w in self.g.workers():
            pid = w["pid"]

            def same():
                return self.descriptors(pid) == self.open
            try:
                poll(same)
            except AssertionError:
                raise AssertionError("worker %d holds descriptors: %s, not %s"
                                     % (w["worker"], self.descriptors(pid),
                                        self.open))
            # Some memory is allocated once: buffers, pools, tables of libev. Apart from
            # a margin for it, the memory must not grow from round to round.
            m = self.memory(pid)
            first = self.ages.setdefault(pid, m)
            assert m < first + 8192 * SLOW, \
                "worker %d: %d KiB, %d at first" % (w["worker"], m, first)

    def resting(self):
        s = self.g.stats()
        return all(s[name] == 0 for name in RESTING)

    def check_counters(self, before):
        now = self.g.stats()
        for name in RESTING:
            assert now[name] == 0, (name, now[name])

        def grown(name):
            a, b = before.get(name, 0), now[name]
            return sum(b.values()) - sum(a.values() if a else []) \
                if isinstance(b, dict) else b - a
        if self.cuts:
            before = {}
        # Counters that were overwritten prove nothing. If the state of the workers was
        # overwritten, a session that ended meanwhile may be counted twice or not at all.
        if self.blurred:
            return
        # Every connection that was opened has ended once. (The sessions of a former start were
        # counted by counters that do not exist any more.)
        opened = grown("handshakes")
        ended = grown("closed") - (now["closed"]["gateway_died"] -
                                   before.get("closed", {}).get("gateway_died", 0))
        # A kill between claiming and counting loses one count. While the disk fails, the
        # beginnings of sessions are not durable; if their worker is killed then, they get no end.
        # That is at most one session of each charge point.
        lost = self.kills * (sum(l.count for l in self.loads) if self.failed else 1)
        assert -self.kills <= opened - ended <= lost, \
            "%d sessions opened, %d ended, %d kills" % (opened, ended,
                                                       self.kills)
        # Every connection that was accepted got one of the two answers, or ended before with its
        # worker.
        accepted = grown("accepted")
        answered = opened + grown("refused")
        if not self.kills:
            assert accepted == answered, (accepted, answered)
        total["connections"] += opened

    def check_owners(self):
        """Checks that the listed connections are the open ones, on the listed workers."""
        g = self.g
        here = [Charger(g, "OWN%02d" % i) for i in range(8)]
        listed = {c["identity"]: c for c in g.tell(
            "connections", "--limit", "100000")["connections"]}
        assert set(listed) == {c.identity for c in here}, \
            "online: %s" % sorted(listed)
        holders = {w["worker"]: inodes(w["pid"]) for w in g.workers()}
        for c in here:
            w = listed[c.identity]["worker"]
            assert server_inode(c.sock) in holders[w], \
                "%s is not at worker %d" % (c.identity, w)
            c.boot()
        if self.redis:
            self.check_sessions(listed, here)
        for c in here:
            c.close()
        poll(lambda: not g.tell("connections")["connections"],
             what="the end of all connections")
        if self.redis:
            self.check_sessions({}, [])
        # Each identity has one entry, and an identity that was never connected has none.
        every = [c["identity"] for c in g.tell("connections", "--state", "all",
                                         "--limit", "100000")["connections"]]
        assert len(every) == len(set(every)), "a name has two entries"
        strange = [n for n in every if not re.fullmatch(
            r"(MIX|SES)\d{4}|OWN\d\d|WITNESS\d?|SILENT\d+|PROBE\d*", n)]
        assert not strange, strange
        # An entry that was released is free, and is among the entries that were ever used.
        if not self.scribbled:
            assert g.tell("status")["identities"] == len(every)

    def verify(self):
        numbers = []
        for path in self.g.segments():
            with open(path, "rb") as f:
                numbers += re.findall(rb'^{"eventId":"([^"]+)".*\n',
                                      f.read(), re.M)
        assert len(numbers) == len(set(numbers)), "an event number occurs twice"
        for load in self.loads:
            r = subprocess.run([SIM, "verify", "--json", "--ledger",
                                load.ledger, "--journal", self.g.state_dir],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, timeout=300 * SLOW)
            got = json.loads(r.stdout)
            total["acknowledged"] += got["checked"]
            total["missing"] += got["missing"]
            total["starts"] += got["starts"]
            total["events"] = max(total["events"], got["events"])
            assert r.returncode == 0 and got["ok"], (got, r.stderr[-3000:])

    # -- a round -----------------------------------------------------------------

    def round(self, *faults):
        self.kills = self.cuts = 0
        self.failed = self.blurred = False
        self.nameless = scribbled_names in faults
        try:
            before = self.g.stats()
            self.start_load()
            for fault in faults:
                fault(self)
                name = fault.__name__.replace("_", " ")
                total["faults"][name] = total["faults"].get(name, 0) + 1
            self.heal()
            self.progress()
            # While there are no transaction ids, a StartTransaction is not answered: the
            # charge point sends it again, or has given up before.
            told = [l.end(("missing", "undelivered") if self.failed else ())
                    for l in self.loads]
            assert sum(t["counts"]["acknowledged"] for t in told) > 100, told
            # Half-open connections exist until idle_timeout.
            poll(self.resting, 20 * SLOW, "rest")
            self.check_counters(before)
            self.check_workers()
            self.check_owners()
            self.verify()
            if self.redis:
                self.check_shipped()
        finally:
            self.heal()
            for l in self.loads:
                l.kill()
        total["rounds"] += 1

    def heal(self):
        self.orders.clear()
        if self.redis:
            self.redis.signal(signal.SIGCONT)
        try:
            os.unlink(self.g.state_dir + "/ballast")
        except FileNotFoundError:
            pass

    def remove(self):
        self.heal()
        for name in ORDERS:
            total["shim"][name] = total["shim"].get(name, 0) + \
                self.orders.done(name)
        try:
            self.g.close()
            self.g.check_log()
        finally:
            if self.redis:
                self.redis.stop()
            if self.disk:
                subprocess.run(["umount", "-l", self.g.state_dir])
            self.g.remove()


# --- the faults ---------------------------------------------------------------

class Witness:
    """A charge point whose connection must stay open during a fault, and must be answered
    afterwards."""

    def __init__(self, rig, worker=None):
        self.c = Charger(rig.g, "WITNESS", worker=worker)
        self.c.boot()
        self.g = rig.g
        self.generation = rig.g.show("WITNESS")["generation"]

    def __enter__(self):
        return self

    def heartbeat(self):
        self.c.call("Heartbeat")

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.heartbeat()
            # The master reads without a lock and repairs nothing. It finds the entry when a worker
            # has repaired its chain.
            s = poll(lambda: self.g.show("WITNESS"), what="the entry of WITNESS")
            assert s["online"] and s["generation"] == self.generation, s
            # Messages that make events are acknowledged again too.
            self.c.call("StatusNotification", {
                "connectorId": 1, "errorCode": "NoError",
                "status": "Available"}, timeout=20 * SLOW)
            self.c.close()
        else:
            self.c.sock.close()


def killed(rig, *numbers):
    before = {w["worker"]: w["starts"] for w in rig.g.workers()}
    for n in numbers:
        rig.g.kill_worker(n)
        rig.kills += 1
    began = time.monotonic()

    def back():
        return all(w["state"] == "ready" and w["starts"] > before[w["worker"]]
                   for w in rig.g.workers() if w["worker"] in numbers)
    poll(back, what="the readiness of the successor")
    total["down_ms"].append((time.monotonic() - began) * 1000)


def kill_of_a_worker(rig):
    n = rig.random.randrange(2)
    with Witness(rig, worker=1 - n):
        killed(rig, n)
    rig.progress()


def kill_of_all_workers(rig):
    killed(rig, 0, 1)
    rig.progress()


def kill_of_a_stopped_worker(rig):
    n = rig.random.randrange(2)
    os.kill(rig.g.worker_pid(n), signal.SIGSTOP)
    rig.progress(5000)
    killed(rig, n)
    rig.progress()


def stop_of_a_worker(rig):
    n = rig.random.randrange(2)
    pid = rig.g.worker_pid(n)
    with Witness(rig, worker=1 - n) as w:
        os.kill(pid, signal.SIGSTOP)
        try:
            rig.progress(10000)
            w.heartbeat()
        finally:
            os.kill(pid, signal.SIGCONT)
        rig.progress()
    assert rig.g.worker_pid(n) == pid


def stop_of_the_master(rig):
    with Witness(rig) as w:
        os.kill(rig.g.pid, signal.SIGSTOP)
        try:
            rig.progress()
            w.heartbeat()
            p = Charger(rig.g, "PROBE")     # new charge points are served too
            p.boot()
            p.close()
        finally:
            os.kill(rig.g.pid, signal.SIGCONT)
        rig.g.tell("status")


def serve_again(rig):
    """Starts the gateway until it stays up, as an init system would do it."""
    def ready():
        if rig.g.process.poll() is not None:
            rig.g.start(wait=False)
        try:
            code, body = rig.g.ask("-j", "workers")
        except OSError:
            return False
        return code == 200 and all(w["state"] == "ready"
                                   for w in json.loads(body))
    poll(ready, 30 * SLOW, "a new master")


def kill_of_the_master(rig):
    pids = [w["pid"] for w in rig.g.workers()]
    rig.g.process.kill()
    rig.g.process.wait()
    rig.cuts += 1
    rig.scribbled = False
    began = time.monotonic()
    serve_again(rig)
    total["down_ms"].append((time.monotonic() - began) * 1000)
    for pid in pids:
        poll(lambda: not alive(pid), what="the end of a worker without a master")
    rig.progress()


def kill_of_everything(rig):
    rig.g.kill_everything()
    rig.cuts += 1
    rig.scribbled = False
    # A thread that waits for the disk may live a moment longer than its process and keep the
    # port.
    rig.g.start(wait=False)
    serve_again(rig)
    rig.progress()


def full_disk(rig):
    with Witness(rig) as w:
        if rig.disk:
            with open(rig.g.state_dir + "/ballast", "wb") as f:
                v = os.statvfs(rig.g.state_dir)
                left = v.f_bavail * v.f_frsize
                while left >= 4096:
                    try:
                        os.posix_fallocate(f.fileno(), os.fstat(
                            f.fileno()).st_size, left)
                    except OSError:
                        left //= 2
        else:
            rig.orders.give("write", errno.ENOSPC)
        rig.stalls()
        poll(lambda: rig.g.ask("-j", "health")[0] == 220, what="a problem in health")
        w.heartbeat()
        rig.heal()
        rig.recovers()


def failing_disk(rig):
    """EIO, first for writes, then for syncs."""
    for what in "write", "sync":
        with Witness(rig) as w:
            rig.orders.give(what, errno.EIO)
            rig.stalls()
            w.heartbeat()
            rig.heal()
            rig.recovers()


def kill_while_the_disk_fails(rig):
    """The successor of a killed worker starts while the disk fails."""
    what = rig.random.choice(["write", "sync"])
    rig.orders.give(what, errno.EIO)
    rig.stalls()
    n = rig.random.randrange(2)
    pid = rig.g.kill_worker(n)
    rig.kills += 1
    # A worker that cannot sync its segments ends, and is started again until it can.
    starts = rig.g.workers()[n]["starts"]
    poll(lambda: rig.g.workers()[n]["starts"] > starts or
         rig.g.workers()[n]["pid"] not in (0, pid),
         30 * SLOW, "a successor's start")
    rig.heal()
    poll(lambda: all(w["state"] == "ready" for w in rig.g.workers()),
         30 * SLOW, "the readiness of all workers")
    rig.recovers()


def slow_disk(rig):
    with Witness(rig) as w:
        commits = rig.g.stat("commits")
        rig.orders.give("sync_ms", 300)
        rig.orders.give("write_ms", 50)
        poll(lambda: rig.g.stat("commits") >= commits + 4, what="4 commits")
        w.heartbeat()  # it needs no commit and does not wait
        rig.progress(5000)
        rig.heal()


def no_descriptor(rig):
    """accept fails: open connections stay open, and new ones wait."""
    refuse_to_accept(rig, errno.EMFILE)


def no_kernel_memory(rig):
    refuse_to_accept(rig, errno.ENOMEM)


def refuse_to_accept(rig, err):
    with Witness(rig) as w:
        before = rig.g.stat("accept_errors")
        rig.orders.give("accept", err)
        try:
            c = Charger(rig.g, "PROBE", open=False)
            c.raw(c.request())
            poll(lambda: rig.g.stat("accept_errors") > before,
                 what="a failure of accept")
            w.heartbeat()
        finally:
            rig.orders.give("accept", 0)
        assert c.response().status == 101
        c.boot()
        c.close()


def clock_jumps(rig):
    """The wall clock is set a day ahead, then a year back, and then right again."""
    with Witness(rig) as w:
        for ms in 86400000, -365 * 86400000, 0:
            rig.orders.give("clock_ms", ms)
            rig.progress(5000)
            w.heartbeat()
            c = Charger(rig.g, "PROBE")
            c.boot()
            c.close()
    # Event numbers continue to increase, even if the clock was set back.
    ids = [e["eventId"] for e in rig.g.events(type="session.connected",
                                               cp="PROBE")]
    assert ids == sorted(ids)


def half_open(rig):
    """Twenty charge points send nothing more, but their sockets stay open."""
    silent = [Charger(rig.g, "SILENT%d" % i) for i in range(20)]

    def gone():
        online = rig.g.tell("connections", "--match", "SILENT*")
        return not online["connections"]
    poll(gone, 15 * SLOW, "their end by idle_timeout")
    for c in silent:
        c.sock.close()


def reload_of_good_and_bad(rig):
    with Witness(rig) as w:
        with open(rig.g.conf, "w") as f:
            f.write(CONF.replace("heartbeat_interval = 10s",
                                 "heartbeat_interval = 20s"))
        assert rig.g.run("reload").returncode == 0
        c = Charger(rig.g, "PROBE")
        poll(lambda: c.boot()["interval"] == 20, what="the new interval")
        for wrong in ("\n[ocpp]\nno_such_key = 1\n",
                      "\n[server]\nworkers = many\n", "\n[ocpp\n"):
            with open(rig.g.conf, "w") as f:
                f.write(CONF + wrong)
            r = rig.g.run("reload")
            assert r.returncode == 1 and r.stdout + r.stderr, r
            assert c.boot()["interval"] == 20
            w.heartbeat()
        with open(rig.g.conf, "w") as f:
            f.write(CONF)
        assert rig.g.run("reload").returncode == 0
        c.close()


def worker_restart(rig):
    n = rig.random.randrange(2)
    starts = rig.g.workers()[n]["starts"]
    with Witness(rig, worker=1 - n) as w:
        assert rig.g.run("worker-restart", n).returncode == 0
        w.heartbeat()
        poll(lambda: rig.g.workers()[n]["starts"] > starts and
             rig.g.workers()[n]["state"] == "ready", what="the readiness of the successor")


# --- Redis

class Away:
    """Redis is killed. Charge points are served, and afterwards each worker connects to Redis
    again."""

    def __init__(self, rig):
        self.rig = rig

    def __enter__(self):
        self.began = time.monotonic()
        self.rig.redis_is_missed()
        self.rig.progress()
        p = Charger(self.rig.g, "PROBE")
        p.boot()
        p.close()

    def __exit__(self, kind, value, trace):
        if kind is None:
            total["away_ms"].append((time.monotonic() - self.began) * 1000)
            self.rig.redis_serves()
            self.rig.progress()


def kill_of_redis(rig):
    with Witness(rig) as w:
        rig.redis.kill()
        with Away(rig):
            w.heartbeat()
            rig.redis.start()


def stop_of_redis(rig):
    """Redis does not answer for longer than redis.timeout, but the connection stays open."""
    with Witness(rig) as w:
        rig.redis.signal(signal.SIGSTOP)
        with Away(rig):
            w.heartbeat()
            rig.redis.signal(signal.SIGCONT)


def kill_of_a_stopped_redis(rig):
    rig.redis.signal(signal.SIGSTOP)
    with Away(rig):
        rig.redis.kill()
        rig.redis.start()


def kill_of_redis_again_and_again(rig):
    """Redis fails again while the workers are still connecting to it."""
    shipped = rig.g.stat("shipped")
    for _ in range(4):
        rig.redis.kill()
        rig.progress(2000)
        rig.redis.start()
    rig.redis_serves()
    poll(lambda: rig.g.stat("shipped") > shipped, what="shipping of further events")
    rig.progress()


def kill_of_redis_and_a_worker(rig):
    """The successor of a killed worker starts without Redis."""
    n = rig.random.randrange(2)
    with Witness(rig, worker=1 - n):
        rig.redis.kill()
        with Away(rig):
            killed(rig, n)
            rig.redis.start()


def kill_of_all_workers_while_redis_is_stopped(rig):
    """Redis is killed while it is stopped: requests without a reply may have been executed or
    not."""
    rig.redis.signal(signal.SIGSTOP)
    killed(rig, 0, 1)
    with Away(rig):
        rig.redis.signal(signal.SIGCONT)


def redis_without_memory(rig):
    """Redis refuses to write, and answers everything else."""
    with Witness(rig) as w:
        r = rig.redis.client()
        r("CONFIG", "SET", "maxmemory", 1)
        poll(lambda: rig.g.stat("ship_lag_ms") > 1000,
             what="events that wait")
        rig.progress()
        w.heartbeat()
        r("CONFIG", "SET", "maxmemory", 0)
        r.close()
        shipped = rig.g.stat("shipped")
        poll(lambda: rig.g.stat("shipped") > shipped, what="shipping of further events")
        rig.redis_serves()


# --- stray stores into the shared memory

def harmless(fault):
    """Checks a fault that kills no process except those that the test kills."""
    def run(rig):
        def deaths():
            return len(re.findall(
                r"master: (worker \d+: pid \d+ (was|exited(?!.*after the hand-over))|"
                r"admin: the proc)",
                rig.g.log())) - rig.kills
        before = deaths()
        fault(rig)
        assert rig.g.process.poll() is None, "the master has died"
        assert deaths() == before, "a process has died: " + rig.g.log()[-3000:]
    run.__name__ = fault.__name__
    return run


def comes_back(rig, place, quiet=False):
    """The connection is closed at its next message or at the next sweep, because it does not
    own the identity any more; the charge point connects again."""
    c = Charger(rig.g, "WITNESS")
    c.boot()
    c.auto_pong = not quiet
    assert rig.scribble(place, "WITNESS") == ["WITNESS"]
    if quiet:
        began = time.monotonic()
        c.wait_closed(1008, timeout=5 * SLOW)
        total["mended_ms"].setdefault(place + " of quiet ones", []).append(
            (time.monotonic() - began) * 1000)
    else:
        def told():
            try:
                c.call("Heartbeat")
                if place == "names":
                    c.call("StatusNotification", {
                        "connectorId": 1, "errorCode": "NoError",
                        "status": "Available"})
                    raise AssertionError("a message was acknowledged under a damaged name")
            except Closed as e:
                return e.code == 1008
            return False
        rig.mended(place, told)
    poll(lambda: not rig.g.online(c.identity))
    again = Charger(rig.g, c.identity)
    again.boot()
    again.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError",
                                      "status": "Available"})
    assert rig.g.online(c.identity)
    again.close()


@harmless
def scribbled_owners(rig):
    comes_back(rig, "owners")
    comes_back(rig, "owners", quiet=True)
    # The owner of an offline identity is read only when it is asked for.
    poll(lambda: not rig.g.online("WITNESS"))
    rig.scribble("owners", "WITNESS")
    assert rig.g.call("WITNESS", "ClearCache")["outcome"] == "offline"
    assert not rig.g.online("WITNESS")
    rig.scribble("owners")
    rig.progress()


@harmless
def scribbled_names(rig):
    """The entry of a damaged name has no owner, so no message is accepted under it."""
    comes_back(rig, "names")
    comes_back(rig, "names", quiet=True)
    rig.scribble("names")
    rig.progress()


@harmless
def scribbled_chains(rig):
    """Chains that leave the table or have no end are rebuilt."""
    with Witness(rig) as w:
        for place in "chains", "counts", "chains":
            rig.scribble(place)
            w.heartbeat()
            p = Charger(rig.g, "PROBE")
            p.boot()
            p.close()
            assert rig.g.tell("connections", "--limit", "1000")
            rig.progress(5000)


@harmless
def scribbled_configuration(rig):
    """No process uses a damaged part, not even a worker that starts at this moment."""
    n = rig.random.randrange(2)
    with Witness(rig, worker=1 - n) as w:
        rig.scribble("config")
        rig.g.kill_worker(n)
        rig.kills += 1
        rig.mended("config", lambda: "configuration in shared memory was "
                   "overwritten" in rig.g.log())
        # The delay increases with each death in the former rounds.
        poll(lambda: all(x["state"] == "ready" for x in rig.g.workers()),
             timeout=60 * SLOW, what="the readiness of the successor")
        w.heartbeat()
        c = Charger(rig.g, "PROBE", worker=n)
        assert c.boot()["interval"] == 10
        c.close()


@harmless
def scribbled_words_of_workers(rig):
    rig.blurred = True
    want = [(w["pid"], w["state"]) for w in rig.g.workers()]
    with Witness(rig) as w:
        rig.scribble("workers")
        rig.g.tell("status")
        rig.g.tell("health")
        w.heartbeat()
        rig.mended("workers", lambda: want == [
            (w["pid"], w["state"]) for w in rig.g.workers()])
        rig.mended("workers", lambda: not rig.g.tell("status")["draining"])
        w.heartbeat()
        assert rig.g.ask("log-level", "info")[0] == 200
        rig.progress()


@harmless
def scribbled_gauges(rig):
    """For a second the gateway refuses handshakes as too many."""
    with Witness(rig):
        rig.scribble("gauges")

        def served():
            c = Charger(rig.g, "PROBE", open=False)
            c.raw(c.request())
            status = c.response().status
            c.sock.close()
            return status == 101
        rig.mended("gauges", served)
        rig.progress()


@harmless
def scribbled_numbers(rig):
    """Only the figures in reports are wrong."""
    rig.blurred = True
    with Witness(rig):
        for place in "refusals", "counters":
            rig.scribble(place)
            for words in (("refused", "--limit", "128"), ("stats",),
                          ("health",), ("workers",)):
                rig.g.tell(*words)
        rig.progress()


@harmless
def scribbled_sequence(rig):
    """With the sequence set back, event numbers still increase."""
    with Witness(rig):
        for _ in range(3):
            rig.scribble("sequence")
            rig.progress(5000)


FAULTS = [kill_of_a_worker, kill_of_all_workers, kill_of_a_stopped_worker,
          stop_of_a_worker, stop_of_the_master, kill_of_the_master,
          kill_of_everything, full_disk, failing_disk,
          kill_while_the_disk_fails, slow_disk, no_descriptor,
          no_kernel_memory, clock_jumps, half_open, reload_of_good_and_bad,
          worker_restart, scribbled_owners, scribbled_names,
          scribbled_chains, scribbled_configuration,
          scribbled_words_of_workers, scribbled_gauges, scribbled_numbers,
          scribbled_sequence]
REDIS_FAULTS = [kill_of_redis, stop_of_redis, kill_of_a_stopped_redis,
                kill_of_redis_again_and_again, kill_of_redis_and_a_worker,
                kill_of_all_workers_while_redis_is_stopped,
                redis_without_memory]


# --- each fault once --------------------------------------------------------------

_rigs = {}      # one without Redis, one with it


def each(*faults, redis=False):
    for program in SHIM, SCRIBBLE:
        if not os.path.exists(program):
            raise AssertionError("%s is missing: run make check-programs"
                                 % program)
    if redis not in _rigs:
        _rigs[redis] = Rig(int(os.environ.get("OCPPD_TEST_SEED", "1")), redis)
    try:
        _rigs[redis].round(*faults)
    except BaseException:
        rig = _rigs.pop(redis)
        print("--- log:\n" + rig.g.log()[-5000:])
        try:
            rig.remove()
        except AssertionError as e:
            print(e)
        raise


def test_if_workers_are_killed_or_stopped_no_acknowledged_message_is_lost():
    each(kill_of_a_worker, stop_of_a_worker, kill_of_a_stopped_worker,
         worker_restart, kill_of_all_workers)


def test_if_the_master_is_stopped_or_killed_no_acknowledged_message_is_lost():
    each(stop_of_the_master, kill_of_the_master)


def test_if_all_processes_are_killed_no_acknowledged_message_is_lost():
    each(kill_of_everything)


def test_if_the_disk_is_full_slow_or_fails_no_acknowledged_message_is_lost():
    each(full_disk, failing_disk, slow_disk)


def test_if_a_worker_dies_while_the_disk_fails_a_successor_serves():
    each(kill_while_the_disk_fails)


def test_if_accept_fails_or_the_clock_jumps_connections_stay_open():
    each(no_descriptor, no_kernel_memory, clock_jumps)


def test_silent_charge_points_and_wrong_configurations_affect_no_other_connection():
    each(half_open, reload_of_good_and_bad)


def test_damaged_registry_entries_are_repaired():
    each(scribbled_owners, scribbled_names, scribbled_chains,
         scribbled_sequence)


def test_damaged_state_of_master_and_workers_is_repaired():
    each(scribbled_configuration, scribbled_words_of_workers,
         scribbled_gauges, scribbled_numbers)


def test_if_redis_and_workers_are_killed_or_stopped_each_event_is_shipped_once():
    each(kill_of_redis, stop_of_redis, kill_of_redis_and_a_worker,
         kill_of_all_workers_while_redis_is_stopped, redis=True)


def test_if_redis_refuses_to_write_or_dies_repeatedly_each_event_is_shipped_once():
    each(redis_without_memory, kill_of_redis_again_and_again,
         kill_of_a_stopped_redis, redis=True)


# --- faults at random, for hours ---------------------------------------------------

def report():
    down = sorted(total["down_ms"])
    print("%d rounds, %d faults, %d connections, %d acknowledged messages "
          "checked, %d starts, %d missing" % (
              total["rounds"], sum(total["faults"].values()),
              total["connections"], total["acknowledged"], total["starts"],
              total["missing"]))
    for name in sorted(total["faults"]):
        print("  %5d  %s" % (total["faults"][name], name))
    if down:
        print("  after a kill ready again: median %.0f ms, worst %.0f ms" % (
            down[len(down) // 2], down[-1]))
    for place, ms in sorted(total["mended_ms"].items()):
        print("  repaired: %s %d times, within %.0f ms" % (place, len(ms),
                                                         max(ms)))
    if total["away_ms"]:
        print("  events in the stream at most %d, acknowledged and not in it "
              "%d; Redis away for %.1f s at most" % (
                  total["shipped"], total["unshipped"],
                  max(total["away_ms"]) / 1000))
    print("  failures that were ordered and have happened: %s" % ", ".join(
        "%s %d" % kv for kv in sorted(total["shim"].items())))
    sys.stdout.flush()


def soak(minutes, seed):
    print("seed %d" % seed)
    rnd = random.Random(seed)
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        redis = rnd.random() < 0.5
        rig = Rig(rnd.randrange(1 << 31), redis)
        try:
            # A new state directory is used from time to time, because verify reads the whole
            # journal.
            for _ in range(20):
                if time.monotonic() >= end:
                    break
                chosen = [rnd.choice(FAULTS + REDIS_FAULTS * redis)
                          for _ in range(rnd.randrange(1, 5))]
                print("round %d%s: %s" % (
                    total["rounds"], " with Redis" * redis, ", ".join(
                        f.__name__.replace("_", " ") for f in chosen)))
                sys.stdout.flush()
                rig.round(*chosen)
        except BaseException:
            kept = "faults-%d" % seed
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(rig.g.dir, kept, ignore=shutil.ignore_patterns(
                "*.sock", "ballast"))
            print("--- log, journal and ledgers are in %s" % kept)
            traceback.print_exc()
            try:
                rig.remove()
            except AssertionError as e:
                print(e)
            report()
            sys.exit(1)
        rig.remove()
    report()


if __name__ == "__main__":
    if any(a.startswith("--") for a in sys.argv[1:]):
        import argparse
        a = argparse.ArgumentParser()
        a.add_argument("--minutes", type=float, default=60)
        a.add_argument("--seed", type=int,
                       default=int.from_bytes(os.urandom(4), "little"))
        a = a.parse_args()
        lib.resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        soak(a.minutes, a.seed)
    else:
        import atexit
        atexit.register(lambda: [r.remove() for r in _rigs.values()])
        main()
