"""The rows of `make bench` with many connections: latency, accepting, a storm of
reconnections, pings, growth, the long run, and a million connections.

A load process has at most as many connections as it may have descriptors, so several of
them work together, and their counts are added up. Kernel memory is the growth of the
system's slabs and socket buffers. It includes both ends of each connection, because client
and server share the machine."""
import contextlib
import math
import os
import re
import resource
import signal
import sys
import time

import __main__ as bench

PER_PROCESS = 16000     # connections; the descriptors allow some more
IDLE = '[2,"%d","Heartbeat",{}]'


class Fleet:
    """Several load processes that are used as one. rate: of all together."""

    def __init__(self, server, connections, rate=0, seconds=0, message=IDLE,
                 first=0, processes=None, pin=False, nice=0):
        n = processes or math.ceil(connections / PER_PROCESS)
        self.connections = connections
        edges = [connections * i // n for i in range(n + 1)]
        self.loads = [bench.Load(server.port, b - a, b - a, rate * (b - a) // connections,
                                 seconds, message, first + a, pin=pin)
                      for a, b in zip(edges, edges[1:])]
        for l in self.loads:
            if nice:
                os.setpriority(os.PRIO_PROCESS, l.process.pid, nice)

    def connected(self):
        for l in self.loads:
            l.connected()
        return self

    def go(self):
        for l in self.loads:
            l.go()
        return self

    def pids(self):
        return [l.process.pid for l in self.loads]

    def report(self):
        return added([l.report() for l in self.loads])

    def end(self):
        return added([l.result() for l in self.loads])

    def quit(self):
        """Kills the processes; their measurements are dropped."""
        for l in self.loads:
            l.process.kill()
            l.process.wait()


def added(results):
    total = {}
    late, bins = {}, {}
    for r in results:
        for bucket, n in r.pop("late", []):
            late[bucket] = late.get(bucket, 0) + n
        for bucket, n in r.pop("ping_bins", []):
            bins[bucket] = bins.get(bucket, 0) + n
        for k, v in r.items():
            total[k] = max(total.get(k, 0), v) if k.endswith(("_ms", "_us")) \
                else total.get(k, 0) + v
    if late:
        for name, q in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("max_ms", 1)):
            total[name] = quantile(late, q)
    total["ping_bins"] = bins
    return total


def quantile(late, q):
    """Returns the upper edge of the quantile's bucket of 10 us."""
    want, seen = q * sum(late.values()), 0
    for bucket in sorted(late):
        seen += late[bucket]
        if seen >= want:
            return (bucket + 1) / 100


def workers_for(connections):
    return max(2, math.ceil(connections / PER_PROCESS))


def gateway(connections, **knobs):
    knobs.setdefault("pin", False)
    knobs.setdefault("workers", workers_for(connections))
    knobs.setdefault("server__max_connections", connections + 1000)
    return bench.Ocppd(**knobs)


def numbers(server):
    """Returns every counter without a label, as `ocppctl stats` names it."""
    return server.ctl("stats")


def all_there(server, connections, seconds=60):
    bench.wait_for(lambda: server.ctl("health").get("connections") == connections,
                   f"{connections} connections", seconds)


def caught_up(server):
    """Waits until the clients have answered the pings that were sent since they connected."""
    def done():
        n = numbers(server)
        return n["pongs"] > n["pings"] - n["connections"] // 100
    bench.wait_for(done, "the pongs", 30)


def kernel_bytes():
    info = dict(re.findall(r"(\w+):\s+(\d+)", open("/proc/meminfo").read()))
    pages = re.search(r"TCP:.* mem (\d+)", open("/proc/net/sockstat").read()).group(1)
    return (int(info["SUnreclaim"]) * 1024 + int(info["SReclaimable"]) * 1024 +
            int(pages) * resource.getpagesize())


# --- the rows -----------------------------------------------------------------

def latency(row, connections=50000):
    with gateway(connections) as s:
        f = Fleet(s, connections, bench.RATE, max(bench.SECONDS, 20)).connected()
        all_there(s, connections)
        r = f.go().end()
    row(f"latency at {bench.RATE}/s over {connections}: p50", r["p50_ms"], "ms",
        answered=r["answered"], not_due=r["skipped"])
    row("... p99", r["p99_ms"], "ms")
    row("... p99.9", r["p999_ms"], "ms")
    row("... the latest", r["max_ms"], "ms")


