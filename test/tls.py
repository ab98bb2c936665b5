#!/usr/bin/python3
"""TLS on the listeners: security profiles 2 and 3, certificates that change, the reasons
of failed handshakes, and sessions that are resumed."""

import contextlib
import select
import ssl
import warnings

from lib import *

warnings.simplefilter("ignore", DeprecationWarning)  # the tests use TLS 1.1, which must be refused

SUITES_12 = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305":
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305":
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "AES128-GCM-SHA256": "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "AES256-GCM-SHA384": "TLS_RSA_WITH_AES_256_GCM_SHA384",
}
SUITES_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
             "TLS_CHACHA20_POLY1305_SHA256"]


class Authority:
    """Certificates that are made with openssl in a directory of their own."""

    CONFIG = """
[ca]
default_ca = d
[d]
dir = .
database = index
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
default_days = 9
default_crl_days = 9
unique_subject = no
copy_extensions = copy
email_in_dn = no
[any]
organizationName = optional
commonName = supplied
[req]
distinguished_name = empty
[empty]
[ca_ext]
basicConstraints = critical,CA:true
"""

    def __init__(self, name="root"):
        self.dir = tempfile.mkdtemp(prefix="ocppd-test-ca-")
        os.chmod(self.dir, 0o755)
        with open(self.dir + "/c", "w") as f:
            f.write(self.CONFIG)
        open(self.dir + "/index", "w").close()
        for n in ("serial", "crlnumber"):
            with open(self.dir + "/" + n, "w") as f:
                f.write("1000\n")
        self.openssl("req", "-x509", *self.kind("ec"), "-keyout", "ca.key",
                     "-out", "ca.pem", "-subj", "/CN=" + name, "-days", "99",
                     "-config", "c", "-extensions", "ca_ext")
        self.ca = self.dir + "/ca.pem"

    @staticmethod
    def kind(key):
        return ["-nodes", "-newkey"] + (
            ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec"
            else ["rsa:" + key])

    def openssl(self, *words):
        r = subprocess.run(["openssl", *words], cwd=self.dir, text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        assert r.returncode == 0, r.stdout
        return r.stdout

    def make(self, name, subject="/CN=localhost", key="ec", san=None,
             start=None, end=None, ext=(), md="sha256"):
        """Makes a certificate. Returns (certificate file, key file). start, end:
        YYYYMMDDHHMMSSZ."""
        more = []
        for e in ([("subjectAltName=" + san)] if san else []) + list(ext):
            more += ["-addext", e]
        self.openssl("req", "-new", *self.kind(key), "-keyout", name + ".key",
                     "-out", name + ".csr", "-subj", subject, "-config", "c",
                     *more)
        dates = (["-startdate", start] if start else []) + \
            (["-enddate", end] if end else [])
        self.openssl("ca", "-config", "c", "-batch", "-notext", "-md", md,
                     "-in", name + ".csr", "-out", name + ".pem", *dates)
        return self.path(name)

    def path(self, name):
        return (self.dir + "/" + name + ".pem", self.dir + "/" + name + ".key")

    def revoke(self, name):
        self.openssl("ca", "-config", "c", "-revoke", name + ".pem")

    def crl(self, *options):
        self.openssl("ca", "-config", "c", "-gencrl", "-out", "crl.pem",
                     *options)
        return self.dir + "/crl.pem"


_made = {}


def authority():
    """Returns the certificates that most tests need: ECDSA and RSA certificates of a
    server, and a client certificate."""
    if "a" not in _made:
        a = _made["a"] = Authority()
        san = "DNS:localhost,IP:127.0.0.1"
        a.make("server", san=san)
        a.make("rsa", key="2048", san=san)
        a.make("cp1", "/O=ACME Ltd/CN=CP1", san="DNS:CP1,DNS:CP2.example")
    return _made["a"]


def gateway(certificates=("server", "rsa"), **settings):
    a = authority()
    port = free_port()
    settings.setdefault("tls_certificate",
                        " ".join(a.path(n)[0] for n in certificates))
    settings.setdefault("tls_key",
                        " ".join(a.path(n)[1] for n in certificates))
    g = Gateway(server_listen_tls="127.0.0.1:%d" % port, **settings)
    g.tls_port = port
    return g


def client(version=None, suites=None, certificate=None, ca=None, level=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.load_verify_locations(ca or authority().ca)
    if suites:
        c.set_ciphers(suites)
    if level is not None:
        c.set_ciphers((suites or "DEFAULT") + ":@SECLEVEL=%d" % level)
    if version:
        c.minimum_version = c.maximum_version = version
    if certificate:
        c.load_cert_chain(*certificate)
    return c


class At:
    """Returns a gateway whose clients connect to its TLS port."""

    def __init__(self, g):
        self.g, self.port = g, g.tls_port

    def __getattr__(self, name):
        return getattr(self.g, name)


class TlsCharger(Charger):
    def __init__(self, g, identity="CP1", context=None, host="localhost",
                 session=None, open=True, before=b"", **kw):
        super().__init__(At(g), identity, open=False, **kw)
        self.plain = self.sock
        if before:
            self.sock.sendall(before)
        self.sock = (context or client()).wrap_socket(
            self.sock, server_hostname=host, session=session)
        if open:
            r = self.handshake()
            assert r.status == 101, (r.status, r.body)

    def fill(self, deadline):
        try:
            super().fill(deadline)
        except ssl.SSLError as e:
            raise Closed(None, str(e))


def refusal(g, word):
    """Waits for a refusal whose detail begins with this word, and returns it."""
    def there():
        for r in g.tell("refused"):
            if (r.get("detail") or "").startswith(word + ":"):
                return r
        return None
    return poll(there, what="a refusal of " + word)


# --- profile 2 ----------------------------------------------------------------

def test_a_charge_point_connects_with_tls_1_2_and_1_3():
    g = gateway()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        c = TlsCharger(g, "CP1", client(version))
        assert c.boot()["status"] == "Accepted"
        assert c.call("Heartbeat", {})["currentTime"]
        # Large messages are sent in both directions, each in several records.
        c.call("DataTransfer", {"vendorId": "x", "data": "d" * 40000})
        c.close()
    assert sum(g.stat("tls_handshakes").values()) == 2
    assert len(g.wait_events(2, type="charge_point.connected")) == 2


def test_tls_works_at_each_listening_address():
    ports = free_port(), free_port()
    a = authority()
    g = Gateway(server_listen_tls=" ".join("127.0.0.1:%d" % p for p in ports),
                tls_certificate=a.path("server")[0],
                tls_key=a.path("server")[1])
    for port in ports:
        g.tls_port = port
        assert TlsCharger(g, "CP%d" % port).boot()["status"] == "Accepted"


def test_each_cipher_suite_works():
    g = gateway()
    with contextlib.ExitStack() as stack:
        for version, names in (("-tls1_3", SUITES_13), ("-tls1_2", SUITES_12)):
            for name in names:
                option = "-ciphersuites" if version == "-tls1_3" else "-cipher"
                p = stack.enter_context(subprocess.Popen(
                    ["openssl", "s_client", "-quiet", "-connect",
                     "127.0.0.1:%d" % g.tls_port, "-CAfile", authority().ca,
                     "-verify_return_error", version, option, name],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL))
                stack.callback(p.kill)
                p.stdin.write(b"GET /ocpp/%b HTTP/1.1\r\nHost: x\r\n"
                              b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                              b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                              b"Sec-WebSocket-Version: 13\r\n"
                              b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
                              % name.encode())
                p.stdin.flush()
                line = p.stdout.readline()
                assert b" 101 " in line, (name, line)
                row = SUITES_12.get(name, name)
                assert g.stat("tls_handshakes", row) == 1, row
                assert g.stat("tls_connections", row) == 1, row
        t = g.ctl("tls")
        want = dict.fromkeys(SUITES_13 + list(SUITES_12.values()), 1)
        assert t["handshakes"] == t["connections"] == want, t
        text = g.ctl("tls", json_=False)
        assert "1 handshakes with %s, 1 connections open\n" % row in text, text
        g.note_stats()
    poll(lambda: g.ctl("tls")["connections"] == {}, what="their end")


def test_openssl_and_gnutls_may_request_key_updates_and_small_fragments():
    """KeyUpdate from both clients, renegotiation (refused), and a small fragment length."""
    g = gateway()
    request = (b"GET /ocpp/CP1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
               b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    for words, command in (
            (["openssl", "s_client", "-tls1_3"], b"k\n"),
            (["openssl", "s_client", "-tls1_3"], b"K\n"),
            (["openssl", "s_client", "-tls1_3", "-maxfraglen", "512"], b""),
            (["openssl", "s_client", "-tls1_2", "-maxfraglen", "512"], b""),
            (["gnutls-cli", "--inline-commands"], b"^rekey^\n")):
        if words[0] == "openssl":
            words = words + ["-connect", "127.0.0.1:%d" % g.tls_port,
                             "-CAfile", authority().ca]
        else:
            words = words + ["--port", str(g.tls_port), "--x509cafile",
                             authority().ca, "localhost"]
        with subprocess.Popen(words, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as p:
            before = g.stat("tls_key_updates")
            line = b"x"
            while line and not re.search(b"Verify return code|Handshake was",
                                         line):
                line = p.stdout.readline()
            p.stdin.write(command)
            p.stdin.flush()
            if command:
                poll(lambda: g.stat("tls_key_updates") > before,
                     what="a KeyUpdate of %s" % words)
            p.stdin.write(request)
            p.stdin.flush()
            out = b""
            while b" 101 " not in out:
                some = p.stdout.readline()
                assert some, (words, out)
                out += some
            if "-maxfraglen" in words:
                # OpenSSL ends the connection at a record that is too long.
                pings = frame(PING, b"x" * 100, mask=bytes(4)) * 20
                p.stdin.write(pings)
                p.stdin.flush()
                out = b""
                while out.count(b"x") < 2000:
                    some = os.read(p.stdout.fileno(), 1 << 16)
                    assert some and b"too long" not in out, (words, out)
                    out += some
            p.kill()
    with subprocess.Popen(
            ["openssl", "s_client", "-tls1_2", "-legacy_renegotiation",
             "-connect", "127.0.0.1:%d" % g.tls_port],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT) as p:
        poll(lambda: g.stat("handshaking") == 1)
        p.stdin.write(b"R\n")
        p.stdin.flush()
        poll(lambda: g.stat("tls_bad_records") == 1, what="the count of the refused record")
        p.kill()


def test_the_bytes_of_records_may_come_one_by_one():
    """Each part of the handshake and of records arrives alone; then Finished and data arrive
    together."""
    g = gateway()
    inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = client().wrap_bio(inc, out, server_hostname="localhost")
    c = Charger(At(g), "CP1", open=False)
    while True:
        try:
            t.do_handshake()
            break
        except ssl.SSLWantReadError:
            for byte in out.read():
                c.raw(bytes([byte]))
            c.sock.settimeout(DEADLINE)
            inc.write(c.sock.recv(1 << 16))
    t.write(c.request())
    c.raw(out.read())  # Finished and the request
    data = b""
    while b"\r\n\r\n" not in data:
        inc.write(c.sock.recv(1 << 16))
        try:
            data += t.read()
        except ssl.SSLWantReadError:
            pass
    assert b" 101 " in data
    t.write(frame(TEXT, '[2,"1","Heartbeat",{}]'))
    for byte in out.read():
        c.raw(bytes([byte]))
    data = b""
    while b"currentTime" not in data:
        inc.write(c.sock.recv(1 << 16))
        try:
            data += t.read()
        except ssl.SSLWantReadError:
            pass


def test_the_gateway_ends_a_connection_with_close_notify():
    # A ping on its way would be data after the client's close_notify.
    g = gateway(websocket_ping_interval="10m", websocket_idle_timeout="30m")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        c = TlsCharger(g, "CP1", client(version))
        g.ctl("disconnect", "CP1", json_=False)
        try:
            while True:
                c.message()
        except Closed as e:
            assert e.code == 1008
        # Without a close_notify this would raise an SSLEOFError.
        c.sock.settimeout(DEADLINE)
        assert c.sock.recv(100) == b""
    # The close_notify of the charge point ends the connection and is answered.
    for version, cp in ((ssl.TLSVersion.TLSv1_2, "CP2"),
                        (ssl.TLSVersion.TLSv1_3, "CP3")):
        c = TlsCharger(g, cp, client(version))
        c.boot()
        c.sock.settimeout(DEADLINE)
        c.sock.unwrap()  # raises an SSLEOFError if there is no answer
        [e] = g.wait_events(1, type="charge_point.disconnected", cp=cp)
        assert e["payload"]["reason"] == "peer_vanished", e


def test_a_record_that_was_tampered_with_ends_the_connection():
    g = gateway()
    inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    c = TlsCharger(g, "CP1")
    assert c.boot()["status"] == "Accepted"
    raw = c.sock.detach()
    with socket.socket(fileno=raw) as s:
        s.sendall(b"\x17\x03\x03\0\x20" + bytes(32))
        [e] = g.wait_events(1, type="charge_point.disconnected")
        assert e["payload"]["reason"] == "tls_error", e
        s.settimeout(DEADLINE)
        answer = b""
        try:
            while True:
                some = s.recv(1000)
                if not some:
                    break
                answer += some
        except ConnectionResetError:
            pass
        # The gateway may have sent one encrypted alert, and nothing else.
        assert answer[:3] in (b"", b"\x17\x03\x03") and len(answer) < 64, answer
    assert g.stat("tls_bad_records") == 1


def test_an_incomplete_record_has_a_deadline():
    g = gateway(tls_record_timeout="1s", websocket_idle_timeout="1h")
    c = TlsCharger(g, "CP1")
    raw = socket.socket(fileno=c.sock.detach())
    raw.sendall(b"\x17\x03\x03")
    [e] = g.wait_events(1, type="charge_point.disconnected")
    assert e["payload"]["reason"] == "tls_error", e
    raw.close()


def test_pings_are_sent_over_tls():
    g = gateway()
    c = TlsCharger(g, "CP1")
    c.boot()
    end = time.monotonic() + DEADLINE
    while not c.pings:
        assert time.monotonic() < end
        try:
            c.message(1.5)
        except TimeoutError:
            pass
    poll(lambda: g.stat("pongs") > 0)
    assert c.call("Heartbeat", {})["currentTime"]


def test_keys_are_renewed_by_age():
    g = gateway(tls_rekey="2s")
    c = TlsCharger(g, "CP1", client(ssl.TLSVersion.TLSv1_3))
    c.boot()
    seen = []
    for n in (1, 2, 3):
        poll(lambda: (c.call("Heartbeat", {}), g.stat("tls_key_updates") >= n)[1],
             20 * SLOW)
        seen.append(time.monotonic())
    # The age counts from the last renewal.
    assert seen[2] - seen[0] > 2, seen
    assert c.call("Heartbeat", {})["currentTime"]


def test_a_fragmented_hello_and_two_connections_of_one_worker():
    """Records of one connection must not be accepted on another one."""
    g = gateway(server_workers=1)
    many = [TlsCharger(g, "CP%d" % i) for i in range(20)]
    for _ in range(5):
        for c in many:
            c.put("Heartbeat", {})
        for c in many:
            assert "currentTime" in c.message()


# --- handshakes that fail -------------------------------------------------------

def tls_fails(g, context=None, host="localhost", **kw):
    """In TLS 1.3 a client detects that its certificate was refused only when it reads."""
    try:
        c = TlsCharger(g, "CP1", context, host=host, open=False, **kw)
        c.raw(c.request())
        c.response()
    except (ssl.SSLError, OSError, Closed):
        return
    raise AssertionError("the handshake succeeded")


def test_each_failure_has_its_reason():
    g = gateway()
    s = socket.create_connection(("127.0.0.1", g.tls_port))
    s.sendall(b"GET /ocpp/CP1 HTTP/1.1\r\n\r\n")
    assert b" 400 " in s.recv(1000)
    refusal(g, "http")
    s.close()

    s = socket.create_connection(("127.0.0.1", g.tls_port))
    s.sendall(b"SSH-2.0-x\r\n")
    refusal(g, "not_tls")
    s.close()

    s = socket.create_connection(("127.0.0.1", g.tls_port))
    s.sendall(b"\x16\x03\x01\0\x08\1\0\0\4abcd")
    refusal(g, "protocol")
    s.close()

    tls_fails(g, client(ssl.TLSVersion.TLSv1_1, level=0))
    refusal(g, "version")
    tls_fails(g, client(ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-SHA"))
    refusal(g, "no_suite")
    tls_fails(g, client(ca=Authority("another").ca))
    r = refusal(g, "peer_unknown_ca")
    assert "unknown_ca" in r["detail"] and "48" in r["detail"], r
    tls_fails(g, host="another.example")
    refusal(g, "peer_certificate")

    inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    c = client(ssl.TLSVersion.TLSv1_2)
    c.check_hostname = False
    t = c.wrap_bio(inc, out)
    try:
        t.do_handshake()
    except ssl.SSLWantReadError:
        pass
    s = socket.create_connection(("127.0.0.1", g.tls_port))
    s.sendall(out.read() + b"\x15\x03\x03\0\2\2\x50")
    r = refusal(g, "peer_alert")
    assert "internal_error" in r["detail"], r
    s.close()

    s = socket.create_connection(("127.0.0.1", g.tls_port))
    s.sendall(b"\x16\x03\x01")
    poll(lambda: g.stat("handshaking") == 1)
    s.close()
    refusal(g, "reset")
    # A connection that sends no byte, as a port scan does, is not a failure of TLS.
    n = g.stat("tls_failures", "reset")
    socket.create_connection(("127.0.0.1", g.tls_port)).close()
    poll(lambda: g.stat("refused", "gave_up") == 1)
    assert g.stat("tls_failures", "reset") == n


def test_each_alert_is_counted_by_its_name():
    """A client sends its ClientHello and an alert; of TLS 1.2, because user_canceled
    ends nothing in TLS 1.3. The names are those of RFC 8446
    and RFC 5246, as Python knows them."""
    g = gateway(limits_accept_rate=0)
    names = {int(v): k[18:].lower() for k, v in vars(ssl).items()
             if k.startswith("ALERT_DESCRIPTION_")}
    assert names[48] == "unknown_ca" and len(names) > 25, names
    former = {21: "decryption_failed", 30: "decompression_failure",
              41: "no_certificate", 60: "export_restriction",
              86: "inappropriate_fallback", 109: "missing_extension",
              116: "certificate_required", 120: "no_application_protocol",
              77: "unknown"}
    for number, name in (names | former).items():
        name = {"bad_certificate_hash_value": "unknown",
                "certificate_unobtainable": "unknown",
                "user_cancelled": "user_canceled"}.get(name, name)
        before = g.stat("tls_alerts_received", name)
        with socket.create_connection(("127.0.0.1", g.tls_port)) as s:
            s.sendall(hello(ssl.TLSVersion.TLSv1_2) + b"\x15\x03\x03\0\2\2" +
                      bytes([number]))
            poll(lambda: g.stat("tls_alerts_received", name) == before + 1,
                 what="alert %d, %s" % (number, name))
    still = [k for k, n in g.stats()["tls_alerts_received"].items() if n == 0]
    assert not still, still
    # The same after the handshake, in both versions.
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        before = g.stat("tls_alerts_received", "bad_record_mac")
        c = Charger(At(g), version.name, open=False)
        inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        t = client(version).wrap_bio(inc, out, server_hostname="localhost")

        def until(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    c.raw(out.read())
                    c.sock.settimeout(DEADLINE)
                    inc.write(c.sock.recv(1 << 16))
        until(t.do_handshake)
        t.write(c.request())
        assert b" 101 " in until(lambda: t.read(1 << 16))
        inc.write(b"\x17\x03\x03\0\x30" + bytes(48))
        try:
            t.read()
            raise AssertionError("the client took a damaged record")
        except ssl.SSLError:
            c.raw(out.read())
        [e] = g.wait_events(1, type="charge_point.disconnected", cp=version.name)
        assert e["payload"]["reason"] == "tls_error", e
        assert g.stat("tls_alerts_received", "bad_record_mac") == before + 1
    t = g.ctl("tls")
    assert t["alertsReceived"]["unknown_ca"] == 1, t
    assert "1 alerts received: unknown_ca\n" in g.ctl("tls", json_=False)


def test_a_clients_alert_about_an_expired_server_certificate_is_reported():
    a = authority()
    a.make("old", san="DNS:localhost", start="20200101000000Z",
           end="20210101000000Z")
    g = gateway(("old",))
    g.wait_log(r"it expired at 20\d\d-\d\d-\d\dT\S+Z; renew it")
    tls_fails(g)
    refusal(g, "peer_expired")


def test_a_slow_handshake_times_out():
    g = gateway(tls_handshake_timeout="300ms")
    s = socket.create_connection(("127.0.0.1", g.tls_port))
    refusal(g, "timeout")
    s.settimeout(DEADLINE)
    assert s.recv(10) == b""
    s = socket.create_connection(("127.0.0.1", g.tls_port))
    s.sendall(b"\x16\x03\x01")
    poll(lambda: g.stat("tls_failures", "timeout") == 2)
    s.close()


def alert(data):
    """Returns the number of the unencrypted fatal alert in these bytes."""
    assert data[:3] == b"\x15\x03\x01" and data[3:6] == b"\0\2\2", data
    return data[6]


def test_a_refusal_before_the_tls_handshake_is_an_alert():
    """The charge point could not read an HTTP response."""
    g = gateway(limits_handshakes=3, tls_handshake_timeout="1m",
                server_workers=1)
    # The worker accepts them in one turn: the first three are not displaced.
    worker = g.worker_pid(0)
    os.kill(worker, signal.SIGSTOP)
    half = [socket.create_connection(("127.0.0.1", g.tls_port))
            for _ in range(3)]
    s = socket.create_connection(("127.0.0.1", g.tls_port))
    s.settimeout(DEADLINE)
    s.sendall(hello())
    last = socket.create_connection(("127.0.0.1", g.tls_port))
    last.settimeout(DEADLINE)
    os.kill(worker, signal.SIGCONT)
    try:
        client().wrap_socket(last, server_hostname="localhost")
        raise AssertionError("the connection was accepted")
    except ssl.SSLError as e:
        assert "INTERNAL_ERROR" in e.reason, e
    assert alert(s.recv(100)) == 80    # internal_error
    assert s.recv(100) == b""
    assert g.stat("handshaking") == 3
    for s in half:
        s.close()
    poll(lambda: g.stat("handshaking") == 0)
    assert TlsCharger(g, "CP1").boot()["status"] == "Accepted"
    g.ctl("deny", "add", "address", "127.0.0.1", json_=False)

    def denied():
        """Succeeds when the workers have read the new list."""
        try:
            TlsCharger(g, "CP2", open=False).reset()
        except ssl.SSLError as e:
            assert "ACCESS_DENIED" in e.reason, e
            return True
        return False
    poll(denied)


def test_a_handshake_that_is_too_slow_gets_an_alert():
    g = gateway(tls_handshake_timeout="300ms")
    s = socket.create_connection(("127.0.0.1", g.tls_port))
    s.settimeout(DEADLINE)
    s.sendall(hello()[:50])
    assert alert(s.recv(100)) == 80
    assert s.recv(100) == b""
    refusal(g, "timeout")


def test_a_client_hello_on_the_plain_port_is_recorded_as_such():
    g = gateway()
    s = socket.create_connection(("127.0.0.1", g.port))
    try:
        client().wrap_socket(s, server_hostname="localhost")
        raise AssertionError("the plain port has answered by TLS")
    except OSError:
        pass
    poll(lambda: g.stat("refused", "tls_on_plain") == 1)


def hello(version=None):
    """Returns the first bytes of a handshake."""
    out = ssl.MemoryBIO()
    t = client(version).wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    try:
        t.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def test_handshakes_without_progress_do_not_prevent_others():
    """If more than tls.handshakes are in progress, the oldest one without progress is
    closed, of the address that has the most."""
    g = gateway(server_workers=1, tls_handshakes=4)
    silent = [socket.create_connection(("127.0.0.1", g.tls_port))
              for _ in range(4)]
    for s in silent:
        s.sendall(hello())
    poll(lambda: g.stat("tls_in_flight") == 4)
    c = TlsCharger(g, "CP1")
    assert c.boot()["status"] == "Accepted"
    assert g.stat("tls_failures", "crowded") >= 1

    def ended(s):
        s.settimeout(0.01)
        try:
            while s.recv(1 << 16):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
    assert poll(lambda: sum(ended(s) for s in silent)) == 1
    for s in silent:
        s.close()


def test_a_handshake_that_waits_for_its_turn_buffers_one_record():
    g = gateway(server_workers=1, tls_handshakes=1)
    with socket.create_connection(("127.0.0.1", g.tls_port)) as first, \
            socket.create_connection(("127.0.0.1", g.tls_port)) as second:
        first.sendall(hello())
        poll(lambda: g.stat("tls_in_flight") == 1)
        second.sendall(hello() + bytes(20000))
        r = refusal(g, "protocol")
        assert "too many bytes" in r["detail"], r


def test_handshakes_leave_time_for_established_connections():
    """Of 200 handshakes that arrive at once, a few are served in a turn of the loop;
    then the messages of established connections. Without a budget a turn would serve
    all that one epoll_wait() has reported, which are 64 or more."""
    g = gateway(("rsa",), server_workers=1, limits_accept_rate=0,
                tls_handshake_budget="1ms", websocket_idle_timeout="10m",
                websocket_handshake_timeout="60s", tls_handshake_timeout="60s")
    c = TlsCharger(g, "CP1")
    c.boot()
    pid = g.workers()[0]["pid"]
    first, served_first = hello(), []

    def stopped():
        return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] == "T"
    # This process may be late in some of the rounds.
    while not served_first or min(served_first) >= 60:
        assert len(served_first) < 20, served_first
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(socket.create_connection(
                ("127.0.0.1", g.tls_port))) for _ in range(200)]
            poll(lambda: g.stat("handshaking") == 200)
            os.kill(pid, signal.SIGSTOP)
            poll(stopped)
            for s in socks:
                s.sendall(first)
            os.kill(pid, signal.SIGCONT)
            select.select(socks, [], [], DEADLINE)
            assert c.call("Heartbeat", {})["currentTime"]
            done, _, _ = select.select(socks, [], [], 0)
            served_first.append(len(done))
        poll(lambda: g.stat("handshaking") == 0)


def test_explicit_nonces_of_tls_1_2_continue_those_of_the_handshake():
    """With AES-GCM each record begins with its nonce (RFC 5288 3). OpenSSL has sealed
    the Finished message, the gateway seals the records after it."""
    g = gateway()
    for suite in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"):
        inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        t = client(ssl.TLSVersion.TLSv1_2, suite).wrap_bio(
            inc, out, server_hostname="localhost")
        c, wire = Charger(At(g), "CP1", open=False), b""

        def until(step):
            nonlocal wire
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    c.raw(out.read())
                    c.sock.settimeout(DEADLINE)
                    some = c.sock.recv(1 << 16)
                    wire += some
                    inc.write(some)
        until(t.do_handshake)
        t.write(c.request())
        assert b" 101 " in until(lambda: t.read(1 << 16))
        for _ in range(5):
            t.write(frame(TEXT, '[2,"1","Heartbeat",{}]'))
            assert b"currentTime" in until(lambda: t.read(1 << 16))
        nonces, encrypted = [], False
        while wire:
            n = 5 + struct.unpack(">H", wire[3:5])[0]
            if encrypted:
                nonces.append(int.from_bytes(wire[5:13], "big"))
            encrypted = encrypted or wire[0] == 20
            wire = wire[n:]
        assert len(nonces) >= 7
        first = nonces[0]
        assert nonces == [(first + i) % 2**64 for i in range(len(nonces))], nonces


def test_the_memory_of_handshakes_is_returned_when_they_end():
    """This also applies to handshakes that are too few for a burst of clients, and to those
    that were in progress when the burst ended."""
    from sandbox import sanitized
    if VALGRIND or sanitized():
        raise Skip("valgrind and the sanitizers keep the memory")
    g = gateway(server_workers=1, limits_accept_rate=0,
                websocket_handshake_timeout="60s")
    pid = g.workers()[0]["pid"]
    empty = resident(pid)
    first = hello()
    silent = [socket.create_connection(("127.0.0.1", g.tls_port))
              for _ in range(200)]
    for s in silent:
        s.sendall(first)
    poll(lambda: g.stat("tls_in_flight") == 200)
    assert resident(pid) - empty > 200 * 30000
    for s in silent:
        s.close()
    poll(lambda: resident(pid) - empty < 1 << 20, 30 * SLOW,
         what="at most 1 MiB more than before the handshakes")


# --- certificates that change -----------------------------------------------------

def served(g):
    """Returns the common name of the certificate that the server sends."""
    with socket.create_connection(("127.0.0.1", g.tls_port)) as s:
        c = client()
        c.check_hostname = False
        with c.wrap_socket(s, server_hostname="localhost") as t:
            return dict(x[0] for x in t.getpeercert()["subject"])["commonName"]


def test_changed_certificates_are_used_without_a_command():
    a = authority()
    with tempfile.TemporaryDirectory() as d:
        cert, key = d + "/cert.pem", d + "/key.pem"

        def install(name):
            for source, target in zip(a.path(name), (cert, key)):
                shutil.copy(source, target + ".new")
                os.rename(target + ".new", target)
        a.make("first", "/CN=first", san="DNS:localhost")
        a.make("second", "/CN=second", san="DNS:localhost")
        install("first")
        g = gateway(tls_certificate=cert, tls_key=key)
        c = TlsCharger(g, "CP1")
        assert served(g) == "first"
        install("second")
        poll(lambda: served(g) == "second", 15 * SLOW)
        # A key that does not belong to the certificate is not used.
        shutil.copy(a.path("first")[1], key)
        g.wait_log("belongs to none of the certificates", 15 * SLOW)
        assert served(g) == "second"
        code, body = g.ask("reload")
        assert code >= 300 and "belongs to none" in body, body
        assert served(g) == "second"
        # A worker that is started again has the valid certificate and key too.
        g.kill_worker(0)
        g.kill_worker(1)
        g.wait_ready()
        assert served(g) == "second"
        install("first")
        g.ctl("reload", json_=False)
        poll(lambda: served(g) == "first")
        c.sock.close()


def test_a_disk_that_hangs_while_certificates_are_read_delays_no_process():
    from waits import OPEN, Shim
    a = authority()
    a.make("first", "/CN=first", san="DNS:localhost")
    a.make("second", "/CN=second", san="DNS:localhost")
    with tempfile.TemporaryDirectory(prefix="ocppd-certificates-") as d:
        def install(name):
            for source, target in zip(a.path(name), ("/cert.pem", "/key.pem")):
                shutil.copy(source, d + target + ".new")
                os.rename(d + target + ".new", d + target)
        install("first")
        shim = Shim()
        g = gateway(tls_certificate=d + "/cert.pem", tls_key=d + "/key.pem",
                    websocket_idle_timeout="600s", env=shim.env)
        c = TlsCharger(g, "CP1")
        c.boot()
        shim.hang(OPEN, d)
        install("second")
        poll(lambda: shim.hit() > 0, 15 * SLOW, "a call that hangs")
        # The master and the workers continue, and the former certificates stay in effect.
        for _ in range(20):
            began = time.monotonic()
            assert g.tell("status")
            assert c.call("Heartbeat", {})["currentTime"]
            assert served(g) == "first"
            assert time.monotonic() - began < 2 * SLOW
        shim.go_on()
        poll(lambda: served(g) == "second", 15 * SLOW)


def test_the_check_reports_each_error_of_certificates_and_keys():
    a = authority()
    g = gateway(start=False)

    def check(**settings):
        g.settings.update(settings)
        r = subprocess.run(g.command() + ["-t"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True)
        return r.returncode, r.stdout + r.stderr

    assert check()[0] == 0
    for settings, words in (
            ({"tls_key": a.path("server")[1]}, "tls.certificate has 2"),
            ({"tls_key": a.path("rsa")[1] + " " + a.path("server")[1]},
             "belongs to none of the certificates"),
            ({"tls_key": a.dir + "/missing " + a.path("server")[1]},
             "no such file"),
            ({"tls_suites": "TLS_RSA_WITH_AES_128_CBC_SHA"}, "not AEAD"),
            ({"tls_suites": "AES128-GCM-SHA256", "tls_min_version": "1.3"},
             "no suite for TLS 1.3"),
            ({"tls_min_version": "1.1"}, "write 1.2 or 1.3"),
            ({"tls_client": "required"}, "set tls.client_ca"),
            ({"tls_client": "required", "tls_client_ca": a.path("rsa")[1],
              "tls_crl": a.path("rsa")[1]}, "there is no revocation list"),
            ({"tls_certificate": "", "tls_key": ""}, "needs a certificate")):
        before = dict(g.settings)
        code, text = check(**settings)
        g.settings = before
        assert code == 78 and words in text, (settings, code, text)
        assert "" not in text.removesuffix("\n").split("\n"), text


def test_the_check_warns_of_an_expired_certificate():
    a = authority()
    a.make("old", san="DNS:localhost", start="20200101000000Z",
           end="20210101000000Z")
    g = gateway(("old",), start=False)
    r = subprocess.run(g.command() + ["-t"], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True)
    # ocppd starts with such a certificate, so it is not an error.
    assert r.returncode == 0, r
    [line] = r.stderr.splitlines()
    assert re.fullmatch(r"warning: .*tls\.certificate = .*old.pem: it expired at "
                        r"2021-01-01T00:00:00.000Z; renew it", line), line
    g.start()
    g.stop()


def intermediate(a, name, end, *ext):
    """Makes an intermediate authority that ends at that time, and a server's
    certificate under it. Returns the file of both, and the server's key."""
    a.make(name, "/CN=" + name, end=end,
           ext=["basicConstraints=critical,CA:true", *ext])
    a.openssl("req", "-new", *a.kind("ec"), "-keyout", name + "-leaf.key", "-out",
              name + "-leaf.csr", "-subj", "/CN=localhost", "-config", "c")
    with open(a.dir + "/ext", "w") as f:
        f.write("subjectAltName=DNS:localhost\n")
    a.openssl("x509", "-req", "-in", name + "-leaf.csr", "-CA", name + ".pem",
              "-CAkey", name + ".key", "-CAcreateserial", "-days", "900",
              "-extfile", "ext", "-out", name + "-leaf.pem")
    with open(a.dir + "/%s-leaf.pem" % name, "a") as f, \
            open(a.dir + "/%s.pem" % name) as i:
        f.write(i.read())
    return a.path(name + "-leaf")


def in_days(n):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + n * 86400))


def test_health_warns_before_each_kind_of_certificate_ends():
    """Of several certificates one ends soon: the server's, the intermediate
    certificate that is sent with it, the authority of the clients, and the list."""
    a = authority()
    long = Authority("long")
    long.openssl("x509", "-in", "ca.pem", "-signkey", "ca.key", "-days", "900",
                 "-out", "ca.pem")
    long.make("server", san="DNS:localhost", end=in_days(800))
    long.crl("-crldays", "700", "-crlhours", "12")
    leaf, key = intermediate(long, "brief", in_days(20.5))
    soon_leaf, soon_key = long.make("soon", san="DNS:localhost", end=in_days(10.5))
    clients = Authority("clients")    # 99 days, and 98 a second later
    good = dict(tls_certificate=long.path("server")[0],
                tls_key=long.path("server")[1], tls_client="optional",
                tls_client_ca=long.ca, tls_crl=long.dir + "/crl.pem",
                tls_expiry_warning="30d")
    for change, words in (
            ({}, None),
            (dict(tls_certificate=soon_leaf, tls_key=soon_key),
             soon_leaf + ": the certificate expires in 10 days"),
            (dict(tls_certificate=leaf, tls_key=key),
             leaf + ": the intermediate certificate brief expires in 20 days"),
            (dict(tls_client_ca=clients.ca, tls_expiry_warning="100d"),
             clients.ca + ": the certificate of the authority clients expires in "
             "(98|99) days"),
            (dict(tls_expiry_warning="701d"),
             good["tls_crl"] + ": the revocation list expires in 700 days")):
        g = gateway(**dict(good, **change))
        h = g.run("-j", "health")
        got = json.loads(h.stdout)
        if words is None:
            assert h.returncode == 0, got
        else:
            assert h.returncode == 1 and re.search(words, h.stdout), (words, got)
        if "brief" in str(words):
            TlsCharger(g, "CP1", client(ca=long.ca)).boot()
            files = g.ctl("tls")["files"]
            assert [(f["type"], f["name"]) for f in files][:2] == \
                [("ECDSA", "localhost"), ("chain", "brief")], files
        g.stop()


def test_of_many_certificates_those_that_end_first_are_listed():
    a = authority()
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        a.make("many", "/CN=many", san="DNS:many.example", end=in_days(800))
        a.make("first", "/CN=first", san="DNS:first.example", end=in_days(3.5))
        for i in range(80):
            with open("%s/a%02d.pem" % (d, i), "w") as f:
                for n in a.path("many"):
                    f.write(open(n).read())
        with open(d + "/z.pem", "w") as f:
            for n in a.path("first"):
                f.write(open(n).read())
        g = gateway(tls_sni=d)
        h = g.run("-j", "health")
        assert d + "/z.pem: the certificate expires in 3 days" in h.stdout, h.stdout
        assert len(g.ctl("tls")["files"]) == 64


def test_the_check_warns_of_a_chain_that_ended_and_of_a_certificate_without_name():
    a = authority()
    leaf, key = intermediate(a, "ended", "20210101000000Z")
    long = intermediate(a, "long", in_days(9), "nsComment=" + 4000 * "a")
    a.make("nobody", "/O=ACME Ltd/CN=" + "\x01")
    for (certificate, key), words in (
            ((leaf, key), "an intermediate certificate in it expired at "
             "2021-01-01T00:00:00.000Z; renew it"),
            (long, "bytes; some charge points take at most 4096"),
            (a.path("nobody"), "it names no host, so charge points that compare "
             "names refuse it")):
        g = gateway(start=False, tls_certificate=certificate, tls_key=key)
        r = subprocess.run(g.command() + ["-t"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True)
        assert r.returncode == 0, r
        [line] = r.stderr.splitlines()
        assert certificate in line and words in line, line


def test_a_start_with_a_damaged_certificate_logs_each_error_in_a_line_of_its_own():
    a = authority()
    g = gateway(start=False, tls_certificate=a.path("server")[1],
                tls_key=a.path("server")[1], tls_client="required",
                tls_client_ca=a.path("server")[1])
    r = subprocess.run(g.command(), stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=30 * SLOW)
    assert r.returncode == 1, r
    errors = [line for line in r.stderr.splitlines() if "cannot start: " in line]
    assert len(errors) == 2 and not any("?" in line for line in errors), r.stderr


# --- tickets ------------------------------------------------------------------

def test_each_worker_resumes_sessions_of_other_workers():
    g = gateway(server_workers=2)
    context = client(ssl.TLSVersion.TLSv1_2)
    c = TlsCharger(g, "CP1", context)
    session = c.sock.session
    for i in range(10):
        c = TlsCharger(g, "CP1", context, session=session)
        assert c.sock.session_reused
        c.boot()
    assert g.stat("tls_resumed") == 10
    # TLS 1.3: the ticket follows the handshake.
    context = client(ssl.TLSVersion.TLSv1_3)
    c = TlsCharger(g, "CP1", context)
    c.boot()
    d = TlsCharger(g, "CP1", context, session=c.sock.session)
    assert d.sock.session_reused
    d.boot()
    # The keys are still valid after the death of the workers that have used them.
    g.kill_worker(0)
    g.kill_worker(1)
    g.wait_ready()
    c = TlsCharger(g, "CP1", client(ssl.TLSVersion.TLSv1_2))
    context = client(ssl.TLSVersion.TLSv1_2)
    c = TlsCharger(g, "CP1", context)
    c = TlsCharger(g, "CP1", context, session=c.sock.session)
    assert c.sock.session_reused


def test_a_session_gets_a_new_ticket_when_its_key_was_rotated():
    """OpenSSL identifies a session of a client by its ticket."""
    keys = [base64.b64encode(os.urandom(80)).decode() for _ in range(4)]
    with tempfile.NamedTemporaryFile("w") as f:
        def store(n):
            f.seek(0)
            f.write("\n".join(keys[max(0, n - 1):n + 2]) + "\n")
            f.flush()
        store(0)
        os.chmod(f.name, 0o644)
        g = gateway(tls_ticket_key_file=f.name)

        new, old = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2
        contexts = {v: client(v) for v in (new, old)}

        def resume(version, session=None):
            c = TlsCharger(g, "CP1", contexts[version], session=session)
            c.boot()
            assert c.sock.session_reused == (session is not None), version
            return c.sock.session
        first, first_13 = resume(old), resume(new)
        # In TLS 1.3 each resumption gets a ticket, in TLS 1.2 only one after a rotation.
        assert resume(old, first).id == first.id
        assert resume(new, first_13).id != first_13.id
        store(1)
        g.ctl("reload", json_=False)
        second, second_13 = resume(old, first), resume(new, first_13)
        assert second.id != first.id and second_13.id != first_13.id
        store(2)
        g.ctl("reload", json_=False)
        assert resume(old, second).id != second.id
        assert resume(new, second_13).id != second_13.id


def test_gateways_with_the_same_key_file_resume_each_others_sessions():
    with tempfile.NamedTemporaryFile("w") as f:
        for _ in range(2):
            f.write(base64.b64encode(os.urandom(80)).decode() + "\n")
        f.flush()
        os.chmod(f.name, 0o644)
        one, two = (gateway(tls_ticket_key_file=f.name) for _ in range(2))
        context = client(ssl.TLSVersion.TLSv1_2)
        session = TlsCharger(one, "CP1", context).sock.session
        assert TlsCharger(two, "CP1", context,
                          session=session).sock.session_reused
    g = gateway(tls_tickets="no")
    context = client(ssl.TLSVersion.TLSv1_2)
    session = TlsCharger(g, "CP1", context).sock.session
    c = TlsCharger(g, "CP1", context, session=session)
    assert not c.sock.session_reused


def test_ticket_keys_are_rotated_under_load():
    """A ticket is valid with the current and with the former key. All messages that were
    acknowledged in this time are in the journal."""
    keys = [base64.b64encode(os.urandom(80)).decode() for _ in range(3)]
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)

        def store():
            with open(d + "/new", "w") as f:
                f.write("\n".join(keys[-3:]) + "\n")
            os.rename(d + "/new", d + "/keys")
        store()
        g = gateway(tls_ticket_key_file=d + "/keys", limits_message_rate=0)
        p = subprocess.Popen(
            [os.path.join(B, "ocppsim"), "-u", "wss://127.0.0.1:%d/ocpp"
             % g.tls_port, "-n", "20", "--rate", "200", "-i", "L%d", "-m",
             "StatusNotification", "-q", "--ledger", g.dir + "/ledger"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        try:
            poll(lambda: g.stat("events") > 200)
            context = client(ssl.TLSVersion.TLSv1_2)

            def resumes(session):
                return TlsCharger(g, "CP1", context,
                                  session=session).sock.session_reused

            def rotate():
                keys.append(base64.b64encode(os.urandom(80)).decode())
                store()
                g.ctl("reload", json_=False)
                more = g.stat("events") + 100
                poll(lambda: g.stat("events") > more, what="further messages")
            first = TlsCharger(g, "CP1", context).sock.session
            rotate()
            assert resumes(first)
            second = TlsCharger(g, "CP1", context).sock.session
            rotate()
            assert resumes(second)
            assert not resumes(first)
            poll(lambda: g.stat("connections") == 20)
        finally:
            p.send_signal(signal.SIGINT)
            p.communicate(timeout=60 * SLOW)
        assert g.stat("tls_bad_records") == 0
        # These are the fleet's 20 connections and that of CP1: none connected again.
        assert g.stat("accepted") == 25
        g.verify(g.dir + "/ledger")


def test_random_ticket_keys_are_rotated_by_time_under_load():
    """The same with keys that the gateway draws. Meanwhile workers are killed and started
    again, and the configuration is reloaded."""
    every = 3
    g = gateway(tls_ticket_rotation="%ds" % every, server_workers=2,
                limits_message_rate=0)
    p = subprocess.Popen(
        [os.path.join(B, "ocppsim"), "-u", "wss://127.0.0.1:%d/ocpp"
         % g.tls_port, "-n", "20", "--rate", "200", "-i", "L%d", "-m",
         "StatusNotification", "-q", "--backoff", "100ms",
         "--ledger", g.dir + "/ledger"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    context = client(ssl.TLSVersion.TLSv1_2)

    def since():
        return time.time() - g.ctl("tls")["ticketKeyAgeSeconds"]

    def in_one_period(act):
        """Calls act(), and returns its result and the time at which the keys were drawn that
        were in effect before and after the call."""
        for _ in range(20):
            before = since()
            result = act()
            if abs(since() - before) < 1:
                return result, before
        raise AssertionError("act() did not end within any period of %d s" % every)

    def disturb(n):
        before = g.worker_pid(n % 2)
        if n < 2:
            g.kill_worker(n)
        else:
            g.ctl("worker-restart", "0", json_=False)
        poll(lambda: g.worker_pid(n % 2) not in (0, None, before))
        g.ctl("reload", json_=False)
        g.wait_ready()
    try:
        poll(lambda: g.stat("events") > 200)
        for n in range(3):
            def once():
                """Gets a ticket, causes a disturbance, and uses the ticket in the next period.
                Returns None if the machine was too slow for that."""
                session, drawn = in_one_period(
                    lambda: TlsCharger(g, "CP1", context).sock.session)
                disturb(n)
                poll(lambda: since() - drawn > 1, 60 * SLOW, "new keys")
                reused, later = in_one_period(lambda: TlsCharger(
                    g, "CP1", context, session=session).sock.session_reused)
                return session, later, reused, round((later - drawn) / every)
            for _ in range(5):
                session, later, reused, periods = once()
                if periods == 1:
                    break
            assert periods == 1 and reused
            poll(lambda: since() - later > 1, 60 * SLOW, "new keys")
            c = TlsCharger(g, "CP1", context, session=session)
            assert not c.sock.session_reused
            c.boot()
        more = g.stat("events") + 200
        poll(lambda: g.stat("events") > more, what="further messages")
    finally:
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=60 * SLOW)
    assert g.stat("tls_bad_records") == 0
    g.verify(g.dir + "/ledger")


# --- profile 3 ----------------------------------------------------------------

def mutual(**settings):
    settings.setdefault("tls_client", "required")
    return gateway(tls_client_ca=authority().ca, **settings)


def test_each_invalid_client_certificate_is_refused_with_its_reason():
    a = authority()
    a.crl()
    g = mutual()
    for name, reason, make in (
            ("expired", "expired",
             dict(start="20200101000000Z", end="20210101000000Z")),
            ("early", "not_yet_valid",
             dict(start="20400101000000Z", end="20410101000000Z")),
            ("weak", "weak", dict(key="1024")),
            ("purpose", "purpose", dict(ext=["extendedKeyUsage=serverAuth"]))):
        pair = a.make("c-" + name, "/CN=CP1", **make)
        tls_fails(g, client(certificate=pair, level=0))
        r = refusal(g, reason)
        assert "CP1" in r["detail"], r
    tls_fails(g)
    refusal(g, "no_certificate")
    other = Authority("another")
    tls_fails(g, client(certificate=other.make("x", "/CN=CP1")))
    refusal(g, "unknown_ca")
    # A certificate that is signed by a certificate that is not one of an authority.
    a.openssl("req", "-new", *a.kind("ec"), "-keyout", "sub.key", "-out",
              "sub.csr", "-subj", "/CN=CP1", "-config", "c")
    a.make("noca", "/CN=noca", ext=["basicConstraints=critical,CA:false"])
    a.openssl("x509", "-req", "-in", "sub.csr", "-CA", "noca.pem", "-CAkey",
              "noca.key", "-CAcreateserial", "-out", "sub.pem", "-days", "9")
    with open(a.dir + "/sub.pem", "a") as f, open(a.dir + "/noca.pem") as n:
        f.write(n.read())
    tls_fails(g, client(certificate=a.path("sub")))
    refusal(g, "certificate")


def test_a_revoked_certificate_is_refused():
    a = Authority("revoking")
    a.make("bad", "/CN=CP1")
    a.make("good", "/CN=CP2")
    a.revoke("bad")
    g = gateway(tls_client="required", tls_client_ca=a.ca, tls_crl=a.crl())
    tls_fails(g, client(certificate=a.path("bad")))
    refusal(g, "revoked")
    assert TlsCharger(g, "CP2", client(certificate=a.path("good"))).boot()
    # If the CRL has expired, every client certificate is refused.
    a.crl("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate",
          "20210101000000Z")
    g.ctl("reload", json_=False)
    poll(lambda: (tls_fails_quietly(g, client(certificate=a.path("good"))),
                  g.stat("tls_failures", "crl"))[1])
    refusal(g, "crl")


def tls_fails_quietly(g, context):
    try:
        tls_fails(g, context)
    except AssertionError:
        pass


def handshake_status(g, identity, context, **kw):
    c = TlsCharger(g, identity, context, open=False, **kw)
    r = c.handshake()
    c.sock.close()
    return r.status


def test_the_name_in_a_client_certificate_must_be_the_identity():
    a = authority()
    g = mutual()
    mine = client(certificate=a.path("cp1"))
    c = TlsCharger(g, "CP1", mine)
    assert c.boot()["status"] == "Accepted"
    [e] = g.wait_events(1, type="charge_point.connected")
    assert e["payload"]["securityProfile"] == 3, e
    t = e["payload"]["tls"]
    assert (t["commonName"], t["organizationName"], t["version"]) == \
        ("CP1", "ACME Ltd", "1.3") and t["cipherSuite"] in SUITES_13, t
    assert handshake_status(g, "CP2", mine) == 403
    assert handshake_status(g, "cp1", mine) == 403
    assert handshake_status(g, "CP11", mine) == 403
    assert handshake_status(g, "CP", mine) == 403
    r = g.tell("refused")[0]
    assert r["reason"] == "tls_name" and "CP1" in r["detail"], r
    a.make("nameless", "/CN=CP1\x1b[2J")
    assert handshake_status(
        g, "CP1", client(certificate=a.path("nameless"))) == 403
    r = g.tell("refused")[0]
    assert "has no CN that can be an identity" in r["detail"], r
    # A session that is resumed has the same name.
    c = TlsCharger(g, "CP1", mine)
    c.boot()
    assert handshake_status(g, "CP2", mine, session=c.sock.session) == 403


def test_an_alternative_name_may_be_the_identity():
    g = mutual(tls_client_name="san")
    mine = client(certificate=authority().path("cp1"))
    TlsCharger(g, "CP2.example", mine).boot()
    TlsCharger(g, "CP1", mine).boot()
    assert handshake_status(g, "CP2", mine) == 403


def test_the_serial_number_is_compared_with_that_of_the_boot():
    a = authority()
    a.make("serial", "/CN=SN-77")
    g = mutual(tls_client_name="serial")
    mine = client(certificate=a.path("serial"))
    boot = {"chargePointVendor": "V", "chargePointModel": "M",
            "chargePointSerialNumber": "SN-77"}
    c = TlsCharger(g, "CP1", mine)
    assert c.call("BootNotification", boot)["status"] == "Accepted"
    assert c.call("BootNotification", boot)["status"] == "Accepted"
    c = TlsCharger(g, "CP2", mine)
    c.put("BootNotification", dict(boot, chargePointSerialNumber="SN-78"))
    c.wait_closed(1008)
    c = TlsCharger(g, "CP2", mine)
    c.put("BootNotification", {k: boot[k] for k in list(boot)[:2]})
    c.wait_closed(1008)
    assert g.stat("closed", "certificate_name") == 2


def test_the_serial_number_may_be_in_each_member_that_has_one():
    a = authority()
    a.make("box", "/CN=SN-80")
    g = mutual(tls_client_name="serial", auth_mode="file")
    g.ctl("auth", "add", "CP1", "0123456789abcdef", json_=False)
    basic = [("Authorization", "Basic " + base64.b64encode(
        b"CP1:0123456789abcdef").decode())]
    mine = client(certificate=a.path("box"))
    # The serial number is not known yet, so the key is needed, too.
    assert handshake_status(g, "CP1", mine) == 401
    one = {"chargePointVendor": "V", "chargePointModel": "M"}

    def two(**more):
        return {"reason": "PowerUp", "chargingStation": dict(
            {"vendorName": "V", "model": "M"}, **more)}
    for version, boot, good in (
            ("ocpp1.6", dict(one, chargeBoxSerialNumber="SN-80"), True),
            ("ocpp1.6", dict(one, chargeBoxSerialNumber="SN-81"), False),
            ("ocpp2.0.1", two(serialNumber="SN-80"), True),
            ("ocpp2.0.1", two(serialNumber="SN-8"), False),
            ("ocpp2.0.1", two(), False)):
        c = TlsCharger(g, "CP1", mine, open=False)
        assert c.handshake(headers=basic, protocols=version).status == 101
        if good:
            assert c.call("BootNotification", boot)["status"] == "Accepted", boot
        else:
            c.put("BootNotification", boot)
            c.wait_closed(1008)
        c.sock.close()


def test_the_organization_is_one_of_a_list():
    a = authority()
    mine = client(certificate=a.path("cp1"))
    g = mutual(tls_client_organization="Other GmbH, ACME Ltd")
    TlsCharger(g, "CP1", mine).boot()
    g = mutual(tls_client_organization="ACME")
    assert handshake_status(g, "CP1", mine) == 403
    assert g.tell("refused")[0]["reason"] == "tls_organization"


def test_with_a_certificate_no_key_is_needed():
    a = authority()
    g = mutual(tls_client="optional", auth_mode="file")
    g.ctl("auth", "add", "CP1", "0123456789abcdef", json_=False)
    mine = client(certificate=a.path("cp1"))
    TlsCharger(g, "CP1", mine).boot()
    # Without a certificate the connection has profile 2 and needs a key.
    assert handshake_status(g, "CP1", client()) == 401
    c = TlsCharger(g, "CP1", client(), open=False)
    basic = base64.b64encode(b"CP1:0123456789abcdef").decode()
    assert c.handshake(headers=[("Authorization", "Basic " + basic)]) \
        .status == 101
    [_, e] = g.wait_events(2, type="charge_point.connected")
    assert e["payload"]["securityProfile"] == 2, e


def test_a_lower_profile_than_before_may_be_refused():
    g = mutual(tls_client="optional", tls_refuse_downgrade="yes")
    Charger(g, "CP1").boot()
    TlsCharger(g, "CP1", client()).boot()
    c = Charger(g, "CP1", open=False)
    assert c.handshake().status == 403
    TlsCharger(g, "CP1", client(certificate=authority().path("cp1"))).boot()
    assert handshake_status(g, "CP1", client()) == 403
    assert g.stat("refused", "tls_downgrade") == 2
    Charger(g, "CP2").boot()


def test_the_highest_profile_is_remembered_after_a_restart():
    g = mutual(tls_client="optional", tls_refuse_downgrade="yes")
    names = ["CP%d" % i for i in range(30)]
    for name in names:
        TlsCharger(g, name, client()).boot()
    TlsCharger(g, "CP1", client(certificate=authority().path("cp1"))).boot()
    path = os.path.join(g.state_dir, "profiles")

    def lines():
        return sorted(open(path).read().split("\n")[:-1]) \
            if os.path.exists(path) else []
    want = sorted(["2 " + n for n in names] + ["3 CP1"])
    poll(lambda: lines() == want, what="the lines of both profiles in the file")
    with open(path, "a") as f:     # damaged lines are ignored
        f.write("9 CP9\n\n3 %zz\n3 CP5 \n2 CP_TORN")
    g.stop()
    g.start()
    assert Charger(g, "CP2", open=False).handshake().status == 403
    assert handshake_status(g, "CP1", client()) == 403
    assert handshake_status(g, "CP5", client()) == 403
    TlsCharger(g, "CP1", client(certificate=authority().path("cp1"))).boot()
    TlsCharger(g, "CP3", client()).boot()
    Charger(g, "CP77").boot()
    assert g.stat("refused", "tls_downgrade") == 3
    # Lines that the gateway has read are not written again, and of several lines of one
    # name few remain.
    assert len(lines()) == len(want) + 4, lines()
    with open(path, "w") as f:
        f.write("2 CP1\n" * 5000 + "3 CP2\n")
    g.stop()
    g.start()
    assert sorted(open(path).read().split()) == ["2", "3", "CP1", "CP2"]


def test_a_connection_is_closed_when_its_certificate_expires():
    a = authority()
    soon = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + 6))
    a.make("soon", "/CN=CP1", end=soon)
    g = mutual(tls_close_expired="yes")
    c = TlsCharger(g, "CP1", client(certificate=a.path("soon")))
    c.boot()
    c.wait_closed(1008, timeout=25 * SLOW)
    assert g.stat("closed", "certificate_expired") == 1
    TlsCharger(g, "CP1", client(certificate=a.path("cp1"))).boot()


def test_a_session_is_not_resumed_with_a_certificate_that_has_expired():
    a = authority()
    end = time.time() + 5 * SLOW
    a.make("brief", "/CN=CP1",
           end=time.strftime("%Y%m%d%H%M%SZ", time.gmtime(end)))
    g = mutual()
    sessions = []
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client(version, certificate=a.path("brief"))
        c = TlsCharger(g, "CP1", context)
        c.boot()
        c = TlsCharger(g, "CP1", context, session=c.sock.session)
        assert c.sock.session_reused
        c.boot()
        sessions.append((context, c.sock.session))
    poll(lambda: time.time() > end + 1, 30 * SLOW)
    for context, session in sessions:
        n = g.stat("tls_failures", "expired")
        tls_fails(g, context, session=session)
        poll(lambda: g.stat("tls_failures", "expired") == n + 1)
    assert g.stat("tls_resumed") == 2


# --- behind proxies -----------------------------------------------------------

def tlv(type, value):
    return struct.pack(">BH", type, len(value)) + value


def proxied(source="192.0.2.9", flags=None, verify=0, cn=None, more=b""):
    """Returns a PROXY header of version 2; with flags it has the value about SSL."""
    body = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + \
        struct.pack(">HH", 50000, 80)
    if flags is not None:
        body += tlv(0x20, struct.pack(">BI", flags, verify) +
                    tlv(0x21, b"TLSv1.3") + (tlv(0x22, cn) if cn else b""))
    body += more
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", len(body)) + \
        body


def test_a_proxy_header_precedes_the_client_hello():
    g = gateway(server_proxy_from="127.0.0.1")
    for header in (b"PROXY TCP4 192.0.2.9 127.0.0.1 50000 80\r\n", proxied()):
        c = TlsCharger(g, "CP1", before=header)
        c.boot()
    got = g.wait_events(2, type="charge_point.connected")
    assert all(e["payload"]["remoteAddress"] == "192.0.2.9:50000" and
               e["payload"]["securityProfile"] == 2 for e in got), got


def test_the_certificate_may_be_reported_by_a_trusted_proxy():
    g = gateway(server_proxy_from="127.0.0.1", tls_proxy_from="127.0.0.1")

    def connect(identity, *args, **kw):
        c = Charger(g, identity, open=False)
        c.raw(proxied(*args, **kw) + c.request())
        return c.response().status

    def profile(n):
        return g.wait_events(n, type="charge_point.connected")[-1] \
            ["payload"]["securityProfile"]
    assert connect("CP1") == 101 and profile(1) == 1
    assert connect("CP1", flags=1) == 101 and profile(2) == 2
    assert connect("CP1", flags=7, cn=b"CP1") == 101 and profile(3) == 3
    assert connect("CP1", flags=5, cn=b"CP1") == 101 and profile(4) == 3
    assert connect("CP2", flags=7, cn=b"CP1") == 403
    # The certificate is not verified, or there is none; HAProxy sends verify = 0 in both
    # cases.
    assert connect("CP2", flags=7, verify=1, cn=b"CP1") == 101
    assert profile(5) == 2
    assert connect("CP2", flags=1, cn=b"CP1") == 101 and profile(6) == 2
    # Damaged values.
    for more in (b"\x20\0", tlv(0x20, b"\1\0"), tlv(0x20, b"\1\0\0\0\0\x22"),
                 tlv(0x20, struct.pack(">BI", 7, 0) + tlv(0x22, b"A") * 2),
                 tlv(0x20, struct.pack(">BI", 7, 0) + tlv(0x22, b"CP1\0x")),
                 tlv(3, b"abcd")):
        assert connect("CP3", more=more) == 400, more
    # From other addresses, only the address in the header is used.
    g = gateway(server_proxy_from="127.0.0.1")
    assert connect("CP2", flags=7, cn=b"CP1") == 101
    assert g.wait_events(1, type="charge_point.connected")[0]["payload"][
        "securityProfile"] == 1


def test_the_checksum_of_a_header_is_checked():
    g = gateway(server_proxy_from="127.0.0.1")
    header = proxied(more=tlv(3, bytes(4)))
    c = Charger(g, "CP1", open=False)
    c.raw(header[:-4] + struct.pack(">I", crc32c(header)) + c.request())
    assert c.response().status == 101


@contextlib.contextmanager
def haproxy(g, configuration, port):
    """Runs HAProxy in front of the gateway; returns the port for its TLS clients."""
    h = subprocess.Popen(["haproxy", "-db", "-f", configuration],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def up():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False
    try:
        poll(up, what="the start of haproxy")
        g.tls_port = port
        yield
    finally:
        h.terminate()
        h.wait()


def test_haproxy_passes_addresses_and_certificates_to_the_gateway():
    if not shutil.which("haproxy"):
        raise Skip("haproxy is not installed")
    a = authority()
    g = gateway(server_proxy_from="127.0.0.1", tls_proxy_from="127.0.0.1")
    port = free_port()
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/pem", "w") as f:
            for n in a.path("server"):
                f.write(open(n).read())
        with open(d + "/cfg", "w") as f:
            f.write("""
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend f
    bind 127.0.0.1:%d ssl crt %s/pem ca-file %s verify optional
    default_backend b
backend b
    server s 127.0.0.1:%d send-proxy-v2-ssl-cn
""" % (port, d, a.ca, g.port))
        with haproxy(g, d + "/cfg", port):
            mine = client(certificate=a.path("cp1"))
            TlsCharger(g, "CP1", mine).boot()
            assert handshake_status(g, "CP2", mine) == 403
            TlsCharger(g, "CP2", client()).boot()
            got = g.wait_events(2, type="charge_point.connected")
            assert [e["payload"]["securityProfile"] for e in got] == [3, 2], got


# --- the simulator ---------------------------------------------------------------

def simulate(g, *words):
    r = subprocess.run(
        [os.path.join(B, "ocppsim"), "-u", "wss://127.0.0.1:%d/ocpp"
         % g.tls_port, "--json", "-q", *words], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        timeout=60 * SLOW)
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


def test_the_simulator_uses_tls():
    a = authority()
    g = mutual(tls_client="optional")
    for version in ("2", "3"):
        simulate(g, "-n", "50", "--messages", "5", "--tls-version", version,
                 "--tls-ca", a.ca)
    assert sum(g.stat("tls_handshakes").values()) == 100
    assert g.stat("tls_bad_records") == 0
    cert, key = a.path("cp1")
    simulate(g, "-n", "1", "-i", "CP1", "--messages", "5",
             "--tls-certificate", cert, "--tls-key", key)
    e = g.wait_events(1, type="charge_point.connected", cp="CP1")[-1]
    assert e["payload"]["securityProfile"] == 3, e


def test_worker_deaths_and_reloads_under_load_lose_no_acknowledged_message():
    g = gateway()
    p = subprocess.Popen(
        [os.path.join(B, "ocppsim"), "-u", "wss://127.0.0.1:%d/ocpp"
         % g.tls_port, "-n", "40", "--rate", "400", "-m", "StatusNotification",
         "--duration", "4s", "-q", "--ledger", g.dir + "/ledger", "--backoff",
         "100ms"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    poll(lambda: g.stat("events") > 200)
    g.kill_worker(0)
    g.ctl("reload", json_=False)
    poll(lambda: g.worker_pid(0))
    g.kill_worker(1)
    p.communicate(timeout=60 * SLOW)
    assert g.stat("tls_bad_records") == 0
    g.verify(g.dir + "/ledger")


def test_no_key_is_used_twice_with_the_same_nonce():
    """Checks every record of the gateway, with both versions, over KeyUpdates, and deaths
    and restarts of workers. OCPPD_TEST_RECORDS is the least number of records."""
    want = int(os.environ.get("OCPPD_TEST_RECORDS", "30000"))
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o777)
        nonces = d + "/nonces"
        g = gateway(tls_rekey="1s", limits_message_rate=0,
                    env={"LD_PRELOAD": os.path.join(B, "nonce_shim.so"),
                         "OCPPD_NONCES": nonces,
                         "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
                         ":verify_asan_link_order=0"})
        fleets = [subprocess.Popen(
            [os.path.join(B, "ocppsim"), "-u", "wss://127.0.0.1:%d/ocpp"
             % g.tls_port, "-n", "20", "--rate", "5000", "-i", "V" + v + "%d",
             "--tls-version", v, "-q", "--backoff", "100ms"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL) for v in "23"]
        try:
            def sealed():
                with open(nonces, "rb") as f:
                    return struct.unpack("=Q", f.read(8))[0]
            for part in range(1, 5):
                poll(lambda: sealed() > want * part // 4, 300 * SLOW,
                     "%d records" % (want * part // 4))
                before = g.worker_pid(part % 2)
                if part < 3:
                    g.kill_worker(part % 2)
                else:
                    g.ctl("worker-restart", str(part % 2), json_=False)
                poll(lambda: g.worker_pid(part % 2) not in (0, None, before))
            poll(lambda: g.stat("tls_key_updates") > 10, what="KeyUpdates")
            more = sealed() + 1000
            poll(lambda: sealed() > more)
        finally:
            for f in fleets:
                f.kill()
                f.wait()
        assert g.stat("tls_bad_records") == 0
        n = sealed()
        with open(nonces, "rb") as f:
            data = f.read(16 + 16 * n)[16:]
        seen = [data[i:i + 16] for i in range(0, len(data), 16)]
        # If a worker is killed between counting a record and writing it, its entry is zero.
        seen = [x for x in seen if x != bytes(16)]
        assert len(seen) >= want
        assert len(set(seen)) == len(seen), "%d of %d nonces were used twice" \
            % (len(seen) - len(set(seen)), len(seen))


def test_keys_are_not_written_into_core_files():
    """Finds the pages with ticket keys and with keys of connections in the memory of the
    processes, and checks that they are excluded from core files."""
    if os.getuid() != 0:
        raise Skip("only root can read the maps of a process without core file")
    g = gateway()
    c = TlsCharger(g, "CP1")
    c.boot()

    def hidden(pid, name):
        maps = open("/proc/%d/smaps" % pid).read()
        found = re.findall(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)\n"
                           r"(?:[A-Z]\w+:.*\n)*?VmFlags: (.*)", maps, re.M)
        return [" dd" in flags for file, flags in found if name in file]
    for pid in [g.pid] + [w["pid"] for w in g.workers()]:
        assert True in hidden(pid, "memfd:ocppd"), pid
    worker = g.workers()[c_worker(g)]["pid"]
    # A child process does not inherit the memory of the keys.
    flags = re.findall(r"VmFlags:(.*)",
                       open("/proc/%d/smaps" % worker).read())
    assert any(" dc " in f and " dd" in f for f in flags), flags


def c_worker(g):
    return g.show("CP1")["worker"]


# --- reports for operators --------------------------------------------------------

def test_the_operator_sees_certificates_and_failures():
    a = authority()
    g = mutual(tls_client="optional", admin_listen=None)
    c = TlsCharger(g, "CP1", client(certificate=a.path("cp1")))
    c.boot()
    tls_fails(g, client(ca=Authority("another").ca))
    poll(lambda: g.stat("tls_failures", "peer_unknown_ca"))
    s = g.show("CP1")
    assert s["securityProfile"] == 3 and s["certificateEnds"], s
    assert s["connection"]["tlsVersion"] == "1.3", s
    assert s["connection"]["tlsCipher"] == "AES-128-GCM", s
    text = g.ctl("show", "CP1", json_=False)
    assert "highest profile  3" in text and "certificate ends 20" in text, text
    t = g.ctl("tls", "--expiring", "30d")
    types = [f["type"] for f in t["files"]]
    assert types == ["ECDSA", "RSA", "authority"], types
    assert all(8 <= f["daysLeft"] <= 99 for f in t["files"]), t
    assert t["failures"] == {"peer_unknown_ca": 1}, t
    assert [e["identity"] for e in t["expiring"]] == ["CP1"], t
    assert g.ctl("tls", "--expiring", "1d")["expiring"] == []
    why = g.ctl("why", "CP1")
    assert why["securityProfile"] == 3 and why["certificateEnds"].endswith("Z"), why
    assert "It uses TLS (security profile 3). Its client certificate is " \
        "valid until " in why["text"], why
    text = g.ctl("tls", "--expiring", "30d", json_=False)
    assert "remedy: " in text and "CP1" in text and a.path("rsa")[0] in text
    # The certificate expires in nine days, which is less than thirty.
    h = g.run("-j", "health")
    assert h.returncode == 1 and "expires in" in h.stdout, h.stdout
    code, metrics = g.ask("-p", "stats")
    assert 'ocppd_certificate_expiry_timestamp_seconds{file="%s"' % a.path("rsa")[0] \
        in metrics, metrics[:500]
    assert "ocppd_ticket_key_age_seconds" in metrics
    # The certificate of CP1 ends in nine days.
    assert "\nocppd_client_certificates_expiring 1\n" in metrics
    g = mutual(tls_client="optional", tls_expiry_warning="8d")
    TlsCharger(g, "CP1", client(certificate=a.path("cp1"))).boot()
    TlsCharger(g, "CP2").boot()
    code, metrics = g.ask("-p", "stats")
    assert "\nocppd_client_certificates_expiring 0\n" in metrics


def test_a_name_of_tls_sni_has_its_certificate_and_others_the_main_one():
    a = authority()
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        a.make("sni", "/CN=sni", san="DNS:one.example,DNS:*.two.example")
        with open(d + "/one.pem", "w") as f:
            for n in a.path("sni"):
                f.write(open(n).read())
        g = gateway(tls_sni=d)
        c = client()
        c.check_hostname = False
        for host, cn in (("one.example", "sni"), ("x.two.example", "sni"),
                         ("three.example", "localhost"), (None, "localhost")):
            with socket.create_connection(("127.0.0.1", g.tls_port)) as s:
                with c.wrap_socket(s, server_hostname=host) as t:
                    got = dict(x[0] for x in t.getpeercert()["subject"])
            assert got["commonName"] == cn, (host, got)
        TlsCharger(g, "CP1", c, host="one.example").boot()
        # The same rules apply to client certificates under each name.
        a.make("sni-client", "/CN=CP2")
        a.make("sni-revoked", "/CN=CP2")
        a.revoke("sni-revoked")
        g = mutual(tls_sni=d, tls_crl=a.crl())
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            c = client(version, certificate=a.path("sni-client"))
            c.check_hostname = False
            TlsCharger(g, "CP2", c, host="one.example").boot()
            c = client(version, certificate=a.path("sni-revoked"))
            c.check_hostname = False
            tls_fails(g, c, host="one.example")
            c = client(version)
            c.check_hostname = False
            tls_fails(g, c, host="one.example")
        assert g.stat("tls_failures", "revoked") == 2
        assert g.stat("tls_failures", "no_certificate") == 2


def test_a_session_is_not_resumed_under_other_rules():
    """Client certificates are not verified again when a session is resumed, so a
    ticket ends with the list, the authorities or the mode under which it was
    issued."""
    a = Authority("rules")
    for name in ("first", "second"):
        a.make(name, "/CN=CP1")
    other = Authority("other")
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)

        def install(source, name):
            shutil.copy(source, d + "/new")
            os.chmod(d + "/new", 0o644)
            os.rename(d + "/new", d + "/" + name)

        def sessions(g, certificate):
            """Returns sessions that can be resumed, of both versions."""
            got = []
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = client(version, certificate=certificate)
                c = TlsCharger(g, "CP1", context)
                c.boot()
                d = TlsCharger(g, "CP1", context, session=c.sock.session)
                assert d.sock.session_reused
                d.boot()
                got.append((context, d.sock.session))
            return got

        def refused(g, some, reason):
            for context, session in some:
                n = g.stat("tls_failures", reason)
                tls_fails(g, context, session=session)
                poll(lambda: g.stat("tls_failures", reason) == n + 1)

        install(a.crl(), "crl.pem")
        install(a.ca, "ca.pem")
        g = gateway(tls_client="optional", tls_client_ca=d + "/ca.pem",
                    tls_crl=d + "/crl.pem")
        # Revoked since then.
        some = sessions(g, a.path("first"))
        a.revoke("first")
        install(a.crl(), "crl.pem")
        g.ctl("reload", json_=False)
        refused(g, some, "revoked")
        # The authority is no longer trusted. Its revocation list remains without effect.
        some = sessions(g, a.path("second"))
        install(other.ca, "ca.pem")
        g.ctl("reload", json_=False)
        refused(g, some, "unknown_ca")
    # Without a certificate, which is required since then.
    text = open(os.path.join(ROOT, "conf/test.conf")).read() + \
        "\n[tls]\nclient = optional\n"
    g = gateway(conf=text, tls_client_ca=a.ca)
    some = sessions(g, None)
    with open(g.conf, "w") as f:
        f.write(text.replace("= optional", "= required"))
    g.ctl("reload", json_=False)
    refused(g, some, "no_certificate")


def test_an_intermediate_authority_may_be_trusted_alone():
    """Charge points then send their own certificate alone."""
    a = authority()
    leaf, key = intermediate(a, "manufacturer", in_days(9))
    with open(a.dir + "/alone.pem", "w") as f:
        f.write(open(leaf).read().split("-----END CERTIFICATE-----\n")[0] +
                "-----END CERTIFICATE-----\n")
    g = gateway(tls_client="required", tls_client_ca=a.path("manufacturer")[0])
    TlsCharger(g, "localhost", client(
        certificate=(a.dir + "/alone.pem", key))).boot()
    # The root above it is not trusted, so its other certificates are not.
    tls_fails(g, client(certificate=a.path("cp1")))
    refusal(g, "unknown_ca")


def test_open_connections_are_counted_where_they_are():
    g = gateway(server_workers=2, websocket_idle_timeout="10m")
    many = [TlsCharger(g, "CP%d" % i, client(version)) for i, version in enumerate(
        [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3] * 5)]

    def counted():
        return sorted(g.ctl("tls")["connections"].values())
    assert counted() == [5, 5]
    for n in "01":      # the successor takes them over
        g.ctl("worker-restart", n, json_=False)
        poll(lambda: g.stat("moved") > 0)
        poll(lambda: counted() == [5, 5], what="the count after a move")
    for c in many:
        assert c.call("Heartbeat", {})["currentTime"]
    for c in many[1::2]:
        c.close()
    poll(lambda: counted() == [5], what="the count after the end of five")


if __name__ == "__main__":
    main()
