#!/usr/bin/python3
"""Payloads of OCPP 1.6: the answer to each action, the errors of charge points, and
that payloads reach the journal unchanged."""

import copy
import random as random_module

from lib import *

STRICT = dict(ocpp_validation="strict")
WHEN = "2026-01-31T12:00:00.000Z"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def accepted(status="Accepted"):
    return lambda a: a == {"status": status}


def empty(a):
    return a == {}


def has_time(a):
    return list(a) == ["currentTime"] and re.fullmatch(TIME, a["currentTime"])


def booted(a):
    return sorted(a) == ["currentTime", "interval", "status"] and \
        a["status"] == "Accepted" and re.fullmatch(TIME, a["currentTime"]) and \
        type(a["interval"]) is int and a["interval"] > 0


def tag_info(a):
    return a == {"idTagInfo": {"status": "Accepted"}}


def started(a):
    return sorted(a) == ["idTagInfo", "transactionId"] and \
        type(a["transactionId"]) is int and \
        0 < a["transactionId"] < 2 ** 31 and \
        a["idTagInfo"] == {"status": "Accepted"}


METER = {"timestamp": WHEN, "sampledValue": [
    {"value": "12.5", "context": "Sample.Periodic", "format": "Raw",
     "measurand": "Energy.Active.Import.Register", "phase": "L1",
     "location": "Outlet", "unit": "kWh"},
    {"value": "31", "measurand": "Temperature", "unit": "Celcius"},
    {"value": "31", "measurand": "Temperature", "unit": "Celsius"},
    {"value": "50", "measurand": "Frequency", "unit": "Hertz"}]}

# action: (payload with every field, check of the answer, type of the event)
ALL = {
    "BootNotification": ({
        "chargePointVendor": "V" * 20, "chargePointModel": "M" * 20,
        "chargePointSerialNumber": "S" * 25, "chargeBoxSerialNumber": "B" * 25,
        "firmwareVersion": "F" * 50, "iccid": "1" * 20, "imsi": "2" * 20,
        "meterType": "T" * 25, "meterSerialNumber": "N" * 25},
        booted, "charge_point.booted"),
    "Heartbeat": ({}, has_time, "charge_point.heartbeat"),
    "StatusNotification": ({
        "connectorId": 0, "status": "Available", "errorCode": "NoError",
        "info": "I" * 50, "timestamp": WHEN, "vendorId": "v" * 255,
        "vendorErrorCode": "E" * 50}, empty, "connector.status_changed"),
    "Authorize": ({"idTag": "T" * 20}, tag_info, "authorization.requested"),
    "StartTransaction": ({
        "connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": WHEN,
        "reservationId": 5}, started, "transaction.started"),
    "MeterValues": ({
        "connectorId": 0, "transactionId": 7, "meterValue": [METER, METER]},
        empty, "transaction.meter_values"),
    "StopTransaction": ({
        "transactionId": 7, "meterStop": 100, "timestamp": WHEN,
        "idTag": "TAG", "reason": "EVDisconnected", "transactionData": [METER]},
        tag_info, "transaction.stopped"),
    "DataTransfer": ({"vendorId": "V", "messageId": "M", "data": "D"},
                     lambda a: a == {"status": "UnknownVendorId"}, "data_transfer.received"),
    "FirmwareStatusNotification": ({"status": "Installed"}, empty,
                                   "firmware.status_changed"),
    "DiagnosticsStatusNotification": ({"status": "Uploaded"}, empty,
                                      "diagnostics.status_changed"),
    "LogStatusNotification": ({"status": "Uploaded", "requestId": 4}, empty,
                              "log.status_changed"),
    "SignedFirmwareStatusNotification": (
        {"status": "SignatureVerified", "requestId": 4}, empty,
        "firmware.status_changed"),
    "SecurityEventNotification": (
        {"type": "SettingSystemTime", "timestamp": WHEN, "techInfo": "t"},
        empty, "security.event"),
    "SignCertificate": ({"csr": "-----BEGIN CERTIFICATE REQUEST-----"},
                        lambda a: a == {"status": "Rejected"}, "certificate.requested"),
}


def test_the_table_has_every_message_of_a_charge_point():
    with open(os.path.join(ROOT, "worker/ocpp/ocpp16.schema")) as f:
        names = re.findall(r"^message (\w+) (?:cp|both)", f.read(), re.M)
    assert sorted(names) == sorted(ALL), set(names) ^ set(ALL)


