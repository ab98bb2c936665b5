#!/usr/bin/python3
"""Connections of charge points by RFC 6455: they are opened, checked by pings, and closed."""

from lib import *


def ended(g, identity, reason, code=None):
    """Checks that the last disconnected event of a charge point has this reason and
    code."""
    e = g.wait_events(type="charge_point.disconnected", cp=identity)[-1]
    p = e["payload"]
    assert p["reason"] == reason, p
    assert p.get("code") == code, p
    return p


def broken_by(identity, data, code, reason, booted=True):
    """Checks that a connection is closed with this code when it sends these bytes; that
    the event, the counter and `show` have the reason; and that the gateway serves the next
    connection."""
    g = shared()
    before = g.stat("closed", reason)
    c = Charger(g, identity)
    if booted:
        c.boot()
    c.raw(data)
    c.wait_closed(code)
    ended(g, identity, reason, code)
    assert g.stat("closed", reason) == before + 1
    assert g.show(identity)["closeReason"] == reason
    c = Charger(g, identity)
    c.boot()
    c.close()


# --- violations ---------------------------------------------------------------

def test_an_unmasked_frame_is_a_protocol_error():
    broken_by("UNMASKED", frame(TEXT, '[2,"1","Heartbeat",{}]', mask=False),
              1002, "protocol_error")


def test_reserved_bits_without_an_extension_are_a_protocol_error():
    for rsv in (4, 2, 1):
        broken_by("RSV%d" % rsv, frame(TEXT, "[]", rsv=rsv), 1002,
                  "protocol_error")


def test_an_unknown_extension_is_not_negotiated():
    g = shared()
    c = Charger(g, "DEFLATE", open=False)
    r = c.handshake(headers=[("Sec-WebSocket-Extensions",
                              "permessage-bzip2; client_max_window_bits")])
    assert r.status == 101 and r["Sec-WebSocket-Extensions"] is None
    c.boot()
    c.close()


def test_unknown_opcodes_are_a_protocol_error():
    for op in (3, 7, 11, 15):
        broken_by("OP%d" % op, frame(op, "x"), 1002, "protocol_error")


def test_fragmented_or_long_control_frames_are_a_protocol_error():
    broken_by("PINGFRAG", frame(PING, "x", fin=False), 1002, "protocol_error")
    broken_by("PINGLONG", frame(PING, "x" * 126), 1002, "protocol_error")


def test_fragments_out_of_order_are_a_protocol_error():
    broken_by("CONT", frame(CONT, "x"), 1002, "protocol_error")
    broken_by("TWICE", frame(TEXT, "[", fin=False) + frame(TEXT, "]"), 1002,
              "protocol_error")


def test_a_binary_message_is_refused_with_1003():
    broken_by("BINARY", frame(BINARY, '[2,"1","Heartbeat",{}]'), 1003,
              "not_text")


def test_text_that_is_not_utf8_is_refused_with_1007():
    broken_by("UTF8A", frame(TEXT, b'[2,"\xff","Heartbeat",{}]'), 1007,
              "not_utf8")
    broken_by("UTF8B", frame(TEXT, b'[2,"\xc3', fin=False) +
              frame(CONT, b'","Heartbeat",{}]'), 1007, "not_utf8")
    broken_by("UTF8C", frame(TEXT, b'[2,"\xed\xa0\x80","x",{}]'), 1007,
              "not_utf8")


def test_a_character_may_be_split_over_two_fragments():
    g = shared()
    c = Charger(g, "CUTCHAR")
    text = '[2,"ü€😀","DataTransfer",{"vendorId":"ü€😀"}]'.encode()
    for i in range(len(text)):
        c.raw(frame(TEXT if i == 0 else CONT, text[i:i + 1],
                    fin=i == len(text) - 1))
    assert c.get("ü€😀") == {"status": "UnknownVendorId"}
    c.close()


def padded(size):
    """Returns a valid CALL of exactly n bytes."""
    head, tail = '[2,"1","DataTransfer",{"vendorId":"v","data":"', '"}]'
    return head + "x" * (size - len(head) - len(tail)) + tail


def test_a_message_of_max_message_size_is_accepted_and_a_longer_one_closed_with_1009():
    g = shared(websocket_max_message_size="2KiB")
    c = Charger(g, "SIZE")
    c.send(padded(2048))
    c.get("1")
    c.send(padded(2049))
    c.wait_closed(1009)
    ended(g, "SIZE", "too_big", 1009)


