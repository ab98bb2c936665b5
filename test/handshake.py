#!/usr/bin/python3
"""The opening handshake: which requests are accepted and which are refused, and how a
refusal is reported."""

import datetime

from lib import *


def remembered(g, local, **want):
    """Returns the record of `ocppctl refused` for the client with this address."""
    def there():
        return [x for x in g.tell("refused", "--limit", "128")
                if x["address"] == local]
    got = poll(there, what="a refusal of %s" % local)[0]
    for k, v in want.items():
        assert got[k] == v, got
    return got


def identity_of(g, path):
    """Returns the identity with which a path is accepted."""
    c = Charger(g, open=False)
    r = c.handshake(path=path)
    assert r.status == 101, (r.status, r.body)
    local = "%s:%d" % c.sock.getsockname()
    found = [x["identity"] for x in g.tell("connections")["connections"]
             if x["address"] == local]
    assert len(found) == 1, found
    c.close()
    return found[0]


# --- identities ---------------------------------------------------------------

def test_the_identity_is_percent_decoded_exactly_once():
    g = shared()
    assert identity_of(g, "/ocpp/RDAM%20123") == "RDAM 123"
    assert identity_of(g, "/ocpp/a%2520b") == "a%20b"
    assert identity_of(g, "/ocpp/%41%42c") == "ABc"
    assert identity_of(g, "/ocpp/CP:1") == "CP:1"
    assert identity_of(g, "/ocpp/M%C3%BCnchen") == "München"


def test_additional_slashes_are_ignored():
    g = shared()
    assert identity_of(g, "/ocpp/S1/") == "S1"
    assert identity_of(g, "//ocpp//S2") == "S2"
    assert identity_of(g, "/ocpp///S3//") == "S3"


def test_a_query_is_not_part_of_the_identity():
    assert identity_of(shared(), "/ocpp/Q1?token=abc/def") == "Q1"


def test_the_absolute_form_of_the_url_is_accepted():
    g = shared()
    assert identity_of(g, "ws://gateway:80/ocpp/A1") == "A1"
    assert identity_of(g, "http://127.0.0.1/ocpp/A2") == "A2"


def test_an_identity_has_at_most_48_bytes():
    g = shared()
    assert identity_of(g, "/ocpp/" + "x" * 48) == "x" * 48
    r = refusal(g, path="/ocpp/" + "x" * 49)
    assert r.status == 400, r.status
    remembered(g, r.local, reason="long_identity", status=400)


def test_the_limit_of_the_identitys_length_counts_decoded_bytes():
    g = shared(ocpp_max_identity_length="4")
    assert identity_of(g, "/ocpp/%41%42%43%44") == "ABCD"
    assert refusal(g, path="/ocpp/ABCDE").status == 400


def test_invalid_identities_are_refused_with_400():
    g = shared()
    for path in ("/ocpp/a%00b", "/ocpp/a%2Fb", "/ocpp/a%2fb", "/ocpp/%FF",
                 "/ocpp/%C0%80", "/ocpp/%ED%A0%80", "/ocpp/a%", "/ocpp/a%4",
                 "/ocpp/a%zz", "/ocpp/a%0Ab", "/ocpp/a%7Fb"):
        r = refusal(g, path=path)
        assert r.status == 400, (path, r.status)
        assert r.body.strip(), "the refusal has no reason"
        said = remembered(g, r.local, reason="bad_identity")
        assert said["detail"] == r.body.strip(), (said, r.body)


def test_a_path_without_identity_is_refused_with_404():
    g = shared()
    for path in ("/ocpp", "/ocpp/", "/ocpp//"):
        r = refusal(g, path=path)
        assert r.status == 404, path
        remembered(g, r.local, reason="bad_identity", status=404)


def test_another_path_is_refused_with_404():
    g = shared()
    for path in ("/", "/CP1", "/ocp/CP1", "/ocppx/CP1", "/OCPP/CP1",
                 "/ocpp/CP1/more", "/x/ocpp/CP1", "/ocpp/.."):
        r = refusal(g, path=path)
        assert r.status == 404, path
        remembered(g, r.local, reason="wrong_path", status=404)


def test_the_path_is_a_setting():
    g = shared(server_path="/a/b")
    assert identity_of(g, "/a/b/CP1") == "CP1"
    assert refusal(g, path="/ocpp/CP1").status == 404


