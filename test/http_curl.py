#!/usr/bin/python3
"""Every path of the HTTP API, requested by curl as a charging platform would do it."""

from lib import *
from admin import gateway, get

ROUTES = set()  # (method, path) of the table that were requested by a test


def curl(g, method, path, *more, token=None, route=None, base="http"):
    """Runs curl. Returns (status, body)."""
    ROUTES.add((method, route or path.split("?")[0]))
    words = ["curl", "-sS", "--max-time", "30", "-w", "\n%{http_code}",
             "-X", method]
    if token:
        words += ["-H", "Authorization: Bearer " + token]
    r = subprocess.run(words + list(more) + [
        "%s://127.0.0.1:%d%s" % (base, g.admin, path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 0, (path, r)
    text, _, code = r.stdout.rpartition("\n")
    return int(code), text


def good(g, method, path, *more, **kw):
    code, text = curl(g, method, path, *more, **kw)
    assert code == 200, (path, code, text)
    return json.loads(text)


class Stream:
    """Runs curl -N, and returns its output line by line."""

    def __init__(self, g, path, *more, route=None):
        ROUTES.add(("GET", route or path.split("?")[0]))
        self.process = subprocess.Popen(
            ["curl", "-sSN", "--max-time", "60", *more,
             "http://127.0.0.1:%d%s" % (g.admin, path)],
            stdout=subprocess.PIPE, text=True)

    def until(self, pattern):
        for line in self.process.stdout:
            m = re.search(pattern, line)
            if m:
                return m
        raise AssertionError("the stream ends without " + pattern)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_the_paths_that_an_operator_reads_work():
    g = gateway(server_workers="1", ocpp_call_hold="0s")
    c = Charger(g, "CP 1")
    c.boot("ACME", "One")
    assert good(g, "GET", "/v1/status")["node"] == "test"
    assert good(g, "GET", "/v1/health")["status"] == "healthy"
    assert good(g, "GET", "/v1/workers")[0]["state"] == "ready"
    assert good(g, "GET", "/v1/stats")["connections"] == 1
    assert good(g, "GET", "/v1/redis")["redis"] is None
    assert good(g, "GET", "/v1/tls?expiring=30d")["files"] == []
    assert good(g, "GET", "/v1/config")["settings"]["server"]["workers"]
    assert good(g, "GET", "/v1/refused?limit=5") == []
    assert good(g, "GET", "/v1/series")["everySeconds"] == 5
    score = good(g, "GET", "/v1/score?by=model&worst=5&since=1h")
    assert score["worst"][0]["model"] == "One", score
    page = good(g, "GET", "/v1/charge-points?match=CP*&state=online&worker=0"
                "&sort=seen&offset=0&limit=10")
    assert page["total"] == 1, page
    assert page["connections"][0]["vendor"] == "ACME", page
    one = "/v1/charge-points/CP%201"
    named = "/v1/charge-points/{id}"
    assert good(g, "GET", one, route=named)["model"] == "One"
    why = good(g, "GET", one + "/why", route=named + "/why")["text"]
    assert why.strip() == g.ctl("why", "CP 1", json_=False).strip(), why
    assert "openapi" in good(g, "GET", "/openapi.json")
    assert good(g, "GET", "/v1/events/schema")["$schema"]
    # Paths for monitoring need no token.
    for path in ("/health", "/metrics", "/ready", "/live", "/"):
        assert get(g, path)[0] == 200, path
    tap = Stream(g, one + "/tap", route=named + "/tap")
    seen = background(lambda: tap.until('"frame":.*Heartbeat'))
    poll(lambda: c.call("Heartbeat") and not seen.is_alive())
    tap.stop()
    code, text = curl(g, "GET", "/v1/statu")
    assert code == 404 and "openapi.json" in json.loads(text)["error"][
        "message"], text
    ROUTES.discard(("GET", "/v1/statu"))


def test_the_paths_by_which_a_platform_changes_something_work():
    g = gateway(server_workers="1", ocpp_call_hold="0s")
    admin = g.ctl("token", "add", "platform", "admin")["token"]
    c = Charger(g, "CP1")
    c.boot()
    one, named = "/v1/charge-points/CP1", "/v1/charge-points/{id}"
    calls = "/calls/{action}"
    waits = background(lambda: curl(
        g, "POST", one + "/calls/ChangeAvailability", "-d",
        '{"connectorId":0,"type":"Operative"}', token=admin,
        route=named + calls))
    id, action, payload = c.take()
    assert (action, payload["type"]) == ("ChangeAvailability", "Operative")
    c.result(id, {"status": "Accepted"})
    code, text = waits.wait()
    assert code == 200 and json.loads(text)["outcome"] == "result", text
    # The same without waiting: the outcome is read by the id of the command.
    code, text = curl(g, "POST", one + "/calls/ClearCache?wait=no&id=mine-1",
                      token=admin, route=named + calls)
    assert code == 202 and json.loads(text)["commandId"] == "mine-1", text
    id, action, _ = c.take()
    assert curl(g, "GET", "/v1/commands/mine-1",
                route="/v1/commands/{id}")[0] == 202
    c.result(id, {"status": "Accepted"})
    poll(lambda: curl(g, "GET", "/v1/commands/mine-1",
                      route="/v1/commands/{id}")[0] == 200)
    # A command that breaks its schema is refused with the reason.
    code, text = curl(g, "POST", one + "/calls/Reset", "-d", "{}",
                      token=admin, route=named + calls)
    assert "type" in text and json.loads(text)["outcome"] == "invalid", text

    key = "/v1/keys/{id}"
    made = good(g, "POST", "/v1/keys/NEW1", token=admin, route=key)
    assert len(made["key"]) >= 16, made
    assert curl(g, "POST", "/v1/keys/NEW1", token=admin, route=key)[0] == 409
    again = good(g, "PUT", "/v1/keys/NEW1", token=admin, route=key)
    assert again["key"] != made["key"]
    assert "NEW1" in curl(g, "GET", "/v1/keys", token=admin)[1]
    good(g, "DELETE", "/v1/keys/NEW1", token=admin, route=key)
    assert curl(g, "DELETE", "/v1/keys/NEW1", token=admin, route=key)[0] == 404

    deny = "/v1/deny/{kind}/{what}"
    good(g, "PUT", "/v1/deny/address/192.0.2.0%2F24", token=admin, route=deny)
    assert "192.0.2.0/24" in curl(g, "GET", "/v1/deny", token=admin)[1]
    good(g, "DELETE", "/v1/deny/address/192.0.2.0%2F24", token=admin,
         route=deny)
    good(g, "POST", "/v1/reload", token=admin)
    good(g, "POST", one + "/disconnect", token=admin,
         route=named + "/disconnect")
    c.wait_closed(1008)
    good(g, "POST", "/v1/drain", token=admin)
    g.wait_exit()


def test_events_are_read_by_cursor_and_as_a_stream():
    g = gateway(server_workers="2", websocket_idle_timeout="120s")
    cursor = good(g, "GET", "/v1/events/cursor")
    now = Stream(g, "/v1/events?follow=1&after=now&type=charge_point.booted")
    sse = Stream(g, "/v1/events?follow=1&cp=CP1", "-H",
                 "Accept: text/event-stream")
    for _ in range(4):  # a stream without events sends comments from time to time
        sse.until("^:")
    c = Charger(g, "CP1")
    c.boot()
    assert now.until(r'"chargePointId":"([^"]*)"')[1] == "CP1"
    last = sse.until("^id: (.*)")[1]
    sse.until('^data: .*"eventType":"charge_point.connected"')
    now.stop(), sse.stop()
    # These events came after the last one that was read.
    sse = Stream(g, "/v1/events", "-H", "Last-Event-ID: " + last, "-H",
                 "Accept: text/event-stream")
    assert sse.until('^data: .*"eventType":"([^"]*)"')[1] == \
        "charge_point.booted"
    sse.stop()
    code, text = curl(g, "GET", "/v1/events?cp=CP1&since=1h")
    types = [json.loads(x)["eventType"] for x in text.splitlines()]
    assert types == ["charge_point.connected", "charge_point.booted"], types
    code, text = curl(g, "GET", "/v1/events?after=" + cursor["cursor"])
    assert len(text.splitlines()) == 2, text


def test_every_path_of_the_table_was_requested():
    with open(os.path.join(ROOT, "master/admin/http.def")) as f:
        rows = set(re.findall(r'^ROUTE\((\w+), "([^"]+)"', f.read(), re.M))
    assert ROUTES == rows, (rows - ROUTES, ROUTES - rows)


if __name__ == "__main__":
    main()
