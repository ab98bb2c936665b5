#!/usr/bin/python3
"""Start and stop of the daemon: options, exit codes, messages."""

from lib import *


def ocppd(*words, env=None):
    return subprocess.run([OCPPD, *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=DEADLINE,
                          cwd=ROOT, env=dict(os.environ, **(env or {})))


def with_conf(text, *words):
    """Runs ocppd -t with this configuration. Returns (result, path)."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write(text)
        f.flush()
        return ocppd("-t", "-c", f.name, *words), f.name


def refused_start(g):
    """Starts a daemon that must refuse to start. Returns (exit code, its output)."""
    g.start(wait=False)
    code = g.wait_exit()
    g.process = None
    return code, g.log()


def test_the_version_is_printed():
    r = ocppd("-V")
    assert r.returncode == 0 and re.search(r"\d+\.\d+\.\d+", r.stdout), r


def test_wrong_options_end_with_exit_code_64_and_the_usage():
    for words in (["-Q"], ["-c"], ["-x", "nonsense"], ["word"], ["-o"]):
        r = ocppd(*words)
        assert r.returncode == 64, (words, r)
        assert "usage" in r.stderr, (words, r)


def test_every_configuration_of_the_tree_is_valid():
    names = [n for n in os.listdir(ROOT + "/conf") if n.endswith(".conf")]
    assert len(names) >= 9, names
    for name in sorted(names):
        text = open(ROOT + "/conf/" + name).read()
        with tempfile.TemporaryDirectory() as d:
            # The operator provides the certificates.
            more = []
            if re.search("^certificate = .", text, re.M):
                subprocess.run([ROOT + "/scripts/test-ca", d + "/ca"],
                               check=True)
                for key, files in re.findall(
                        "^(certificate|key|client_ca) = (.+)", text, re.M):
                    files = files.replace("/etc/ocppd/clients.pem", "ca.pem")
                    more += ["-o", "tls.%s=%s" % (key, " ".join(
                        d + "/ca/" + os.path.basename(f)
                        for f in files.split()))]
            # The directories and the user of this configuration are made at installation.
            r = ocppd("-t", "-c", "conf/" + name, "-o", "server.user=", *more,
                      "-o", "server.state_dir=%s/s" % d,
                      "-o", "server.control=%s/c" % d,
                      "-o", "server.pidfile=%s/p" % d,
                      "-o", "log.target=stderr")
        assert r.returncode == 0, (name, r)


def test_the_configuration_of_the_container_is_valid_with_and_without_redis():
    for env in ({}, {"OCPPD_REDIS_HOST": "127.0.0.1", "OCPPD_NODE": "g1",
                     "OCPPD_AUTH": "redis"}):
        with tempfile.TemporaryDirectory() as d:
            r = ocppd("-t", "-c", "scripts/container/ocppd.conf",
                      "-o", "server.state_dir=%s/s" % d,
                      "-o", "server.control=%s/c" % d,
                      "-o", "server.listen=127.0.0.1:%d" % free_port(),
                      "-o", "admin.listen=127.0.0.1:%d" % free_port(), env=env)
        assert r.returncode == 0, (env, r)


def test_errors_are_reported_with_file_line_and_remedy_and_exit_code_78():
    for text, line, words in (
            ("[server]\nworkers = many\n", 2, "server.workers = many"),
            ("[server]\n\nworker = 2\n", 3, "did you mean workers"),
            ("[sever]\n", 1, r"did you mean \[server\]"),
            ("workers = 2\n", 1, "before the first section"),
            ("[server]\nworkers = 2\nworkers = 3\n", 3, "already set in line 2"),
            ("[websocket]\nping_interval = 60\n", 2, "has no unit"),
            ("[websocket]\nping_interval = 500ms\n", 2, "1s"),
            ("[websocket]\nmax_message_size = 1GiB\n", 2, "16MiB"),
            ("[ocpp]\nvalidation = loose\n", 2, "lenient"),
            ("[ocpp]\nversions = ocpp3\n", 2, "ocpp1.6"),
            ("[server]\nlisten = localhost\n", 2, "192.0.2.1:8080"),
            ("[server]\nlisten = " + "1.2.3.4:80 " * 40 + "\n", 2, "too long"),
            ("[server\n", 1, "brackets"), ("[server]\nworkers\n", 2, "key = value"),
            ("[websocket]\nping_interval = 5m\nidle_timeout = 1m\n", 3,
             "less than ping_interval"),
            ("[log]\ntarget = sysolg\n", 2, "stderr, syslog")):
        r, name = with_conf(text)
        assert r.returncode == 78, (text, r)
        assert re.search(r"%s:%d: .*%s" % (re.escape(name), line, words),
                         r.stderr), (text, r.stderr)


def test_errors_that_only_a_trial_shows_are_reported_with_file_and_line_too():
    there = tempfile.mkdtemp(prefix="ocppd-test-")
    base = "[server]\nstate_dir = %s/state\ncontrol = %s/sock\n" % (there, there)
    for text, line, want in (
            ("listen = 192.0.2.77:8080", 5, "server.listen = 192.0.2.77:8080: cannot"),
            ("pidfile = %s" % there, 5, "server.pidfile = %s: exists" % there),
            ("control_group = no-such-x", 5, "server.control_group = no-such-x"),
            ("[log]\ntarget = %s" % there, 6, "log.target = %s" % there),
            ("[admin]\nlisten = 192.0.2.77:80", 6, "admin.listen = 192.0.2.77:80"),
            ("listen_tls = 127.0.0.1:%d\n[tls]\ncertificate = /none\nkey = /none"
             % free_port(), 7, "tls.certificate = /none: there is no such file"),
            ("[limits]\ndeny_file = /dev/null", 6,
             "limits.deny_file: /dev/null is not a regular file"),
            ("[limits]\ndeny_file = %s/no/x" % there, 6,
             "limits.deny_file = %s/no/x: the directory %s/no does not" % (there, there)),
            ("[auth]\nmode = file\nfile = %s" % there, 7,
             "auth.file: %s is not a regular file" % there),
            ("[auth]\nmode = file\nfile = %s/no/x" % there, 7,
             "auth.file = %s/no/x: the directory %s/no does not" % (there, there))):
        port = "" if text.startswith("listen =") else \
            "listen = 127.0.0.1:%d" % free_port()
        r, name = with_conf(base + port + "\n" + text + "\n")
        assert r.returncode == 78, (text, r)
        assert "%s:%d: %s" % (name, line, want) in r.stderr, (text, r.stderr)
    included = there + "/more.conf"
    with open(included, "w") as f:
        f.write("[server]\npidfile = %s\n" % there)
    r, name = with_conf(base + "listen = 127.0.0.1:%d\ninclude = %s\n"
                        % (free_port(), included))
    assert "%s:2: server.pidfile = " % included in r.stderr, r
    # A pattern whose bracket is not closed is an error. It is not read as a pattern
    # that matches no file.
    r, name = with_conf(base + "listen = 127.0.0.1:%d\ninclude = %s/[.conf\n"
                        % (free_port(), there))
    assert r.returncode == 78 and "%s:5: %s/[.conf: cannot" % (name, there) in r.stderr, r
    r, name = with_conf(base + "listen = 127.0.0.1:%d\ninclude = %s/[a-z].conf\n"
                        % (free_port(), there))
    assert r.returncode == 0, r
    r, name = with_conf(base, "-o", "server.listen=127.0.0.1:%d" % free_port(),
                        "-o", "server.pidfile=" + there)
    assert r.stderr.startswith("-o: server.pidfile = "), r
    shutil.rmtree(there)


def test_settings_that_a_start_refuses_are_refused_by_t_too():
    for words, want in (
            (["-o", "answers.BootNotification=platform"],
             "answers.BootNotification = platform: asks the platform"),
            (["-o", "server.workers=0"],
             "server.workers = 0: is too small; write auto or"),
            (["-o", "server.max_identities=0"], "is too small")):
        r = ocppd("-t", "-c", "conf/test.conf", *words)
        assert r.returncode == 78 and want in r.stderr, (words, r)
    r = ocppd("-t", "-c", "conf/test.conf", "-o", "redis.host=127.0.0.1", "-o",
              "answers.BootNotification=platform", "-o",
              "server.state_dir=/tmp")
    assert "platform" not in r.stderr, r


def test_after_a_kill_of_the_master_the_next_start_waits_for_its_workers():
    g = Gateway(server_workers="2", server_drain_time="2s")
    chargers = [Charger(g, "ORPHAN%d" % i) for i in range(10)]
    for c in chargers:
        c.boot()
    g.note_stats()
    g.process.kill()
    g.process.wait()
    g.start()
    assert "waiting for them" in g.log(), g.log()
    for c in chargers:
        c.wait_closed(1001)
    Charger(g, "ORPHAN0").boot()
    # A second daemon in the same directory is refused at once.
    r = ocppd(*g.command()[1:], "-o", "server.control=", "-o",
              "server.listen=127.0.0.1:%d" % free_port())
    assert r.returncode == 1, r
    assert "another ocppd uses it, process %d" % g.pid in r.stderr, r


def test_all_errors_are_reported_and_not_only_the_first_one():
    r, name = with_conf("[server]\na = 1\nb = 2\n[x]\nc = 3\n")
    assert r.returncode == 78
    assert [":%d: " % n in r.stderr for n in (2, 3, 4)] == [True] * 3, r.stderr


def test_a_configuration_that_does_not_exist_ends_with_exit_code_78():
    r = ocppd("-t", "-c", "/nonexistent/ocppd.conf")
    assert r.returncode == 78 and "/nonexistent/ocppd.conf" in r.stderr, r


def test_options_override_the_file_and_the_last_one_counts():
    r, name = with_conf("[server]\nworkers = 300\n")
    assert r.returncode == 78
    r, name = with_conf("[server]\nworkers = 3\n", "-o", "server.workers=300")
    assert r.returncode == 78 and "-o" in r.stderr, r
    g = Gateway(server_workers="1", args=["-o", "server.workers=3"])
    assert len(g.workers()) == 3
    for wrong in ("nonsense", "server.nonsense=1", "x.y=1", "server.workers"):
        assert ocppd("-t", "-c", "conf/test.conf", "-o", wrong).returncode == 78


def test_the_tables_are_printed_for_the_manual():
    for what, word in (("conf", "ping_interval"), ("stats", "handshakes"),
                       ("commands", "worker-restart")):
        r = ocppd("-x", what)
        assert r.returncode == 0 and word in r.stdout, (what, r)
        assert ".It" in r.stdout


def test_a_second_instance_is_refused_with_the_reason():
    g = Gateway(server_pidfile=None)
    g.settings["server_pidfile"] = g.dir + "/pid"
    g.stop(), g.start()
    # At first all settings are the same, then only the port, the state or the pid file.
    same = dict(server_state_dir=g.state_dir, server_control=g.control,
                server_listen="127.0.0.1:%d" % g.port)
    own = g.dir + "/other"
    os.mkdir(own)
    for keep in ("server_state_dir", "server_control", "server_listen",
                 "server_pidfile"):
        h = Gateway(start=False)
        if keep == "server_pidfile":
            h.settings[keep] = g.dir + "/pid"
        else:
            h.settings[keep] = same[keep]
        h.deaths_expected = True
        code, text = refused_start(h)
        assert code == 1 and "cannot start: -o: %s = " % option(keep) in text, (keep, code, text)
    Charger(g, "STILL").boot()


def test_the_pid_file_has_the_masters_process_id_and_is_removed_at_its_end():
    g = Gateway(start=False)
    path = g.settings["server_pidfile"] = g.dir + "/pid"
    g.start()
    assert open(path).read() == "%d\n" % g.pid
    assert g.stop() == 0
    assert not os.path.exists(path) or open(path).read() == ""


def test_a_pid_file_left_by_a_crash_does_not_prevent_a_start():
    g = Gateway(start=False)
    g.settings["server_pidfile"] = g.dir + "/pid"
    g.start()
    g.kill_everything()
    g.start()
    assert open(g.dir + "/pid").read() == "%d\n" % g.pid
    Charger(g).boot()


def test_a_start_and_t_report_what_cannot_be_set_up():
    there = tempfile.mkdtemp(prefix="ocppd-test-")
    open(there + "/file", "w").close()
    cases = [
        (dict(server_state_dir="/etc/passwd/nowhere"), "/etc/passwd/nowhere"),
        (dict(server_control="/etc/passwd/nowhere/x.sock"), "/etc/passwd/nowhere"),
        (dict(log_target="/etc/passwd/nowhere/log"), "/etc/passwd/nowhere/log"),
        (dict(server_pidfile="/etc/passwd/nowhere/pid"), "/etc/passwd/nowhere"),
        (dict(server_control_group="no-such-group-x"), "no-such-group-x"),
        (dict(server_control="/tmp/" + "x" * 120), "too long"),
        (dict(admin_listen="192.0.2.77:8080"), "192.0.2.77:8080"),
        (dict(server_listen="192.0.2.77:8080"), "192.0.2.77:8080"),
        (dict(server_pidfile=there), there),
        (dict(server_control=there), "exists and is not a socket"),
        (dict(server_control=there + "/file"), "exists and is not a socket"),
        # access(2) permits root to write there.
        (dict(server_state_dir="/proc/nowhere"), "/proc/nowhere"),
        (dict(server_state_dir="/proc"), "/proc"),
        (dict(server_control="/proc/control.sock"), "server.control = /proc/"),
        (dict(server_pidfile="/proc/pid"), "server.pidfile = /proc/pid"),
        (dict(log_target="/proc/log"), "log.target = /proc/log"),
        (dict(server_state_dir=there + "/loop"), there + "/loop"),
        (dict(server_control=there + "/loop/x"), there + "/loop"),
        (dict(log_target=there + "/loop"), "log.target = " + there + "/loop")]
    os.symlink(there + "/loop", there + "/loop")
    if os.getuid() == 0:  # server.user has an effect only if root starts the daemon
        cases.append((dict(server_user="no-such-user-x"), "no-such-user-x"))
    for settings, words in cases:
        g = Gateway(start=False)
        g.settings.update(settings)
        g.deaths_expected = True
        r = subprocess.run(g.command() + ["-t"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, cwd=g.dir)
        assert r.returncode == 78 and words in r.stderr, (settings, r)
        code, text = refused_start(g)
        # A path that is too long is an error of the configuration itself.
        assert code == (78 if words == "too long" else 1), (settings, code, text)
        assert words in text, (settings, text)


def test_t_checks_the_content_of_the_state_directory_too():
    for name, kind, want in (
            ("lock", os.mkdir, "lock in it is not a regular file"),
            ("lock", os.mkfifo, "lock in it is not a regular file"),
            ("lock", lambda p: os.symlink("/dev/null", p), "lock in it is not a regular"),
            ("journal", os.mkfifo, "journal in it is not a directory"),
            ("journal", lambda p: os.symlink("nowhere", p), "journal in it is not a dir"),
            ("transaction-ids", os.mkdir, "transaction-ids in it is not a regular file"),
            ("transaction-ids", os.mkfifo, "transaction-ids in it is not a regular file"),
            ("tokens", os.mkdir, "server.state_dir: "),
            ("deny", os.mkfifo, "server.state_dir: "),
            ("auth", lambda p: os.symlink("/dev/zero", p), "server.state_dir: ")):
        g = Gateway(start=False, auth_mode="file")
        g.deaths_expected = True
        state = g.settings["server_state_dir"]
        os.makedirs(state, exist_ok=True)
        kind(os.path.join(state, name))
        r = subprocess.run(g.command() + ["-t"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, cwd=g.dir)
        assert r.returncode == 78 and want in r.stderr, (name, r)
        assert r.stderr.count("\n") == 1, r
        code, text = refused_start(g)
        assert code == 1 and want in text, (name, code, text)


def test_a_start_makes_the_directory_of_the_log_and_t_makes_nothing():
    g = Gateway(start=False)
    path = g.settings["log_target"] = g.dir + "/logs/ocppd.log"

    def checked():
        return subprocess.run(g.command() + ["-t"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, cwd=g.dir)
    r = checked()
    assert r.returncode == 0, r
    assert not os.path.exists(g.dir + "/logs"), "-t has made the directory of the log"
    g.start()
    poll(lambda: "ready" in open(path).read())
    g.stop()
    for target in (g.dir + "/no/such/ocppd.log", g.conf + "/ocppd.log", g.dir):
        g.settings["log_target"] = target
        r = checked()
        assert r.returncode == 78 and "log.target = " + target in r.stderr, r
        code, text = refused_start(g)
        assert code == 1 and "log.target = " + target in text, (code, text)


def test_in_the_background_the_command_returns_when_the_gateway_is_ready():
    g = Gateway(start=False)
    g.settings["server_pidfile"] = g.dir + "/pid"
    g.settings["log_target"] = g.dir + "/logfile"
    r = subprocess.run(g.command() + ["-d"], timeout=DEADLINE, cwd=g.dir)
    assert r.returncode == 0
    pid = int(open(g.dir + "/pid").read())
    try:
        assert g.tell("status")["pid"] == pid
        states = {w["state"] for w in g.workers()}
        assert states == {"ready"}, states
        Charger(g).boot()
        assert os.getsid(pid) != os.getsid(0)
        with open("/proc/%d/stat" % pid) as f:
            assert f.read().rsplit(")", 1)[1].split()[4] == "0", "the daemon has a terminal"
        poll(lambda: "ready" in open(g.dir + "/logfile").read())
    finally:
        os.kill(pid, signal.SIGTERM)
        poll(lambda: not alive(pid))


def test_a_start_fails_if_its_workers_cannot_start():
    for workers in (1, 2):
        for background in ([], ["-d"]):
            g = Gateway(start=False, server_workers=workers)
            g.deaths_expected = True
            os.makedirs(g.state_dir + "/journal/w000.lock")
            r = subprocess.run(g.command() + background, timeout=DEADLINE,
                               stderr=subprocess.PIPE, text=True, cwd=g.dir)
            assert r.returncode == 1 and "cannot start: worker" in r.stderr, r


def test_in_the_background_a_failure_is_reported_too():
    g = Gateway(start=False)
    g.settings["server_state_dir"] = "/proc/nowhere"
    r = subprocess.run(g.command() + ["-d"], timeout=DEADLINE,
                       stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                       text=True)
    assert r.returncode == 1 and "/proc/nowhere" in r.stderr, r


def test_the_gateway_listens_on_ipv6_and_on_several_addresses():
    g = Gateway(start=False)
    other = free_port()
    g.settings["server_listen"] = "127.0.0.1:%d [::1]:%d 127.0.0.2:%d" % (
        g.port, g.port, other)
    try:
        s = socket.socket(socket.AF_INET6)
        s.bind(("::1", 0))
        s.close()
    except OSError:
        raise Skip("this machine has no IPv6")
    g.start()
    c = Charger(g, "V4")
    c.boot()
    for family, address in ((socket.AF_INET6, ("::1", g.port)),
                            (socket.AF_INET, ("127.0.0.2", other))):
        d = Charger(g, "OTHER", open=False)
        d.sock.close()
        d.sock = socket.socket(family)
        d.sock.settimeout(DEADLINE)
        d.sock.connect(address)
        assert d.handshake().status == 101
        d.boot()
        text = g.show("OTHER")["address"]
        assert text.startswith("[::1]:" if family == socket.AF_INET6
                               else "127.0.0."), text
        d.close()


# --- stop --------------------------------------------------------------------------

def test_after_sigterm_connections_are_closed_with_1001_over_drain_time():
    g = Gateway(server_drain_time="1s")
    chargers = [Charger(g, "TERM%02d" % i) for i in range(20)]
    for c in chargers:
        c.boot()
    g.note_stats()
    began = time.monotonic()

    def closed(c):
        c.wait_closed(1001)
        return time.monotonic() - began
    handles = [background(closed, c) for c in chargers]
    g.send_signal(signal.SIGTERM)
    times = [h.wait() for h in handles]
    assert g.wait_exit() == 0
    spread = max(times) - min(times)
    assert 0.3 < spread < 3 * SLOW, spread
    ends = g.events(type="charge_point.disconnected")
    assert len(ends) == 20
    assert {(e["payload"]["reason"], e["payload"]["code"]) for e in ends} == \
        {("drained", 1001)}
    g.process = None
    assert not os.path.exists(g.control)


def test_a_drain_waits_for_a_charge_point_that_does_not_answer_the_close():
    g = Gateway(server_drain_time="0s", websocket_close_timeout="6s")
    c = Charger(g, "MUTE")
    c.boot()
    g.send_signal(signal.SIGTERM)
    assert g.wait_exit() == 0
    g.process = None
    assert not re.search(r"did not end in time|killed", g.log()), g.log()


def test_a_draining_gateway_accepts_no_new_connection():
    g = Gateway(server_drain_time="3s")
    c = [Charger(g, "DR%d" % i) for i in range(4)]
    half = Charger(g, "HALF", open=False)
    half.raw(half.request()[:-2])
    poll(lambda: g.stat("handshaking") == 1)
    before = g.stat("refused", "draining")
    g.send_signal(signal.SIGTERM)
    assert half.response().status == 503
    poll(lambda: g.ask("health")[0] != 200)
    assert g.stat("refused", "draining") == before + 1
    assert g.tell("status")["draining"] is True
    g.note_stats()
    try:
        d = Charger(g, "NEW", open=False)
        d.raw(d.request())
        assert d.response(1).status == 503
    except (OSError, Closed, TimeoutError):
        pass  # the connection is in the queue of a worker that has ended
    assert g.wait_exit() == 0
    g.process = None


def test_a_second_sigterm_stops_at_once():
    g = Gateway(server_drain_time="60s")
    chargers = [Charger(g, "TWICE%d" % i) for i in range(3)]
    g.send_signal(signal.SIGTERM)
    poll(lambda: g.tell("status")["draining"])
    g.send_signal(signal.SIGTERM)
    g.wait_exit(5 * SLOW)
    g.process = None


def test_sigquit_stops_at_once():
    g = Gateway(server_drain_time="60s")
    c = Charger(g, "QUIT")
    c.boot()
    began = time.monotonic()
    assert g.stop(signal.SIGQUIT) == 0
    assert time.monotonic() - began < 3 * SLOW
    c.wait_end()


def test_sigint_stops_like_sigterm():
    g = Gateway()
    c = Charger(g, "INT")
    g.send_signal(signal.SIGINT)
    c.wait_closed(1001)
    assert g.wait_exit() == 0
    g.process = None


def test_a_stop_under_load_loses_no_acknowledged_event():
    g = Gateway()
    answered = []

    def talk(i):
        try:
            c = Charger(g, "L%d" % i)
            for k in range(100000):
                c.call("Authorize", {"idTag": "L%d-%d" % (i, k)})
                answered.append("L%d-%d" % (i, k))
        except (Closed, OSError):
            pass
    handles = [background(talk, i) for i in range(6)]
    poll(lambda: len(answered) > 300)
    assert g.stop() == 0
    for h in handles:
        h.wait()
    there = {e["payload"]["idTag"]
             for e in g.events(type="authorization.requested")}
    assert set(answered) <= there
    assert "last words" not in g.log()


def test_no_process_remains_after_a_stop():
    g = Gateway(admin_listen="127.0.0.1:%d" % free_port())
    pids = [int(p) for p in subprocess.run(
        ["pgrep", "-P", str(g.pid)], stdout=subprocess.PIPE,
        text=True).stdout.split()]
    assert len(pids) == 3, pids         # two workers and admin
    assert g.stop() == 0
    for p in pids:
        poll(lambda: not alive(p))


def test_the_service_manager_is_notified():
    d = tempfile.mkdtemp()
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(d + "/notify")
    s.settimeout(DEADLINE)
    try:
        g = Gateway(env={"NOTIFY_SOCKET": d + "/notify"})

        def told(word):
            while True:
                text = s.recv(4096).decode()
                if word in text:
                    return text
        told("READY=1")
        g.send_signal(signal.SIGHUP)
        told("RELOADING=1")
        told("READY=1")
        g.stop()
        told("STOPPING=1")
    finally:
        s.close()
        shutil.rmtree(d)


def test_workers_started_by_root_run_as_server_user():
    if os.getuid() != 0:
        raise Skip("only root can change the user")
    g = Gateway(start=False)
    os.makedirs(g.state_dir)
    shutil.chown(g.state_dir, "nobody")
    os.chmod(g.dir, 0o777)
    g.settings["server_user"] = "nobody"
    g.start()
    import pwd
    uid = pwd.getpwnam("nobody").pw_uid
    for w in g.workers():
        with open("/proc/%d/status" % w["pid"]) as f:
            text = f.read()
        assert re.search(r"^Uid:\s+%d\s+%d\s+%d\s+%d$" % ((uid,) * 4), text,
                         re.M), text
    Charger(g).boot()
    assert os.stat(g.segments()[0]).st_uid == uid


if __name__ == "__main__":
    main()
