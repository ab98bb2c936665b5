#!/usr/bin/python3
"""Tests whether a WebSocket echo server follows RFC 6455.

    rfc6455.py [-v] [-k word] program [argument ...]

Starts `program argument ... 127.0.0.1 0 [max_message]`, waits for its line "listening
on <address> <port>", tries each case of the table below, and ends with the line "N
passed, N failed, N skipped". The exit status is 1 if a case has failed.

A case is a sequence of bytes that the client sends, and the frames with which the
server must answer. If the last of them is not a close frame, the runner closes with
1000 and expects the same code. After a close frame the server must end the TCP
connection. Every read has a deadline; the runner never sleeps."""

import argparse
import base64
import hashlib
import random
import select
import socket
import struct
import subprocess
import sys
import time

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
DEADLINE = 20.0  # seconds for one case
SMALL = 1000     # max_message of the second server
rng = random.Random(6455)


# --- bytes -------------------------------------------------------------------

def frame(op, data=b"", fin=1, rsv=0, mask=b"\x37\xfa\x21\x3d", form=None,
          length=None):
    """Returns a client's frame. form: bytes of the extended length (0, 2, 8), if not
    the fewest possible; length: a wrong length for the header; mask: None for an
    unmasked frame."""
    n = len(data) if length is None else length
    if form is None:
        form = 0 if n < 126 else 2 if n < 65536 else 8
    head = bytes([fin << 7 | rsv << 4 | op])
    bit = 0x80 if mask is not None else 0
    if form == 0:
        head += bytes([bit | n])
    elif form == 2:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    if mask is None:
        return head + data
    pad = mask * (len(data) // 4 + 1)
    masked = int.from_bytes(data, "big") ^ int.from_bytes(pad[:len(data)],
                                                          "big")
    return head + mask + masked.to_bytes(len(data), "big")


def fragments(op, parts, between=b""):
    """Returns one message in several frames, with the frames `between` after each."""
    out = []
    for i, part in enumerate(parts):
        out.append(frame(op if i == 0 else CONT, part,
                         fin=int(i == len(parts) - 1)))
    return between.join(out)


def close(code=None, reason=b""):
    body = b"" if code is None else struct.pack(">H", code) + reason
    return frame(CLOSE, body)


def utf8(*points):
    """Returns the UTF-8 of code points, also of those that UTF-8 does not allow."""
    out = bytearray()
    for c in points:
        if c < 0x80:
            out.append(c)
            continue
        for n, top in ((2, 0x800), (3, 0x10000), (4, 0x200000),
                       (5, 0x4000000), (6, 0x80000000)):
            if c < top:
                out += encoded_in(c, n)
                break
    return bytes(out)


def encoded_in(c, n):
    """Encodes code point c in n bytes, even if fewer bytes are enough."""
    tail = [0x80 | c >> 6 * i & 0x3f for i in range(n - 1)]
    lead = (0xff00 >> n & 0xff) | c >> 6 * (n - 1)
    return bytes([lead] + tail[::-1])


# --- a client ----------------------------------------------------------------

class Wrong(Exception):
    pass


class Client:
    def __init__(self, port, shake=True):
        self.until = time.monotonic() + DEADLINE
        self.s = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.have = bytearray()
        if shake:
            answer = self.request(request())
            if not answer.startswith(b"HTTP/1.1 101 "):
                raise Wrong("handshake refused: %r" % answer)

    def read(self):
        left = self.until - time.monotonic()
        if left <= 0:
            raise Wrong("no answer before the deadline")
        self.s.settimeout(left)
        try:
            got = self.s.recv(1 << 20)
        except socket.timeout:
            raise Wrong("no answer before the deadline") from None
        except ConnectionResetError:
            raise Wrong("connection reset") from None
        self.have += got
        return len(got) > 0

    def need(self, n):
        while len(self.have) < n:
            if not self.read():
                raise Wrong("connection ended, %d of %d bytes"
                            % (len(self.have), n))

    def take(self, n):
        self.need(n)
        out = bytes(self.have[:n])
        del self.have[:n]
        return out

    def send(self, data, chop=0):
        """Sends in pieces of chop bytes. Answers are read between them, so that the client
        and the server never wait for each other."""
        step = chop or 1 << 16
        view = memoryview(data)
        at = 0
        while at < len(view):
            self.s.settimeout(0)
            try:
                at += self.s.send(view[at:at + step])
                if chop == 0 or at % 4096 == 0:
                    self.have += self.s.recv(1 << 20)
            except BlockingIOError:
                select.select([self.s], [self.s] if at < len(view) else [],
                              [], 1)
                if time.monotonic() > self.until:
                    raise Wrong("the server does not read") from None
            except (BrokenPipeError, ConnectionResetError):
                return  # the answers that were sent before are still read

    def request(self, text):
        self.send(text)
        while b"\r\n\r\n" not in self.have:
            if not self.read():
                return bytes(self.have)
        return self.take(self.have.index(b"\r\n\r\n") + 4)

    def frame(self):
        b = self.take(2)
        if b[0] & 0x70:
            raise Wrong("an answer has a reserved bit")
        if b[1] & 0x80:
            raise Wrong("an answer is masked")
        n = b[1] & 0x7f
        if n == 126:
            n = struct.unpack(">H", self.take(2))[0]
            if n < 126:
                raise Wrong("an answer has the long form of a short length")
        elif n == 127:
            n = struct.unpack(">Q", self.take(8))[0]
            if n < 65536:
                raise Wrong("an answer has the long form of a short length")
        return b[0] >> 7, b[0] & 15, self.take(n)

    def message(self):
        """Returns the next message or control frame: (opcode, payload)."""
        fin, op, data = self.frame()
        if op == CONT:
            raise Wrong("an answer has a continuation frame without a message")
        while not fin:
            fin, nxt, more = self.frame()
            if nxt != CONT:
                raise Wrong("an answer has a new message inside a fragmented one")
            data += more
        return op, data

    def expect_end(self):
        while self.read():
            pass
        if self.have:
            raise Wrong("bytes follow the close frame: %r" % bytes(self.have))


NAMES = {TEXT: "text", BINARY: "binary", CLOSE: "close", PING: "ping",
         PONG: "pong"}


def show(op, data):
    if op == CLOSE and len(data) >= 2:
        return "close %d %r" % (struct.unpack(">H", data[:2])[0], data[2:])
    return "%s of %d bytes %r" % (NAMES.get(op, op), len(data), data[:40])


# --- cases -------------------------------------------------------------------

cases = []


def case(name, send, answer, chop=0, limit=0, then=b""):
    """send: bytes. answer: list of (opcode, payload), where the payload of a close frame
    is its code, or None. chop: size of the pieces; 0 for as much as the socket accepts.
    limit: 1 for the server with the small message limit. then: bytes to send after the
    answers were received."""
    cases.append((name, send, answer, chop, limit, then))


def both(name, send, answer, **more):
    """Adds a case that sends the bytes in one piece, and one that sends them byte by byte
    or, if there are many, in pieces that do not end at frame boundaries."""
    case(name, send, answer, **more)
    if len(send) <= 4096:
        case(name + ", byte by byte", send, answer, chop=1, **more)
    else:
        case(name + ", in pieces of 997", send, answer, chop=997, **more)


def refused(name, send, code=1002, **more):
    both(name, send, [(CLOSE, code)], **more)


def framing():
    for op in (TEXT, BINARY):
        for n in (0, 1, 2, 124, 125, 126, 127, 128, 4087, 4088, 4089, 4096,
                  65534, 65535, 65536, 65537, 131072):
            data = (b"*" if op == TEXT else b"\xfe") * n
            both("framing: %s of %d bytes" % (NAMES[op], n), frame(op, data),
                 [(op, data)])
    data = rng.randbytes(5000)
    both("framing: every mask byte counts", b"".join(
        frame(BINARY, data[:n], mask=rng.randbytes(4)) for n in range(70)),
        [(BINARY, data[:n]) for n in range(70)])
    both("framing: a mask of zeros", frame(TEXT, b"zero", mask=bytes(4)),
         [(TEXT, b"zero")])
    for op in (TEXT, BINARY, PING, PONG, CLOSE):
        refused("framing: unmasked %s" % NAMES[op],
                frame(op, b"" if op == CLOSE else b"bare", mask=None))
    refused("framing: unmasked, header only",
            frame(TEXT, b"", mask=None, length=5))
    for n, form in ((0, 2), (5, 2), (125, 2), (0, 8), (5, 8), (125, 8),
                    (126, 8), (65535, 8)):
        refused("framing: length %d in %d bytes" % (n, form),
                frame(BINARY, b"x" * n, form=form))
    refused("framing: length with its highest bit set",
            frame(BINARY, b"x", length=1 << 63 | 5))
    both("framing: 500 messages at once",
         b"".join(frame(TEXT, b"m%d" % i) for i in range(500)),
         [(TEXT, b"m%d" % i) for i in range(500)])


def pings():
    for data in (b"", b"Hello", bytes([0, 255, 254, 253, 252, 251, 0, 255]),
                 b"p" * 124, b"p" * 125):
        both("ping: %d bytes" % len(data), frame(PING, data), [(PONG, data)])
    for n in (126, 200, 65536):
        refused("ping: %d bytes" % n, frame(PING, b"p" * n))
    refused("pong: 126 bytes", frame(PONG, b"p" * 126))
    both("pong: unsolicited, empty", frame(PONG), [])
    both("pong: unsolicited", frame(PONG, b"uninvited"), [])
    both("pong: unsolicited, then a ping",
         frame(PONG, b"uninvited") + frame(PING, b"p"), [(PONG, b"p")])
    both("ping: ten in a row, each answered",
         b"".join(frame(PING, b"ping %d" % i) for i in range(10)),
         [(PONG, b"ping %d" % i) for i in range(10)])
    both("ping: between messages",
         frame(TEXT, b"a") + frame(PING, b"p") + frame(TEXT, b"b"),
         {(TEXT, b"a"), (PONG, b"p"), (TEXT, b"b")})


def reserved_bits():
    good = frame(TEXT, b"good")
    for rsv in range(1, 8):
        for op in (TEXT, BINARY, PING, PONG, CLOSE):
            refused("rsv %d: %s" % (rsv, NAMES[op]),
                    frame(op, b"" if op == CLOSE else b"x", rsv=rsv))
        both("rsv %d: after a good message" % rsv,
             good + frame(TEXT, b"bad", rsv=rsv) + frame(PING),
             [(TEXT, b"good"), (CLOSE, 1002)])
        refused("rsv %d: in a continuation" % rsv,
                frame(TEXT, b"a", fin=0) + frame(CONT, b"b", rsv=rsv))


def opcodes():
    for op in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        refused("opcode %d: empty" % op, frame(op))
        refused("opcode %d: with payload" % op, frame(op, b"reserved"))
        both("opcode %d: after a good message" % op,
             frame(TEXT, b"good") + frame(op, b"bad") + frame(PING),
             [(TEXT, b"good"), (CLOSE, 1002)])
        refused("opcode %d: inside a fragmented message" % op,
                frame(TEXT, b"a", fin=0) + frame(op, b"b"))


def fragmentation():
    for op in (PING, PONG, CLOSE):
        refused("fragments: of a %s" % NAMES[op],
                frame(op, b"", fin=0) + frame(CONT, b"x"))
    for op in (TEXT, BINARY):
        for parts in ([b"one", b"two"], [b"", b""], [b"", b"", b""],
                      [b"", b"middle", b""], [b"x"] * 300, [b"y" * 5000] * 7):
            whole = b"".join(parts)
            both("fragments: %s in %d frames, %d bytes"
                 % (NAMES[op], len(parts), len(whole)),
                 fragments(op, parts), [(op, whole)])
            both("fragments: %s in %d frames, %d bytes, pings in between"
                 % (NAMES[op], len(parts), len(whole)),
                 fragments(op, parts[:12], frame(PING, b"meanwhile")),
                 [(PONG, b"meanwhile")] * (len(parts[:12]) - 1) +
                 [(op, b"".join(parts[:12]))])
    case("fragments: the ping in between is answered before the rest comes",
         frame(TEXT, b"one", fin=0) + frame(PING, b"now"), [(PONG, b"now")],
         then=frame(CONT, b"two"))
    for fin in (0, 1):
        refused("fragments: continuation of nothing, fin %d" % fin,
                frame(CONT, b"what?", fin=fin) + frame(TEXT, b"x"))
        both("fragments: continuation of a finished message, fin %d" % fin,
             fragments(TEXT, [b"a", b"b"]) + frame(CONT, b"c", fin=fin),
             [(TEXT, b"ab"), (CLOSE, 1002)])
        for first in (TEXT, BINARY):
            for second in (TEXT, BINARY):
                refused("fragments: %s in the middle of %s, fin %d"
                        % (NAMES[second], NAMES[first], fin),
                        frame(first, b"a", fin=0) +
                        frame(second, b"b", fin=fin))
    both("fragments: two messages with pings everywhere",
         (frame(PING, b"1") + fragments(TEXT, [b"a"] * 5, frame(PING, b"2")) +
          frame(PONG) + fragments(BINARY, [b"\xff"] * 3, frame(PONG, b"3"))),
         {(PONG, b"1"), (PONG, b"2"), (TEXT, b"aaaaa"),
          (BINARY, b"\xff\xff\xff")})
    refused("fragments: close in the middle", frame(TEXT, b"a", fin=0) +
            close(1000), code=1000)


VALID = [
    ("ASCII with NUL and DEL", bytes(range(128))),
    ("several scripts", "κόσμος Ünïcödé 日本語 🚗⚡".encode()),
    ("smallest and largest of each length",
     utf8(0, 0x7f, 0x80, 0x7ff, 0x800, 0xffff, 0x10000, 0x10ffff)),
    ("neighbours of the surrogates", utf8(0xd7ff, 0xe000)),
    ("byte order mark, replacement character", utf8(0xfeff, 0xfffd)),
    ("noncharacters", utf8(0xfffe, 0xffff, *(p << 16 | x for p in range(1, 17)
                                             for x in (0xfffe, 0xffff)),
                           *range(0xfdd0, 0xfdf0))),
    ("combining marks", utf8(0x65, 0x301, 0x1f1e8, 0x1f1ed, 0x200d)),
]

INVALID = (
    [("lone continuation byte %02x" % b, bytes([b]))
     for b in (0x80, 0x81, 0x9f, 0xa0, 0xbf)] +
    [("lead byte %02x that starts nothing" % b, bytes([b]) + b"\x80" * 5)
     for b in (0xc0, 0xc1, 0xf5, 0xf6, 0xf7, 0xf8, 0xfb, 0xfc, 0xfd, 0xfe,
               0xff)] +
    [("U+%04X in %d bytes" % (c, n), encoded_in(c, n))
     for c, n in ((0, 2), (0x2f, 2), (0x7f, 2), (0, 3), (0x7f, 3), (0x7ff, 3),
                  (0, 4), (0x7ff, 4), (0xffff, 4), (0x10ffff, 5),
                  (0x10ffff, 6))] +
    [("surrogate U+%04X" % c, utf8(c))
     for c in (0xd800, 0xd801, 0xdb7f, 0xdb80, 0xdbff, 0xdc00, 0xdf80,
               0xdfff)] +
    [("surrogate pair", utf8(0xd83d, 0xde97))] +
    [("beyond the last code point: %X" % c, utf8(c))
     for c in (0x110000, 0x13ffff, 0x1fffff, 0x200000, 0x3ffffff, 0x4000000,
               0x7fffffff)] +
    [("lead byte %02x, then a letter" % b, bytes([b]) + b"a")
     for b in (0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4)] +
    [("character broken off by a letter", utf8(0x10000)[:n] + b"a")
     for n in (2, 3)] +
    [("character broken off by another", utf8(0x20ac)[:2] + utf8(0x20ac))] +
    [("Latin-1", "Zürich".encode("latin-1"))]
)


def texts():
    for name, data in VALID:
        both("utf8: " + name, frame(TEXT, data), [(TEXT, data)])
        both("utf8: " + name + ", each byte a fragment",
             fragments(TEXT, [data[i:i + 1] for i in range(len(data))]),
             [(TEXT, data)])
    data = "ß€😀".encode()
    for cut in range(1, len(data)):
        both("utf8: fragments cut at byte %d" % cut,
             fragments(TEXT, [data[:cut], data[cut:]], frame(PING, data)),
             [(PONG, data), (TEXT, data)])
    everything = "".join(map(chr, range(0x110000))
                         ).encode("utf-8", "ignore")
    case("utf8: every code point, in one message", frame(TEXT, everything),
         [(TEXT, everything)])
    case("utf8: every code point, in fragments of 4093",
         fragments(TEXT, [everything[i:i + 4093]
                          for i in range(0, len(everything), 4093)]),
         [(TEXT, everything)])
    points = [c for c in range(0x80, 0x110000, 0x1ff)
              if not 0xd800 <= c < 0xe000]
    case("utf8: %d code points, one message each" % len(points),
         b"".join(frame(TEXT, utf8(c)) for c in points),
         [(TEXT, utf8(c)) for c in points])
    for name, data in INVALID:
        refused("utf8: " + name, frame(TEXT, data), code=1007)
        refused("utf8: " + name + ", with text around",
                frame(TEXT, "κόσμε".encode() + data + b"edited"), code=1007)
        refused("utf8: " + name + ", each byte a fragment",
                fragments(TEXT, [(b"ok" + data + b"ok")[i:i + 1]
                                 for i in range(len(data) + 4)]), code=1007)
    for c in range(0xd800, 0xe000, 37):
        case("utf8: surrogate U+%04X" % c, frame(TEXT, utf8(c)),
             [(CLOSE, 1007)])
    for c in (0xe9, 0x20ac, 0x10ffff):
        for n in range(1, len(utf8(c))):
            refused("utf8: message ends after byte %d of U+%04X" % (n, c),
                    frame(TEXT, b"end" + utf8(c)[:n]), code=1007)
            refused("utf8: fragments end after byte %d of U+%04X" % (n, c),
                    fragments(TEXT, [b"end", utf8(c)[:n], b""]), code=1007)
    # The server must report an error as soon as it has received it, not at the end of the
    # message.
    half = frame(TEXT, b"abc\xff", length=1000)
    refused("utf8: found before the frame is complete", half, code=1007)
    refused("utf8: found before the message is complete",
            frame(TEXT, b"abc\xe0", fin=0) + frame(CONT, b"\x80", fin=0),
            code=1007)
    refused("utf8: found at the byte that cannot be",
            frame(TEXT, b"\xf4\x90", length=4), code=1007)
    for name, data in INVALID[:8]:
        both("utf8: binary may hold " + name, frame(BINARY, data),
             [(BINARY, data)])


def closing():
    both("close: 1000", close(1000), [(CLOSE, 1000)])
    both("close: no status", close(), [(CLOSE, None)])
    both("close: 1000 with a reason", close(1000, b"done for today"),
         [(CLOSE, 1000)])
    both("close: reason of 123 bytes", close(1000, b"r" * 123),
         [(CLOSE, 1000)])
    both("close: reason in UTF-8", close(1000, "tschüß 🚗".encode()),
         [(CLOSE, 1000)])
    refused("close: reason of 124 bytes", close(1000, b"r" * 124))
    refused("close: one byte", frame(CLOSE, b"\x03"))
    for name, data in INVALID:
        refused("close: reason with " + name, close(1000, data), code=1007)
    for c in (0xe9, 0x20ac, 0x1f697):
        refused("close: reason that ends inside U+%04X" % c,
                close(1000, utf8(c)[:-1]), code=1007)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000,
                 3999, 4000, 4999):
        both("close: status %d" % code, close(code), [(CLOSE, code)])
        both("close: status %d with a reason" % code, close(code, b"why"),
             [(CLOSE, code)])
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000,
                 2999, 5000, 65535):
        refused("close: status %d" % code, close(code))
        refused("close: status %d with a reason" % code, close(code, b"why"))
    both("close: twice", close(1000) + close(1001), [(CLOSE, 1000)])
    both("close: then a ping", close(1000) + frame(PING, b"x"),
         [(CLOSE, 1000)])
    both("close: then text", close(1000) + frame(TEXT, b"x"),
         [(CLOSE, 1000)])
    both("close: then garbage", close(1000) + b"\xff" * 64, [(CLOSE, 1000)])
    both("close: after text", frame(TEXT, b"last") + close(1000),
         [(TEXT, b"last"), (CLOSE, 1000)])
    both("close: in the middle of a fragmented message, then its rest",
         frame(TEXT, b"a", fin=0) + close(1001) + frame(CONT, b"b"),
         [(CLOSE, 1001)])
    both("close: after an error there is one close frame only",
         frame(TEXT, b"\xff") + frame(TEXT, b"\xff") + close(1000),
         [(CLOSE, 1007)])
    big = b"*" * (256 << 10)
    case("close: behind a big message", frame(TEXT, big) + close(1000),
         [(TEXT, big), (CLOSE, 1000)])


