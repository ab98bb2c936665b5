#!/usr/bin/python3
"""OCPP-J 1.6: the frame around the messages, and the errors of charge points in it.
Lenient validation is the default; strict validation follows the specification
literally."""

from lib import *

STRICT = dict(ocpp_validation="strict")


def both():
    """Returns a lenient and a strict gateway."""
    return [shared(), shared(**STRICT)]


def reply(c, text):
    """Returns the answer to these bytes, decoded from JSON."""
    c.send(text)
    return json.loads(c.message())


# --- CALLs --------------------------------------------------------------------

def test_a_call_is_answered_with_exactly_three_elements():
    for g in both():
        c = Charger(g, "THREE")
        c.send('[2,"19223201","Heartbeat",{}]')
        text = c.message()
        assert re.fullmatch(r'\[3,"19223201",\{"currentTime":"\d{4}-\d\d-\d\d'
                            r'T\d\d:\d\d:\d\d\.\d{3}Z"\}\]', text), text
        c.close()


def test_white_space_around_the_elements_is_accepted():
    for g in both():
        c = Charger(g, "BLANKS")
        got = reply(c, ' [ 2 , "1" ,\r\n\t"Heartbeat" , { } ] \n')
        assert got[0] == 3 and got[1] == "1"
        c.close()


def test_an_id_of_36_characters_is_repeated_unchanged():
    for g in both():
        c = Charger(g, "ID36")
        for id in ("x" * 36, "ü" * 36, "a b", "", "\\u0041", "\\\"", "0"):
            c.send('[2,"%s","Heartbeat",{}]' % id)
            text = c.message()
            assert text.startswith('[3,"%s",{' % id), (id, text)
        c.close()


def test_an_id_of_37_characters_gets_a_callerror():
    for g in both():
        c = Charger(g, "ID37")
        got = reply(c, '[2,"%s","Heartbeat",{}]' % ("y" * 37))
        assert got[:3] == [4, "y" * 37, "FormationViolation"], got
        assert got[4] == {} and "36" in got[3]
        c.boot()
        c.close()


def test_a_call_with_an_earlier_id_is_a_new_call():
    g = shared()
    c = Charger(g, "SAMEID")
    for tag in ("A", "B"):
        assert c.call("Authorize", {"idTag": tag}, id="1")
    e = g.wait_events(2, cp="SAMEID", type="authorization.requested")
    assert [x["payload"]["idTag"] for x in e] == ["A", "B"]
    c.close()


def test_null_and_an_object_without_members_are_empty_payloads():
    g = shared()
    c = Charger(g, "NULL")
    assert reply(c, '[2,"1","Heartbeat",null]')[0] == 3
    assert reply(c, '[2,"2","Heartbeat",{}]')[0] == 3
    got = reply(c, '[2,"3","Authorize",null]')
    assert got[0] == 4, got
    c.close()


def test_names_are_case_sensitive():
    for g in both():
        c = Charger(g, "CASE")
        assert c.refused("heartbeat", {}).code == "NotImplemented"
        c.close()
    c = Charger(shared(**STRICT), "CASE")
    assert c.refused("Authorize", {"idtag": "X"}).code == "FormationViolation"
    c.close()


def test_an_unknown_action_is_not_implemented_and_one_of_the_central_system_not_supported():
    for g in both():
        c = Charger(g, "ACTION")
        e = c.refused("FlyToTheMoon", {"x": 1})
        assert e.code == "NotImplemented" and e.details == {}
        assert c.refused("Reset", {"type": "Soft"}).code == "NotSupported"
        assert c.refused("RemoteStartTransaction", {"idTag": "X"}).code == \
            "NotSupported"
        assert c.refused("", {}).code == "NotImplemented"
        c.boot()
        c.close()


