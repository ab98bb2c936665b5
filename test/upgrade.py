#!/usr/bin/python3
"""Another program takes over all connections: `ocppctl upgrade`, SIGUSR2."""

from lib import *


def script(g, text):
    """A program that is none of ours."""
    path = g.dir + "/program"
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o755)
    return path


def fails(g, program, words, upgrades=0):
    """The old program goes on as if nothing had happened, and says why."""
    pid, workers = g.pid, [w["pid"] for w in g.workers()]
    code, body = g.ask("-j", "upgrade", program)
    assert code == 500, (code, body)
    assert re.search(words, body), (words, body)
    assert g.pid == pid and [w["pid"] for w in g.workers()] == workers
    status = g.tell("status")
    assert status["pid"] == pid
    assert status["upgrade"]["lastFailed"] and \
        not status["upgrade"]["underWay"], status["upgrade"]
    assert re.search(words, status["upgrade"]["lastWords"]), status["upgrade"]
    assert re.search("last upgrade .* failed: .*old program goes on",
                     g.ctl("status", json_=False))
    assert status["upgrade"]["upgrades"] == upgrades


def lives(g, *points):
    """Each is answered on the connection that it has, and accepts go on."""
    for p in points:
        p.call("Heartbeat")
    new = Charger(g, "NEW-%d" % time.monotonic_ns())
    new.call("Heartbeat")


def test_broken_programs():
    """A program that cannot take over never gets a connection."""
    g = Gateway(server_workers=2, upgrade_patience="3s")
    cp = Charger(g, "CP1")
    cp.call("Heartbeat")
    plain = g.dir + "/plain"
    with open(plain, "w") as f:
        f.write("no program")
    fails(g, plain, "cannot be executed: Permission denied")
    fails(g, g.dir + "/missing", "cannot be executed: No such file")
    fails(g, script(g, "#!/bin/sh\nexit 3\n"), "exited with code 3")
    fails(g, script(g, "#!/bin/sh\necho something\n"),
          "cannot take over from another program")
    fails(g, script(g, "#!/bin/sh\necho format 0\n"),
          "reads format 0, and this program writes format 1")
    fails(g, script(g, "#!/bin/sh\nsleep 1000\n"),
          "did not end within upgrade.patience")
    fails(g, script(g, "#!/bin/sh\nkill -SEGV $$\n"), "signal 11")
    lives(g, cp)
    says = "#!/bin/sh\ncase \"$*\" in *upgrade) echo format 1; exit;; "
    fails(g, script(g, says + "*-t) echo bad knob; exit 78;; esac\n"),
          "refuses the configuration: bad knob")
    fails(g, script(g, says + "*-t) exit 0;; esac\nexit 9\n"),
          "the new program exited with code 9|closed the connection")
    fails(g, script(g, says + "*-t) exit 0;; esac\nexec sleep 1000\n"),
          "was not prepared within upgrade.patience")
    lives(g, cp)
    code, body = g.ask("upgrade", "ocppd")
    assert code == 409 and "whole path" in body, body
    code, body = g.ask("upgrade", "a", "b")
    assert code == 400, body


def test_refused_settings():
    """What an upgrade cannot change is refused with its reason, and what is
    wrong in the file with its line."""
    g = Gateway(conf="[server]\nworkers = 2\n", server_node=None)
    cp = Charger(g, "CP1")
    for text, words in (
            ("[server]\nworkers = none\n", "workers = none"),
            ("[server]\nworkers = 2\nnode = other\n", "server.node"),
            ("[server]\nworkers = 2\nlisten_tls = 127.0.0.1:1\n",
             "tls")):
        with open(g.conf, "w") as f:
            f.write(text)
        fails(g, OCPPD, words)
    lives(g, cp)


if __name__ == "__main__":
    main()
