#!/usr/bin/python3
"""Upgrades: another program takes over all connections (`ocppctl upgrade`, SIGUSR2)."""

import hmac
import ssl
import urllib.request

import redis_fleet as fleet
import simulator
import tls
from disk import Disk
from lib import *
from ocpp2 import BOTH, TOKEN, V201, Station
from sandbox import sanitized
from waits import Shim
from simulator import SESSIONS

LONG = os.environ.get("OCPPD_TEST_LONG")
KINDS = ("ocpp1.6", V201)


def script(g, text):
    """Makes a program that is not ocppd."""
    path = g.dir + "/program"
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o755)
    return path


def fails(g, program, words, upgrades=0):
    """Checks that the old program continues unchanged and reports the reason."""
    pid, workers = g.pid, [w["pid"] for w in g.workers()]
    code, body = g.ask("-j", "upgrade", program)
    assert code == 500, (code, body)
    assert re.search(words, body), (words, body)
    assert g.pid == pid and [w["pid"] for w in g.workers()] == workers
    status = g.tell("status")
    assert status["pid"] == pid
    assert status["upgrade"]["lastFailed"] and \
        not status["upgrade"]["underWay"], status["upgrade"]
    assert re.search(words, status["upgrade"]["lastWords"]), status["upgrade"]
    assert re.search("last upgrade .* failed: .*old program continues",
                     g.ctl("status", json_=False))
    assert status["upgrade"]["upgrades"] == upgrades


def lives(g, *points):
    """Checks that each charge point is answered on its connection, and that new connections
    are accepted."""
    for p in points:
        p.call("Heartbeat")
    new = Charger(g, "NEW-%d" % time.monotonic_ns())
    new.call("Heartbeat")


def test_a_program_that_cannot_take_over_gets_no_connection():
    """The program cannot be executed, exits, hangs, or is another one."""
    g = Gateway(server_workers=2, upgrade_patience="2s")
    cp = Charger(g, "CP1")
    cp.call("Heartbeat")
    plain = g.dir + "/plain"
    with open(plain, "w") as f:
        f.write("no program")
    fails(g, plain, "cannot be executed: Permission denied")
    fails(g, g.dir + "/missing", "cannot be executed: No such file")
    fails(g, script(g, "#!/bin/sh\nexit 3\n"), "exited with code 3")
    fails(g, script(g, "#!/bin/sh\necho something\n"),
          "cannot take over from another program")
    fails(g, script(g, "#!/bin/sh\necho format 0\n"),
          "reads format 0, and this program writes format 1")
    fails(g, script(g, "#!/bin/sh\nexec sleep 1000\n"),
          "did not end within upgrade.patience")
    fails(g, script(g, "#!/bin/sh\nkill -SEGV $$\n"), "signal 11")
    lives(g, cp)
    says = "#!/bin/sh\ncase \"$*\" in *upgrade) echo format 1; exit;; "
    fails(g, script(g, says + "*-t) echo bad knob; exit 78;; esac\n"),
          "refuses the configuration: bad knob")
    fails(g, script(g, says + "*-t) exit 0;; esac\nexit 9\n"),
          "the new program exited with code 9|closed the connection")
    fails(g, script(g, says + "*-t) exit 0;; esac\nexec sleep 1000\n"),
          "was not prepared within upgrade.patience")
    lives(g, cp)
    code, body = g.ask("upgrade", "ocppd")
    assert code == 409 and "whole path" in body, body
    code, body = g.ask("upgrade", "a", "b")
    assert code == 400, body


def test_a_program_without_address_space_gets_no_connection():
    """Its workers end before they get a connection, and not at the first message."""
    if VALGRIND or sanitized():
        raise Skip("an instrumented program needs terabytes of address space")
    g = Gateway(server_workers=2, upgrade_patience="20s", websocket_idle_timeout="5m")
    g.deaths_expected = True
    points = [Charger(g, "CP%d" % i) for i in range(4)]
    for c in points:
        c.boot()
    limited = "#!/bin/sh\nulimit -v %d\nexec %s \"$@\"\n"
    fails(g, script(g, limited % (50000, OCPPD)), "cannot make the shared memory")
    fails(g, script(g, limited % (250000, OCPPD)),
          "processes that take over worker . die: .*no address space .*ulimit -v")
    lives(g, *points)
    assert g.upgrade(script(g, limited % (2000000, OCPPD)))["connections"] == 4
    lives(g, *points)


def test_a_master_without_descriptors_reports_it_and_continues():
    """With too few descriptors, in any number, the old program continues with all
    connections and reports the reason, until there are enough."""
    g = Gateway(server_workers=2, websocket_idle_timeout="5m")
    points = [Charger(g, "CP%d" % i) for i in range(4)]
    for c in points:
        c.boot()
    old, failed = g.pid, 0
    most = resource.prlimit(old, resource.RLIMIT_NOFILE)
    # One descriptor is for the client of the control socket.
    used = len(os.listdir("/proc/%d/fd" % old)) + 1
    for left in range(40):
        resource.prlimit(old, resource.RLIMIT_NOFILE, (used + left, most[1]))
        code, body = g.ask("-j", "upgrade")
        if code == 200:
            break
        assert code == 500 and "Too many open files" in body, (left, body)
        failed += 1
        assert g.pid == old and g.tell("status")["pid"] == old
        for c in points:
            c.call("Heartbeat")
    assert code == 200 and failed > 2, (failed, body)
    g.follow(json.loads(body)["pid"])
    lives(g, *points)
    assert not g.events("charge_point.disconnected", cp="CP0")


def test_settings_that_an_upgrade_cannot_change_are_refused():
    """The reason is reported. An error in the file is reported with its line."""
    g = Gateway(conf="[server]\nworkers = 2\n", server_node=None)
    cp = Charger(g, "CP1")
    for text, words in (
            ("[server]\nworkers = none\n", "workers = none"),
            ("[server]\nworkers = 2\nnode = other\n", "server.node"),
            ("[server]\nworkers = 2\nlisten_tls = 127.0.0.1:1\n",
             "tls")):
        with open(g.conf, "w") as f:
            f.write(text)
        fails(g, OCPPD, words)
    lives(g, cp)


# --- connections move ---------------------------------------------------------

