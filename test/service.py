#!/usr/bin/python3
"""The gateway as a service: init script, systemd unit, logrotate, installation."""

import grp
import pwd

from lib import *


class Sandbox:
    """Runs the init script with all paths in a directory of its own."""

    def __init__(self):
        # Gateway does not start the daemons of this file; only its helper functions are
        # used.
        self.g = Gateway(start=False)
        d = self.g.dir
        self.pidfile = d + "/run/ocppd.pid"
        os.mkdir(d + "/run")
        self.conf = d + "/ocppd.conf"
        self.write(self.g.port)
        with open(d + "/defaults", "w") as f:
            f.write("DAEMON=%s\nCONFIG=%s\nPIDFILE=%s\nSTATEDIR=%s\nOWNER=root\n"
                    "LOGDIR=%s/logs\nOPEN_FILES=%d\nSTOP_TIME=20\n" % (
                        OCPPD, self.conf, self.pidfile, d + "/state", d,
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
        assert init("stop").returncode == 0  # a stop without a daemon is not an error
        r = init("start")
        assert r.returncode == 0, r
        c = Charger(init.g, "INIT")  # the gateway is ready when start has returned
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


def test_the_init_script_upgrades():
    """The pid file has the new process id, and no connection is closed. If the
    configuration has an error, nothing changes."""
    with Sandbox() as init:
        assert init("upgrade").returncode == 7
        init("start")
        c = Charger(init.g, "INIT")
        c.boot()
        former = init.pid()
        r = init("upgrade")
        assert r.returncode == 0 and "upgraded, process %d" % init.pid() in \
            r.stdout, r
        assert init.pid() != former and not alive(former)
        c.call("Heartbeat")
        former = init.pid()
        init.write(init.g.port, "[limits]\nno_such_key = 1\n")
        r = init("upgrade")
        assert r.returncode != 0 and "no_such_key" in r.stdout + r.stderr, r
        assert init.pid() == former and alive(former)
        c.call("Heartbeat")
        init.write(init.g.port)


def test_the_init_script_does_not_restart_with_a_configuration_that_has_an_error():
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
        assert init.pid() == pid and alive(pid), "the daemon was stopped"
        assert init("try-restart").returncode == 6 and alive(pid)


def test_the_init_script_reports_errors():
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


def test_the_init_script_detects_that_the_daemon_has_died():
    with Sandbox() as init:
        init("start")
        pid = init.pid()
        os.kill(pid, signal.SIGKILL)
        poll(lambda: not alive(pid))
        assert init("status").returncode == 1
        # The workers release the port within drain_time.
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


def test_systemd_analyze_accepts_the_unit():
    tool = shutil.which("systemd-analyze")
    if not tool:
        raise Skip("systemd-analyze is not installed")
    with open(ROOT + "/scripts/ocppd.service") as f:
        text = f.read()
    d = tempfile.mkdtemp()
    try:
        # The programs that the unit names are not installed here.
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


def tool(name):
    path = shutil.which(name) or "/usr/sbin/" + name
    if not os.path.exists(path):
        raise Skip("%s is not installed" % name)
    return path


# Runs a systemd in a process namespace and a mount namespace of its own, which end
# with it. Worker 0 is stopped, so the upgrade cannot finish; then the old master is
# killed.
UNDER_SYSTEMD = """
cd "$1"
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system &&
    mount -t cgroup2 none /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/ocppd-test &&
    echo $$ > /sys/fs/cgroup/ocppd-test/cgroup.procs || exit 77
export XDG_RUNTIME_DIR=$PWD/xdg XDG_CONFIG_HOME=$PWD/config
mkdir -m 700 xdg
/lib/systemd/systemd --user --unit=basic.target --log-target=console >systemd.log 2>&1 &
wait_for() { for i in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; exit 1; }
show() { systemctl --user show og -p MainPID -p ActiveState --value | tr '\n' ' '; echo; }
for i in $(seq 100); do systemctl --user daemon-reload 2>/dev/null && break; sleep 0.1; done
systemctl --user start og || exit 77
old=$(cat run/ocppd.pid)
for w in $(cat /proc/$old/task/$old/children); do
    [ "$(cat /proc/$w/comm)" != ocppd-w0 ] || break
done
kill -STOP $w
"$2" -s run/control.sock upgrade &
wait_for grep -q "it is prepared" log
new=$(cat run/ocppd.pid.next)
kill -KILL $old
kill -CONT $w
wait_for grep -q "connections moved" log
wait_for grep -qx $new run/ocppd.pid
echo killed $new $(show)
"$2" -s run/control.sock upgrade >/dev/null
new=$(cat run/ocppd.pid)
main() { [ "$(systemctl --user show og -p MainPID --value)" = "$new" ]; }
wait_for main
echo again $new $(show)
systemctl --user stop og
echo stopped $(systemctl --user show og -p Result -p ActiveState --value) $(ls run)
"""


def test_a_killed_master_does_not_end_the_upgrade_under_systemd():
    """The unit of this test has those lines of the installed unit on which that depends."""
    with open(os.path.join(ROOT, "scripts/ocppd.service")) as f:
        lines = re.findall(r"^(?:Type|NotifyAccess|PIDFile|Environment|KillMode)=.*$", f.read(), re.M)
    assert len(lines) == 5, lines
    with Sandbox() as s:
        d = s.g.dir
        s.write(s.g.port, "[upgrade]\npatience = 30s\n")
        os.makedirs(d + "/config/systemd/user")
        with open(d + "/config/systemd/user/og.service", "w") as f:
            f.write("[Service]\n%s\nExecStart=%s -c %s -o server.pidfile=%s\n" % (
                "\n".join(lines).replace("/run/ocppd/", d + "/run/"), OCPPD, s.conf, s.pidfile))
        try:
            r = subprocess.run(
                ["unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c",
                 UNDER_SYSTEMD, "bash", d, os.path.join(B, "ocppctl")],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, timeout=90 * SLOW)
        except FileNotFoundError:
            raise Skip("unshare is not installed")
        if r.returncode in (1, 77) and "killed" not in r.stdout and not os.path.exists(s.pidfile):
            raise Skip("no systemd can be started here: " + r.stderr.strip()[:200])
        got = dict(line.split(" ", 1) for line in r.stdout.splitlines()
                   if line.split(" ")[0] in ("killed", "again", "stopped"))
        assert r.returncode == 0 and len(got) == 3, (r.stdout, r.stderr)
        for word in ("killed", "again"):
            pid, *service = got[word].split()
            assert service == [pid, "active"], got
        assert got["stopped"].split()[:2] in (["success", "inactive"], ["inactive", "success"]), got
        assert "ocppd.pid" not in got["stopped"], got


def test_the_apparmor_profile_is_accepted_and_allows_the_directories_of_the_unit():
    profile = ROOT + "/scripts/ocppd.apparmor"
    with open(profile) as f:
        text = f.read()
    for path in ("/etc/ocppd/**", "/var/lib/ocppd/**", "/var/log/ocppd/**",
                 "@{run}/ocppd/**"):
        assert re.search(r"^  %s r" % re.escape(path), text, re.M), path
    if not shutil.which("apparmor_parser"):
        raise Skip("apparmor is not installed: scripts/deps test")

    def parse(path):
        return subprocess.run(["apparmor_parser", "-Q", "-K", path],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
    r = parse(profile)
    assert r.returncode == 0, r
    with tempfile.NamedTemporaryFile("w") as f:  # the parser also reports an error
        f.write(text.replace(" rwkl,", " rwkl"))
        f.flush()
        assert parse(f.name).returncode != 0


def test_logrotate_accepts_its_configuration():
    logrotate = tool("logrotate")
    if os.getuid() != 0:
        raise Skip("only root can rotate as another user")
    with tempfile.TemporaryDirectory() as d:
        with open(ROOT + "/scripts/ocppd.logrotate") as f:
            text = f.read()
        # This machine may not have the user of the service.
        group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
        # The directory of an installed ocppd may exist, and this user may have no right to
        # read it.
        assert "/var/log/ocppd/" in text
        os.chmod(d, 0o755)
        with open(d + "/snippet", "w") as f:
            f.write(text.replace("ocppd ocppd", "nobody " + group)
                    .replace("/var/log/ocppd/", d + "/"))
        os.chmod(d + "/snippet", 0o644)
        r = subprocess.run([logrotate, "-d", "-s", d + "/state", d + "/snippet"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True)
        assert r.returncode == 0 and "error" not in r.stdout.lower(), r.stdout


def test_the_log_is_rotated_with_the_rights_of_the_service_and_reopened():
    logrotate = tool("logrotate")
    if os.getuid() != 0:
        raise Skip("only root can rotate as another user")
    with Sandbox() as init:
        logs = init.g.dir + "/logs"
        with open(init.conf) as f:
            text = f.read()
        user = pwd.getpwnam("nobody")
        group = grp.getgrgid(user.pw_gid).gr_name
        with open(init.conf, "w") as f:
            f.write(text.replace(init.g.dir + "/log\n", logs + "/ocppd.log\n")
                    .replace("[log]", "user = nobody\n[log]"))
        with open(init.g.dir + "/defaults", "a") as f:
            f.write("OWNER=nobody\n")
        os.chmod(init.g.dir, 0o755)
        r = init("start")
        assert r.returncode == 0, r
        assert os.stat(logs).st_uid == user.pw_uid
        with open(ROOT + "/scripts/ocppd.logrotate") as f:
            text = f.read()
        text = text.replace("ocppd ocppd", "nobody " + group)
        text = text.replace("/var/log/ocppd/", logs + "/")
        text = re.sub(r"if \[ -d /run/systemd.*?fi\n", "OCPPD_DEFAULTS=%s "
                      "sh %s reopen-log\n" % (init.g.dir + "/defaults",
                                              ROOT + "/scripts/ocppd.init"),
                      text, flags=re.S)
        with open(init.g.dir + "/snippet", "w") as f:
            f.write(text)
        os.chmod(init.g.dir + "/snippet", 0o644)
        r = subprocess.run([logrotate, "-f", "-s", init.g.dir + "/rotated",
                            init.g.dir + "/snippet"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        assert r.returncode == 0, r.stdout
        assert os.path.exists(logs + "/ocppd.log.1"), os.listdir(logs)
        # Wait until every worker has opened the new file, and check that it writes there.
        def logged():
            for n in range(2):
                Charger(init.g, "ROTATED%d" % n, worker=n).close()
            with open(logs + "/ocppd.log") as f:
                text = f.read()
            return all("ROTATED%d connected" % n in text for n in range(2))
        poll(logged, what="the lines of both workers in the new log")


def install(d, target="install"):
    r = subprocess.run(["make", "-s", "-C", ROOT, target, "B=" + B,
                        "DESTDIR=" + d, "PREFIX=/usr"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, timeout=300 * SLOW)
    assert r.returncode == 0, r.stdout
    return sorted(os.path.relpath(os.path.join(p, f), d)
                  for p, _, files in os.walk(d) for f in files)


def test_make_install_installs_all_files_and_uninstall_removes_them():
    with tempfile.TemporaryDirectory() as d:
        found = install(d)
        names = [os.path.basename(f) for f in found]
        for name in ("ocppd", "ocppctl", "ocppsim", "ocppd.conf",
                     "ocppd.service", "ocppd.8", "ocppctl.8", "ocppd.conf.5",
                     "ocppd-events.7", "ocppd-stats.7", "ocppd-redis.7",
                     "ocppsim.1"):
            assert name in names, (name, found)
        assert "usr/share/bash-completion/completions/ocppctl" in found
        assert "usr/share/zsh/vendor-completions/_ocppctl" in found
        assert "etc/init.d/ocppd" in found and "etc/logrotate.d/ocppd" in found
        for f in found:
            assert f.startswith(("usr/", "etc/")), f
        for directory in ("var/log/ocppd", "var/lib/ocppd"):
            assert os.path.isdir(os.path.join(d, directory)), directory
        r = subprocess.run([os.path.join(d, "usr/sbin/ocppd"), "-V"],
                           stdout=subprocess.PIPE)
        assert r.returncode == 0
        assert install(d, "uninstall") == ["etc/ocppd/ocppd.conf"]
        assert not os.path.exists(os.path.join(d, "usr/share/ocppd"))


def test_the_daemon_starts_as_the_user_of_the_installed_unit():
    """Returns the arguments of ExecStart, with the directories of another user."""
    if os.getuid() != 0:
        raise Skip("only root can become another user")
    user = pwd.getpwnam("nobody")
    g = Gateway(start=False)
    d = g.dir + "/installed"
    install(d)
    with open(d + "/usr/lib/systemd/system/ocppd.service") as f:
        unit = f.read()
    words = re.search(r"^ExecStart=(.*)$", unit, re.M)[1].split()
    words = [re.sub(r"(^|=)/", r"\1%s/" % d, w) for w in words]
    # These are StateDirectory=, LogsDirectory= and RuntimeDirectory= of the unit.
    for path in ("/var/lib/ocppd", "/var/log/ocppd", "/run/ocppd"):
        os.makedirs(d + path, exist_ok=True)
        os.chown(d + path, user.pw_uid, user.pw_gid)
    os.chmod(d, 0o755)
    os.chmod(d + "/etc/ocppd", 0o755)
    # The configuration is the installed one; only its paths are changed.
    words += ["-o", "server.state_dir=%s/var/lib/ocppd" % d,
              "-o", "server.control=%s/run/ocppd/control.sock" % d,
              "-o", "server.listen=127.0.0.1:%d" % g.port]
    admin = "127.0.0.1:%d" % free_port()
    words += ["-o", "admin.listen=" + admin]
    g.control = d + "/run/ocppd/control.sock"

    def become():
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    test = subprocess.run([words[0], "-t"] + words[1:], preexec_fn=become,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    assert test.returncode == 0, test.stdout
    with open(g.log_path, "ab") as log:
        g.process = subprocess.Popen(words, preexec_fn=become,
                                     stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=log)
    g.wait_ready()
    Charger(g, "INSTALLED").boot()
    assert g.stop() == 0


def test_every_manual_page_names_the_version_that_the_programs_print():
    versions = {subprocess.run([os.path.join(B, p), "-V"],
                               stdout=subprocess.PIPE, text=True).stdout
                .split()[1] for p in ("ocppd", "ocppctl")}
    assert len(versions) == 1, versions
    pages = os.listdir(B + "/man")
    assert pages
    for page in pages:
        with open(B + "/man/" + page) as f:
            assert ".Os ocppd %s\n" % versions.copy().pop() in f.read(), page
    r = subprocess.run([ROOT + "/scripts/debian-changelog",
                        *versions], cwd=ROOT, stdout=subprocess.PIPE,
                       text=True, env=dict(os.environ, SOURCE_DATE_EPOCH="0"))
    assert r.stdout.startswith("ocppd (%s) " % versions.pop()), r
    assert "Thu, 01 Jan 1970 00:00:00 +0000" in r.stdout, r


def test_make_dist_makes_an_archive_of_the_version():
    if not os.path.exists(ROOT + "/.git"):
        raise Skip("this is not a clone of the repository")
    with tempfile.TemporaryDirectory() as d:
        r = subprocess.run(["make", "-s", "-C", ROOT, "dist", "B=" + d],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True)
        assert r.returncode == 0, r.stdout
        version = subprocess.run([OCPPD, "-V"], stdout=subprocess.PIPE,
                                 text=True).stdout.split()[1]
        r = subprocess.run(["tar", "tzf", "%s/ocppd-%s.tar.gz" % (d, version)],
                           stdout=subprocess.PIPE, text=True)
        assert "ocppd-%s/Makefile\n" % version in r.stdout, r


# --- syslog ---------------------------------------------------------------------

class Syslog:
    """A syslogd for the test: receives the lines that are sent to /dev/log."""

    def __enter__(self):
        if os.path.lexists("/dev/log"):
            raise Skip("this system has a /dev/log of its own")
        if not os.access("/dev", os.W_OK):
            raise Skip("only root can make a /dev/log")
        self.lines = []
        self.begin()
        self.listen()
        return self

    def begin(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("/dev/log")
        os.chmod("/dev/log", 0o666)

    def listen(self):
        self.reader = background(self.read, self.sock)

    def read(self, sock):
        while True:
            data = sock.recv(8192)
            if not data:            # shut down
                return
            self.lines.append(data.decode())

    def end(self):
        os.unlink("/dev/log")
        self.sock.shutdown(socket.SHUT_RD)
        self.reader.wait()
        self.sock.close()

    def __exit__(self, *why):
        self.end()

    def wait(self, pid, pattern):
        """Returns the lines of a process, with their priorities."""
        whole = re.compile(r"<(\d+)>\w{3} [ \d]\d \d\d:\d\d:\d\d ocppd\[%d\]: "
                           r"%s" % (pid, pattern))

        def there():
            for line in list(self.lines):
                m = whole.fullmatch(line.rstrip("\0\n"))
                if m:
                    return int(m[1])
        return poll(there, what="/%s/ of %d in the system's log" % (pattern, pid))


DAEMON, ERROR, INFO = 3 << 3, 3, 6     # syslog(3)


def test_all_processes_log_to_syslog():
    with Syslog() as log:
        g = Gateway(start=False, log_target="syslog", log_level="info",
                    server_user="nobody",
                    admin_listen="127.0.0.1:%d" % free_port())
        os.makedirs(g.state_dir)
        shutil.chown(g.state_dir, "nobody")
        g.start()
        log.wait(g.pid, r"master: ready: 2 workers listen on .*")
        for w in g.workers():
            assert log.wait(w["pid"], r"worker %d: ready" % w["worker"]) == \
                DAEMON | INFO
        for n in range(2):
            old = g.kill_worker(n)
            assert log.wait(g.pid, r"master: worker %d: pid %d was killed .*"
                            % (n, old)) == DAEMON | ERROR
            new = poll(lambda: g.worker_pid(n) not in (0, old) and g.worker_pid(n))
            log.wait(new, r"worker %d: ready" % n)
            Charger(g, "SYSLOG", worker=n).boot()
        # syslogd is restarted, and logrotate runs.
        log.end()
        log.begin()
        log.listen()
        g.send_signal(signal.SIGUSR1)
        g.ask("log-level", "debug")
        log.wait(g.pid, r"master: log level is now debug, .*")
        for n in range(2):
            c = Charger(g, "DEBUG%d" % n, worker=n)
            assert log.wait(g.worker_pid(n), r"worker %d: DEBUG%d connected .*"
                            % (n, n)) == DAEMON | INFO
        pid = g.pid
        assert g.stop() == 0
        log.wait(pid, r"master: stopped")
        assert not g.log(), "lines that were not sent to syslog: " + g.log()


def test_a_worker_without_a_free_descriptor_can_log_that_to_syslog():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    with Syslog() as log:
        # No process has logged a line before.
        g = Gateway(log_target="syslog", log_level="error", server_workers="1",
                    preexec=few, server_max_connections="100")
        worker = g.worker_pid(0)
        chargers = [Charger(g, "FD%d" % i, open=False) for i in range(60)]
        for c in chargers:
            c.raw(c.request())
        log.wait(worker, r"worker 0: accept: .*")
        # No line is in another log.
        served = [c for c in chargers if select.select([c.sock], [], [], 0.02)[0]]
        assert len(served) > 5, len(served)
        for c in served:
            assert c.response().status == 101
            c.close()


def test_a_syslogd_that_does_not_read_delays_no_answer():
    with Syslog() as log:
        g = Gateway(log_target="syslog", server_workers="1")
        worker = g.worker_pid(0)
        log.wait(worker, r"worker 0: ready")
        log.end()
        log.begin()  # the socket exists, but is not read
        try:
            for i in range(100):        # two lines each
                c = Charger(g, "SILENT%d" % i)
                c.boot()
                c.close()
            assert g.run("log-level", "debug").returncode == 0
        finally:
            log.listen()
        # The buffer has kept the lines. (waits.py tests lines that it cannot keep.)
        log.wait(worker, r"worker 0: SILENT99 connected.*")
        Charger(g, "HEARD")
        log.wait(worker, r"worker 0: HEARD connected.*")
        assert sum(" SILENT" in l and " connected " in l
                   for l in log.lines) == 100, log.lines


def test_the_log_thread_waits_a_moment_for_room_in_syslog():
    with Syslog() as log:
        g = Gateway(log_target="syslog", server_workers="1")

        def whole(n):
            """Returns True if no line is lost when all connections end at the same time."""
            chargers = [Charger(g, "B%d-%d" % (n, i)) for i in range(200)]
            for c in chargers:
                c.sock.close()
            poll(lambda: g.stat("connections") == 0)
            Charger(g, "E%d" % n).close()
            log.wait(g.worker_pid(0), r"worker 0: E%d connected .*" % n)
            return sum(" B%d-" % n in l and " disconnected " in l
                       for l in log.lines) == 200
        # On a busy machine the reader may be too slow once.
        assert any(whole(n) for n in range(5)), log.lines


if __name__ == "__main__":
    main()
