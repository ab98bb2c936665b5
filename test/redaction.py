#!/usr/bin/python3
"""Passwords, keys and PINs of charge points are hidden in all output: in events, taps,
logs, lists and answers to operators, in whatever message they are received."""

import urllib.request

import redis_fleet
from admin import gateway
from http_api import ask
from lib import *
from ocpp2 import STATION, V201, V21, WHEN, Station
from operators import Tap, tapped

CANARY = "canary-of-this-test"
PEM = "-----BEGIN PRIVATE KEY-----\n%s\n" % CANARY
PROFILE = {"messageTimeout": 30, "ocppInterface": "Any", "ocppTransport": "JSON",
           "securityProfile": 2, "ocppCsmsUrl": "wss://cp:%s@csms/" % CANARY,
           "apn": {"apn": "internet", "apnAuthentication": "AUTO",
                   "apnUserName": "VISIBLE", "apnPassword": CANARY, "simPin": 774411},
           "vpn": {"server": "s", "user": "VISIBLE", "password": CANARY, "key": CANARY,
                   "type": "IPSec"}}
OLD_PROFILE = dict(PROFILE, ocppVersion="OCPP20", ocppInterface="Wired0", apn=dict(
    PROFILE["apn"], apnPassword=CANARY), vpn=dict(PROFILE["vpn"], password=CANARY))


def variable(name, **more):
    return dict({"component": {"name": "SecurityCtrlr"}, "variable": {"name": name}}, **more)


HELD = {"attributeStatus": "Accepted", "attributeValue": CANARY}

# (protocol, action, request, answer) of messages that the platform may send.
COMMANDS = (
    ("ocpp1.6", "ChangeConfiguration", {"key": "AuthorizationKey", "value": CANARY},
     {"status": "Rejected"}),
    ("ocpp1.6", "ChangeConfiguration", {"key": "wifiPassword", "value": CANARY},
     {"status": "Accepted"}),
    ("ocpp1.6", "GetConfiguration", {"key": ["AuthorizationKey"]},
     {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": CANARY},
                           {"key": "VISIBLE", "readonly": True, "value": "VISIBLE"}]}),
    ("ocpp1.6", "GetDiagnostics", {"location": "ftp://VISIBLE:%s@host/" % CANARY}, {}),
    ("ocpp1.6", "InstallCertificate", {"certificateType": "CentralSystemRootCertificate",
                                       "certificate": PEM}, {"status": "Accepted"}),
    (V201, "SetVariables", {"setVariableData": [
        variable("BasicAuthPassword", attributeValue=CANARY)]},
     {"setVariableResult": [variable("BasicAuthPassword", attributeStatus="Rejected")]}),
    (V201, "GetVariables", {"getVariableData": [variable("BasicAuthPassword")]},
     {"getVariableResult": [variable("BasicAuthPassword", **HELD), variable("SimPin", **HELD),
                            variable("VISIBLE", **dict(HELD, attributeValue="VISIBLE"))]}),
    (V201, "SetNetworkProfile", {"configurationSlot": 1, "connectionData": OLD_PROFILE},
     {"status": "Accepted"}),
    (V201, "CertificateSigned", {"certificateChain": PEM}, {"status": "Accepted"}),
    (V21, "SetNetworkProfile", {"configurationSlot": 1, "connectionData": dict(
        PROFILE, basicAuthPassword=CANARY)}, {"status": "Accepted"}),
    (V21, "SetVariables", {"setVariableData": [
        variable("VpnKey", attributeValue=CANARY)]},
     {"setVariableResult": [variable("VpnKey", attributeStatus="Accepted")]}),
    (V21, "UpdateFirmware", {"requestId": 1, "firmware": {
        "location": "https://VISIBLE:%s@host/f" % CANARY, "retrieveDateTime": WHEN}},
     {"status": "Accepted"}),
)
# (protocol, action, request) of messages that a charge point may send.
MESSAGES = (
    ("ocpp1.6", "SignCertificate", {"csr": PEM}),
    (V201, "NotifyReport", {"requestId": 1, "generatedAt": WHEN, "seqNo": 0, "reportData": [
        variable("BasicAuthPassword", variableAttribute=[{"value": CANARY}]),
        variable("VISIBLE", variableAttribute=[{"value": "VISIBLE"}])]}),
    (V21, "NotifyEvent", {"generatedAt": WHEN, "seqNo": 0, "eventData": [variable(
        "SimPin", eventId=1, timestamp=WHEN, trigger="Delta", actualValue=CANARY,
        eventNotificationType="HardWiredNotification")]}),
    (V21, "SignCertificate", {"csr": PEM}),
)
# Further messages that a charge point may send: refused, unreadable, late, too many.
FRAMES = (
    '[2,"r1","NotifyReport",{"requestId":"x","variable":{"name":"BasicAuthPassword"},"value":"%s"}]',
    '[2,"r2","NoSuchAction",{"password":"%s"}]',
    '[2,"r3","ChangeConfiguration",{"key":"AuthorizationKey","value":"%s"}]',
    '[2,"r4","x",{"apnPassword":"%s"',
    'password=%s',
    '[3,"late",{"configurationKey":[{"key":"AuthorizationKey","value":"%s"}]}]',
    '[4,"late","GenericError","",{"basicAuthPassword":"%s"}]',
    '[7,"x",{"password":"%s"}]',
    '[3,"late",[{"key":"AuthorizationKey","value":"%s"}]]',
)