class Fleet(simulator.Fleet):
    """Checks that no connection of a fleet was closed (each charge point has opened one) and
    that every message was answered."""

    def __init__(self, g, *words, secure=False):
        self.count = int(words[words.index("-n") + 1])
        if secure:
            words += ("--tls-ca", tls.authority().ca)
        super().__init__(g, *words, url="wss://127.0.0.1:%d/ocpp" % g.tls_port
                         if secure else None)

    def end(self, closes=0):
        got = super().end()
        counts = got["counts"]
        seen = {k: counts[k] for k in ("refused", "connect_failed", "replaced",
                                       "closed_by_server", "lost")}
        if not closes:
            assert not any(seen.values()), (seen, [
                e for e in few_events(self.g, "charge_point.disconnected")
                if e["payload"]["reason"] != "peer_closed"])
            assert counts["opened"] == self.count, counts
        return got


def mixed(**settings):
    settings.setdefault("server_workers", 2)
    settings.setdefault("websocket_idle_timeout", "5m")
    return tls.mutual(tls_client="optional", **settings)


def uptime(g):
    return g.tell("status")["serviceStarted"]


def health(port):
    with urllib.request.urlopen("http://127.0.0.1:%d/health" % port,
                                timeout=DEADLINE) as r:
        return r.status


def test_an_upgrade_keeps_quiet_connections():
    http = free_port()
    g = mixed(admin_listen="127.0.0.1:%d" % http)
    since = uptime(g)
    points = [Charger(g, "P%d" % i, KINDS[i % 2]) for i in range(8)]
    points += [tls.TlsCharger(g, "T%d" % i) for i in range(4)]
    cert = tls.authority().path("cp1")
    points.append(tls.TlsCharger(g, "CP1", tls.client(certificate=cert)))
    for c in points:
        c.call("Heartbeat")
    before = {c.identity: g.show(c.identity) for c in points}
    old = g.pid
    workers = [w["pid"] for w in g.workers()]
    assert health(http) == 200
    report = g.upgrade()
    assert health(http) == 200
    assert report["connections"] == len(points) and report["closed"] == 0
    assert sum(w["connections"] for w in report["workers"]) == len(points)
    assert g.pid != old and not alive(old)
    assert not any(alive(p) for p in workers)
    for c in points:
        c.call("Heartbeat")
        after = g.show(c.identity)
        for key in ("generation", "connectedSince", "protocol", "address"):
            assert before[c.identity].get(key) == after.get(key), (key, after)
    assert uptime(g) == since
    status = g.tell("status")
    assert status["upgrade"]["upgrades"] == 1, status
    assert not status["upgrade"]["lastFailed"], status
    text = g.ctl("status", json_=False)
    assert "in service" in text and "last upgrade" in text, text
    lives(g)
    assert not g.events("charge_point.disconnected", cp="P1")
    assert len(g.wait_events(len(points) + 1, type="charge_point.connected")) \
        == len(points) + 1


def test_an_upgrade_keeps_counters_outcomes_and_limits():
    g = Gateway(server_workers=2, limits_identity_rate=2)
    c = Charger(g, "CP1")
    t = c.start(tag="T1")
    refused = Charger(g, "NOBODY", open=False)
    refused.raw(refused.request("/ocpp/%00"))
    assert refused.response().status == 400
    gone = Charger(g, "GONE")
    gone.close()
    poll(lambda: g.tell("refused") and not g.online("GONE"))
    refusals, before, show = g.tell("refused"), g.stats(), g.show("GONE")
    g.upgrade()
    after = g.stats()
    for name in ("accepted", "handshakes", "messages_in"):
        assert after[name] == before[name] > 0, name
    assert after["events"] >= before["events"] > 0
    assert after["refused"] == before["refused"]
    assert g.tell("refused") == refusals
    assert g.show("GONE") == show
    # The command that was sent before the upgrade is still known.
    assert c.start(tag="T1") == t
    c.stop(t)


def test_transaction_events_are_remembered_over_an_upgrade():
    """A TransactionEvent that was sent before an upgrade and is sent again after it gets the
    same answer and makes no second event, even if the other program has other structs in
    shared memory."""
    for version in BOTH:
        g = Gateway(server_workers=2)
        c = Station(g, "KNOWN", version)
        c.boot()

        def session():
            return [c.event("Updated" if i else "Started", "t", i, **(
                {"idToken": TOKEN} if i % 3 == 0 else {})) for i in range(20)]
        first = session()
        for program in (None, OTHER, None):
            resent = g.stat("starts_resent")
            g.upgrade(*[program] if program else [])
            assert session() == first
            assert g.stat("starts_resent") == resent + 20
        assert len([e for e in g.events(cp="KNOWN")
                    if e["eventType"].startswith("transaction.")]) == 20
        c.close()
        g.close()


def few_events(g, type):
    """Returns the events of a rare type from a large journal."""
    for path in g.segments():
        with open(path, "rb") as f:
            for line in f:
                if b'"%s"' % type.encode() in line:
                    yield json.loads(line)


class Commander:
    """Sends commands to the charge points of fleets, one after the other, and checks that
    each has one outcome."""

    def __init__(self, g, *names):
        self.g, self.names, self.over = g, names, threading.Event()
        self.asked, self.thread = 0, background(self.go_on)

    def go_on(self):
        while not self.over.is_set():
            name = random.choice(self.names)
            out = self.g.call(name, "GetLocalListVersion")
            assert out["outcome"] in ("result", "error"), out
            self.asked += 1

    def end(self):
        self.over.set()
        self.thread.wait()
        ids = [[e["payload"]["commandId"] for e in few_events(self.g, t)]
               for t in ("command.sent", "command.response")]
        assert self.asked and len(set(ids[1])) == len(ids[1]) == self.asked
        assert sorted(ids[0]) == sorted(ids[1])


def newer(g):
    """Returns the path of the other program, which hands over its records in a newer
    format."""
    return script(g, "#!/bin/sh\nOCPPD_TEST_FORMAT=2 exec %s \"$@\"\n" % OTHER)


OTHER = os.path.join(B, "other", "ocppd")
LIVELY = ("--session-every", "5s", "--session-length", "10s", "--meter-every", "5s")