def test_every_action_is_answered_and_makes_its_event():
    for validation in ("strict", "lenient", "off"):
        g = shared(ocpp_validation=validation, ocpp_heartbeat_events="yes")
        c = Charger(g, "ALL-" + validation)
        before = g.stat("calls_in")
        for action, (payload, right, type) in ALL.items():
            answer = c.call(action, payload)
            assert right(answer), (validation, action, answer)
        events = g.wait_events(len(ALL) + 1, cp=c.identity)[1:]
        for e, (action, (payload, right, type)) in zip(events, ALL.items()):
            assert e["eventType"] == type, (action, e)
            assert e["action"] == action and e["payload"] == payload, e
            assert right(e["answer"]) and "deviations" not in e, e
        after = g.stat("calls_in")
        for action in ALL:
            assert after[action] == before[action] + 1, action
        c.close()


def test_optional_fields_may_be_missing():
    required = {
        "StatusNotification": {"connectorId": 1, "status": "Faulted",
                               "errorCode": "WeakSignal"},
        "StartTransaction": {"connectorId": 1, "idTag": "T", "meterStart": 5,
                             "timestamp": WHEN},
        "StopTransaction": {"transactionId": 1, "meterStop": 5,
                            "timestamp": WHEN},
        "MeterValues": {"connectorId": 1, "meterValue": [
            {"timestamp": WHEN, "sampledValue": [{"value": "1"}]}]},
        "DataTransfer": {"vendorId": "V"},
        "LogStatusNotification": {"status": "Idle"},
        "SignedFirmwareStatusNotification": {"status": "Idle"},
        "SecurityEventNotification": {"type": "x", "timestamp": WHEN},
        "BootNotification": {"chargePointVendor": "V", "chargePointModel": "M"},
    }
    g = shared(**STRICT)
    c = Charger(g, "REQUIRED")
    for action, payload in required.items():
        c.call(action, payload)
        for name in payload:
            less = {k: v for k, v in payload.items() if k != name}
            e = c.refused(action, less)
            assert e.code == "ProtocolError", (action, name, e)
            assert name in e.description, e
    assert c.call("StopTransaction", required["StopTransaction"]) == {}
    c.close()


def test_numbers_may_be_zero_or_negative():
    for g in (shared(), shared(**STRICT)):
        c = Charger(g, "NUMBERS")
        c.start(connector=0, meter=-5)
        c.stop(0), c.stop(-1), c.stop(-2147483648, meter=-1)
        c.call("MeterValues", {"connectorId": 0, "transactionId": -1,
                               "meterValue": [METER]})
        c.call("MeterValues", {"connectorId": 1, "meterValue": [METER],
                               "transactionId": 9223372036854775807})
        c.close()


def test_an_unknown_transaction_or_tag_is_answered_with_a_callresult():
    g = shared()
    c = Charger(g, "UNKNOWN")
    assert c.stop(123456789) == {}
    assert c.stop(123456789, idTag="NOBODY") == \
        {"idTagInfo": {"status": "Accepted"}}
    c.close()


# --- payloads are not changed -----------------------------------------------------

ODD = ('{ "connectorId" : 1,\t"transactionId":9223372036854775807,  '
       '"meterValue":[{"timestamp":"2026-01-31T12:00:00+01:00",'
       '"sampledValue":[ {"value":"0.10","x-limit":1.10,"big":1e400,'
       '"more":123456789012345678901234567890,"exp":1.50E+03,"neg":-0,'
       '"u":"\\u00fc\\/ü€","unit":"Wh"} ]}],"vendorExtra":{"z":1,"a":[]}}')


def test_payloads_reach_the_journal_byte_for_byte():
    g = shared()
    c = Charger(g, "EXACT")
    c.put("MeterValues", ODD, id="1")
    assert c.get("1") == {}
    e = g.wait_events(cp="EXACT", type="transaction.meter_values")[0]
    assert '"payload":' + ODD + ',"answer":{}' in e.line, e.line
    assert e["deviations"] == ["extra_field"], e
    c.close()


def test_only_line_breaks_between_tokens_are_removed():
    g = shared()
    c = Charger(g, "LINES")
    c.put("DataTransfer", '{\r\n  "vendorId": "V",\n\t"data": "a  b\\nc"\n}',
          id="1")
    c.get("1")
    e = g.wait_events(cp="LINES", type="data_transfer.received")[0]
    assert '"payload":{"vendorId":"V","data":"a  b\\nc"},' in e.line, e.line
    c.close()