def test_missing_additional_or_wrong_elements_get_a_callerror():
    for g in both():
        c = Charger(g, "ELEMENTS")
        for text in ('[2,"1"]', '[2,"1","Heartbeat"]',
                     '[2,"1","Heartbeat",{},{}]', '[2,"1",5,{}]',
                     '[2,"1",null,{}]', '[2,"1",{},"Heartbeat"]'):
            got = reply(c, text)
            assert got[:3] == [4, "1", "FormationViolation"], (text, got)
            assert isinstance(got[3], str) and got[4] == {}, got
        for payload in ('[]', '"x"', '5', 'true'):
            got = reply(c, '[2,"1","Heartbeat",%s]' % payload)
            assert got[:3] == [4, "1", "FormationViolation"], (payload, got)
        c.boot()
        c.close()


def test_a_missing_field_is_a_protocol_error():
    for g in both():
        c = Charger(g, "MISSING")
        e = c.refused("StatusNotification", {"connectorId": 1, "errorCode": "NoError"})
        assert e.code == "ProtocolError" and "status" in e.description, e
        c.close()


def test_the_error_codes_have_the_spelling_of_16():
    g = shared(**STRICT)
    c = Charger(g, "SPELLING")
    e = c.refused("MeterValues", {"connectorId": 1, "meterValue": []})
    assert e.code == "OccurenceConstraintViolation", e
    e = c.refused("Heartbeat", {"extra": 1})
    assert e.code == "FormationViolation", e
    e = c.refused("Authorize", {"idTag": "x" * 21})
    assert e.code == "PropertyConstraintViolation", e
    e = c.refused("Authorize", {"idTag": 5})
    assert e.code == "TypeConstraintViolation", e
    assert "idTag" in e.description
    c.close()


def strictly(text):
    """Parses JSON by the grammar of RFC 8259. Refuses extensions that other readers
    refuse."""
    def once(pairs):
        assert len({k for k, v in pairs}) == len(pairs), pairs
        return dict(pairs)

    def no(word):
        raise AssertionError(word)
    value = json.loads(text, object_pairs_hook=once, parse_constant=no)
    json.dumps(value, ensure_ascii=False).encode()  # raises an exception for half surrogates
    return value


def test_an_id_is_repeated_in_an_answer_as_valid_json():
    g = shared()
    c = Charger(g, "ODDID")
    for id, echo in (("01", 1), ("007", 7), ("+1", 1), (".5", 0.5), ("1.", 1.0),
                     ('"a\x01\x02\tb"', "a\x01\x02\tb"), ('"\\ud800"', "\ufffd"),
                     ('"\\udc00x"', "\ufffdx"), ('"\\u0000"', "\0"), ('"q\\"\t"', 'q"\t'),
                     ('"%s"' % ("\\ud83d\\ude00" * 36), "\U0001f600" * 36)):
        for payload, first in (("{}", 3), ("[]", 4)):
            c.send('[2,%s,"Heartbeat",%s]' % (id, payload))
            got = strictly(c.message())
            assert got[:2] == [first, echo], (id, got)
    c.close()


def test_an_id_of_more_than_1024_bytes_is_unreadable():
    g = shared()
    c = Charger(g, "ENDLESS")
    before = g.stat("bad_messages")
    for n, readable in ((37, True), (1000, True), (1100, False), (9000, False)):
        c.send('[2,"%s","Heartbeat",{}]' % ("i" * n))
        if readable:
            assert strictly(c.message())[:3] == [4, "i" * n, "FormationViolation"]
    c.send('[2,"%s","Heartbeat",{}]' % ("1" * 40 + "\t"))
    c.boot()
    assert g.stat("bad_messages") == before + 3
    c.close()


def test_escapes_in_strings_are_decoded():
    for g in both():
        c = Charger(g, "ESCAPED")
        c.send(r'[2,"1","\u0048eartb\u0065at",{}]')
        assert "currentTime" in strictly(c.message())[2]
        c.send(r'[2,"2","Status\u004eotification",{"connector\u0049d":1,'
               r'"status":"\u0041vailable","errorCode":"No\u0045rror"}]')
        assert strictly(c.message()) == [3, "2", {}]
        e = g.wait_events(cp="ESCAPED", type="connector.status_changed")[-1]
        assert e["action"] == "StatusNotification", e
        assert e["payload"]["status"] == "Available" and "deviations" not in e, e
        c.close()


