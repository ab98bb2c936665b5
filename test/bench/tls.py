"""The rows of `make bench` about TLS measure memory, CPU per message and per
handshake, a storm of handshakes, and many quiet connections. Each row measures
plain connections or another program in the same run. ocppsim is the client.

BENCH_TLS_MEMORY, BENCH_TLS_STORM and BENCH_TLS_QUIET set the numbers of
connections."""
import contextlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import __main__ as bench

PER_PROCESS = 17000   # connections; a process has 20,000 descriptors
PEERS = 8000          # HAProxy and nginx take two descriptors for each
WINDOWS = int(os.environ.get("BENCH_TLS_WINDOWS", "40"))


def number(name, default):
    return int(os.environ.get(name, default))


class Certificates:
    """The certificates that scripts/test-ca makes, in a directory of their own."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="ocppd-bench-ca-")
        os.chmod(self.dir, 0o755)
        subprocess.run(["scripts/test-ca", self.dir], check=True)
        with open(self.dir + "/site.pem", "w") as f:
            for part in ("ecdsa.pem", "ecdsa.key"):
                f.write(open(f"{self.dir}/{part}").read())
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def files(self, end, kinds=("ecdsa", "rsa")):
        return " ".join(f"{self.dir}/{k}.{end}" for k in kinds)


def gateway(ca, connections, kinds=("ecdsa", "rsa"), **knobs):
    """Starts a gateway with a plain listener and, if ca is not None, one with TLS."""
    port = bench.free_port()
    knobs.setdefault("workers", max(1, math.ceil(connections / PER_PROCESS)))
    knobs.setdefault("pin", False)
    knobs.setdefault("limits__accept_rate", 0)
    knobs.setdefault("limits__message_rate", 0)
    if ca is not None:
        knobs.update(server__listen_tls=f"127.0.0.1:{port}",
                     tls__certificate=ca.files("pem", kinds),
                     tls__key=ca.files("key", kinds))
    g = bench.Ocppd(server__max_connections=connections + 1000, **knobs)
    g.tls_port = port
    return g


class Sim:
    """A running ocppsim, whose summary is read as JSON."""

    def __init__(self, url, n, *words, before=(), boot=False):
        self.process = subprocess.Popen(
            [*before, f"{bench.BUILD}/ocppsim", "-u", url, "-n", str(n), "-P",
             str(max(1, math.ceil(n / PER_PROCESS))), "-q", "--json",
             *([] if boot else ["--no-boot"]), *[str(w) for w in words]],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def end(self):
        """Stops it if it runs, and returns its summary."""
        for _ in range(2):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
                time.sleep(0.3)  # the second signal is for what waits still
        out, _ = self.process.communicate(timeout=120)
        return json.loads(out) if out else None

    def result(self, seconds):
        out, _ = self.process.communicate(timeout=seconds)
        return json.loads(out)

    def pids(self):
        return bench.tree(self.process.pid)


@contextlib.contextmanager
def running(*args, **kw):
    s = Sim(*args, **kw)
    try:
        yield s
    finally:
        for p in reversed(s.pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(p, signal.SIGKILL)
        s.process.wait()


def calls(server, action):
    return server.ctl("stats").get("calls_in", {}).get(action, 0)


def settled(pids):
    """Waits until the memory has not changed for six seconds, because the heap of
    a burst is released some seconds later, and returns it in bytes."""
    seen = []
    end = time.monotonic() + 60
    while len(seen) < 13 or max(seen[-13:]) - min(seen[-13:]) > 20000:
        if time.monotonic() > end:
            break
        seen.append(bench.pss_bytes(pids))
        time.sleep(0.5)  # the interval of the readings that are compared
    return seen[-1]


# --- memory -------------------------------------------------------------------

def quiet_memory(server, pids, url, n, counted, *words):
    """Returns the memory for each of n connections after ten messages, in bytes:
    the growth since the server had none, and all memory of the server."""
    empty = bench.pss_bytes(pids)
    with running(url, n, "-r", 3000, "-m", "StatusNotification", "--messages", 10,
                 "--keep", "--duration", "300s", "--rate", max(1000, n // 4),
                 "--connect-timeout", "60s", *words, boot=True):
        bench.wait_for(lambda: calls(counted, "StatusNotification") >= 10 * n,
                       f"ten messages of each of {n}", 240)
        full = settled(pids)
    return (full - empty) / n, full / n


def haproxy_config(ca, port, to):
    return f"""
global
    maxconn 9500
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen l
    bind 127.0.0.1:{port} ssl crt {ca.dir}/site.pem
    server s 127.0.0.1:{to}
"""


def nginx_config(ca, port, to, d):
    return f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid {d}/pid;
error_log {d}/log;
worker_processes 1;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
stream {{
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {ca.dir}/site.pem;
        ssl_certificate_key {ca.dir}/site.pem;
        ssl_session_cache off;
        proxy_timeout 1h;
        proxy_pass 127.0.0.1:{to};
    }}
}}
"""


