#!/usr/bin/env python3
"""Charge points behind load balancers that use the PROXY protocol, or behind HTTP proxies."""

from lib import *

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source, port=50000):
    family = "TCP6" if ":" in source else "TCP4"
    target = "::1" if ":" in source else "127.0.0.1"
    return ("PROXY %s %s %s %d 80\r\n" % (family, source, target, port)).encode()


def v2(source, port=50000, more=b""):
    six = ":" in source
    af = socket.AF_INET6 if six else socket.AF_INET
    body = socket.inet_pton(af, source) + bytes(16 if six else 4) + \
        struct.pack(">HH", port, 80) + more
    return SIGNATURE + bytes([0x21, 0x21 if six else 0x11]) + \
        struct.pack(">H", len(body)) + body


def gateway(**more):
    return Gateway(server_proxy_from="127.0.0.1 2001:db8::/32", **more)


def connect(g, identity, header, pieces=1):
    c = Charger(g, identity, open=False)
    data = header + c.request()
    step = max(1, len(data) // pieces)
    for i in range(0, len(data), step):
        c.raw(data[i:i + step])
    return c, c.response()


def test_the_address_of_the_client_is_that_of_the_header():
    g = gateway()
    for i, (header, address) in enumerate((
            (v1("192.0.2.1"), "192.0.2.1:50000"),
            (v1("2001:db8::7"), "[2001:db8::7]:50000"),
            (v2("192.0.2.2"), "192.0.2.2:50000"),
            (v2("2001:db8::8"), "[2001:db8::8]:50000"),
            (v2("192.0.2.3", more=b"\x04\0\x02xx"), "192.0.2.3:50000"))):
        c, r = connect(g, "CP%d" % i, header)
        assert r.status == 101
        [e] = g.wait_events(1, type="charge_point.connected", cp="CP%d" % i)
        assert e["payload"]["remoteAddress"] == address, e
        assert c.boot()["status"] == "Accepted"
    assert g.stat("proxied") == 5


def test_a_header_may_be_received_in_pieces():
    g = gateway()
    for i, header in enumerate((v1("192.0.2.1"), v2("192.0.2.1"))):
        c, r = connect(g, "CP%d" % i, header, pieces=1000)
        assert r.status == 101
        assert c.boot()["status"] == "Accepted"


def test_connections_of_the_load_balancer_itself_have_its_address():
    g = gateway()
    for i, header in enumerate((b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\0\0\0")):
        c, r = connect(g, "CP%d" % i, header)
        assert r.status == 101
        [e] = g.wait_events(1, type="charge_point.connected", cp="CP%d" % i)
        assert e["payload"]["remoteAddress"] == r.local, e


def test_a_load_balancer_must_send_the_header():
    g = gateway()
    assert refusal(g, "CP1").status == 400
    [r] = g.tell("refused")
    assert r["reason"] == "no_proxy_header"
    assert "server.proxy_from" in r["detail"], r
    c, r = connect(g, "CP1", b"PROXY TCP4 nonsense\r\n")
    assert r.status == 400


def test_other_clients_may_not_send_the_header():
    g = Gateway(server_proxy_from="192.0.2.0/24")
    for header in (v1("192.0.2.1"), v2("192.0.2.1")):
        c, r = connect(g, "CP1", header)
        assert r.status == 400
    assert {r["reason"] for r in g.tell("refused")} == {"bad_request"}
    assert all(r["address"].startswith("127.0.0.1:") for r in g.tell("refused"))


# --- HTTP proxies --------------------------------------------------------------

def through(g, identity, *headers, before=b""):
    c = Charger(g, identity, open=False)
    c.raw(before + c.request(headers=headers))
    r = c.response()
    if r.status == 101:
        [e] = g.wait_events(1, type="charge_point.connected", cp=identity)
        assert c.boot()["status"] == "Accepted"
        c.close()
        return e["payload"]["remoteAddress"]
    c.sock.close()
    return r.status


def test_an_http_proxy_names_the_client():
    g = gateway()       # trusts 127.0.0.1 and 2001:db8::/32
    x, f = "X-Forwarded-For", "Forwarded"
    for i, (headers, want) in enumerate((
            ([(x, "192.0.2.1")], "192.0.2.1"),
            ([(x, "192.0.2.1:4711")], "192.0.2.1:4711"),
            ([(x, "2001:db9::7")], "[2001:db9::7]"),
            ([(x, "[2001:db9::7]:80")], "[2001:db9::7]:80"),
            # In the header, addresses that the client has invented are to the left of those that
            # the proxies have added.
            ([(x, "10.9.9.9, evil, 192.0.2.2, 2001:db8::1")], "192.0.2.2"),
            ([(x, "10.9.9.9"), (x, "192.0.2.3")], "192.0.2.3"),
            ([(x, "192.0.2.4 ,127.0.0.1,")], "192.0.2.4"),
            ([(x, "unknown, 2001:db8::5")], "[2001:db8::5]"),
            ([(x, "127.0.0.1, 2001:db8::6")], "127.0.0.1"),
            ([(f, "for=192.0.2.7")], "192.0.2.7"),
            ([(f, 'for="[2001:db9::8]:80";proto=https, '
                  'By=x;FOR="192.0.2.8:90"')], "192.0.2.8:90"),
            ([(f, 'for="10.1.1.1, for=192.0.2.9')], "192.0.2.9"),
            ([(f, "for=192.0.2.10"), (x, "192.0.2.10")], "192.0.2.10"),
            # A header that cannot be trusted is refused.
            ([], 400),
            ([(x, "unknown")], 400),
            ([(f, "by=192.0.2.1")], 400),
            ([(x, "192.0.2.300")], 400),
            ([(f, "for=10.1.1.1"), (x, "192.0.2.11")], 400),
            )):
        assert through(g, "X%d" % i, *headers) == want, (i, headers, want)
    assert g.stat("forwarded") == 13
    [one] = [r for r in g.tell("refused") if "different" in r["detail"]]
    assert one["reason"] == "no_proxy_header", one


def test_addresses_in_headers_of_other_clients_are_not_used():
    # A client without a proxy is not trusted, nor is one behind a PROXY header.
    g = Gateway()
    got = through(g, "CP1", ("X-Forwarded-For", "192.0.2.1"))
    assert got.startswith("127.0.0.1:"), got
    g = gateway()
    fake = ("X-Forwarded-For", "10.9.9.9"), ("Forwarded", "for=10.9.9.9")
    assert through(g, "CP2", *fake, before=v1("192.0.2.5")) == "192.0.2.5:50000"
    # A load balancer is in front of an HTTP proxy, and both are trusted.
    assert through(g, "CP3", ("X-Forwarded-For", "10.9.9.9, 192.0.2.6"),
                   before=v1("2001:db8::1")) == "192.0.2.6"
    assert through(g, "CP4", before=v1("2001:db8::1")) == "[2001:db8::1]:50000"


def test_limits_hold_for_clients_of_an_http_proxy():
    g = gateway(limits_address_connections=2)
    x = "X-Forwarded-For"

    def status(identity, client):
        c = Charger(g, identity, open=False)
        r = c.handshake(headers=[(x, client)])
        return c, r.status
    here = [status("A%d" % i, "192.0.2.1") for i in range(2)]
    assert [s for _, s in here] == [101, 101]
    assert status("A3", "192.0.2.1")[1] == 503
    assert status("A3", "192.0.2.2")[1] == 101
    g.ask("deny", "add", "address", "192.0.2.66")
    assert status("D", "192.0.2.66")[1] == 403
    c = Charger(g, open=False)
    r = c.handshake(path="/nowhere/X", headers=[(x, "192.0.2.67")])
    assert r.status == 404
    c = Charger(g, open=False)
    r = c.handshake(drop=("Upgrade",), headers=[(x, "192.0.2.68")])
    assert r.status == 426
    got = {e["address"]: e["reason"] for e in g.tell("refused")}
    assert got == {"192.0.2.1": "crowded", "192.0.2.66": "denied",
                   "192.0.2.67": "wrong_path", "192.0.2.68": "not_websocket"}


def test_a_header_that_is_too_long_is_refused():
    g = gateway()
    c = Charger(g, open=False)
    c.raw(SIGNATURE + b"\x21\x11\xff\xff" + bytes(100))
    assert c.response().status == 400
    c = Charger(g, open=False)
    c.raw(b"PROXY TCP4 " + b"1" * 200)
    assert c.response().status == 400


def test_a_connection_that_sends_only_a_header_is_timed_out():
    g = gateway(websocket_handshake_timeout="300ms")
    c = Charger(g, open=False)
    c.raw(v1("192.0.2.9"))
    assert c.response().status == 408
    poll(lambda: [r for r in g.tell("refused") if r["reason"] == "timed_out" and
                  r["address"] == "192.0.2.9:50000"])


def test_a_wrong_range_is_an_error_of_the_configuration():
    g = Gateway(start=False, server_proxy_from="10.0.0.0/33")
    r = subprocess.run(g.command() + ["-t"], capture_output=True, text=True)
    assert r.returncode == 78
    assert "10.0.0.0/33 is not a range of addresses" in r.stderr, r.stderr


def test_a_reload_changes_which_clients_may_send_the_header():
    conf = open(os.path.join(ROOT, "conf/test.conf")).read()
    g = Gateway(conf=conf)
    c, r = connect(g, "CP1", v1("192.0.2.1"))
    assert r.status == 400
    with open(g.conf, "w") as f:
        f.write(conf.replace("[server]\n", "[server]\nproxy_from = 127.0.0.1\n"))
    assert g.ask("reload")[0] == 200
    poll(lambda: connect(g, "CP1", v1("192.0.2.1"))[1].status == 101)


if __name__ == "__main__":
    main()