def limits():
    for n in (SMALL - 1, SMALL):
        both("limit: %d of %d bytes" % (n, SMALL), frame(TEXT, b"l" * n),
             [(TEXT, b"l" * n)], limit=1)
        both("limit: %d of %d bytes in fragments" % (n, SMALL),
             fragments(TEXT, [b"l" * 100] * 9 + [b"l" * (n - 900)]),
             [(TEXT, b"l" * n)], limit=1)
    refused("limit: one too many", frame(TEXT, b"l" * (SMALL + 1)), code=1009,
            limit=1)
    refused("limit: announced", frame(TEXT, length=SMALL + 1), code=1009,
            limit=1)
    refused("limit: announced in a continuation",
            frame(TEXT, b"l" * SMALL, fin=0) + frame(CONT, length=1),
            code=1009, limit=1)
    refused("limit: sum of fragments",
            fragments(TEXT, [b"l" * 100] * 11), code=1009, limit=1)
    for n in (1 << 31, 1 << 32, (1 << 32) + 5, (1 << 63) - 1):
        refused("limit: %d bytes announced" % n, frame(BINARY, length=n),
                code=1009)
        refused("limit: %d more announced" % n,
                frame(BINARY, b"x", fin=0) + frame(CONT, length=n), code=1009)
    for op in (TEXT, BINARY):
        for size in (64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20):
            data = b"*" * size
            case("size: %s of %d KiB" % (NAMES[op], size >> 10),
                 frame(op, data), [(op, data)])
        data = rng.randbytes(4 << 20).translate(bytes(
            i & 0x7f for i in range(256)))
        for part in (64, 256, 1024, 4096, 65536, 1 << 20):
            case("size: %s of 4 MiB in frames of %d" % (NAMES[op], part),
                 fragments(op, [data[i:i + part]
                                for i in range(0, len(data), part)]),
                 [(op, data)])
        for chop in (64, 128, 1024):
            case("size: %s of 1 MiB, sent %d bytes at a time"
                 % (NAMES[op], chop), frame(op, data[:1 << 20]),
                 [(op, data[:1 << 20])], chop=chop)
        for size in (0, 16, 64, 256, 1024, 4096):
            case("size: 1000 times %s of %d" % (NAMES[op], size),
                 frame(op, data[:size]) * 1000, [(op, data[:size])] * 1000)


