#!/usr/bin/python3
"""TLS with other programs: clients of other libraries, HAProxy configured as in the manual
page, the report of a scanner, make run-tls, and a certificate that is renewed."""

import asyncio
import shlex

from lib import *
from tls import (Authority, TlsCharger, authority, client, gateway,
                 handshake_status, haproxy, mutual, refusal)


def manual(after):
    """Returns the literal block of ocppd.conf(5) that follows these words."""
    text = open(os.path.join(ROOT, "man/ocppd.conf.5.in")).read()
    text = text[text.index(after):]
    return text[text.index(".Bd -literal"):text.index(".Ed")] \
        .split("\n", 1)[1].replace("\\e", "\\")


def test_curl_opens_a_websocket():
    if not shutil.which("curl"):
        raise Skip("curl is not installed")
    g = gateway()
    for version in ("--tlsv1.2 --tls-max 1.2", "--tlsv1.3"):
        r = subprocess.run(
            ["curl", "-sS", "-i", "-N", "-m", "2", "--http1.1",
             "--cacert", authority().ca, *version.split(),
             "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
             "-H", "Sec-WebSocket-Version: 13",
             "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
             "-H", "Sec-WebSocket-Protocol: ocpp1.6",
             "https://localhost:%d/ocpp/CP1" % g.tls_port],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        assert b" 101 " in r.stdout, (r.stdout, r.stderr)
    # curl refuses a certificate of another authority, and the gateway records the reason.
    r = subprocess.run(
        ["curl", "-sS", "--cacert", Authority("another").ca,
         "https://localhost:%d/" % g.tls_port], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    assert r.returncode == 60, r
    refusal(g, "peer_unknown_ca")


def test_a_charge_point_with_python_websockets_connects_by_tls():
    try:
        import websockets
    except ImportError:
        raise Skip("python3-websockets is not installed")
    a = authority()
    g = mutual(tls_client="optional")

    async def session(context):
        async with websockets.connect(
                "wss://localhost:%d/ocpp/CP1" % g.tls_port, ssl=context,
                subprotocols=["ocpp1.6"]) as ws:
            async def call(action, payload):
                await ws.send(json.dumps([2, action, action, payload]))
                return json.loads(await asyncio.wait_for(ws.recv(), DEADLINE))
            kind, id, answer = await call("BootNotification", {
                "chargePointVendor": "V", "chargePointModel": "M"})
            assert answer["status"] == "Accepted", answer
            kind, id, answer = await call("DataTransfer", {
                "vendorId": "x", "data": "d" * 60000})
            assert kind == 3, answer
            await (await ws.ping())
    asyncio.run(session(client()))
    asyncio.run(session(client(certificate=a.path("cp1"))))
    got = g.wait_events(2, type="charge_point.connected")
    assert [e["payload"]["securityProfile"] for e in got] == [2, 3], got


def other_client(name, libraries, versions):
    g = gateway()
    with tempfile.TemporaryDirectory() as d:
        r = subprocess.run(
            [*shlex.split(os.environ.get("CC", "gcc")), "-D_GNU_SOURCE", "-o",
             d + "/client", os.path.join(ROOT, "test", name + ".c")] +
            libraries, stderr=subprocess.PIPE, text=True)
        if "No such file" in r.stderr:
            raise Skip("the library of %s is not installed" % name)
        assert r.returncode == 0, r.stderr
        with open(d + "/request", "wb") as f:
            f.write(b"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\n"
                    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                    b"Sec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n")
        with open(d + "/frame", "wb") as f:
            f.write(frame(TEXT, '[2,"1","Heartbeat",{}]'))
        done = 0
        for version in versions:
            r = subprocess.run(
                [d + "/client", str(g.tls_port), authority().ca, version,
                 d + "/request", d + "/frame"], stderr=subprocess.PIPE,
                text=True, timeout=DEADLINE)
            if r.returncode == 77 and done > 0:     # an old library does not have this feature
                continue
            assert r.returncode == 0, (version, r.stderr, g.tell("refused"))
            done += 1
    assert sum(g.stat("tls_handshakes").values()) == done
    assert g.stat("tls_bad_records") == 0


def test_a_client_with_wolfssl_connects():
    other_client("wolfssl_client", ["-lwolfssl"], "23")


def test_a_client_with_mbedtls_connects():
    other_client("mbedtls_client",
                 ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"], "23")


def test_a_scanner_reports_only_the_documented_versions_and_suites():
    if not shutil.which("sslscan"):
        raise Skip("sslscan is not installed")
    g = gateway()
    r = subprocess.run(["sslscan", "--no-colour",
                        "127.0.0.1:%d" % g.tls_port], text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       timeout=60 * SLOW)
    got = [" ".join(line.split()) for line in r.stdout.split("\n")]
    got = [line for line in got if re.match(
        r"(SSLv|TLSv|Accepted|Preferred|Server supports|.*renegotiation )",
        line)]
    # Newer scanners list more groups; the gateway supports none of these.
    want = open(os.path.join(ROOT, "test/sslscan.expected")).read()
    assert got == want.split("\n")[:-1], "\n".join(got)


def test_charge_points_connect_with_the_configurations_of_profile_2_and_3():
    a = authority()
    basic = [("Authorization", "Basic " + base64.b64encode(
        b"CP1:0123456789abcdef").decode())]
    for name, more in (("profile2", {}), ("profile3", {"tls_client_ca": a.ca})):
        g = gateway(conf="conf/%s.conf" % name, server_listen="", server_user="",
                    server_pidfile="", admin_listen="", log_target="stderr",
                    log_level="info", **more)
        for identity in ("CP1", "CP2"):
            g.ctl("auth", "add", identity, "0123456789abcdef", json_=False)
        assert handshake_status(g, "CP1", client()) == 401, name
        c = TlsCharger(g, "CP1", client(), open=False)
        assert c.handshake(headers=basic).status == 101, name
        c.close()
        mine = client(certificate=a.path("cp1"))
        if name == "profile2":      # no certificate is requested
            assert handshake_status(g, "CP1", mine) == 401
        else:
            TlsCharger(g, "CP1", mine).boot()
            assert handshake_status(g, "CP2", mine) == 403
            # A lower profile than before.
            c = TlsCharger(g, "CP1", client(), open=False)
            assert c.handshake(headers=basic).status == 403
        g.stop()


def test_haproxy_works_with_the_configuration_in_the_manual():
    if not shutil.which("haproxy"):
        raise Skip("haproxy is not installed")
    a = authority()
    conf = open(os.path.join(ROOT, "conf/behind-haproxy.conf")).read()
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        g = Gateway(server_proxy_from="127.0.0.1", tls_proxy_from="127.0.0.1",
                    tls_refuse_downgrade="yes")
        assert "proxy_from = 127.0.0.1" in conf
        with open(d + "/site.pem", "w") as f:
            for n in a.path("server"):
                f.write(open(n).read())
        port = free_port()
        lines = manual("If HAProxy terminates TLS")
        for old, new in ((":8443", "127.0.0.1:%d" % port),
                         ("/etc/haproxy/site.pem", d + "/site.pem"),
                         ("clients.pem", a.ca),
                         ("127.0.0.1:8080", "127.0.0.1:%d" % g.port)):
            assert old in lines, (old, lines)
            lines = lines.replace(old, new)
        with open(d + "/cfg", "w") as f:
            f.write(lines)
        r = subprocess.run(["haproxy", "-c", "-f", d + "/cfg"], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert r.returncode == 0 and "missing timeouts" not in r.stdout, r
        with haproxy(g, d + "/cfg", port):
            mine = client(certificate=a.path("cp1"))
            TlsCharger(g, "CP1", mine).boot()
            assert handshake_status(g, "CP2", mine) == 403
            TlsCharger(g, "CP2", client()).boot()
            assert handshake_status(g, "CP1", client()) == 403


def test_a_certificate_is_renewed_by_the_commands_in_the_manual():
    """CP1 sends SignCertificate. The platform signs the request by openssl ca and sends
    CertificateSigned with ocppctl, as the manual page describes it."""
    if not shutil.which("jq"):
        raise Skip("jq is not installed")
    a = authority()
    g = mutual(tls_client="required", ocpp_validation="lenient")
    c = TlsCharger(g, "CP1", client(certificate=a.path("cp1")))
    c.boot()
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(
            ["openssl", "req", "-new", *a.kind("ec"), "-keyout", d + "/new.key",
             "-out", d + "/CP1.csr", "-subj", "/O=ACME Ltd/CN=CP1"],
            check=True, stderr=subprocess.DEVNULL)
        c.put("SignCertificate", {"csr": open(d + "/CP1.csr").read()})
        [e] = g.wait_events(1, type="certificate.requested")
        with open(d + "/CP1.csr", "w") as f:
            f.write(e["payload"]["csr"])
        recipe = manual("To give a charge point its certificate")
        assert "openssl ca -config ca.cnf" in recipe
        recipe = recipe.replace("-config ca.cnf", "-config c") \
            .replace("CP1.csr", d + "/CP1.csr") \
            .replace("CP1.pem", d + "/CP1.pem") \
            .replace("ocppctl call", "%s -s %s call" % (
                shlex.quote(os.path.join(ROOT, B, "ocppctl")
                            if not os.path.isabs(B)
                            else os.path.join(B, "ocppctl")), g.control))
        p = subprocess.Popen(["sh", "-ec", recipe], cwd=a.dir,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        try:
            m = c.message(timeout=30 * SLOW)
            while '"CertificateSigned"' not in m:
                m = c.message(timeout=30 * SLOW)
        except (TimeoutError, Closed):
            raise AssertionError(p.communicate(timeout=30 * SLOW)[0])
        kind, id, action, payload = json.loads(m)
        c.send(json.dumps([3, id, {"status": "Accepted"}]))
        out, _ = p.communicate(timeout=30 * SLOW)
        assert p.returncode == 0 and "Accepted" in out, out
        with open(d + "/new.pem", "w") as f:
            f.write(payload["certificateChain"])
        new = client(certificate=(d + "/new.pem", d + "/new.key"))
        TlsCharger(g, "CP1", new).boot()
        assert g.wait_events(2, type="charge_point.connected")[1]["payload"][
            "tls"]["commonName"] == "CP1"


def test_make_run_tls_and_the_commands_that_it_prints_work():
    """Runs make run-tls in a network namespace of its own, and then the commands that it
    prints, from another shell."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skip("only root can make a network namespace")
    with tempfile.TemporaryDirectory() as d:
        subprocess.run("cd %s && git ls-files -z | tar --null -T - -cf - | "
                       "tar -C %s -xf -" % (ROOT, d), shell=True, check=True)
        built = B if os.path.isabs(B) else os.path.join(ROOT, B)
        shutil.copytree(built, d + "/build", symlinks=True,
                        ignore=shutil.ignore_patterns("fuzz*", "unit"))
        script = r"""
ip link set lo up
make run-tls >out 2>&1 &
pid=$!
trap 'kill $(cat run/*.pid 2>/dev/null) $pid 2>/dev/null; wait' EXIT
i=0
until build/ocppctl -s run/control.sock status >/dev/null 2>&1; do
    sleep 0.2
    i=$((i + 1))
    [ $i -lt %d ] || { cat out; exit 1; }
done
# Writes the commands that it prints to a file; continued lines are joined.
sed -e ':a' -e '/\\$/N' -e 's/\\\n *//' -e 'ta' out |
    sed -n 's/^ *[^ ].*:  *\(build\/.*\)$/\1/p' |
    sed 's/--duration 60s/--duration 2s -q --json/' >commands
cat commands
. ./commands
""" % (300 * SLOW)
        r = subprocess.run(["unshare", "-n", "bash", "-c", script], cwd=d,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True,
                           env={k: v for k, v in os.environ.items()
                                if k not in ("B", "MAKEFLAGS")},
                           timeout=200 * SLOW)
    assert r.returncode == 0, r.stdout
    assert r.stdout.count("ocppsim") >= 2 and "CP1.pem" in r.stdout, r.stdout
    assert len(re.findall(r'"opened": *1\b', r.stdout)) == 2, r.stdout
    assert re.search(r"handshakes with TLS_", r.stdout), r.stdout
    assert re.search(r"authority .*run/tls/ca.pem", r.stdout), r.stdout


if __name__ == "__main__":
    main()
