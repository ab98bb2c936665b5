#!/usr/bin/env python3
"""Actions that the processes of a gateway may and may not do in their sandbox."""

from lib import *

NEEDED = {0, 1, 3, 5, 6, 7, 10}  # capabilities of root, from linux/capability.h


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(l.rstrip("\n").split(":\t", 1) for l in f if ":\t" in l)


def rights(hex):
    return {i for i in range(64) if int(hex, 16) >> i & 1}


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(p) for p in f.read().split()]


def sanitized():
    """Returns False with sanitizers: they need other system calls, so there is no filter."""
    with open(OCPPD, "rb") as f:
        return b"__asan_init" in f.read()


def settled(g):
    """Returns the child processes when each of them is in its sandbox. A start does not
    wait for the admin process."""
    poll(lambda: all(status(p)["NoNewPrivs"].strip() == "1" and
                     (sanitized() or g.settings.get("server_seccomp") == "no"
                      or status(p)["Seccomp"].strip() == "2")
                     for p in children(g.pid)))
    return children(g.pid)


def test_workers_and_admin_cannot_get_more_rights():
    g = Gateway(admin_listen="127.0.0.1:%d" % free_port())
    assert len(settled(g)) == 3
    s = status(g.pid)
    assert s["NoNewPrivs"].strip() == "1"
    assert rights(s["CapEff"]) <= NEEDED, s["CapEff"]
    if os.geteuid() == 0:
        assert rights(s["CapBnd"]) <= NEEDED, s["CapBnd"]


def test_workers_started_by_root_run_as_another_user():
    if os.geteuid() != 0:
        raise Skip("only root can become another user")
    g = Gateway(server_user="nobody", auth_mode="file", server_workers=1,
                admin_listen="127.0.0.1:%d" % free_port())
    import pwd
    nobody = pwd.getpwnam("nobody").pw_uid
    for pid in settled(g):
        poll(lambda: status(pid)["Uid"].split()[0] == str(nobody))
        s = status(pid)
        assert s["Uid"].split() == [str(nobody)] * 4, s["Uid"]
        assert rights(s["CapEff"]) == rights(s["CapPrm"]) == set()
        # The process is not dumpable, so its files in /proc belong to root.
        assert os.stat("/proc/%d/mem" % pid).st_uid == 0
    # Actions that need the file system and other processes still work.
    code, body = g.ask("-j", "auth", "add", "CP1")
    key = bytes.fromhex(json.loads(body)["key"])
    assert os.stat(g.state_dir + "/auth").st_uid == nobody
    header = [("Authorization", "Basic " + base64.b64encode(
        b"CP1:" + key).decode())]
    c = Charger(g, "CP1", headers=header)
    assert c.boot()["status"] == "Accepted"
    assert g.ask("reload")[0] == 200
    g.kill_worker(0)
    poll(lambda: all(w["state"] == "ready" for w in g.workers()))
    c = Charger(g, "CP1", headers=header)
    old = g.worker_pid(0)
    assert g.ask("worker-restart", "0")[0] == 200
    poll(lambda: not alive(old) and g.workers()[0]["state"] == "ready")
    assert c.call("Heartbeat")
    g.send_signal(signal.SIGUSR1)
    g.stop()


def test_seccomp_can_be_switched_off():
    g = Gateway(server_seccomp="no", server_workers=1)
    for pid in settled(g):
        assert status(pid)["Seccomp"].strip() == "0"
    assert Charger(g, "CP1").boot()


def test_the_admin_port_works_in_the_sandbox():
    port = free_port()
    g = Gateway(admin_listen="127.0.0.1:%d" % port)
    import urllib.request
    for path in ("health", "metrics", "ready", "live"):
        with urllib.request.urlopen("http://127.0.0.1:%d/%s" % (port, path),
                                    timeout=DEADLINE) as r:
            assert r.status == 200 and r.read()


if __name__ == "__main__":
    main()