def test_upgrades_in_a_row_under_traffic_close_no_connection():
    """Ten upgrades of 2,000 charge points (OCPPD_TEST_LONG=1; otherwise three of 70): to the
    same program, to one with other structs in shared memory and back, and finally to one with
    a newer format."""
    plain, secure, ids = (1000, 980, 20) if LONG else (30, 30, 10)
    a = tls.authority()
    names = ["M%02d" % i for i in range(1, ids + 1)]
    cert, key = a.make("fleet", "/O=ACME Ltd/CN=M01",
                       san=",".join("DNS:" + n for n in names))
    # Each worker begins its sweep of pings again. With the intervals of test.conf, a sweep
    # would not be complete before the next upgrade begins.
    g = mixed(limits_handshakes=20000, tls_client_name="san",
              websocket_ping_interval="10s", websocket_idle_timeout="40s",
              journal_segment_size="16MiB", journal_retention="1d")
    mix = ("--version", "mixed", *(LIVELY if LONG else SESSIONS))
    fleets = [Fleet(g, "-n", str(plain), "-i", "P%04d", *mix),
              Fleet(g, "-n", str(secure), "-i", "T%04d", *mix, secure=True),
              Fleet(g, "-n", str(ids), "-i", "M%02d", *mix, "--tls-certificate",
                    cert, "--tls-key", key, secure=True)]
    total = plain + secure + ids
    poll(lambda: g.stat("connections") == total, timeout=DEADLINE * 6)
    commander = Commander(g, "P0001", "P0002", "T0001", "T0002", "M01", "M02")
    programs = (OCPPD, OTHER) * 4 + (OCPPD, newer(g)) if LONG else \
        (OCPPD, OTHER, newer(g))
    for program in programs:
        said = g.stat("messages_in")
        poll(lambda: g.stat("messages_in") > said + 200, timeout=DEADLINE * 4)
        report = g.upgrade(program)
        print("    to %-30s %d moved, %d closed, %d ms, not accepting for %d ms"
              % (os.path.relpath(program, ROOT)[-30:], report["connections"],
                 report["closed"], report["tookMs"], report["frozenMs"]))
        assert report["connections"] == total and report["closed"] == 0, report
    said = g.stat("messages_in")
    poll(lambda: g.stat("messages_in") > said + 200, timeout=DEADLINE * 4)
    commander.end()
    for f in fleets:
        f.end()
        print("    %s" % f.verify())
    assert g.stat("closed", "not_moved") == 0
    protocols = {e["protocol"] for e in few_events(g, "charge_point.connected")}
    assert protocols == set(simulator.NAMES.values())


def test_sigusr2_upgrades_and_the_service_manager_is_notified():
    path = tempfile.mkdtemp(prefix="ocppd-notify-") + "/socket"
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    s.settimeout(DEADLINE)
    pidfile = os.path.dirname(path) + "/pid"
    g = Gateway(server_workers=1, server_pidfile=pidfile,
                env={"NOTIFY_SOCKET": path})
    assert s.recv(1000) == b"READY=1"
    c = Charger(g, "CP1")
    subreaper()
    old = g.pid
    with open(pidfile) as f:
        assert int(f.read()) == old
    g.send_signal(signal.SIGUSR2)
    while True:
        text = s.recv(1000).decode()
        if text.startswith("MAINPID="):
            break
    new = int(text.split()[0][8:])
    g.follow(new)
    with open(pidfile) as f:
        assert int(f.read()) == new != old
    c.call("Heartbeat")
    # A second daemon still detects that this one is running.
    other = subprocess.run(g.command(), stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    assert other.returncode == 1 and "process %d" % new in other.stdout, \
        other.stdout
    assert not os.path.exists(pidfile + ".next")
    assert g.stop() == 0
    assert not os.path.exists(pidfile) and not os.path.exists(g.control)


def test_an_old_master_that_has_handed_over_forwards_signals():
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1):
        shim, d = Shim(), tempfile.mkdtemp(prefix="ocppd-notify-")
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(d + "/socket")
        subreaper()
        log = d + "/log"
        g = Gateway(server_workers=1, server_pidfile=d + "/pid", log_target=log,
                    websocket_idle_timeout="10m",
                    env=dict(shim.env, NOTIFY_SOCKET=d + "/socket"))
        c, old = Charger(g, "CP1"), g.pid
        shim.stop_before("MAINPID=")
        g.send_signal(signal.SIGUSR2)
        poll(lambda: shim.sender() == old, what="the end of the old master")
        with open(d + "/pid") as f:
            new = int(f.read())
        assert new != old
        if number == signal.SIGUSR1:
            os.rename(log, log + ".1")
        os.kill(old, number)
        shim.resume()
        if number == signal.SIGUSR1:
            poll(lambda: os.path.exists(log), what="the new log file")
            g.follow(new)
            c.call("Heartbeat")
            assert g.stop() == 0
        g.process = None
        poll(lambda: not alive(old) and not alive(new))


def test_a_stop_that_waits_for_an_upgrade_is_executed_when_the_upgrade_fails():
    """A slot has moved, so the stop waits. Then the new program dies three times."""
    h = Halfway(1, upgrade_patience="3s")
    h.g.deaths_expected = True
    os.kill(h.old, signal.SIGTERM)
    h.g.wait_log("stopping as soon as the upgrade is done")
    for again in range(3):
        new = poll(lambda: h.g.log().count("it is prepared") > again and h.find_new(),
                   what="attempt %d" % again)
        os.kill(new, signal.SIGKILL)
        poll(lambda: not alive(new))
    h.g.wait_log("the old program continues")
    dead(sum(h.points, []))
    assert h.g.wait_exit() == 0
    poll(lambda: not any(alive(p) for p in h.workers))
    h.g.process = None


def traffic_keys(path):
    """Returns the AES-128 keys of a TLS 1.3 connection, computed from the client's key log
    (RFC 8446, sections 7.1 and 7.3)."""
    info = b"\x00\x10\x09tls13 key\x00\x01"
    with open(path) as f:
        secrets = re.findall(r"^(?:CLIENT|SERVER)_TRAFFIC_SECRET_0 \w+ (\w+)", f.read(), re.M)
    return [hmac.new(bytes.fromhex(x), info, "sha256").digest()[:16] for x in secrets]