def test_max_message_size_is_compared_with_all_fragments_together():
    g = shared(websocket_max_message_size="2KiB")
    c = Charger(g, "FRAGS")
    text = padded(2048)
    c.raw(frame(TEXT, text[:1000], fin=False) + frame(CONT, text[1000:]))
    c.get("1")
    text = padded(2049)
    c.raw(frame(TEXT, text[:1000], fin=False) + frame(CONT, text[1000:]))
    c.wait_closed(1009)


def test_a_frame_that_is_too_long_is_refused_at_its_header():
    g = shared()
    for n in ((1 << 20) + 1, 1 << 40, (1 << 63) - 1):
        c = Charger(g, "ANNOUNCE")
        c.raw(frame(TEXT, "", length=n))
        c.wait_closed(1009)


# --- what is allowed -------------------------------------------------------------

def test_fragments_with_pings_between_make_one_message():
    g = shared()
    c = Charger(g, "PIECES")
    text = '[2,"1","DataTransfer",{"vendorId":"in pieces"}]'
    for i, ch in enumerate(text):
        c.raw(frame(TEXT if i == 0 else CONT, ch, fin=i == len(text) - 1))
        if i % 10 == 5:
            c.send("p%d" % i, PING)
    assert c.get("1") == {"status": "UnknownVendorId"}
    assert c.pongs == [b"p%d" % i for i in range(5, len(text), 10)], c.pongs
    e = g.wait_events(cp="PIECES", type="data_transfer.received")
    assert e[0]["payload"] == {"vendorId": "in pieces"}
    c.close()


def test_a_message_may_come_byte_by_byte():
    g = shared()
    c = Charger(g, "DRIP")
    for b in frame(TEXT, '[2,"1","Heartbeat",{}]'):
        c.raw(bytes([b]))
    c.get("1")
    c.close()


def test_many_messages_in_one_segment_are_answered_in_order():
    g = shared()
    c = Charger(g, "MANY")
    c.raw(b"".join(frame(TEXT, '[2,"%d","Heartbeat",{}]' % i)
                   for i in range(200)))
    for i in range(200):
        c.get(str(i))
    c.close()


def test_an_empty_message_and_empty_fragments_are_accepted():
    g = shared()
    c = Charger(g, "EMPTY")
    c.raw(frame(TEXT, "") + frame(TEXT, "", fin=False) + frame(CONT, "") +
          frame(TEXT, "", fin=False) + frame(CONT, "", fin=False) +
          frame(CONT, '[2,"1","Heartbeat",{}]'))
    c.get("1")
    c.close()


def test_pings_are_answered_with_their_bytes():
    g = shared()
    c = Charger(g, "PONG")
    for data in (b"", b"a", b"\x00\xff" * 62, b"x" * 125):
        c.send(data, PING)
        while not c.pongs:
            f = c.recv()
            if f.op == PONG:
                c.pongs.append(f.data)
        assert c.pongs.pop() == data
    c.close()


def test_a_pong_without_a_ping_is_ignored():
    g = shared()
    c = Charger(g, "UNSOLICITED")
    c.send("abc", PONG)
    c.send("abcd", PONG)
    c.send("", PONG)
    c.boot()
    c.close()


# --- closing ------------------------------------------------------------------

def test_a_close_frame_is_answered_with_its_code():
    g = shared()
    for code in (1000, 1001, 3000, 4999):
        c = Charger(g, "CLOSE%d" % code)
        c.close(code)
        ended(g, "CLOSE%d" % code, "peer_closed", code)


def test_a_close_frame_without_code_is_answered():
    g = shared()
    c = Charger(g, "NOCODE")
    c.send(b"", CLOSE)
    f = c.recv()
    assert f.op == CLOSE and f.data in (b"", b"\x03\xe8"), f
    c.wait_end()
    ended(g, "NOCODE", "peer_closed", 1005)


def test_invalid_close_frames_get_1002_or_1007():
    g = shared()
    for i, (data, code) in enumerate((
            (b"\x03", 1002), (b"\x03\xe7", 1002), (b"\x03\xed", 1002),
            (b"\x03\xe8\xff", 1007))):
        c = Charger(g, "BADCLOSE%d" % i)
        c.send(data, CLOSE)
        c.wait_closed(code)


def test_a_reset_is_recorded_as_a_broken_connection():
    g = shared()
    before = g.stat("closed", "peer_vanished")
    c = Charger(g, "RESET")
    c.boot()
    c.reset()
    p = ended(g, "RESET", "peer_vanished")
    assert p["messagesIn"] == 1 and p["messagesOut"] == 1
    assert p["durationMs"] < 60000
    assert g.stat("closed", "peer_vanished") == before + 1