def test_the_outcome_of_a_command_is_valid_json_whatever_the_answer():
    g = shared()
    c = Charger(g, "ODDANSWER")
    c.boot()
    for answer, outcome, part in (
            ('[4,ID,"Generic\\u0045rror","d\x02",{}]', "error",
             {"error": {"code": "GenericError", "description": "d\x02", "details": {}}}),
            ('[4,ID,"InternalError","",{"a":01,"b":+1,"c":.5}]', "error",
             {"error": {"code": "InternalError", "description": "",
                        "details": {"a": 1, "b": 1, "c": 0.5}}}),
            ('[4,ID,"quo\\"te",null,null]', "error",
             {"error": {"code": 'quo"te', "description": None, "details": None}}),
            ('[3,ID,{"status":"Accepted","x":007,"y":"\x03"}]', "result",
             {"payload": {"status": "Accepted", "x": 7, "y": "\x03"}}),
            ('[3,ID,"Reset",{"status":"Accepted"}]', "result",
             {"payload": {"status": "Accepted"}, "deviations": ["odd_callresult"]}),
            ('[3,ID,{"status":"Accepted"},{}]', "result",
             {"payload": {"status": "Accepted"}, "deviations": ["odd_callresult"]}),
            ('[4,ID,7,null,{"a":1}]', "error",
             {"error": {"code": "7", "description": None, "details": {"a": 1}}}),
            ('[4,ID,null,null,null]', "error",
             {"error": {"code": "null", "description": None, "details": None}}),
            ('[3,ID,{"status":"Perhaps"}]', "result",
             {"payload": {"status": "Perhaps"}, "deviations": ["unknown_enum"]}),
            ('[3,ID,{}]', "result", {"payload": {}, "violation":
             "status: missing, Reset.conf requires it"})):
        r = background(g.call, "ODDANSWER", "Reset", {"type": "Soft"})
        id = c.take()[0]
        c.send(answer.replace("ID", '"%s"' % id))
        done = r.wait()
        e = g.wait_events(cp="ODDANSWER", type="command.response")[-1]
        assert e["payload"]["outcome"] == done["outcome"] == outcome, e
        for k, v in part.items():
            assert e["payload"][k] == done[k] == v, (answer, k, e, done)
    for path in g.segments():
        with open(path) as f:
            for line in f.read().splitlines():
                if "ODDANSWER" in line:
                    strictly(line)
    c.close()


def test_an_answer_with_an_odd_message_type_is_accepted():
    g = shared()
    c = Charger(g, "ODDTYPE")
    c.boot()
    before = g.stats()
    for head in ('["3",', "[3.0,", "[+3,", "[003,", '["3.00" ,', '[" 3 ",', "[3.,"):
        r = background(g.call, "ODDTYPE", "Reset", {"type": "Soft"})
        c.send('%s"%s",{"status":"Accepted"}]' % (head, c.take()[0]))
        done = r.wait()
        assert done["outcome"] == "result", (head, done)
        assert done["payload"] == {"status": "Accepted"}, done
        assert set(done["deviations"]) & {"odd_type", "leading_zero",
                                           "loose_number"}, (head, done)
    r = background(g.call, "ODDTYPE", "Reset", {"type": "Soft"})
    c.send('["4","%s","NotSupported","",{}]' % c.take()[0])
    done = r.wait()
    assert done["outcome"] == "error" and done["error"]["code"] == "NotSupported", done
    c.send('["2","beat","Heartbeat",{}]')
    assert strictly(c.message())[:2] == [3, "beat"]
    after = g.stats()
    assert after["deviations"]["odd_type"] == before["deviations"]["odd_type"] + 7
    assert after["bad_messages"] == before["bad_messages"]
    c.close()