def holds(pid, texts):
    """Returns True if one of the texts is in the writable memory of the process."""
    with open("/proc/%d/maps" % pid) as f:
        ranges = re.findall(r"^(\w+)-(\w+) rw", f.read(), re.M)
    with open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for low, high in ranges:
            low, high = int(low, 16), int(high, 16)
            while low < high:
                memory.seek(low)
                try:
                    data = memory.read(min(high - low, 1 << 24))
                except OSError:         # beyond the end of a file
                    break
                if any(text in data for text in texts):
                    return True
                if not data:
                    break
                low += len(data)
    return False


def test_keys_of_connections_are_in_no_file_and_no_core():
    """Searches the files and memory files of every process, and the memory of the master,
    over an upgrade and a worker-restart. Workers never write core files."""
    if os.geteuid() != 0:
        raise Skip("only root may read the memory of other processes")
    g = tls.gateway(server_user="nobody", server_workers=1, websocket_idle_timeout="5m",
                    tls_suites="TLS_AES_128_GCM_SHA256")
    context = tls.client()
    context.keylog_filename = tempfile.mkdtemp(prefix="ocppd-keylog-") + "/keys"
    c = tls.TlsCharger(g, "CP1", context)
    c.boot()
    keys = traffic_keys(context.keylog_filename)
    assert len(set(keys)) == 2
    forms = [form for k in keys for form in (k, k.hex().encode(), base64.b64encode(k))]
    moved = g.upgrade()
    assert moved["connections"] == 1 and moved["closed"] == 0, moved
    old = g.worker_pid(0)
    g.ctl("worker-restart", "0", json_=False)
    poll(lambda: not alive(old) and g.workers()[0]["state"] == "ready")
    c.call("Heartbeat")

    def files(pid):
        for fd in os.listdir("/proc/%d/fd" % pid):
            link = "/proc/%d/fd/%s" % (pid, fd)
            if os.path.isfile(link):
                yield link
    seen = 0
    worker = g.worker_pid(0)
    paths = [os.path.join(d, name) for d, _, names in os.walk(g.dir) for name in names]
    for path in paths + list(files(g.pid)) + list(files(worker)):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                data = f.read()
            seen += len(data) > 0
            assert not any(form in data for form in forms), path
    assert seen > 5
    assert os.stat("/proc/%d/mem" % worker).st_uid == 0     # the worker is not dumpable
    # The search works, because it finds a key in the worker that has the connection.
    assert holds(worker, forms) and not holds(g.pid, forms)
    c.call("Heartbeat")
    c.close()


def test_commands_during_an_upgrade_have_one_outcome():
    """A command that the charge point answers after the upgrade ends once, and its client
    gets the answer. A command that arrives during the upgrade waits."""
    g = Gateway(server_workers=2)
    points = [Charger(g, "CP%d" % i) for i in range(6)]
    for c in points:
        c.boot()
    waiting = [background(g.call, c.identity, "GetLocalListVersion")
               for c in points]
    ids = [c.take()[0] for c in points]
    g.upgrade()
    for c, id in zip(points, ids):
        c.result(id, {"listVersion": 7})
    for w in waiting:
        out = w.wait()
        assert out["outcome"] == "result" and out["payload"] == \
            {"listVersion": 7}, out
    got = g.events("command.response")
    assert len(got) == len(points), got
    assert len({e["payload"]["commandId"] for e in got}) == len(points)


def test_an_upgrade_keeps_connections_that_are_not_quiet():
    """Half a frame, half a message, half a request, answers that the client does not read,
    and clients that connect while no connection is accepted."""
    g = mixed(websocket_idle_timeout="5m", limits_message_rate=10000,
              websocket_handshake_timeout="5m")
    half, fragments = Charger(g, "HALF"), Charger(g, "FRAGMENTS")
    whole = frame(TEXT, b'[2,"1","Heartbeat",{}]')
    half.raw(whole[:9])
    fragments.raw(frame(TEXT, b'[2,"1","Hear', fin=False))
    request = Charger(g, "REQUEST", open=False)
    text = request.request()
    request.raw(text[:40])
    silent = tls.At(g)
    before = Charger(silent, "SILENT", open=False)      # it sends no ClientHello yet
    deaf = Charger(g, "DEAF", rcvbuf=2048)
    n = 300
    for i in range(n):
        deaf.put("Heartbeat", {}, "d%d" % i)
    poll(lambda: g.stat("messages_in") >= n)
    stop, opened, count = [], [], [0]

    def come():
        while not stop:
            c = Charger(g, "COMES-%d" % count[0], timeout=DEADLINE)
            c.call("Heartbeat")
            opened.append(c)
            count[0] += 1
            if len(opened) > 50:
                opened.pop(0).close()
    comer = background(come)
    for _ in range(2):
        report = g.upgrade()
        assert report["closed"] == 0, report
    stop.append(1)
    comer.wait()
    assert opened
    half.raw(whole[9:])
    assert json.loads(half.message())[:2] == [3, "1"]
    fragments.raw(frame(CONT, b'tbeat",{}]'))
    assert json.loads(fragments.message())[:2] == [3, "1"]
    request.raw(text[40:])
    assert request.response().status == 101
    request.call("Heartbeat")
    before.sock = tls.client().wrap_socket(before.sock,
                                           server_hostname="localhost")
    assert before.handshake().status == 101
    for i in range(n):
        assert json.loads(deaf.message())[:2] == [3, "d%d" % i]
    lives(g, half, fragments, deaf, before, *opened)


