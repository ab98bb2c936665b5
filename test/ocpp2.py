#!/usr/bin/python3
"""OCPP 2.0.1 and 2.1: frames, answers and events. Their charge points connect to the
same port as those of 1.6."""

import base64
import urllib.parse

from lib import *

V201, V21 = "ocpp2.0.1", "ocpp2.1"
BOTH = (V201, V21)
WHEN = "2026-01-31T12:00:00.000Z"
STATION = {"model": "M", "vendorName": "V"}
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Station(Charger):
    """A charge point of OCPP 2.x."""

    def __init__(self, g, identity, version=V201, **kw):
        super().__init__(g, identity, protocols=version, **kw)
        self.version = version

    def boot(self, reason="PowerUp"):
        return self.call("BootNotification", {"chargingStation": STATION,
                                              "reason": reason})

    def event(self, kind, tx, seq, **more):
        """Sends a TransactionEvent and returns its answer."""
        return self.call("TransactionEvent", dict({
            "eventType": kind, "timestamp": WHEN, "triggerReason": "Authorized",
            "seqNo": seq, "transactionInfo": {"transactionId": tx}}, **more))

    def reply(self, text):
        self.send(text)
        return json.loads(self.message())


def each(name, **settings):
    """Returns a charge point of each version."""
    g = shared(**settings)
    for version in BOTH:
        yield g, Station(g, name + version[4:], version)


# --- frames ---------------------------------------------------------------------

def test_a_message_without_a_readable_id_is_answered_with_minus_one():
    for g, c in each("UNREAD"):
        before = g.stat("bad_messages")
        for text in ("hello", "{}", '[2,"1","Heartbeat",{}', "[2]",
                     '[2,null,"Heartbeat",{}]', '[2,{"id":1},"Heartbeat",{}]',
                     '[2,"%s","Heartbeat",{}]' % ("x" * 2000)):
            got = c.reply(text)
            assert got[:3] == [4, "-1", "RpcFrameworkError"] and got[4] == {}, got
        assert g.stat("bad_messages") == before + 7
        c.boot()
        c.close()


def test_an_array_that_does_not_begin_with_a_number_is_unreadable():
    """MessageTypeNotSupported is only for a number that is not a message type."""
    for g, c in each("NOTYPE"):
        before = g.stats()
        for text, id in (("[]", "-1"), ("[null]", "-1"), ("[[]]", "-1"), ("[true]", "-1"),
                         ('["2"]', "-1"), ('[{},{}]', "-1"), ('[null,"a"]', "a"),
                         ('["two","b","Heartbeat",{}]', "b"), ('[[2],7,"Heartbeat",{}]', 7)):
            got = c.reply(text)
            assert got[:3] == [4, id, "RpcFrameworkError"] and got[4] == {}, (text, got)
        after = g.stats()
        assert after["bad_messages"] == before["bad_messages"] + 9
        assert after["unknown_types"] == before["unknown_types"]
        c.boot()
        c.close()


def test_only_messages_that_may_be_calls_are_answered():
    for g, c in each("NOLOOP"):
        for text in ('[3]', '[4,"-1"]', '[4', '[4,null,"GenericError","",{}]', '[5]',
                     '[6]', ' [ 3 , {} ]', '[4,"-1","RpcFrameworkError","",{}]',
                     '[3,"x",{}]', '[5,"x","GenericError","",{}]', '["3","x",{}]',
                     '["4","-1","RpcFrameworkError","",{}]', '[04', '[+4,"x"',
                     '\ufeff[4,"-1"', '\ufeff[3', '[ "5" ]', '[3.5,"x"]', '[31',
                     '[6,"x","NoSuchAction",{}]', '[6,"x","Heartbeat",{}]'):
            c.send(text)
        c.send('[2,"last","Heartbeat",{}]')
        got = json.loads(c.message())
        assert got[:2] == [3, "last"], got
        c.close()


def test_an_unknown_message_type_is_answered_by_201_and_ignored_by_21():
    for g, c in each("TYPE"):
        before = g.stat("unknown_types")
        for text, id in (('[7,"1","X",{}]', "1"), ('[0]', "-1"), ('[1,"%s"]' % ("x" * 40),
                         "x" * 40), ('[2.5,"a","Heartbeat",{}]', "a"),
                         ('[99999999999999999999,"b"]', "b")):
            c.send(text)
            if c.version == V201:
                got = json.loads(c.message())
                assert got[:3] == [4, id, "MessageTypeNotSupported"], got
        c.boot()
        assert g.stat("unknown_types") == before + 5
        c.close()


