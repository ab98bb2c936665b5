#!/usr/bin/python3
"""The HTTP API: its access rights, its responses, and events with a cursor; no client can
delay another client or the gateway."""

import http.client
import urllib.request

from lib import *
from admin import gateway, get


def ask(g, method, path, body=None, token=None, host=None, **headers):
    """Makes a request. Returns (status, decoded JSON)."""
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


def test_paths_that_only_read_answer_like_ocppctl():
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
    dash = Charger(g, "-j")
    code, got = ask(g, "GET", "/v1/charge-points/-j")
    assert code == 200 and got["identity"] == "-j" and got["online"], got
    dash.close()
    assert ask(g, "GET", "/v1/charge-points/--limit")[0] == 400
    code, got = ask(g, "GET", "/v1/charge-points/NEVER")
    assert code == 404 and got["error"]["status"] == 404, got
    code, got = ask(g, "GET", "/v1/series")
    assert code == 200 and got["everySeconds"] == 5, got
    assert ask(g, "GET", "/v1/nothing")[0] == 404
    assert ask(g, "DELETE", "/v1/status")[0] == 405


def test_a_request_whose_end_is_ambiguous_is_refused_and_the_connection_closed():
    g = gateway(server_workers="1")
    c = Charger(g, "CP1")
    c.boot()
    secret = token(g, "t", "admin")
    for head, body, status in (
            ("Content-Length: 2\r\nTransfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n", 400),
            ("Transfer-Encoding: chunked\r\nContent-Length: 99", "2\r\n{}\r\n0\r\n\r\n", 400),
            ("Content-Length: 2\r\nContent-Length: 2", "{}", 400),
            ("Content-Length: 2\r\nContent-Length: 40", "{}", 400),
            ("Content-Length: 0\r\nContent-Length: 2", "{}", 400),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "0\r\n\r\n", 400),
            ("Transfer-Encoding: xchunked", "0\r\n\r\n", 501),
            ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n", 501),
            ("Transfer-Encoding: chunked, identity", "0\r\n\r\n", 501),
            ("Transfer-Encoding: identity\r\nX: y", "{}", 501),
            ("Transfer-Encoding : chunked\r\nContent-Length: 2", "{}", 400),
            ("Host: 127.0.0.1:1\r\nContent-Length: 2", "{}", 400),
            ("Content-Length: 1000000000000", "{}", 413),
            ("Expect: 100-continue\r\nContent-Length: 1000000000000", "", 413)):
        with socket.create_connection(("127.0.0.1", g.admin), DEADLINE) as s:
            s.sendall(("POST /v1/charge-points/CP1/calls/ClearCache HTTP/1.1\r\n"
                       "Host: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n%s\r\n\r\n%s"
                       "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
                       % (g.admin, secret, head, body)).encode())
            got = b""
            while True:
                try:
                    piece = s.recv(65536)
                except ConnectionResetError:  # the gateway has closed without reading everything
                    break
                if not piece:
                    break
                got += piece
        assert got.count(b"HTTP/1.1 ") == 1, (head, got)
        # libmicrohttpd 1.0 refuses some of them by itself.
        by_library = b"<html>" in got
        assert got.startswith(b"HTTP/1.1 %d " % (400 if by_library else status)), (head, got)
        assert b"onnection: close" in got, (head, got)
        if by_library:
            continue
        assert json.loads(got.split(b"\r\n\r\n", 1)[1])["error"]["status"] == status
    assert select.select([c.sock], [], [], 0)[0] == [], "a command was sent to the charge point"
    c.close()


