#!/usr/bin/python3
"""The HTTP API: who may, what it answers, events with a cursor, and that no
client of it can hold up another or the gateway."""

import http.client
import urllib.request

from lib import *
from admin import gateway, get


def ask(g, method, path, body=None, token=None, host=None, **headers):
    """(status, JSON)"""
    h = http.client.HTTPConnection("127.0.0.1", g.admin, timeout=DEADLINE * 3)
    try:
        if token:
            headers["Authorization"] = "Bearer " + token
        if host:
            headers["Host"] = host
        h.request(method, path, body, headers)
        r = h.getresponse()
        return r.status, json.loads(r.read())
    finally:
        h.close()


def token(g, name, role):
    return g.ctl("token", "add", name, role)["token"]


def test_reading_paths_answer_what_ocppctl_does():
    g = gateway(server_workers="1")
    c = Charger(g, "CP1 ü")
    c.boot()
    for path, words in (("status", ["status"]), ("workers", ["workers"]),
                        ("config", ["config"]), ("redis", ["redis"]),
                        ("refused?limit=5", ["refused"]),
                        ("stats", ["stats"]), ("health", ["health"])):
        code, got = ask(g, "GET", "/v1/" + path)
        want = g.ctl(*words)
        assert code == 200 and type(got) is type(want), path
        if isinstance(got, dict):
            assert set(got) == set(want), path
    code, got = ask(g, "GET", "/v1/charge-points?match=CP*&limit=1")
    assert code == 200 and got["connections"][0]["identity"] == "CP1 ü", got
    one = "/v1/charge-points/CP1%20%C3%BC"
    code, got = ask(g, "GET", one)
    assert code == 200 and got["online"] and got["connection"], got
    code, got = ask(g, "GET", one + "/why")
    assert code == 200 and "is connected since" in got["text"], got
    code, got = ask(g, "GET", "/v1/charge-points/NEVER")
    assert code == 404 and got["error"]["status"] == 404, got
    code, got = ask(g, "GET", "/v1/series")
    assert code == 200 and got["everySeconds"] == 5, got
    assert ask(g, "GET", "/v1/nothing")[0] == 404
    assert ask(g, "DELETE", "/v1/status")[0] == 405