def test_the_error_codes_have_the_spelling_of_2x():
    for g, c in each("CODES", ocpp_validation="strict"):
        for action, payload, code in (
                ("NoSuchAction", {}, "NotImplemented"), ("Heartbeat-Signed", {}, "NotImplemented"),
                ("Reset", {"type": "Immediate"}, "NotSupported"),
                ("Heartbeat", {"x": 1}, "FormatViolation"), ("Heartbeat", [], "FormatViolation"),
                ("BootNotification", {"reason": "PowerUp"}, "OccurrenceConstraintViolation"),
                ("BootNotification", {"reason": "Fun", "chargingStation": STATION},
                 "PropertyConstraintViolation"),
                ("SecurityEventNotification", {"type": 1, "timestamp": WHEN},
                 "TypeConstraintViolation"),
                ("MeterValues", {"evseId": 1, "meterValue": []},
                 "OccurrenceConstraintViolation"),
                ("Heartbeat", {"customData": {}}, "OccurrenceConstraintViolation")):
            e = c.refused(action, payload)
            assert e.code == code, (action, payload, e)
        assert c.call("Heartbeat", {"customData": {"vendorId": "V", "x": [1]}})
        c.close()


def test_a_payload_of_2x_is_an_object():
    """In 1.6 it may also be null."""
    for validation in ("strict", "lenient"):
        for g, c in each("NULL", ocpp_validation=validation):
            before = g.stat("deviations", "null_field")
            c.send('[2,"n","Heartbeat",null]')
            got = json.loads(c.message())
            if validation == "strict":
                assert got[:3] == [4, "n", "FormatViolation"], got
            else:
                assert got[0] == 3 and g.stat("deviations", "null_field") == before + 1, got
            c.send('[2,"a","Authorize",null]')
            assert json.loads(c.message())[0] == 4
            c.close()


def test_a_send_is_an_event_and_is_not_answered():
    g = shared()
    c = Station(g, "STREAM", V21)
    c.boot()
    data = {"id": 1, "pending": 0, "basetime": WHEN, "data": [{"t": 0.5, "v": "7"}]}
    before = g.stats()
    c.send('[6,"s1","NotifyPeriodicEventStream",%s]' % json.dumps(data))
    c.send('[6,"s2","NotifyPeriodicEventStream",{"id":[]}]')  # an invalid SEND is ignored
    c.call("Heartbeat")
    e = g.wait_events(cp="STREAM", type="stream.data")
    assert [x["payload"] for x in e] == [data] and "answer" not in e[0], e
    assert e[0]["messageId"] == "s1" and e[0]["protocol"] == V21, e
    assert g.stat("sends_in") == before["sends_in"] + 1
    assert g.stat("calls_in", "NotifyPeriodicEventStream") == \
        before["calls_in"]["NotifyPeriodicEventStream"] + 2
    e = c.refused("NotifyPeriodicEventStream", data)
    assert e.code == "MessageTypeNotSupported", e
    c.close()


def test_results_that_cannot_be_used_are_answered_in_21():
    for g, c in each("RESULT"):
        c.boot()
        for answer, outcome in (("[3,ID,{}]", "result"), ('[3,ID]', "error")):
            r = background(g.call, c.identity, "Reset", {"type": "Immediate"})
            id = c.take()[0]
            c.send(answer.replace("ID", json.dumps(id)))
            assert r.wait()["outcome"] == outcome
            if c.version == V21:
                got = json.loads(c.message())
                assert got[:2] == [5, id] and len(got) == 5, got
        c.call("Heartbeat")
        if c.version == V21:
            before = g.stat("result_errors")
            c.send('[5,"1","FormatViolation","what?",{}]')
            c.call("Heartbeat")
            assert g.stat("result_errors") == before + 1
            poll(lambda: [e for e in g.events(cp=c.identity, type="protocol.violation")
                          if e["payload"]["kind"] == "result_error"],
                 what="the event of the violation")
        c.close()


def test_the_ids_of_commands_end_with_the_name_of_the_gateway():
    g = shared()
    c = Station(g, "IDS")
    c.boot()
    seen = set()
    for _ in range(3):
        r = background(g.call, "IDS", "GetLocalListVersion")
        id = c.take()[0]
        c.result(id, {"versionNumber": 1})
        assert r.wait()["outcome"] == "result"
        assert re.fullmatch(r"[0-9a-f]{16}-.+", id) and len(id) <= 36, id
        seen.add(id)
    assert len(seen) == 3
    c.close()