def test_the_end_of_the_tcp_connection_without_close_frame_is_noticed():
    g = shared()
    c = Charger(g, "FIN")
    c.boot()
    c.sock.shutdown(socket.SHUT_WR)
    ended(g, "FIN", "peer_vanished")
    c.wait_end()
    poll(lambda: not g.online("FIN"))


def test_a_closing_connection_is_ended_after_close_timeout():
    g = shared()                # close_timeout is 500 ms
    c = Charger(g, "DEAF")
    c.boot()
    assert g.ask("disconnect", "DEAF")[0] == 200
    f = c.recv()
    while f.op == PING:
        f = c.recv()
    assert f.op == CLOSE and f.data[:2] == b"\x03\xf0", f
    assert g.stat("closing") >= 1
    began = time.monotonic()
    c.wait_end()                # although the client does not answer the close frame
    assert time.monotonic() - began < 3 * SLOW
    poll(lambda: g.stat("closing") == 0)


def test_answers_that_are_due_are_sent_before_the_close_frame():
    g = shared()
    c = Charger(g, "LASTWORDS")
    c.boot()
    c.raw(frame(TEXT, '[2,"1","Heartbeat",{}]') +
          frame(CLOSE, struct.pack(">H", 1000)))
    assert "currentTime" in c.get("1")
    try:
        c.message()
        raise AssertionError("the connection was not closed")
    except Closed as e:
        assert e.code == 1000


# --- time ---------------------------------------------------------------------

def test_a_connection_that_sends_nothing_is_closed_after_idle_timeout():
    g = shared(websocket_idle_timeout="3s")
    c = Charger(g, "IDLE")
    c.boot()
    c.auto_pong = False
    began = time.monotonic()
    c.wait_closed(1001)
    waited = time.monotonic() - began
    assert 2.5 < waited < 6 * SLOW, waited
    ended(g, "IDLE", "idle", 1001)
    assert len(c.pings) >= 2, "the connection was not pinged before"


def test_either_pongs_or_messages_keep_a_connection_open():
    g = shared(websocket_idle_timeout="3s")
    pongs, talks = Charger(g, "PONGS"), Charger(g, "TALKS")
    talks.auto_pong = False
    end = time.monotonic() + 4.5
    next_talk = 0
    while time.monotonic() < end:
        for c in (pongs, talks):
            try:
                m = c.message(0.05)
                assert json.loads(m)[0] == 3
            except TimeoutError:
                pass
        if time.monotonic() > next_talk:
            next_talk = time.monotonic() + 1
            talks.put("Heartbeat", {})
    assert g.online("PONGS") and g.online("TALKS")
    assert pongs.pings and talks.pings
    assert g.show("PONGS")["connection"].get("pingMs") is not None
    pongs.close()
    talks.close()


def flood(c, limit=40 << 20):
    """Requests answers without reading them, until the gateway buffers bytes in its own
    memory or ends the connection."""
    id = "x" * 36
    many = frame(TEXT, '[2,"%s","Heartbeat",{}]' % id) * 500
    sent = 0
    c.sock.settimeout(0.2)
    while sent < limit:
        try:
            sent += c.sock.send(many[sent % len(many):])
        except (TimeoutError, socket.timeout):
            pass
        except OSError:
            return True
        yield sent


def test_a_slow_reader_is_bounded_and_closed():
    g = shared(websocket_max_output_size="16KiB")
    c = Charger(g, "GREEDY", rcvbuf=4096)
    before = g.stat("closed", "slow_reader")
    most = 0
    for _ in flood(c):
        most = max(most, g.stat("output_bytes"))
        if g.stat("closed", "slow_reader") > before:
            break
    else:
        poll(lambda: g.stat("closed", "slow_reader") > before)
    ended(g, "GREEDY", "slow_reader", 1008)
    assert most <= 16 << 10, most
    assert not g.online("GREEDY")
    # The gateway still serves other connections.
    d = Charger(g, "MODEST")
    d.boot()
    d.close()
    c.sock.close()


def test_a_connection_that_stops_reading_is_closed_after_idle_timeout():
    g = shared(websocket_idle_timeout="3s", websocket_max_output_size="16MiB")
    c = Charger(g, "STUCK", rcvbuf=4096)
    for _ in flood(c):
        if g.show("STUCK")["connection"]["outputBytes"] > 0:
            break
    poll(lambda: g.stat("output_bytes") > 0)
    began = time.monotonic()

    def gone():
        try:
            c.send("life", PONG)
        except OSError:
            pass
        return not g.online("STUCK")
    poll(gone)
    assert time.monotonic() - began < 8 * SLOW
    assert ended(g, "STUCK", "slow_reader", 1008)
    c.sock.close()


if __name__ == "__main__":
    main()