def test_a_payload_of_null_is_an_empty_object_in_the_event():
    g = shared(ocpp_heartbeat_events="yes", ocpp_validation="lenient")
    c = Charger(g, "NULLS")
    c.put("Heartbeat", "null", id="1")
    c.get("1")
    e = g.wait_events(cp="NULLS", type="charge_point.heartbeat")[0]
    assert '"payload":{},' in e.line
    c.close()


# --- deviations ------------------------------------------------------------------

def transfer(extra=""):
    return '{"vendorId":"V"%s}' % extra


def status(**more):
    return json.dumps(dict({"connectorId": 1, "status": "Available",
                            "errorCode": "NoError"}, **more))


def meter(**more):
    value = dict({"value": "1"}, **more)
    return json.dumps({"connectorId": 1, "meterValue": [
        {"timestamp": WHEN, "sampledValue": [value]}]})


F, P, T, O, M = ("FormationViolation", "PropertyConstraintViolation",
                 "TypeConstraintViolation", "OccurenceConstraintViolation",
                 "ProtocolError")

# kind, action, payload, code of the strict CALLERROR
DEVIATIONS = [
    ("leading_zero", "StatusNotification",
     '{"connectorId":01,"status":"Available","errorCode":"NoError"}', F),
    ("loose_number", "DataTransfer", transfer(',"x":1.'), F),
    ("control_char", "DataTransfer", transfer(',"data":"a\tb"'), F),
    ("lone_surrogate", "DataTransfer", transfer(',"data":"\\ud800"'), F),
    ("nul_escape", "DataTransfer", transfer(',"data":"a\\u0000b"'), F),
    ("duplicate_key", "DataTransfer", transfer(',"vendorId":"W"'), F),
    ("extra_field", "Heartbeat", '{"uptime":5}', F),
    ("extra_field", "MeterValues", meter(vendor="x"), F),
    ("missing_field", "BootNotification", '{"chargePointVendor":"V"}', M),
    ("null_field", "StatusNotification", status(info=None), T),
    ("empty_string", "StatusNotification", status(timestamp=""), P),
    ("long_string", "BootNotification",
     '{"chargePointVendor":"%s","chargePointModel":"M"}' % ("v" * 21), P),
    ("number_for_string", "MeterValues", meter(value=12.5), T),
    ("string_for_number", "StatusNotification", status(connectorId="1"), T),
    ("string_for_number", "StatusNotification",
     '{"connectorId":"\\u0031","status":"Available","errorCode":"NoError"}', T),
    ("wrong_scalar", "DataTransfer", transfer(',"data":true'), T),
    ("value_for_text", "DataTransfer", transfer(',"data":{"a":[1]}'), T),
    ("decimal_integer", "StatusNotification",
     '{"connectorId":1.0,"status":"Available","errorCode":"NoError"}', T),
    ("unknown_enum", "StatusNotification", status(errorCode="Tired"), P),
    ("no_zone", "StatusNotification",
     status(timestamp="2026-01-31T12:00:00"), P),
    ("bad_datetime", "StatusNotification",
     status(timestamp="2026-01-31 12:00:00"), P),
    ("object_for_array", "MeterValues",
     '{"connectorId":1,"meterValue":{"timestamp":"%s","sampledValue":'
     '[{"value":"1"}]}}' % WHEN, T),
    ("empty_array", "MeterValues", '{"connectorId":1,"meterValue":[]}', O),
]


def test_lenient_validation_accepts_counts_and_reports_harmless_deviations():
    g = shared()
    c = Charger(g, "LENIENT")
    c.boot()  # its answer comes when all events before it are in the journal
    for kind, action, payload, code in DEVIATIONS:
        before = g.stat("deviations")
        n = len(g.events(cp="LENIENT"))
        try:
            c.call(action, payload)
        except CallError as e:
            raise AssertionError("%s: %s" % (kind, e))
        after = g.stat("deviations")
        assert after[kind] == before[kind] + 1, (kind, after)
        if action != "Heartbeat":
            e = g.wait_events(n + 1, cp="LENIENT")[n]
            assert kind in e["deviations"], (kind, e)
    c.close()


def test_strict_validation_answers_each_deviation_with_its_callerror_and_makes_no_event():
    g = shared(**STRICT)
    c = Charger(g, "STRICT")
    for kind, action, payload, code in DEVIATIONS:
        e = c.refused(action, payload)
        assert e.code == code, (kind, e)
        assert e.description, kind
    c.boot()
    kinds = {e["eventType"] for e in g.events(cp="STRICT")}
    assert kinds == {"charge_point.connected", "protocol.violation",
                     "charge_point.booted"}, kinds
    c.close()


