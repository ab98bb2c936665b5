#!/usr/bin/python3
"""No event loop waits for anything outside the process. Everything on which a gateway
depends hangs, one after the other, while 200 charge points are connected. Meanwhile all of
them are served, no worker is aborted, and requests that had to wait continue when the hang
ends.

OCPPD_TEST_LONG=1: each hang lasts 60 s instead of 8 s."""

import functools
import hashlib
import itertools

import auth
from lib import *
from redis_resp import Server
from service import Syslog

HANG_S = 60 if os.environ.get("OCPPD_TEST_LONG") else 8
# A Heartbeat must be answered within this time. On a machine with other work, a process
# may wait for the processor. Therefore two times are added: the time that a worker and
# this thread waited according to the kernel, and the duration of an exchange with a
# process that only echoes. On a quiet machine both are a few ms.
WITHIN = 0.1 * SLOW
CHARGERS = 200

# Kinds of system calls, as in fault_shim.c.
SYNC, LOCK, OPEN, READ, WRITE, NAME = 1, 2, 4, 8, 16, 32
CLOCK_MS, HANG, HANG_COUNT, PATTERN = 5, 6, 22, 512
STEP, STEP_SKIP, STEP_AT = 9, 10, 768


def datagram(word):
    """Returns the bytes with which a datagram of channel.h begins."""
    with open(os.path.join(ROOT, "common", "channel.def")) as f:
        words = re.findall(r"^CHANNEL\((\w+),", f.read(), re.M)
    return "#%d " % words.index(word)


