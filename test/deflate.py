#!/usr/bin/python3
"""permessage-deflate: offers and their answers, compressed messages in both directions,
and violations by a client. The results are compared with zlib and with
python3-websockets."""

import asyncio
import zlib

from lib import *

TAIL = b"\x00\x00\xff\xff"
RSV1 = 4


def squeeze(text, window=15, end=zlib.Z_SYNC_FLUSH):
    z = zlib.compressobj(wbits=-window)
    data = z.compress(text.encode() if isinstance(text, str) else text) + z.flush(end)
    return data[:-4] if data.endswith(TAIL) else data


def expand(data, window=15):
    return zlib.decompressobj(wbits=-window).decompress(data + TAIL).decode()


def charger(g, offer="permessage-deflate", identity="CP1"):
    c = Charger(g, identity, open=False)
    r = c.handshake(headers=[("Sec-WebSocket-Extensions", offer)] if offer else [])
    assert r.status == 101
    c.answer = r["Sec-WebSocket-Extensions"]
    return c


def frames(c):
    """Returns the next data frame: (rsv1, opcode, payload)."""
    deadline = time.monotonic() + c.timeout
    while True:
        b = c.buffer
        if len(b) >= 2:
            n, head = b[1] & 0x7f, 2
            if n == 126 and len(b) >= 4:
                n, head = struct.unpack(">H", b[2:4])[0], 4
            if (b[1] & 0x7f) < 126 or head == 4:
                if len(b) >= head + n:
                    c.buffer = b[head + n:]
                    if b[0] & 15 in (PING, PONG):
                        continue
                    return bool(b[0] & 0x40), b[0] & 15, b[head:head + n]
        c.fill(deadline)


def answer_to(c, id):
    """Returns the text of the answer to a CALL, and whether it was compressed."""
    while True:
        rsv1, op, data = frames(c)
        assert op == TEXT, (op, data)
        text = expand(data) if rsv1 else data.decode()
        m = json.loads(text)
        if m[1] == id:
            return m, rsv1


def test_offers_are_answered_as_rfc_7692_requires():
    g = shared()
    base = "permessage-deflate; client_no_context_takeover"
    for offer, want in (
            (None, None),
            ("permessage-deflate", base),
            ("permessage-deflate; client_max_window_bits", base),
            ("permessage-deflate; client_max_window_bits=10", base),
            ('permessage-deflate; client_max_window_bits="10"', base),
            ("permessage-deflate; server_no_context_takeover",
             base + "; server_no_context_takeover"),
            ("permessage-deflate; server_max_window_bits=9", base + "; server_max_window_bits=9"),
            ("permessage-deflate; server_max_window_bits=15; client_no_context_takeover",
             base + "; server_max_window_bits=15"),
            ("PerMessage-Deflate;Server_No_Context_Takeover",
             base + "; server_no_context_takeover"),
            ("permessage-deflate; server_max_window_bits=8", None),
            ("permessage-deflate; server_max_window_bits=8, permessage-deflate", base),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits=09", None),
            ("permessage-deflate; client_max_window_bits=7", None),
            ("permessage-deflate; server_no_context_takeover=1", None),
            ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
            ("permessage-deflate; unknown", None),
            ("x-webkit-deflate-frame, permessage-deflate", base),
            ("permessage-bzip2", None), ("", None), (";;,,=", None)):
        c = charger(g, offer)
        assert c.answer == want, (offer, c.answer)
        c.close()


def test_compressed_messages_are_read_and_long_answers_are_compressed():
    g = Gateway(server_workers=1, websocket_compress_from="40")
    c = charger(g)
    text = '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
    for number, data in enumerate((squeeze(text), squeeze(text, end=zlib.Z_FULL_FLUSH),
                                   squeeze(text, end=zlib.Z_FINISH),
                                   squeeze(text, end=zlib.Z_FINISH) + b"\x00",
                                   squeeze(text, 9),
                                   squeeze(text[:20], end=zlib.Z_FINISH) + squeeze(text[20:]))):
        c.send(data, rsv=RSV1)
        m, rsv1 = answer_to(c, "1")
        assert m[0] == 3 and m[2]["status"] == "Accepted", (number, m)
    c.send(text)  # an uncompressed message is always valid
    m, _ = answer_to(c, "1")
    assert m[2]["status"] == "Accepted"
    # The answer is long because it is the error of a message that is refused.
    long = "2" * 36  # a compressed answer can repeat it in a few bits
    c.send(squeeze('[2,"%s","NoSuchAction",{}]' % long), rsv=RSV1)
    m, rsv1 = answer_to(c, long)
    assert m[0] == 4 and rsv1, (m, rsv1)
    assert g.stat("compressed_out") >= 1
    assert g.stat("compression_saved") > 0
    poll(lambda: g.stat("compressed_in") >= 7, what="the count of compressed messages")
    poll(lambda: g.show("CP1")["connection"]["quiet"], what="a quiet connection")
    c.close()