def test_without_validation_only_the_frame_is_checked():
    g = shared(ocpp_validation="off")
    c = Charger(g, "OFF")
    for kind, action, payload, code in DEVIATIONS:
        c.call(action, payload)
    assert c.call("StatusNotification", {"whatever": 1}) == {}
    assert c.refused("Reset", {}).code == "NotSupported"
    c.close()


def test_text_around_the_frame_is_a_deviation():
    beat = '[2,"1","Heartbeat",{}]'
    for kind, text in (("bom", "\ufeff" + beat), ("nul_byte", beat + "\0"),
                       ("trailing_garbage", beat + "x"),
                       ("trailing_garbage", beat + beat)):
        g = shared()
        c = Charger(g, "AROUND")
        before = g.stat("deviations", kind)
        c.send(text)
        c.get("1")
        assert g.stat("deviations", kind) == before + 1, kind
        c.close()
        c = Charger(shared(**STRICT), "AROUND")
        c.send(text)
        m = json.loads(c.message())
        assert m[:3] == [4, "1", F], (kind, m)
        c.close()


def test_payloads_that_cannot_be_used_are_refused_by_lenient_validation_too():
    g = shared()
    c = Charger(g, "NONSENSE")
    for action, payload, code in (
            ("StatusNotification", status(connectorId="one"), T),
            ("StatusNotification", '{"connectorId":1,"errorCode":"NoError"}', M),
            ("Authorize", '{}', M), ("Authorize", '{"idTag":{}}', T)):
        e = c.refused(action, payload)
        assert e.code == code, (action, payload, e)
    c.close()


# --- transactions: a message about one must not be lost, whatever its errors -------

TRANSACTIONAL = {
    "StartTransaction": ({"connectorId": 1, "idTag": "T", "meterStart": 0,
                          "timestamp": WHEN, "reservationId": 1}, "transaction.started"),
    "StopTransaction": ({"transactionId": 1, "meterStop": 5, "timestamp": WHEN,
                         "idTag": "T", "reason": "Local", "transactionData": [METER, METER]},
                        "transaction.stopped"),
    "MeterValues": ({"connectorId": 1, "transactionId": 1, "meterValue": [METER, METER]},
                    "transaction.meter_values")}
ODDITIES = (None, {}, [], "", "x", 0, -1, 1.5, True, [None], {"a": [1]}, [[]], "\ud83d")


def places(value, found):
    """Returns the parts of a payload that can be changed: (container, key)."""
    for k in (value if isinstance(value, dict) else range(len(value))):
        found.append((value, k))
        if isinstance(value[k], (dict, list)):
            places(value[k], found)
    return found


def break_something(random, payload):
    where, key = random.choice(places(payload, [(payload, None)]))
    if key is None or random.random() < 0.2:
        payload["vendorThing"] = copy.deepcopy(random.choice(ODDITIES))
    elif random.random() < 0.3 and isinstance(where, dict):
        del where[key]
    else:
        where[key] = copy.deepcopy(random.choice(ODDITIES))


def test_transaction_messages_are_answered_whatever_their_errors():
    seed = int(os.environ.get("OCPPD_TEST_SEED", "20261128"))
    random = random_module.Random(seed)
    g = shared(ocpp_violation_rate=0)
    c = Charger(g, "BROKEN")
    made = 0
    for round in range(300):
        action, (payload, type) = random.choice(list(TRANSACTIONAL.items()))
        payload = json.loads(json.dumps(payload))
        for _ in range(random.randint(1, 3)):
            break_something(random, payload)
        try:
            answer = c.call(action, json.dumps(payload).replace("\\\\u", "\\u"))
        except CallError as e:
            raise AssertionError("seed %d, round %d: %s %s: %s" % (
                seed, round, action, payload, e))
        assert action != "StartTransaction" or answer["transactionId"] > 0, answer
        made += 1
    events = [e for e in g.wait_events(cp="BROKEN")
              if e["eventType"].startswith("transaction.")]
    # A StartTransaction that is sent twice with the same errors is one StartTransaction.
    assert len(events) > made * 0.8, (len(events), made)
    assert len([e for e in events if "deviations" in e]) > made / 2, seed
    c.close()