# --- boot -------------------------------------------------------------------------

def test_before_the_boot_is_accepted_only_requested_messages_are_answered():
    for word in ("pending", "reject"):
        for g, c in each("EARLY" + word, answers_BootNotification=word):
            # After a mere reconnection no BootNotification is needed.
            assert c.call("Heartbeat")["currentTime"]
            assert c.boot()["status"] == {"pending": "Pending", "reject": "Rejected"}[word]
            status = {"timestamp": WHEN, "connectorStatus": "Available", "evseId": 1,
                      "connectorId": 1}
            for action, payload in (("Heartbeat", {}), ("StatusNotification", status)):
                e = c.refused(action, payload)
                assert e.code == "SecurityError", (action, e)
            if word == "reject":
                c.close()
                continue
            out = g.call(c.identity, "RequestStartTransaction", {
                "remoteStartId": 1, "idToken": {"idToken": "T", "type": "Central"}},
                "--timeout", "1s")
            assert out["outcome"] == "expired", out
            r = background(g.call, c.identity, "TriggerMessage",
                           {"requestedMessage": "StatusNotification"})
            c.result(c.take()[0], {"status": "Rejected"})
            assert r.wait()["outcome"] == "result"
            assert c.refused("StatusNotification", status).code == "SecurityError"
            assert g.show(c.identity)["connection"]["boot"] == "Pending"
            c.close()


def test_a_pending_charge_point_may_send_only_requested_messages():
    status = {"timestamp": WHEN, "connectorStatus": "Available", "evseId": 1,
              "connectorId": 1}
    parts = {"requestId": 1, "generatedAt": WHEN, "seqNo": 0}
    meter = {"evseId": 1, "meterValue": [{"timestamp": WHEN, "sampledValue": [{"value": 1}]}]}
    sent = {"StatusNotification": status, "NotifyReport": parts, "Heartbeat": {},
            "SignCertificate": {"csr": "x"}, "MeterValues": meter,
            "LogStatusNotification": {"status": "Idle"},
            "FirmwareStatusNotification": {"status": "Idle"},
            "TransactionEvent": transaction("Started"),
            "NotifyEvent": {"generatedAt": WHEN, "seqNo": 0, "eventData": [STATE]},
            "NotifyMonitoringReport": parts, "Authorize": {"idToken": TOKEN}}

    def trigger(word):
        return "TriggerMessage", {"requestedMessage": word}
    for g, c in each("PERMIT", answers_BootNotification="pending"):
        c.boot()
        may = set()

        def check():
            got = set()
            for action, payload in sent.items():
                try:
                    c.call(action, payload)
                    got.add(action)
                except CallError as e:
                    assert e.code == "SecurityError", (action, e)
            assert got == may, (c.version, got, may)
        check()
        for command, payload, gains in (
                (*trigger("StatusNotification"), {"StatusNotification", "NotifyEvent"}),
                ("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"},
                 {"NotifyReport"}),
                (*trigger("SignChargingStationCertificate"), {"SignCertificate"}),
                (*trigger("Heartbeat"), {"Heartbeat"}),
                (*trigger("BootNotification"), set())):
            r = background(g.call, c.identity, command, payload)
            c.result(c.take()[0], {"status": "Accepted"})
            assert r.wait()["outcome"] == "result"
            may |= gains
            check()
        # The interval begins again with the next answer to a BootNotification, and with the
        # next connection.
        c.boot()
        may = set()
        check()
        r = background(g.call, c.identity, *trigger("Heartbeat"))
        c.result(c.take()[0], {"status": "Accepted"})
        assert r.wait()["outcome"] == "result"
        may = {"Heartbeat"}
        check()
        c.close()
        c = Station(g, c.identity, c.version)
        c.boot()
        may = set()
        check()
        c.close()


# --- every message, its answer and its event --------------------------------------

HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "n", "issuerKeyHash": "k",
        "serialNumber": "7"}
PERIOD = [{"startPeriod": 0, "limit": 16.0}]
SCHEDULE = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": PERIOD}
MONITOR = {"eventId": 1, "timestamp": WHEN, "trigger": "Delta", "actualValue": "x",
           "eventNotificationType": "HardWiredNotification",
           "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 2}},
           "variable": {"name": "Problem"}}
STATE = dict(MONITOR, variable={"name": "AvailabilityState"}, actualValue="Occupied")
TOKEN = {"idToken": "T", "type": "Central"}


