#!/usr/bin/python3
"""The section "A first charge point in five minutes" of README.md: its commands are
run exactly as printed, except for the ports."""

import shlex

from lib import *


def section(title):
    with open(ROOT + "/README.md") as f:
        text = f.read()
    part = text.split("\n## " + title + "\n")[1].split("\n## ")[0]
    return [l.strip() for l in part.splitlines() if l.startswith("    ")]


def test_the_first_charge_point_is_listed_and_answers_commands():
    commands = section("A first charge point in five minutes")
    g = Gateway(start=False)
    os.makedirs(g.dir + "/run")
    os.symlink(B, g.dir + "/build")
    os.symlink(ROOT + "/conf", g.dir + "/conf")
    own = ["-o", "server.listen=127.0.0.1:%d" % g.port,
           "-o", "admin.listen=127.0.0.1:%d" % free_port()]
    g.control = g.dir + "/run/control.sock"
    g.state_dir = g.dir + "/run/state"

    def words(start):
        found = [c for c in commands if start in c]
        assert len(found) == 1, (start, found)
        return shlex.split(found[0])

    def run(start):
        r = subprocess.run(words(start), cwd=g.dir, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=60 * SLOW)
        assert r.returncode == 0, r.stdout
        return r.stdout

    assert "make run" in commands
    with open(ROOT + "/Makefile") as f:
        started = re.search(r"@exec (\$\(B\)/ocppd -c \S+)", f.read())[1]
    processes = []

    def begin(argv, out):
        processes.append(subprocess.Popen(argv, cwd=g.dir, stdout=out,
                                          stdin=subprocess.DEVNULL, stderr=out))
        return processes[-1]
    try:
        with open(g.log_path, "ab") as log:
            g.process = begin(started.replace("$(B)", "build").split() + own, log)
        g.wait_ready()
        printed = open(g.dir + "/followed", "wb")
        begin(words("events --follow"), printed)
        assert "ocppd" in run("status")
        sim = words("build/ocppsim")
        begin(sim + ["-u", "ws://127.0.0.1:%d/ocpp" % g.port], printed)
        poll(lambda: g.online("CP001"), what="the connection of CP001")

        def followed():
            with open(g.dir + "/followed") as f:
                return f.read()
        for type in ("transaction.started", "transaction.meter_values"):
            poll(lambda: '"%s' % type in followed(), 60 * SLOW, type)
        assert "CP001" in run("show CP001")
        assert re.search("Accepted|Rejected", run("call CP001"))
    finally:
        for p in processes:
            p.send_signal(signal.SIGINT)
        for p in processes:
            p.wait(DEADLINE)
    g.process = None


def test_the_command_for_real_charge_points_is_accepted():
    commands = section("A first charge point in five minutes")
    line = [c for c in commands if c.startswith("build/ocppd -c")]
    assert len(line) == 1, line
    argv = shlex.split(line[0])
    argv[0] = OCPPD
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(d + "/run")
        os.symlink(ROOT + "/conf", d + "/conf")
        r = subprocess.run([argv[0], "-t"] + argv[1:] + [
            "-o", "admin.listen=127.0.0.1:%d" % free_port()], cwd=d,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True)
    assert r.returncode == 0, r.stdout


def test_the_number_of_alerts_is_that_of_the_rules():
    with open(ROOT + "/README.md") as f:
        claimed = re.search(r"ocppd\.rules\.yml`: (\d+) alerts", f.read())
    with open(ROOT + "/conf/prometheus/ocppd.rules.yml") as f:
        there = re.findall(r"^ +- alert: ", f.read(), re.M)
    assert int(claimed[1]) == len(there), len(there)


def test_the_tour_names_files_and_folders_that_exist():
    with open(ROOT + "/README.md") as f:
        text = f.read().split("## Reading the source")[1]
    folder, tour = None, []
    for l in text.splitlines():
        m = re.match(r"( {4}| {8})(\w+)/ ", l)
        if m:
            folder = m[2] if len(m[1]) == 4 else folder
            tour.append(m[2] if len(m[1]) == 4 else folder + "/" + m[2])
    there = ["master", "worker", "common", "test", "scripts"]
    for folder in ("master", "worker"):
        with os.scandir(os.path.join(ROOT, folder)) as entries:
            there += [folder + "/" + e.name for e in entries if e.is_dir()]
    assert sorted(tour) == sorted(there), set(tour) ^ set(there)
    paths = re.findall(r"`([a-z]+/[\w/.-]+)`", text)
    assert len(paths) > 10, paths
    for path in paths:
        assert os.path.exists(os.path.join(ROOT, path)), path


if __name__ == "__main__":
    main()
