#!/usr/bin/python3
"""Hostile peers of the TLS listener. A charge point is connected during each attack and must
be answered; the resources that a hostile peer takes are bounded and counted."""

import contextlib
import ctypes
import hashlib
import hmac
import ssl

from lib import *
import tls
from tls import (Authority, TlsCharger, client, handshake_status, hello, refusal)

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
ALERT, HANDSHAKE, DATA = 21, 22, 23


def gateway(**settings):
    """Returns a gateway with a long idle timeout, because the charge point of a test does not
    answer pings while its test attacks."""
    return tls.gateway(websocket_idle_timeout="10m", **settings)


class Records:
    """A TLS 1.3 client (AES-128-GCM) that makes its own records after the handshake. The keys
    are derived from Python's key log (RFC 8446 7.3), and libcrypto seals the records."""

    def __init__(self, g, identity="BAD"):
        self.crypto = ctypes.CDLL("libcrypto.so.3")
        for f in ("EVP_CIPHER_CTX_new", "EVP_aes_128_gcm"):
            getattr(self.crypto, f).restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.crypto.EVP_CIPHER_CTX_new())
        c = client(TLS13)
        c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
        with tempfile.NamedTemporaryFile("r") as log:
            c.keylog_filename = log.name
            self.inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = c.wrap_bio(self.inc, out)
            self.sock = socket.create_connection(("127.0.0.1", g.tls_port))
            self.sock.settimeout(DEADLINE)
            while True:
                try:
                    self.tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    self.sock.sendall(out.read())
                    self.inc.write(self.sock.recv(1 << 16))
            self.sock.sendall(out.read())
            secret = re.search(r"CLIENT_TRAFFIC_SECRET_0 \w+ (\w+)", log.read())
        self.hash = hashlib.sha256 if len(secret[1]) == 64 else hashlib.sha384
        self.set(bytes.fromhex(secret[1]))
        self.identity = identity

    def expand(self, label, n):
        info = struct.pack(">HB", n, 6 + len(label)) + b"tls13 " + label + b"\0\1"
        return hmac.new(self.secret, info, self.hash).digest()[:n]

    def set(self, secret):
        self.secret, self.n = secret, 0
        self.key = self.expand(b"key", 16 if len(secret) == 32 else 32)
        self.iv = self.expand(b"iv", 12)

    def renew(self):
        self.set(self.expand(b"traffic upd", len(self.secret)))

    def seal(self, type, data, pad=0, outer=DATA):
        """Returns one record."""
        text = data + (bytes([type]) if type is not None else b"") + bytes(pad)
        head = struct.pack(">BHH", outer, 0x303, len(text) + 16)
        nonce = (int.from_bytes(self.iv, "big") ^ self.n).to_bytes(12, "big")
        self.n += 1
        x, n = self.crypto, ctypes.c_int()
        out, tag = ctypes.create_string_buffer(len(text) + 16), \
            ctypes.create_string_buffer(16)
        cipher = x.EVP_aes_128_gcm if len(self.key) == 16 else x.EVP_aes_256_gcm
        cipher.restype = ctypes.c_void_p
        assert x.EVP_EncryptInit_ex(self.context, ctypes.c_void_p(cipher()), None,
                                    self.key, nonce) == 1
        assert x.EVP_EncryptUpdate(self.context, None, ctypes.byref(n), head, 5) == 1
        assert x.EVP_EncryptUpdate(self.context, out, ctypes.byref(n), text,
                                   len(text)) == 1
        assert x.EVP_EncryptFinal_ex(self.context, tag, ctypes.byref(n)) == 1
        assert x.EVP_CIPHER_CTX_ctrl(self.context, 0x10, 16, tag) == 1
        return head + out.raw[:len(text)] + tag.raw

    def send(self, *records):
        self.sock.sendall(b"".join(records))

    def read(self):
        """Returns the received data in plain bytes; raises an exception at the end."""
        while True:
            try:
                got = self.tls.read(1 << 16)
                if got:
                    return got
                raise Closed(None, "close_notify")
            except ssl.SSLWantReadError:
                some = self.sock.recv(1 << 16)
                if not some:
                    raise Closed(None, "FIN")
                self.inc.write(some)

    def ended(self):
        """Returns the alert that ended the connection, by OpenSSL's name."""
        try:
            while True:
                self.read()
        except ssl.SSLError as e:
            return e.reason
        except Closed as e:
            return str(e)
        except ConnectionResetError:
            return "reset"

    def open(self):
        self.send(self.seal(DATA, (
            "GET /ocpp/%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n" % self.identity).encode()))
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.read()
        assert b" 101 " in got, got
        return self

    def heartbeat(self):
        self.send(self.seal(DATA, frame(TEXT, '[2,"1","Heartbeat",{}]')))
        got = b""
        while b"currentTime" not in got:
            got += self.read()