def test_identities_are_case_sensitive():
    g = shared()
    a, b = Charger(g, "case"), Charger(g, "CASE")
    a.boot(), b.boot()
    assert g.online("case") and g.online("CASE")
    a.close(), b.close()


# --- subprotocols -------------------------------------------------------------

def picked(g, *headers):
    c = Charger(g, "SUB", open=False)
    r = c.handshake(headers=headers, protocols=None)
    assert r.status == 101, (r.status, r.body)
    return c, r


def test_the_newest_subprotocol_that_is_offered_is_picked():
    g = shared()
    for text, want in (("ocpp1.6", "ocpp1.6"), ("ocpp1.6, ocpp2.0.1", "ocpp2.0.1"),
                       ("ocpp2.0.1,ocpp1.6", "ocpp2.0.1"), (",ocpp2.0.1", "ocpp2.0.1"),
                       ("ocpp1.6,ocpp2.1 , ocpp2.0.1", "ocpp2.1"),
                       (" ocpp1.6 , ocpp1.5", "ocpp1.6"), (",,ocpp1.6,", "ocpp1.6"),
                       ("\tocpp1.6", "ocpp1.6")):
        c, r = picked(g, ("Sec-WebSocket-Protocol", text))
        assert r["Sec-WebSocket-Protocol"] == want, (text, r.headers)
        assert g.show("SUB")["connection"]["protocol"] == want, g.show("SUB")
        c.close()


def test_the_subprotocols_may_be_in_several_headers():
    g = shared()
    c, r = picked(g, ("Sec-WebSocket-Protocol", "ocpp1.6"),
                  ("Sec-WebSocket-Protocol", "ocpp2.1, ocpp2.0.1"))
    assert r["Sec-WebSocket-Protocol"] == "ocpp2.1"
    c.close()


def test_the_preferred_version_is_a_setting():
    g = shared(ocpp_versions="ocpp1.6 ocpp2.1")
    for text, want in (("ocpp2.1, ocpp1.6", "ocpp1.6"), ("ocpp2.0.1, ocpp2.1", "ocpp2.1"),
                       ("ocpp2.0.1", None)):
        c, r = picked(g, ("Sec-WebSocket-Protocol", text))
        assert r["Sec-WebSocket-Protocol"] == want, (text, r.headers)
        c.close() if want else c.wait_closed(1002)


def test_a_rule_prefers_a_version_for_a_pattern_of_identities():
    g = shared(ocpp_version_rules="OLD-*=ocpp1.6 ???=ocpp2.0.1 *X=ocpp1.6")
    for identity, offer, want in (
            ("OLD-7", "ocpp2.1, ocpp2.0.1, ocpp1.6", "ocpp1.6"),
            ("OLD-7", "ocpp2.1, ocpp2.0.1", "ocpp2.1"),  # the version of the rule is not offered
            ("NEW-7", "ocpp2.1, ocpp1.6", "ocpp2.1"),
            ("ABX", "ocpp2.1, ocpp2.0.1, ocpp1.6", "ocpp2.0.1"),  # the first rule that matches
            ("ABCX", "ocpp2.1, ocpp1.6", "ocpp1.6")):
        c = Charger(g, identity, open=False)
        r = c.handshake(headers=[("Sec-WebSocket-Protocol", offer)], protocols=None)
        assert r["Sec-WebSocket-Protocol"] == want, (identity, offer, r.headers)
        c.close()


def test_without_a_common_subprotocol_the_connection_is_closed_after_the_handshake():
    g = shared()
    before = g.stats()
    for text in ("ocpp1.5", "ocpp2.0", "OCPP1.6", "ocpp1.6j"):
        c, r = picked(g, ("Sec-WebSocket-Protocol", text))
        assert r["Sec-WebSocket-Protocol"] is None, (text, r.headers)
        c.wait_closed(1002, reason="version")
    assert g.stat("closed", "no_subprotocol") == \
        before["closed"]["no_subprotocol"] + 4
    assert g.stat("handshakes") == before["handshakes"]
    assert not [e for e in g.events(cp="SUB", type="charge_point.connected")
                if not e["payload"]["subprotocol"].startswith("ocpp")]


