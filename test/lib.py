"""The library of the stories (test/*.py): a gateway, charge points, and a runner.

It uses only the standard library of Python. A test of a protocol must send exact
bytes, also wrong ones, and must wait for several things at once; a shell script can
do neither well.

    from lib import *

    def test_a_charge_point_that_boots_is_accepted():
        g = Gateway()
        c = Charger(g, "CP1")
        assert c.boot()["status"] == "Accepted"

    if __name__ == "__main__":
        main()

The runner prints the function's name as a sentence. No test sleeps for a fixed time:
every read has a deadline, and a test polls for an effect that it cannot read."""

import base64
import fcntl
import hashlib
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
B = os.path.abspath(os.path.join(ROOT, os.environ.get("B", "build")))
OCPPD = os.path.join(B, "ocppd")
OCPPCTL = os.path.join(B, "ocppctl")

# Instrumented builds (make check-asan) and busy machines are slower.
SLOW = float(os.environ.get("OCPPD_TEST_SLOW", "1"))
DEADLINE = 10.0 * SLOW

# make check-valgrind: the command that runs the daemon.
VALGRIND = os.environ.get("OCPPD_TEST_VALGRIND", "").split()

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


# A shell starts background commands with SIGINT ignored. The programs that the tests
# start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Skip(Exception):
    """The test cannot run here; the text is the reason."""


class Closed(Exception):
    """The gateway ended the connection with `code` and `reason`; code is None if there
    was no close frame."""

    def __init__(self, code, reason=""):
        super().__init__("closed with %s %s" % (code, reason))
        self.code, self.reason = code, reason


class CallError(Exception):
    """The answer was a CALLERROR."""

    def __init__(self, code, description, details):
        super().__init__("%s: %s" % (code, description))
        self.code, self.description, self.details = code, description, details


def resident(pid):
    """Returns the resident memory of a process in bytes, without pages of files."""
    with open("/proc/%d/status" % pid) as f:
        status = f.read()
    return 1024 * sum(int(re.search(name + r":\s+(\d+)", status)[1])
                      for name in ("RssAnon", "RssShmem"))


def poll(condition, timeout=DEADLINE, what=None):
    """Calls condition until its value is true, and returns the value."""
    end = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            text = what or getattr(condition, "__name__", "")
            raise AssertionError("%s did not happen within %.1f s"
                                 % (text or "the awaited effect", timeout))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


_port = [os.getpid() * 37 % 18000]
_reserved = []     # sockets that reserve ports until this process ends


def free_port():
    """Returns a free port below the range from which the kernel takes the ports of
    clients. Because the gateway may listen on it only later, the port is reserved: a
    socket with its name in the abstract namespace prevents other test processes from
    using it."""
    for _ in range(2000):
        _port[0] = (_port[0] + 1) % 18000
        s, name = socket.socket(), socket.socket(socket.AF_UNIX)
        try:
            s.bind(("127.0.0.1", 12000 + _port[0]))
            name.bind("\0ocppd-test-port-%d" % (12000 + _port[0]))
            _reserved.append(name)
            return 12000 + _port[0]
        except OSError:
            name.close()
        finally:
            s.close()
    raise AssertionError("there is no free port from 12000 to 29999")


# --- the gateway -------------------------------------------------------------

_gateways = []  # the gateways of the running test
_threads = []  # the threads of the running test, see background()
_shared = {}  # the gateways that the tests of the file share, see shared()


def option(key):
    """server_max_connections -> server.max_connections"""
    return key.replace("_", ".", 1)


class Event(dict):
    """An event. raw is its line in the journal, line the same without the checksum, and
    slot the slot of the worker."""
    __slots__ = ("line", "raw", "slot")


def subreaper():
    """Makes this process the parent of descendants whose own parent has ended, so that
    it can read their exit codes."""
    import ctypes
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)     # PR_SET_CHILD_SUBREAPER


