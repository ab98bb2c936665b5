#!/usr/bin/python3
"""OCPP 2.0.1 and 2.1: frames, answers and events of charge points that speak
them, on the same port as those of 1.6."""

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
        """A TransactionEvent."""
        return self.call("TransactionEvent", dict({
            "eventType": kind, "timestamp": WHEN, "triggerReason": "Authorized",
            "seqNo": seq, "transactionInfo": {"transactionId": tx}}, **more))

    def reply(self, text):
        self.send(text)
        return json.loads(self.message())


def each(name, **settings):
    """A station of each version."""
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


def test_only_what_may_be_a_call_is_ever_answered():
    for g, c in each("NOLOOP"):
        for text in ('[3]', '[4,"-1"]', '[4', '[4,null,"GenericError","",{}]', '[5]',
                     '[6]', ' [ 3 , {} ]', '[4,"-1","RpcFrameworkError","",{}]',
                     '[3,"x",{}]', '[5,"x","GenericError","",{}]',
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
                         "x" * 40), ('["2","a","Heartbeat",{}]', "a")):
            c.send(text)
            if c.version == V201:
                got = json.loads(c.message())
                assert got[:3] == [4, id, "MessageTypeNotSupported"], got
        c.boot()
        assert g.stat("unknown_types") == before + 4
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


def test_a_send_is_an_event_and_is_not_answered():
    g = shared()
    c = Station(g, "STREAM", V21)
    c.boot()
    data = {"id": 1, "pending": 0, "basetime": WHEN, "data": [{"t": 0.5, "v": "7"}]}
    before = g.stats()
    c.send('[6,"s1","NotifyPeriodicEventStream",%s]' % json.dumps(data))
    c.send('[6,"s2","NotifyPeriodicEventStream",{"id":[]}]')     # of no use
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


def test_results_that_cannot_be_used_are_answered_by_21():
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
                 what="the violation")
        c.close()


def test_commands_have_ids_that_name_the_gateway():
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

def test_before_its_boot_is_accepted_only_what_was_asked_for_is_answered():
    for word in ("pending", "reject"):
        for g, c in each("EARLY" + word, answers_BootNotification=word):
            # A connection that only came back needs no BootNotification.
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
            c.result(c.take()[0], {"status": "Accepted"})
            assert r.wait()["outcome"] == "result"
            assert c.call("StatusNotification", status) == {}
            assert g.show(c.identity)["connection"]["boot"] == "Pending"
            c.close()


if __name__ == "__main__":
    main()