def test_an_answer_that_cannot_be_read_ends_its_command():
    def tried(g, c, texts):
        for text in texts:
            before = g.stat("bad_messages")
            r = background(g.call, c.identity, "Reset", {"type": "Soft"})
            c.send(text.replace("ID", c.take()[0]))
            done = r.wait()
            assert done["outcome"] == "error", (text, done)
            assert done["error"]["code"] == "FormationViolation", (text, done)
            assert done["error"]["description"], (text, done)
            assert g.stat("bad_messages") == before + 1, text
            e = g.wait_events(cp=c.identity, type="protocol.violation")[-1]
            assert e["payload"]["kind"] == "malformed", e
            assert done["error"]["description"] == e["payload"]["detail"], (done, e)
    g = shared(ocpp_violation_rate=1000)
    c = Charger(g, "UNREADABLE")
    c.boot()
    tried(g, c, ('[3,"ID",{"status":"Accepted",}]', '[3,"ID",{"status":"Accep',
                 '["3","ID",{\'status\':1}]', '[3 , "ID"', '\ufeff[3,"ID",nil]',
                 '[null,"ID",{}]', '[33,"ID",{}]', '[[3],"ID",{}]', '[-3,"ID",{}]',
                 '[4,"ID"]', '[4, "ID", Generic]', '[3.5,"ID",{}]'))
    # An answer with another id or a CALL does not end the command.
    r = background(g.call, "UNREADABLE", "Reset", {"type": "Soft"})
    id = c.take()[0]
    for text in ('[3,"x%s",{]', '[3,"%sx",{]', '[2,"%s",{]', '[3,%s', '[3,{"a":"%s"},{]'):
        c.send(text % id)
    c.result(id, {"status": "Accepted"})
    assert r.wait()["outcome"] == "result"
    c.close()
    strict = shared(ocpp_validation="strict", ocpp_violation_rate=1000)
    c = Charger(strict, "UNREADABLE")
    c.boot()
    tried(strict, c, ('["3","ID",{"status":"Accepted"}]', '[3.0,"ID",{}]', '["4","ID"]'))
    c.close()


def test_transaction_messages_in_odd_frames_are_accepted():
    g = shared()
    c = Charger(g, "ODDFRAME")
    long = "{123e4567-e89b-12d3-a456-426614174000}"     # 38 characters
    stop = '{"transactionId":%d,"meterStop":9,"timestamp":"2026-01-31T12:00:00Z"}'
    for n, (head, tail, deviation) in enumerate((
            ('[2,"%s","StopTransaction",' % long, "]", "long_id"),
            ('[2,%s,"StopTransaction",' % ("9" * 40), "]", "long_id"),
            ('[2,"%s","StopTransaction",' % ("\u00e9" * 150), "]", "long_id"),
            ('[2,"x","StopTransaction",', ",{}]", "long_call"),
            ('[2,"x","StopTransaction",', ',null,"y"]', "long_call"))):
        c.send(head + stop % n + tail)
        got = strictly(c.message())
        assert got == [3, strictly(head[:-1] + "]")[1], {}], got
        e = g.wait_events(cp="ODDFRAME", type="transaction.stopped", n=n + 1)[-1]
        assert e["payload"]["transactionId"] == n and e["deviations"] == [deviation], e
        assert str(got[1]).startswith(e["messageId"]) and e["messageId"], e
    # Other messages get a CALLERROR. With strict validation all of them get one.
    c.send('[2,"%s","Heartbeat",{}]' % long)
    assert strictly(c.message())[:3] == [4, long, "FormationViolation"]
    c.send('[2,"x","Heartbeat",{},{}]')
    assert strictly(c.message())[:3] == [4, "x", "FormationViolation"]
    c.send('[2,"x","StopTransaction",[],{}]')
    assert strictly(c.message())[:3] == [4, "x", "FormationViolation"]
    c.close()
    c = Charger(shared(**STRICT), "ODDFRAME")
    c.send('[2,"%s","StopTransaction",%s]' % (long, stop % 1))
    assert strictly(c.message())[:3] == [4, long, "FormationViolation"]
    c.close()


