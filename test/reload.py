#!/usr/bin/python3
"""A reload never closes a connection, and a configuration with an error never takes effect
(promise P5)."""

from lib import *

CONF = """# a test
[server]
workers = 2
drain_time = 200ms
[ocpp]
heartbeat_interval = 100s
heartbeat_jitter = 0
[log]
level = debug
"""


def write(g, text):
    with open(g.conf + ".new", "w") as f:
        f.write(text)
    os.rename(g.conf + ".new", g.conf)


def reloads(g):
    return g.tell("status")["config"]


def setting(g, section, key):
    return g.tell("config")["settings"][section][key]


def test_a_valid_configuration_takes_effect_and_connections_stay_open():
    g = Gateway(conf=CONF)
    chargers = [Charger(g, "GOOD%d" % i, worker=i % 2) for i in range(4)]
    assert chargers[0].boot()["interval"] == 100
    assert setting(g, "ocpp", "heartbeat_interval")["milliseconds"] == 100000
    write(g, CONF.replace("100s", "7s"))
    r = g.run("reload")
    assert r.returncode == 0 and "in force" in r.stdout, r
    for c in chargers:
        poll(lambda: c.boot()["interval"] == 7)
    s = setting(g, "ocpp", "heartbeat_interval")
    assert (s["value"], s["origin"], s["line"]) == ("7s", "file", 6), s
    assert reloads(g)["reloads"] == 1 and reloads(g)["reloadsFailed"] == 0
    poll(lambda: all(w["configVersion"] == reloads(g)["version"]
                     for w in g.workers()))
    assert not g.events(type="charge_point.disconnected")
    assert "last reload" in g.ctl("status", json_=False)