def accepting(row, connections=10000):
    """One worker and one client, each on a core of its own."""
    us, rate = {}, {}
    for name in ("floor", "ocppd", "floor again"):
        with (bench.Ocppd(limits__accept_rate=0, websocket__ping_interval="1h",
                          websocket__idle_timeout="3h")
              if name == "ocppd" else bench.Floor()) as s:
            before = bench.cpu_us(s.pids())
            f = Fleet(s, connections, pin=True).connected()
            us[name] = (bench.cpu_us(s.pids()) - before) / connections
            rate[name] = connections / (f.go().end()["ramp_us"] / 1e6)
    floor = (us["floor"] + us["floor again"]) / 2
    row("server CPU per accepted connection", us["ocppd"], "us", floor_us=floor,
        ratio=us["ocppd"] / floor)
    row("connections accepted, handshake included", rate["ocppd"], "per second",
        floor=(rate["floor"] + rate["floor again"]) / 2)


def storm(row, connections=50000):
    """All clients of the storm are reset and connect again at once, while 200 others continue.
    The clients of the storm run with nice, because in practice they do not use the CPU of the
    gateway's machine."""
    # Clients may connect again before the gateway has noticed the end of their old connection,
    # so max_connections must be higher.
    with gateway(connections + 200, server__max_connections=2 * connections) as s:
        others = Fleet(s, 200, 1000, 20, first=900000).connected()
        f = Fleet(s, connections, seconds=60, message="storm", nice=1).connected()
        all_there(s, connections + 200)
        quiet = Fleet(s, 200, 1000, 5, first=950000).connected().go().end()
        others.go()
        bench.wait_for(lambda: numbers(s)["calls_in"]["Heartbeat"] > 7000, "the others")
        cpu, clients = bench.cpu_us(s.pids()), bench.cpu_us(f.pids())
        r = f.go().report()
        cpu = (bench.cpu_us(s.pids()) - cpu) / connections
        clients = (bench.cpu_us(f.pids()) - clients) / connections
        o = others.end()
        all_there(s, connections, 30)
        counts = numbers(s)
        f.end()
    row(f"storm of {connections}: all are back", r["all_ms"] / 1000, "s",
        half_s=r["half_ms"] / 1000, tried_again=r["retries"],
        **{f"refused_{k}": v for k, v in counts["refused"].items() if v})
    row("... server CPU per connection that ended and came back", cpu, "us",
        clients_us=clients)
    row("... p99 of 200 others meanwhile", o["p99_ms"], "ms", p999_ms=o["p999_ms"],
        quiet_p99_ms=quiet["p99_ms"])
    row("... their latest answer", o["max_ms"], "ms", answered=o["answered"],
        not_due=o["skipped"])


def pings(row, connections=50000, interval=10, rounds=3):
    with gateway(connections, websocket__ping_interval=f"{interval}s",
                 websocket__idle_timeout=f"{3 * interval + 5}s") as s:
        f = Fleet(s, connections, 0, interval * (rounds + 1)).connected()
        all_there(s, connections)
        f.go()
        caught_up(s)
        before, cpu = numbers(s), bench.cpu_us(s.pids())
        began = time.monotonic()
        bench.wait_for(lambda: time.monotonic() - began > interval * rounds, "the rounds",
                       interval * rounds + 5)
        ended = time.monotonic()
        after, cpu = numbers(s), bench.cpu_us(s.pids()) - cpu
        here = s.ctl("health")["connections"]
        bins = f.end()["ping_bins"]
    sent = after["pings"] - before["pings"]
    # Bins of 100 ms by the clock of the clients, which is also the clock of this process.
    counts = [bins.get(i, 0) for i in range(int(began * 10) + 1, int(ended * 10))]
    mean = sum(counts) / len(counts)
    row(f"server CPU per ping and pong, {connections} in {interval} s", cpu / sent, "us",
        pings=sent, due=connections * rounds)
    row("... evenness, largest over mean of 100 ms", max(counts) / mean, "times",
        mean=mean, smallest=min(counts), largest=max(counts))
    row("... skipped", after["pings_skipped"] - before["pings_skipped"], "pings")
    row("... connections lost", connections - here, "connections")


