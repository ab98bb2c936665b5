#!/usr/bin/python3
"""The gateway as a service: init script, systemd unit, logrotate, install."""

from lib import *


class Sandbox:
    """The init script with everything in a directory of its own."""

    def __init__(self):
        # No daemon of this file is started by Gateway but for its helpers.
        self.g = Gateway(start=False)
        d = self.g.dir
        self.pidfile = d + "/run/ocppd.pid"
        os.mkdir(d + "/run")
        self.conf = d + "/ocppd.conf"
        self.write(self.g.port)
        with open(d + "/defaults", "w") as f:
            f.write("DAEMON=%s\nCONFIG=%s\nPIDFILE=%s\nSTATEDIR=%s\nOWNER=root\n"
                    "OPEN_FILES=%d\nSTOP_TIME=20\n" % (
                        OCPPD, self.conf, self.pidfile, d + "/state",
                        resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        self.g.control = d + "/run/control.sock"
        self.g.state_dir = d + "/state"

    def write(self, port, more=""):
        with open(self.conf, "w") as f:
            f.write("[server]\nlisten = 127.0.0.1:%d\nstate_dir = %s/state\n"
                    "control = %s/run/control.sock\nworkers = 2\n"
                    "drain_time = 200ms\n[log]\ntarget = %s/log\n%s" % (
                        port, self.g.dir, self.g.dir, self.g.dir, more))

    def __call__(self, word):
        return subprocess.run(
            ["sh", os.path.join(ROOT, "scripts/ocppd.init"), word],
            env=dict(os.environ, OCPPD_DEFAULTS=self.g.dir + "/defaults"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=60 * SLOW)

    def pid(self):
        with open(self.pidfile) as f:
            return int(f.read())

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self("stop")


def test_the_init_script_starts_and_stops():
    with Sandbox() as init:
        assert init("status").returncode == 3
        assert init("stop").returncode == 0         # nothing to do is no error
        r = init("start")
        assert r.returncode == 0, r
        c = Charger(init.g, "INIT")                 # ready when start returned
        c.boot()
        assert init("status").returncode == 0
        pid = init.pid()
        assert init("start").returncode == 0 and init.pid() == pid
        h = background(c.wait_closed, 1001)
        r = init("stop")
        assert r.returncode == 0, r
        h.wait()
        assert not alive(pid) and init("status").returncode == 3


def test_the_init_script_reloads():
    with Sandbox() as init:
        assert init("reload").returncode == 7
        init("start")
        c = Charger(init.g, "RELOAD")
        init.write(init.g.port, "[ocpp]\nheartbeat_interval = 7s\n"
                   "heartbeat_jitter = 0\n")
        pid = init.pid()
        for word in ("reload", "force-reload"):
            assert init(word).returncode == 0
        poll(lambda: c.boot()["interval"] == 7)
        init.write(init.g.port, "[ocpp]\nnonsense = 1\n")
        r = init("reload")
        assert r.returncode == 6 and "nonsense" in r.stderr, r
        assert c.boot()["interval"] == 7 and init.pid() == pid


def test_the_init_script_restarts_but_not_into_an_error():
    with Sandbox() as init:
        assert init("try-restart").returncode == 0
        assert init("status").returncode == 3
        assert init("restart").returncode == 0
        pid = init.pid()
        assert init("restart").returncode == 0
        assert init.pid() != pid
        pid = init.pid()
        init.write(init.g.port, "[nonsense]\n")
        assert init("restart").returncode == 6
        assert init.pid() == pid and alive(pid), "it was stopped"
        assert init("try-restart").returncode == 6 and alive(pid)


def test_the_init_script_tells_what_is_wrong():
    with Sandbox() as init:
        assert init("nonsense").returncode == 2
        init.write(init.g.port, "[nonsense]\n")
        r = init("start")
        assert r.returncode == 6 and "nonsense" in r.stderr, r
        os.unlink(init.conf)
        assert init("start").returncode == 6
        init.write(init.g.port)
        s = socket.socket()
        s.bind(("127.0.0.1", init.g.port))
        s.listen(1)
        r = init("start")
        assert r.returncode == 1 and "in use" in r.stderr, r
        s.close()


def test_the_init_script_sees_a_daemon_that_died():
    with Sandbox() as init:
        init("start")
        pid = init.pid()
        os.kill(pid, signal.SIGKILL)
        poll(lambda: not alive(pid))
        assert init("status").returncode == 1
        # its workers let go of the port within drain_time
        poll(lambda: init("start").returncode == 0)
        assert init("status").returncode == 0


def test_the_init_script_has_an_lsb_header_and_no_bashisms():
    with open(os.path.join(ROOT, "scripts/ocppd.init")) as f:
        text = f.read()
    assert re.search(r"### BEGIN INIT INFO\n(# .*\n)+### END INIT INFO", text)
    for word in ("Provides", "Required-Start", "Required-Stop",
                 "Default-Start", "Default-Stop", "Short-Description"):
        assert re.search(r"^# %s:" % word, text, re.M), word
    dash = shutil.which("dash")
    assert subprocess.run([dash or "sh", "-n",
                           ROOT + "/scripts/ocppd.init"]).returncode == 0


def test_the_systemd_unit_is_verified():
    tool = shutil.which("systemd-analyze")
    if not tool:
        raise Skip("systemd-analyze is not installed")
    with open(ROOT + "/scripts/ocppd.service") as f:
        text = f.read()
    d = tempfile.mkdtemp()
    try:
        # The programs it names are not installed here.
        text = re.sub(r"^(Exec\w+=)\S+/ocppd\b", r"\1" + OCPPD, text,
                      flags=re.M)
        with open(d + "/ocppd.service", "w") as f:
            f.write(text)
        r = subprocess.run([tool, "verify", "--man=no", d + "/ocppd.service"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True)
        mine = [l for l in r.stdout.splitlines() if "ocppd" in l and
                "not executable" not in l]
        assert not mine, r.stdout
    finally:
        shutil.rmtree(d)


def test_the_logrotate_snippet_is_read():
    tool = shutil.which("logrotate") or "/usr/sbin/logrotate"
    if not os.path.exists(tool):
        raise Skip("logrotate is not installed")
    r = subprocess.run([tool, "-d", ROOT + "/scripts/ocppd.logrotate"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True)
    assert r.returncode == 0 and "error" not in r.stdout.lower(), r.stdout


def test_make_install_puts_everything_in_its_place():
    with open(ROOT + "/Makefile") as f:
        if not re.search(r"^install\b.*:", f.read(), re.M):
            raise AssertionError("the Makefile has no target install")
    d = tempfile.mkdtemp()
    try:
        r = subprocess.run(["make", "-s", "-C", ROOT, "install", "B=" + B,
                            "DESTDIR=" + d, "PREFIX=/usr"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=300 * SLOW)
        assert r.returncode == 0, r.stdout
        found = sorted(os.path.relpath(os.path.join(p, f), d)
                       for p, _, files in os.walk(d) for f in files)
        names = [os.path.basename(f) for f in found]
        for name in ("ocppd", "ocppctl", "ocppd.conf", "ocppd.service",
                     "ocppd.8", "ocppctl.8", "ocppd.conf.5",
                     "ocppd-events.7", "ocppd-stats.7"):
            assert any(n == name or n == name + ".gz" for n in names), \
                (name, found)
        assert any("init.d" in f for f in found), found
        for f in found:
            assert f.startswith(("usr/", "etc/", "lib/")), f
        program = [f for f in found if f.endswith("bin/ocppd")][0]
        r = subprocess.run([os.path.join(d, program), "-V"],
                           stdout=subprocess.PIPE)
        assert r.returncode == 0
    finally:
        shutil.rmtree(d)


if __name__ == "__main__":
    main()