def test_the_openapi_document_has_every_path():
    g = gateway(server_workers="1")
    code, doc = ask(g, "GET", "/openapi.json")
    assert code == 200 and doc["openapi"].startswith("3.")
    with open(os.path.join(ROOT, "master/admin/http.def")) as f:
        rows = re.findall(r'^ROUTE\((\w+), "([^"]+)"', f.read(), re.M)
    assert sorted((m.lower(), p) for m, p in rows) == sorted(
        (m, p) for p in doc["paths"] for m in doc["paths"][p])
    for path, methods in doc["paths"].items():
        for op in methods.values():
            named = {p["name"] for p in op["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path)), path


def test_only_a_token_of_the_role_may_change_something():
    g = gateway(server_workers="1")
    c = Charger(g, "TOKEN1")
    c.boot()
    path = "/v1/charge-points/TOKEN1/disconnect"
    read, admin = token(g, "reader", "read"), token(g, "boss", "admin")
    assert ask(g, "POST", path)[0] == 401
    assert ask(g, "POST", path, token=read)[0] == 403
    assert ask(g, "POST", path, token="0" * 40)[0] == 401
    assert ask(g, "GET", "/v1/status", token="0" * 40)[0] == 401
    got = ask(g, "GET", "/v1/series", token="0" * 40)
    assert got[0] == 401, got
    assert ask(g, "GET", "/v1/status", token=read)[0] == 200
    assert ask(g, "GET", "/v1/keys", token=read)[0] == 403
    c.call("Heartbeat")
    code, got = ask(g, "POST", path, token=admin)
    assert code == 200 and got["message"] == "disconnected", got
    c.wait_closed(1008)
    # Kept as hashes, over a restart, and gone when they are removed.
    text = open(g.state_dir + "/tokens").read()
    assert read not in text and admin not in text and "boss admin sha256:" in text
    assert os.stat(g.state_dir + "/tokens").st_mode & 0o077 in (0, 0o040)
    g.ctl("token", "remove", "boss")
    assert ask(g, "POST", path, token=admin)[0] == 401
    assert g.ctl("token", "list") == [{"name": "reader", "role": "read"}]
    assert g.run("token", "add", "reader").returncode == 1
    assert g.run("token", "add", "no good").returncode == 1


def test_a_page_of_a_stranger_may_not_ask():
    g = gateway(server_workers="1", admin_hosts="gateway.example")
    for host, code in (("evil.example", 403), ("evil.example:%d" % g.admin, 403),
                       ("localhost", 200), ("gateway.example:99", 200),
                       ("127.0.0.1:%d" % g.admin, 200), ("[::1]:1", 200)):
        assert ask(g, "GET", "/v1/status", host=host)[0] == code, host
    here = "127.0.0.1:%d" % g.admin
    for origin, code in (("http://evil.example", 403), ("null", 403),
                         ("http://" + here, 200)):
        assert ask(g, "GET", "/v1/status", Origin=origin)[0] == code, origin
    assert get(g, "/metrics")[0] == 200


def test_a_call_waits_for_its_outcome_and_holds_up_nobody():
    g = gateway(server_workers="1", ocpp_call_hold="0s")
    c = Charger(g, "CALL1")
    c.boot()
    admin = token(g, "boss", "admin")
    path = "/v1/charge-points/CALL1/calls/"
    call = background(lambda: ask(g, "POST", path + "ChangeAvailability?id=x1",
                                  '{"connectorId":0,"type":"Operative"}',
                                  token=admin))
    id, action, payload = c.take()
    assert action == "ChangeAvailability" and payload["type"] == "Operative"
    assert ask(g, "GET", "/v1/status")[0] == 200
    assert get(g, "/health")[0] == 200
    c.result(id, {"status": "Accepted"})
    code, got = call.wait()
    assert code == 200 and got["outcome"] == "result", got
    assert got["commandId"] == "x1", got
    code, got = ask(g, "POST", path + "ClearCache?timeout=x", token=admin)
    assert code == 400 and "--timeout" in got["error"]["message"], got
    code, got = ask(g, "POST", path + "Nonsense", "{", token=admin)
    assert code == 200 and got["outcome"] == "invalid", got
    assert ask(g, "POST", path + "ClearCache", "x" * 200000, token=admin)[0] \
        == 413


def test_events_come_in_order_and_a_cursor_misses_none():
    g = gateway(server_workers="2")
    chargers = [Charger(g, "EV%d" % i, worker=i % 2) for i in range(6)]
    for c in chargers:
        c.boot()

    def lines(path):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (
                g.admin, path), timeout=DEADLINE) as r:
            got = [json.loads(l) for l in r.read().splitlines() if l]
        return [e for e in got if e["chargePointId"]]   # of charge points
    g.wait_events(6, type="charge_point.booted")
    want = [e["eventId"] for e in g.events()]
    got = poll(lambda: (lambda l: l if len(l) == len(want) else None)(
        [e["eventId"] for e in lines("/v1/events")]))
    assert got == want
    assert [e["eventId"] for e in lines("/v1/events?after=" + want[4])] == want[5:]
    one = lines("/v1/events?cp=EV3&type=charge_point.booted")
    assert [e["chargePointId"] for e in one] == ["EV3"], one
    assert ask(g, "GET", "/v1/events?after=nonsense")[0] == 400
    # As a browser reads them, and goes on after it was cut off.
    s = socket.create_connection(("127.0.0.1", g.admin))
    s.settimeout(DEADLINE)
    s.sendall(b"GET /v1/events?cp=EV9 HTTP/1.1\r\nHost: localhost\r\n"
              b"Accept: text/event-stream\r\nLast-Event-ID: " +
              want[-1][:16].encode() + b"\r\n\r\n")
    data = b""
    while b": events" not in data:
        data += s.recv(4096)
    c = Charger(g, "EV9")
    c.boot()
    while data.count(b"data: {") < 2:
        data += s.recv(4096)
    assert b"text/event-stream" in data
    ids = re.findall(rb"id: ([0-9a-f]{16})\n", data)
    assert len(ids) == 2 and ids == sorted(ids), data
    s.close()


def test_half_requests_do_not_shut_others_out():
    g = gateway(server_workers="1")
    slow = []
    for i in range(300):
        s = socket.create_connection(("127.0.0.1", g.admin))
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        slow.append(s)
        if i % 50 == 49:
            assert get(g, "/health")[0] == 200, i
    for s in slow:
        s.close()
    assert alive(g.pid) and g.run("status").returncode == 0


def test_the_page_needs_nothing_from_elsewhere():
    g = gateway(server_workers="1")
    code, headers, body = get(g, "/")
    assert code == 200 and "default-src 'none'" in headers[
        "Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    for text in (body, get(g, "/page.css")[2], get(g, "/page.js")[2]):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(r"<script(?! src)|\son\w+=|style=", body)
    assert "innerHTML" not in get(g, "/page.js")[2]


if __name__ == "__main__":
    main()
