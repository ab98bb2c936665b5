#!/usr/bin/python3
"""The example platforms in test/example: each starts a charging session, stops it and
bills it, only by the HTTP API."""

from lib import *
from admin import gateway

EXAMPLES = os.path.join(ROOT, "test/example")


def session(c):
    """A charge point that starts by a command, charges, and stops by a command."""
    id, action, payload = c.take()
    assert action == "RemoteStartTransaction", action
    c.result(id, {"status": "Accepted"})
    tx = c.start(tag=payload["idTag"], meter=1000)["transactionId"]
    for wh in (1500, 2600, 3700):
        c.call("MeterValues", {
            "connectorId": 1, "transactionId": tx, "meterValue": [{
                "timestamp": "2026-01-31T12:30:00Z",
                "sampledValue": [{"value": str(wh)}]}]})
    id, action, payload = c.take(timeout=3 * DEADLINE)
    assert (action, payload) == ("RemoteStopTransaction",
                                 {"transactionId": tx}), payload
    c.result(id, {"status": "Accepted"})
    c.stop(tx, meter=4210)
    return tx


def bill(program):
    g = gateway(server_workers="2", ocpp_call_hold="0s")
    other = Charger(g, "OTHER")
    other.boot()
    other.start(tag="ME")  # a session that the platform has not started
    c = Charger(g, "CP1")
    c.boot()
    token = g.ctl("token", "add", "platform", "admin")["token"]
    done = background(lambda: subprocess.run(
        [os.path.join(EXAMPLES, program), "http://127.0.0.1:%d" % g.admin,
         token, "CP1", "ME", "2000"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=9 * DEADLINE))
    tx = session(c)
    r = done.wait(6 * DEADLINE)
    assert r.returncode == 0, r
    assert r.stdout == "CP1, session %d: 3210 Wh, 1.12 EUR\n" % tx, r
    # A command that is not accepted ends the program.
    c.close()
    poll(lambda: not g.online("CP1"))
    r = subprocess.run(
        [os.path.join(EXAMPLES, program), "http://127.0.0.1:%d" % g.admin,
         token, "CP1", "ME", "2000"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=3 * DEADLINE)
    assert r.returncode != 0 and "offline" in r.stderr, r
    with open(os.path.join(EXAMPLES, program)) as f:
        assert len(f.readlines()) <= 60


def test_the_example_in_python_bills_a_session():
    bill("platform.py")


def test_the_example_in_shell_bills_a_session():
    bill("platform.sh")


if __name__ == "__main__":
    main()