def transaction(kind, **more):
    return dict({"eventType": kind, "timestamp": WHEN, "triggerReason": "Trigger",
                 "seqNo": 1, "transactionInfo": {"transactionId": "t"}}, **more)


def report(**more):
    return dict({"requestId": 4, "seqNo": 0, "generatedAt": WHEN}, **more)


# (action, payload, answer, event) of both versions; "T" represents a time.
SAME = (
    ("BootNotification", {"chargingStation": STATION, "reason": "PowerUp"},
     {"currentTime": "T", "interval": 300, "status": "Accepted"}, "charge_point.booted"),
    ("Heartbeat", {}, {"currentTime": "T"}, "charge_point.heartbeat"),
    ("Authorize", {"idToken": TOKEN}, {"idTokenInfo": {"status": "Accepted"}},
     "authorization.requested"),
    ("Authorize", {"idToken": TOKEN, "certificate": "PEM"},
     {"idTokenInfo": {"status": "Invalid"}, "certificateStatus": "CertChainError"},
     "authorization.requested"),
    ("Authorize", {"idToken": TOKEN, "iso15118CertificateHashData":
                   [dict(HASH, responderURL="u")]},
     {"idTokenInfo": {"status": "Invalid"}, "certificateStatus": "CertChainError"},
     "authorization.requested"),
    ("TransactionEvent", transaction("Started"), {}, "transaction.started"),
    ("TransactionEvent", transaction("Updated", idToken=TOKEN),
     {"idTokenInfo": {"status": "Accepted"}}, "transaction.updated"),
    ("TransactionEvent", transaction("Ended", seqNo=2), {}, "transaction.stopped"),
    ("MeterValues", {"evseId": 1, "meterValue": [
        {"timestamp": WHEN, "sampledValue": [{"value": 1.5}]}]}, {},
     "transaction.meter_values"),
    ("StatusNotification", {"timestamp": WHEN, "connectorStatus": "Occupied", "evseId": 1,
                            "connectorId": 1}, {}, "connector.status_changed"),
    ("NotifyEvent", {"generatedAt": WHEN, "seqNo": 0, "eventData": [MONITOR]}, {},
     "monitor.event"),
    ("NotifyEvent", {"generatedAt": WHEN, "seqNo": 0, "eventData": [MONITOR, STATE]}, {},
     "connector.status_changed"),
    ("DataTransfer", {"vendorId": "V", "data": [1, {"any": None}]},
     {"status": "UnknownVendorId"}, "data_transfer.received"),
    ("SignCertificate", {"csr": "PEM"}, {"status": "Rejected"}, "certificate.requested"),
    ("Get15118EVCertificate", {"iso15118SchemaVersion": "s", "action": "Install",
                               "exiRequest": "e"},
     {"status": "Failed", "exiResponse": ""}, "certificate.requested"),
    ("GetCertificateStatus", {"ocspRequestData": dict(HASH, responderURL="u")},
     {"status": "Failed"}, "certificate.requested"),
    ("SecurityEventNotification", {"type": "SettingSystemTime", "timestamp": WHEN}, {},
     "security.event"),
    ("FirmwareStatusNotification", {"status": "Downloaded"}, {}, "firmware.status_changed"),
    ("PublishFirmwareStatusNotification", {"status": "Idle"}, {}, "firmware.status_changed"),
    ("LogStatusNotification", {"status": "Idle"}, {}, "log.status_changed"),
    ("NotifyReport", report(tbc=True), {}, "report.received"),
    ("NotifyMonitoringReport", report(), {}, "report.received"),
    ("NotifyCustomerInformation", report(data="d"), {}, "report.received"),
    ("NotifyDisplayMessages", {"requestId": 1}, {}, "report.received"),
    ("ReportChargingProfiles", {
        "requestId": 1, "chargingLimitSource": "EMS", "evseId": 1, "chargingProfile": [{
            "id": 1, "stackLevel": 1, "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute", "chargingSchedule": [SCHEDULE]}]}, {},
     "report.received"),
    ("NotifyChargingLimit", {"chargingLimit": {"chargingLimitSource": "EMS"}}, {},
     "limit.changed"),
    ("ClearedChargingLimit", {"chargingLimitSource": "EMS"}, {}, "limit.changed"),
    ("NotifyEVChargingSchedule", {"timeBase": WHEN, "evseId": 1,
                                  "chargingSchedule": SCHEDULE},
     {"status": "Accepted"}, "charging.needs"),
    ("ReservationStatusUpdate", {"reservationId": 1, "reservationUpdateStatus": "Expired"},
     {}, "reservation.status_changed"),
)
NEEDS = "NotifyEVChargingNeeds"
ONLY = {
    V201: ((NEEDS, {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "DC"}},
            {"status": "Rejected"}, "charging.needs"),),
    V21: ((NEEDS, {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "DC"}},
           {"status": "NoChargingProfile"}, "charging.needs"),
          ("BatterySwap", {"eventType": "BatteryIn", "requestId": 1, "idToken": TOKEN,
                           "batteryData": [{"evseId": 1, "serialNumber": "s", "soC": 1,
                                            "soH": 100}]}, {}, "battery.swapped"),
          ("OpenPeriodicEventStream", {"constantStreamData": {
              "id": 1, "variableMonitoringId": 1, "params": {}}}, {"status": "Rejected"},
           "stream.changed"),
          ("ClosePeriodicEventStream", {"id": 1}, {}, "stream.changed"),
          ("GetCertificateChainStatus", {"certificateStatusRequests": [
              {"source": "CRL", "urls": ["u"], "certificateHashData": HASH},
              {"source": "OCSP", "urls": ["u"], "certificateHashData": HASH}]},
           {"certificateStatus": [
               {"certificateHashData": HASH, "source": s, "status": "Failed",
                "nextUpdate": "T"} for s in ("CRL", "OCSP")]}, "certificate.requested"),
          ("NotifyDERAlarm", {"controlType": "EnterService", "timestamp": WHEN}, {},
           "der.event"),
          ("NotifyDERStartStop", {"controlId": "c", "started": True, "timestamp": WHEN},
           {}, "der.event"),
          ("NotifyPriorityCharging", {"transactionId": "t", "activated": True}, {},
           "limit.changed"),
          ("NotifySettlement", {"pspRef": "p", "status": "Settled", "settlementAmount": 1,
                                "settlementTime": WHEN}, {}, "settlement.received"),
          ("PullDynamicScheduleUpdate", {"chargingProfileId": 1}, {"status": "Rejected"},
           "charging.needs"),
          ("ReportDERControl", {"requestId": 1}, {}, "report.received"),
          ("VatNumberValidation", {"vatNumber": "DE\u00fc1"},
           {"vatNumber": "DE\u00fc1", "status": "Rejected"}, "vat_number.presented")),
}


