#!/usr/bin/python3
"""A full disk: no message is acknowledged, connections stay open, and the gateway
continues without help when there is space again."""

from lib import *


class Disk:
    """Mounts a small file system for the state directory, if this user may do that."""

    def __init__(self, size="1m"):
        if os.getuid() != 0:
            raise Skip("only root can mount a small file system")
        self.dir = tempfile.mkdtemp(prefix="ocppd-disk-")
        r = subprocess.run(["mount", "-t", "tmpfs", "-o",
                            "size=%s,mode=0755" % size, "tmpfs", self.dir],
                           stderr=subprocess.PIPE, text=True)
        if r.returncode != 0:
            os.rmdir(self.dir)
            raise Skip("cannot mount a tmpfs here: " + r.stderr.strip())

    def fill(self):
        with open(self.dir + "/ballast", "ab", buffering=0) as f:
            for size in (65536, 4096, 512, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def free(self):
        os.unlink(self.dir + "/ballast")

    def __enter__(self):
        return self

    def __exit__(self, *why):
        for g in list(lib_gateways()):
            g.close()
        subprocess.run(["umount", "-l", self.dir])
        os.rmdir(self.dir)


def lib_gateways():
    import lib
    return lib._gateways


def unanswered(c, id, timeout=0.5):
    """Checks that this CALL is not answered within that time."""
    try:
        c.get(id, timeout * SLOW)
    except TimeoutError:
        return
    raise AssertionError("a message was acknowledged without space on the disk")


def held(c):
    """Sends a CALL whose event does not fit into the last page."""
    return c.put("DataTransfer", {"vendorId": "V", "data": "x" * 6000})


def start_of(n):
    return {"connectorId": 1, "idTag": "T", "meterStart": n,
            "timestamp": "2026-01-31T12:00:00Z"}


def full_until(g, c, full, free):
    """The body of both tests. full() fills the disk, free() makes space."""
    c.boot()
    full()
    id = held(c)
    unanswered(c, id)
    poll(lambda: g.ask("health")[0] == 220, what="a degraded health")
    health = json.loads(g.ask("health")[1])
    assert health["status"] == "degraded"
    assert any("journal" in p for p in health["problems"]), health
    assert health["journal"]["status"] == "failing"
    assert health["journal"]["error"], health
    assert health["journal"]["answersHeld"] >= 1
    s = g.stats()
    assert s["journal_failing"] == 1 and s["journal_errors"] >= 1
    assert s["answers_held"] >= 1 and s["journal_backlog_bytes"] > 0
    assert g.run("health").returncode == 1
    text = g.ctl("status", json_=False)
    assert "degraded" in text and "problem" in text, text
    assert re.search(r" error .*(journal|write)", g.log()), "the log has no error about the journal"
    # Connections stay open, new ones are accepted, and messages that need no event are
    # answered.
    d = Charger(g, "NEWCOMER")
    assert "currentTime" in d.call("Heartbeat")
    assert g.online(c.identity) and g.online("NEWCOMER")
    assert not g.events(type="data_transfer.received")
    free()
    c.get(id, 15 * SLOW)  # the gateway continues without help
    assert len(g.events(type="data_transfer.received")) == 1
    poll(lambda: g.ask("health")[0] == 200, what="a healthy status")
    assert g.stat("journal_failing") == 0
    assert c.start()["transactionId"] > 0
    d.call("Authorize", {"idTag": "AGAIN"})


def test_on_a_full_disk_nothing_is_acknowledged_and_nothing_is_lost():
    with Disk() as disk:
        g = Gateway(server_workers="1", server_state_dir=disk.dir + "/state")
        c = Charger(g, "FULL")
        full_until(g, c, disk.fill, disk.free)
        assert g.online("FULL")


def test_if_files_may_not_grow_nothing_is_acknowledged_and_nothing_is_lost():
    # A limit on the size of files causes the same fault, and needs no root.
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
    g = Gateway(server_workers="1", preexec=small, journal_segment_size="64MiB",
                journal_segment_age="1h", log_level="error",
                server_max_connections="100")
    c = Charger(g, "LIMIT")
    c.boot()
    n = 0
    try:
        while n < 2000:
            c.call("DataTransfer", {"vendorId": "V", "data": "x" * 4000},
                   timeout=2 * SLOW)
            n += 1
    except TimeoutError:
        pass
    # The gateway either stops or continues in another segment; in both cases no event is
    # lost. The limit is 2 MiB, so some hundred events fit before it.
    assert n > 100, n
    there = g.events(cp="LIMIT", type="data_transfer.received")
    assert len(there) >= n, (len(there), n)
    assert g.online("LIMIT")


def test_a_start_that_is_sent_again_on_a_full_disk_is_the_same_transaction():
    with Disk() as disk:
        g = Gateway(server_workers="1", server_state_dir=disk.dir + "/state")
        c = Charger(g, "AGAIN")
        c.start(meter=1)  # the gateway reserves transaction ids
        disk.fill()
        before = held(c)
        first = c.put("StartTransaction", start_of(2), id="a")
        unanswered(c, before)
        c.put("StartTransaction", start_of(2), id="b")
        disk.free()
        c.get(before, 15 * SLOW)
        a = c.get("a", 15 * SLOW)
        assert c.get("b", 15 * SLOW) == a
        assert len(g.events(cp="AGAIN", type="transaction.started")) == 2


def test_when_the_buffer_is_full_events_are_refused_and_may_be_sent_again():
    with Disk() as disk:
        g = Gateway(server_workers="1", server_state_dir=disk.dir + "/state",
                    journal_buffer_size="256KiB", websocket_idle_timeout="60s")
        disk.fill()
        c = []
        for i in range(60):
            # The gateway stops reading from each charge point after some answers that wait.
            d = Charger(g, "B%d" % i)
            for k in range(16):
                d.put("DataTransfer", {"vendorId": "V", "data": "x" * 2000},
                      id=str(k))
            c.append(d)
            if g.stat("events_refused") > 0:
                break
        poll(lambda: g.stat("events_refused") > 0)
        assert all(g.online(d.identity) for d in c)
        disk.free()
        poll(lambda: g.ask("health")[0] == 200, 15 * SLOW)
        # Later the gateway reads again, and a message that is sent again is answered.
        c[0].get("0", 15 * SLOW)
        d = Charger(g, "LATER")
        d.call("Authorize", {"idTag": "T"})


def test_commands_end_exactly_once_on_a_full_disk():
    with Disk() as disk:
        g = Gateway(server_workers="1", server_state_dir=disk.dir + "/state")
        c = Charger(g, "CMD")
        c.boot()
        disk.fill()
        first = held(c)
        h = background(g.call, "CMD", "ClearCache", None, "--timeout", "20s")
        poll(lambda: g.stat("journal_failing") == 1)
        c.silence()  # a CALL is sent when its command.sent is durable
        assert h.is_alive(), "the command ended while the disk was full"
        disk.free()
        c.get(first)
        c.result(c.take()[0], {"status": "Accepted"})
        assert h.wait()["outcome"] == "result"
        assert len(g.events(cp="CMD", type="command.sent")) == 1
        assert len(g.events(cp="CMD", type="command.response")) == 1


def test_a_gateway_that_starts_on_a_full_disk_becomes_ready_when_there_is_space():
    with Disk() as disk:
        g = Gateway(server_workers="1", server_state_dir=disk.dir + "/state")
        c = Charger(g, "BEFORE")
        c.boot()
        g.kill_everything()
        disk.fill()
        g.start()
        c = Charger(g, "AFTER")
        id = held(c)
        unanswered(c, id)
        disk.free()
        c.get(id, 15 * SLOW)
        assert g.events(cp="BEFORE", type="charge_point.booted")


if __name__ == "__main__":
    main()