@contextlib.contextmanager
def beside(g, identity="GOOD", context=None):
    """A charge point that is connected before the attack and is answered afterwards. At the
    end the gateway must have no state of the hostile peers."""
    c = TlsCharger(g, identity, context)
    c.boot()
    yield c
    poll(lambda: g.stat("handshaking") == 0 and g.stat("tls_in_flight") == 0,
         what="the end of the handshakes")
    assert c.call("Heartbeat", {})["currentTime"]
    c.close()


# --- records ------------------------------------------------------------------

def test_records_of_every_size_and_kind_are_handled():
    g = gateway()
    message = frame(TEXT, '[2,"1","Heartbeat",{}]')
    with beside(g):
        r = Records(g, "SIZES").open()
        # Empty records, padding, the longest record, and a message byte by byte.
        r.send(r.seal(DATA, b""), r.seal(DATA, b"", pad=16384),
               r.seal(DATA, message, pad=16384 - len(message)))
        assert b"currentTime" in r.read()
        r.send(*[r.seal(DATA, bytes([b])) for b in message])
        assert b"currentTime" in r.read()
        large = frame(PING, b"x" * 100) * 158
        r.send(r.seal(DATA, large[:16384]), r.seal(DATA, large[16384:]))
        r.heartbeat()
        r.sock.close()
        bad = 0
        for what, make, end in (
                ("one byte too long", lambda r: r.seal(DATA, bytes(16385)),
                 "RECORD_OVERFLOW"),
                ("padded too long", lambda r: r.seal(DATA, b"x", pad=16384),
                 "RECORD_OVERFLOW"),
                ("a length of 65,535", lambda r: b"\x17\x03\x03\xff\xff",
                 "RECORD_OVERFLOW"),
                ("shorter than a tag", lambda r: b"\x17\x03\x03\0\x0f" + bytes(15),
                 "BAD_RECORD_MAC"),
                ("no byte", lambda r: b"\x17\x03\x03\0\0", "BAD_RECORD_MAC"),
                ("no type", lambda r: r.seal(None, b"", pad=100),
                 "UNEXPECTED_MESSAGE"),
                ("an unknown type", lambda r: r.seal(99, b"x"),
                 "UNEXPECTED_MESSAGE"),
                ("an empty alert", lambda r: r.seal(ALERT, b""),
                 "UNEXPECTED_MESSAGE"),
                ("half an alert", lambda r: r.seal(ALERT, b"\2"), "DECODE_ERROR"),
                ("a plain alert", lambda r: b"\x15\x03\x03\0\2\2\x28",
                 "UNEXPECTED_MESSAGE"),
                ("a ChangeCipherSpec", lambda r: b"\x14\x03\x03\0\1\1",
                 "UNEXPECTED_MESSAGE"),
                ("a ClientHello", lambda r: r.seal(HANDSHAKE, b"\1\0\0\0"),
                 "UNEXPECTED_MESSAGE"),
                ("half a KeyUpdate", lambda r: r.seal(HANDSHAKE, b"\x18\0\0"),
                 "UNEXPECTED_MESSAGE"),
                ("a KeyUpdate and more",
                 lambda r: r.seal(HANDSHAKE, b"\x18\0\0\1\0" * 2),
                 "UNEXPECTED_MESSAGE"),
                ("a KeyUpdate of 2",
                 lambda r: r.seal(HANDSHAKE, b"\x18\0\0\1\2"), "ILLEGAL_PARAMETER"),
                ("another version", lambda r: b"\x17\x03\x01" +
                 r.seal(DATA, b"x")[3:], "UNEXPECTED_MESSAGE"),
                ("a record again", lambda r: (lambda x: x + x)(r.seal(DATA, b"")),
                 "BAD_RECORD_MAC")):
            r = Records(g).open()
            r.send(make(r))
            got = r.ended()
            assert end in got, (what, got)
            bad += 1
            assert g.stat("tls_bad_records") == bad, what
            r.sock.close()
        assert g.stat("closed", "tls_error") == bad


