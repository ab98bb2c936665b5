#!/usr/bin/python3
"""Runs after all other tests. Every event in their journals, and every outcome of a
command that they got, must be valid by the JSON Schema that ocppd makes from its tables,
and must have no member that the schema does not name. test/run collects one event of each
shape."""

from lib import *


def document():
    return json.loads(subprocess.run([OCPPD, "-x", "schema"], check=True,
                                     stdout=subprocess.PIPE, text=True).stdout)


def closed(schema, closes=True):
    """Returns a copy of the schema in which objects with named properties may have no others.
    (Consumers must ignore members that a later version adds; the tests must detect them.)"""
    if isinstance(schema, list):
        return [closed(x) for x in schema]
    if not isinstance(schema, dict):
        return schema
    got = {k: closed(v) for k, v in schema.items()}
    if got.get("type") == "object" and "properties" in got:
        got["additionalProperties"] = False
    return got


def validator(schema):
    try:
        import jsonschema
    except ImportError:
        raise Skip("python3-jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def damaged(line):
    """Returns True if the checksum is wrong: a test has damaged the file on purpose."""
    text, _, check = line.rpartition(',"crc32c":"')
    return "%08x" % crc32c(text.encode()) != check[:8]


def faults(v, event):
    return ["%s: %s" % ("/".join(map(str, e.absolute_path)), e.message[:300])
            for e in v.iter_errors(event)]


def test_the_schema_and_the_manual_name_the_same_members():
    with open(os.path.join(B, "man", "ocppd-events.7")) as f:
        manual = f.read()
    with open(os.path.join(B, "ocppd-events.schema.json")) as f:
        assert json.load(f) == document()
    defs = document()["$defs"]
    for part in defs.values():
        for name in part.get("properties", ()):
            assert re.search(r"\b%s\b" % name, manual), name


def test_the_schema_refuses_wrong_events():
    v = validator(closed(document()))
    g = Gateway(server_workers="1")
    c = Charger(g, "SCHEMA")
    c.boot()
    good = g.wait_events(type="charge_point.booted")[0]
    assert not faults(v, good), faults(v, good)
    started = g.wait_events(type="gateway.started")[0]
    assert not faults(v, started), faults(v, started)
    for change in ({"eventType": "charge_point.bootet"}, {"eventId": "1-x"},
                   {"timestamp": "2026-01-31T12:00:00Z"}, {"answeredBy": "me"},
                   {"action": "Heartbeat"}, {"deviations": ["odd"]},
                   {"deviations": []}, {"protocol": "ocpp1.5"}, {"extra": 1},
                   {"generation": -1}):
        assert faults(v, dict(good, **change)), change
    for name in ("eventId", "payload", "messageId", "generation"):
        assert faults(v, {k: x for k, x in good.items() if k != name}), name
    assert faults(v, dict(started, payload={"version": "1"}))
    assert faults(v, dict(started, payload={"version": "1", "workers": 1,
                                            "extra": 1}))


def test_events_that_differ_for_the_schema_have_different_shapes():
    """Otherwise a wrong event could be hidden by a right one of the same shape."""
    restricted = set()

    def walk(node):
        if isinstance(node, list):
            for x in node:
                walk(x)
        if not isinstance(node, dict):
            return
        for name, part in node.get("properties", {}).items():
            if not isinstance(part, dict):
                continue
            ref = part.get("$ref", "").rpartition("/")[2]
            if {"enum", "pattern", "const"} & set(part) or "enum" in document()[
                    "$defs"].get(ref, {}):
                restricted.add(name)
        for x in node.values():
            walk(x)
    walk(document())
    assert len(restricted) > 8, restricted
    assert restricted <= WORDS | set(FORMS), restricted - WORDS - set(FORMS)


def test_every_event_and_outcome_of_all_tests_is_valid():
    path = os.environ.get("OCPPD_TEST_SHAPES")
    if not path:
        raise Skip("this test needs a run of all tests")
    v = validator(closed(document()))
    outcome = closed(dict(document()["$defs"]["outcome"]))
    outcome = validator(dict(outcome, **{"$defs": closed(document()["$defs"])}))
    count, wrong, shapes, outcomes = 0, {}, {}, 0
    with open(path) as f:
        for line in f:
            if line.startswith("outcome "):
                o = json.loads(line[len("outcome "):])
                outcomes += 1
                for fault in faults(outcome, o):
                    wrong.setdefault(fault, o)
                continue
            if not line.startswith("{"):
                count += int(line)
                continue
            e = json.loads(line)
            assert e.pop("crc32c"), line
            shapes.setdefault(shape_of(e), (e, line))
    for e, line in shapes.values():
        found = faults(v, e)
        if found and damaged(line):
            continue
        for fault in found:
            wrong.setdefault(fault, e)
    for fault, e in wrong.items():
        print("%s\n    %s" % (fault, json.dumps(e)[:1000]))
    types = {e["eventType"] for e, _ in shapes.values()}
    print("%d events of %d shapes and %d types, %d outcomes" % (
        count, len(shapes), len(types), outcomes))
    assert not wrong, "the schema refuses %d events" % len(wrong)
    assert count > 0 and len(types) > 10, (count, types)
    assert outcomes > 20, outcomes


if __name__ == "__main__":
    main()
