#!/usr/bin/python3
"""Commands: each has exactly one outcome (promise P3), they are sent in order, and a
charge point has at most one in flight."""

import select
import tempfile

from faults import SHIM, Orders
from lib import *
from waits import Shim, datagram


def ready(g, name, **kw):
    c = Charger(g, name, **kw)
    c.boot()
    return c


def outcomes(g, cp, n=1):
    """Waits until there are n command.response events, and returns their payloads."""
    return [e["payload"] for e in
            g.wait_events(n, cp=cp, type="command.response")]


def exactly_one(g, cp, outcome):
    got = outcomes(g, cp)
    assert [p["outcome"] for p in got] == [outcome], got
    return got[0]


def test_a_result_is_printed_and_is_an_event():
    g = shared()
    c = ready(g, "RESULT")
    h = background(g.run, "call", "RESULT", "Reset", '{"type":"Soft"}')
    id, action, payload = c.take()
    assert (action, payload) == ("Reset", {"type": "Soft"}) and len(id) <= 36
    c.result(id, '{"status" : "Accepted"}')
    r = h.wait()
    assert r.returncode == 0 and r.stdout == '{"status" : "Accepted"}\n', r
    e = g.wait_events(cp="RESULT", type="command.response")[0]
    p = e["payload"]
    assert e["messageId"] == id and e["action"] == "Reset"
    assert p["outcome"] == "result" and p["payload"] == {"status": "Accepted"}
    assert '"payload":{"status" : "Accepted"}' in e.line, e.line
    assert p["action"] == "Reset" and p["durationMs"] < 10000
    h = background(g.ctl, "call", "RESULT", "ClearCache", "--id", "my-own-id")
    c.result(c.take()[0], {"status": "Rejected"})
    got = h.wait()
    assert got["outcome"] == "result" and got["commandId"] == "my-own-id"
    c.close()


def test_an_error_is_reported_with_code_description_and_details():
    g = shared()
    c = ready(g, "ERROR")
    h = background(g.run, "call", "ERROR", "ClearCache")
    c.error(c.take()[0], "NotSupported", "not \"here\"", '{"a": 1.50}')
    r = h.wait()
    assert r.returncode == 1 and "NotSupported" in r.stdout, r
    p = exactly_one(g, "ERROR", "error")
    assert p["error"] == {"code": "NotSupported", "description": 'not "here"',
                          "details": {"a": 1.5}}
    assert '"details":{"a": 1.50}' in g.events(cp="ERROR")[-1].line
    c.close()


def test_a_charge_point_that_does_not_answer_times_out():
    g = shared()
    c = ready(g, "TIMEOUT")
    began = time.monotonic()
    r = g.run("call", "TIMEOUT", "ClearCache", "--timeout", "1s")
    assert 0.9 < time.monotonic() - began < 4 * SLOW
    assert r.returncode == 1 and r.stdout.startswith("timeout: "), r
    exactly_one(g, "TIMEOUT", "timeout")
    c.close()


def test_without_a_timeout_of_the_command_the_configured_one_is_used():
    g = shared(ocpp_message_timeout="1s")
    c = ready(g, "DEFAULT")
    began = time.monotonic()
    assert g.call("DEFAULT", "ClearCache")["outcome"] == "timeout"
    assert time.monotonic() - began < 4 * SLOW
    c.close()


def test_a_late_result_is_reported_and_does_not_end_another_command():
    g = shared(ocpp_message_timeout="1s")
    c = ready(g, "LATE")
    before = g.stat("late_results")
    assert g.call("LATE", "ClearCache")["outcome"] == "timeout"
    late = c.take()[0]
    h = background(g.call, "LATE", "GetLocalListVersion")
    id = c.take()[0]  # the next command is sent
    c.result(late, {"status": "Accepted"})
    c.result(id, {"listVersion": 3})
    got = h.wait()
    assert got["payload"] == {"listVersion": 3}, got
    assert g.stat("late_results") == before + 1
    assert [p["outcome"] for p in outcomes(g, "LATE", 2)] == \
        ["timeout", "result"]
    e = g.events(cp="LATE", type="protocol.violation")[0]["payload"]
    assert e["kind"] == "late_result" and late in e["frame"]
    c.close()


def test_an_answer_that_cannot_be_read_ends_its_command():
    g = shared()
    c = ready(g, "SPOILED")
    h = background(g.call, "SPOILED", "ClearCache")
    id = c.take()[0]
    c.send('[3,"%s"]' % id)  # without a payload
    got = h.wait()
    assert got["outcome"] == "error", got
    assert got["error"]["code"] == "FormationViolation", got
    exactly_one(g, "SPOILED", "error")
    c.close()


