#!/usr/bin/python3
"""Compressed messages to the echo program (test/echo), which uses the frames of the
gateway. The cases follow cases 12 and 13 of the public conformance suite for WebSocket,
which autobahn.py runs if it is installed: five kinds of text and bytes in 18 sizes and
fragmentations (12), and seven offers (13).

    test/compression.py [--messages N] [part of a name]

The suite sends 1,000 messages in each case; here N is 5 by default."""

import zlib

from deflate import expand, squeeze
from lib import *

MESSAGES = 5
if "--messages" in sys.argv:
    at = sys.argv.index("--messages")
    MESSAGES = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]

# Bytes of the message, and of each fragment; 0 if the message is not fragmented.
SIZES = [(n, 0) for n in (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)] + [
    (n, 256) for n in (8192, 16384, 32768, 65536, 131072)] + [
    (131072, n) for n in (1024, 4096, 32768)]
assert len(SIZES) == 18

rng = random.Random(7692)
KINDS = {
    "JSON": (TEXT, lambda n: json.dumps([{"id": i, "value": rng.random(), "unit": "Wh"}
                                         for i in range(n // 40 + 1)]).encode()[:n]),
    "bytes of a picture": (2, lambda n: bytes(
        (i * 7 + rng.randrange(16)) & 255 for i in range(n))),
    "words": (TEXT, lambda n: b" ".join(rng.choice((b"charge", b"point", b"meter", b"value"))
                                        for _ in range(n // 5 + 1))[:n]),
    "UTF-8": (TEXT, lambda n: ("".join(rng.choice("a\u00fc\u20ac\U0001f50c")
                                       for _ in range(n))).encode()[:n]),
    "noise": (2, lambda n: rng.randbytes(n)),
}

# A client's offers, and the answers to them (RFC 7692, section 7.1).
PMD = "permessage-deflate"
OFFERS = (
    (PMD, "", 15),
    (PMD + "; server_no_context_takeover", "server_no_context_takeover", 15),
    (PMD + "; server_max_window_bits=9", "server_max_window_bits=9", 9),
    (PMD + "; server_max_window_bits=15", "server_max_window_bits=15", 15),
    (PMD + "; server_no_context_takeover; server_max_window_bits=9",
     "server_no_context_takeover", 9),
    (PMD + "; server_no_context_takeover; server_max_window_bits=15",
     "server_no_context_takeover", 15),
    (PMD + "; server_no_context_takeover; server_max_window_bits=9, " + PMD +
     "; server_no_context_takeover, " + PMD, "server_no_context_takeover", 9),
)


class Echo:
    def __init__(self):
        self.p = subprocess.Popen([os.path.join(B, "echo"), "127.0.0.1", "0"],
                                  stdout=subprocess.PIPE, text=True)
        self.port = int(self.p.stdout.readline().split()[-1])

    def close(self):
        self.p.terminate()
        assert self.p.wait(timeout=DEADLINE) == 0


def client(echo, offer):
    c = Charger(echo, open=False)
    r = c.handshake(path="/", protocols=None, headers=[("Sec-WebSocket-Extensions", offer)])
    assert r.status == 101, r.status
    c.answer = r["Sec-WebSocket-Extensions"] or ""
    return c


def send(c, op, data, fragment):
    """Returns one compressed message."""
    packed = squeeze(data)
    parts = [packed[i:i + fragment] for i in range(0, len(packed), fragment)] \
        if fragment else [packed]
    for i, part in enumerate(parts):
        c.send(part, op=op if i == 0 else 0, fin=i == len(parts) - 1, rsv=4 if i == 0 else 0)


def receive(c, window):
    """Returns the opcode and the bytes of the next message."""
    deadline, whole, head = time.monotonic() + c.timeout, b"", None
    while True:
        while len(c.buffer) < 2:
            c.fill(deadline)
        n, skip = c.buffer[1] & 0x7f, 2
        if n >= 126:
            skip = 4 if n == 126 else 10
            while len(c.buffer) < skip:
                c.fill(deadline)
            n = int.from_bytes(c.buffer[2:skip], "big")
        while len(c.buffer) < skip + n:
            c.fill(deadline)
        first, data = c.buffer[0], c.buffer[skip:skip + n]
        c.buffer = c.buffer[skip + n:]
        assert not first & 0x30, hex(first)
        assert head is None or not first & 0x40, "a continuation frame has RSV1"
        head = first if head is None else head
        whole += data
        if first & 0x80:
            break
    if not head & 0x40:
        return head & 15, whole, False
    z = zlib.decompressobj(wbits=-window)
    return head & 15, z.decompress(whole + b"\x00\x00\xff\xff"), True


def case(c, op, make, window):
    """Sends messages of the 18 sizes. Returns how many answers were compressed."""
    packed, pool = 0, make(200000)
    for size, fragment in SIZES:
        for _ in range(MESSAGES):
            at = rng.randrange(len(pool) - size)
            data = pool[at:at + size]
            if op == TEXT:
                data = data.decode("utf-8", "ignore").encode()
            send(c, op, data, fragment)
            got = receive(c, window)
            assert got[:2] == (op, data), (size, fragment, len(got[1]))
            packed += got[2]
    return packed


def test_12_kinds_of_messages_in_all_sizes():
    echo = Echo()
    for name, (op, make) in KINDS.items():
        c = client(echo, PMD)
        packed = case(c, op, make, 15)
        # A message that would not become shorter is sent uncompressed.
        assert (packed > 0) == (name != "noise"), (name, packed)
        c.close()
    echo.close()


def test_13_the_agreed_parameters_are_observed():
    echo = Echo()
    op, make = KINDS["JSON"]
    for offer, words, window in OFFERS:
        c = client(echo, offer)
        assert c.answer.startswith(PMD) and "client_no_context_takeover" in c.answer, c.answer
        assert words in c.answer, (offer, c.answer)
        assert "," not in c.answer, c.answer
        assert case(c, op, make, window) > 0
        c.close()
    echo.close()


if __name__ == "__main__":
    main()