class Adopted:
    """Like subprocess.Popen, for a process that another process has started."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = (0, 0) if alive(self.pid) else (self.pid, 0)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=None):
        until = time.monotonic() + (timeout or 3600)
        while self.poll() is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("ocppd", timeout)
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, sig):
        os.kill(self.pid, sig)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Gateway:
    """One daemon with its own directory and ports.

    Keywords are settings, with _ instead of the first dot: server_workers=1. conf: a
    file of the source tree, or the text of a configuration. dir: the directory of an
    earlier gateway, whose state is used. start=False: the daemon is not started until
    start() is called."""

    def __init__(self, conf="conf/test.conf", dir=None, start=True, args=(),
                 preexec=None, env=None, wait=True, **settings):
        self.dir = dir or tempfile.mkdtemp(prefix="ocppd-test-")
        self.owns_dir = dir is None
        os.chmod(self.dir, 0o755)
        self.state_dir = settings.pop("server_state_dir", self.dir + "/state")
        self.control = self.dir + "/control.sock"
        self.log_path = self.dir + "/log"
        self.port = free_port()
        if "\n" in conf:
            self.conf = self.dir + "/ocppd.conf"
            with open(self.conf, "w") as f:
                f.write(conf)
        else:
            self.conf = os.path.join(ROOT, conf)
        self.settings = {"server_listen": "127.0.0.1:%d" % self.port,
                         "server_state_dir": self.state_dir,
                         "server_control": self.control,
                         "server_node": "test"}
        if VALGRIND:    # valgrind makes system calls that the filter does not allow
            self.settings["server_seccomp"] = "no"
            # Its search for leaks at the end of a worker takes seconds, and so long
            # the master waits before it kills.
            self.settings["websocket_close_timeout"] = "20s"
        # A client on a busy machine answers pings late.
        if SLOW > 1 and conf == "conf/test.conf":
            self.settings["websocket_idle_timeout"] = "%dms" % (4000 * SLOW)
        self.settings.update(settings)
        self.settings = {k: v for k, v in self.settings.items()
                         if v is not None}
        self.args, self.preexec, self.env = list(args), preexec, env
        self.process = None
        self.deaths_expected = False  # a worker may die in this test
        self.most = {}  # the greatest value of each gauge that stats() has returned
        self.sum_before = {}
        self.outcomes = []  # the outcomes that call() has returned, for zz_schema
        self.hidden = set()  # pids whose descriptors only root can read
        self.mark = 0  # offset in the log at which this process began
        _gateways.append(self)
        if start:
            self.start(wait)

    def command(self):
        words = [OCPPD, "-c", self.conf]
        if VALGRIND:  # with -q its log has only errors
            words = VALGRIND + ["--log-file=%s/valgrind.%%p" % self.dir] + words
        for k, v in self.settings.items():
            words += ["-o", "%s=%s" % (option(k), v)]
        return words + self.args

    def start(self, wait=True):
        self.mark = os.path.getsize(self.log_path) \
            if os.path.exists(self.log_path) else 0
        log = open(self.log_path, "ab")
        env = dict(os.environ, **(self.env or {}))
        self.process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=self.dir, preexec_fn=self.preexec, env=env)
        log.close()
        if wait:
            self.wait_ready()

    def wait_ready(self):
        def ready():
            if self.process and self.process.poll() is not None:
                raise AssertionError("ocppd exited with %d:\n%s" % (
                    self.process.returncode, self.log()))
            try:
                code, body = self.ask("-j", "workers")
            except OSError:
                return False
            return code == 200 and all(w["state"] == "ready"
                                       for w in json.loads(body))
        poll(ready, what="readiness of all workers")

    @property
    def pid(self):
        return self.process.pid

    # -- requests --

    def ask(self, *words, timeout=30.0 * SLOW):
        """Sends a command to the control socket without ocppctl. Returns (code,
        body)."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        try:
            s.connect(self.control)
            line = " ".join("'%s'" % w if "'" not in w
                            else '"%s"' % w.replace("\\", "\\\\")
                            .replace('"', '\\"') for w in words)
            s.sendall(line.encode() + b"\n")
            data = b""
            while True:
                some = s.recv(1 << 16)
                if not some:
                    break
                data += some
        finally:
            s.close()
        head, _, body = data.partition(b"\n")
        fields = head.split()
        if len(fields) != 2 or int(fields[1]) != len(body):
            raise ConnectionResetError("an incomplete answer of the control socket: %r"
                                       % data[:100])
        return int(fields[0]), body.decode()

    def tell(self, *words):
        """Returns the answer of the control socket to a command, decoded from JSON."""
        code, body = self.ask("-j", *words)
        assert code < 400, (words, code, body)
        return json.loads(body)

    def run(self, *words, timeout=60.0 * SLOW, **kw):
        """Runs ocppctl as an operator does."""
        return subprocess.run([OCPPCTL, "-s", self.control] +
                              [str(w) for w in words], timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, **kw)

    def ctl(self, *words, code=0, json_=True):
        """Returns the output of ocppctl: decoded JSON of -j, or text if json_ is
        False."""
        r = self.run(*(["-j"] if json_ else []), *words)
        assert r.returncode == code, "ocppctl %s: exit code %d\n%s%s" % (
            " ".join(map(str, words)), r.returncode, r.stdout, r.stderr)
        return json.loads(r.stdout) if json_ else r.stdout

    def verify(self, ledger, *words):
        """Compares a ledger with the journal by `ocppsim verify`, and returns its report.
        Fails if they differ."""
        r = subprocess.run([os.path.join(B, "ocppsim"), "verify", "--json", "--ledger",
                            ledger, "--journal", self.state_dir + "/journal", *words],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=300 * SLOW)
        assert r.returncode == 0, r.stdout + r.stderr
        got = json.loads(r.stdout)
        assert got["ok"], got
        return got

    def stats(self, *pattern):
        got = self.tell("stats", *pattern)
        for k, v in got.items():
            if isinstance(v, int):
                self.most[k] = max(self.most.get(k, 0), v)
        return got

    def stat(self, name, row=None):
        v = self.stats(name)[name]
        return v if row is None else v[row]

    def workers(self):
        return self.tell("workers")

    def worker_pid(self, n):
        return self.workers()[n]["pid"]

    def kill_worker(self, n, sig=signal.SIGKILL):
        self.deaths_expected = True
        pid = poll(lambda: self.worker_pid(n), what="worker %d" % n)
        os.kill(pid, sig)
        return pid

    def show(self, identity):
        code, body = self.ask("-j", "show", identity)
        return json.loads(body) if code == 200 else None

    def online(self, identity):
        s = self.show(identity)
        return bool(s and s["online"])

    def call(self, identity, action, payload=None, *options, timeout=30):
        """Returns the outcome of a command, as `call -j` prints it."""
        words = ["-j", "call", identity, action]
        if payload is not None:
            words.append(payload if isinstance(payload, str)
                         else json.dumps(payload))
        code, body = self.ask(*words, *options, timeout=timeout * SLOW)
        assert code in (200, 220), (code, body)
        outcome = json.loads(body)
        if "outcome" in outcome:
            self.outcomes.append(outcome)
        return outcome

    def log(self):
        """Returns the log since the last start."""
        with open(self.log_path, "rb") as f:
            f.seek(self.mark)
            return f.read().decode(errors="replace")

    def wait_log(self, pattern, timeout=DEADLINE):
        return poll(lambda: re.search(pattern, self.log()), timeout,
                    "a log line /%s/" % pattern)

    # -- events --

    def segments(self):
        d = os.path.join(self.state_dir, "journal")
        try:
            return sorted(e.path for e in os.scandir(d)
                          if e.name.endswith(".jsonl") and e.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def events(self, type=None, cp=None, action=None):
        """Returns the events of the journal, sorted by eventId. An incomplete last line
        is ignored, because it is still being written. type: an event type, or "all".
        Without a type the events gateway.started and command.sent are omitted, because
        no action of a charge point causes them."""
        found = {}
        for path in self.segments():
            try:
                with open(path, "rb") as f:
                    data = f.read()
            except FileNotFoundError:
                continue
            for line in data.split(b"\n")[:-1]:
                try:
                    e = Event(json.loads(line))
                except ValueError:
                    continue
                e.pop("crc32c", None)  # a part of the line, not of the event
                e.raw = line.decode()
                e.line = re.sub(',"crc32c":"[0-9a-f]{8}"}$', "}", line.decode())
                e.slot = int(os.path.basename(path)[1:4])
                found[e["eventId"]] = e
        return [e for _, e in sorted(found.items())
                if (e["eventType"] not in ("gateway.started", "command.sent")
                    if type is None else type in ("all", e["eventType"])) and
                (cp is None or e["chargePointId"] == cp) and
                (action is None or e.get("action") == action)]

    def wait_events(self, n=1, timeout=DEADLINE, **filter):
        """Waits until there are at least n events, and returns them."""
        def enough():
            got = self.events(**filter)
            return got if len(got) >= n else None
        return poll(enough, timeout, "%d events %s" % (n, filter))

    # -- the end --

    def note_stats(self):
        """Stores the counters of a process that is about to end, for zz_counters."""
        try:
            got = self.stats()
        except (OSError, AssertionError, ValueError):
            return
        path = os.environ.get("OCPPD_TEST_STATS")
        if path:
            with open(path, "a") as f:
                fcntl.flock(f, fcntl.LOCK_EX)
                f.write(json.dumps({"stats": got, "most": self.most}) + "\n")

    def send_signal(self, sig):
        os.kill(self.pid, sig)

    def wait_exit(self, timeout=DEADLINE):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError("ocppd did not exit within %.1f s" % timeout)

    def follow(self, pid):
        """Waits for the end of the former master. From then on this object represents
        the master `pid`, which has taken over."""
        self.process.wait(DEADLINE)
        self.process = Adopted(pid)

    def upgrade(self, *program, timeout=60.0):
        """Upgrades, and returns the report of `ocppctl -j upgrade` when the old program
        has ended. If the disk of this machine is too slow, the gateway refuses the
        upgrade and the old program continues; then the upgrade is tried again, as an
        operator would do."""
        subreaper()
        for _ in range(5):
            code, body = self.ask("-j", "upgrade", *program,
                                  timeout=timeout * SLOW)
            if "does not make the last events durable" not in body:
                break
        assert code == 200, (code, body, self.log()[-3000:])
        report = json.loads(body)
        self.follow(report["pid"])
        return report

    def stop(self, sig=signal.SIGTERM, timeout=DEADLINE):
        """Stops the gateway and returns its exit code."""
        self.note_stats()
        self.send_signal(sig)
        code = self.wait_exit(timeout)
        self.process = None
        return code

    def kill_everything(self):
        """Kills all processes at the same moment, like a loss of power. They are stopped
        (SIGSTOP) before the first one is killed, so that none notices the death of
        another."""
        self.note_stats()
        pids = [w["pid"] for w in self.workers() if w["pid"]]
        children = subprocess.run(["pgrep", "-P", str(self.pid)],
                                  stdout=subprocess.PIPE, text=True).stdout
        pids += [int(p) for p in children.split()]
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in [self.pid] + pids:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
        self.process.wait()
        self.process = None
        for pid in set(pids):
            poll(lambda: not alive(pid), what="the death of %d" % pid)

    def close(self):
        if self.process and self.process.poll() is None:
            self.note_stats()
            children = subprocess.run(
                ["pgrep", "-P", str(self.pid)], stdout=subprocess.PIPE,
                text=True).stdout.split()
            for p in children:  # a stopped process could not end
                try:
                    os.kill(int(p), signal.SIGCONT)
                except ProcessLookupError:
                    pass
            if VALGRIND:  # valgrind searches for leaks only at an orderly exit
                self.send_signal(signal.SIGTERM)
                try:
                    self.process.wait(DEADLINE)
                except subprocess.TimeoutExpired:
                    pass
            if self.process.poll() is None:
                self.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("ocppd has not ended %.1f s after SIGQUIT" % DEADLINE)
        self.process = None

    def check_log(self):
        """Fails if the log reports an error of a sanitizer, or the death of a worker that
        the test does not expect. Also fails if valgrind has found an error."""
        with open(self.log_path, "rb") as f:
            text = f.read().decode(errors="replace")
        # When the gateway stops at once, it kills its workers. This is not an error.
        text = re.sub(r"(stopping|stops the gateway) at once.*\n(.*\n)*",
                      "", text)
        bad = r"AddressSanitizer|runtime error:|LeakSanitizer"
        if not self.deaths_expected:
            bad += r"|last words: .*|worker \d+: pid \d+ (was killed|exited with code [1-9]).*"
        found = re.search(bad, text)
        assert not found, "the log has the line: " + found.group(0)
        for name in sorted(os.listdir(self.dir)):
            if name.startswith("valgrind."):
                with open(os.path.join(self.dir, name), errors="replace") as f:
                    errors = f.read()
                assert not errors, "valgrind has found errors (%s):\n%s" % (name, errors)

    def note_shapes(self):
        """Stores one event of each shape in the journal, and all outcomes that call() has
        returned, for zz_schema."""
        path = os.environ.get("OCPPD_TEST_SHAPES")
        if not path or not self.owns_dir:
            return
        shapes, count = {}, 0
        for e in self.events(type="all"):
            count += 1
            shapes.setdefault(shape_of(e), e.raw)
        with open(path, "a") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            for shape, line in shapes.items():
                f.write(line + "\n")
            for outcome in self.outcomes:
                f.write("outcome " + json.dumps(outcome) + "\n")
            f.write("%d\n" % count)

    def remove(self):
        self.note_shapes()
        if self.owns_dir:
            shutil.rmtree(self.dir, ignore_errors=True)

    # -- the owner of a connection --

    def worker_of(self, sock):
        """Returns the number of the worker that has accepted a client's socket; None if
        no worker has accepted it yet."""
        inode = server_inode(sock)
        if inode is None:
            return None
        for w in self.workers():
            try:
                if w["pid"] and inode in inodes(w["pid"], strict=True):
                    return w["worker"]
            except PermissionError:  # the process may be ending: try once more
                if w["pid"] in self.hidden:
                    raise
                self.hidden.add(w["pid"])
        return None


# For shape_of(): members of events whose text has a format, with the characters that
# may differ; and members of which each value makes another shape.
FORMS = {"eventId": r"[0-9a-f]", "timestamp": r"\d", "lastSeen": r"\d",
         "notAfter": r"\d"}
WORDS = {"eventType", "protocol", "action", "answeredBy", "reason", "outcome",
         "origin", "subprotocol"}


def shape_of(value, key=None):
    """Returns the shape of a value. If two events have the same shape, a JSON Schema
    accepts either both or neither. The shape of a charge point's payload is only its
    type."""
    if isinstance(value, dict):
        if key in ("sent", "answer"):
            return "object"
        sent = "messageId" in value and \
            value.get("eventType") not in ("command.sent", "command.response")
        if key is None:
            return tuple((k, shape_of(v, "sent" if k == "payload" and sent
                                      else k)) for k, v in value.items())
        return tuple((k, shape_of(v, k)) for k, v in value.items())
    if isinstance(value, list):
        if key == "deviations":
            return tuple(value)
        return ("list",) + tuple(sorted({str(shape_of(v)) for v in value}))
    if isinstance(value, str):
        if key in WORDS:
            return value
        return re.sub(FORMS[key], "0", value[:17 if key == "eventId" else None]
                      ) if key in FORMS else "text"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (type(value).__name__, value < 0)
    return str(value)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def inodes(pid, strict=False):
    """Returns the open files of a process. Only root can read those of a process that
    holds secrets; for other users the result is empty, or with strict a
    PermissionError."""
    found = set()
    d = "/proc/%d/fd" % pid
    try:
        for n in os.listdir(d):
            try:
                found.add(os.readlink(d + "/" + n))
            except OSError:
                pass
    except PermissionError:
        if strict:
            raise
    except OSError:
        pass
    return found


def server_inode(sock):
    """Returns the name in /proc/PID/fd of the server's socket of a loopback
    connection; None if the connection is not accepted yet. The kernel is asked about
    this one socket (sock_diag(7)), because reading /proc/net/tcp takes long on a busy
    machine."""
    mine, theirs = sock.getsockname(), sock.getpeername()
    end = struct.pack(">HH", theirs[1], mine[1]) + \
        socket.inet_aton(theirs[0]).ljust(16, b"\0") + \
        socket.inet_aton(mine[0]).ljust(16, b"\0") + \
        struct.pack("=I", 0) + b"\xff" * 8
    request = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0,
                          0xffffffff) + end
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as s:
        s.settimeout(DEADLINE)
        s.send(struct.pack("=IHHII", 16 + len(request), 20, 1, 1, 0) + request)
        answer = s.recv(65536)
    if struct.unpack("=H", answer[4:6])[0] != 20:   # an error: there is no such socket
        return None
    inode = struct.unpack("=I", answer[16 + 4 + 48 + 16:][:4])[0]
    return "socket:[%d]" % inode if inode else None