def test_a_connection_that_sends_more_than_32_records_without_data_is_closed():
    g = gateway()
    with beside(g):
        for what, make, renew in (
                ("KeyUpdates", lambda r: r.seal(HANDSHAKE, b"\x18\0\0\1\0"), True),
                ("requests", lambda r: r.seal(HANDSHAKE, b"\x18\0\0\1\1"), True),
                ("empty records", lambda r: r.seal(DATA, b""), False),
                ("warnings", lambda r: r.seal(ALERT, b"\1\x5a"), False)):
            r = Records(g).open()
            updates = g.stat("tls_key_updates")
            for _ in range(3):      # data between them resets the count
                for _ in range(32):
                    r.send(make(r))
                    if renew:
                        r.renew()
                r.heartbeat()
            bad = g.stat("tls_bad_records")
            for _ in range(33):
                r.send(make(r))
                if renew:
                    r.renew()
            assert "UNEXPECTED_MESSAGE" in r.ended(), what
            assert g.stat("tls_bad_records") == bad + 1, what
            # Each flood of requests gets one KeyUpdate in return.
            n = g.stat("tls_key_updates") - updates
            assert n == {"KeyUpdates": 4 * 32, "requests": 4 * 32 + 3}.get(what, 0) or \
                n == {"requests": 4 * 32 + 4}.get(what), (what, n)
            r.sock.close()


def test_bytes_after_a_close_notify_are_not_read():
    g = gateway()
    message = frame(TEXT, '[2,"1","StatusNotification",{"connectorId":1,"errorCode":'
                    '"NoError","status":"Available"}]')
    with beside(g):
        r = Records(g, "CLOSES").open()
        r.send(r.seal(DATA, message[:20]), r.seal(ALERT, b"\1\0"),
               r.seal(DATA, message[20:]), b"\x17\x03\x03\xff\xff")
        r.ended()
        [e] = g.wait_events(1, type="charge_point.disconnected", cp="CLOSES")
        assert e["payload"]["reason"] == "peer_vanished", e
        # A close_notify during the opening handshake.
        r = Records(g)
        r.send(r.seal(DATA, b"GET /ocpp/CP1 HTT"), r.seal(ALERT, b"\1\0"))
        r.ended()
        poll(lambda: g.stat("handshaking") == 0)
        assert g.stat("tls_bad_records") == 0
        assert g.stat("calls_in", "StatusNotification") == 0


# --- handshakes ---------------------------------------------------------------

def second_flight(g, version):
    """Returns a socket on which the server's answer was read, and the next bytes of the client."""
    c = client(version)
    c.check_hostname = False
    inc, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    t = c.wrap_bio(inc, out)
    s = socket.create_connection(("127.0.0.1", g.tls_port))
    s.settimeout(DEADLINE)
    with contextlib.suppress(ssl.SSLWantReadError):
        t.do_handshake()
    s.sendall(out.read())
    while not out.pending:
        inc.write(s.recv(1 << 16))
        with contextlib.suppress(ssl.SSLWantReadError):
            t.do_handshake()
    return s, out.read()


def test_handshakes_may_end_at_every_byte():
    g = gateway(limits_accept_rate=0)
    with beside(g):
        n = 0
        for version in (TLS12, TLS13):
            first = hello(version)
            for end in range(1, len(first)):
                with socket.create_connection(("127.0.0.1", g.tls_port)) as s:
                    s.sendall(first[:end])
                n += 1
            end, whole = 1, 1000
            while end < whole:
                s, some = second_flight(g, version)
                whole = len(some)
                s.sendall(some[:end])
                s.close()
                n += 1
                end += 1
        def ended():
            f = g.stats()["tls_failures"]
            return f["reset"] + f["protocol"] + f["peer_alert"] >= n
        poll(ended, 30 * SLOW, "the end of %d handshakes" % n)
        assert sum(g.stats()["tls_failures"].values()) == n
        assert sum(g.stats()["tls_handshakes"].values()) == 1


