#!/usr/bin/python3
"""ocppctl top: its figures are those of the gateway, its keys work as shown, and at its end
the terminal is as before."""

import fcntl
import pty
import termios

from lib import *


def number(text, pattern):
    found = re.search(pattern, text)
    assert found, (pattern, text)
    return float(found.group(1))


def block(text, title):
    """Returns the lines of a list, each with its first word as key."""
    rows = {}
    inside = False
    for line in text.splitlines():
        words = line.split()
        if words and words[0] in ("WORKER", "BUSIEST", "SICKEST"):
            inside = words[0] == title
        elif inside and words:
            rows[words[0]] = words[1:]
    return rows


class Terminal:
    """Runs `ocppctl top` on a terminal of its own."""

    def __init__(self, g, *words, rows=24, columns=80, program=None, env=None):
        self.master, self.slave = pty.openpty()
        self.size(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
                for fd in range(3):
                    os.dup2(self.slave, fd)
                args = program or [OCPPCTL, "-s", g.control, "top", *words]
                os.chdir(ROOT)
                os.execve(args[0], args, dict(os.environ, **(env or {})))
            finally:
                os._exit(99)

    def size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.master, keys.encode())

    def read(self):
        while select.select([self.master], [], [], 0.01)[0]:
            some = os.read(self.master, 65536)
            self.seen += some
            if not some:
                break

    def screen(self):
        """Returns the last screen that is complete."""
        self.read()
        drawn = self.seen.split(b"\x1b[H")
        for d in reversed(drawn):
            if d.endswith(b"\x1b[J") and len(d) > 10:
                return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", d.decode())
        return ""

    def shows(self, pattern, timeout=DEADLINE):
        return poll(lambda: re.search(pattern, self.screen()), timeout,
                    "/%s/ on the screen" % pattern)

    def ended(self, last=b""):
        """Waits for the end of the program and returns its exit code. The terminal must be as
        before."""
        status = []

        def wait():
            self.read()
            pid, got = os.waitpid(self.pid, os.WNOHANG)
            status.append(got)
            return pid
        poll(wait, what="the end of ocppctl top")
        self.read()
        assert termios.tcgetattr(self.slave) == self.before
        assert re.search(
            rb"\x1b\[0m\x1b\[\?25h\x1b\[\?1049l" + last + b"$", self.seen), self.seen[-80:]
        os.close(self.master)
        os.close(self.slave)
        return os.waitstatus_to_exitcode(status[-1])


def test_one_screen_has_the_figures_of_the_gateway():
    g = Gateway()
    cs = [Charger(g, "TOP%d" % i, worker=i % 2) for i in range(5)]
    for i, c in enumerate(cs):
        for _ in range(i + 1):
            c.call("Heartbeat")
    poll(lambda: sum(c["messages"] for c in g.tell("connections")["connections"])
         == 15, what="the sweep that copies the counts")
    text = g.ctl("top", "-b", "--every", "0.2", json_=False)
    assert "\x1b" not in text and "\x01" not in text
    assert number(text, r"connections +(\d+) of 10000") == 5
    assert number(text, r"identities (\d+) of") == 5
    assert "\nversions     ocpp1.6 5  ocpp2.0.1 0  ocpp2.1 0  charging 0\n" in text, text
    assert re.search(r"^ocppd \S+ on test: healthy  up ", text), text
    workers = block(text, "WORKER")
    for w in g.workers():
        row = workers[str(w["worker"])]
        assert row[0] == "ready" and int(row[1]) == w["pid"]
        assert int(row[3]) == w["connections"] == (3 if w["worker"] == 0 else 2)
    busiest = block(text, "BUSIEST")
    assert list(busiest) == ["TOP4", "TOP3", "TOP2", "TOP1", "TOP0"]
    for i in range(5):
        assert busiest["TOP%d" % i][0] == str(i % 2)
        assert busiest["TOP%d" % i][2] == str(i + 1)
        assert busiest["TOP%d" % i][-1] == "Heartbeat"
    assert list(block(text, "SICKEST")) == ["none"]


