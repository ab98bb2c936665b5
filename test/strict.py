#!/usr/bin/python3
"""Every message, event and report of the gateway is valid JSON, whatever it receives.
The test sends unusual ids, strings and numbers of every kind, which depend on a seed.
Each frame, line of the journal, event, answer of ocppctl -j and HTTP body is then parsed
strictly."""

import http.client

from lib import *

SEED = int(os.environ.get("OCPPD_TEST_SEED", random.randrange(1 << 31)))
ROUNDS = 400


def no_constant(word):
    raise ValueError("the bare word %s" % word)


def parse(data, what):
    """Parses one JSON text by the grammar of RFC 8259; it must be UTF-8."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=no_constant)
    except ValueError as e:
        raise AssertionError("seed %d: %s is not JSON: %s: %r" % (SEED, what, e, data[:400]))


class Odd:
    """Returns texts that a faulty charge point might send."""

    STRINGS = ['""', '"a"', '"\\u0048eartbeat"', '"\\ud800"', '"\\udfff\\ud800"',
               '"\\u0000"', '"\x01\x1f"', '"tab\there"', '"\\x41"', '"\\"\\\\\\/"',
               '"\u00e9\u20ac\U0001f600"', '"\u0085\u2028\u202e"', '"\x7f"',
               '"%s"' % ("x" * 36), '"%s"' % ("x" * 37), '"%s"' % ("y" * 9000),
               '"%s"' % ("\\ud83d\\ude00" * 36), '"%s"' % ("\\u0001" * 36),
               '"line\nbreak"', '"<script>"', '"]"', '"\\u005d"']
    NUMBERS = ["0", "-0", "01", "007", "+1", ".5", "1.", "1e5", "1E+05", "-1",
               "1e400", "9007199254740993", "0x10", "1_000", "NaN", "Infinity",
               "-", "--1", "1e", "123456789012345678901234567890"]
    OTHERS = ["null", "true", "false", "[]", "{}", "[1,]", '{"a":1,}', "'a'",
              "nul", "[[[[]]]]", '{"a":1,"a":2}', "", " ", "undefined"]

    def __init__(self, random_):
        self.r = random_

    def value(self):
        return self.r.choice(self.r.choice((self.STRINGS, self.NUMBERS, self.OTHERS)))

    def string(self):
        return self.r.choice(self.STRINGS)

    def object(self):
        n = self.r.randrange(4)
        return "{%s}" % ",".join("%s:%s" % (self.string(), self.value())
                                 for _ in range(n))

    def call(self):
        action = self.r.choice(['"Heartbeat"', '"StatusNotification"',
                                '"DataTransfer"', '"MeterValues"', '"BootNotification"',
                                '"StopTransaction"', self.value()])
        payload = self.r.choice([
            "{}", self.object(), self.value(),
            '{"vendorId":%s,"data":%s}' % (self.string(), self.string()),
            '{"connectorId":%s,"errorCode":"NoError","status":"Available",'
            '"info":%s}' % (self.value(), self.string()),
            '{"transactionId":%s,"meterStop":%s,"timestamp":%s}' % (
                self.value(), self.value(), self.string())])
        return "[2,%s,%s,%s]" % (self.value(), action, payload)

    def frame(self):
        return self.r.choice([
            self.call, self.call, self.call,
            lambda: "[3,%s,%s]" % (self.value(), self.object()),
            lambda: "[4,%s,%s,%s,%s]" % (self.value(), self.string(),
                                         self.string(), self.object()),
            lambda: "[%s,%s]" % (self.value(), self.value()),
            lambda: "[2,%s,%s,%s,%s]" % (self.value(), self.value(),
                                         self.value(), self.value()),
            self.value])()


def gateway(**settings):
    port = free_port()
    g = Gateway(server_workers=1, ocpp_max_bad_messages=10000,
                ocpp_violation_rate=3600, ocpp_call_hold="0s", journal_retention="1h",
                admin_listen="127.0.0.1:%d" % port, **settings)
    g.admin = port
    return g


def everything_parses(g):
    lines = 0
    for path in g.segments():
        with open(path, "rb") as f:
            for line in f.read().split(b"\n")[1:-1]:
                parse(line, "a line of the journal")
                lines += 1
    assert lines > 0
    for line in g.ctl("events", json_=False).split("\n")[:-1]:    # U+2028 does not end a line here
        parse(line, "a line of ocppctl events")
    for words in (["status"], ["health"], ["stats"], ["connections"], ["refused"],
                  ["workers"], ["show", "ODD"], ["config"], ["errors"]):
        code, body = g.ask("-j", *words)
        parse(body, "the answer to -j %s" % " ".join(words))
    h = http.client.HTTPConnection("127.0.0.1", g.admin, timeout=DEADLINE)
    h.request("GET", "/health")
    parse(h.getresponse().read(), "/health")
    h.close()


def play(validation):
    odd = Odd(random.Random(SEED))
    g = gateway(ocpp_validation=validation)
    c = Charger(g, "ODD")
    c.boot()
    tap = subprocess.Popen([OCPPCTL, "-s", g.control, "-j", "tap", "ODD"],
                           stdout=subprocess.PIPE)
    poll(lambda: (c.call("Heartbeat"), select.select([tap.stdout], [], [], 0)[0])[1],
         what="the tap's first frame")
    came = 0
    for i in range(ROUNDS):
        text = odd.frame()
        c.send(text)
        if i % 20 == 19:    # the gateway does not answer more frames at once
            mark = "mark-%d" % i
            c.put("Heartbeat", {}, mark)
            while True:
                m = parse(c.message(), "a frame")
                came += 1
                if isinstance(m, list) and m[0] == 3 and m[1] == mark:
                    break
    assert came > ROUNDS // 20 * 2, came
    g.wait_events(3, type="protocol.violation")
    everything_parses(g)
    tap.terminate()
    # The last line may be incomplete, because the tap was ended.
    for line in tap.stdout.read().split(b"\n")[:-1]:
        parse(line, "a line of the tap")
    tap.stdout.close()
    tap.wait()
    g.close()


def test_messages_that_lenient_validation_accepts_are_written_as_json():
    play("lenient")


def test_messages_that_strict_validation_refuses_are_reported_as_json():
    play("strict")


def test_the_outcome_of_a_command_is_json_whatever_the_answer():
    odd = Odd(random.Random(SEED + 1))
    g = gateway()
    c = Charger(g, "ODD")
    c.boot()
    for i in range(60):
        call = background(lambda: g.ask("-j", "call", "ODD", "ClearCache", "--timeout", "1s"))
        id, _, _ = c.take()
        c.send(odd.r.choice([
            lambda: '[3,"%s",%s]' % (id, odd.object()),
            lambda: '[3,"%s",{"status":%s}]' % (id, odd.value()),
            lambda: '[4,"%s",%s,%s,%s]' % (id, odd.string(), odd.string(), odd.object()),
            lambda: '[4,"%s","GenericError",%s,{"a":%s}]' % (id, odd.string(), odd.value()),
            lambda: '[4,"%s"]' % id])())
        c.send('[3,"%s",{"status":"Accepted"}]' % id)  # in case the first answer was not accepted
        _, body = call.wait()
        parse(body, "the outcome of a call")
    g.wait_events(60, type="command.response")
    everything_parses(g)
    g.close()


OTHERS = ("null", "true", "5", "-0", "1e400", "007", '""', '"x"', '"\\ud800"', "[]", "[5]",
          "{}", '{"x":5}')


def variants(payload):
    """Returns the payload as JSON, once for each of its values, which is replaced by a
    value of another type."""
    def places(value, path):
        yield path
        parts = value.items() if isinstance(value, dict) else \
            enumerate(value) if isinstance(value, list) else ()
        for key, part in parts:
            yield from places(part, path + (key,))

    def text(value, path, other):
        if path == ():
            return other
        if not isinstance(value, (dict, list)):
            return json.dumps(value)
        if isinstance(value, list):
            return "[%s]" % ",".join(
                text(v, path[1:] if path and path[0] == i else None, other)
                for i, v in enumerate(value))
        return "{%s}" % ",".join(
            "%s:%s" % (json.dumps(k), text(v, path[1:] if path and path[0] == k else None,
                                           other))
            for k, v in value.items())
    for path in places(payload, ()):
        for other in OTHERS:
            yield text(payload, path, other)


def test_a_value_of_another_type_in_any_place_of_a_message_is_harmless():
    from payloads import ALL
    from ocpp2 import SAME
    calls = {"ocpp1.6": [(action, row[0]) for action, row in ALL.items()],
             "ocpp2.0.1": [row[:2] for row in SAME], "ocpp2.1": [row[:2] for row in SAME]}
    for validation in ("off", "lenient", "strict"):
        g = gateway(ocpp_validation=validation, ocpp_versions=" ".join(calls),
                    auth_mode="none")
        for version in calls:
            c = Charger(g, "ODD-" + version, protocols=version)
            for action, payload in calls[version]:
                texts = list(variants(payload))
                for i, text in enumerate(texts, 1):
                    c.send('[2,"%s-%d","%s",%s]' % (action[:20], i, action, text))
                    if i % 50 == 0 or i == len(texts):
                        c.send('[2,"mark","Heartbeat",{}]')
                        while parse(c.message(), "a frame")[1] != "mark":
                            pass
        everything_parses(g)
        # The events of these messages in the journal are read at the next start.
        g.kill_everything()
        g.start()
        assert Charger(g, "ODD-ocpp1.6").call("Heartbeat")["currentTime"]
        everything_parses(g)
        g.close()


def test_the_record_of_a_refusal_is_json_whatever_the_identity():
    g = gateway(auth_mode="file")
    c = Charger(g, "ODD", open=False)
    for path in ("%00", "%1b%5b31m", "%ff%fe", "a%22b", "%c2%9b", "%e2%80%ae", "x" * 500,
                 "%", "%zz", "..", "a%0ab", "%5c", "%7f", "\u00e9"):
        s = Charger(g, open=False)
        s.raw(("GET /ocpp/%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
               "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n" % path).encode())
        s.wait_end()
    c.sock.close()
    code, body = g.ask("-j", "refused")
    assert code == 200 and len(parse(body, "refused")) >= 10, body
    g.close()


if __name__ == "__main__":
    main()