def test_a_fragmented_hello_is_accepted_and_too_many_bytes_are_refused():
    g = gateway()

    def fragments(data, size):
        body = data[5:]
        return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(body[i:i + size])) +
                        body[i:i + size] for i in range(0, len(body), size))

    def answer(data):
        with socket.create_connection(("127.0.0.1", g.tls_port)) as s:
            s.settimeout(DEADLINE)
            s.sendall(data)
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while len(got) < 6:
                    some = s.recv(100)
                    if not some:
                        break
                    got += some
            return got
    with beside(g):
        first = hello()
        for size in (1, 7, 100):
            assert answer(fragments(first, size))[:2] == b"\x16\x03", size
        for what, data in (
                ("a ClientHello of 16 MB", b"\x16\x03\x01\x40\0\1\xff\xff\xff" +
                 bytes(16380)),
                ("two ClientHellos", first + first),
                ("empty records", b"\x16\x03\x01\0\0" * 500),
                ("an empty ChangeCipherSpec", b"\x14\x03\x01\0\0"),
                ("a record that is too long", b"\x16\x03\x01\xff\xff" + bytes(20000)),
                ("SSLv2", b"\x80\x2e\1\3\1\0\x15\0\0\0\x10"),
                ("data", b"\x17\x03\x03\0\5hello")):
            poll(lambda: g.stat("handshaking") == 0)
            n = sum(g.stats()["tls_failures"].values())
            answer(data)
            poll(lambda: sum(g.stats()["tls_failures"].values()) == n + 1, what=what)
        # Bytes of records that are announced and not sent are not stored.
        with socket.create_connection(("127.0.0.1", g.tls_port)) as s:
            s.sendall(b"\x16\x03\x01\x40\0\1\0\x3f\xfc")
            poll(lambda: g.stat("handshaking") == 1)


