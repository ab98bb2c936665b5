#!/usr/bin/python3
"""The simulator: fleets of all OCPP versions with whole sessions, reports, variables, keys
and compression; their ledgers are compared with the journal."""

from lib import *
from ocpp2 import V201, V21

SIM = os.path.join(B, "ocppsim")
NAMES = {"1.6": "ocpp1.6", "2.0.1": V201, "2.1": V21}
SESSIONS = ("--session-every", "500ms", "--session-length", "1500ms", "--meter-every", "250ms")


class Fleet:
    """Runs ocppsim with a ledger."""
    number = 0

    def __init__(self, g, *words, url=None):
        Fleet.number += 1
        self.g, self.ledger = g, "%s/ledger%d" % (g.dir, Fleet.number)
        self.process = subprocess.Popen(
            [SIM, "--json", "-q", "--ledger", self.ledger, "--message-timeout",
             "%gs" % (10 * SLOW), "--backoff", "50ms", "--backoff-max", "500ms", *words,
             url or "ws://127.0.0.1:%d/ocpp" % g.port], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self):
        """Checks that every message was answered, and returns the summary."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=60 * SLOW)
        got = json.loads(out)
        assert not any(got["errors"].values()), (got["errors"], err)
        return got

    def verify(self, *words):
        return self.g.verify(self.ledger, *words)


def transactions(g):
    """Returns the tx members of the events in the journal, by charge point and transaction."""
    out = {}
    for e in g.events():
        if e["eventType"].startswith("transaction.") and "id" in e["tx"]:
            out.setdefault((e["protocol"], e["chargePointId"], e["tx"]["id"]),
                           []).append((e["eventType"][12:], e["tx"]))
    return out


def test_a_mixed_fleet_charges_and_no_promise_is_broken():
    g = Gateway(server_workers="2", ocpp_validation="strict")
    fleet = Fleet(g, "-n", "30", "--version", "mixed", *SESSIONS)
    poll(lambda: g.stat("calls_in")["TransactionEvent"] > 400 and
         g.stat("calls_in")["StopTransaction"] > 20, timeout=DEADLINE * 4)
    shown = [e["payload"]["subprotocol"] for e in g.events(type="charge_point.connected")]
    assert sorted(set(shown)) == sorted(NAMES.values()) and len(shown) == 30, shown
    fleet.end()
    got = fleet.verify("--strict")
    assert got["starts"] > 20 and got["transaction_events"] > 300, got
    assert g.stat("deviations") == {k: 0 for k in g.stat("deviations")}
    # One consumer bills the transactions of all three versions; it reads only tx.
    billed = dict.fromkeys(NAMES.values(), 0)
    for (protocol, cp, _), events in transactions(g).items():
        kinds = [kind for kind, _ in events]
        if "stopped" not in kinds:
            continue
        assert kinds[0] == "started" and kinds[-1] == "stopped", kinds
        assert set(kinds[1:-1]) <= {"updated", "meter_values"}, kinds
        meters = [tx["meterWh"] for _, tx in events]
        assert meters == sorted(meters) and meters[-1] > meters[0], meters
        assert events[0][1]["token"].startswith("CARD") and events[-1][1]["reason"], events
        if protocol != "ocpp1.6":
            assert [tx["seq"] for _, tx in events] == list(range(len(events))), events
        billed[protocol] += 1
    assert min(billed.values()) > 5, billed
    g.close()


def test_transactions_of_2x_survive_the_death_of_all_processes():
    g = Gateway(server_workers="2")
    fleets = [Fleet(g, "-n", "15", "--version", v, "-i", "D%s-%%03d" % v, *SESSIONS)
              for v in ("2.0.1", "2.1")]
    for n in (1, 2):
        poll(lambda: g.stat("calls_in")["TransactionEvent"] > 150, timeout=DEADLINE * 4)
        g.kill_everything()
        g.start()
    poll(lambda: g.stat("calls_in")["TransactionEvent"] > 150, timeout=DEADLINE * 4)
    resent = 0
    for fleet in fleets:
        process = fleet.process
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60 * SLOW)
        got = json.loads(out)
        # An attempt to connect may fail, but no message may be lost.
        bad = {k: n for k, n in got["errors"].items() if n}
        assert not bad, (bad, err)
        resent += got["counts"]["resent"]
        assert fleet.verify()["transaction_events"] > 100
    offline = [tx for events in transactions(g).values() for _, tx in events
               if tx.get("offline")]
    assert offline, "no event was made while the gateway did not run"
    g.close()


def test_the_simulator_has_variables_reports_and_remote_starts():
    for version in ("2.0.1", "2.1"):
        g = Gateway(server_workers="1", auth_mode="file")
        first, second = "the-first-password-%s" % version, "the second password, longer"
        g.ask("auth", "add", "SIM000001", first, "--replace")
        fleet = Fleet(g, "-n", "1", "--version", version, "--password", first,
                      "--session-every", "10m", "--deflate")
        poll(lambda: g.online("SIM000001") and
             g.stat("calls_in")["BootNotification"] == 1)

        def ask(action, payload):
            out = g.call("SIM000001", action, payload)
            assert out["outcome"] == "result" and "deviations" not in out, out
            return out
        name = lambda c, v, **more: dict({"component": {"name": c}, "variable": {"name": v}},
                                         **more)
        beat = ("OCPPCommCtrlr", "HeartbeatInterval")
        out = ask("SetVariables", {"setVariableData": [
            name(*beat, attributeValue="77"), name("EVSE", "Power", attributeValue="1"),
            name("EVSE", "Nothing", attributeValue="1"), name("No", "No", attributeValue="1")]})
        assert [r["attributeStatus"] for r in out["payload"]["setVariableResult"]] == [
            "Accepted", "Rejected", "UnknownVariable", "UnknownComponent"], out
        out = ask("GetVariables", {"getVariableData": [
            name(*beat), name("SecurityCtrlr", "BasicAuthPassword")]})
        got = out["payload"]["getVariableResult"]
        assert (got[0]["attributeValue"], got[1]["attributeStatus"]) == ("77", "Rejected"), got
        ask("GetBaseReport", {"requestId": 9, "reportBase": "FullInventory"})
        parts = g.wait_events(3, type="report.received")
        assert [(e["payload"]["requestId"], e["payload"]["seqNo"], e["payload"]["tbc"])
                for e in parts] == [(9, 0, True), (9, 1, True), (9, 2, False)], parts
        rows = [r for e in parts for r in e["payload"]["reportData"]]
        assert len(rows) == 10 and {"value": "77", "mutability": "ReadWrite"} in [
            a for r in rows for a in r["variableAttribute"]], rows
        # A command has started the transaction, and each event of the transaction names it.
        out = ask("RequestStartTransaction", {"remoteStartId": 3, "evseId": 1, "idToken": {
            "idToken": "FAR", "type": "Central"}})
        started = g.wait_events(type="transaction.started")[0]
        assert started["tx"]["commandId"] == out["commandId"], started
        assert started["tx"]["trigger"] == "RemoteStart", started
        stop = ask("RequestStopTransaction", {"transactionId": started["tx"]["id"]})
        assert stop["payload"]["status"] == "Accepted", stop
        stopped = g.wait_events(type="transaction.stopped")[0]
        assert stopped["tx"]["commandId"] == out["commandId"], stopped
        assert stopped["tx"]["reason"] == "Remote", stopped
        # From the next connection on the new password is used.
        secret = ("SecurityCtrlr", "BasicAuthPassword")
        out = ask("SetVariables", {"setVariableData": [name(*secret, attributeValue=second)]})
        assert out["payload"]["setVariableResult"][0]["attributeStatus"] == "Accepted", out
        ask("Reset", {"type": "Immediate"})
        poll(lambda: g.stat("calls_in")["BootNotification"] == 2)
        poll(lambda: g.stat("compressed_in") > 0)
        fleet.end()
        fleet.verify("--strict")
        g.close()


def test_compression_saves_bytes_in_both_directions():
    sums = {}
    for words in ((), ("--deflate",)):
        g = Gateway(server_workers="1", websocket_compress_from="0")
        fleet = Fleet(g, "-n", "5", "--version", "2.0.1", "--message", "MeterValues",
                      "--messages", "20", *words)
        poll(lambda: g.stat("calls_in")["MeterValues"] == 100)
        sums[words] = fleet.end()["counts"]
        if words:
            poll(lambda: g.stat("compressed_in") >= 100)
        else:
            assert g.stat("compressed_out") == 0
        fleet.verify()
        g.close()
    plain, small = sums[()], sums[("--deflate",)]
    assert small["bytes_out"] < 0.9 * plain["bytes_out"], (small, plain)


def test_an_unknown_ocpp_version_is_an_error_of_usage():
    r = subprocess.run([SIM, "--version", "3", "-n", "1"], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 2 and "not 1.6, 2.0.1, 2.1 or mixed" in r.stdout, r.stdout


def test_the_version_is_printed_and_wrong_options_are_reported():
    r = subprocess.run([SIM, "-V"], stdout=subprocess.PIPE, text=True)
    assert r.returncode == 0 and re.fullmatch(r"ocppsim \d+\.\d+\.\d+\n", r.stdout), r
    for words, want in ((["-Q"], "an option is wrong"),
                        (["ws://127.0.0.1:1/ocpp", "more"], "more: a second URL"),
                        (["-n", "99999999999999999999"], "--count 99999999999999999999: "
                         "not a whole number"), (["-n", "0"], "--count 0: not from 1")):
        r = subprocess.run([SIM, *words], stderr=subprocess.PIPE, text=True)
        assert r.returncode == 2 and want in r.stderr, (words, r)


def test_the_simulator_uses_the_version_that_the_server_picks():
    g = shared()
    fleet = Fleet(g, "-n", "1", "-i", "PICK", "--subprotocol", "ocpp2.0.1, ocpp1.6",
                  "--messages", "1")
    poll(lambda: g.events(cp="PICK", type="charge_point.booted"))
    assert g.events(cp="PICK", type="charge_point.booted")[0]["protocol"] == V201
    fleet.end()


if __name__ == "__main__":
    main()