def test_rates_are_per_second_over_the_interval():
    g = Gateway(server_workers="1")
    c = Charger(g, "RATE")
    done = threading.Event()

    def talk():
        while not done.is_set():
            c.call("StatusNotification", {"connectorId": 1, "status": "Available",
                                          "errorCode": "NoError"})
    h = background(talk)
    try:
        poll(lambda: g.stat("messages_in") > 0, what="the first message")
        before, began = g.stats(), time.monotonic()
        text = g.ctl("top", "-b", "--every", "1.5", json_=False)
        after, took = g.stats(), time.monotonic() - began
    finally:
        done.set()
    h.wait()
    for pattern, name in ((r"\n +in ([\d.]+)", "messages_in"),
                          (r"\n +in .* events ([\d.]+)", "events"),
                          (r"commits ([\d.]+)/s", "commits")):
        rate, all = number(text, pattern), after[name] - before[name]
        # The figure has the messages of the interval, and hardly any others.
        assert 0 < rate * 1.5 <= all * 1.05 + 1, (name, rate, all, took)
    assert number(text, r"answers .* of (\d+)") > 0
    # The line of the worker has the same figure.
    assert abs(float(block(text, "WORKER")["0"][4]) -
               number(text, r"\n +in ([\d.]+)")) <= \
        0.1 * number(text, r"\n +in ([\d.]+)") + 2


def test_a_charge_point_that_disconnected_is_listed_with_its_reason():
    g = Gateway()
    broken, polite = Charger(g, "BROKEN"), Charger(g, "POLITE")
    flapping = [Charger(g, "FLAP") for _ in range(4)][-1]
    broken.reset()
    polite.close()
    poll(lambda: not g.online("BROKEN") and not g.online("POLITE"))
    text = g.ctl("top", "-b", "--every", "0.1", json_=False)
    sick = block(text, "SICKEST")
    assert list(sick) == ["FLAP", "BROKEN", "POLITE"], text
    assert sick["FLAP"][1] == "4"
    assert sick["BROKEN"][-2:] == ["lost:", "peer_vanished"]
    assert sick["POLITE"][-2:] == ["away:", "peer_closed"]
    assert list(block(text, "BUSIEST")) == ["FLAP"]
    flapping.close()


def test_filters_select_charge_points():
    g = shared()
    cs = [Charger(g, n, worker=w) for n, w in
          (("BERLIN-1", 0), ("BERLIN-2", 1), ("PARIS-1", 0))]

    def listed(*words):
        return set(block(g.ctl("top", "-b", "--every", "0.1", *words,
                               json_=False), "BUSIEST"))
    assert listed("--match", "BERLIN") == {"BERLIN-1", "BERLIN-2"}
    assert listed("--match", "*-1", "--worker", "0") == {"BERLIN-1", "PARIS-1"}
    assert listed("--worker", "1") == {"BERLIN-2"}
    for c in cs:
        c.close()


def test_top_asks_no_worker():
    g = Gateway()
    c = Charger(g, "CP1")
    pids = [w["pid"] for w in g.workers()]
    for p in pids:
        os.kill(p, signal.SIGSTOP)
    try:
        text = g.ctl("top", "-b", "--every", "0.1", json_=False)
    finally:
        for p in pids:
            os.kill(p, signal.SIGCONT)
    assert number(text, r"connections +(\d+) of") == 1
    c.close()