def test_a_charge_point_that_offers_no_subprotocol_uses_ocpp_16():
    g = shared()
    before = g.stat("missing_subprotocol")
    c, r = picked(g)
    assert r["Sec-WebSocket-Protocol"] is None
    assert c.boot()["status"] == "Accepted"
    assert g.stat("missing_subprotocol") == before + 1
    c.close()


def test_a_charge_point_that_offers_no_subprotocol_can_be_refused():
    g = shared(websocket_accept_missing_subprotocol="no")
    c, r = picked(g)
    c.wait_closed(1002)
    c = Charger(g, "CP1")
    c.boot()
    c.close()


# --- the request --------------------------------------------------------------

def test_names_and_values_of_headers_may_be_in_any_case():
    g = shared()
    for headers in (
            [("Upgrade", "WebSocket")], [("upgrade", "WEBSOCKET")],
            [("Connection", "keep-alive, Upgrade")],
            [("connection", "upgrade")], [("CONNECTION", "UPGRADE,close")],
            [("Connection", "keep-alive"), ("Connection", "Upgrade")],
            [("sec-websocket-version", "13")],
            [("Upgrade", "h2c, websocket")]):
        c = Charger(g, "HDR", headers=headers)
        c.close()


def test_a_request_may_come_byte_by_byte_and_be_followed_by_frames():
    g = shared()
    c = Charger(g, "BYTES", open=False)
    text = c.request()
    for i in range(len(text)):
        c.raw(text[i:i + 1])
    assert c.response().status == 101
    c.boot()
    c.close()
    c = Charger(g, "BEHIND", open=False)
    c.raw(c.request() + frame(TEXT, '[2,"1","Heartbeat",{}]') +
          frame(PING, b"x"))
    r = c.response()
    assert r.status == 101
    assert "currentTime" in c.get("1")
    c.close()


def test_a_get_without_an_upgrade_to_websocket_gets_426():
    g = shared()
    r = refusal(g, drop=("Upgrade",))
    assert r.status == 426, r.status
    assert r["Upgrade"] == "websocket" and r["Sec-WebSocket-Version"] == "13"
    remembered(g, r.local, reason="not_websocket", status=426)
    r = refusal(g, headers=[("Sec-WebSocket-Version", "8")])
    assert r.status == 426 and r["Sec-WebSocket-Version"] == "13"
    assert refusal(g, drop=("Sec-WebSocket-Version",)).status == 426


def test_invalid_requests_get_400_and_a_reason():
    g = shared()
    for request in (
            dict(drop=("Host",)), dict(drop=("Connection",)),
            dict(drop=("Sec-WebSocket-Key",)),
            dict(headers=[("Sec-WebSocket-Key", "short")]),
            dict(headers=[("Sec-WebSocket-Key", "x" * 24)]),
            dict(headers=[("Content-Length", "5")]),
            dict(headers=[("Transfer-Encoding", "chunked")]),
            dict(headers=[("Bad Name", "x")]),
            dict(headers=[("X", "a\r\n b")]),
            dict(headers=[("Host", "a"), ("Host", "b")])):
        r = refusal(g, **request)
        assert r.status == 400, (request, r.status)
        assert len(r.body.strip()) > 10
        said = remembered(g, r.local, reason="bad_request")
        assert said["detail"] == r.body.strip(), (said, r.body)
        assert said["address"].startswith("127.0.0.1:")


def test_other_methods_and_versions_of_http_are_refused():
    g = shared()
    r = refusal(g, method="POST")
    assert r.status == 405 and r["Allow"] == "GET"
    remembered(g, r.local, reason="bad_request", status=405)
    for version in ("HTTP/1.0", "HTTP/2.0"):
        r = refusal(g, version=version)
        assert r.status == 505
        remembered(g, r.local, reason="bad_request", status=505)


def test_bytes_that_are_not_http_are_refused_at_once():
    g = shared()
    for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                 b"\x00\x00\x00\x00", b"hello\r\n\r\n", b"GET / FTP/1.1\r\n\r\n",
                 b"GET /ocpp/CP1 HTTP/1.1\nHost: x\n\n"):
        c = Charger(g, open=False)
        c.raw(data)
        assert c.response().status == 400, data
        c.wait_end()
        c.sock.close()