def run_case(ports, send, answer, chop, limit, then):
    c = Client(ports[limit])
    c.send(send, chop)
    if isinstance(answer, set):
        # Pongs may be sent before earlier messages, and one pong may answer several pings.
        left, got = set(answer), None
        while left:
            got = c.message()
            if got not in answer:
                raise Wrong("unexpected " + show(*got))
            left.discard(got)
        answer, skip_pongs = [], True
    else:
        skip_pongs = False
    ended = False
    for want_op, want in answer:
        op, data = c.message()
        if want_op == CLOSE:
            code = struct.unpack(">H", data[:2])[0] if data else None
            if op != CLOSE or code != want:
                raise Wrong("expected close %s, received %s"
                            % (want, show(op, data)))
            ended = True
        elif op != want_op or data != want:
            raise Wrong("expected %s, received %s" % (show(want_op, want),
                                                 show(op, data)))
    if not ended:
        c.send(then + close(1000))
        while True:
            op, data = c.message()
            if op == CLOSE:
                break
            if not then and not (skip_pongs and op == PONG):
                raise Wrong("unexpected " + show(op, data))
        if data[:2] != struct.pack(">H", 1000):
            raise Wrong("close 1000 was not answered by the same code: " + show(op, data))
    c.expect_end()
    c.s.close()