def test_a_charge_point_that_is_not_connected_is_offline():
    g = shared()
    r = g.run("call", "NEVER-SEEN", "ClearCache")
    assert r.returncode == 1 and r.stdout.startswith("offline: "), r
    exactly_one(g, "NEVER-SEEN", "offline")
    c = ready(g, "WAS-HERE")
    c.close()
    poll(lambda: not g.online("WAS-HERE"))
    assert g.call("WAS-HERE", "ClearCache")["outcome"] == "offline"
    exactly_one(g, "WAS-HERE", "offline")


def test_a_command_that_breaks_the_schema_is_never_sent():
    g = shared()
    c = ready(g, "INVALID")
    wrong = [("Reset", '{"type":"Gentle"}'), ("Reset", "{}"),
             ("Reset", '{"type":"Soft","x":1}'), ("Reset", "{"),
             ("Reset", '{"type":"Soft"} x'), ("Reset", "[]"),
             ("FlyAway", "{}"), ("BootNotification", "{}"),
             ("ChangeAvailability", '{"connectorId":"1","type":"Operative"}'),
             ("GetDiagnostics", '{"location":"no uri"}'),
             ("SetChargingProfile", '{"connectorId":1}')]
    for action, payload in wrong:
        got = g.call("INVALID", action, payload)
        assert got["outcome"] == "invalid", (action, payload, got)
        assert got["error"]["description"], got
    assert len(outcomes(g, "INVALID", len(wrong))) == len(wrong)
    c.silence()
    c.close()


def test_a_payload_is_sent_byte_for_byte():
    g = shared()
    c = ready(g, "BYTES")
    text = '{ "vendorId":"ü\\u00fc",  "data":"{\\"a\\":1.50}" }'
    h = background(g.call, "BYTES", "DataTransfer", text)
    frame_ = c.message()
    assert frame_.endswith(',"DataTransfer",' + text + "]"), frame_
    c.result(json.loads(frame_)[1], {"status": "Accepted"})
    h.wait()
    c.close()


def test_every_action_of_a_central_system_can_be_sent():
    when = "2026-01-31T12:00:00Z"
    h = {"hashAlgorithm": "SHA256", "issuerNameHash": "a",
         "issuerKeyHash": "b", "serialNumber": "c"}
    profile = {"chargingProfileId": 1, "stackLevel": 0,
               "chargingProfilePurpose": "TxDefaultProfile",
               "chargingProfileKind": "Absolute", "chargingSchedule": {
                   "chargingRateUnit": "A", "chargingSchedulePeriod": [
                       {"startPeriod": 0, "limit": 16.1}]}}
    ok, yes = {"status": "Accepted"}, {"status": "Unlocked"}
    calls = {
        "RemoteStartTransaction": ({"idTag": "T", "chargingProfile": profile}, ok),
        "RemoteStopTransaction": ({"transactionId": 1}, ok),
        "ChangeAvailability": ({"connectorId": 0, "type": "Operative"},
                               {"status": "Scheduled"}),
        "UnlockConnector": ({"connectorId": 1}, yes),
        "Reset": ({"type": "Hard"}, ok), "ClearCache": ({}, ok),
        "GetConfiguration": ({"key": ["A"]}, {"configurationKey": [
            {"key": "A", "readonly": False, "value": "1"}],
            "unknownKey": ["B"]}),
        "ChangeConfiguration": ({"key": "A", "value": "1"},
                                {"status": "RebootRequired"}),
        "UpdateFirmware": ({"location": "ftp://a/b", "retrieveDate": when}, {}),
        "GetDiagnostics": ({"location": "ftp://a/b"}, {"fileName": "f"}),
        "SendLocalList": ({"listVersion": 1, "updateType": "Full",
                           "localAuthorizationList": [{"idTag": "T"}]}, ok),
        "GetLocalListVersion": ({}, {"listVersion": -1}),
        "ReserveNow": ({"connectorId": 0, "expiryDate": when, "idTag": "T",
                        "reservationId": 1}, {"status": "Occupied"}),
        "CancelReservation": ({"reservationId": 1}, ok),
        "SetChargingProfile": ({"connectorId": 0,
                                "csChargingProfiles": profile}, ok),
        "ClearChargingProfile": ({}, {"status": "Unknown"}),
        "GetCompositeSchedule": ({"connectorId": 1, "duration": 60}, ok),
        "TriggerMessage": ({"requestedMessage": "Heartbeat"},
                           {"status": "NotImplemented"}),
        "ExtendedTriggerMessage": (
            {"requestedMessage": "SignChargePointCertificate"}, ok),
        "CertificateSigned": ({"certificateChain": "x"}, ok),
        "InstallCertificate": (
            {"certificateType": "ManufacturerRootCertificate",
             "certificate": "x"}, ok),
        "DeleteCertificate": ({"certificateHashData": h},
                              {"status": "NotFound"}),
        "GetInstalledCertificateIds": (
            {"certificateType": "CentralSystemRootCertificate"},
            {"status": "Accepted", "certificateHashData": [h]}),
        "GetLog": ({"logType": "SecurityLog", "requestId": 1, "log": {
            "remoteLocation": "ftp://a"}}, {"status": "AcceptedCanceled"}),
        "SignedUpdateFirmware": ({"requestId": 1, "firmware": {
            "location": "x", "retrieveDateTime": when,
            "signingCertificate": "c", "signature": "s"}}, ok),
        "DataTransfer": ({"vendorId": "V"}, {"status": "UnknownVendorId"}),
    }
    with open(os.path.join(ROOT, "worker/ocpp/ocpp16.schema")) as f:
        names = re.findall(r"^message (\w+) (?:cs|both)", f.read(), re.M)
    assert sorted(names) == sorted(calls), set(names) ^ set(calls)
    g = shared(ocpp_validation="strict")
    c = ready(g, "EVERY")
    for action, (payload, answer) in calls.items():
        h = background(g.call, "EVERY", action, payload)
        id, got, text = c.take()
        assert (got, text) == (action, payload)
        c.result(id, answer)
        r = h.wait()
        assert r["outcome"] == "result" and r["payload"] == answer, (action, r)
    assert not g.events(cp="EVERY", type="protocol.violation")
    c.close()