def per_second(server, seconds):
    """Returns the CPU time in us of the server's processes in a time without messages."""
    cpu, began = bench.cpu_us(server.pids()), time.monotonic()
    bench.wait_for(lambda: time.monotonic() - began > seconds, "the measurement", seconds + 5)
    return (bench.cpu_us(server.pids()) - cpu) / (time.monotonic() - began)


def growth(row):
    """The same load with more and more connections, sent over 200 of them and over all. At each
    size both sides have the same number of processes, so only the size differs. The cost of
    connections without messages, which is mainly that of pings, is measured separately and
    subtracted from the cost of a message."""
    sizes = [int(x) for x in os.environ.get(
        "BENCH_GROWTH", "1000 10000 50000 100000 200000").split()]
    n = workers_for(max(sizes))
    first = {}
    # The first size is measured again, to show the drift of the machine's speed.
    for size in sizes + sizes[:1]:
        kernel = kernel_bytes()
        with gateway(size + 200, workers=n, limits__accept_rate=0) as s:
            empty = bench.pss_bytes(s.pids())
            every = Fleet(s, size, bench.RATE, bench.SECONDS, processes=n).connected()
            all_there(s, size)
            user = (bench.pss_bytes(s.pids()) - empty) / size
            kernel = (kernel_bytes() - kernel) / size
            some = Fleet(s, 200, bench.RATE, bench.SECONDS, first=900000,
                         processes=n).connected()
            caught_up(s)
            idle = per_second(s, 10)
            row(f"growth, {size} connections: CPU of them idle", idle / 1e4,
                "percent of a core", workers=n, us_each=idle / size)
            for who, f in (("200", some), ("all", every)):
                cpu, began = bench.cpu_us(s.pids()), time.monotonic()
                r = f.go().report()
                took = time.monotonic() - began
                us = (bench.cpu_us(s.pids()) - cpu - idle * took) / r["answered"]
                first.setdefault(who, us)
                row(f"... CPU per Heartbeat from {who} of them", us, "us",
                    ratio=us / first[who], p50_ms=r["p50_ms"], p99_ms=r["p99_ms"],
                    p999_ms=r["p999_ms"])
            skipped = numbers(s)["pings_skipped"]
            ramp = every.end()["ramp_us"]
            some.end()
        row("... user memory per connection", user, "bytes")
        row("... kernel memory per connection, both ends", kernel, "bytes")
        row("... pings skipped", skipped, "pings", ramp_s=ramp / 1e6)


def hold(row):
    """Many connections under load for a long time."""
    connections = 50000
    seconds = int(os.environ.get("BENCH_HOLD", "60"))
    with gateway(connections) as s:
        f = Fleet(s, connections, 500, seconds, bench.MESSAGES["StatusNotification"]).connected()
        all_there(s, connections)
        before, cpu, began = numbers(s), bench.cpu_us(s.pids()), time.monotonic()
        r = f.go().report()
        took = time.monotonic() - began
        after, cpu = numbers(s), bench.cpu_us(s.pids()) - cpu
        here = s.ctl("health")["connections"]
        f.end()
    row(f"held {connections} for {seconds} s at 500/s: lost", connections - here, "connections",
        closed=sum(after["closed"].values()) - sum(before["closed"].values()))
    row("... pings skipped", after["pings_skipped"] - before["pings_skipped"], "pings",
        pings=after["pings"] - before["pings"], due=int(connections * took / 60))
    row("... answers missing", r["sent"] - r["answered"], "answers", sent=r["sent"],
        p99_ms=r["p99_ms"], latest_ms=r["max_ms"])
    row("... server CPU", cpu / 1e4 / took, "percent of a core")


# --- a million ----------------------------------------------------------------