def test_tickets_of_other_keys_are_not_used_and_early_data_is_not_permitted():
    one, g = gateway(), gateway()
    for version in (TLS12, TLS13):
        context = client(version)
        c = TlsCharger(one, "CP1", context)
        c.boot()
        for _ in range(3):
            d = TlsCharger(g, "CP1", context, session=c.sock.session)
            assert not d.sock.session_reused
            d.boot()
    assert g.stat("tls_resumed") == 0
    # openssl sends early data only if the ticket permits it, which no ticket does.
    with tempfile.TemporaryDirectory() as d:
        def s_client(*words):
            return subprocess.run(
                ["openssl", "s_client", "-connect", "127.0.0.1:%d" % g.tls_port,
                 "-tls1_3", *words], input=b"", stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=30 * SLOW).stdout
        with open(d + "/data", "w") as f:
            f.write("GET / HTTP/1.1\r\n\r\n")
        with subprocess.Popen(
                ["openssl", "s_client", "-connect", "127.0.0.1:%d" % g.tls_port,
                 "-tls1_3", "-sess_out", d + "/session"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as p:
            poll(lambda: os.path.exists(d + "/session"), what="a ticket")
            p.kill()
        out = subprocess.run(["openssl", "sess_id", "-in", d + "/session", "-text",
                              "-noout"], stdout=subprocess.PIPE, text=True).stdout
        assert "Max Early Data: 0" in out, out


# --- certificates ---------------------------------------------------------------

def sign(a, name, subject, ca, ext):
    """Makes a certificate under ca, which names a certificate in the directory of a."""
    a.openssl("req", "-new", *a.kind("ec"), "-keyout", name + ".key", "-out",
              name + ".csr", "-subj", subject, "-config", "c")
    with open(a.dir + "/ext", "w") as f:
        f.write(ext)
    a.openssl("x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey",
              ca + ".key", "-CAcreateserial", "-days", "9", "-extfile", "ext",
              "-out", name + ".pem")
    return a.path(name)


def with_name(a, path, cn):
    """Gives a certificate another CN, which may have any bytes, and signs it again."""
    x = ctypes.CDLL("libcrypto.so.3")
    for f in ("BIO_new_file", "PEM_read_bio_X509", "PEM_read_bio_PrivateKey",
              "X509_NAME_new", "EVP_sha256"):
        getattr(x, f).restype = ctypes.c_void_p

    def opened(name, mode):
        return ctypes.c_void_p(x.BIO_new_file(name.encode(), mode))
    p = ctypes.c_void_p
    certificate = p(x.PEM_read_bio_X509(opened(path, b"r"), None, None, None))
    key = p(x.PEM_read_bio_PrivateKey(opened(a.dir + "/ca.key", b"r"), None, None,
                                      None))
    name = p(x.X509_NAME_new())
    assert x.X509_NAME_add_entry_by_txt(name, b"CN", 12, cn, len(cn), -1, 0) == 1
    assert x.X509_set_subject_name(certificate, name) == 1
    assert x.X509_sign(certificate, key, p(x.EVP_sha256())) > 0
    bio = opened(path, b"w")
    assert x.PEM_write_bio_X509(bio, certificate) == 1
    x.BIO_free(bio)


def test_unusual_client_certificates_are_handled():
    a = Authority("shapes")
    g = gateway(tls_client="required", tls_client_ca=a.ca)
    a.make("good", "/CN=GOOD")
    context = client(certificate=a.path("good"))

    def refused(pair):
        """Returns True if the certificate does not lead to a connection as CP1."""
        try:
            return handshake_status(g, "CP1", client(certificate=pair)) != 101
        except (ssl.SSLError, OSError, Closed):
            return True
    with beside(g, context=context):
        pair = sign(a, "sans", "/CN=CP1", "ca", "subjectAltName=" + ",".join(
            "DNS:n%d.example" % i for i in range(1000)))
        assert not refused(pair)
        pair = sign(a, "large", "/CN=CP1", "ca", "nsComment=" + "a" * 30000)
        assert not refused(pair)
        for kb in (33, 66, 100, 1000):
            pair = sign(a, "large%d" % kb, "/CN=CP1", "ca",
                        "nsComment=%s" % ("a" * (kb * 1000)))
            n = g.stat("tls_failures", "protocol")
            assert refused(pair), kb
            poll(lambda: g.stat("tls_failures", "protocol") == n + 1)
            assert "excessive message size" in refusal(g, "protocol")["detail"], kb
        below = "ca"
        pems = []
        for i in range(50):
            leaf, key = sign(a, "i%d" % i, "/CN=i%d" % i, below,
                             "basicConstraints=critical,CA:true")
            below = "i%d" % i
            pems.insert(0, open(leaf).read())
            if i in (3, 4):     # four intermediate certificates, then five
                leaf, key = sign(a, "leaf%d" % i, "/CN=CP1", below,
                                 "keyUsage=digitalSignature")
                with open(leaf, "a") as f:
                    f.write("".join(pems))
                assert refused((leaf, key)) == (i == 4), i
        leaf, key = sign(a, "deep", "/CN=CP1", below, "keyUsage=digitalSignature")
        with open(leaf, "a") as f:
            f.write("".join(pems))
        assert refused((leaf, key))
        pair = a.make("nul", "/CN=CP1")
        with_name(a, pair[0], b"CP1\0.example")
        assert b"CP1\\x00.example" in subprocess.run(
            ["openssl", "x509", "-in", pair[0], "-noout", "-subject", "-nameopt",
             "esc_ctrl"], stdout=subprocess.PIPE).stdout.replace(b"\\00", b"\\x00")
        assert handshake_status(g, "CP1", client(certificate=pair)) == 403
        r = g.tell("refused")[0]
        assert "has no CN that can be an identity" in r["detail"], r
        failures = {k: n for k, n in g.stats()["tls_failures"].items() if n}
        assert failures == {"protocol": 4, "certificate": 2}, failures


if __name__ == "__main__":
    main()