def test_refusals_are_counted_logged_and_shown():
    g = gateway(server_workers="1", admin_address_connections=4)
    admin = token(g, "boss", "admin")
    assert "HTTP refused" not in g.ctl("status", json_=False)
    for i in range(300):
        assert ask(g, "GET", "/v1/status", token="%040x" % i)[0] == 401
    assert ask(g, "POST", "/v1/reload")[0] == 401
    assert ask(g, "GET", "/v1/series", token="f" * 40)[0] == 401
    assert ask(g, "GET", "/v1/status", host="evil.example")[0] == 403
    path = "/v1/charge-points/CP1/calls/ClearCache"
    assert ask(g, "POST", path, "x" * 200000, token=admin)[0] == 413
    idle = [socket.create_connection(("127.0.0.1", g.admin))
            for i in range(7)]

    def counted():
        refused = g.tell("status")["httpRefused"]
        return {k: refused[k] for k in ("401", "403", "413", "503")} == {
            "401": 302, "403": 1, "413": 1, "503": 0} and refused["cut"] >= 3
    poll(counted)
    refused = g.tell("status")["httpRefused"]
    assert refused["lastAddress"] == "127.0.0.1", refused
    assert refused["lastStatus"] == "cut", refused
    text = g.ctl("status", json_=False)
    assert re.search(r"HTTP refused 30\d, the last .* ago: cut, from 127", text)
    for s in idle:
        s.close()
    code, _, body = get(g, "/metrics")
    assert 'ocppd_http_refused_total{status="401"} 302\n' in body, body[:300]
    poll(lambda: "requests or connections were refused" in g.log())
    # One line is logged at once, and later lines once a minute.
    assert g.log().count("connections were refused") == 1
    assert ask(g, "GET", "/v1/status", token=admin)[0] == 200


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
            for p in op["parameters"]:
                if p["in"] == "query":
                    assert p["schema"]["type"] in ("string", "integer"), p
                    assert p["description"], p
            error = op["responses"]["default"]["$ref"].split("/")
            assert error[0] == "#" and error[1:] == [
                "components", "responses", "error"], error
    assert doc["components"]["responses"]["error"]["content"]


def test_only_a_token_of_the_right_role_may_change_something():
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
    # Tokens are stored as hashes. They are valid after a restart, and until they are
    # removed.
    text = open(g.state_dir + "/tokens").read()
    assert read not in text and admin not in text and "boss admin sha256:" in text
    assert os.stat(g.state_dir + "/tokens").st_mode & 0o777 == 0o640
    g.ctl("token", "remove", "boss")
    assert ask(g, "POST", path, token=admin)[0] == 401
    assert g.ctl("token", "list") == [{"name": "reader", "role": "read"}]
    assert g.run("token", "add", "reader").returncode == 1
    assert g.run("token", "add", "no good").returncode == 1
    # A file that was deleted does not remove the tokens.
    text = open(g.state_dir + "/tokens").read()
    os.unlink(g.state_dir + "/tokens")
    for words in (("token", "add", "other"), ("token", "remove", "reader"), ("reload",)):
        code, body = g.ask(*words)
        assert code == 500 and "tokens does not exist any more" in body, (words, body)
    assert ask(g, "GET", "/v1/status", token=read)[0] == 200
    with open(g.state_dir + "/tokens", "w") as f:
        f.write(text)
    assert g.ask("reload")[0] == 200
    assert ask(g, "GET", "/v1/status", token=read)[0] == 200


def test_requests_from_a_page_of_another_site_are_refused():
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


def test_an_unknown_parameter_is_an_error():
    g = gateway(server_workers="1")
    for path, words in (
            ("charge-points?stat=online",
             "stat: there is no such parameter; is it state?"),
            ("status?verbose=1",
             "verbose: there is no such parameter; this path has none"),
            ("refused?zzzzzzz=1",
             "zzzzzzz: there is no such parameter; this path has limit"),
            ("charge-points?match=a&match=b",
             "match: the parameter is given twice"),
            ("charge-points?match=a%00b", "match: the value holds a NUL"),
            ("charge-points?match=" + "a" * 300,
             "match: the value is longer than 255 bytes"),
            ("score?worst=0", "worst: give a number from 1 to 20000"),
            ("score?worst=5x", "worst: give a number from 1 to 20000"),
            ("charge-points?limit=", "connections: --limit = : give a number "
             "from 1 to 200000")):
        code, got = ask(g, "GET", "/v1/" + path)
        assert code == 400 and got["error"]["message"] == words, (path, got)
    # A search that finds nothing is not an error.
    for path in ("?match=ABSENT*", "?offset=100000", "?worker=0"):
        code, got = ask(g, "GET", "/v1/charge-points" + path)
        assert code == 200 and got["connections"] == [], got
    # A percent sign in a value is decoded once.
    c = Charger(g, "A%41")
    code, got = ask(g, "GET", "/v1/charge-points?match=A%2541")
    assert [p["identity"] for p in got["connections"]] == ["A%41"], got