def test_wrong_arguments_a_pipe_and_a_missing_daemon_have_their_exit_codes():
    g = shared()
    for words in (["--every", "no"], ["--sort", "size"], ["x"], ["-z"],
                  ["--worker", "-1"], []):
        r = g.run("top", *words)
        assert r.returncode == 2 and r.stderr and not r.stdout, (words, r)
    assert "-b" in g.run("top").stderr
    r = subprocess.run([OCPPCTL, "-s", g.dir + "/nobody", "top", "-b"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 3 and "nobody" in r.stderr


def test_keys_sort_filter_and_quit():
    g = Gateway(websocket_idle_timeout="60s")
    cs = [Charger(g, n) for n in ("ALPHA", "BETA", "GAMMA")]
    cs[0].call("Heartbeat")
    t = Terminal(g)
    t.shows(r"connections +3 of 10000")
    t.shows(r"BUSIEST by rate[^$]*ALPHA[^$]*BETA[^$]*GAMMA")
    t.shows(r"q quit")
    t.press("s")
    t.shows(r"BUSIEST by messages")
    t.press("s")
    t.shows(r"BUSIEST by since")
    t.press("s")
    t.shows(r"BUSIEST by identity")
    t.press("/bet")
    t.shows(r"only identities with: bet_")
    t.shows(r"BUSIEST.*\nno charge point is connected")
    t.press("\x7f\x7f\x7fBET\r")
    t.shows(r"BUSIEST.*\nBETA")
    assert not re.search(r"\n(ALPHA|GAMMA) ", t.screen()), t.screen()
    t.press("/\x1b")
    t.shows(r"\nALPHA ")
    t.press("w")
    t.shows(r"worker 0")
    t.press("v")
    poll(lambda: "SICKEST" not in t.screen(), what="a screen with one list only")
    t.press(" ")
    t.shows(r"paused")
    t.press(" ")
    t.shows(r"q quit")
    t.press("q")
    assert t.ended() == 0


def test_a_resized_terminal_is_filled_and_no_line_wraps():
    g = shared()
    t = Terminal(g, rows=24, columns=80)

    def fits(rows, columns):
        s = t.screen().split("\n")
        return len(s) == rows and max(map(len, s)) <= columns
    t.shows(r"q quit")
    assert fits(24, 80), t.screen()
    for rows, columns in ((50, 132), (12, 30), (24, 80), (3, 20)):
        t.size(rows, columns)
        poll(lambda: fits(rows, columns) or (rows < 8 and len(
            t.screen().split("\n")) == rows), what="%d x %d" % (rows, columns))
    t.press("q")
    assert t.ended() == 0


def test_a_signal_ends_top_and_the_terminal_is_restored():
    g = shared()
    for way in ("\x03", "\x1c", signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        t = Terminal(g)
        t.shows(r"q quit")
        assert not termios.tcgetattr(t.slave)[3] & termios.ECHO
        if isinstance(way, str):
            t.press(way)
        else:
            os.kill(t.pid, way)
        assert t.ended() == 0


def test_a_stop_signal_restores_the_terminal_and_sigcont_draws_again():
    g = shared()
    t = Terminal(g)
    t.shows(r"q quit")
    os.kill(t.pid, signal.SIGTSTP)
    poll(lambda: open("/proc/%d/stat" % t.pid).read().rsplit(")", 1)[1]
         .split()[0] == "T", what="the stop of the process")
    assert termios.tcgetattr(t.slave) == t.before
    t.read()
    t.seen = b""
    os.kill(t.pid, signal.SIGCONT)
    t.shows(r"q quit")
    t.press("q")
    assert t.ended() == 0


def test_top_survives_the_gateway_and_shows_the_next_one():
    g = Gateway()
    t = Terminal(g, "--every", "0.2")
    t.shows(r"q quit")
    g.stop()
    t.shows(r"no answer, trying again")
    g.start()
    t.shows(r"q quit")
    c = Charger(g, "AFTER")
    t.shows(r"\nAFTER ")
    c.close()
    t.press("q")
    assert t.ended() == 0


def test_the_demonstration_shows_its_fleet_and_ends_all_its_processes():
    d = tempfile.mkdtemp(prefix="ocppd-test-")
    env = {"DEMO_COUNT": "50", "DEMO_DIR": d, "B": B}

    def anybody():
        """Returns the processes whose command line contains the directory or its port."""
        port = re.search(r"listen on 127.0.0.1:(\d+)",
                         open(d + "/gateway.log").read()).group(1)
        return subprocess.run(["pgrep", "-f", "%s|127.0.0.1:%s/" % (d, port)],
                              stdout=subprocess.PIPE, text=True).stdout.split()
    try:
        for key in ("q", "\x03"):
            t = Terminal(None, program=[ROOT + "/test/demo"], env=env)
            t.shows(r"connections +50 of 1050")
            t.shows(r"BUSIEST[^$]*SIM0000")
            assert len(anybody()) >= 4
            t.press(key)
            assert t.ended(rb"(demo: stopping[^\n]*\n)?") == 0
            assert anybody() == []
        r = subprocess.run([ROOT + "/test/demo"], cwd=ROOT, timeout=60 * SLOW,
                           env=dict(os.environ, **env), text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert r.returncode == 0
        assert number(r.stdout, r"connections +(\d+) of") == 50
        for version in ("1.6", "2.0.1", "2.1"):
            assert number(r.stdout, r"ocpp%s (\d+)" % re.escape(version)) in (16, 17), r.stdout
        assert anybody() == []
    finally:
        shutil.rmtree(d)


if __name__ == "__main__":
    main()