def test_a_request_that_is_too_large_gets_431():
    g = shared(websocket_max_handshake_size="1KiB")
    c = Charger(g, "BIG", open=False)
    fits = c.request()
    c = Charger(g, "BIG", headers=[("X-Fill", "y" * (1024 - len(fits) - 20))])
    c.close()
    r = refusal(g, headers=[("X-Fill", "y" * 1024)])
    assert r.status == 431, r.status
    remembered(g, r.local, reason="too_large", status=431)
    c = Charger(g, open=False)
    c.raw(b"GET /" + b"x" * 1100)
    assert c.response().status == 431


def test_a_request_that_does_not_end_is_timed_out_with_408():
    g = shared(websocket_handshake_timeout="300ms")
    c = Charger(g, "SLOW", open=False)
    c.raw(c.request()[:-2])
    began = time.monotonic()
    r = c.response()
    assert r.status == 408, r.status
    assert 0.2 < time.monotonic() - began < 5 * SLOW
    c.wait_end()
    remembered(g, r.local, reason="timed_out", status=408)


def test_single_bytes_do_not_extend_the_deadline():
    g = shared(websocket_handshake_timeout="300ms")
    c = Charger(g, "DRIP", open=False)
    began = time.monotonic()
    c.raw(b"GET /ocpp/DRIP")
    while not select.select([c.sock], [], [], 0.05)[0]:
        assert time.monotonic() - began < 10 * SLOW, "the handshake was not ended at its deadline"
        c.raw(b"x")
    r = c.response()
    assert r.status == 408, r.status
    assert time.monotonic() - began > 0.2
    remembered(g, r.local, reason="timed_out", status=408)


def test_a_client_that_sends_nothing_is_timed_out_too():
    g = shared(websocket_handshake_timeout="300ms")
    c = Charger(g, open=False)
    assert c.response().status == 408


def test_a_client_that_disconnects_is_recorded_without_a_status():
    g = shared()
    before = g.stat("refused", "gave_up")
    c = Charger(g, open=False)
    c.raw(b"GET /ocpp/GONE HTT")
    local = "%s:%d" % c.sock.getsockname()
    c.reset()
    remembered(g, local, reason="gave_up", status=0)
    assert g.stat("refused", "gave_up") == before + 1


def test_refusals_are_printed_as_a_table_too():
    # This gateway is not shared: on a shared one, the refusal of an earlier test's client
    # may be recorded only now.
    g = Gateway()
    r = refusal(g, drop=("Upgrade",))
    remembered(g, r.local, reason="not_websocket")
    # Two refusals by two workers in the same millisecond have no order.
    first = datetime.datetime.fromisoformat(
        g.tell("refused")[0]["time"].replace("Z", "+00:00")).timestamp()
    poll(lambda: time.time() >= first + 0.001, what="the next millisecond")
    refusal(g, path="/nowhere")
    text = g.ctl("refused", "--limit", "1", json_=False)
    assert " 404 wrong_path " in text and len(text.splitlines()) == 1, text
    text = g.ctl("refused", json_=False)
    assert [l.split()[2:4] for l in text.splitlines()] == \
        [["404", "wrong_path"], ["426", "not_websocket"]], text


# --- the record of a refusal ---------------------------------------------------

def test_an_unsupported_version_is_refused_and_recorded():
    g = Gateway()
    for i, (offer, shown) in enumerate((
            ("ocpp9.9", "ocpp9.9"), ("ocpp1.6j", "ocpp1.6j"),
            (["ocpp0.1, x", "soap\x9by"], "ocpp0.1, x, soap%C2%9By"))):
        name = "NEW%d" % i
        c = Charger(g, name, protocols=None, open=False)
        r = c.handshake(protocols=None, headers=[
            ("Sec-WebSocket-Protocol", o)
            for o in ([offer] if isinstance(offer, str) else offer)])
        assert r.status == 101 and r["Sec-WebSocket-Protocol"] is None
        c.wait_closed(1002)
        got = remembered(g, r.local, reason="no_subprotocol", status=101,
                         identity=name, path="/ocpp/" + name)
        assert got["offered"] == shown, got
        s = g.show(name)
        assert not s["online"] and s["connections"] == 0
        assert [x["offered"] for x in s["refusals"]] == [shown], s
        assert shown in g.ctl("show", name, json_=False)
        assert g.wait_log("refused %s as %s, path /ocpp/%s, offering "
                          % (re.escape(r.local), name, name))
    assert g.stat("refused", "no_subprotocol") == 3