def timeless(value):
    return json.loads(re.sub('"%s"' % TIME, '"T"', json.dumps(value)))


def test_an_answer_that_repeats_parts_of_its_message_is_bounded():
    """By default an unusual message is accepted, and the answers to these two messages
    repeat parts of it."""
    g = shared()
    c = Station(g, "REPEATS", V21)
    entry = {"source": "CRL", "urls": ["u"], "certificateHashData": HASH}
    got = c.call("GetCertificateChainStatus", {"certificateStatusRequests": [entry] * 900})
    assert len(got["certificateStatus"]) == 4, len(got["certificateStatus"])
    big = dict(entry, certificateHashData=dict(HASH, customData={
        "vendorId": "V", "x": "x" * 100000}))
    for action, payload in (
            ("GetCertificateChainStatus", {"certificateStatusRequests": [big] * 4}),
            ("VatNumberValidation", {"vatNumber": "x" * 300000})):
        e = c.refused(action, payload)
        assert (e.code, e.description) == (
            "InternalError", "the answer to this message would be too long"), e
        v = g.wait_events(cp="REPEATS", type="protocol.violation")[-1]
        assert v["payload"]["kind"] == "too_long", v
    # An answer that is too long for the connection's output buffer is not made.
    small = shared(websocket_max_output_size="16KiB")
    d = Station(small, "SMALL", V21)
    assert d.call("VatNumberValidation", {"vatNumber": "x" * 15000})["status"]
    assert d.refused("VatNumberValidation", {"vatNumber": "x" * 16000}).code == "InternalError"
    c.call("Heartbeat")
    d.call("Heartbeat")
    c.close()
    d.close()
    for path in g.segments():
        with open(path, "rb") as f:
            for line in f.read().split(b"\n")[:-1]:
                json.loads(line)