def test_a_number_as_id_is_repeated_unchanged_if_lenient():
    g = shared()
    c = Charger(g, "NUMID")
    before = g.stat("deviations", "number_id")
    for id in ("7", "-1", "1.50", "12345678901234567890", "1e3"):
        c.send('[2,%s,"Heartbeat",{}]' % id)
        text = c.message()
        assert text.startswith("[3,%s,{" % id), text
    assert g.stat("deviations", "number_id") == before + 5
    c.close()
    c = Charger(shared(**STRICT), "NUMID")
    c.send('[2,7,"Heartbeat",{}]')
    text = c.message()
    assert text.startswith('[4,7,"FormationViolation",'), text
    c.close()


# --- what cannot be answered ----------------------------------------------------

def test_unknown_message_types_are_ignored():
    for g in both():
        c = Charger(g, "TYPES")
        before = g.stats()
        types = ('[5,"1",{}]', '[6,"1","X",{}]', '[0]', '[-1,"1"]', '[99]',
                 '[2.5,"1","Heartbeat",{}]', '[99999999999999999999,"1"]')
        for text in types:
            c.send(text)
        c.boot()  # no other message was received before the answer
        after = g.stats()
        assert after["unknown_types"] == before["unknown_types"] + len(types)
        assert after["call_errors_out"] == before["call_errors_out"]
        assert g.online("TYPES")
        c.close()


def test_unreadable_text_is_counted_ignored_and_reported():
    for g in both():
        c = Charger(g, "GARBAGE")
        before = g.stat("bad_messages")
        bad = ("garbage", "{}", "", "[", '[2,"1","Heartbeat",{}', "null", "5",
               '[2]', '[2,null,"Heartbeat",{}]', '[2,{},"Heartbeat",{}]',
               '[]', '[null]', '[[]]', '["two","1","Heartbeat",{}]', '["x3","1",{}]')
        for text in bad:
            c.send(text)
        c.boot()
        assert g.stat("bad_messages") == before + len(bad)
        e = g.wait_events(cp="GARBAGE", type="protocol.violation")
        assert e[0]["payload"]["kind"] == "unreadable"
        assert e[0]["payload"]["frame"] == "garbage"
        assert e[0]["payload"]["detail"]
        c.close()


def test_deep_nesting_is_refused_and_bounded():
    """The JSON of the message may be valid, so a CALL gets an answer."""
    g = shared()
    for version in ("ocpp1.6", "ocpp2.0.1", "ocpp2.1"):
        c = Charger(g, "DEEP" + version, version)
        for depth in (15, 30000):
            for id in ('"a"', "17", '"%s"' % ("i" * 36)):
                c.send('[2,%s,"DataTransfer",{"vendorId":"v","data":%s%s}]' % (
                    id, "[" * depth, "]" * depth))
                got = json.loads(c.message())
                assert got == [4, json.loads(id), "FormationViolation" if version == "ocpp1.6"
                               else "FormatViolation", "nested deeper than ocpp.max_depth",
                               {}], got
        e = g.wait_events(cp=c.identity, type="protocol.violation")[0]
        assert e["payload"]["detail"] == "nested deeper than ocpp.max_depth", e
        # Other messages are not answered.
        before = g.stat("bad_messages")
        for frame in ('[3,"a",%s]', '[4,"a","GenericError","",%s]', '[%s]', '[2,%s,"a"]'):
            c.send(frame % ("[" * 100 + "]" * 100))
        poll(lambda: g.stat("bad_messages") == before + 4)
        if version == "ocpp1.6":
            c.boot()
        c.close()


def test_after_max_bad_messages_in_a_row_the_connection_is_closed():
    g = shared(ocpp_max_bad_messages="5")
    c = Charger(g, "ROW")
    for _ in range(3):  # a valid message between them resets the count
        for _ in range(4):
            c.send("garbage")
        c.boot()
    for _ in range(5):
        c.send("garbage")
    c.wait_closed(1008)
    e = g.wait_events(cp="ROW", type="charge_point.disconnected")
    assert e[0]["payload"]["reason"] == "bad_messages"