def test_an_upgrade_waits_for_a_tls_handshake_that_was_answered():
    """The connection moves when its handshake has ended. A handshake whose client sends
    nothing delays the upgrade for half of upgrade.patience."""
    g = mixed(server_workers=1, websocket_handshake_timeout="1m",
              tls_handshake_timeout="1m", upgrade_patience="%ds" % (8 * SLOW))
    for silent in (False, True):
        at = tls.At(g)
        c = Charger(at, "SLOW%d" % silent, open=False)
        inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = tls.client().wrap_bio(inside, outside, server_hostname="localhost")
        step(session)
        c.raw(outside.read())
        inside.write(c.sock.recv(65536))        # ServerHello
        step(session)
        heard = time.monotonic()
        waiting = background(g.upgrade)
        poll(lambda: "it is prepared" in g.log().rsplit("checking it", 1)[-1])
        began = time.monotonic()
        if silent:
            assert c.sock.recv(100) == b""
            assert 3 < time.monotonic() - began < 10 * SLOW
            waiting.wait()
            break
        old = g.pid
        # A handshake without a byte for five seconds would be ended.
        while time.monotonic() < min(began + 2.5, heard + 4):
            assert g.tell("status")["pid"] == old
        c.raw(outside.read())                   # Finished
        report = waiting.wait()
        assert report["closed"] == 0, report
        session.write(c.request().encode() if isinstance(c.request(), str)
                      else c.request())
        c.raw(outside.read())
        got = b""
        while b"\r\n\r\n" not in got:
            inside.write(c.sock.recv(65536))
            got += step(session, lambda: session.read(65536)) or b""
        assert got.startswith(b"HTTP/1.1 101"), got
        c.sock.close()


def step(session, what=None):
    try:
        return (what or session.do_handshake)()
    except ssl.SSLWantReadError:
        return None


def test_an_upgrade_of_50000_connections_closes_none_and_delays_no_answer_by_a_second():
    """The charge points send 1,000 messages per second."""
    if not LONG:
        raise Skip("it takes two minutes; OCPPD_TEST_LONG=1")
    g = Gateway(server_workers=4, server_max_connections=60000,
                limits_handshakes=20000, server_backlog=8192,
                websocket_idle_timeout="30m", websocket_ping_interval="10m",
                log_level="info")
    load = Fleet(g, "-n", "50000", "-r", "3000", "--rate", "1000", "-m",
                 "StatusNotification", "--boot", "--message-timeout", "30s")
    poll(lambda: g.stat("connections") == 50000, timeout=120 * SLOW)
    said = g.stat("messages_in")
    poll(lambda: g.stat("messages_in") > said + 5000, timeout=60 * SLOW)
    report = g.upgrade()
    assert report["connections"] == 50000 and report["closed"] == 0, report
    said = g.stat("messages_in")
    poll(lambda: g.stat("messages_in") > said + 3000, timeout=60 * SLOW)
    got = load.end()
    print("    %d moved, %d closed, %d ms, not accepting for %d ms; latest answer "
          "%d ms" % (report["connections"], report["closed"], report["tookMs"],
                     report["frozenMs"], got["latency_us"]["max"] / 1000))
    print("    %s" % load.verify())
    assert got["latency_us"]["max"] <= 1e6 * SLOW, got["latency_us"]


HAPROXY = """
global
    maxconn 4500
    %s
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend f
    bind 127.0.0.1:%d
    default_backend b
backend b
    server s 127.0.0.1:%d
"""
NGINX = """
pid %s/nginx.pid; error_log stderr; worker_processes 2;
%s
events { worker_connections 9000; }
http { access_log off; server { listen 127.0.0.1:%d; location / {
    proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    proxy_read_timeout 1h; } } }
"""


def reload_of(program, limit, n):
    """Returns how many of n connections are open after the reload of a proxy, and whether
    former processes remain."""
    subreaper()
    g = Gateway(server_workers=2, limits_handshakes=20000,
                websocket_ping_interval="10s", websocket_idle_timeout="60s")
    port, conf = free_port(), g.dir + "/proxy.conf"
    with open(conf, "w") as f:
        if program == "haproxy":
            f.write(HAPROXY % ("hard-stop-after 3s" if limit else "", port, g.port))
        else:
            f.write(NGINX % (g.dir, "worker_shutdown_timeout 3s;" if limit else "",
                             port, g.port))
    words = ["haproxy", "-W", "-f", conf] if program == "haproxy" else \
        [shutil.which("nginx"), "-c", conf]  # nginx executes this file again
    p = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        poll(lambda: listens(port))
        if program == "nginx":      # nginx ignores USR2 unless it is a daemon
            p.wait()
            p = Adopted(poll(lambda: int(open(g.dir + "/nginx.pid").read())))
        sim = simulator.Fleet(g, "-n", str(n), "--version", "mixed", "-r", "1000",
                              "--rate", "200", "-m", "Heartbeat",
                              url="ws://127.0.0.1:%d/ocpp" % port)
        poll(lambda: g.stat("connections") == n, timeout=DEADLINE * 4)
        before = g.stat("accepted")
        if program == "haproxy":
            os.kill(p.pid, signal.SIGUSR2)
        else:
            os.kill(p.pid, signal.SIGUSR2)
            poll(lambda: os.path.exists(g.dir + "/nginx.pid.oldbin"))
            poll(lambda: len(children(p.pid)) == 3)
            os.kill(p.pid, signal.SIGQUIT)
        end = time.monotonic() + 8
        while time.monotonic() < end and g.stat("accepted") < before + n:
            time.sleep(0.2)
        again = g.stat("accepted") - before
        former = len(children(p.pid)) if p.poll() is None else 0
        sim.process.kill()
        return again, former
    finally:
        pids = children(p.pid)
        for pid in pids + sum(map(children, pids), []):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if alive(p.pid):
            os.kill(p.pid, signal.SIGKILL)
        p.wait()
        g.close()


def test_the_reload_of_haproxy_and_nginx():
    """For comparison, the same clients behind other programs. Without a time limit both keep
    their former processes as long as the connections; with one, all connections are closed."""
    if not LONG:
        raise Skip("it is only a comparison; OCPPD_TEST_LONG=1")
    for program in ("haproxy", "nginx"):
        if not shutil.which(program):
            raise Skip(program + " is not installed")
    n = 2000
    for program in ("haproxy", "nginx"):
        for limit in (False, True):
            again, former = reload_of(program, limit, n)
            print("    %-8s %-22s %4d of %d connected again within 8 s, %d "
                  "processes" % (program, "limit of 3 s" if limit else "no limit",
                                 again, n, former))
            assert again >= n if limit else again == 0