def test_the_table_has_every_message_of_a_charge_point():
    for version in BOTH:
        names = set()
        folder = "worker/ocpp/" + version.replace(".", "")
        for name in os.listdir(os.path.join(ROOT, folder)):
            with open(os.path.join(ROOT, folder, name)) as f:
                names |= set(re.findall(r"^message (\w+) (?:cp|both) (?!.*\bsend)",
                                        f.read(), re.M))
        have = {row[0] for row in SAME + ONLY[version]}
        assert names == have, (version, names ^ have)


def test_every_message_is_answered_and_makes_its_event():
    for validation in ("strict", "lenient"):
        for g, c in each("ALL" + validation, ocpp_validation=validation,
                         ocpp_heartbeat_events="yes", ocpp_heartbeat_jitter=0,
                         ocpp_heartbeat_interval="300s"):
            rows = SAME + ONLY[c.version]
            before = g.stat("calls_in")
            for action, payload, answer, _ in rows:
                got = c.call(action, payload)
                assert timeless(got) == answer, (c.version, action, got)
            events = g.wait_events(len(rows) + 1, cp=c.identity)[1:]
            assert len(events) == len(rows), (len(events), len(rows))
            for e, (action, payload, answer, type) in zip(events, rows):
                assert e["eventType"] == type, (c.version, action, e)
                assert e["action"] == action and e["protocol"] == c.version, e
                assert e["payload"] == payload and timeless(e["answer"]) == answer, e
                assert "deviations" not in e, e
            after = g.stat("calls_in")
            for action, *_ in ONLY[c.version]:
                assert after[action] == before[action] + 1, action
            c.close()


def test_the_answers_are_settings_for_all_versions():
    g = shared(answers_Authorize="no_credit", answers_DataTransfer="accept",
               answers_NotifyEVChargingNeeds="process", answers_SignCertificate="accept",
               answers_OpenPeriodicEventStream="accept", answers_VatNumberValidation="accept")
    for version, status in ((V201, "NoCredit"), (V21, "NoCredit")):
        c = Station(g, "SET" + version, version)
        assert c.call("Authorize", {"idToken": TOKEN}) == {"idTokenInfo": {"status": status}}
        assert c.event("Started", "t", 0, idToken=TOKEN) == {"idTokenInfo": {"status": status}}
        assert c.call("DataTransfer", {"vendorId": "V"}) == {"status": "Accepted"}
        assert c.call("SignCertificate", {"csr": "x"}) == {"status": "Accepted"}
        assert c.call(*ONLY[version][0][:2]) == {"status": "Processing"}
        c.close()
    c = Charger(g, "SET1.6")
    assert c.call("Authorize", {"idTag": "T"}) == {"idTagInfo": {"status": "Blocked"}}
    c.close()


def test_lenient_validation_accepts_usable_messages_and_names_deviations():
    for g, c in each("LENIENT"):
        row = dict((r[0], r) for r in SAME)["MeterValues"]
        for payload, word in (
                ({"evseId": -1, "meterValue": row[1]["meterValue"]}, "out_of_range"),
                ({"evseId": 1.5, "meterValue": row[1]["meterValue"]}, "decimal_integer"),
                ({"evseId": 1, "meterValue": 7}, "wrong_type")):
            if word == "out_of_range" and c.version == V201:
                continue               # 2.0.1 has no limit for this member
            c.call("MeterValues", payload)
            e = g.wait_events(cp=c.identity, type="transaction.meter_values")[-1]
            assert word in e["deviations"], (c.version, e)
        c.call("Authorize", {"idToken": TOKEN, "iso15118CertificateHashData":
                             [dict(HASH, responderURL="u")] * 5})
        e = g.wait_events(cp=c.identity, type="authorization.requested")[-1]
        assert e["deviations"] == ["long_array"], e
        c.close()


# --- transactions -----------------------------------------------------------------

def test_a_transaction_event_that_is_sent_again_makes_no_second_event():
    for version in BOTH:
        g = Gateway(server_workers=2)
        for worker in (0, 1):
            c = Station(g, "AGAIN%d" % worker, version, worker=worker)
            first = c.event("Started", "t-1", 0, idToken=TOKEN)
            assert c.event("Started", "t-1", 0, idToken=TOKEN, offline=True) == first
            c.event("Updated", "t-1", 2)
            c.event("Updated", "t-1", 1)          # they are sent again in any order
            c.close()
            # They are also sent again on another connection, on another worker, and after a
            # restart of the daemon.
            c = Station(g, c.identity, version, worker=1 - worker)
            c.event("Updated", "t-1", 1)
            c.event("Ended", "t-1", 3)
            c.close()
            g.stop()
            g.start()
            c = Station(g, c.identity, version)
            c.event("Ended", "t-1", 3)
            c.event("Started", "t-1", 0, timestamp="2026-02-01T00:00:00Z")
            got = [e["eventType"][12:] + str(e["tx"]["seq"])
                   for e in g.wait_events(cp=c.identity)
                   if e["eventType"].startswith("transaction.")]
            assert got == ["started0", "updated2", "updated1", "stopped3", "started0"], got
            c.close()
        g.close()