def test_violations_are_reported_at_a_bounded_rate():
    g = shared(ocpp_violation_rate="3", ocpp_violation_frame="16")
    c = Charger(g, "RATE")
    for i in range(10):
        c.send("x" * 40)
    c.boot()
    e = g.wait_events(3, cp="RATE", type="protocol.violation")
    # A new minute of the clock may have begun during the test.
    assert 3 <= len(e) <= 6, len(e)
    assert e[0]["payload"]["frame"] == "x" * 16
    assert e[0]["payload"]["frameLength"] == 40
    assert g.stat("violations_quiet") == 10 - len(e)
    c.close()


# --- answers without a CALL -------------------------------------------------------

def test_answers_without_a_call_are_counted_and_ignored():
    for g in both():
        c = Charger(g, "LATE")
        before = g.stat("late_results")
        c.send('[3,"no-call",{}]')
        c.send('[4,"no-call","GenericError","",{}]')
        c.boot()
        assert g.stat("late_results") == before + 2
        e = g.wait_events(cp="LATE", type="protocol.violation")
        assert e[0]["payload"]["kind"] == "late_result"
        c.close()


def test_answers_with_wrong_elements_are_counted_and_not_answered():
    for g in both():
        c = Charger(g, "WRONG")
        before = g.stat("bad_messages")
        c.send('[3,"x"]')
        c.send('[3,"x",7,8]')
        c.send('[4,"x"]')
        c.boot()
        assert g.stat("bad_messages") == before + 3
        c.close()


# --- CALLs in both directions ------------------------------------------------------

def test_calls_in_both_directions_may_cross():
    g = shared()
    c = Charger(g, "CROSS")
    c.boot()
    h = background(g.call, "CROSS", "ClearCache")
    id, action, payload = c.take()
    assert (action, payload) == ("ClearCache", {})
    assert "currentTime" in c.call("Heartbeat")  # the answer comes before that to the pending CALL
    c.result(id, {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"
    c.close()


def test_a_charge_point_that_does_not_wait_gets_answers_in_order():
    g = shared()
    c = Charger(g, "EAGER")
    ids = [c.put("Authorize", {"idTag": "T%d" % i}) for i in range(100)]
    for id in ids:
        c.get(id)
    e = g.wait_events(100, cp="EAGER", type="authorization.requested")
    assert [x["payload"]["idTag"] for x in e] == ["T%d" % i for i in range(100)]
    c.close()


def test_callerrors_of_charge_points_are_accepted_in_any_form():
    g = shared()
    c = Charger(g, "ERRORS")
    c.boot()
    before = g.stats()["deviations"]
    for form, code in (
            ('[4,%s,"NotSupported","why",{"a":1}]', "NotSupported"),
            ('[4,%s,"FormatViolation","",{}]', "FormatViolation"),
            ('[4,%s,"OccurrenceConstraintViolation","",{}]',
             "OccurrenceConstraintViolation"),
            ('[4,%s,"MadeUp","",{}]', "MadeUp"),
            ('[4,%s,"GenericError",""]', "GenericError"),
            ('[4,%s,"GenericError"]', "GenericError"),
            ('[4,%s,"GenericError",null,null]', "GenericError"),
            ('[4,%s,"GenericError","",{},1]', "GenericError")):
        h = background(g.call, "ERRORS", "ClearCache")
        id = c.take()[0]
        c.send(form % json.dumps(id))
        got = h.wait()
        assert got["outcome"] == "error", (form, got)
        assert got["error"]["code"] == code, (form, got)
    after = g.stats()["deviations"]
    assert after["short_callerror"] >= before["short_callerror"] + 2
    assert after["odd_callerror"] >= before["odd_callerror"] + 2
    c.close()


def test_with_strict_validation_a_callerror_needs_a_description():
    g = shared(**STRICT)
    c = Charger(g, "SHORT")
    c.boot()
    h = background(g.call, "SHORT", "ClearCache")
    c.send('[4,"%s","GenericError",""]' % c.take()[0])
    assert h.wait()["outcome"] == "error"
    h = background(g.call, "SHORT", "ClearCache")
    c.send('[4,"%s","GenericError"]' % c.take()[0])
    got = h.wait()
    assert got["outcome"] == "error", got
    assert got["error"]["code"] == "FormationViolation", got
    c.close()


if __name__ == "__main__":
    main()