# --- the handshake -----------------------------------------------------------

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1(
    (KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def request(line="GET /ocpp/CP1 HTTP/1.1", drop=(), add=()):
    headers = [("Host", "localhost"), ("Upgrade", "websocket"),
               ("Connection", "Upgrade"), ("Sec-WebSocket-Key", KEY),
               ("Sec-WebSocket-Version", "13")]
    lines = [line] + ["%s: %s" % h for h in headers if h[0] not in drop]
    return ("\r\n".join(lines + list(add)) + "\r\n\r\n").encode("latin-1")


HANDSHAKES = [
    ("plain", request(), 101, None),
    ("other case", request(drop=("Upgrade", "Connection"), add=(
        "upgrade: WebSocket", "CONNECTION: keep-alive, UPGRADE")), 101, None),
    ("lists on several lines", request(drop=("Upgrade", "Connection"), add=(
        "Upgrade: h2c", "Upgrade: foo, websocket", "Connection: keep-alive",
        "Connection: ,upgrade ,")), 101, None),
    ("empty line in front", b"\r\n" + request(), 101, None),
    ("absolute form", request("GET ws://host:80/ocpp/CP1?x=1 HTTP/1.1"), 101,
     None),
    ("subprotocol", request(add=("Sec-WebSocket-Protocol: ocpp1.6",)), 101,
     "ocpp1.6"),
    ("subprotocol, newest known one", request(add=(
        "Sec-WebSocket-Protocol: x ,ocpp2.1",
        "sec-websocket-protocol: ocpp1.6")), 101, "ocpp2.1"),
    ("subprotocol unknown", request(add=("Sec-WebSocket-Protocol: soap",)),
     101, None),
    ("compression offered", request(add=(
        "Sec-WebSocket-Extensions: permessage-deflate; "
        "client_max_window_bits",)), 101, None),
    ("POST", request("POST /ocpp/CP1 HTTP/1.1"), 405, None),
    ("HTTP/1.0", request("GET /ocpp/CP1 HTTP/1.0"), 505, None),
    ("HTTP/2.0", request("GET /ocpp/CP1 HTTP/2.0"), 505, None),
    ("no version in the line", request("GET /ocpp/CP1"), 400, None),
    ("blank in the path", request("GET /ocpp/CP 1 HTTP/1.1"), 400, None),
    ("no Host", request(drop=("Host",)), 400, None),
    ("two Hosts", request(add=("Host: b",)), 400, None),
    ("no Upgrade", request(drop=("Upgrade",)), 426, None),
    ("other Upgrade", request(drop=("Upgrade",), add=("Upgrade: websockets",)),
     426, None),
    ("no Connection", request(drop=("Connection",)), 400, None),
    ("no Key", request(drop=("Sec-WebSocket-Key",)), 400, None),
    ("two Keys", request(add=("Sec-WebSocket-Key: " + KEY,)), 400, None),
    ("short Key", request(drop=("Sec-WebSocket-Key",), add=(
        "Sec-WebSocket-Key: c2hvcnQ=",)), 400, None),
    ("no Version", request(drop=("Sec-WebSocket-Version",)), 426, None),
    ("Version 8", request(drop=("Sec-WebSocket-Version",), add=(
        "Sec-WebSocket-Version: 8",)), 426, None),
    ("two Versions", request(add=("Sec-WebSocket-Version: 13",)), 400, None),
    ("folded header", request(add=("X-A: b", " c")), 400, None),
    ("blank before colon", request(add=("X-A : b",)), 400, None),
    ("no colon", request(add=("nonsense",)), 400, None),
    ("NUL", request(add=("X-A: \0",)), 400, None),
    ("bare LF", request().replace(b"\r\nUpgrade", b"\nUpgrade"), 400, None),
    ("a body", request(add=("Content-Length: 5",)) + b"hello", 400, None),
    ("a chunked body", request(add=("Transfer-Encoding: chunked",)), 400,
     None),
    ("8 KiB and more", request(add=("X-A: " + "a" * 9000,)), 431, None),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400,
     None),
]


def run_handshake(port, text, status, protocol, chop):
    c = Client(port, shake=False)
    c.send(text, chop)
    answer = c.request(b"").decode("latin-1")
    if not answer.startswith("HTTP/1.1 %d " % status):
        raise Wrong("expected status %d, received %r" % (status, answer[:60]))
    headers = {}
    for line in answer.split("\r\n")[1:-2]:
        name, value = line.split(": ", 1)
        headers[name.lower()] = value
    if status == 101:
        if headers.get("sec-websocket-accept") != ACCEPT:
            raise Wrong("wrong Sec-WebSocket-Accept")
        if headers.get("sec-websocket-protocol") != protocol:
            raise Wrong("subprotocol %r" % headers.get(
                "sec-websocket-protocol"))
        want = "permessage-deflate; client_no_context_takeover" \
            if b"permessage-deflate" in text else None
        if headers.get("sec-websocket-extensions") != want:
            raise Wrong("extensions %r" % headers.get(
                "sec-websocket-extensions"))
        c.send(frame(TEXT, b"hello"))
        if c.message() != (TEXT, b"hello"):
            raise Wrong("the message was not echoed")
        return
    body = c.take(int(headers["content-length"]))
    if not body.endswith(b".\n") or "close" not in headers["connection"]:
        raise Wrong("a refusal has no reason, or the connection is not closed")
    if status == 426 and (headers.get("sec-websocket-version") != "13" or
                          headers.get("upgrade") != "websocket"):
        raise Wrong("a response 426 has no Upgrade header")
    if status == 405 and headers.get("allow") != "GET":
        raise Wrong("a response 405 has no Allow header")
    c.expect_end()
    c.s.close()


def frames_in_the_same_piece(port):
    c = Client(port, shake=False)
    answer = c.request(request() + frame(TEXT, b"early") + frame(PING))
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise Wrong("the handshake was refused")
    if {c.message(), c.message()} != {(TEXT, b"early"), (PONG, b"")}:
        raise Wrong("frames that follow the request were lost")


# --- the run -----------------------------------------------------------------

def start(command, *more):
    p = subprocess.Popen(command + ["127.0.0.1", "0"] + list(more),
                         stdout=subprocess.PIPE, text=True)
    line = p.stdout.readline().split()
    if line[:2] != ["listening", "on"]:
        sys.exit("%s does not listen" % command[0])
    return p, int(line[3])


def main():
    ap = argparse.ArgumentParser(usage=__doc__)
    ap.add_argument("-v", action="store_true", help="name every case")
    ap.add_argument("-k", default="", help="only cases with this word")
    ap.add_argument("program", nargs=argparse.REMAINDER)
    args = ap.parse_args()
    if not args.program:
        ap.error("which program?")
    for make in (framing, pings, reserved_bits, opcodes, fragmentation, texts,
                 closing, limits):
        make()
    large, port = start(args.program)
    small, small_port = start(args.program, str(SMALL))

    todo = [("handshake: %s%s" % (n, ", byte by byte" if chop else ""),
             run_handshake, (port, text, status, protocol, chop))
            for n, text, status, protocol in HANDSHAKES for chop in (0, 1)]
    todo.append(("handshake: frames behind it", frames_in_the_same_piece,
                 (port,)))
    todo += [(c[0], run_case, ((port, small_port),) + c[1:]) for c in cases]

    passed = failed = 0
    for name, run, what in todo:
        if args.k not in name:
            continue
        began = time.monotonic()
        try:
            run(*what)
            passed += 1
            if args.v:
                print("ok   %s (%.0f ms)"
                      % (name, 1e3 * (time.monotonic() - began)))
        except (Wrong, OSError) as e:
            failed += 1
            print("FAIL %s: %s" % (name, e), flush=True)
    for p in (large, small):
        p.terminate()
        try:
            status = p.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            p.kill()
            status = p.wait()
        if status != 0:
            failed += 1
            print("FAIL the server ended with status %d" % status)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