def test_all_events_of_a_session_may_be_sent_again():
    """20 events are remembered, on whichever connection and in whatever order they are sent
    again."""
    for settings in ({}, {"answers_Authorize": "no_credit"}):
        g = Gateway(server_workers=2, **settings)
        for version in BOTH:
            c = Station(g, "WHOLE" + version, version, worker=0)
            token = {"idToken": TOKEN} if settings else {}
            # Events with another number, type or time are different events.
            rows = [("Started", 0, WHEN)] + [("Updated", n, WHEN) for n in range(1, 17)] + [
                ("Updated", 16, "2026-02-01T00:00:00Z"), ("Ended", 16, WHEN), ("Ended", 17, WHEN)]
            assert len(rows) == 20

            def send(kind, seq, when):
                return c.event(kind, "t-1", seq, timestamp=when, **token)
            first = [send(*row) for row in rows]
            count = lambda: len([e for e in g.events(cp=c.identity)
                                 if e["eventType"].startswith("transaction.")])
            before = g.stat("starts_resent")
            c.close()
            c = Station(g, c.identity, version, worker=1)
            assert [send(*row) for row in reversed(rows)] == first[::-1]
            assert g.stat("starts_resent") == before + 20
            c.close()
            g.kill_everything()
            g.start()
            c = Station(g, c.identity, version)
            again = random.sample(range(20), 20)
            assert [send(*rows[i]) for i in again] == [first[i] for i in again]
            c.event("Started", "t-2", 0)
            poll(lambda: count() >= 21)
            assert count() == 21, count()
            c.close()
        g.close()


def test_transactions_of_all_versions_are_described_by_the_same_members():
    g = shared()
    seen = []
    c = Charger(g, "TX1.6")
    tx = c.start(connector=2, tag="CARD", meter=1000)["transactionId"]
    c.call("MeterValues", {"connectorId": 2, "transactionId": tx, "meterValue": [
        {"timestamp": WHEN, "sampledValue": [{"value": "1.5", "unit": "kWh"}]}]})
    c.stop(tx, meter=2000)
    c.close()
    for version in BOTH:
        s = Station(g, "TX" + version, version)
        meter = lambda wh: [{"timestamp": WHEN, "sampledValue": [
            {"value": wh / 1000, "unitOfMeasure": {"unit": "kWh"}}]}]
        s.event("Started", "T7", 0, evse={"id": 1, "connectorId": 2}, meterValue=meter(1000),
                idToken={"idToken": "CARD", "type": "ISO14443"})
        s.event("Updated", "T7", 1, meterValue=meter(1500))
        s.event("Ended", "T7", 2, meterValue=meter(2000))
        s.close()

    def bill(identity):
        """A consumer that reads only tx."""
        sessions = {}
        for e in g.wait_events(5, cp=identity):
            if not e["eventType"].startswith("transaction."):
                continue
            one = sessions.setdefault(e["tx"]["id"], {"wh": []})
            one["wh"].append(e["tx"]["meterWh"])
            one.update({k: e["tx"][k] for k in ("token", "connector", "reason")
                        if k in e["tx"]})
        return sessions
    right = {"wh": [1000, 1500, 2000], "token": "CARD", "connector": 2, "reason": "Local"}
    assert bill("TX1.6") == {str(tx): right}, bill("TX1.6")
    for version in BOTH:
        assert bill("TX" + version) == {"T7": right}, bill("TX" + version)


# --- reports for operators ------------------------------------------------------------