def test_the_agreed_window_is_not_exceeded():
    g = Gateway(server_workers=1, websocket_compress_from="1", ocpp_call_hold="0s",
                websocket_max_message_size="64KiB")
    c = charger(g, "permessage-deflate; server_max_window_bits=9")
    c.send(squeeze('[2,"1","BootNotification",{"chargePointVendor":"V",'
                   '"chargePointModel":"M"}]'), rsv=RSV1)
    answer_to(c, "1")
    rng = random.Random(7)
    word = "".join(rng.choice("abcdefgh") for _ in range(700))
    call = background(lambda: g.call("CP1", "DataTransfer",
                                     {"vendorId": "V", "data": word + word}))
    rsv1, op, data = frames(c)
    assert rsv1 and op == TEXT
    m = json.loads(expand(data, 9))  # fails if the gateway has used a larger window
    assert m[3]["data"] == word + word
    c.send(squeeze('[3,"%s",{"status":"Accepted"}]' % m[1]), rsv=RSV1)
    assert call.wait()["outcome"] == "result"
    c.close()


def test_a_compressed_message_may_come_in_fragments():
    g = shared()
    c = charger(g)
    data = squeeze('[2,"1","Heartbeat",{}]')
    c.send(data[:5], rsv=RSV1, fin=False)
    c.send(b"ping", PING)
    for i in range(5, len(data)):
        c.send(data[i:i + 1], op=CONT, fin=i == len(data) - 1)
    m, _ = answer_to(c, "1")
    assert m[0] == 3
    c.close()


def test_a_message_that_inflates_beyond_the_limit_is_closed_with_1009():
    g = shared(websocket_max_message_size="64KiB")
    c = charger(g)
    c.send(squeeze("x" * 10_000_000), rsv=RSV1)
    c.wait_closed(1009)


def test_an_invalid_deflate_stream_is_closed_with_1007():
    g = shared()
    for data in (b"\xff\xff\xff\xff", squeeze("x" * 1000)[:5], b"\x07garbage",
                 squeeze(b"[2,\"\xff\"]")):
        c = charger(g)
        c.send(data, rsv=RSV1)
        c.wait_closed(1007)


def test_reserved_bits_that_were_not_agreed_are_closed_with_1002():
    g = shared()
    for offer, sequence in (
            (None, [(TEXT, RSV1, True)]),
            ("permessage-deflate", [(TEXT, 2, True)]),
            ("permessage-deflate", [(TEXT, 1, True)]),
            ("permessage-deflate", [(PING, RSV1, True)]),
            ("permessage-deflate", [(TEXT, RSV1, False), (CONT, RSV1, True)])):
        c = charger(g, offer)
        for op, rsv, fin in sequence:
            c.send(squeeze("x"), op=op, rsv=rsv, fin=fin)
        c.wait_closed(1002)


def test_compression_can_be_switched_off():
    g = shared(websocket_compression="no")
    c = charger(g)
    assert c.answer is None
    c.send(squeeze("x"), rsv=RSV1)
    c.wait_closed(1002)


def test_python_websockets_works_with_every_combination_of_parameters():
    try:
        import websockets
        from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
    except ImportError:
        raise Skip("python3-websockets is not installed")
    g = shared(websocket_compress_from="1")

    async def talk(factory, n):
        async with websockets.connect(
                "ws://127.0.0.1:%d/ocpp/PY%d" % (g.port, n), subprotocols=["ocpp1.6"],
                extensions=[factory], compression=None) as ws:
            # In version 14 and newer of the library these are members of ws.protocol.
            used = getattr(ws, "extensions", None) or ws.protocol.extensions
            assert used, "the offer was declined"
            for i in range(20):
                await ws.send('[2,"%d","DataTransfer",{"vendorId":"V","data":"%s"}]'
                              % (i, "d" * (100 * i)))
                m = json.loads(await ws.recv())
                assert m[0] == 3 and m[1] == str(i), m

    n = 0
    for server_no in (False, True):
        for client_no in (False, True):
            for server_bits in (None, 9, 12, 15):
                for client_bits in (None, True, 9, 15):
                    n += 1
                    asyncio.run(talk(ClientPerMessageDeflateFactory(
                        server_no, client_no, server_bits, client_bits), n))


if __name__ == "__main__":
    main()