def exchange(g, *parts, continues=False):
    """Sends bytes whose last request has Connection: close. With continues, a response must
    come before the second part is sent. Returns [(status, headers, body)] of the
    responses."""
    s = socket.create_connection(("127.0.0.1", g.admin), DEADLINE)
    data = b""
    for part in parts:
        s.sendall(part)
        while continues and b"\r\n\r\n" not in data:
            more = s.recv(65536)
            assert more, "the connection was closed after " + repr(data)
            data += more
    while True:
        more = s.recv(65536)
        if not more:
            break
        data += more
    s.close()
    answers = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = dict(l.lower().split(": ", 1) for l in lines[1:])
        n = int(fields.get("content-length", 0))
        answers.append((int(lines[0].split()[1]), fields, data[:n].decode()))
        data = data[n:]
    return answers


def test_requests_may_be_written_as_http_permits():
    g = gateway(server_workers="1")
    admin = token(g, "boss", "admin")
    c = Charger(g, "WRITE1")
    c.boot()
    head = ("POST /v1/charge-points/WRITE1/calls/Reset?wait=no&id=%s HTTP/1.1\r\n"
            "Host: localhost\r\nAuthorization: bearer " + admin + "\r\n%s\r\n")
    body = b'{"type":"Soft"}'

    def sent():
        id, action, payload = c.take()
        c.result(id, {"status": "Accepted"})
        return action, payload
    # A body in chunks, which is sent after the server's response 100.
    for n, more in enumerate((
            "Transfer-Encoding: chunked\r\nConnection: close\r\n",
            "Content-Length: 15\r\nExpect: 100-continue\r\nConnection: close\r\n",
            "Content-Length: 15\r\nContent-Type: text/plain\r\nConnection: close\r\n")):
        parts = [b"7\r\n" + body[:7] + b"\r\n", b"8\r\n" + body[7:] +
                 b"\r\n0\r\n\r\n"] if n == 0 else [body]
        got = exchange(g, (head % ("written%d" % n, more)).encode(), *parts,
                       continues=n == 1)
        if n == 1:
            assert got[0][0] == 100, got
            got = got[1:]
        assert [a[0] for a in got] == [202], got
        assert sent() == ("Reset", {"type": "Soft"})
    # Several requests sent at once are answered in order.
    one = "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    got = exchange(g, (
        one % ("GET", "/v1/status", "") + one % ("HEAD", "/v1/events/schema", "") +
        one % ("DELETE", "/v1/status", "") +
        one % ("GET", "/nothing", "Connection: close\r\n")).encode()
        .replace(b"HEAD", b"GET"))
    assert [a[0] for a in got] == [200, 200, 405, 404], got
    assert got[2][1]["allow"] == "get, head", got[2]
    for _, fields, text in got:
        assert fields["content-type"] == "application/json", fields
        json.loads(text)
    # HEAD returns the headers of GET without a body.
    for path in ("/v1/status", "/", "/health", "/metrics", "/openapi.json"):
        got = get(g, path, "HEAD")
        assert got[0] == 200 and got[2] == "", got
    # A body that is too large, with a length and in chunks.
    big = b"x" * (161 * 1024)
    for more, data in (("Content-Length: %d\r\n" % len(big), big),
                       ("Transfer-Encoding: chunked\r\n",
                        b"%x\r\n" % len(big) + big + b"\r\n0\r\n\r\n")):
        got = exchange(g, (head % ("big", more + "Connection: close\r\n"))
                       .encode(), data)
        assert got[0][0] == 413 and "160 KiB" in got[0][2], got


def test_a_call_waits_for_its_outcome_and_delays_no_other_client():
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
    # The API has no counterpart of `ocppctl call --unchecked`.
    code, got = ask(g, "POST", path + "ChangeAvailability?unchecked=yes", '{"connectorId":0}', token=admin)
    assert code == 400 and "unchecked" in got["error"]["message"], got
    code, got = ask(g, "POST", path + "ChangeAvailability", '{"connectorId":0}', token=admin)
    assert code == 200 and got["outcome"] == "invalid", got
    code, got = ask(g, "POST", path + "Nonsense", "{", token=admin)
    assert code == 200 and got["outcome"] == "invalid", got
    assert ask(g, "POST", path + "ClearCache", "x" * 200000, token=admin)[0] \
        == 413
    assert ask(g, "POST", path + "ClearCache", "{}\0x", token=admin)[0] == 400