def test_show_has_the_station_its_modem_and_its_last_transaction():
    from admin import gateway       # admin.py imports this file
    from http_api import ask
    g = gateway(server_workers=2)
    old = Charger(g, "SHOW \"\u00fc\"1.6", worker=1)

    def show(identity):
        """Returns `ocppctl show`; the HTTP API returns the same."""
        got = g.ctl("show", identity)
        code, body = ask(g, "GET", "/v1/charge-points/" + urllib.parse.quote(identity))
        assert code == 200
        for key in ("station", "lastTransaction"):
            assert body.get(key) == got.get(key), (key, body, got)
        return got
    old.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M",
                                  "chargePointSerialNumber": "S16", "iccid": "89", "imsi": "26"})
    tx = old.start(meter=5)["transactionId"]
    for version in BOTH:
        c = Station(g, "SHOW" + version, version)
        c.boot()
        got = show(c.identity)
        assert got["station"] == {"vendor": "V", "model": "M"}, got
        assert "lastTransaction" not in got and got["connection"]["protocol"] == version, got
        c.call("BootNotification", {"reason": "PowerUp", "chargingStation": dict(
            STATION, serialNumber="S-7", firmwareVersion="1.2", modem={"iccid": "8949",
                                                                       "imsi": "262"})})
        c.event("Started", "T1", 0)
        c.event("Ended", "T1", 1)
        c.event("Started", "T2", 0, evse={"id": 3})
        c.close()
    for life in range(2):
        for version in BOTH:
            got = show("SHOW" + version)
            assert got["station"] == {
                "vendor": "V", "model": "M", "serialNumber": "S-7", "firmwareVersion": "1.2",
                "iccid": "8949", "imsi": "262"}, got
            last = got["lastTransaction"]
            assert last["tx"]["id"] == "T2" and last["tx"]["evse"] == 3, last
            assert last["eventType"] == "transaction.started" and last["timestamp"], last
            text = g.ctl("show", "SHOW" + version, json_=False)
            assert "serial number    S-7\n" in text and "modem, imsi      262\n" in text, text
            assert re.search(r'^last transaction +\{"id":"T2"', text, re.M), text
        got = show(old.identity)
        assert got["station"] == {"vendor": "V", "model": "M", "serialNumber": "S16",
                                  "iccid": "89", "imsi": "26"}, got
        assert got["lastTransaction"]["tx"]["id"] == str(tx), got
        if life == 0:
            old.close()
            g.stop()
            g.start()
            old = Charger(g, old.identity)
            for version in BOTH:
                Station(g, "SHOW" + version, version).close()
    assert g.run("show", "NOT-HERE").returncode == 1
    g.close()


# --- keys -------------------------------------------------------------------------

def test_a_password_that_is_set_by_a_variable_is_a_new_key():
    old, new = "old-password-of-16", "a new password, quite long"
    other = {"component": {"name": "OCPPCommCtrlr"},
             "variable": {"name": "HeartbeatInterval"}}
    secret = {"component": {"name": "SecurityCtrlr"},
              "variable": {"name": "BasicAuthPassword"}}
    for version in BOTH:
        for status, holds in (("Accepted", new), ("RebootRequired", new), ("Rejected", old)):
            g = Gateway(auth_mode="file")
            code, body = g.ask("auth", "add", "S1", old, "--replace")
            assert code == 200, body

            def login(password, **kw):
                token = base64.b64encode(("S1:" + password).encode()).decode()
                return Station(g, "S1", version, headers=[("Authorization", "Basic " + token)],
                               **kw)

            def works(password):
                token = base64.b64encode(("S1:" + password).encode()).decode()
                c = Charger(g, "S1", open=False)
                s = c.handshake(protocols=version, headers=[
                    ("Authorization", "Basic " + token)]).status
                c.close() if s == 101 else None
                return s == 101
            poll(lambda: works(old))
            c = login(old)
            c.boot()
            # One command sets many variables; the password is one of them.
            data = [dict(other, attributeValue=str(n)) for n in range(19)]
            # In another component, a variable of this name is not the password.
            data.append(dict(other, variable=secret["variable"],
                             attributeValue="not the key of S1 at all"))
            data.append(dict(secret, attributeValue=new))
            r = background(g.call, "S1", "SetVariables", {"setVariableData": data})
            id, action, payload = c.take()
            assert action == "SetVariables" and len(payload["setVariableData"]) == 21
            poll(lambda: json.loads(g.ask("-j", "auth", "list")[1])[0]["has"] == "new key")
            c.result(id, {"setVariableResult":
                          [dict(other, attributeStatus="Rejected") for n in range(19)] +
                          [dict(other, variable=secret["variable"], attributeStatus=
                                "Accepted" if status == "Rejected" else "Rejected")] +
                          [dict(secret, attributeStatus=status)]})
            assert r.wait()["outcome"] == "result"
            poll(lambda: works(holds))
            poll(lambda: not works(new if holds == old else old))
            g.close()


if __name__ == "__main__":
    main()