def test_a_result_that_breaks_the_schema_is_returned_and_reported():
    g = shared()
    c = ready(g, "ODD")
    before = g.stat("deviations")
    h = background(g.call, "ODD", "GetCompositeSchedule",
                   {"connectorId": 1, "duration": 60})
    c.result(c.take()[0], {"status": "Accepted", "chargingSchedule": {
        "chargingRateUnit": "A", "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": 16.123}]}})
    assert h.wait()["outcome"] == "result"
    assert g.stat("deviations")["not_multiple"] == before["not_multiple"] + 1
    h = background(g.call, "ODD", "Reset", {"type": "Soft"})
    c.result(c.take()[0], {"nonsense": [1]})
    got = h.wait()
    assert got["outcome"] == "result" and got["payload"] == {"nonsense": [1]}
    assert got["violation"].startswith("status: missing"), got
    assert g.events(cp="ODD", type="command.response")[0]["payload"][
        "deviations"] == ["not_multiple"]
    c.close()


def test_null_is_accepted_as_an_empty_payload():
    g = shared()
    c = ready(g, "NULL")
    h = background(g.call, "NULL", "ClearCache", "null")
    id, action, payload = c.take()
    assert payload == {}, payload
    c.result(id, {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"
    c.close()


def test_a_long_result_keeps_its_value_and_a_long_command_is_invalid():
    g = Gateway(websocket_max_output_size="16KiB", server_workers="1",
                websocket_max_message_size="128KiB")
    c = ready(g, "LONG")
    h = background(g.call, "LONG", "DataTransfer", {"vendorId": "V"})
    # Each raw control character becomes six bytes of valid JSON.
    c.result(c.take()[0], '{"status":"Accepted","data":"%s"}' % ("\x01" * 90000))
    got = h.wait()
    assert got["outcome"] == "result" and got["cutBytes"] > 540000 and \
        "too long" in got["cut"], got
    p = exactly_one(g, "LONG", "result")
    assert p["payload"]["data"] == "\x01" * 90000
    got = g.call("LONG", "DataTransfer", {"vendorId": "V", "data": "x" * 17000})
    assert got["outcome"] == "invalid" and "max_output_size" in \
        got["error"]["description"], got
    c.call("Heartbeat")  # the connection stays open
    # The largest command that fits is sent.
    h = background(g.call, "LONG", "DataTransfer",
                   {"vendorId": "V", "data": "x" * 16000})
    id, _, payload = c.take()
    assert len(payload["data"]) == 16000
    c.result(id, {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"


def test_the_timeout_includes_the_time_in_the_queue():
    g = shared()
    c = ready(g, "QTIME")
    first = background(g.call, "QTIME", "ClearCache", None, "--timeout", "3s")
    id, _, _ = c.take()
    began = time.monotonic()
    second = background(g.call, "QTIME", "ClearCache", None, "--timeout", "3s")
    poll(lambda: g.stat("commands_pending") == 2, what="both commands")
    poll(lambda: time.monotonic() - began >= 2)
    c.result(id, {"status": "Accepted"})
    assert first.wait()["outcome"] == "result"
    c.take()
    assert second.wait()["outcome"] == "timeout"
    took = time.monotonic() - began
    assert 2.9 < took < 3 + 1.7 * SLOW, took
    p = g.wait_events(2, cp="QTIME", type="command.response")[1]["payload"]
    assert 3000 <= p["durationMs"] < 3000 + 1700 * SLOW, p
    c.close()


# --- durability ----------------------------------------------------------------

def shimmed(**kw):
    """Returns a gateway with fault_shim, and the orders by which its disk is slowed down."""
    d = tempfile.mkdtemp(prefix="ocppd-faults-")
    orders = Orders(d + "/faults")
    g = Gateway(env={"LD_PRELOAD": SHIM, "OCPPD_FAULTS": orders.path}, **kw)
    return g, orders


def test_a_command_is_sent_when_its_event_is_durable():
    g, orders = shimmed(server_workers="1")
    c = ready(g, "DUR")
    orders.give("sync_ms", 1500)
    h = background(g.call, "DUR", "ClearCache", None, "--id", "d1")
    sent, = g.wait_events(1, cp="DUR", type="command.sent")
    assert select.select([c.sock], [], [], 0.5)[0] == [], \
        "the command was sent before its event was durable"
    id, _, _ = c.take()
    orders.clear()
    assert sent["messageId"] == id and sent["action"] == "ClearCache"
    assert sent["payload"] == {"commandId": "d1", "action": "ClearCache",
                               "origin": "control"}
    c.result(id, {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"
    types = [e["eventType"] for e in g.events("all", cp="DUR")]
    assert types[-2:] == ["command.sent", "command.response"], types


def test_commands_and_sessions_of_a_gateway_that_died_are_ended():
    g = Gateway(server_workers="2")
    away, stays = ready(g, "AWAY", worker=0), ready(g, "STAYS", worker=1)
    away.close()
    g.wait_events(cp="AWAY", type="charge_point.disconnected")
    done = background(g.call, "STAYS", "ClearCache", None, "--id", "done")
    stays.result(stays.take()[0], {"status": "Accepted"})
    done.wait()
    background(g.ask, "-j", "call", "STAYS", "Reset", '{"type":"Soft"}',
               "--id", "lost")
    stays.take()
    generation = g.events(cp="STAYS")[0]["generation"]
    for life in (2, 3):
        g.kill_everything()
        g.start()
        e = g.wait_events(2, cp="STAYS", type="command.response")
        assert [(x["payload"]["commandId"], x["payload"]["outcome"])
                for x in e] == [("done", "result"), ("lost", "uncertain")]
        assert e[1]["generation"] == generation and e[1]["action"] == "Reset"
        ends = g.wait_events(1, cp="STAYS", type="charge_point.disconnected")
        assert [(x["generation"], x["payload"]["reason"]) for x in ends] == \
            [(generation, "gateway_died")]
        assert len(g.wait_events(life, type="gateway.started")) == life
        assert [x["payload"]["reason"] for x in
                g.events("charge_point.disconnected", cp="AWAY")] == \
            ["peer_closed"]


def test_commands_and_sessions_end_once_after_restarts_with_fewer_and_more_workers():
    g = Gateway(server_workers="3")
    points = [ready(g, "VANISH%d" % i, worker=i) for i in range(3)]
    for i, c in enumerate(points):
        background(g.ask, "-j", "call", "VANISH%d" % i, "Reset",
                   '{"type":"Soft"}', "--id", "v%d" % i)
        c.take()
    generations = [g.events(cp="VANISH%d" % i)[0]["generation"]
                   for i in range(3)]
    for life, workers in enumerate(("1", "1", "3", "2", "1"), 2):
        g.kill_everything()
        g.settings["server_workers"] = workers
        g.start()
        # The outcomes are in order, and those of a later charge point follow them.
        ready(g, "AFTER%d" % life)
        g.wait_events(cp="AFTER%d" % life, type="charge_point.booted")
        for i, generation in enumerate(generations):
            cp = "VANISH%d" % i
            ends = [(e["generation"], e["payload"]["reason"]) for e in
                    g.events("charge_point.disconnected", cp=cp)]
            assert ends == [(generation, "gateway_died")], (life, cp, ends)
            outcomes = [(e["generation"], e["payload"]["outcome"]) for e in
                        g.events("command.response", cp=cp)]
            assert outcomes == [(generation, "uncertain")], (life, cp, outcomes)


def test_an_outcome_that_recovery_finds_is_not_made_again():
    g, orders = shimmed(server_workers="1")
    c = ready(g, "TWICE")
    h = background(g.run, "-j", "call", "TWICE", "ClearCache", "--id", "t1",
                   "--timeout", "20s")
    id, _, _ = c.take()
    orders.give("sync_ms", 3000)
    before = orders.done("sync_ms")
    c.result(id, {"status": "Accepted"})
    g.wait_events(1, cp="TWICE", type="command.response")  # the outcome is in the file
    poll(lambda: orders.done("sync_ms") > before, what="the sync of the outcome")
    g.kill_worker(0)
    orders.clear()
    # The client gets the whole outcome, as in the journal.
    got = json.loads(h.wait().stdout)
    assert got["outcome"] == "result" and got["payload"] == {"status": "Accepted"}, got
    poll(lambda: all(w["state"] == "ready" for w in g.workers()))
    ready(g, "TWICE")
    assert exactly_one(g, "TWICE", "result")["commandId"] == "t1"
    assert g.tell("outcome", "t1") == got


def test_the_outcome_of_a_worker_that_dies_before_reporting_it_is_reported():
    """The outcome is in the journal. The next process of the slot reports it to the client,
    and makes no second event."""
    shim = Shim()
    g = Gateway(server_workers="1", env=shim.env)
    g.deaths_expected = True
    c = ready(g, "REPORT")
    client = background(g.ask, "-j", "call", "REPORT", "ClearCache")
    id, _, _ = c.take()
    shim.stop_before(datagram("done"))
    c.result(id, {"status": "Accepted"})
    poll(lambda: shim.sender() > 1, what="the report to the master")
    exactly_one(g, "REPORT", "result")
    g.kill_worker(0)
    shim.resume()
    code, body = client.wait()
    assert code == 200 and json.loads(body)["outcome"] == "result", (code, body)
    exactly_one(g, "REPORT", "result")


def test_a_request_repeated_after_the_death_of_the_gateway_is_not_a_second_command():
    g = Gateway(server_workers="2")
    for n, cp in enumerate(("ENDED", "OPEN")):
        c = ready(g, cp, worker=n)
        h = background(g.run, "-j", "call", cp, "ClearCache", "--id", "id-" + cp)
        id, _, _ = c.take()
        if cp == "ENDED":
            c.result(id, {"status": "Accepted"})
            assert json.loads(h.wait().stdout)["outcome"] == "result"
    g.kill_everything()
    h.wait()
    g.start()
    for cp, outcome in ("ENDED", "result"), ("OPEN", "uncertain"):
        code, body = g.ask("-j", "call", cp, "ClearCache", "--id", "id-" + cp)
        assert code == 409, (code, body)
        assert g.tell("outcome", "id-" + cp)["outcome"] == outcome
        assert exactly_one(g, cp, outcome)["commandId"] == "id-" + cp
    # A new program knows the outcomes too.
    c = ready(g, "LATER", worker=0)
    h = background(g.run, "-j", "call", "LATER", "ClearCache", "--id", "id-LATER")
    c.result(c.take()[0], {"status": "Accepted"})
    later = json.loads(h.wait().stdout)
    assert later["outcome"] == "result" and later["payload"] == {"status": "Accepted"}, later
    g.upgrade()
    assert g.ask("-j", "call", "LATER", "ClearCache", "--id", "id-LATER")[0] == 409
    assert g.tell("outcome", "id-LATER") == later
    assert g.tell("outcome", "id-ENDED")["payload"] == {"status": "Accepted"}
    c.call("Heartbeat")
    assert exactly_one(g, "LATER", "result")["commandId"] == "id-LATER"
    g.kill_everything()
    g.start()
    # The id is compared, also if the charge point and the worker are others.
    c = ready(g, "THIRD", worker=1)
    assert g.ask("-j", "call", "THIRD", "ClearCache", "--id", "id-ENDED")[0] == 409
    c.call("Heartbeat")
    assert not g.events("command.sent", "THIRD")


def test_messages_that_a_worker_sent_before_its_death_are_read():
    g = Gateway(server_workers="1")
    c = ready(g, "LAST")
    h = background(g.run, "-j", "call", "LAST", "ClearCache", "--id", "l1",
                   "--timeout", "20s")
    id, _, _ = c.take()
    worker = g.workers()[0]["pid"]
    g.deaths_expected = True
    os.kill(g.pid, signal.SIGSTOP)
    try:
        c.result(id, {"status": "Accepted"})
        g.wait_events(1, cp="LAST", type="command.response")
        # The next answer is sent after the commit that makes the outcome durable.
        c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError",
                                      "status": "Available"})
        os.kill(worker, signal.SIGKILL)
    finally:
        os.kill(g.pid, signal.SIGCONT)
    got = json.loads(h.wait().stdout)
    assert got["outcome"] == "result" and got["payload"] == \
        {"status": "Accepted"}, got
    exactly_one(g, "LAST", "result")


def test_frames_of_a_worker_that_died_are_shown():
    """The tap has what the worker had sent to the master before its death."""
    g = Gateway(server_workers="1")
    c = ready(g, "TAPPED")
    tap = subprocess.Popen([OCPPCTL, "-s", g.control, "tap", "TAPPED"], stdout=subprocess.PIPE)

    def shown(text):
        out = b""
        while text.encode() not in out and select.select([tap.stdout], [], [], 0.05)[0]:
            more = os.read(tap.stdout.fileno(), 65536)
            if not more:
                break
            out += more
        return text.encode() in out
    poll(lambda: c.call("DataTransfer", {"vendorId": "v", "data": "BEFORE"}) and shown("BEFORE"))
    worker = g.workers()[0]["pid"]
    g.deaths_expected = True
    os.kill(g.pid, signal.SIGSTOP)
    try:
        for i in range(5):
            c.call("DataTransfer", {"vendorId": "v", "data": "LAST%d" % i})
        os.kill(worker, signal.SIGKILL)
    finally:
        os.kill(g.pid, signal.SIGCONT)
    poll(lambda: shown("LAST4"), what="the last frame")
    tap.terminate()
    tap.wait()
    tap.stdout.close()


def test_a_master_without_memory_refuses_a_command():
    """Its address space cannot grow by more than a little, so one of the commands finds
    no memory; the limit is raised again, and the next one is executed."""
    g = Gateway(server_workers="1")
    c = ready(g, "LARGE")
    payload = json.dumps({"vendorId": "v", "data": "x" * 100000})
    with open("/proc/%d/statm" % g.pid) as f:
        now = int(f.read().split()[0]) * resource.getpagesize()
    bodies = []

    def answer():
        try:
            while True:
                c.result(c.take()[0], {"status": "Accepted"})
        except (Closed, OSError, AssertionError):
            pass
    background(answer)
    for more in range(0, 2 << 20, 64 << 10):
        resource.prlimit(g.pid, resource.RLIMIT_AS, (now + more, resource.RLIM_INFINITY))
        try:
            code, body = g.ask("call", "LARGE", "DataTransfer", payload)
        except OSError:
            continue        # there was no memory for the line
        finally:
            resource.prlimit(g.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        bodies.append(body)
    assert any("no memory for the command" in b for b in bodies), bodies
    assert not any("0 commands" in b for b in bodies), bodies
    assert g.call("LARGE", "DataTransfer", payload)["outcome"] == "result"
    c.sock.close()


# --- order ---------------------------------------------------------------------

def test_one_command_is_in_flight_and_the_others_follow_in_order():
    g = shared()
    c = ready(g, "ORDER")
    handles = []
    for i in range(8):
        handles.append(background(g.call, "ORDER", "ChangeConfiguration",
                                  {"key": "K", "value": str(i)}, "--timeout", "60s"))
        poll(lambda: g.show("ORDER")["connection"]["commandsPending"] == i + 1)
        assert g.stats()["commands_pending"] == i + 1
    for i in range(8):
        id, _, payload = c.take()
        assert payload["value"] == str(i)
        if i < 2:
            c.silence(0.2)              # the next one waits for this answer
        c.result(id, {"status": "Accepted"})
    for h in handles:
        assert h.wait()["outcome"] == "result"
    assert g.stat("commands_pending") == 0
    c.close()


def test_a_command_for_a_full_queue_is_refused_at_once():
    g = shared(ocpp_call_queue="2")
    c = ready(g, "FULL")
    handles = []
    for i in range(2):
        handles.append(background(g.call, "FULL", "ClearCache"))
        poll(lambda: g.show("FULL")["connection"]["commandsPending"] == i + 1)
    queue = g.call("FULL", "ClearCache")
    while queue["outcome"] != "invalid":  # in addition to the one in flight
        queue = g.call("FULL", "ClearCache")
    assert queue["error"]["code"] == "QueueFull", queue
    for h in handles:
        c.result(c.take()[0], {"status": "Accepted"})
        assert h.wait()["outcome"] == "result"
    c.close()


def test_commands_that_wait_for_an_unanswered_one_expire():
    g = shared(ocpp_call_queue="2")
    c = ready(g, "EXPIRED")
    # Each command but the first ends well before idle_timeout, which matters because no ping
    # is answered meanwhile.
    first = background(g.call, "EXPIRED", "ClearCache", None, "--timeout", "6s")
    c.take()
    for _ in range(2):  # a command that has expired is not in the queue any more
        later = g.call("EXPIRED", "ClearCache", None, "--timeout", "1s")
        assert later["outcome"] == "expired", later
        c.call("Heartbeat")  # idle_timeout begins again
    assert first.wait()["outcome"] == "timeout"
    assert [p["outcome"] for p in outcomes(g, "EXPIRED", 3)] == \
        ["expired", "expired", "timeout"]
    c.close()


def test_a_new_connection_gets_no_command_until_it_has_booted():
    g = shared(ocpp_call_hold="60s")
    c = Charger(g, "HOLD")
    h = background(g.call, "HOLD", "ClearCache", None, "--timeout", "20s")
    poll(lambda: g.show("HOLD")["connection"]["commandsPending"] == 1)
    c.silence()
    c.boot()
    c.result(c.take()[0], {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"
    c.close()


def test_a_new_connection_that_does_not_boot_gets_commands_after_some_time():
    g = shared(ocpp_call_hold="1s")
    c = Charger(g, "QUIET")
    began = time.monotonic()
    h = background(g.call, "QUIET", "ClearCache", None, "--timeout", "20s")
    c.result(c.take()[0], {"status": "Accepted"})
    assert 0.5 < time.monotonic() - began < 5 * SLOW
    assert h.wait()["outcome"] == "result"
    c.close()


def test_pending_charge_points_get_no_remote_start_and_rejected_ones_no_command():
    g = shared(answers_BootNotification="pending", ocpp_call_hold="0s")
    c = ready(g, "PENDING")
    h = background(g.call, "PENDING", "GetConfiguration")
    c.result(c.take()[0], {})
    assert h.wait()["outcome"] == "result"
    r = g.call("PENDING", "RemoteStartTransaction", {"idTag": "T"},
               "--timeout", "1s")
    assert r["outcome"] == "expired", r
    c.close()
    g = shared(answers_BootNotification="reject", ocpp_call_hold="0s")
    c = ready(g, "REJECTED")
    r = g.call("REJECTED", "ClearCache", None, "--timeout", "1s")
    assert r["outcome"] == "expired", r
    c.silence()
    c.close()


def test_a_second_command_with_the_same_id_is_refused():
    g = shared()
    c = ready(g, "TWICE")
    h = background(g.call, "TWICE", "ClearCache", None, "--id", "same")
    id = c.take()[0]
    code, body = g.ask("call", "TWICE", "ClearCache", "--id", "same")
    assert code == 409, (code, body)
    c.result(id, {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"
    # A client that has lost the answer may repeat the command; the charge point gets it
    # once.
    for words in (["TWICE", "ClearCache"], ["TWICE", "Reset", '{"type":"Hard"}'],
                  ["TWICE", "ClearCache", "--wait", "no"]):
        code, body = g.ask("call", *words, "--id", "same")
        assert code == 409 and "outcome same" in body, (words, code, body)
    assert g.tell("outcome", "same")["outcome"] == "result"
    c.silence()
    exactly_one(g, "TWICE", "result")
    c.close()


# --- uncertain outcomes ------------------------------------------------------------

def test_a_lost_connection_makes_the_command_in_flight_uncertain_and_waiting_ones_offline():
    g = shared()
    c = ready(g, "DROPPED")
    first = background(g.call, "DROPPED", "Reset", {"type": "Soft"})
    c.take()
    second = background(g.call, "DROPPED", "ClearCache")
    poll(lambda: g.show("DROPPED")["connection"]["commandsPending"] == 2)
    c.reset()
    assert first.wait()["outcome"] == "uncertain"
    assert second.wait()["outcome"] == "offline"
    assert [(p["action"], p["outcome"]) for p in outcomes(g, "DROPPED", 2)] == \
        [("Reset", "uncertain"), ("ClearCache", "offline")]


def test_a_takeover_ends_the_commands_of_the_old_connection():
    g = shared(server_workers="2")
    for a, b in ((0, 0), (0, 1)):
        name = "TAKEN%d%d" % (a, b)
        c = ready(g, name, worker=a)
        h = background(g.call, name, "ClearCache")
        c.take()
        d = ready(g, name, worker=b)
        assert h.wait()["outcome"] == "uncertain"
        h = background(g.call, name, "ClearCache")
        d.result(d.take()[0], {"status": "Accepted"})
        assert h.wait()["outcome"] == "result"
        d.close()


def test_a_command_in_flight_on_a_killed_worker_ends_as_uncertain_exactly_once():
    g = Gateway(server_workers="2")
    c = ready(g, "KILLED", worker=0)
    h = background(g.run, "-j", "call", "KILLED", "Reset", '{"type":"Soft"}',
                   "--id", "k1", "--timeout", "20s")
    c.take()
    g.kill_worker(0)
    r = h.wait()
    assert r.returncode == 1, r
    assert json.loads(r.stdout)["outcome"] == "uncertain", r.stdout
    p = exactly_one(g, "KILLED", "uncertain")
    assert p["commandId"] == "k1"
    poll(lambda: all(w["state"] == "ready" for w in g.workers()))
    c = ready(g, "KILLED", worker=0)
    h = background(g.call, "KILLED", "ClearCache")
    c.result(c.take()[0], {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"
    assert [p["outcome"] for p in outcomes(g, "KILLED", 2)] == \
        ["uncertain", "result"]


def test_each_of_many_commands_to_many_charge_points_ends_exactly_once():
    g = Gateway(server_workers="2")
    chargers = [ready(g, "M%02d" % i) for i in range(20)]
    stop = threading.Event()

    def serve(c, i):
        n = 0
        while not stop.is_set():
            try:
                id = c.take(0.2)[0]
            except TimeoutError:
                continue
            except (Closed, OSError):
                return
            n += 1
            if i % 5 == 4 and n == 3:
                c.reset()
                return
            if i % 5 == 3 and n % 2:
                c.error(id)
            else:
                c.result(id, {"status": "Accepted"})
    servers = [background(serve, c, i) for i, c in enumerate(chargers)]

    def ask(i):
        return [g.call("M%02d" % i, "ClearCache", None, "--id",
                       "c%d-%d" % (i, k))["outcome"] for k in range(6)]
    got = [h.wait() for h in [background(ask, i) for i in range(20)]]
    stop.set()
    for h in servers:
        h.wait()
    events = g.wait_events(120, type="command.response")
    ids = [e["payload"]["commandId"] for e in events]
    assert len(ids) == len(set(ids)) == 120
    for i, outcomes_ in enumerate(got):
        mine = [e["payload"]["outcome"] for e in events
                if e["chargePointId"] == "M%02d" % i]
        assert mine == outcomes_, (i, mine, outcomes_)
    assert g.stat("commands_pending") == 0


def test_the_outcomes_are_counted():
    g = shared()
    c = ready(g, "COUNTED")
    before = g.stat("commands")
    g.call("COUNTED", "Nothing")
    g.call("NOBODY", "ClearCache")
    h = background(g.call, "COUNTED", "ClearCache")
    c.result(c.take()[0], {"status": "Accepted"})
    h.wait()
    after = g.stat("commands")
    for o in ("invalid", "offline", "result"):
        assert after[o] == before[o] + 1, o
    c.close()


def test_an_unchecked_command_is_sent_unchanged_and_its_events_are_marked():
    g = Gateway(server_workers=1)
    c = Charger(g, "RAW")
    c.boot()
    for action, payload in (("Reset", '{"type":"Sideways"}'), ("NoSuchAction", '{"a":[1,{}]}'),
                            ("Heartbeat", "{}")):
        assert g.call("RAW", action, payload)["outcome"] == "invalid"
        b = background(g.call, "RAW", action, payload, "--unchecked")
        id, got, what = c.take()
        assert (got, what) == (action, json.loads(payload))
        c.result(id, {"status": "Whatever"})
        r = b.wait()
        assert r["outcome"] == "result" and r["unchecked"] is True
        assert r["payload"] == {"status": "Whatever"}
    events = g.wait_events(6, type="command.response", cp="RAW")
    assert [e["payload"].get("unchecked", False) for e in events] == [False, True] * 3
    sent = [e["payload"] for e in g.events("command.sent", cp="RAW")]
    assert len(sent) == 3 and all(p["unchecked"] is True for p in sent)
    # An unchecked command must still be valid JSON.
    assert g.call("RAW", "Reset", '{"type":', "--unchecked")["outcome"] == "invalid"
    b = background(g.call, "RAW", "Reset", {"type": "Soft"})
    c.result(c.take()[0], {"status": "Accepted"})
    assert "unchecked" not in b.wait()


if __name__ == "__main__":
    main()