def test_events_are_returned_in_order_and_a_cursor_misses_none():
    g = gateway(server_workers="2")
    chargers = [Charger(g, "EV%d" % i, worker=i % 2) for i in range(6)]
    for c in chargers:
        c.boot()

    def lines(path):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (
                g.admin, path), timeout=DEADLINE) as r:
            got = [json.loads(l) for l in r.read().splitlines() if l]
        return [e for e in got if e["chargePointId"]]  # events of charge points
    g.wait_events(6, type="charge_point.booted")
    want = [e["eventId"] for e in g.events()]
    got = poll(lambda: (lambda l: l if len(l) == len(want) else None)(
        [e["eventId"] for e in lines("/v1/events")]))
    assert got == want
    assert [e["eventId"] for e in lines("/v1/events?after=" + want[4])] == want[5:]
    one = lines("/v1/events?cp=EV3&type=charge_point.booted")
    assert [e["chargePointId"] for e in one] == ["EV3"], one
    for after in ("nonsense", "-1", "0x12", "%2012", "1" * 17):
        assert ask(g, "GET", "/v1/events?after=" + after)[0] == 400, after
    for after in ("f" * 16, "%016x" % int((time.time() + 7200) * 1e6)):
        code, got = ask(g, "GET", "/v1/events?after=" + after)
        assert code == 400 and "ahead of all events" in got["error"]["message"]
        code, got = ask(g, "GET", "/v1/events", **{"Last-Event-ID": after})
        assert code == 400, got
    assert lines("/v1/events?after=%016x" % int((time.time() + 1800) * 1e6)) == []
    code, got = ask(g, "GET", "/v1/events?type=charge_point.boted")
    assert (code, got["error"]["message"]) == (
        400, "type: charge_point.boted: there is no such type of event; "
             "is it charge_point.booted?"), got
    odd = Charger(g, 'Q"1')
    odd.boot()
    poll(lambda: [e["chargePointId"] for e in lines(
        "/v1/events?cp=Q%221&type=charge_point.booted")] == ['Q"1'])
    odd.close()
    g.wait_events(1, type="charge_point.disconnected")
    want = [e["eventId"] for e in g.events()]
    poll(lambda: len(lines("/v1/events")) == len(want))
    assert ask(g, "GET", "/v1/events?since=nonsense")[0] == 400
    assert [e["eventId"] for e in lines("/v1/events?since=1h")] == want
    middle = g.events()[3]["timestamp"]
    assert [e["eventId"] for e in lines("/v1/events?since=" + middle)] == [
        e["eventId"] for e in g.events() if e["timestamp"] >= middle]
    # Reads like a browser, which continues after a connection was lost.
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


def test_incomplete_requests_do_not_block_other_clients():
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


def test_the_status_page_shows_counters_of_the_table():
    """The page has every latency, and no counter that is not in common/stats.def."""
    with open(os.path.join(ROOT, "common/stats.def")) as f:
        rows = re.findall(r"^(COUNTER|GAUGE|HISTOGRAM)\w*\((\w+)", f.read(), re.M)
    with open(os.path.join(ROOT, "master/admin/page/page.js")) as f:
        page = f.read()
    numbers = set(re.findall(r"\bstats\.(\w+)", page))
    assert len(numbers) > 5 and numbers <= {name for _, name in rows}, numbers
    latencies = re.search(r"latencyNames = \[(.*?)\n\];", page, re.S)[1]
    assert sorted(re.findall(r'\["(\w+)"', latencies)) == sorted(
        name for kind, name in rows if kind == "HISTOGRAM")