def test_the_path_is_shown_as_it_was_sent():
    g = Gateway(server_workers=1)
    for path, shown, reason in (
            ("/wrong/CP1?key=secret", "/wrong/CP1", "wrong_path"),
            ("/ocpp/%2F", "/ocpp/%2F", "bad_identity"),
            ("/ocpp/\u009b2J\u202e", "/ocpp/%C2%9B2J%E2%80%AE", "bad_identity"),
            ("/" + "x" * 200, "/" + "x" * 91 + "...", "wrong_path")):
        r = refusal(g, path=path)
        assert remembered(g, r.local, reason=reason)["path"] == shown
        assert g.wait_log("path %s[:,]" % re.escape(shown))
    assert "secret" not in g.ctl("refused", json_=False) + g.log()


def test_wss_on_a_port_without_tls_is_recorded_as_such():
    g = Gateway()
    c = Charger(g, open=False)
    c.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500))
    r = c.response()
    assert r.status == 400 and "wss://" in r.body, r.body
    got = remembered(g, r.local, reason="tls_on_plain")
    assert "wss://" in got["sentence"] and got["path"] == "", got
    assert g.wait_log("tls_on_plain: .*wss://")


def test_probes_do_not_displace_records_of_refusals():
    g = Gateway(server_workers=1)
    r = refusal(g, "REAL", path="/nowhere")
    for _ in range(200):
        socket.create_connection(("127.0.0.1", g.port)).close()
    poll(lambda: g.stat("refused", "gave_up") == 200)
    remembered(g, r.local, reason="wrong_path")
    [one] = [x for x in g.tell("refused") if x["reason"] == "gave_up"]
    assert one["count"] == 200 and one["detail"] == "nothing was sent", one
    assert one["first"] <= one["time"]
    g.wait_log("gave_up")
    assert len(re.findall("gave_up", g.log())) == 1


def test_the_record_of_an_invalid_request_has_its_identity():
    g = Gateway(server_workers=1)
    for identity, how in (("A1", dict(drop=("Sec-WebSocket-Key",))),
                          ("A2", dict(headers=[("Connection", "close")])),
                          ("A3", dict(headers=[("Sec-WebSocket-Version", "8")]))):
        r = refusal(g, identity, **how)
        remembered(g, r.local, identity=identity)
        assert "refused" in g.ctl("why", identity)["text"], g.ctl("why", identity)


