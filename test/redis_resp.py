"""A Redis server and a client for the tests of the fleet. They use only the standard
library."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# The ports are below those of clients. So no client occupies a server's port while the
# server is stopped, and no connection to it can be a connection with itself.
from lib import free_port

HERE = os.path.dirname(os.path.abspath(__file__))
OCPPD = os.path.join(os.path.abspath(os.path.join(HERE, "..", os.environ.get("B", "build"))), "ocppd")


class Error(Exception):
    """An error that the server returned."""


def wait_for(what, condition, seconds=10.0):
    """Calls condition() until its value is true, and returns the value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("%s did not happen within %g s" % (what, seconds))
        time.sleep(0.01)


def pack(args):
    out = [b"*%d\r\n" % len(args)]
    for a in args:
        if not isinstance(a, bytes):
            a = str(a).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(a), a))
    return b"".join(out)


class Client:
    """A client for RESP2 on one socket. Strings are returned as str, errors are raised."""

    def __init__(self, port, timeout=20.0):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.sock.makefile("rb")

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, *args):
        self.sock.sendall(pack(args))

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise Error(rest.decode())
        if kind == b":":
            return int(rest)
        n = int(rest)
        if n < 0:
            return None
        if kind == b"$":
            return self.file.read(n + 2)[:-2].decode("utf-8", "surrogateescape")
        out = []
        for _ in range(n):
            try:
                out.append(self.reply())
            except Error as e:
                out.append(e)
        return out

    def __call__(self, *args):
        self.send(*args)
        return self.reply()

    def entries(self, stream):
        """Returns all entries of a stream, as dictionaries."""
        return [dict(zip(f[::2], f[1::2], strict=True)) for _, f in self("XRANGE", stream, "-", "+")]


def library(prefix="ocppd", shards=1, version=None):
    """Returns the Functions library in the form in which a gateway loads it."""
    text = subprocess.run([OCPPD, "-o", "redis.prefix=" + prefix, "-o", "redis.shards=%d" % shards, "-x", "redis"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    if version is None:
        return text
    lines = text.split("\n")
    lines[1] = "%s %s" % (lines[1].rsplit(" ", 1)[0], version)
    return "\n".join(lines)


# The package redis-tools gives the server another name, see scripts/deps.
PROGRAM = os.environ.get("OCPPD_TEST_REDIS") or shutil.which("redis-server") or shutil.which("redis-check-rdb")


class Server:
    """Runs redis-server on a free port of 127.0.0.1 in a directory of its own."""

    def __init__(self, *options, port=None, dir=None):
        self.own_dir = dir is None
        self.dir = dir or tempfile.mkdtemp(prefix="ocppd-redis-")
        self.port = port or free_port()
        self.options = options
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.dir,
             "--save", "", "--daemonize", "no", "--logfile", "redis.log", *self.options],
            executable=PROGRAM, stdin=subprocess.DEVNULL)

        def up():
            if self.process.poll() is not None:
                raise AssertionError("redis-server has ended; see %s/redis.log" % self.dir)
            try:
                c = Client(self.port)
                ok = c("PING") == "PONG"
                c.close()
                return ok
            except Error as e:
                return "NOAUTH" in str(e)
            except OSError:
                return False
        wait_for("redis-server", up, 20)

    def client(self):
        return Client(self.port)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """Kills the server, like a loss of power."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        if self.own_dir:
            shutil.rmtree(self.dir, ignore_errors=True)


class Report:
    """Runs tests, prints and counts their results. The last line is "N passed, N failed, N
    skipped"."""

    def __init__(self):
        self.passed = self.failed = 0

    def run(self, test, *args):
        import traceback
        try:
            test(*args)
            self.passed += 1
            print("ok   %s" % test.__name__.replace("_", " "), flush=True)
        except Exception:
            self.failed += 1
            print("FAIL %s" % test.__name__.replace("_", " "))
            traceback.print_exc()

    def end(self):
        print("%d passed, %d failed, 0 skipped" % (self.passed, self.failed))
        return 1 if self.failed else 0