def test_the_status_page_needs_no_other_server():
    g = gateway(server_workers="1")
    code, headers, body = get(g, "/")
    assert code == 200 and "default-src 'none'" in headers[
        "Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    for text in (body, get(g, "/page.css")[2], get(g, "/page.js")[2]):
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(r"<script(?! src)|\son\w+=|style=", body)
    assert "innerHTML" not in get(g, "/page.js")[2]


def test_an_outcome_can_be_read_later_by_its_id():
    g = gateway(server_workers="1", ocpp_call_hold="0s")
    c = Charger(g, "LATER")
    c.boot()
    admin, read = token(g, "boss", "admin"), token(g, "reader", "read")
    code, got = ask(g, "POST", "/v1/charge-points/LATER/calls/Reset?wait=no",
                    '{"type":"Soft"}', token=admin)
    assert code == 202 and got["pending"], (code, got)
    path = "/v1/commands/" + got["commandId"]
    assert ask(g, "GET", path, token=read) == (202, got)
    id, action, _ = c.take()
    assert action == "Reset"
    c.result(id, {"status": "Accepted"})
    code, end = poll(lambda: (lambda r: r if r[0] == 200 else None)(
        ask(g, "GET", path, token=read)))
    assert end["outcome"] == "result" and end["commandId"] == got["commandId"]
    assert end["payload"] == {"status": "Accepted"}, end
    assert json.loads(g.run("-j", "outcome", got["commandId"]).stdout) == end
    assert ask(g, "GET", "/v1/commands/none")[0] == 404
    # The outcome is an event, as that of every command.
    e = g.wait_events(type="command.response", cp="LATER")[0]
    assert e["payload"]["commandId"] == got["commandId"], e
    # The outcome of a command for an offline charge point can be read too, and the last
    # 1,024 outcomes are stored.
    for i in range(1100):
        assert g.ask("-j", "call", "AWAY", "ClearCache", "--wait", "no", "--id",
                     "n%d" % i)[0] == 202
    poll(lambda: g.ask("outcome", "n1099")[0] == 220)
    assert ask(g, "GET", "/v1/commands/n1099")[1]["outcome"] == "offline"
    poll(lambda: ask(g, "GET", "/v1/commands/n0")[0] == 404)
    assert ask(g, "GET", path)[0] == 404
    r = g.run("call", "AWAY", "ClearCache", "--wait", "on")
    assert r.returncode == 2 and "is it no?" in r.stderr, r


def test_scores_and_certificates_can_be_read():
    g = gateway(server_workers="1")
    c = Charger(g, "SCORED")
    c.boot("V", "Model X")
    c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError",
                                  "status": "Available", "extra": 1})
    code, got = ask(g, "GET", "/v1/score?worst=1")
    assert code == 200 and got["worst"][0]["identity"] == "SCORED", got
    assert got["worst"][0]["deviations"] == {"extra_field": 1}, got
    code, got = ask(g, "GET", "/v1/score?by=model&since=10m")
    assert code == 200 and got["worst"][0]["model"] == "Model X", got
    assert ask(g, "GET", "/v1/score?by=colour")[0] == 400
    assert ask(g, "GET", "/v1/score?since=yesterday")[0] == 400
    r = urllib.request.urlopen(urllib.request.Request(
        "http://127.0.0.1:%d/v1/score" % g.admin,
        headers={"Accept": "text/plain;version=0.0.4"}))
    text = r.read().decode()
    assert 'ocppd_score_charge_points{model="Model X"} 1\n' in text, text
    code, got = ask(g, "GET", "/v1/tls")
    assert code == 200 and got["files"] == [], got
    h = http.client.HTTPConnection("127.0.0.1", g.admin, timeout=DEADLINE)
    h.request("GET", "/v1/reload")
    r = h.getresponse()
    assert r.status == 405 and r.getheader("Allow") == "POST", r.status


def test_the_memory_of_a_score_is_released():
    g = gateway(server_workers="1")
    workers = [w["pid"] for w in g.workers()]
    pid, = [int(p) for p in subprocess.run(
        ["pgrep", "-P", str(g.pid)], stdout=subprocess.PIPE, text=True).stdout.split()
        if int(p) not in workers]
    before = resident(pid)
    for n in range(20):
        assert ask(g, "GET", "/v1/score")[0] == 200
        assert ask(g, "GET", "/v1/events?after=0")[0] == 200
    after = resident(pid)
    assert after < before + (4 << 20), (before, after)