def peer_memory(row, ca, name):
    """Measures a TLS terminator before a plain gateway, without the gateway's
    memory."""
    program = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        print(f"bench: {name} is not installed; its row is omitted")
        return
    d = tempfile.mkdtemp(prefix="ocppd-bench-peer-")
    port = bench.free_port()
    try:
        with gateway(None, PEERS, limits__address_connections=0,
                     limits__prefix_connections=0) as g:
            with open(d + "/conf", "w") as f:
                f.write(haproxy_config(ca, port, g.port) if name == "haproxy"
                        else nginx_config(ca, port, g.port, d))
            words = ["-db", "-f"] if name == "haproxy" else ["-p", d, "-c"]
            p = subprocess.Popen([program, *words, d + "/conf"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                bench.wait_for(lambda: bench.listening(port), name)
                each, _ = quiet_memory(g, bench.tree(p.pid),
                                       f"wss://127.0.0.1:{port}/ocpp", PEERS, g)
            finally:
                p.terminate()
                p.wait()
    finally:
        shutil.rmtree(d)
    row(f"... {name} as a TLS terminator, {PEERS}", each, "bytes")


def memory(row):
    n = number("BENCH_TLS_MEMORY", 50000)
    with Certificates() as ca:
        for kind in ("plain", "TLS", "TLS and client certificate"):
            knobs = dict(tls__client="required", tls__client_ca=ca.dir + "/ca.pem",
                         tls__client_name="serial") if "client" in kind else {}
            # One certificate for all: each boots with the serial number in it.
            words = ["--tls-certificate", ca.dir + "/CP1.pem", "--tls-key",
                     ca.dir + "/CP1.key", "--serial", "CP1"] if "client" in kind else []
            with gateway(None if kind == "plain" else ca, n, **knobs) as g:
                url = f"ws://127.0.0.1:{g.port}/ocpp" if kind == "plain" else \
                    f"wss://127.0.0.1:{g.tls_port}/ocpp"
                each, whole = quiet_memory(g, g.pids(), url, n, g, *words)
            row(f"user memory, {n} quiet, ten messages each: {kind}", each, "bytes",
                all_together=whole)
        for name in ("haproxy", "nginx"):
            peer_memory(row, ca, name)


# --- CPU ----------------------------------------------------------------------

def cpu(row):
    """A plain and a TLS gateway serve the same load side by side; each window
    gives one ratio."""
    for message, target in (("Heartbeat", 1.25), ("StatusNotification", 1.2)):
        with Certificates() as ca, \
                gateway(None, 500, pin=True) as plain, gateway(ca, 500, pin=True) as tls:
            on_cpu_1 = ("taskset", "-c", "1")
            load = (200, "-r", 200, "--rate", 2500, "-m", message, "--duration", "300s")
            with running(f"ws://127.0.0.1:{plain.port}/ocpp", *load, before=on_cpu_1), \
                    running(f"wss://127.0.0.1:{tls.tls_port}/ocpp", *load, before=on_cpu_1):
                sides = (plain, tls)
                for s in sides:
                    bench.wait_for(lambda: calls(s, message) > 5000, "the load", 60)
                us = ([], [])
                pids = [s.pids() for s in sides]
                for _ in range(WINDOWS):
                    before = [(calls(s, message), bench.cpu_us(p))
                              for s, p in zip(sides, pids)]
                    time.sleep(0.5)  # the window
                    for i, (s, p) in enumerate(zip(sides, pids)):
                        n, t = calls(s, message), bench.cpu_us(p)
                        us[i].append((t - before[i][1]) / (n - before[i][0]))
        ratios = [b / a for a, b in zip(*us)]
        q = statistics.quantiles(ratios, n=4)
        row(f"{message}: server CPU over TLS, as a multiple of plain", q[1], "times",
            quartiles=f"{q[0]:.2f}-{q[2]:.2f}", plain_us=statistics.median(us[0]),
            tls_us=statistics.median(us[1]), target=target)


def handshake(row, each=100, rounds=60):
    """Makes full handshakes one after the other, in turns with a bare
    SSL_accept() loop and with ocppd, which also refuses each connection because
    no request follows. The host's speed drifts within seconds, so the turns are
    short, the side that begins alternates, and each round gives one ratio. The
    target is for the median; the ratio of all turns together stands beside it."""
    for kind in ("rsa", "ecdsa"):
        with Certificates() as ca, gateway(ca, 1000, (kind,), pin=True) as g:
            port = bench.free_port()
            bare = subprocess.Popen(
                ["taskset", "-c", "0", f"{bench.BUILD}/accept", "serve", str(port),
                 ca.files("pem", (kind,)), ca.files("key", (kind,))])
            try:
                bench.wait_for(lambda: bench.listening(port), "the bare loop")
                sides = (("bare", port, [bare.pid]), ("ocppd", g.tls_port, g.pids()))
                for version in ("2", "3"):
                    us = {"bare": [], "ocppd": []}
                    for i in range(-1, rounds):
                        for name, p, pids in sides if i % 2 else sides[::-1]:
                            before = bench.cpu_us(pids)
                            subprocess.run(
                                ["taskset", "-c", "1", f"{bench.BUILD}/accept", "shake",
                                 str(p), str(each), version], check=True)
                            if i >= 0:   # the first ones are cold
                                us[name].append((bench.cpu_us(pids) - before) / each)
                    ratios = [b / a for a, b in zip(us["bare"], us["ocppd"])]
                    q = statistics.quantiles(ratios, n=4)
                    row(f"handshake TLS 1.{version}, {kind}: CPU as a multiple of "
                        "SSL_accept", q[1], "times",
                        quartiles=f"{q[0]:.2f}-{q[2]:.2f}",
                        all_turns=sum(us["ocppd"]) / sum(us["bare"]),
                        bare_us=statistics.median(us["bare"]),
                        ocppd_us=statistics.median(us["ocppd"]), target=1.1)
            finally:
                bare.terminate()
                bare.wait()


# --- many ---------------------------------------------------------------------

def storm(row):
    """All clients make RSA handshakes at once, while others send messages. Both
    kinds of clients have machines of their own in practice. So the others run
    as soon as an answer has arrived, and the clients of the storm have what the
    gateway leaves of the processors."""
    n = number("BENCH_TLS_STORM", 20000)
    at_once, last = bench.scheduled("--fifo", "1"), bench.scheduled("--idle", "0")
    with Certificates() as ca, gateway(ca, n + 400, ("rsa",)) as g:
        url = f"wss://127.0.0.1:{g.tls_port}/ocpp"
        talk = ("-r", 200, "--rate", 500, "-m", "Heartbeat")
        quiet = Sim(url, 200, *talk, "--duration", "5s", "-i", "Q%d",
                    before=at_once).result(60)
        with running(url, 200, *talk, "--duration", "280s", "-i", "O%d",
                     before=at_once) as others:
            bench.wait_for(lambda: g.ctl("stats")["connections"] == 200, "the others")
            pids = g.pids()
            empty, began = bench.rss_bytes(pids), time.monotonic()
            peak = 0
            before = bench.cpu_us(pids)
            with running(url, n, "-r", 0, "--idle", "--duration", "280s", "-i", "S%d",
                         "--connect-timeout", "120s", before=last):
                def all_in():
                    nonlocal peak
                    time.sleep(0.2)  # the interval of the readings
                    peak = max(peak, bench.rss_bytes(pids))
                    return g.ctl("stats")["connections"] >= n + 200
                bench.wait_for(all_in, f"{n} handshakes", 240)
                took = time.monotonic() - began
                us = (bench.cpu_us(pids) - before) / n
                stats = g.ctl("stats")
                o = others.end()
    row(f"storm of {n} RSA handshakes: all in", took, "s", per_second=n / took,
        server_us=us, failures=sum(stats["tls_failures"].values()))
    row("... latest answer of 200 others", o["latency_us"]["max"] / 1000, "ms",
        p99_ms=o["latency_us"]["p99"] / 1000, quiet_latest=quiet["latency_us"]["max"] / 1000,
        missing=o["errors"]["missing"])
    row("... memory at the peak", (peak - empty) / 2**20, "MB")


def quiet(row):
    """All connections are pinged, and none is lost."""
    n = number("BENCH_TLS_QUIET", 200000)
    ramp = number("BENCH_TLS_QUIET_RAMP", 5000)
    interval = 60
    with Certificates() as ca, \
            gateway(ca, n, websocket__ping_interval=f"{interval}s",
                    websocket__idle_timeout="200s", limits__address_connections=0,
                    limits__prefix_connections=0) as g:
        empty = bench.pss_bytes(g.pids())
        began = time.monotonic()
        with running(f"wss://127.0.0.1:{g.tls_port}/ocpp", n, "-r", ramp, "--idle",
                     "--duration", "3000s", "--connect-timeout", "120s") as sim:
            def reached():
                time.sleep(1)  # asking takes processor time from the handshakes
                return g.ctl("stats").get("connections", 0) >= n
            bench.wait_for(reached, f"{n} connections", 3000)
            took = time.monotonic() - began
            s = g.ctl("stats")
            bench.wait_for(lambda: g.ctl("stats")["pings"] - s["pings"] >= n,
                           "a round of pings", 5 * interval)
            full = settled(g.pids())
            clients = bench.pss_bytes(sim.pids())
            after = g.ctl("stats")
            row(f"{n} quiet TLS connections: reached in", took, "s", per_second=n / took)
            row("... user memory of each", (full - empty) / n, "bytes",
                all_together=full / n, of_a_client=clients / n)
            row("... lost", n - after["connections"], "connections",
                closed=sum(after["closed"].values()) - sum(s["closed"].values()),
                pings=after["pings"] - s["pings"],
                skipped=after["pings_skipped"] - s["pings_skipped"])


ROWS = {"tls-memory": memory, "tls-cpu": cpu, "tls-handshake": handshake,
        "tls-storm": storm, "tls-quiet": quiet}


def main(row, only):
    for name, function in ROWS.items():
        if name in only or (not only and name != "tls-quiet"):
            signal.alarm(3600 if name == "tls-quiet" else 1500)
            function(row)
    signal.alarm(0)