def test_an_upgrade_may_change_the_number_of_workers():
    for before, after in ((2, 3), (3, 1), (1, 2)):
        conf = "[server]\nworkers = %d\n"
        g = Gateway(conf=conf % before)
        points = [Charger(g, "CP%d" % i) for i in range(9)]
        for c in points:
            c.boot()
        with open(g.conf, "w") as f:
            f.write(conf % after)
        report = g.upgrade()
        assert report["connections"] == len(points), report
        assert len(g.workers()) == after
        for c in points:
            c.call("Heartbeat")
        lives(g, *points)
        g.close()


def test_settings_that_need_a_restart_change_at_an_upgrade():
    """listen, max_connections and workers change. Connections to an address on which the
    gateway no longer listens stay open."""
    old, new = free_port(), free_port()
    conf = "[server]\nlisten = %s\nworkers = %d\nmax_connections = %d\n"
    at = "127.0.0.1:%d"
    g = Gateway(conf=conf % (at % old, 2, 100), server_listen=None,
                server_max_connections=None)
    g.port = old
    points = [Charger(g, "CP%d" % i) for i in range(9)]
    for listen, workers, most in ((at % old + " " + at % new, 3, 20),
                                  (at % new, 1, 200), (at % new, 2, 12)):
        with open(g.conf, "w") as f:
            f.write(conf % (listen, workers, most))
        report = g.upgrade()
        assert report["connections"] == len(points) and not report["closed"]
        assert len(g.workers()) == workers
        for c in points:
            c.call("Heartbeat")
        g.port = new
        lives(g)
        poll(lambda: all(w["state"] == "ready" for w in g.workers()),
             what="one more worker")
        assert (at % old in listen) == listens(old)
    poll(lambda: g.stat("connections") == len(points))
    more = [Charger(g, "MORE%d" % i) for i in range(12 - len(points))]
    refused = Charger(g, "TOO-MANY", open=False)
    assert refused.handshake().status == 503
    for c in points + more:
        c.call("Heartbeat")
    # The limit is below the number of connections: none of them is closed, and new ones are
    # refused.
    with open(g.conf, "w") as f:
        f.write(conf % (at % new, 2, 10))
    assert g.upgrade()["closed"] == 0
    for c in points + more:
        c.call("Heartbeat")
    refused = Charger(g, "TOO-MANY", open=False)
    assert refused.handshake().status == 503


def test_an_upgrade_may_add_and_remove_a_tls_listener():
    """All connections stay open. With a certificate that cannot be used, the upgrade is
    refused."""
    a = tls.authority()
    plain, port = free_port(), free_port()
    conf = "[server]\nlisten = 127.0.0.1:%d\nworkers = 2\n" % plain
    with_tls = conf + "listen_tls = 127.0.0.1:%d\n[tls]\ncertificate = %%s\nkey = %s\n" % (
        port, a.path("server")[1])
    g = Gateway(conf=conf, server_listen=None)
    g.port, g.tls_port = plain, port

    def configure(text):
        with open(g.conf, "w") as f:
            f.write(text)
    points = [Charger(g, "PLAIN%d" % i) for i in range(4)]
    pid = g.pid
    configure(with_tls % "/nonexistent")
    r = g.run("upgrade")
    assert r.returncode == 1 and "/nonexistent" in r.stderr, r.stderr
    assert g.tell("status")["pid"] == pid and not listens(port)
    configure(with_tls % a.path("server")[0])
    assert g.upgrade()["closed"] == 0
    assert listens(port)
    points += [tls.TlsCharger(g, "TLS%d" % i) for i in range(4)]
    for c in points:
        c.call("Heartbeat")
    configure(conf)
    report = g.upgrade()
    assert (report["connections"], report["closed"]) == (len(points), 0), report
    assert not listens(port) and listens(plain)
    for c in points:
        c.call("Heartbeat")
    configure(with_tls % a.path("server")[0])
    assert g.upgrade()["closed"] == 0
    points.append(tls.TlsCharger(g, "TLS-AGAIN"))
    for c in points:
        c.call("Heartbeat")
        c.close()


def listens(port):
    s = socket.socket()
    try:
        return s.connect_ex(("127.0.0.1", port)) == 0
    finally:
        s.close()


def test_a_program_that_reads_an_older_format_is_refused():
    """It could not read the state that the newer program hands over."""
    g = mixed()
    c = Charger(g, "CP1")
    formats = [subprocess.run([p, "-x", "upgrade"], stdout=subprocess.PIPE,
                              text=True).stdout.split()[1]
               for p in (OCPPD, OTHER, newer(g))]
    assert formats == ["1", "1", "2"], formats
    g.upgrade(newer(g))
    with open("/proc/%d/cmdline" % g.pid) as f:     # only root can read the link exe
        assert f.read().split("\0")[0] == OTHER
    fails(g, OCPPD, "reads format 1, and this program writes format 2", 1)
    c.call("Heartbeat")


# --- with Redis, with a full disk ---------------------------------------------

def shipped_once(g, r):
    """Checks that the stream has each event of the journal once, in the order of each charge
    point, and that outcomes of commands from Redis are in it."""
    def shipped(events, cp=None):
        return [e["eventId"] for e in events
                if e["eventType"] != "command.response" and
                cp in (None, e["chargePointId"])]
    poll(lambda: len(shipped(r.entries(fleet.EV))) >= len(shipped(g.events("all"))),
         what="all events in the stream")
    stream, journal = r.entries(fleet.EV), g.events("all")
    assert sorted(shipped(stream)) == sorted(shipped(journal))
    for cp in {e["chargePointId"] for e in journal}:
        assert shipped(stream, cp) == shipped(journal, cp), cp


@fleet.tidy
def test_sessions_and_cursors_in_redis_continue_after_an_upgrade():
    s = fleet.redis()
    r = s.client()
    g = fleet.gateway(s, "a", server_workers=2, ocpp_message_timeout="60s")
    points = [Charger(g, "CP%d" % i) for i in range(6)]
    for c in points:
        c.boot()
    before = {c.identity: fleet.held_by(r, c.identity, "a") for c in points}
    fleet.order(r, "CP1", commandId="early")
    id = points[1].take()[0]
    for away in (False, True, False):
        if away:
            s.kill()
        report = g.upgrade()
        assert report["connections"] == 6 and not report["closed"], report
        for i, c in enumerate(points):
            c.start(meter=i, tag="T%s" % away)
        if away:
            s.start()
            r = s.client()
        poll(lambda: g.stat("redis_shards_ready") >= 1)
    points[1].result(id, {"status": "Accepted"})
    assert fleet.outcome(r, "CP1", "early") == "result"
    for c in points:
        after = fleet.held_by(r, c.identity, "a")
        for key in ("epoch", "since"):
            assert after.get(key) == before[c.identity].get(key), (key, after)
    fleet.order(r, "CP2", commandId="late")
    points[2].result(points[2].take()[0], {"status": "Accepted"})
    assert fleet.outcome(r, "CP2", "late") == "result"
    shipped_once(g, r)
    assert len(g.events("charge_point.connected")) == 6
    assert not g.events("charge_point.disconnected")