def everything(g, points, token):
    """Returns all output of the gateway: (where, text)."""
    for root, _, names in os.walk(g.dir):
        for name in names:
            path = os.path.join(root, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    yield path, f.read().decode("utf-8", "replace")
    words = [["status"], ["connections"], ["refused"], ["stats"], ["events"], ["workers"],
             ["redis"], ["config"]]
    for c in points:
        words += [["show", c.identity], ["why", c.identity], ["events", "--cp", c.identity]]
    for one in words:
        for json_ in ([], ["-j"]):
            p = g.run(*json_, *one)
            yield " ".join(one), p.stdout + p.stderr
    for path in ("charge-points", "status", "events", "refused", "config",
                 *("charge-points/" + c.identity for c in points)):
        request = urllib.request.Request("http://127.0.0.1:%d/v1/%s" % (g.admin, path),
                                         headers={"Authorization": "Bearer " + token})
        with urllib.request.urlopen(request, timeout=DEADLINE) as r:
            yield path, r.read().decode()


def test_no_secret_is_in_any_output():
    for validation in ("lenient", "strict"):
        g = gateway(server_workers="1", ocpp_validation=validation, log_level="debug",
                    ocpp_violation_rate="3600", ocpp_violation_frame="8KiB",
                    ocpp_max_bad_messages="100")
        token = g.ctl("token", "add", "admin", "admin")["token"]
        points = {v: Charger(g, "SECRET" + v, protocols=v) for v in ("ocpp1.6", V201, V21)}
        points["ocpp1.6"].boot()
        for v in (V201, V21):
            points[v].call("BootNotification", {"chargingStation": STATION,
                                                "reason": "PowerUp"})
        tap = Tap(g, "-j", "tap", "*")
        seen = []
        try:
            tapped(g, tap, points["ocpp1.6"])
            for version, action, request, answer in COMMANDS:
                c = points[version]
                # The secret is hidden in the answer to an operator too, also in the details of a
                # CALLERROR.
                for ends in ("result", "error"):
                    r = background(g.run, "call", c.identity, action, json.dumps(request))
                    id, got, payload = c.take()
                    assert payload == request, (action, payload)  # not redacted
                    c.result(id, answer) if ends == "result" else \
                        c.error(id, details=json.dumps(request))
                    p = r.wait()
                    seen.append((action, p.stdout + p.stderr))
            # One more command waits, and one is malformed.
            code, body = ask(g, "POST", "/v1/charge-points/%s/calls/SetNetworkProfile" %
                             points[V21].identity, json.dumps({
                                 "configurationSlot": 1, "connectionData": dict(
                                     PROFILE, apn=dict(PROFILE["apn"], simPin=CANARY))}),
                             token=token)
            assert "simPin" in json.dumps(body), body
            seen.append(("malformed", json.dumps(body)))
            waits = background(g.run, "call", points[V21].identity, "SetVariables", json.dumps(
                {"setVariableData": [variable("VpnKey", attributeValue=CANARY)]}),
                "--timeout", "30s")
            points[V21].take()
            for version, action, request in MESSAGES:
                points[version].call(action, request)
            for c in points.values():
                for text in FRAMES:
                    c.send(text % CANARY)
                c.send('[2,"last","Heartbeat",{}]')
                while json.loads(c.message())[1] != "last":
                    pass
            while True:  # until the tap has shown all messages
                try:
                    seen.append(("tap", tap.line(0.5)))
                except TimeoutError:
                    break
        finally:
            tap.stop()
        seen += everything(g, points.values(), token)
        for where, text in seen:
            assert CANARY not in text, (validation, where, text[
                max(0, text.index(CANARY) - 300):text.index(CANARY) + 40])
            assert "774411" not in text, (validation, where)
        # Values that are not secrets are not hidden, and hidden values are marked.
        for where in ("tap", "events"):
            text = "".join(t for w, t in seen if w == where)
            assert text.count("VISIBLE") > 3 and text.count("***") > 10, where
        waits.wait() if points[V21].close() else None
        g.close()


def in_redis(r):
    """Returns everything that is stored in Redis: (key, text)."""
    for key in r("KEYS", "*"):
        kind = r("TYPE", key)
        yield key, repr({"string": lambda: r("GET", key), "hash": lambda: r("HGETALL", key),
                         "list": lambda: r("LRANGE", key, 0, -1),
                         "set": lambda: r("SMEMBERS", key),
                         "zset": lambda: r("ZRANGE", key, 0, -1),
                         "stream": lambda: r("XRANGE", key, "-", "+")}[kind]())


def test_no_secret_remains_in_redis():
    """The payload of a command is stored until its outcome is known, and not longer."""
    s = redis_fleet.redis()
    r = s.client()
    g = redis_fleet.gateway(s, "a")
    points = {v: Charger(g, "KEPT" + v, protocols=v) for v in ("ocpp1.6", V201, V21)}
    points["ocpp1.6"].boot()
    for v in (V201, V21):
        points[v].call("BootNotification", {"chargingStation": STATION, "reason": "PowerUp"})
    for c in points.values():
        redis_fleet.held_by(r, c.identity, "a")

    def order(cp, name, action, request, **options):
        redis_fleet.order(r, cp, action, json.dumps(request), commandId=name, **options)

    names = []
    for n, (version, action, request, answer) in enumerate(COMMANDS):
        c = points[version]
        for ends in ("result", "error"):
            name = "%s-%d" % (ends, n)
            names.append((c.identity, name, ends))
            order(c.identity, name, action, request)
            id, got, payload = c.take()
            assert payload == request, (action, payload)
            c.result(id, answer) if ends == "result" else \
                c.error(id, details=json.dumps(request))
            redis_fleet.outcome(r, c.identity, name)
    request = {"setVariableData": [variable("VpnKey", attributeValue=CANARY)]}
    order("NOT-HERE", "offline", "SetVariables", request)
    order("NOT-HERE", "expired", "SetVariables", request, ifOffline="wait", deadline="1s")
    order("NOT-HERE", "cancelled", "SetVariables", request, ifOffline="wait")
    assert any(CANARY in text for _, text in in_redis(r))  # the command waits
    redis_fleet.fcall(r, "cancel", "NOT-HERE", "cancelled")
    order(points[V21].identity, "invalid", "SetVariables", dict(request, password=CANARY))
    names += [("NOT-HERE", "offline", "offline"), ("NOT-HERE", "expired", "expired"),
              ("NOT-HERE", "cancelled", "expired"), (points[V21].identity, "invalid", "invalid")]
    for cp, name, word in names:
        assert redis_fleet.outcome(r, cp, name) == word, name
    # The same command gets the same outcome again, and is not sent a second time.
    order("NOT-HERE", "offline", "SetVariables", request)
    for key, text in in_redis(r):
        assert CANARY not in text and "774411" not in text, (key, text[
            max(0, text.find(CANARY) - 300):text.find(CANARY) + 40])
    for c in points.values():
        c.close()
    g.close()


def test_a_payload_without_secrets_keeps_its_bytes():
    g = shared()
    c = Station(g, "BYTES", V201)
    c.boot()
    text = ('{ "requestId" : 1 , "generatedAt":"%s","seqNo":0,\t"reportData":[{"component":'
            '{"name":"C"},"variable":{"name":"Colour"},"variableAttribute":[{"value":"r\\u0065d"}'
            ']}]}' % WHEN)
    c.send('[2,"b1","NotifyReport",%s]' % text)
    assert json.loads(c.message())[:2] == [3, "b1"]
    g.wait_events(cp="BYTES", type="report.received")
    assert any(text in open(path).read() for path in g.segments())
    c.close()


if __name__ == "__main__":
    main()