def shared(**settings):
    """Returns a gateway with these settings, which all tests of the file that call this
    with the same settings share."""
    key = json.dumps(settings, sort_keys=True)
    g = _shared.get(key)
    if g is None or g.process is None or g.process.poll() is not None:
        g = _shared[key] = Gateway(**settings)
        _gateways.remove(g)
    return g


# --- the charge point --------------------------------------------------------

def frame(op, data=b"", fin=True, rsv=0, mask=True, length=None):
    """Returns a frame as a client sends it. length: the length in the header, if it is
    not that of data."""
    if isinstance(data, str):
        data = data.encode()
    n = len(data) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | op])
    bit = 0x80 if mask else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    if not mask:
        return head + data
    key = random.randbytes(4)
    pad = key * (len(data) // 4 + 1)
    x = int.from_bytes(data, "big") ^ int.from_bytes(pad[:len(data)], "big")
    return head + key + x.to_bytes(len(data), "big")


class Frame:
    def __init__(self, op, fin, data):
        self.op, self.fin, self.data = op, fin, data

    def __repr__(self):
        return "Frame(%d, %r)" % (self.op, self.data[:200])


class Response:
    """A response to a handshake. rest: bytes that follow the header; local: the address
    of the client."""

    def __init__(self, status, headers, body, rest):
        self.status, self.headers = status, headers
        self.body, self.rest, self.local = body, rest, None

    def __getitem__(self, name):
        """Returns the value of a header, or None if there is no such header."""
        for k, v in self.headers:
            if k.lower() == name.lower():
                return v
        return None


class Charger:
    """A charge point. Its WebSocket client sends exactly the bytes that the test gives.

    identity: the path has it percent-encoded. open=False: only the TCP connection is
    made. worker: connections are made until this worker has accepted one."""

    def __init__(self, g, identity="CP1", protocols="ocpp1.6", open=True,
                 worker=None, source=None, rcvbuf=None, timeout=DEADLINE,
                 **handshake):
        self.g, self.identity, self.timeout = g, identity, timeout
        self.buffer = b""
        self.auto_pong = True
        self.pings, self.pongs = [], []
        self.calls = []       # CALLs of the gateway that take() has not returned yet
        self.fragments = b""
        self.number = 0
        self.sock = None
        for _ in range(1000):
            self.connect(source, rcvbuf)
            if worker is None:
                break
            try:
                if self.accepted_by() == worker:
                    break
                self.reset()
            except PermissionError:
                if not open:
                    raise Skip("only root can see which connections a worker that "
                               "holds secrets has accepted")
                self.open(protocols, handshake)
                if g.show(identity)["worker"] == worker:
                    return
                self.close()
        else:
            raise AssertionError("worker %d has accepted none of 1000 connections"
                                 % worker)
        if open:
            self.open(protocols, handshake)

    def connect(self, source, rcvbuf):
        s = self.sock = socket.socket()
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            s.bind((source, 0))
        s.settimeout(self.timeout)
        s.connect(("127.0.0.1", self.g.port))

    def open(self, protocols, handshake):
        r = self.handshake(protocols=protocols, **handshake)
        assert r.status == 101, (r.status, r.body)
        if protocols and isinstance(protocols, str):
            assert r["Sec-WebSocket-Protocol"] in protocols.split(", "), r.headers

    def accepted_by(self):
        """Returns the number of the worker that has accepted the connection; None if the
        connection waits for a worker that is stopped."""
        try:
            poll(lambda: self.g.worker_of(self.sock) is not None, 0.5 * SLOW)
        except AssertionError:
            return None
        return self.g.worker_of(self.sock)

    # -- bytes --

    def raw(self, data):
        self.sock.settimeout(self.timeout)
        self.sock.sendall(data)

    def fill(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no bytes were received before the deadline")
        self.sock.settimeout(left)
        try:
            some = self.sock.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):  # the latter is raised by TLS
            some = b""
        except (socket.timeout, TimeoutError):
            raise TimeoutError("no bytes were received before the deadline")
        if not some:
            raise Closed(None, "end of the TCP connection")
        self.buffer += some

    def reset(self):
        """Ends the connection without a close frame, by RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    # -- handshake --

    def request(self, path=None, protocols="ocpp1.6", headers=(), drop=(),
                method="GET", version="HTTP/1.1", key=None):
        """Returns the bytes of a handshake request. headers: (name, value) pairs, which
        replace the headers of the same name and may be repeated; drop: names of headers
        that are omitted."""
        self.key = key or base64.b64encode(random.randbytes(16)).decode()
        if path is None:
            path = "/ocpp/" + urllib.parse.quote(self.identity, safe="")
        own = [("Host", "127.0.0.1:%d" % self.g.port),
               ("Upgrade", "websocket"), ("Connection", "Upgrade"),
               ("Sec-WebSocket-Key", self.key), ("Sec-WebSocket-Version", "13")]
        if protocols:
            own.append(("Sec-WebSocket-Protocol", protocols))
        given = {k.lower() for k, _ in headers}
        lines = [h for h in own if h[0].lower() not in given and
                 h[0] not in drop] + list(headers)
        return ("%s %s %s\r\n" % (method, path, version) + "".join(
            "%s: %s\r\n" % h for h in lines) + "\r\n").encode("utf-8",
                                                              "surrogateescape")

    def response(self, timeout=None):
        deadline = time.monotonic() + (timeout or self.timeout)
        while b"\r\n\r\n" not in self.buffer:
            self.fill(deadline)
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = [tuple(x.strip() for x in l.split(":", 1)) for l in lines[1:]]
        r = Response(int(lines[0].split()[1]), headers, b"", rest)
        n = int(r["Content-Length"] or 0)
        while len(r.rest) < n:
            self.buffer = b""
            self.fill(deadline)
            r.rest += self.buffer
        self.buffer = b""
        r.body, self.buffer = r.rest[:n].decode(), r.rest[n:]
        r.local = "%s:%d" % self.sock.getsockname()[:2]
        return r

    def handshake(self, **request):
        self.raw(self.request(**request))
        r = self.response()
        if r.status == 101:
            want = base64.b64encode(hashlib.sha1(
                (self.key + GUID).encode()).digest()).decode()
            assert r["Sec-WebSocket-Accept"] == want, r.headers
        return r

    # -- frames --

    def send(self, data, op=TEXT, **kw):
        self.raw(frame(op, data, **kw))

    def recv(self, timeout=None):
        """Returns the next frame, also a ping or a close."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            b = self.buffer
            need = 2
            if len(b) >= 2:
                assert not b[1] & 0x80, "the gateway masked a frame"
                assert not b[0] & 0x70, "the gateway set a reserved bit"
                n, head = b[1] & 0x7f, 2
                if n == 126:
                    head = 4
                elif n == 127:
                    head = 10
                need = head
                if len(b) >= head:
                    if n == 126:
                        n = struct.unpack(">H", b[2:4])[0]
                    elif n == 127:
                        n = struct.unpack(">Q", b[2:10])[0]
                    need = head + n
                    if len(b) >= need:
                        self.buffer = b[need:]
                        return Frame(b[0] & 15, bool(b[0] & 0x80), b[head:need])
            self.fill(deadline)

    def message(self, timeout=None):
        """Returns the next text message. Pings are answered; a close frame raises
        Closed."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            f = self.recv(max(deadline - time.monotonic(), 0.001))
            if f.op == PING:
                self.pings.append((time.monotonic(), f.data))
                if self.auto_pong:
                    self.send(f.data, PONG)
            elif f.op == PONG:
                self.pongs.append(f.data)
            elif f.op == CLOSE:
                code = struct.unpack(">H", f.data[:2])[0] if f.data else 1005
                try:
                    self.send(f.data[:2], CLOSE)
                except OSError:
                    pass
                raise Closed(code, f.data[2:].decode())
            else:
                assert f.op == TEXT and f.fin, f
                return f.data.decode()

    def wait_closed(self, code, timeout=None, reason=None):
        """Reads until the gateway has closed the connection with this code and the TCP
        connection has ended. Returns the reason. code None: the connection ends without
        a close frame."""
        try:
            while True:
                self.message(timeout)
        except Closed as e:
            assert e.code == code, "closed with %s (%s), not %s" % (
                e.code, e.reason, code)
            if reason:
                assert re.search(reason, e.reason), e.reason
            got = e.reason
        if code is not None:
            self.wait_end(timeout)
        self.sock.close()
        return got

    def wait_end(self, timeout=None):
        """Waits for the end of the TCP connection."""
        deadline = time.monotonic() + (timeout or self.timeout)
        try:
            while True:
                self.fill(deadline)
        except Closed:
            pass

    def ended(self):
        """Returns True if the gateway has ended the connection."""
        try:
            while True:
                self.message(0.001)
        except Closed:
            return True
        except (TimeoutError, OSError):
            return False

    def close(self, code=1000):
        """Closes the connection by a close handshake."""
        self.send(struct.pack(">H", code), CLOSE)
        try:
            while True:
                f = self.recv()
                if f.op == CLOSE:
                    break
            assert f.data[:2] == struct.pack(">H", code), f
            self.wait_end()
        except Closed:
            raise AssertionError("the gateway did not answer the close frame")
        self.sock.close()

    def silence(self, timeout=0.3):
        """Checks that no message is received within that time. The test waits for the
        whole time, so keep it short."""
        try:
            m = self.message(timeout * SLOW)
        except TimeoutError:
            return
        raise AssertionError("a message was received: %s" % m)

    # -- OCPP --

    def next_id(self):
        self.number += 1
        return "%s-%d" % (self.identity[:20], self.number)

    def put(self, action, payload, id=None):
        """Sends a CALL and returns its id; payload: JSON text or an object."""
        id = id or self.next_id()
        text = payload if isinstance(payload, str) else json.dumps(payload)
        self.send('[2,%s,"%s",%s]' % (json.dumps(id), action, text))
        return id

    def get(self, id, timeout=None):
        """Returns the payload of the answer to a CALL, or raises CallError. CALLs of the
        gateway that are received before are kept for take()."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            m = json.loads(self.message(deadline - time.monotonic()))
            if m[0] == 2:
                self.calls.append(m)
                continue
            assert m[1] == id, "expected the answer to %r, received %r" % (id, m)
            if m[0] == 4:
                assert len(m) == 5, m
                raise CallError(*m[2:])
            assert m[0] == 3 and len(m) == 3, m
            return m[2]

    def call(self, action, payload=None, id=None, timeout=None):
        return self.get(self.put(action, payload if payload is not None
                                 else {}, id), timeout)

    def refused(self, action, payload, id=None):
        """Sends a CALL, and returns the CallError with which it is answered. Fails if it
        is answered by a CALLRESULT."""
        try:
            got = self.call(action, payload, id)
        except CallError as e:
            return e
        raise AssertionError("expected a CALLERROR for %s, received the result %s"
                             % (action, got))

    def take(self, timeout=None):
        """Returns the next CALL of the gateway: (id, action, payload)."""
        if not self.calls:
            m = json.loads(self.message(timeout))
            assert m[0] == 2 and len(m) == 4, m
            self.calls.append(m)
        m = self.calls.pop(0)
        return m[1], m[2], m[3]

    def result(self, id, payload=None):
        text = payload if isinstance(payload, str) else \
            json.dumps(payload if payload is not None else {})
        self.send("[3,%s,%s]" % (json.dumps(id), text))

    def error(self, id, code="InternalError", description="", details="{}"):
        self.send('[4,%s,"%s",%s,%s]' % (json.dumps(id), code,
                                         json.dumps(description), details))

    def boot(self, vendor="Vendor", model="Model"):
        return self.call("BootNotification", {"chargePointVendor": vendor,
                                              "chargePointModel": model})

    def start(self, connector=1, tag="TAG1", meter=0,
              when="2026-01-31T12:00:00Z", **more):
        return self.call("StartTransaction", dict(
            connectorId=connector, idTag=tag, meterStart=meter,
            timestamp=when, **more))

    def stop(self, transaction, meter=100, when="2026-01-31T13:00:00Z", **more):
        return self.call("StopTransaction", dict(
            transactionId=transaction, meterStop=meter, timestamp=when, **more))


def refusal(g, *args, **request):
    """Makes a handshake that must be refused, and returns the response."""
    c = Charger(g, *args, open=False)
    r = c.handshake(**request)
    assert r.status != 101, "the handshake was accepted"
    c.wait_end()
    c.sock.close()
    return r


def crc32c(data):
    """Returns the CRC-32C (RFC 3720) of bytes. Lines of the journal and PROXY headers
    have it."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def background(function, *args):
    """Runs a function in a thread. wait() of the returned handle returns its result, or
    raises its exception."""
    class Handle(threading.Thread):
        value = exception = None

        def run(self):
            try:
                self.value = function(*args)
            except BaseException as e:
                self.exception = e

        def wait(self, timeout=DEADLINE * 3):
            self.join(timeout)
            assert not self.is_alive(), "the thread has not ended within %.1f s" % timeout
            if self.exception:
                raise self.exception
            return self.value
    h = Handle(daemon=True)
    _threads.append(h)
    h.start()
    return h


# --- the runner --------------------------------------------------------------

def run_one(name, function):
    began = time.monotonic()
    failed = skipped = None
    _gateways.clear()
    _threads.clear()
    marks = {g: os.path.getsize(g.log_path) for g in _shared.values()
             if os.path.exists(g.log_path)}
    try:
        function()
    except Skip as e:
        skipped = str(e)
    except KeyboardInterrupt:
        raise
    except BaseException:
        failed = traceback.format_exc()
    for g in list(_gateways):
        try:
            g.close()
            if not failed and not skipped and os.path.exists(g.log_path):
                g.check_log()
        except BaseException:
            failed = (failed or "") + traceback.format_exc()
    sentence = name[len("test_"):].replace("_", " ")
    word = "FAIL" if failed else "skip" if skipped else "ok"
    print("%-4s %6.2f s  %s%s" % (word, time.monotonic() - began, sentence,
                                  ": " + skipped if skipped else ""))
    if failed:
        print(failed)
        for h in _threads:  # often the cause of the failure above
            if h.exception:
                print("--- a thread of the test failed: %r" % h.exception)
        logs = [(g, 0) for g in _gateways] + list(marks.items())
        for g, mark in logs:
            if not os.path.exists(g.log_path):
                continue
            with open(g.log_path, "rb") as f:
                f.seek(mark)
                text = f.read().decode(errors="replace")
            if text:
                print("--- end of the log of %s:\n%s" % (g.dir, text[-6000:]))
    sys.stdout.flush()
    for g in _gateways:
        try:
            g.remove()
        except BaseException:
            print("FAIL           after %s:\n%s" % (sentence, traceback.format_exc()))
            failed = True
    return "failed" if failed else "skipped" if skipped else "passed"


def main(module=None):
    """Runs the test functions of the calling file, or those whose names contain an
    argument of the command line."""
    module = module or sys.modules["__main__"]
    tests = [(n, f) for n, f in vars(module).items()
             if n.startswith("test_") and callable(f)]
    words = [w.replace(" ", "_") for w in sys.argv[1:]]
    if words:
        tests = [(n, f) for n, f in tests if any(w in n for w in words)]
    if not os.path.exists(OCPPD):
        print("%s is missing: build it first" % OCPPD)
        print("0 passed, 1 failed, 0 skipped")
        sys.exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for n, f in tests:
        count[run_one(n, f)] += 1
    for g in _shared.values():
        try:
            g.close()
            g.check_log()
        except BaseException as e:
            print("FAIL    a gateway that several tests share: %s" % e)
            count["failed"] += 1
        g.remove()
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % count)
    sys.exit(1 if count["failed"] or not tests else 0)


__all__ = [n for n in dir() if not n.startswith("_")]