def test_an_upgrade_is_refused_while_the_disk_is_full():
    """Events that wait for the disk cannot be handed over, so an upgrade is possible only when
    the disk takes them."""
    with Disk() as disk:
        g = Gateway(server_workers=2, server_state_dir=disk.dir + "/state",
                    websocket_idle_timeout="5m", journal_stall_time="5m")
        points = [Charger(g, "CP%d" % i) for i in range(4)]
        for c in points:
            c.boot()
        disk.fill()
        ids = [c.put("DataTransfer", {"vendorId": "v", "data": "x" * 20000})
               for c in points]
        poll(lambda: g.stat("journal_failing") > 0)
        code, body = g.ask("-j", "upgrade")
        assert code == 409 and "accepts no events" in body, body
        lives(g)
        disk.free()
        for c, id in zip(points, ids):
            c.get(id, 20 * SLOW)
        poll(lambda: g.stat("journal_failing") == 0)
        assert g.upgrade()["connections"] == 4
        lives(g, *points)
        assert len(g.events("data_transfer.received")) == 4


# --- deaths -------------------------------------------------------------------

def children(pid):
    return [int(p) for p in subprocess.run(
        ["pgrep", "-P", str(pid)], stdout=subprocess.PIPE,
        text=True).stdout.split()]


class Halfway:
    """An upgrade that is held before slot `at` moves, because the worker of that slot is
    stopped."""

    def __init__(self, at, **settings):
        settings.setdefault("server_workers", 2)
        settings.setdefault("upgrade_patience", "60s")
        settings.setdefault("websocket_idle_timeout", "5m")
        settings.setdefault("websocket_ping_interval", "45s")
        self.g = g = Gateway(server_drain_time="1s", **settings)
        g.deaths_expected = True
        subreaper()
        self.points = [[Charger(g, "W%d-%d" % (w, i), worker=w)
                        for i in range(3)] for w in range(2)]
        for c in sum(self.points, []):
            c.boot()
        self.old = g.pid
        self.workers = [w["pid"] for w in g.workers()]
        os.kill(self.workers[at], signal.SIGSTOP)
        self.client = background(g.ask, "-j", "upgrade")
        g.wait_log("it is prepared")  # the processes that have checked the program have ended
        self.new = poll(lambda: self.find_new(), what="the new master")
        if at:
            g.wait_log("upgrade: worker %d has taken over" % (at - 1))

    def find_new(self):
        for pid in children(self.old):
            if pid in self.workers:
                continue
            try:
                with open("/proc/%d/comm" % pid) as f:
                    name = f.read().strip()
            except FileNotFoundError:
                continue
            if name == "ocppd":
                return pid
        return None

    def resume(self, at):
        os.kill(self.workers[at], signal.SIGCONT)


def dead(points):
    for c in points:
        try:
            while True:
                c.recv(DEADLINE)
        except (Closed, OSError):
            pass


def test_a_new_program_ends_if_the_old_one_has_died():
    """The old program died before it had sent anything to the new one."""
    old, new = socket.socketpair()
    old.close()
    done = subprocess.run([OCPPD, "-c", os.path.join(ROOT, "conf/test.conf")], env=dict(
        os.environ, OCPPD_UPGRADE=str(new.fileno())), pass_fds=[new.fileno()],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE)
    new.close()
    assert done.returncode == 1, done


def test_if_the_new_master_dies_before_a_slot_has_moved_the_old_one_continues():
    h = Halfway(0)
    os.kill(h.new, signal.SIGKILL)
    code, body = h.client.wait()
    assert code == 500 and "signal 9" in body, body
    h.resume(0)
    assert h.g.pid == h.old
    assert [w["pid"] for w in h.g.workers()] == h.workers
    lives(h.g, *sum(h.points, []))
    assert not [e for e in h.g.events("charge_point.disconnected")
                if e["chargePointId"].startswith("W")]
    h.g.upgrade()
    lives(h.g, *sum(h.points, []))


def test_an_old_worker_that_hangs_costs_only_its_own_connections():
    """It hangs for longer than upgrade.patience after another slot has moved. If it hangs
    before that, the old program continues with all connections."""
    h = Halfway(1, upgrade_patience="1s", server_stuck_timeout="5m")
    code, body = h.client.wait(60 * SLOW)
    assert code == 200, body
    h.g.wait_log("worker 1 does not hand over within upgrade.patience; it is killed")
    h.g.follow(json.loads(body)["pid"])
    h.g.wait_ready()
    dead(h.points[1])
    lives(h.g, *h.points[0])
    assert not h.g.events("charge_point.disconnected", "W0-0")
    for c in h.points[1]:
        assert len(h.g.wait_events(type="charge_point.disconnected", cp=c.identity)) == 1
    h.g.upgrade()
    lives(h.g, *h.points[0])


def test_if_the_new_master_dies_after_a_slot_has_moved_it_is_started_again():
    """The old master starts the new program again, and it takes over from the workers of
    both."""
    h = Halfway(1)
    os.kill(h.new, signal.SIGKILL)
    h.g.wait_log("it is started again")
    h.resume(1)
    h.g.follow(poll(lambda: taken_over(h.g, h.old, h.new)))
    h.g.wait_ready()
    lives(h.g, *sum(h.points, []))
    assert not h.g.events("charge_point.disconnected", "W0-0")
    h.g.upgrade()
    lives(h.g, *sum(h.points, []))


def taken_over(g, *former):
    """Returns the pid of a master that is not among these."""
    try:
        pid = g.tell("status")["pid"]
    except (OSError, AssertionError, ValueError):
        return None
    return pid if pid not in former else None