def test_a_stop_without_a_transaction_id_is_accepted_with_its_deviation():
    g = shared()
    c = Charger(g, "NOID")
    for id, deviations in (("null", ["null_field"]), ("{}", ["wrong_type"]),
                           ('"1x"', ["wrong_type"])):
        assert c.call("StopTransaction", '{"transactionId":%s,"meterStop":1,'
                      '"timestamp":"%s"}' % (id, WHEN)) == {}
        e = g.wait_events(cp="NOID", type="transaction.stopped")[-1]
        assert e["deviations"] == deviations, e
    assert c.call("StopTransaction", '{"meterStop":1,"timestamp":"%s"}' % WHEN) == {}
    e = g.wait_events(cp="NOID", type="transaction.stopped")[-1]
    assert e["deviations"] == ["missing_field"], e
    # A payload that is not an object cannot be used; the violation has the whole frame.
    long = "x" * 3000
    e = c.refused("StopTransaction", '["%s"]' % long)
    assert e.code == F, e
    e = g.wait_events(cp="NOID", type="protocol.violation")[-1]
    assert long in e["payload"]["frame"], e
    c.close()


def test_strict_validation_accepts_valid_payloads_in_every_spelling():
    g = shared(**STRICT)
    c = Charger(g, "SPELLED")
    for when in ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.1Z",
                 "2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00+05:30",
                 "2026-01-31T12:00:00.5-08:00", "2024-02-29T23:59:59Z"):
        c.call("StatusNotification", status(timestamp=when))
    for when in ("2026-02-30T12:00:00Z", "2026-01-31T25:00:00Z", "yesterday"):
        assert c.refused("StatusNotification", status(timestamp=when)).code == P
    c.call("DataTransfer", '{"\\u0076endorId":"escaped name"}')
    c.call("DataTransfer", {"vendorId": "ü" * 255})
    assert c.refused("DataTransfer", {"vendorId": "ü" * 256}).code == P
    c.close()


def test_a_number_in_a_message_does_not_determine_the_size_of_memory():
    g = shared()
    c = Charger(g, "HUGE")
    c.boot()

    def memory():
        with open("/proc/%d/status" % g.worker_pid(0)) as f:
            return int(re.search(r"RssAnon:\s+(\d+)", f.read())[1])
    before = memory()
    for n in ("1850027108", "99999999999999999999", "-1", "1e308"):
        got = c.call("StatusNotification", '{"connectorId":%s,"status":'
                     '"Available","errorCode":"NoError"}' % n)
        assert got == {}, (n, got)
    assert memory() < before + 8192, (before, memory())
    c.close()


# --- answers are settings ----------------------------------------------------------

def test_the_answers_are_settings():
    g = shared(answers_Authorize="blocked", answers_DataTransfer="accept",
               answers_SignCertificate="accept",
               answers_BootNotification="pending")
    c = Charger(g, "SETTINGS")
    assert c.call("Authorize", {"idTag": "T"}) == \
        {"idTagInfo": {"status": "Blocked"}}
    assert c.start()["idTagInfo"] == {"status": "Blocked"}
    assert c.stop(1, idTag="T") == {"idTagInfo": {"status": "Blocked"}}
    assert c.call("DataTransfer", {"vendorId": "V"}) == \
        {"status": "Accepted"}
    assert c.call("SignCertificate", {"csr": "x"}) == {"status": "Accepted"}
    assert c.boot()["status"] == "Pending"
    assert g.show("SETTINGS")["connection"]["boot"] == "Pending"
    c.close()
    g = shared(answers_Authorize="invalid", answers_DataTransfer="reject",
               answers_BootNotification="reject")
    c = Charger(g, "SETTINGS")
    assert c.call("Authorize", {"idTag": "T"}) == \
        {"idTagInfo": {"status": "Invalid"}}
    assert c.call("DataTransfer", {"vendorId": "V"}) == {"status": "Rejected"}
    assert c.boot()["status"] == "Rejected"
    c.close()


def test_the_heartbeat_interval_differs_between_charge_points_and_is_constant_for_each():
    g = shared(ocpp_heartbeat_interval="100s", ocpp_heartbeat_jitter="20")
    seen = {}
    for again in range(2):
        for i in range(30):
            c = Charger(g, "BEAT%d" % i)
            n = c.boot()["interval"]
            assert 80 <= n <= 120, n
            assert seen.setdefault(i, n) == n
            c.close()
    assert len(set(seen.values())) > 8, seen
    c = Charger(shared(), "BEAT")
    assert c.boot()["interval"] == 10
    c.close()


def test_the_time_in_answers_is_now():
    import datetime
    g = shared()
    c = Charger(g, "NOW")
    text = c.call("Heartbeat")["currentTime"]
    then = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs((now - then).total_seconds()) < 2
    c.close()


if __name__ == "__main__":
    main()