class Shim:
    """Makes system calls of the gateway hang."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="ocppd-shim-")
        self.file.write(bytes(STEP_AT + 64))
        self.file.flush()
        os.chmod(self.file.name, 0o666)
        self.env = {"LD_PRELOAD": os.path.join(B, "fault_shim.so"),
                    "OCPPD_FAULTS": self.file.name,
                    # With ASan the shim comes first as well.
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
                    ":verify_asan_link_order=0"}

    def put(self, at, data):
        os.pwrite(self.file.fileno(), data, at)

    def hang(self, calls, pattern):
        self.put(PATTERN, pattern.encode() + b"\0")
        self.put(8 * HANG, struct.pack("=q", calls))
        self.since = time.monotonic()

    def go_on(self):
        self.put(8 * HANG, struct.pack("=q", 0))

    def stop_before(self, text, skip=0):
        """Makes a process wait before it sends a message that begins with this text."""
        self.put(STEP_AT, text.encode() + b"\0")
        self.put(8 * STEP_SKIP, struct.pack("=q", skip))
        self.put(8 * STEP, struct.pack("=q", 1))

    def sender(self):
        """Returns the pid of the process that waits, or 1 if there is none."""
        return struct.unpack("=q", os.pread(self.file.fileno(), 8, 8 * STEP))[0]

    def resume(self):
        self.put(8 * STEP, struct.pack("=q", 0))

    def hit(self):
        """Returns how many calls have hung."""
        data = os.pread(self.file.fileno(), 8, 8 * HANG_COUNT)
        return struct.unpack("=q", data)[0]


class Fleet:
    """Charge points that take turns in sending Heartbeats, and the times that each waited for
    its answer."""

    def __init__(self, g, n=CHARGERS, **handshake):
        self.g = g
        self.chargers = [Charger(g, "W%03d" % i, timeout=30, **{
            k: v("W%03d" % i) if callable(v) else v
            for k, v in handshake.items()}) for i in range(n)]
        for c in self.chargers:
            c.boot()
        self.pids = [w["pid"] for w in g.workers()]
        self.beating = self.chargers[:]
        self.times, self.control, self.busy = [], [], []

    def waited(self):
        """Returns the seconds for which this thread and each worker were ready to run but did
        not run."""
        n = []
        for who in ["thread-self"] + self.pids:
            with open("/proc/%s/schedstat" % who) as f:
                n.append(int(f.read().split()[1]) / 1e9)
        return n

    def beat(self):
        for c in itertools.cycle(self.beating):
            if self.over.is_set():
                return
            waited, began = self.waited(), time.monotonic()
            c.call("Heartbeat")
            ended = time.monotonic()
            own, *workers = [b - a for a, b in zip(waited, self.waited(), strict=True)]
            # One worker answers; the times that the others waited do not count.
            self.times.append((began, ended, own + max(workers)))
            self.over.wait(0.01)

    def ask(self):
        """Measures how long the master's loop takes to answer."""
        while not self.over.is_set():
            began = time.monotonic()
            self.g.tell("status")
            self.control.append(time.monotonic() - began)
            self.over.wait(0.2)

    def watch(self):
        """Measures an exchange with a process that only echoes. It shows how busy the machine
        is with other work."""
        echo = subprocess.Popen(["cat"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, bufsize=0)
        while not self.over.is_set():
            began = time.monotonic()
            echo.stdin.write(b"x")
            echo.stdout.read(1)
            self.busy.append((began, time.monotonic()))
            self.over.wait(0.01)
        echo.stdin.close()
        echo.wait()
        echo.stdout.close()

    def __enter__(self):
        self.over = threading.Event()
        self.threads = [background(f) for f in (self.beat, self.ask, self.watch)]
        return self

    def __exit__(self, *why):
        self.over.set()
        for t in self.threads:
            t.wait()
        if why[0] is not None:
            return
        assert len(self.times) > 50 and len(self.control) > 3
        for began, ended, waited in self.times:
            if ended - began >= WITHIN:
                echo = max((b - a for a, b in self.busy if a < ended and b > began),
                           default=0)
                assert ended - began < WITHIN + waited + echo, \
                    "a Heartbeat took %.0f ms; a worker and the test waited %.0f ms for the " \
                    "processor, an echo took %.0f ms" % (
                        1000 * (ended - began), 1000 * waited, 1000 * echo)
        # The control socket may log one report; a second one would show that it waited.
        assert max(self.control) < 1.0 * SLOW, max(self.control)
        assert [w["pid"] for w in self.g.workers()] == self.pids
        assert all(self.g.online(c.identity) for c in self.chargers)


def gateway(shim=None, **settings):
    settings.setdefault("server_workers", 2)
    settings.setdefault("server_stuck_timeout", "3s")
    settings.setdefault("websocket_idle_timeout", "600s")
    settings.setdefault("log_level", "info")
    return Gateway(env=shim.env if shim else None, **settings)


def test_a_worker_that_stops_for_150_ms_is_detected():
    """Tests the check of the other tests, which takes the load of the machine into account."""
    g = gateway()
    try:
        with Fleet(g, 60) as f:
            for _ in range(5):
                for sign, wait in ((signal.SIGSTOP, 1.5 * WITHIN), (signal.SIGCONT, 0)):
                    for p in f.pids:
                        os.kill(p, sign)
                    time.sleep(wait)
                n = len(f.times)
                poll(lambda: len(f.times) > n + 20)
    except AssertionError as e:
        assert "a Heartbeat took" in str(e), e
    else:
        raise AssertionError("the judge has noticed nothing")
    g.close()


def last(since, seconds=HANG_S):
    """Waits until a hang has lasted that long; a hang has no other effect to wait for."""
    time.sleep(max(since + seconds - time.monotonic(), 0))


METER = {"connectorId": 1, "meterValue": [
    {"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [{"value": "1"}]}]}


def test_no_loop_waits_while_the_journals_disk_hangs_in_fsync():
    shim = Shim()
    g = gateway(shim)
    fleet = Fleet(g)
    waiting = [fleet.beating.pop() for _ in range(20)]
    with fleet:
        shim.hang(SYNC, ".jsonl")
        ids = [c.put("MeterValues", METER) for c in waiting]
        poll(lambda: shim.hit() >= 1)
        poll(lambda: "journal of worker" in str(g.tell("health")["problems"]) and
             "waits for its disk" in str(g.tell("health")["problems"]),
             what="the problem in the health report")
        assert g.tell("health")["journal"]["status"] == "stalled" and g.stat("journal_stalled") > 0
        last(shim.since)
        assert all(not select.select([c.sock], [], [], 0)[0] or
                   not any_answer(c) for c in waiting), "not durable"
        shim.go_on()
        for c, id in zip(waiting, ids):
            assert c.get(id) == {}
        poll(lambda: g.ask("health")[0] == 200, what="a health report without the problem")


def test_an_answer_waits_for_the_commit_of_its_own_event():
    # The second event is written while the fdatasync of the first one hangs. After the
    # commit of the first one only the first answer may be sent.
    shim = Shim()
    g = gateway(shim, server_workers=1)
    first, second = Charger(g, "FIRST"), Charger(g, "SECOND")
    first.boot()
    second.boot()
    shim.hang(SYNC, ".jsonl")
    a = first.put("MeterValues", METER)
    poll(lambda: shim.hit() == 1, what="the first event in fdatasync")
    b = second.put("MeterValues", METER)
    poll(lambda: g.stat("answers_held") == 2, what="both answers held")
    # Now writes hang instead of fdatasync: the first commit ends, and the second one begins
    # and hangs.
    shim.hang(WRITE, ".jsonl")
    assert first.get(a) == {}
    poll(lambda: shim.hit() == 2, what="the second event in pwrite")
    # get() fails if the answer is to another CALL.
    assert "currentTime" in second.call("Heartbeat")
    assert g.stat("answers_held") == 1
    shim.go_on()
    assert second.get(b) == {}


def any_answer(c):
    """Reads one message. Returns True if there was a message other than pings."""
    try:
        c.message(0.001)
        return True
    except TimeoutError:
        return False


def starts(chargers, first, n):
    """Starts more transactions at once than ids are reserved."""
    return [(c, c.put("StartTransaction", {
        "connectorId": 1, "idTag": "T", "meterStart": first + k,
        "timestamp": "2026-01-31T12:00:00Z"}))
        for c in chargers for k in range(n)]


def taken(put):
    got = [c.get(id)["transactionId"] for c, id in put]
    assert len(set(got)) == len(got), "a transaction id occurs twice"
    return got


def test_no_loop_waits_while_the_disk_of_the_transaction_ids_hangs():
    shim = Shim()
    g = gateway(shim, server_workers=1)
    fleet = Fleet(g)
    waiting = [fleet.beating.pop() for _ in range(60)]
    with fleet:
        shim.hang(SYNC, "transaction-ids")
        # Some ids were reserved before, so these StartTransactions are answered.
        assert len(taken(starts(waiting, 0, 15))) == 900
        poll(lambda: shim.hit() >= 1)
        poll(lambda: g.stat("helpers_late") == 1)
        assert any("waits for a disk" in p
                   for p in g.tell("health")["problems"])
        last(shim.since)
        shim.go_on()
        poll(lambda: g.stat("helpers_late") == 0)
        assert len(taken(starts(waiting, 1000, 15))) == 900
    g.wait_log("the file of transaction ids has not answered")
    g.wait_log("the file of transaction ids answers again")


def test_a_counter_of_transaction_ids_that_cannot_be_used_is_reported():
    for content, words in ((b"\xff garbage\n", "holds no transaction id"),
                           (b"%020d\n" % 2147483647, "are used up")):
        g = Gateway(server_workers=1, journal_stall_time="1s", start=False)
        os.mkdir(g.state_dir)
        with open(g.state_dir + "/transaction-ids", "wb") as f:
            f.write(content)
        g.start()
        poll(lambda: g.stat("ids_failing") == 1)
        g.wait_log(words)
        health = g.tell("health")
        assert health["status"] == "degraded" and any(
            "no transaction ids" in p for p in health["problems"]), health
        # Without an answer the charge point would use up its attempts. The gateway prevents that
        # by closing the connection.
        c = Charger(g, "CP1")
        c.boot()
        c.put("StartTransaction", {"connectorId": 1, "idTag": "A", "meterStart": 0,
                                   "timestamp": "2026-01-31T12:00:00Z"})
        c.wait_closed(1013, reason="transaction id")
        with open(g.state_dir + "/transaction-ids", "wb") as f:
            f.write(b"5000\n")

        def started():  # the worker checks the file again only after some time
            try:
                return Charger(g, "CP1").start()["transactionId"]
            except Closed:
                return None
        # An id that was reserved for a CALL whose connection ended is not used again.
        assert 5000 <= poll(started) < 5010
        assert g.stat("ids_failing") == 0 and g.tell("health")["problems"] == []
        g.stop()


def test_no_loop_waits_while_another_process_locks_the_transaction_ids():
    g = gateway(server_workers=1)
    fleet = Fleet(g)
    waiting = [fleet.beating.pop() for _ in range(60)]
    with open(g.state_dir + "/transaction-ids", "r+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        since = time.monotonic()
        with fleet:
            assert len(taken(starts(waiting, 0, 15))) == 900
            poll(lambda: g.stat("helpers_late") == 1)
            last(since)
            fcntl.flock(f, fcntl.LOCK_UN)
            poll(lambda: g.stat("helpers_late") == 0)
            assert len(taken(starts(waiting, 1000, 15))) == 900


def with_redis(function):
    """Ends the servers of a test, also stopped ones."""
    def run():
        servers = []

        def redis(*options, **kw):
            servers.append(Server("--appendonly", "yes", *options, **kw))
            return servers[-1]
        try:
            function(redis)
        finally:
            for s in servers:
                s.stop()
    run.__name__ = function.__name__
    return run


def redis_ready(g):
    poll(lambda: g.stat("redis_shards_ready") >= 2, what="the connections to Redis")


@with_redis
def test_no_loop_waits_while_the_name_server_hangs(redis):
    s = redis()
    shim = Shim()
    g = gateway(shim, redis_host="localhost", redis_port=s.port,
                redis_timeout="2s", redis_connect_timeout="1s")
    redis_ready(g)
    fleet = Fleet(g)
    shim.hang(NAME, "localhost")
    with fleet:
        # The address that was found before is still used.
        s.client()("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        poll(lambda: shim.hit() >= 2, 30)
        n = g.stat("redis_connects")
        last(shim.since)
        redis_ready(g)
        shim.go_on()
    # A gateway that starts during the hang serves charge points too.
    shim.hang(NAME, "localhost")
    other = gateway(shim, redis_host="localhost", redis_port=s.port,
                    server_node="other", redis_connect_timeout="1s")
    fleet = Fleet(other, 20)
    with fleet:
        began = time.monotonic()
        poll(lambda: other.log().count("name server") >= 1)
        last(began, HANG_S / 4)
        assert other.stat("redis_shards_ready") == 0
        shim.go_on()
        redis_ready(other)


@with_redis
def test_no_loop_waits_while_redis_hangs(redis):
    s = redis()
    g = gateway(redis_host="127.0.0.1", redis_port=s.port,
                redis_timeout="2s", redis_connect_timeout="1s")
    redis_ready(g)
    fleet = Fleet(g)
    with fleet:
        s.signal(signal.SIGSTOP)
        last(time.monotonic())
        s.signal(signal.SIGCONT)
        redis_ready(g)


@with_redis
def test_no_loop_waits_while_the_disk_of_the_shipping_state_hangs(redis):
    s, shim = redis(), Shim()
    g = gateway(shim, redis_host="127.0.0.1", redis_port=s.port)
    redis_ready(g)
    fleet = Fleet(g)
    shim.hang(OPEN, ".shipped")
    with fleet:
        poll(shim.hit, 30, "a call that hangs")
        poll(lambda: g.stat("helpers_late") > 0, 30, "the hang to be reported")
        for i in range(20):
            Charger(g, "X%d" % i).boot()  # its events are shipped to Redis again
        poll(lambda: g.stat("ship_lag_ms") == 0, 30, "all events in Redis")
        last(shim.since, HANG_S / 4)
        shim.go_on()
        poll(lambda: g.stat("helpers_late") == 0, 30, "the end of it")
    hints = os.path.join(g.state_dir, "journal", "w000.shipped")
    poll(lambda: os.path.exists(hints), 30, "the file")


def test_new_connections_do_not_wait_for_a_worker_that_hangs():
    g = gateway(server_stuck_timeout="60s")
    here = [Charger(g, "H%d" % i, worker=i % 2) for i in range(4)]
    pid = g.worker_pid(0)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        # The kernel gives about half of a dozen new connections to the worker that hangs.
        new = [Charger(g, "N%02d" % i, open=False) for i in range(12)]
        for c in new:
            c.raw(c.request())
        for c in new:
            assert c.response().status == 101
            assert c.boot()["status"] == "Accepted"
        assert time.monotonic() - began < 3 * SLOW
        poll(lambda: any("worker 0 made no progress" in p
                         for p in g.tell("health")["problems"]), 4 * SLOW)
        for i in range(12):  # no connection waits any more
            began = time.monotonic()
            Charger(g, "M%02d" % i).boot()
            assert time.monotonic() - began < 0.5 * SLOW
        assert all(c.call("Heartbeat") for c in here[1::2])
    finally:
        os.kill(pid, signal.SIGCONT)
    # The worker continues: it has lost no connection, and accepts new ones again.
    assert all(c.call("Heartbeat") for c in here)
    assert g.worker_pid(0) == pid
    poll(lambda: g.tell("health")["status"] == "healthy")
    for c in new:
        c.close()

    def takes_part():
        c = Charger(g, "AGAIN")
        try:
            return c.accepted_by() == 0
        finally:
            c.close()
    poll(takes_part)


def test_no_loop_waits_while_100000_identities_are_read():
    g = gateway(start=False, auth_mode="list")
    os.makedirs(g.state_dir)
    with open(g.state_dir + "/auth", "w") as f:
        for i in range(100000):
            f.write("CP%06d sha256:%s:%s\n" % (i, "00" * 16, "11" * 32))
        f.write("".join("W%03d\n" % i for i in range(20)))
    g.start()
    fleet = Fleet(g, 20)
    with fleet:
        for i in range(10):
            assert g.ask("auth", "add", "NEW%d" % i, "none")[0] == 200
            # A handshake right after the reload finds the new entry, or is refused with Retry-After
            # until the file has been read.
            def comes():
                got = auth.status(g, "NEW%d" % i)
                assert got in (101, 503), got
                return got == 101
            poll(comes)


def test_an_unknown_identity_is_not_refused_before_the_credential_file_is_read():
    shim = Shim()
    g = gateway(shim, auth_mode="list", server_workers=1)
    assert g.ask("auth", "add", "OLD", "none")[0] == 200
    poll(lambda: auth.status(g, "OLD") == 101)
    assert auth.status(g, "NEW") == 404
    shim.hang(SYNC, "/auth")
    adds = background(g.ask, "auth", "add", "NEW", "none")
    poll(lambda: shim.hit() > 0, what="the master's write of the file")
    shim.hang(READ, "/auth")  # the master continues, so it has read the file
    assert adds.wait()[0] == 200
    assert auth.status(g, "NEW") == 503
    r = auth.refused(g, "NEW")
    assert r["reason"] == "auth_down" and "still being read" in r["detail"], r
    assert auth.status(g, "OLD") == 101
    shim.go_on()
    poll(lambda: auth.status(g, "NEW") == 101)
    assert auth.status(g, "NOBODY") == 404
    assert auth.refused(g, "NOBODY")["reason"] == "unknown"


def test_an_unknown_key_is_not_refused_before_the_credential_file_is_read():
    shim = Shim()
    g = gateway(shim, auth_mode="file", server_workers=1)
    first, second = "11" * 20, "22" * 20
    assert g.ask("auth", "add", "CP", first)[0] == 200

    def status(key):
        return auth.status(g, "CP", auth.basic("CP", bytes.fromhex(key)))
    poll(lambda: status(first) == 101)
    assert status(second) == 401
    shim.hang(SYNC, "/auth")
    adds = background(g.ask, "auth", "add", "CP", second, "--replace")
    poll(lambda: shim.hit() > 0, what="the master's write of the file")
    shim.hang(READ, "/auth")  # the master continues, so it has read the file
    assert adds.wait()[0] == 200
    assert status(second) == 503
    assert "another key" in auth.refused(g, "CP")["detail"]
    assert auth.status(g, "CP") == 401  # the list is empty
    shim.go_on()
    poll(lambda: status(second) == 101)
    assert status(first) == 401


# The file hangs whether it is opened, read, written or renamed.
ANY = OPEN | READ | WRITE | SYNC


def waits_for(g, what):
    return lambda: any(what in p for p in g.tell("health")["problems"])


def test_no_loop_waits_while_the_disk_of_the_credential_file_hangs():
    """Operators, a reload, an upgrade, and a charge point that gets a new key need the file;
    their requests are executed when the disk responds again."""
    shim = Shim()
    g = gateway(shim, auth_mode="file", upgrade_patience="3s")
    key, new = "11" * 20, "22" * 20

    def shows(identity, key=key):
        return auth.basic(identity, bytes.fromhex(key))
    with open(g.state_dir + "/auth", "w") as f:
        hashed = hashlib.sha256(bytes(16) + bytes.fromhex(key)).hexdigest()
        for identity in ["CP1"] + ["W%03d" % i for i in range(CHARGERS)]:
            f.write("%s sha256:%s:%s\n" % (identity, "00" * 16, hashed))
    assert g.ask("reload")[0] == 200
    poll(lambda: auth.status(g, "CP1", shows("CP1")) == 101)
    cp = Charger(g, "CP1", headers=shows("CP1"), timeout=30)
    cp.boot()
    fleet = Fleet(g, headers=shows)

    ask = functools.partial(background, functools.partial(
        g.ask, timeout=HANG_S + 30))
    with fleet:
        shim.hang(ANY, g.state_dir + "/auth")
        asked = [ask("auth", "add", "NEW", "33" * 20),
                 ask("auth", "remove", "W000"),
                 ask("-j", "auth", "list"),
                 ask("auth", "check", "CP1"),
                 ask("reload")]
        poll(lambda: shim.hit() > 0)
        upgrade = ask("upgrade")
        rotates = ask("call", "CP1", "ChangeConfiguration", json.dumps(
            {"key": "AuthorizationKey", "value": new}))
        cp.result(cp.take()[0], {"status": "Accepted"})
        assert rotates.wait()[0] == 200
        poll(waits_for(g, "the master waits for the disk of a file"))
        code, why = upgrade.wait()
        assert code == 500 and "the old program continues" in why, why
        last(shim.since)
        assert all(a.is_alive() for a in asked)
        shim.go_on()
        assert [a.wait()[0] for a in asked] == [200] * 5
        names = [e["identity"] for e in g.tell("auth", "list")]
        assert "NEW" in names and "W000" not in names
        poll(lambda: not g.tell("health")["problems"])
    for k in key, new:
        poll(lambda: auth.status(g, "CP1", shows("CP1", k)) == 101)
    poll(lambda: auth.status(g, "NEW", shows("NEW", "33" * 20)) == 101)


def test_while_a_new_worker_cannot_read_the_credential_file_the_others_serve():
    """The other worker serves the charge points that connect during the hang, also those at
    the listeners of the worker that starts."""
    shim = Shim()
    g = gateway(shim, server_workers="2", auth_mode="file")
    key = "11" * 20

    def shows(identity):
        return auth.basic(identity, bytes.fromhex(key))
    with open(g.state_dir + "/auth", "w") as f:
        hashed = hashlib.sha256(bytes(16) + bytes.fromhex(key)).hexdigest()
        for i in range(CHARGERS):
            f.write("W%03d sha256:%s:%s\n" % (i, "00" * 16, hashed))
    assert g.ask("reload")[0] == 200
    poll(lambda: auth.status(g, "W000", shows("W000")) == 101)
    g.deaths_expected = True
    shim.hang(ANY, g.state_dir + "/auth")
    os.kill(g.worker_pid(1), signal.SIGKILL)
    poll(lambda: shim.hit() > 0, what="the new worker's read of the file")
    worst = 0
    while time.monotonic() - shim.since < HANG_S:
        for i in range(20):
            began = time.monotonic()
            assert auth.status(g, "W%03d" % i, shows("W%03d" % i)) == 101
            worst = max(worst, time.monotonic() - began)
    assert worst < 3 * SLOW, worst
    assert g.ask("health")[0] == 220, "the health report does not name the missing worker"
    shim.go_on()
    poll(lambda: {w["state"] for w in g.workers()} == {"ready"})
    poll(lambda: not g.tell("health")["problems"])


def test_no_loop_waits_while_the_disk_of_the_deny_list_hangs():
    shim = Shim()
    g = gateway(shim)
    fleet = Fleet(g)
    with fleet:
        shim.hang(ANY, g.state_dir + "/deny")
        asked = [background(functools.partial(g.ask, timeout=HANG_S + 30),
                            *words)
                 for words in (["deny", "add", "identity", "BAD"],
                               ["-j", "deny", "list"], ["reload"])]
        poll(lambda: shim.hit() > 0)
        poll(waits_for(g, "the master waits for the disk of a file"))
        assert auth.status(g, "BAD") == 101
        last(shim.since)
        assert all(a.is_alive() for a in asked)
        shim.go_on()
        assert [a.wait()[0] for a in asked] == [200] * 3
        assert g.tell("deny", "list") == [
            {"kind": "identity", "what": "BAD"}]
    poll(lambda: auth.status(g, "BAD") == 403)


def test_a_handshake_does_not_wait_long_for_a_deny_list_that_cannot_be_read():
    shim = Shim()
    g = gateway(shim, server_workers=1)
    worker = g.worker_pid(0)
    os.kill(worker, signal.SIGSTOP)
    assert g.ask("deny", "add", "identity", "BAD")[0] == 200
    shim.hang(ANY, g.state_dir + "/deny")
    os.kill(worker, signal.SIGCONT)
    assert auth.status(g, "GOOD") == 101
    assert shim.hit() > 0
    shim.go_on()
    poll(lambda: auth.status(g, "BAD") == 403)


def test_no_loop_waits_while_the_disk_of_the_configuration_hangs():
    """The file itself, an included file, a file with a secret, and the tokens hang one after
    the other. A reload is requested by a command and by the signal."""
    shim = Shim()
    more, secret = tempfile.mkdtemp(), tempfile.NamedTemporaryFile()
    secret.write(b"x\n")
    secret.flush()
    with open(more + "/10-more.conf", "w") as f:
        f.write("[ocpp]\nheartbeat_interval = 33s\n")
    g = gateway(shim, conf="[redis]\npassword = ${file:%s}\n"
                "include = %s/*.conf\n" % (secret.name, more))
    fleet = Fleet(g)
    loaded = g.tell("status")["config"]["reloads"]
    with fleet:
        for path in (g.conf, more, secret.name, g.state_dir + "/tokens"):
            hit = shim.hit()
            shim.hang(ANY, path)
            token = background(g.ask, "token", "add", "t%d" % hit)
            asked = background(g.ask, "reload")
            g.send_signal(signal.SIGHUP)
            poll(lambda: shim.hit() > hit)
            poll(waits_for(g, "the master waits for the disk of a file"))
            last(shim.since, HANG_S / 4)
            assert asked.is_alive()
            shim.go_on()
            assert asked.wait()[0] == 200 and token.wait()[0] == 200
            loaded += 2
            poll(lambda: g.tell("status")["config"]["reloads"]
                 == loaded)
    assert len(g.tell("token", "list")) == 4


def churn(g, fleet, n, prefix):
    """Connects and disconnects, so that lines are logged."""
    for i in range(n):
        Charger(g, "%s%d" % (prefix, i)).close()


def test_no_loop_waits_while_the_reader_of_stderr_hangs():
    g = gateway(start=False, log_level="debug", server_workers=1)
    read, write = os.pipe()
    fcntl.fcntl(write, 1031, 4096)              # F_SETPIPE_SZ
    g.process = subprocess.Popen(g.command(), stdin=subprocess.DEVNULL,
                                 stdout=write, stderr=write, cwd=g.dir)
    os.close(write)
    g.wait_ready()
    fleet = Fleet(g)
    with fleet:
        since = time.monotonic()
        churn(g, fleet, 1500, "LINES")  # more lines than the buffers hold
        poll(lambda: g.stat("log_lines_lost") > 0)
        last(since)
        text = []

        def reader():
            while True:
                some = os.read(read, 65536)
                if not some:
                    return
                text.append(some)
        background(reader)

        def seen(what):
            return lambda: what in b"".join(text)
        poll(seen(b"lines are missing here"))

        def logged_again():
            """On a busy machine more lines may be lost while the buffers become empty, also this
            one."""
            Charger(g, "AFTERWARDS").close()
            return seen(b"AFTERWARDS connected")()
        poll(logged_again)


def test_no_loop_waits_while_syslogd_hangs():
    with Syslog() as log:
        g = gateway(log_target="syslog", log_level="debug", server_workers=1)
        fleet = Fleet(g)
        log.end()
        log.begin()  # syslogd exists, but does not read
        try:
            with fleet:
                since = time.monotonic()
                churn(g, fleet, 1500, "LINES")
                poll(lambda: g.stat("log_lines_lost") > 0)
                last(since)
                log.listen()
                poll(lambda: any("lines are missing here" in l
                                 for l in log.lines))
                Charger(g, "AFTERWARDS")
                poll(lambda: any("AFTERWARDS connected" in l
                                 for l in log.lines))
        finally:
            if not log.reader.is_alive():
                log.listen()


def test_no_loop_waits_while_the_disk_of_the_log_hangs():
    shim = Shim()
    g = gateway(shim, start=False, log_level="debug")
    path = g.settings["log_target"] = g.dir + "/hanging.log"
    g.start()
    fleet = Fleet(g)
    with fleet:
        shim.hang(WRITE | OPEN, "hanging.log")
        g.send_signal(signal.SIGUSR1)  # logrotate sends this signal
        churn(g, fleet, 100, "LINES")
        poll(lambda: shim.hit() >= 3)
        last(shim.since)
        poll(lambda: any("waits for a disk" in p
                         for p in g.tell("health")["problems"]))
        shim.go_on()
        Charger(g, "AFTERWARDS")
        poll(lambda: "AFTERWARDS connected" in open(path).read())


if __name__ == "__main__":
    main()