@contextlib.contextmanager
def sysctl(needs):
    """Raises limits that are too low, prints them, and restores them at the end."""
    changed = []
    try:
        for name, want in needs.items():
            path = "/proc/sys/" + name.replace(".", "/")
            if not os.path.exists(path):
                continue
            was = open(path).read().split()
            now = [str(max(int(a), b)) for a, b in zip(was, want)]
            if now != was:
                try:
                    with open(path, "w") as f:
                        f.write(" ".join(now))
                except OSError as e:
                    sys.exit(f"bench: {name} is {' '.join(was)} and must be "
                             f"{' '.join(now)}: {e.strerror}; do it as root")
                changed.append((path, was))
                print(f"bench: {name} was {' '.join(was)}, now {' '.join(now)}", flush=True)
        yield
    finally:
        for path, was in changed:
            with open(path, "w") as f:
                f.write(" ".join(was))
            print(f"bench: {path} is {' '.join(was)} again", flush=True)


def million(row):
    n = int(os.environ.get("BENCH_MILLION", "1000000"))
    interval = 60
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # The kernel distributes connections randomly, so some descriptors must stay free.
    processes = max(2, math.ceil(n / (limit * 0.893)))
    clients = math.ceil(n / (limit * 0.95))
    available = int(re.search(r"MemAvailable:\s+(\d+)", open("/proc/meminfo").read()).group(1))
    if available < n * 11.3 + 500000:
        sys.exit(f"bench: {n} connections need {n * 11.3 / 2**20 + 0.5:.1f} GiB of free memory "
                 f"for both ends; there are {available / 2**20:.1f}")
    pages = n // 2
    with sysctl({"fs.file-max": [2 * n + 200000], "net.core.somaxconn": [4096],
                 "net.ipv4.tcp_mem": [pages, pages * 3 // 2, pages * 2],
                 "net.netfilter.nf_conntrack_max": [n + 100000]}), \
            gateway(n, workers=processes, websocket__ping_interval=f"{interval}s",
                    websocket__idle_timeout="600s", limits__handshakes=0) as s:
        s.patience = 180
        empty, kernel = bench.pss_bytes(s.pids()), kernel_bytes()
        pids = s.pids()
        began, cpu = time.monotonic(), bench.cpu_us(pids)
        f = Fleet(s, n, 0, interval + 30, processes=clients)
        try:
            f.connected()
            all_there(s, n, 120)
            took, cpu = time.monotonic() - began, bench.cpu_us(pids) - cpu
            refused = numbers(s)["refused"]
            row(f"{n} connections: reached in", took, "s", workers=processes,
                clients=clients, **{f"refused_{k}": v for k, v in refused.items() if v})
            row("... connections accepted, handshake included", n / took, "per second")
            row("... server CPU per accepted connection", cpu / n, "us")
            f.go()
            caught_up(s)
            before, cpu, began = numbers(s), bench.cpu_us(pids), time.monotonic()
            due = lambda: numbers(s)["pings"] - before["pings"] >= n
            bench.wait_for(due, "a round of pings", interval * 2)
            round_s, cpu = time.monotonic() - began, bench.cpu_us(pids) - cpu
            after = numbers(s)
            here = s.ctl("health")["connections"]
            row("... pinged once around in", round_s, "s", interval=interval,
                pings=after["pings"] - before["pings"])
            row("... server CPU per ping and pong", cpu / (after["pings"] - before["pings"]), "us")
            # The last pongs may not have arrived yet.
            caught_up(s)
            row("... pings skipped", numbers(s)["pings_skipped"], "pings")
            row("... connections lost", n - here, "connections",
                closed=sum(after["closed"].values()))
            row("... user memory of each", (bench.pss_bytes(pids) - empty) / n, "bytes",
                all_together=bench.pss_bytes(pids) / n)
            row("... kernel memory of each, both ends", (kernel_bytes() - kernel) / n, "bytes")
            counts = f.report()["ping_bins"]
            inside = [counts.get(i, 0) for i in range(
                int(began * 10) + 1, int((began + round_s) * 10))]
            row("... evenness, largest over mean of 100 ms",
                max(inside) / (sum(inside) / len(inside)), "times", largest=max(inside))
        finally:
            f.quit()


ROWS = {"latency": latency, "accept": accepting, "storm": storm, "pings": pings,
        "growth": growth, "hold": hold}


def main(row, only):
    def too_long(*_):
        raise SystemExit("bench: the row takes too long; its processes are stopped")
    signal.signal(signal.SIGALRM, too_long)
    if "million" in only:
        signal.alarm(840)
        million(row)
        return
    for name, function in ROWS.items():
        if not only or name in only:
            signal.alarm(900)
            function(row)
    signal.alarm(0)