def test_a_proxy_header_of_an_unlisted_proxy_is_recorded_as_such():
    g = Gateway(server_workers=1)
    for header in (b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 80\r\n",
                   b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\x01" * 12):
        c = Charger(g, open=False)
        c.raw(header + c.request())
        r = c.response()
        assert r.status == 400 and "server.proxy_from" in r.body, r.body
        remembered(g, r.local, reason="bad_request")


def test_refusals_of_one_address_do_not_displace_others():
    g = Gateway(server_workers=1, server_proxy_from="127.0.0.1",
                limits_failure_rate=0)

    def refuse(source, path):
        c = Charger(g, open=False)
        c.raw(b"PROXY TCP4 %s 192.0.2.1 1000 80\r\n" % source.encode() +
              c.request(path=path))
        assert c.response().status == 404
        c.sock.close()
    for i in range(10):
        refuse("192.0.2.%d" % i, "/honest")
    for i in range(200):
        refuse("203.0.113.9", "/scan/%d" % i)
    for i in range(3):
        refuse("192.0.2.3", "/honest")
    got = g.tell("refused", "--limit", "80")
    assert {x["address"] for x in got if x["path"] == "/honest"} == {
        "192.0.2.%d:1000" % i for i in range(10)}, got
    assert got[0]["address"] == "192.0.2.3:1000" and got[0]["count"] == 4
    # The log does not have a line for each refusal.
    lines = [l for l in g.log().splitlines() if "refused 203.0.113.9" in l]
    assert len(lines) <= 25, len(lines)
    assert g.stat("refused", "wrong_path") == 213


def test_the_log_has_a_line_for_each_connection_and_disconnection():
    g = Gateway(log_level="info")
    c = Charger(g, "CAME AND WENT")
    at = "%s:%d" % c.sock.getsockname()
    s = g.show("CAME AND WENT")
    c.close()
    g.wait_log("CAME AND WENT connected from %s, generation %d, ocpp1.6"
               % (at, s["generation"]))
    g.wait_log("CAME AND WENT disconnected from %s, generation %d, .*: "
               "peer_closed: " % (at, s["generation"]))


# --- a busy registry -----------------------------------------------------------

def hold_registry(g):
    p = subprocess.Popen([os.path.join(B, "scribble"), str(g.pid), "lock", "1"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"locked\n"
    return p


def test_a_busy_registry_delays_a_handshake_and_refuses_none():
    g = Gateway(websocket_handshake_timeout="1m")
    here = Charger(g, "HERE")
    here.boot()
    p = hold_registry(g)
    waiting = [Charger(g, "W%d" % i, open=False) for i in range(20)]
    for c in waiting:
        c.raw(c.request())
    poll(lambda: g.stat("handshakes_delayed") >= 40)  # each handshake tries again
    here.call("Heartbeat")
    assert g.stat("connections") == 1 and g.stat("handshaking") == 20
    p.communicate(b"")
    for c in waiting:
        assert c.response().status == 101
        c.boot()
    assert g.stat("refused", "registry_busy") == 0
    assert g.stat("refused", "flapping") == 0


def test_a_registry_that_stays_busy_refuses_after_handshake_timeout():
    g = Gateway(websocket_handshake_timeout="300ms")
    p = hold_registry(g)
    c = Charger(g, "LATE", open=False)
    c.raw(c.request())
    r = c.response()
    assert r.status == 503 and r["Retry-After"]
    p.communicate(b"")
    remembered(g, r.local, reason="registry_busy")
    assert "the registry was locked" in g.ask("health")[1]
    Charger(g, "LATE").boot()


# --- limits of the gateway -------------------------------------------------------

def test_above_max_connections_all_workers_refuse_with_503_and_retry_after():
    g = Gateway(server_max_connections="5")
    for again in (False, True):
        chargers = [Charger(g, "F0%d" % i) for i in range(5)]
        for worker in (0, 1):
            c = Charger(g, "TOO-MANY", open=False)
            r = c.handshake()
            assert r.status == 503, r.status
            assert int(r["Retry-After"]) > 0
            c.sock.close()
        assert g.stat("connections") == 5
        remembered(g, r.local, reason="full", status=503)
        code, body = g.ask("health")
        assert code == 220 and "max_connections" in body, body
        # A charge point that connects again before the gateway has noticed the end of its old
        # connection takes no second place.
        for i in range(5):
            anew = Charger(g, "F0%d" % i)
            chargers[i].wait_closed(1008)
            chargers[i] = anew
        for c in chargers:
            c.close()
        poll(lambda: g.stat("connections") + g.stat("closing") +
             g.stat("handshaking") == 0)
    c = Charger(g, "F00")
    c.boot()
    s = g.show("TOO-MANY")
    assert not s["online"] and s["connections"] == 0, s


def test_many_handshakes_at_once_never_exceed_max_connections():
    g = Gateway(server_max_connections="20")
    chargers = [Charger(g, "ST%d" % i, open=False) for i in range(60)]
    open_ = []
    for c in chargers:
        try:
            c.raw(c.request())
            if c.response().status == 101:
                open_.append(c)
        except (Closed, OSError):
            pass
        assert g.stat("connections") <= 20
    assert 0 < len(open_) <= 20, len(open_)
    for c in open_:
        c.boot()


def test_a_full_registry_accepts_known_identities_and_refuses_new_ones():
    g = Gateway(server_max_connections="3", server_max_identities="3")
    for name in ("A", "B", "C"):
        c = Charger(g, name)
        c.boot()
        c.close()
        poll(lambda: not g.online(name))
    # These names were used too recently to be removed for an unknown identity.
    r = refusal(g, "STRANGER")
    assert r.status == 503 and int(r["Retry-After"]) > 0, r.headers
    remembered(g, r.local, reason="identities_full", identity="STRANGER")
    assert g.show("STRANGER")["connections"] == 0    # no entry was made
    Charger(g, "B").boot()
    assert g.tell("status")["identities"] == 3


if __name__ == "__main__":
    main()