def test_tls_on_the_admin_port_with_the_certificates_of_the_gateway():
    import ssl
    from tls import authority, Authority
    a, port = authority(), free_port()
    own = Authority("admin")
    own.make("one", san="IP:127.0.0.1")
    own.make("two", san="IP:127.0.0.1")
    own.make("named", san="DNS:gateway.example")
    names = own.dir + "/sni"
    os.mkdir(names)
    with open(names + "/gateway.pem", "w") as f:
        for part in reversed(own.path("named")):
            f.write(open(part).read())
    pair = [own.dir + "/now.pem", own.dir + "/now.key"]

    def use(name):
        for to, part in zip(pair, own.path(name)):
            with open(part) as f, open(to + ".new", "w") as t:
                t.write(f.read())
            os.rename(to + ".new", to)
    use("one")
    g = gateway(server_workers="1", admin_listen_tls="127.0.0.1:%d" % port,
                tls_certificate=pair[0] + " " + a.path("rsa")[0],
                tls_key=pair[1] + " " + a.path("rsa")[1], tls_sni=names)

    def connect(ca=own.ca, version=None, name="127.0.0.1"):
        c = ssl.create_default_context(cafile=ca)
        if version:
            c.minimum_version = c.maximum_version = version
        # Python 3.13 requires more of an authority than that of these tests has.
        c.verify_flags &= ~ssl.VERIFY_X509_STRICT
        s = c.wrap_socket(socket.create_connection(("127.0.0.1", port)),
                          server_hostname=name)
        s.settimeout(DEADLINE)
        return s

    def request(s, path, more=""):
        s.sendall(("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n" % (
            path, port, more)).encode())

    def subject(s):
        return s.getpeercert()["serialNumber"]
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        s = connect(version=version)
        request(s, "/health", "Connection: close\r\n")
        assert b" 200 " in s.recv(100), version
        s.close()
    for wrong in (a.ca, Authority("nobody").ca):
        try:
            connect(wrong)
        except ssl.SSLError as e:
            assert "CERTIFICATE_VERIFY_FAILED" in str(e), e
        else:
            raise AssertionError("a certificate of another authority was accepted")
    # A client that names a host of tls.sni gets the certificate of that host (connect()
    # checks it), and every other client gets the first certificate.
    connect(name="gateway.example").close()
    for name in ("other.example", "127.0.0.2"):
        try:
            connect(name=name)
        except ssl.SSLError as e:
            assert "mismatch" in str(e), e
        else:
            raise AssertionError("the certificate was accepted for " + name)
    # A stream keeps its connection when the certificate changes.
    stream = connect()
    first = subject(stream)
    request(stream, "/v1/events?follow=1&after=now",
            "Accept: text/event-stream\r\n")
    data = b""
    while b": events" not in data:
        data += stream.recv(4096)
    use("two")
    assert g.run("reload").returncode == 0

    def renewed():
        s = connect()
        try:
            return subject(s) != first
        finally:
            s.close()
    poll(renewed)
    Charger(g, "TLSADMIN").boot()
    while b"TLSADMIN" not in data:
        data += stream.recv(4096)
    # A certificate that cannot be used is not used.
    shutil.copy(pair[0], pair[0] + ".good")
    with open(pair[0], "w") as f:
        f.write("nonsense")
    assert g.run("reload").returncode == 1
    assert renewed() and get(g, "/health")[0] == 200
    # After an upgrade the new program has the socket.
    shutil.copy(pair[0] + ".good", pair[0])
    g.upgrade()
    poll(renewed)
    # Bytes that are not TLS get no answer.
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    s.settimeout(DEADLINE)
    try:
        assert b"200" not in s.recv(1000)
    except ConnectionResetError:
        pass  # the connection was closed before all bytes were read
    assert renewed()


def test_one_address_has_at_most_the_configured_connections():
    g = gateway(server_workers="1", admin_address_connections="8")

    def connect(source="127.0.0.3"):  # gateway() uses another address
        s = socket.create_connection(("127.0.0.1", g.admin), DEADLINE,
                                     (source, 0))
        return s

    def works(s, path="/live", more=b""):
        s.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (
            path.encode(), more))
        try:
            return b" 200 " in s.recv(4096)
        except OSError:
            return False
    old = [connect() for _ in range(8)]
    assert all(works(s) for s in old)
    new = [connect() for _ in range(3)]
    assert all(works(s) for s in new)
    # The oldest connections without a request were closed for new ones. The server may
    # detect the end of a request a little later than the client, so it is not certain which
    # of the eight are the oldest.
    alive_ones = [s for s in old if works(s)]
    assert len(alive_ones) == 5, len(alive_ones)
    other = connect("127.0.0.2")
    assert works(other) and all(works(s) for s in alive_ones)
    # Streams are not closed for new clients: further connections of that address are
    # refused.
    for s in old + new:
        s.close()
    # The server may detect a little later that the streams were closed.
    streams = []

    def comes():
        s = connect()
        if works(s, "/v1/events?follow=1&after=now",
                 b"Accept: text/event-stream\r\n"):
            streams.append(s)
            return True
        s.close()
    for _ in range(8):
        poll(comes, what="the acceptance of a stream")
    assert not works(connect()) and works(other)
    assert works(connect("127.0.0.2"))


