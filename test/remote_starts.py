#!/usr/bin/python3
"""The events of a transaction name the command that has started it."""

from lib import *
from ocpp2 import BOTH, TOKEN, V201, Station

WHEN = "2026-01-31T12:00:00Z"


def ask_for(g, c, start_id, answer="Accepted"):
    """Sends a RequestStartTransaction, or a RemoteStartTransaction of 1.6. Returns its
    commandId."""
    if isinstance(c, Station):
        action, payload = "RequestStartTransaction", {
            "remoteStartId": start_id, "idToken": TOKEN, "evseId": 1}
    else:
        action, payload = "RemoteStartTransaction", {"idTag": "TAG1", "connectorId": 1}
    r = background(g.call, c.identity, action, payload)
    id, got, _ = c.take()
    assert got == action
    c.result(id, {"status": answer})
    out = r.wait()
    assert out["outcome"] == "result", out
    return out["commandId"]


def commands(g, c, type=None):
    """Returns (kind, commandId) of the charge point's transaction events."""
    return [(e["eventType"][12:], e["tx"].get("commandId"))
            for e in g.events(cp=c.identity) if e["eventType"].startswith("transaction.")]


def info(tx, start_id=None):
    return {"transactionInfo": dict({"transactionId": tx},
                                    **({"remoteStartId": start_id} if start_id else {}))}


def test_each_event_of_the_transaction_names_the_command():
    g = shared(server_workers=2)
    for version in BOTH:
        c = Station(g, "RS" + version, version, worker=0)
        c.boot()
        first = ask_for(g, c, 7)
        sent = g.wait_events(cp=c.identity, type="command.sent")[0]["payload"]
        assert sent["remoteStartId"] == 7 and sent["commandId"] == first, sent
        second = ask_for(g, c, 8)
        c.event("Started", "local", 0)
        c.event("Started", "t8", 0, **info("t8", 8))
        # The transaction began before, when the cable was plugged in.
        c.event("Updated", "t7", 0, **info("t7", 7))
        c.close()
        c = Station(g, c.identity, version, worker=1)
        c.event("Updated", "t8", 1)
        c.event("Ended", "t7", 1)
        c.event("Ended", "t8", 2)
        c.event("Ended", "local", 1)
        c.event("Started", "t9", 0, **info("t9", 9))
        want = [("started", None), ("started", second), ("updated", first), ("updated", second),
                ("stopped", first), ("stopped", second), ("stopped", None), ("started", None)]
        poll(lambda: len(commands(g, c)) == len(want))
        assert commands(g, c) == want, commands(g, c)
        c.close()


def test_the_command_is_still_known_after_a_restart():
    g = Gateway(server_workers=2)
    c, old = Station(g, "RS-AGAIN", V201), Charger(g, "RS-OLD")
    c.boot(), old.boot()
    first, other = ask_for(g, c, 1), ask_for(g, old, None)
    second = ask_for(g, c, 2)
    c.event("Started", "t1", 0, **info("t1", 1))
    tx = old.start()["transactionId"]
    g.kill_everything()
    g.start()
    c, old = Station(g, "RS-AGAIN", V201), Charger(g, "RS-OLD")
    c.event("Updated", "t1", 1)
    c.event("Started", "t2", 0, **info("t2", 2))
    old.stop(tx)
    poll(lambda: len(commands(g, c)) == 3 and len(commands(g, old)) == 2)
    assert commands(g, c) == [("started", first), ("updated", first), ("started", second)]
    assert commands(g, old) == [("started", other), ("stopped", other)], commands(g, old)
    c.close(), old.close()
    g.close()


def test_in_16_the_token_of_a_start_identifies_the_command():
    g = shared(ocpp_remote_start_time="1h")
    c = Charger(g, "RS16")
    c.boot()
    ask_for(g, c, None, "Rejected")
    c.start(meter=1)
    command = ask_for(g, c, None)
    c.start(connector=2, meter=2)  # another connector than the command has
    c.start(tag="OTHER", meter=3)
    tx = c.start(tag="tag1", meter=4)["transactionId"]
    c.call("MeterValues", {"connectorId": 1, "transactionId": tx, "meterValue": [
        {"timestamp": WHEN, "sampledValue": [{"value": "5"}]}]})
    c.stop(tx)
    c.start(meter=6)  # the transaction of the command has begun before
    want = [("started", None)] * 3 + [("started", command), ("meter_values", command),
                                      ("stopped", command), ("started", None)]
    poll(lambda: len(commands(g, c)) == len(want))
    assert commands(g, c) == want, commands(g, c)
    c.close()


def test_a_remote_start_of_16_is_valid_for_remote_start_time():
    g = shared(ocpp_remote_start_time="0s")
    c = Charger(g, "RS-LATE")
    c.boot()
    ask_for(g, c, None)
    sent = g.wait_events(cp="RS-LATE", type="command.sent")[0]["timestamp"]
    # The clock of the gateway is set ahead.
    poll(lambda: c.call("Heartbeat")["currentTime"] > sent)
    c.start()
    poll(lambda: commands(g, c))
    assert commands(g, c) == [("started", None)], commands(g, c)
    c.close()


if __name__ == "__main__":
    main()