def test_included_files_and_variables_take_effect_and_are_named_as_origins():
    g = Gateway(conf=CONF + "include = conf.d/*.conf\n", start=False,
                env={"NODE_INTERVAL": "55s"})
    d = os.path.join(g.dir, "conf.d")
    os.mkdir(d)
    extra = os.path.join(d, "10-local.conf")

    def put(text):
        with open(extra, "w") as f:
            f.write(text)
    put("[ocpp]\nheartbeat_interval = ${NODE_INTERVAL}\n")
    g.start()
    c = Charger(g, "INCLUDED")
    assert c.boot()["interval"] == 55
    s = setting(g, "ocpp", "heartbeat_interval")
    assert (s["value"], s["origin"], s["line"], s["file"], s["expanded"]) == (
        "55s", "file", 2, extra, True), s
    assert "file" not in setting(g, "server", "workers")
    text = g.ctl("config", json_=False)
    assert "# %s line 2, with ${...}" % extra in text, text
    put("[ocpp]\nheartbeat_interval = 9s\n")
    assert g.run("reload").returncode == 0
    poll(lambda: c.boot()["interval"] == 9)
    # An error in an included file changes nothing, and the message names that file.
    put("[ocpp]\n\nheartbeat_interval = ${NODE_NONE}\n")
    r = g.run("reload")
    assert r.returncode == 1, r
    assert "%s:3: ocpp.heartbeat_interval = ${NODE_NONE}: the environment " \
        "variable NODE_NONE is not set" % extra in r.stderr, r
    assert c.boot()["interval"] == 9
    t = subprocess.run([OCPPD, "-t", "-c", g.conf], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    assert t.returncode != 0 and extra + ":3: " in t.stdout, t
    # ocppctl finds the socket, although it does not have the variable.
    with open(g.conf, "a") as f:
        f.write("[server]\ncontrol = %s\n" % g.control)
    r = subprocess.run([OCPPCTL, "-c", g.conf, "status"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 0, r


def test_sighup_reloads_too():
    g = Gateway(conf=CONF)
    c = Charger(g, "HUP")
    write(g, CONF.replace("100s", "7s"))
    g.send_signal(signal.SIGHUP)
    poll(lambda: c.boot()["interval"] == 7)
    g.wait_log("reload: .*in force")


def test_a_configuration_with_an_error_changes_nothing_and_its_line_is_reported():
    g = Gateway(conf=CONF)
    c = Charger(g, "BROKEN")
    for text, line, word in (
            (CONF.replace("100s", "7s") + "nonsense = 1\n", 10, "nonsense"),
            (CONF.replace("100s", "7s").replace("= 0", "= 90"), 7, "90"),
            ("[server", 1, "section")):
        write(g, text)
        r = g.run("reload")
        assert r.returncode == 1, r
        assert re.search(r"%s:%d: .*%s" % (re.escape(g.conf), line, word),
                         r.stdout + r.stderr), r
        assert "old configuration stays" in r.stdout + r.stderr
        assert c.boot()["interval"] == 100
        g.wait_log(r"error .*%s:%d: " % (re.escape(g.conf), line))
    s = reloads(g)
    assert s["reloads"] == s["reloadsFailed"] == 3
    assert s["lastWords"].startswith("failed: ")
    assert "failed: " in g.ctl("status", json_=False)
    r = g.run("health")
    assert r.returncode == 1 and "the last reload failed" in r.stdout, r
    os.unlink(g.conf)
    assert g.run("reload").returncode == 1
    write(g, CONF.replace("100s", "7s"))
    assert g.run("reload").returncode == 0
    poll(lambda: c.boot()["interval"] == 7)
    assert reloads(g)["lastWords"] == "ok"
    assert g.run("health").returncode == 0


def test_settings_that_need_a_restart_are_reported_and_keep_their_value():
    g = Gateway(conf=CONF)
    c = Charger(g, "RESTART")
    write(g, CONF.replace("workers = 2", "workers = 3\nmax_connections = 7")
          .replace("100s", "7s"))
    r = g.run("reload")
    assert r.returncode == 0, r
    for knob in ("server.workers = 3", "server.max_connections = 7"):
        assert re.search(r"%s: .*restart" % knob, r.stdout), r.stdout
        poll(lambda: knob in g.log())
    assert len(g.workers()) == 2
    assert setting(g, "server", "workers")["value"] == 2
    poll(lambda: c.boot()["interval"] == 7)  # the other settings take effect


def test_settings_of_the_command_line_still_override_the_file():
    g = Gateway(conf=CONF, ocpp_heartbeat_interval="50s")
    c = Charger(g, "ABOVE")
    write(g, CONF.replace("100s", "7s"))
    assert g.run("reload").returncode == 0
    assert c.boot()["interval"] == 50
    assert setting(g, "ocpp", "heartbeat_interval")["origin"] == "command line"


def test_deadlines_of_open_connections_change_at_a_reload():
    g = Gateway(conf=CONF + "[websocket]\nping_interval = 1h\n"
                "idle_timeout = 2h\n")
    c = Charger(g, "LIVE")
    c.boot()
    c.auto_pong = False
    write(g, CONF + "[websocket]\nping_interval = 1s\nidle_timeout = 3s\n")
    assert g.run("reload").returncode == 0
    c.wait_closed(1001)
    assert c.pings


def test_settings_for_new_connections_do_not_affect_open_ones():
    g = Gateway(conf=CONF)
    c = Charger(g, "OLD")
    write(g, CONF + "[websocket]\nmax_handshake_size = 1KiB\n")
    assert g.run("reload").returncode == 0
    r = refusal(g, "NEW", headers=[("X-Fill", "x" * 2000)])
    assert r.status == 431
    c.boot()


def test_many_reloads_under_load_close_no_connection():
    g = Gateway(conf=CONF)
    c = Charger(g, "LOAD")
    stop = threading.Event()

    def beat():
        while not stop.is_set():
            assert c.boot()["interval"] in (100, 7)
    h = background(beat)
    for i in range(20):
        write(g, CONF.replace("100s", "7s") if i % 2 else CONF)
        if i % 3:
            g.send_signal(signal.SIGHUP)
        else:
            assert g.ask("reload")[0] == 200
    stop.set()
    h.wait()
    assert not g.events(type="charge_point.disconnected")


def test_the_log_file_is_opened_again():
    g = Gateway(conf=CONF, start=False)
    path = g.settings["log_target"] = g.dir + "/ocppd.log"
    g.start()
    for sig in (signal.SIGUSR1, signal.SIGHUP):
        os.rename(path, path + ".1")
        g.send_signal(sig)
        poll(lambda: os.path.exists(path), what="a new log file")
        # The workers have read the configuration too.
        for w in (0, 1):
            c = Charger(g, "LOG%d" % w, worker=w)

            def written():
                c.boot()
                d = Charger(g, "LOG%d-again" % w, worker=w)
                d.close()
                with open(path) as f:
                    return "worker %d: " % w in f.read()
            poll(written, what="a line of worker %d" % w)
            c.close()


def test_the_log_is_rotated_where_only_the_master_may_open_it():
    if os.getuid() != 0:
        raise Skip("only root can run workers as another user")
    g = Gateway(conf=CONF, start=False, server_user="nobody",
                admin_listen="127.0.0.1:%d" % free_port())
    os.makedirs(g.state_dir)
    shutil.chown(g.state_dir, "nobody")
    os.mkdir(g.dir + "/logs", 0o700)
    path = g.settings["log_target"] = g.dir + "/logs/ocppd.log"
    g.start()
    for turn in range(2):
        os.rename(path, path + ".1")
        g.send_signal(signal.SIGUSR1)
        poll(lambda: os.path.exists(path), what="a new log file")

        def everybody():
            """Returns True if each process has the new file open, and none the old one."""
            pids = [g.pid] + [int(p) for p in subprocess.run(
                ["pgrep", "-P", str(g.pid)], stdout=subprocess.PIPE,
                text=True).stdout.split()]
            assert len(pids) == 4, pids
            return all(open_files(p, path) == {path} for p in pids)
        poll(everybody, what="the new file in each process")
        for w in (0, 1):
            name = "ROT%d-%d" % (turn, w)
            Charger(g, name, worker=w).close()
            poll(lambda: "worker %d: %s connected" % (w, name)
                 in open(path).read())
    assert "cannot" not in open(path).read()


def open_files(pid, prefix):
    """Returns the open files of the process whose names begin with this text."""
    found = set()
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            name = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except OSError:
            continue
        if name.startswith(prefix):
            found.add(name)
    return found


def test_the_log_level_is_changed_until_the_next_reload():
    g = Gateway(conf=CONF)
    assert g.ctl("log-level", json_=False).strip() == "debug"
    assert g.run("log-level", "error").returncode == 0
    Charger(g, "SILENT").close()
    assert "SILENT connected" not in g.log()
    assert g.run("log-level", "debug").returncode == 0
    Charger(g, "LOUD").close()
    g.wait_log("LOUD connected")
    assert g.run("log-level", "chatty").returncode == 2
    g.run("log-level", "error")
    assert g.run("reload").returncode == 0
    poll(lambda: g.tell("status")["logLevel"] == "debug")


if __name__ == "__main__":
    main()
