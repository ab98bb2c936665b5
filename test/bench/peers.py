"""The row `peers` of `make bench`: ocppd beside other programs in the same role.

nginx and HAProxy, as packaged by Debian, forward WebSocket connections to the floor
(floor.c). A server made of Debian's python3-websockets answers by itself, as a small
central system would. The floor alone does the least that a server can do. All of them get
the same connections and the same messages, one after the other in short turns, on one core.
The backend of a proxy is not counted.

The programs do not do the same work: ocppd checks each message against the schema, writes
it to its journal and waits for the disk; the others do none of that. A program that is not
installed is omitted."""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import __main__ as bench

CONNECTIONS = int(os.environ.get("BENCH_PEERS", "8000"))
FILES = 2 * CONNECTIONS + 200   # a proxy has two sockets for each connection
TURNS = 30

NGINX = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/log;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
    access_log off;
    client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
    uwsgi_temp_path {dir}; scgi_temp_path {dir};
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://127.0.0.1:{backend};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_read_timeout 3h; proxy_send_timeout 3h;
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn {connections}
defaults
    mode http
    timeout connect 10s
    timeout client 3h
    timeout server 3h
    timeout tunnel 3h
listen ws
    bind 127.0.0.1:{port} backlog 4096
    server floor 127.0.0.1:{backend}
"""

PYTHON = """
import asyncio, json, sys, websockets

async def serve(socket):
    async for text in socket:
        _, number, action, payload = json.loads(text)
        await socket.send(json.dumps([3, number, {}]))

async def main():
    async with websockets.serve(serve, "127.0.0.1", int(sys.argv[1]),
                                subprotocols=["ocpp1.6"], compression=None,
                                ping_interval=None, backlog=4096):
        await asyncio.Future()

asyncio.run(main())
"""


class Peer(bench.Server):
    def run(self, *command):
        self.process = subprocess.Popen(("taskset", "-c", "0") + command,
                                        stderr=subprocess.DEVNULL)
        bench.wait_for(lambda: bench.listening(self.port), command[0])

    def configure(self, text, name):
        self.dir = tempfile.mkdtemp(prefix="ocppd-bench-")
        self.port = bench.free_port()
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text.format(dir=self.dir, port=self.port, backend=self.backend.port,
                                connections=CONNECTIONS + 100, files=FILES))
        return path


class Proxy(Peer):
    def __init__(self):
        self.backend = bench.Floor()
        try:
            self.start()
        except SystemExit:
            self.backend.__exit__()
            raise

    def __exit__(self, *_):
        super().__exit__()
        self.backend.__exit__()


class Nginx(Proxy):
    def start(self):
        self.run("nginx", "-p", "/", "-c", self.configure("user root;" * (os.getuid() == 0) + NGINX,
                                                          "nginx.conf"))


class Haproxy(Proxy):
    def start(self):
        self.run("haproxy", "-db", "-f", self.configure(HAPROXY, "haproxy.cfg"))


class Python(Peer):
    def __init__(self):
        self.port = bench.free_port()
        self.run(sys.executable, "-c", PYTHON, str(self.port))


def ocppd():
    return bench.Ocppd(server__max_connections=CONNECTIONS, websocket__ping_interval="1h",
                       websocket__idle_timeout="3h")


def installed():
    yield "ocppd", ocppd
    if shutil.which("nginx"):
        yield "nginx (proxy)", Nginx
    if shutil.which("haproxy"):
        yield "HAProxy (proxy)", Haproxy
    if subprocess.run([sys.executable, "-c", "import websockets"],
                      stderr=subprocess.DEVNULL).returncode == 0:
        yield "python3-websockets", Python
    yield "bare epoll loop", bench.Floor


def memory_of(make):
    """Returns the growth of the user memory by connections that have exchanged three messages
    each."""
    with make() as s:
        empty = bench.pss_bytes(s.pids())
        load = bench.Load(s.port, CONNECTIONS, CONNECTIONS, CONNECTIONS // 4, 12,
                          bench.MESSAGES["StatusNotification"]).connected()
        load.go()
        load.report()
        bench.wait_for_settled(s)
        grown = bench.pss_bytes(s.pids()) - empty
        load.process.kill()  # a slow program may not have sent all answers
        load.process.wait()
    return grown / CONNECTIONS


def main(row, only):
    if only and "peers" not in only:
        return
    peers = list(installed())
    for name, make in peers:
        row(f"peers: user memory per connection, {name}", memory_of(make), "bytes")
    for message in ("Heartbeat", "MeterValues"):
        servers = [make() for _, make in peers]
        turns = [bench.Turns(s, bench.MESSAGES[message], CONNECTIONS)
                 for s in servers]
        for t in turns:
            t.turn()  # the first turn is not counted, because caches are cold
            t.us.clear()
        for _ in range(TURNS):
            for t in turns:
                t.turn()
        for (name, _), t in zip(peers, turns):
            t.load.end()
            row(f"peers: {message}, server CPU, {name}", statistics.median(t.us), "us",
                p99_ms=t.last["p99_ms"])
        for s in servers:
            s.__exit__()