def test_if_the_new_program_dies_three_times_the_old_one_continues():
    """The connections of the slot that had moved are closed, the others stay open."""
    h = Halfway(1)
    new = h.new
    for _ in range(3):
        os.kill(new, signal.SIGKILL)
        poll(lambda: not alive(new))
        h.g.process.poll()
        if _ < 2:
            former, new = new, poll(lambda: h.find_new(), what="the new master")
            assert former != new
    h.client.wait()
    h.g.wait_log("old program continues")
    h.resume(1)
    dead(h.points[0])
    poll(lambda: [w["state"] for w in h.g.workers()] == ["ready", "ready"])
    assert h.g.worker_pid(1) == h.workers[1]
    lives(h.g, *h.points[1])
    h.g.wait_events(3, type="charge_point.disconnected")
    for c in h.points[0]:
        Charger(h.g, c.identity).call("Heartbeat")
    h.g.upgrade()
    lives(h.g, *h.points[1])


def test_if_the_old_master_dies_after_a_slot_has_moved_the_upgrade_ends_well():
    """The other old workers still hand over to the new program."""
    h = Halfway(1)
    os.kill(h.old, signal.SIGKILL)
    h.resume(1)
    h.g.follow(h.new)
    h.g.wait_ready()
    lives(h.g, *sum(h.points, []))
    assert not [e for e in h.g.events("charge_point.disconnected")
                if e["chargePointId"][0] == "W"]
    h.g.upgrade()
    lives(h.g, *sum(h.points, []))


def test_if_a_worker_dies_before_its_slot_moves_only_its_connections_are_closed():
    """The upgrade continues."""
    h = Halfway(1)
    os.kill(h.workers[1], signal.SIGKILL)
    code, body = h.client.wait()
    assert code == 200, body
    h.g.follow(json.loads(body)["pid"])
    dead(h.points[1])
    h.g.wait_ready()
    lives(h.g, *h.points[0])
    for c in h.points[1]:
        Charger(h.g, c.identity).call("Heartbeat")
        # The event of the former session's end precedes the beginning of the next one.
        h.g.wait_events(2, type="charge_point.connected", cp=c.identity)
        kinds = ["charge_point.connected", "charge_point.disconnected"]
        assert [e["eventType"] for e in h.g.events(type="all", cp=c.identity)
                if e["eventType"] in kinds][:3] == kinds + kinds[:1], c.identity


def test_if_a_new_worker_dies_only_the_connections_of_its_slot_are_closed():
    h = Halfway(1)
    heir = next(p for p in children(h.new)
                if open("/proc/%d/comm" % p).read().strip() == "ocppd-w0")
    os.kill(heir, signal.SIGKILL)
    h.resume(1)
    code, body = h.client.wait()
    assert code == 200, body
    h.g.follow(json.loads(body)["pid"])
    dead(h.points[0])
    h.g.wait_ready()
    lives(h.g, *h.points[1])
    for c in h.points[0]:
        Charger(h.g, c.identity).call("Heartbeat")


def test_during_an_upgrade_reports_are_answered_and_changes_wait_or_are_refused():
    """The old program answers reports. A command that changes something waits for the new
    program. A second upgrade and a restart are refused."""
    h = Halfway(1)
    status = h.g.tell("status")
    assert status["pid"] == h.old and status["upgrade"]["underWay"], status
    assert [w["state"] for w in h.g.workers()] == ["moved", "ready"]
    call = background(h.g.call, "W0-0", "GetLocalListVersion")
    half = socket.socket(socket.AF_UNIX)
    half.connect(h.g.control)
    half.sendall(b"-j sta")
    shown = background(h.g.show, "W0-1")
    h.resume(1)
    c = h.points[0][0]
    c.result(c.take(DEADLINE * 2)[0], {"listVersion": 3})
    assert call.wait()["payload"] == {"listVersion": 3}
    assert shown.wait()["online"]
    half.sendall(b"tus\n")
    assert half.recv(1000).startswith(b"200 ")
    code, body = h.client.wait()
    assert code == 200, body
    h.g.follow(json.loads(body)["pid"])
    lives(h.g, *sum(h.points, []))


def test_a_stop_during_an_upgrade_leaves_no_process():
    """Before a slot has moved, a stop ends the upgrade; afterwards it waits for the end of
    the upgrade."""
    for at in (0, 1):
        h = Halfway(at)
        os.kill(h.old, signal.SIGTERM)
        h.g.wait_log("being stopped" if at == 0 else
                     "stopping as soon as the upgrade is done")
        h.resume(at)
        if at == 1:
            h.g.follow(h.new)
        dead(sum(h.points, []))
        assert h.g.wait_exit() == 0
        poll(lambda: not alive(h.old) and not alive(h.new))
        poll(lambda: not any(alive(p) for p in h.workers))
        h.g.process = None


def test_if_a_worker_hangs_before_a_slot_has_moved_the_old_program_continues():
    """It continues after upgrade.patience."""
    h = Halfway(0, upgrade_patience="2s")
    code, body = h.client.wait()
    assert code == 500 and "worker 0 was not moved within" in body, body
    h.resume(0)
    lives(h.g, *sum(h.points, []))


def test_a_new_worker_that_hangs_costs_only_the_connections_of_its_slot():
    """When its slot has moved, the worker is killed after upgrade.patience."""
    for at in (0, 1):
        h = Halfway(at, upgrade_patience="2s")
        with_name = {}
        for pid in children(h.new):
            with open("/proc/%d/comm" % pid) as f:
                with_name[f.read().strip()] = pid
        heir = with_name["ocppd-w%d" % at]
        os.kill(heir, signal.SIGSTOP)
        h.resume(at)
        code, body = h.client.wait()
        assert code == 200, body
        h.g.follow(json.loads(body)["pid"])
        assert not alive(heir)
        lives(h.g, *h.points[1 - at])
        dead(h.points[at])
        back = [Charger(h.g, c.identity) for c in h.points[at]]
        lives(h.g, *back)
        assert h.g.upgrade()["connections"] == len(back) + len(h.points[1 - at])
        lives(h.g, *back, *h.points[1 - at])
        h.g.close()


if __name__ == "__main__":
    main()