def test_slow_clients_are_disconnected_and_a_slow_reader_gets_the_cursor_to_continue():
    g = gateway(server_workers="1",
                admin_address_connections="0")
    c = Charger(g, "SLOW")
    c.boot()
    for _ in range(300):
        c.call("DataTransfer", {"vendorId": "V", "data": "x" * 40000})
    events = {e["eventId"][:16]: e for e in g.events(type="all")}

    def reader(accept):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(DEADLINE)
        s.connect(("127.0.0.1", g.admin))
        s.sendall(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: localhost\r\n"
                  b"Accept: %s\r\n\r\n" % accept)
        return s
    readers = [reader(b"text/event-stream"), reader(b"*/*")]
    head = socket.create_connection(("127.0.0.1", g.admin))
    head.setblocking(False)
    ended, got, began = False, [b"", b""], time.monotonic()
    # One client sends a request byte by byte, one per second; another one reads 4 KiB of an
    # answer per second. Both are too slow.
    while time.monotonic() < began + 24 or not ended:
        assert time.monotonic() < began + 24 + DEADLINE
        try:
            if not ended:
                head.send(b"G")
                ended = head.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            ended = True
        for i, s in enumerate(readers):
            got[i] += s.recv(4096)
        time.sleep(0.5)  # they are cut after this time
    for i, s in enumerate(readers):
        s.settimeout(3 * DEADLINE)
        while True:
            some = s.recv(1 << 16)
            got[i] += some
            if not some or got[i].endswith(b"0\r\n\r\n"):
                break
    sse = re.findall(rb'event: slow\ndata: {"after":"([0-9a-f]{16})"}\n\n',
                     got[0])
    lines = re.findall(rb'{"slow":true,"after":"([0-9a-f]{16})"}\n', got[1])
    assert len(sse) == 1 and len(lines) == 1, (sse, lines)
    assert lines[0].decode() in events
    # A client that continues with this cursor misses no event.
    last = sorted(events)[-1]
    seen = set(re.findall(rb'"eventId":"([0-9a-f]{16})', got[1]))
    rest = urllib.request.urlopen("http://127.0.0.1:%d/v1/events?after=%s" % (
        g.admin, lines[0].decode())).read()
    seen |= set(re.findall(rb'"eventId":"([0-9a-f]{16})', rest))
    assert {x.decode() for x in seen} >= set(events), last


def test_a_client_that_reads_its_answer_too_slowly_is_disconnected():
    g = gateway(server_workers="1", admin_address_connections="0")
    with open(g.state_dir + "/deny", "w") as f:  # a response of 300 KiB
        f.writelines("identity %s%05d\n" % ("x" * 35, i) for i in range(5000))
    g.ctl("reload")
    admin = token(g, "boss", "admin")
    poll(lambda: len(ask(g, "GET", "/v1/deny", token=admin)[1]) == 5000)

    def client():
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(DEADLINE)
        s.connect(("127.0.0.1", g.admin))
        s.sendall(b"GET /v1/deny HTTP/1.1\r\nHost: localhost\r\n"
                  b"Authorization: Bearer %s\r\n\r\n" % admin.encode())
        assert s.recv(15) == b"HTTP/1.1 200 OK"
        return s, server_inode(s)
    silent, slow = client(), client()
    children = subprocess.check_output(
        ["ps", "-o", "pid=", "--ppid", str(g.pid)], text=True).split()
    owner = [p for p in map(int, children) if silent[1] in inodes(p)][0]
    began = time.monotonic()
    # One client reads nothing, the other one 4 KiB per second.
    while slow[1] in inodes(owner):
        slow[0].recv(2048)
        assert time.monotonic() < began + 60 * SLOW
        time.sleep(0.5)
    assert time.monotonic() > began + 20, "the client was disconnected too early"
    assert silent[1] not in inodes(owner)
    assert get(g, "/health")[0] == 200


if __name__ == "__main__":
    main()
