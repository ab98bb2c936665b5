#!/usr/bin/python3
"""The functions of worker/fleet/ocppd.lua, each on a real server: those that platforms
call, those that gateways call, and calls by several clients at once."""

import binascii
import json
import random
import sys
import threading
import time

from redis_resp import Error, Report, Server, free_port, library, wait_for

EV = "ocppd:events:0"
S = "{%s}:" % EV
server = None


def node(r, owner="a/0", inc="1", ttl=60000):
    return r("FCALL", "ocppd_keepalive", 1, EV, owner, inc, ttl)


clock = [int(time.time() * 1e6)]


def generation():
    clock[0] = max(clock[0] + 1, int(time.time() * 1e6))
    return clock[0]


def claim(r, cp, owner="a/0", inc="1", gen=None, err=100, held=""):
    return r("FCALL", "ocppd_claim", 1, cp, owner, inc, gen or generation(), err, "192.0.2.1:7", "ocpp1.6",
             int(time.time() * 1000), held)


def call(r, cp, action="Reset", payload='{"type":"Soft"}', **options):
    return json.loads(r("FCALL", "ocppd_call", 1, cp, json.dumps(options), action, payload))


def take(r, cp, epoch, timeout=1000, name="a"):
    return r("FCALL", "ocppd_take", 1, cp, epoch, timeout, name)


def finish(r, cp, epoch, command, outcome="result", detail='"payload":{"status":"Accepted"}', event=None):
    return r("FCALL", "ocppd_finish", 1, cp, epoch, command, outcome, detail, 12, event or "e-" + command, "a",
             "2026-01-01T00:00:00.000Z", "Reset")[0]


def state(r, cp, command):
    text = r("FCALL_RO", "ocppd_command", 1, cp, command)
    return json.loads(text) if text else None


def session(r, cp):
    text = r("FCALL_RO", "ocppd_session", 1, cp)
    return json.loads(text) if text else None


def outcomes(r, cp, stream=EV):
    """Returns the outcomes of each commandId in the order of the stream."""
    out = {}
    for e in r.entries(stream):
        if e.get("eventType") == "command.response" and e["chargePointId"] == cp:
            body = json.loads(e["payload"])
            out.setdefault(body["commandId"], []).append(body["outcome"])
    return out


def refused(r, words, *args):
    try:
        r(*args)
    except Error as e:
        assert words in str(e), str(e)
        return
    raise AssertionError("accepted: %r" % (args,))


# --- sessions ---------------------------------------------------------------

def a_claim_makes_a_session_and_release_ends_it(r):
    node(r)
    ok, epoch, former, waiting = claim(r, "S1")
    assert (ok, former, waiting) == ("ok", "", 0)
    s = session(r, "S1")
    assert s["state"] == "online" and s["node"] == "a" and s["worker"] == 0 and s["epoch"] == int(epoch)
    assert s["remoteAddress"] == "192.0.2.1:7" and s["protocol"] == "ocpp1.6"
    assert r("FCALL", "ocppd_release", 1, "S1", epoch, "idle", "a") == 1
    s = session(r, "S1")
    assert s["state"] == "offline" and s["reason"] == "idle" and s["closed"]
    assert r("FCALL", "ocppd_release", 1, "S1", epoch, "idle", "a") == 0
    assert session(r, "never seen") is None


def the_newest_connection_wins_and_the_former_owner_is_told(r):
    node(r, "a/0"), node(r, "b/3", "9")
    _, e1, _, _ = claim(r, "S2", "a/0", "1")
    ok, e2, former, _ = claim(r, "S2", "b/3", "9")
    assert ok == "ok" and former == "a/0" and int(e2) > int(e1)
    last = r.entries(S + "inbox:a/0")[-1]
    assert last == {"what": "replaced", "identity": "S2", "epoch": e2, "by": "b/3"}
    assert r("FCALL", "ocppd_release", 1, "S2", e1, "replaced", "a") == 0
    assert session(r, "S2")["node"] == "b"


def a_late_claim_of_an_older_connection_is_stale(r):
    node(r, "a/0"), node(r, "b/0"), node(r, "a/1")
    old = generation()
    new = old + 5000
    _, epoch, _, _ = claim(r, "S3", "b/0", "1", new)
    assert claim(r, "S3", "a/0", "1", old)[:3] == ["stale", epoch, "b/0"]
    # For one node the order is exact; for two nodes it depends on the error of their
    # clocks.
    _, epoch, _, _ = claim(r, "S3", "a/0", "1", new + 10)
    assert claim(r, "S3", "a/1", "1", new + 9)[0] == "stale"
    ok, later, _, _ = claim(r, "S3", "b/0", "1", new + 9)
    assert ok == "ok" and int(later) == int(epoch) + 1


def a_generation_from_the_future_locks_no_connection_out(r):
    node(r, "a/0"), node(r, "b/0")
    _, epoch, _, _ = claim(r, "S4", "a/0", "1", generation() + 600_000_000)
    ok, later, _, _ = claim(r, "S4", "b/0", "1")
    assert ok == "ok" and int(later) == int(epoch) + 1


def the_same_connection_keeps_its_epoch(r):
    node(r)
    gen = generation()
    _, epoch, _, _ = claim(r, "S5", gen=gen)
    assert claim(r, "S5", gen=gen)[1] == epoch
    r("DEL", S + "cp:S5")  # the server has lost the session
    assert claim(r, "S5", gen=gen)[1] == epoch


def sessions_end_with_their_worker(r):
    node(r, "c/0", "1", 30)
    _, epoch, _, _ = claim(r, "S6", "c/0", "1")
    wait_for("the lease's end", lambda: session(r, "S6")["state"] == "lost")
    assert call(r, "S6")["outcome"] == "offline"
    node(r, "c/0", "2")  # a successor: the session of the old process stays lost
    assert session(r, "S6")["state"] == "lost"
    ok, e2, former, _ = claim(r, "S6", "c/0", "2")
    assert ok == "ok" and former == "" and int(e2) > int(epoch)


def two_processes_of_one_name_are_noticed(r):
    assert node(r, "d/0", "200")[0] == "ok"
    assert node(r, "d/0", "100")[0] == "replaced"
    assert r("FCALL", "ocppd_leave", 1, EV, "d/0", "100") == 0
    assert r("FCALL", "ocppd_leave", 1, EV, "d/0", "200") == 1
    assert node(r, "d/0", "100")[0] == "ok"


def refresh_returns_what_is_lost_and_what_waits(r):
    node(r)
    epochs = {cp: claim(r, cp)[1] for cp in ("R1", "R2", "R3")}
    claim(r, "R2")
    call(r, "R3", ifOffline="wait")
    args = [x for cp, e in epochs.items() for x in (cp, e, 1750000000000)]
    gone, waiting = r("FCALL", "ocppd_refresh", 1, EV, "a/0", "1", *args)
    assert gone == ["R2"] and waiting == ["R3"]
    assert session(r, "R1")["lastSeen"] == "2025-06-15T15:06:40.000Z"


# --- starts -------------------------------------------------------------------

def a_start_has_the_answer_that_came_first(r):
    one, two = '{"transactionId":1}', '{"transactionId":2}'
    fp = ["%032x" % i for i in range(70)]
    start = lambda n, answer: r("FCALL", "ocppd_start", 1, "ST", fp[n], answer)
    assert start(0, "") == ["new"] and start(0, one) == ["new"]
    assert start(0, two) == start(0, "") == ["draft", one]
    shipped = lambda journal, at, answer, note, generation=1, number=0: r(
        "FCALL", "ocppd_ship", 1, EV, journal, "" if at == 1 else at - 1, at, note, 10, "eventId",
        "%016x-%s-%d" % (number, journal, at), "eventType", "t", "chargePointId", "ST", "generation", generation,
        "answer", answer)
    count = lambda: sum(e["chargePointId"] == "ST" for e in r.entries(EV))
    assert shipped("a/0", 1, one, "start:" + fp[0]) == [1, "1"] and count() == 1
    assert start(0, two) == ["known", one]
    # Two gateways have made the event; the second event is a repetition.
    assert shipped("b/0", 1, one, "start:" + fp[0]) == [1, "1"] and count() == 1
    # While the server was away, another answer was given. Both events are in the stream.
    assert shipped("b/0", 2, two, "start:" + fp[0]) == [1, "2"] and count() == 2
    assert shipped("a/0", 2, "{}", "stop:2") == [1, "2"] and count() == 3
    assert start(0, "") == ["stopped", two] and start(0, one) == ["new"] and start(0, "") == ["draft", one]
    # The StopTransaction was durable before the StartTransaction was shipped.
    assert r("FCALL", "ocppd_stopped", 1, "ST", 1) == 1 and start(0, "") == ["stopped", one]
    assert shipped("a/0", 3, one, "start:" + fp[0]) == [1, "3"] and count() == 4
    assert shipped("b/0", 3, one, "start:" + fp[0]) == [1, "3"] and count() == 4
    assert start(0, "") == ["stopped", one]
    # The charge point has left, so it has not sent an equal StartTransaction since.
    left = lambda cp: r("FCALL", "ocppd_start", 1, cp, fp[0], two, "left")
    assert left("ST") == ["stopped", one] and left("ST2") == ["new"]
    # StopTransactions: of one transaction, once with each answer, and of the next
    # transaction with the same id.
    shipped_as = lambda at, answer, note: r(
        "FCALL", "ocppd_ship", 1, EV, "c/0", "" if at == 1 else at - 1, at, note, 10, "eventId", "%016x-c" % (6000000 * at),
        "eventType", "t", "chargePointId", "ST", "generation", 1, "answer", answer)
    before = count()
    for at, (answer, what, more) in enumerate((
            (two, "start:" + fp[64], 1), ("{}", "stop:2:" + fp[65], 1), ("{}", "stop:2:" + fp[65], 0), ('{"a":1}', "stop:2:" + fp[65], 1),
            (two, "start:" + fp[66], 1), ("{}", "stop:2:" + fp[65], 1), ("{}", "stop:2:" + fp[65], 0),
            ("{}", "event:" + fp[65], 1), ("{}", "event:" + fp[65], 0),
            ("{}", "meter:" + fp[65][16:], 1), ("{}", "meter:" + fp[66][16:], 1), ("{}", "meter:" + fp[65][16:], 0)), 1):
        assert shipped_as(at, answer, what) == [1, str(at)]
        before += more
        assert count() == before, (at, what)
    # One worker has reserved an answer that was not sent: another worker of the same
    # gateway, without Redis, sent another answer. The StopTransaction is sent to two gateways,
    # and the event of the second one is shipped first. The first
    # one has been upgraded, so its generations are ahead of its clock.
    seven = '{"transactionId":7}'
    assert start(67, one) == ["new"]
    assert shipped("a/0", 4, "{}", "stop:7:" + fp[68], 2) == [1, "4"] and count() == before + 1
    assert shipped("b/0", 4, seven, "start:" + fp[67], 67000000) == [1, "4"] and count() == before + 2
    assert shipped("b/0", 5, "{}", "stop:7:" + fp[68], 3) == [1, "5"] and count() == before + 2
    # An equal start begins another transaction.
    assert start(67, "") == ["stopped", seven]
    # The same, but the clock of b is a day ahead, as its event numbers show.
    eight, day = '{"transactionId":8}', 86400000000
    assert start(69, one) == ["new"]
    assert shipped("a/0", 5, "{}", "stop:8:" + fp[68], 2) == [1, "5"] and count() == before + 3
    assert shipped("b/0", 6, eight, "start:" + fp[69], 1, day) == [1, "6"] and count() == before + 4
    assert shipped("b/0", 7, "{}", "stop:8:" + fp[68], 3, day) == [1, "7"] and count() == before + 4
    # The charge point was given two answers, and the transaction with the first one has
    # ended: the event of the second one is shipped before those of the first one.
    nine, ten = '{"transactionId":9}', '{"transactionId":10}'
    assert start(66, nine) == ["new"]
    assert shipped("d/0", 1, "{}", "stop:9:" + fp[68]) == [1, "1"] and count() == before + 5
    assert shipped("d/0", 2, ten, "start:" + fp[66]) == [1, "2"] and count() == before + 6
    assert shipped("d/0", 3, nine, "start:" + fp[66]) == [1, "3"] and count() == before + 7
    assert shipped("d/0", 4, "{}", "stop:9:" + fp[68]) == [1, "4"] and count() == before + 7
    before += 3
    assert start(67, seven) == ["new"]
    assert shipped("b/0", 8, seven, "start:" + fp[67], 3) == [1, "8"] and count() == before + 5
    assert shipped("b/0", 9, "{}", "stop:7:" + fp[68], 3) == [1, "9"] and count() == before + 6
    assert shipped("a/0", 6, "{}", "stop:7:" + fp[68], 2) == [1, "6"] and count() == before + 6
    for n in range(1, 70):
        assert start(n, one) == ["new"]
    assert r("HLEN", S + "starts:ST") == 64 and start(69, "") == ["draft", one] and start(1, "") == ["new"]


# --- commands ---------------------------------------------------------------

def a_command_goes_its_way(r):
    node(r)
    _, epoch, _, _ = claim(r, "C1")
    c = call(r, "C1", commandId="c1")
    assert c["state"] == "queued" and "outcome" not in c
    assert r.entries(S + "inbox:a/0")[-1] == {"what": "command", "identity": "C1"}
    got = take(r, "C1", epoch)
    assert got[:4] == ["take", "c1", "Reset", '{"type":"Soft"}'] and 0 < got[4] <= 60000 and got[5] == 0
    assert state(r, "C1", "c1")["state"] == "sent" and session(r, "C1")["inFlight"] == "c1"
    assert finish(r, "C1", epoch, "c1") == "done"
    assert finish(r, "C1", epoch, "c1") == "late"
    c = state(r, "C1", "c1")
    assert c["outcome"] == "result" and c["payload"] == {"status": "Accepted"} and c["sentAt"] and c["doneAt"]
    e = [e for e in r.entries(EV) if e["chargePointId"] == "C1"]
    assert len(e) == 1 and e[0]["eventId"] == "e-c1" and e[0]["gatewayId"] == "a" and e[0]["generation"] == epoch
    assert json.loads(e[0]["payload"]) == {"commandId": "c1", "action": "Reset", "outcome": "result",
                                          "payload": {"status": "Accepted"}, "durationMs": 12}
    assert r("ZSCORE", S + "due", "C1/c1") is None and session(r, "C1")["inFlight"] is None


def the_same_command_id_is_one_command(r):
    node(r)
    _, epoch, _, _ = claim(r, "C2")
    call(r, "C2", commandId="once"), call(r, "C2", commandId="once")
    assert session(r, "C2")["queued"] == 1
    take(r, "C2", epoch)
    finish(r, "C2", epoch, "once")
    assert call(r, "C2", commandId="once")["outcome"] == "result"
    assert outcomes(r, "C2") == {"once": ["result"]}
    refused(r, "another command", "FCALL", "ocppd_call", 1, "C2", '{"commandId":"once"}', "Reset", '{"type":"Hard"}')


def payload_bytes_are_kept(r):
    node(r)
    _, epoch, _, _ = claim(r, "C3")
    payload = ' { "a" : 9007199254740993 ,\t"b":1.10, "c":"\u00e9\\u00e9" , "a":1e400}'
    c = call(r, "C3", payload=payload)
    assert take(r, "C3", epoch)[3] == payload
    detail = '"payload":{"x": 12345678901234567890.10 , "n":"\\n"}'
    finish(r, "C3", epoch, c["commandId"], "result", detail)
    assert detail in r.entries(EV)[-1]["payload"]
    assert detail in r("FCALL", "ocppd_command", 1, "C3", c["commandId"])


def commands_keep_their_order_one_in_flight(r):
    node(r)
    _, epoch, _, _ = claim(r, "C4")
    for i in range(5):
        call(r, "C4", commandId="n%d" % i)
    for i in range(5):
        assert take(r, "C4", epoch)[1] == "n%d" % i
        assert take(r, "C4", epoch) == ["busy", "n%d" % i]
        finish(r, "C4", epoch, "n%d" % i)
    assert take(r, "C4", epoch) == ["none"]
    assert take(r, "C4", int(epoch) - 1) == ["lost"]


def absent_charge_points_fail_or_wait_as_told(r):
    assert call(r, "C5", commandId="f")["outcome"] == "offline"
    assert call(r, "C5", commandId="w", ifOffline="wait", deadline="1h")["state"] == "queued"
    node(r)
    _, epoch, _, waiting = claim(r, "C5")
    assert waiting == 1 and take(r, "C5", epoch)[1] == "w"
    call(r, "C5", commandId="f2"), call(r, "C5", commandId="w2", ifOffline="wait")
    finish(r, "C5", epoch, "w")
    r("FCALL", "ocppd_release", 1, "C5", epoch, "idle", "a")
    assert outcomes(r, "C5") == {"f": ["offline"], "w": ["result"], "f2": ["offline"]}
    assert state(r, "C5", "w2")["state"] == "queued"


def deadlines_pass_without_anybody_being_special(r):
    call(r, "C6", commandId="d1", ifOffline="wait", deadline="20ms")
    call(r, "C6", commandId="d2", ifOffline="wait", deadline="2020-01-01T00:00:00Z")
    assert state(r, "C6", "d2")["outcome"] == "expired"

    def expired():
        node(r, "elsewhere/0")
        return outcomes(r, "C6").get("d1")
    assert wait_for("the tick", expired) == ["expired"]
    assert r("LLEN", S + "queue:C6") == 0
    node(r)
    _, epoch, _, _ = claim(r, "C6")
    call(r, "C6", commandId="d3", deadline="1ms")
    wait_for("its deadline", lambda: r("TIME") and time.sleep(0.002) is None)
    assert take(r, "C6", epoch) == ["none"] and outcomes(r, "C6")["d3"] == ["expired"]


def cancelling(r):
    node(r)
    _, epoch, _, _ = claim(r, "C7")
    call(r, "C7", commandId="a"), call(r, "C7", commandId="b")
    take(r, "C7", epoch)
    cancel = lambda c: json.loads(r("FCALL", "ocppd_cancel", 1, "C7", c))
    assert cancel("a")["state"] == "sent"
    b = cancel("b")
    assert b["outcome"] == "expired" and b["error"]["code"] == "Cancelled"
    assert cancel("b")["outcome"] == "expired"
    assert r("FCALL", "ocppd_cancel", 1, "C7", "nothing") is None
    finish(r, "C7", epoch, "a")
    assert outcomes(r, "C7") == {"a": ["result"], "b": ["expired"]}


def the_queue_is_bounded(r):
    for i in range(100):
        call(r, "C8", commandId="q%d" % i, ifOffline="wait")
    c = call(r, "C8", commandId="q100", ifOffline="wait")
    assert c["outcome"] == "invalid" and c["error"]["code"] == "QueueFull"
    r("DEL", S + "queue:C8")


def wrong_calls_are_told_what_is_right(r):
    f = ("FCALL", "ocppd_call", 1, "C9")
    refused(r, "3", *f, "{}", "Reset")
    refused(r, "JSON object", *f, "[", "Reset", "{}")
    refused(r, "unknown option", *f, '{"dedline":"1s"}', "Reset", "{}")
    refused(r, '"90s"', *f, '{"deadline":"soon"}', "Reset", "{}")
    refused(r, '"90s"', *f, '{"deadline":"2026-13-01"}', "Reset", "{}")
    refused(r, "a string", *f, '{"deadline":30}', "Reset", "{}")
    refused(r, "unknown option unchecked", *f, '{"unchecked":"yes"}', "Reset", "{}")
    refused(r, '"fail" or "wait"', *f, '{"ifOffline":"queue"}', "Reset", "{}")
    refused(r, "printable", *f, '{"commandId":"a b"}', "Reset", "{}")
    refused(r, "OCPP action", *f, "{}", "Re set", "{}")
    refused(r, "JSON object", *f, "{}", "Reset", "[1]")
    refused(r, "at most", *f, "{}", "Reset", '{"a":"%s"}' % ("x" * 131072))
    refused(r, "not the identity", "FCALL", "ocppd_call", 1, "a/b", "{}", "Reset", "{}")
    refused(r, "not a reply token", "FCALL", "ocppd_answer", 1, "C9", "x", "{}")
    assert r("EXISTS", S + "queue:C9") == 0 and outcomes(r, "C9") == {}


def instants_are_read_in_every_form(r):
    for text, ms in (("2026-01-31T12:00:00Z", 0), ("2026-01-31T13:00:00.000+01:00", 0),
                     ("2026-01-31T06:30:00.25-05:30", 250)):
        got = call(r, "C10", ifOffline="wait", deadline=text.replace("2026", "2020"))
        assert got["deadline"] == "2020-01-31T12:00:00.%03dZ" % ms, got
    got = call(r, "C10", ifOffline="wait", deadline="2024-02-29T23:59:59.999Z")
    assert got["deadline"] == "2024-02-29T23:59:59.999Z"


# --- crashes ----------------------------------------------------------------

def a_command_that_may_have_been_sent_is_uncertain(r):
    node(r, "a/0"), node(r, "b/0")
    for how in ("claim", "finish", "tick", "release"):
        cp = "U-" + how
        _, epoch, _, _ = claim(r, cp, "a/0")
        call(r, cp, commandId="x", ifOffline="wait")
        call(r, cp, commandId="y", ifOffline="wait")
        take(r, cp, epoch, -60000 if how == "tick" else 1000)
        if how == "claim":
            claim(r, cp, "b/0")
        elif how == "finish":
            assert finish(r, cp, epoch, "x", "uncertain", "") == "done"
        elif how == "tick":
            node(r, "b/0")
        else:
            r("FCALL", "ocppd_release", 1, cp, epoch, "idle", "a")
        assert outcomes(r, cp) == {"x": ["uncertain"]}, how
        assert finish(r, cp, epoch, "x") == "late"
        epoch = claim(r, cp, "b/0")[1]
        assert take(r, cp, epoch)[1] == "y"


def an_idempotent_one_is_sent_again_first(r):
    node(r, "a/0"), node(r, "b/0")
    for how in ("claim", "finish", "tick", "release"):
        cp = "I-" + how
        _, epoch, _, _ = claim(r, cp, "a/0")
        call(r, cp, commandId="x", ifOffline="wait", idempotent="yes")
        call(r, cp, commandId="y", ifOffline="wait")
        take(r, cp, epoch, -60000 if how == "tick" else 1000)
        if how == "finish":
            assert finish(r, cp, epoch, "x", "uncertain", "") == "queued"
        elif how == "tick":
            node(r, "b/0")
        elif how == "release":
            r("FCALL", "ocppd_release", 1, cp, epoch, "idle", "a")
        if how != "claim":  # a repetition changes nothing
            assert finish(r, cp, epoch, "x", "uncertain", "") == "queued"
        e2 = claim(r, cp, "b/0")[1]
        assert outcomes(r, cp) == {}, how
        assert take(r, cp, e2)[1] == "x", how
        assert finish(r, cp, epoch, "x") == "late"
        assert finish(r, cp, e2, "x") == "done" and outcomes(r, cp) == {"x": ["result"]}


def one_that_was_sent_once_never_ends_as_not_sent(r):
    """An idempotent command whose connection was lost after it had been sent waits again. It
    ends as uncertain in any case, because the charge point may have executed it."""
    node(r, "a/0")
    for how in ("tick", "take", "release", "cancel", "offline", "expired", "invalid", "result"):
        cp = "V-" + how
        wait = "fail" if how in ("release", "offline") else "wait"
        _, epoch, _, _ = claim(r, cp)
        call(r, cp, commandId="x", ifOffline=wait, idempotent="yes", deadline="60ms" if how in ("tick", "take") else "60s")
        assert take(r, cp, epoch)[1] == "x"
        epoch = claim(r, cp)[1]  # on another connection x waits again
        assert outcomes(r, cp) == {} and state(r, cp, "x")["state"] == "queued", how
        if how == "tick":
            wait_for("the tick", lambda: node(r) and outcomes(r, cp))
        elif how == "take":
            wait_for("its deadline", lambda: time.time() * 1000 > 60 + float(r("HGET", S + "cmd:V-take/x", "created")))
            assert take(r, cp, epoch) == ["none"]
        elif how == "release":
            r("FCALL", "ocppd_release", 1, cp, epoch, "idle", "a")
        elif how == "cancel":
            r("FCALL", "ocppd_cancel", 1, cp, "x")
        else:
            assert take(r, cp, epoch)[1] == "x"
            detail = '"error":{"code":"Invalid","description":"","details":{}}' if how == "invalid" else ""
            assert finish(r, cp, epoch, "x", how, detail) == "done"
        assert outcomes(r, cp) == {"x": ["result" if how == "result" else "uncertain"]}, how
        error = state(r, cp, "x").get("error", {}).get("code")
        assert error == {"result": None, "cancel": "Cancelled", "invalid": "Invalid"}.get(how, "ConnectionLost"), (how, error)


def what_was_taken_and_never_left_goes_back(r):
    node(r)
    gen = generation()
    _, epoch, _, _ = claim(r, "B1", gen=gen)
    call(r, "B1", commandId="x"), call(r, "B1", commandId="y")
    take(r, "B1", epoch)  # the connection to the server is lost before the reply
    assert claim(r, "B1", gen=gen)[3] == 2
    assert take(r, "B1", epoch)[1] == "x"
    assert claim(r, "B1", gen=gen, held="x")[3] == 1
    assert finish(r, "B1", epoch, "x", "offline", "") == "done"  # ifOffline=fail
    call(r, "B1", commandId="z", ifOffline="wait")
    take(r, "B1", epoch)
    finish(r, "B1", epoch, "y")
    take(r, "B1", epoch)
    assert finish(r, "B1", epoch, "z", "offline", "") == "queued"


def a_server_that_forgot_is_told_again(r):
    node(r)
    gen = generation()
    _, epoch, _, _ = claim(r, "B2", gen=gen)
    call(r, "B2", commandId="x"), call(r, "B2", commandId="y")
    # The reply is lost, so x was taken. Then the server loses all data.
    assert claim(r, "B2", gen=gen, held="x")[3] == 1
    assert take(r, "B2", epoch) == ["busy", "x"]
    r("DEL", S + "cp:B2", S + "queue:B2", S + "cmd:B2/x", S + "cmd:B2/y")
    assert finish(r, "B2", epoch, "x") == "done"
    assert finish(r, "B2", epoch, "x") == "late"
    assert claim(r, "B2", gen=gen)[1] == epoch
    assert outcomes(r, "B2") == {"x": ["result"]}
    # The reply is lost: y was finished, and another command was taken.
    call(r, "B2", commandId="y")
    assert finish(r, "B2", epoch, "y") == "done" and take(r, "B2", epoch) == ["none"]


# --- answers, transaction ids, shipping, trimming ----------------------------

def answers_reach_the_worker_that_asked(r):
    node(r, "my/node/2", "77")
    token = "my/node/2/77/5"
    ask(r, "A1", token)
    assert answer(r, "A1", token, '{"status":"Accepted"}') == "taken"
    assert r.entries(S + "inbox:my/node/2")[-1] == {
        "what": "answer", "identity": "A1", "token": token, "payload": '{"status":"Accepted"}'}
    assert answer(r, "A1", token, '{"status":"Accepted"}') == "late"
    assert answer(r, "A2", token, '{"status":"Accepted"}') == "unknown"
    assert answer(r, "A1", "my/node/2/77/6", "{}") == "unknown"
    ask(r, "A1", "my/node/2/76/7")  # the worker of this token has ended
    assert answer(r, "A1", "my/node/2/76/7", '{"status":"Accepted"}') == "late"


shipped = [0]


def ask(r, cp, token, action="DataTransfer", end=False, protocol="ocpp1.6"):
    """Ships the event of a question, or the event that ends the question."""
    e = ["eventId", "e", "eventType", "answer.requested", "chargePointId", cp, "protocol", protocol,
         "action", action, "payload", "{}", "question" if end else "replyToken", token]
    at = str(shipped[0]) if shipped[0] else ""
    shipped[0] += 1
    assert r("FCALL", "ocppd_ship", 1, EV, "ask/0", at, shipped[0], len(e), *e) == [1, str(shipped[0])]


def answer(r, cp, token, payload):
    return r("FCALL", "ocppd_answer", 1, cp, token, payload)


def close(r, cp, token):
    return r("FCALL", "ocppd_close", 1, cp, token)


def a_question_has_one_answer_in_any_order(r):
    node(r, "q/0", "1")
    good = '{"status":"Accepted"}'
    ask(r, "Q1", "q/0/1/a")
    assert close(r, "Q1", "q/0/1/a") == ["closed"] and answer(r, "Q1", "q/0/1/a", good) == "late"
    ask(r, "Q1", "q/0/1/b")
    assert answer(r, "Q1", "q/0/1/b", good) == "taken" and close(r, "Q1", "q/0/1/b") == ["taken", good]
    ask(r, "Q1", "q/0/1/b", end=True)
    assert answer(r, "Q1", "q/0/1/b", good) == "late"
    # The question was closed before its event was shipped.
    assert close(r, "Q1", "q/0/1/c") == ["closed"]
    ask(r, "Q1", "q/0/1/c")
    assert answer(r, "Q1", "q/0/1/c", good) == "late"
    # The same event is shipped twice.
    ask(r, "Q1", "q/0/1/d")
    assert answer(r, "Q1", "q/0/1/d", good) == "taken"
    ask(r, "Q1", "q/0/1/d")
    assert answer(r, "Q1", "q/0/1/d", good) == "late"
    assert r("FCALL", "ocppd_reopen", 1, "Q1", "q/0/1/d", "why") == 1
    assert answer(r, "Q1", "q/0/1/d", good) == "taken"


def a_question_that_is_asked_again_goes_on(r):
    node(r, "q/0", "1"), node(r, "q/1", "5"), node(r, "q/2", "7")
    good = '{"transactionId":7,"idTagInfo":{"status":"Accepted"}}'
    # Either token is valid. The answer is sent to the node that asked last.
    ask(r, "Q2", "q/0/1/s1", "StartTransaction")
    ask(r, "Q2", "q/1/5/s1", "StartTransaction")
    assert close(r, "Q2", "q/0/1/s1") == ["moved"]
    assert answer(r, "Q2", "q/0/1/s1", good) == "taken" and answer(r, "Q2", "q/1/5/s1", good) == "late"
    assert r.entries(S + "inbox:q/1")[-1]["token"] == "q/1/5/s1"
    # A node has died with the answer. The next node that asks gets it at once.
    ask(r, "Q2", "q/2/7/s1", "StartTransaction")
    assert r.entries(S + "inbox:q/2")[-1] == {"what": "answer", "identity": "Q2", "token": "q/2/7/s1", "payload": good}
    ask(r, "Q2", "q/2/7/s1", "StartTransaction", end=True)
    # When the transaction has ended, an equal message is a new question.
    ask(r, "Q2", "q/2/7/s1", "StartTransaction", end=True)
    ask(r, "Q2", "q/1/5/s1", "StartTransaction")
    assert answer(r, "Q2", "q/2/7/s1", good) == "late" and answer(r, "Q2", "q/1/5/s1", good) == "taken"


def a_useless_answer_is_refused_with_what_is_wrong(r):
    node(r, "q/0", "1")
    ask(r, "Q3", "q/0/1/1", "StartTransaction")
    info = '"idTagInfo":{"status":"Accepted"}'
    for payload, why in (('{"transactionId":1}', "idTagInfo: it is missing"),
                         ("{%s}" % info, "transactionId: it is missing"),
                         ('{"transactionId":2147483648,%s}' % info, "transactionId: it is not in the range"),
                         ('{"transactionId":1.5,%s}' % info, "transactionId: it is not an integer"),
                         ('{"transactionId":"1",%s}' % info, "transactionId: it is not an integer"),
                         ('{"transactionId":1.0,%s}' % info, "transactionId: it is not an integer"),
                         ('{%s , "transactionId" : 1e3 }' % info, "transactionId: it is not an integer"),
                         ('{"transactionId":791,%s,"transactionId":792}' % info, "transactionId: it occurs twice"),
                         ('{"transactionId":1,"idTagInfo":{"status":"Accepted","status":"Blocked"}}', "status: it occurs twice"),
                         ('{"transactionId":1,"idTagInfo":{"status":"Accepted","parentIdTag":"\\u0000"}}', "a NUL"),
                         ('{"transactionId":1,"idTagInfo":{"status":"accepted"}}', "idTagInfo: it is not one of"),
                         ('{"transactionId":1,"x":1,%s}' % info, "x: the message has no such field"),
                         ('{"transactionId":1,\n%s}' % info, "one line"),
                         ('{"transactionId":1,%s%s}' % (info, " " * 200), "stored"),
                         ('{"transactionId":1,%s' % info, "it is not JSON"),
                         ("[]", "not a JSON object"), ("", "not a JSON object")):
        got = answer(r, "Q3", "q/0/1/1", payload)
        assert got.startswith("invalid: ") and why in got, (payload, got)
    # The name of a member inside a string, after an escaped quote and backslashes, is not a
    # member.
    assert answer(r, "Q3", "q/0/1/1", '{"transactionId":-1,"idTagInfo":{"status":"Accepted","parentIdTag":"\\\\"}}') == "taken"
    ask(r, "Q3", "q/0/1/2", "StartTransaction")
    assert answer(r, "Q3", "q/0/1/2", r'{"transactionId":-1,"idTagInfo":{"status":"Accepted","parentIdTag":"\\\"status\":1.0"}}') == "taken"
    ask(r, "Q3", "q/0/1/3", "StartTransaction")
    assert answer(r, "Q3", "q/0/1/3", '{"transactionId":-1,%s}' % info) == "taken"


def answers_are_checked_by_the_schema_of_the_version(r):
    """Rules that apply to one version only, and messages about which the platform is rarely
    asked."""
    info = {"status": "Accepted"}
    message = {"format": "QRCODE", "content": "x"}
    rows = (("ocpp2.0.1", "TransactionEvent", {"updatedPersonalMessage": message}, "updatedPersonalMessage: it is not one of"),
            ("ocpp2.1", "TransactionEvent", {"updatedPersonalMessage": message}, None),
            ("ocpp2.0.1", "TransactionEvent", {"transactionLimit": {}}, "transactionLimit: the message has no such"),
            ("ocpp2.1", "TransactionEvent", {"transactionLimit": {"maxSoC": 101}}, "transactionLimit: it is not from 0 to 100"),
            ("ocpp2.1", "TransactionEvent", {"transactionLimit": {"maxSoC": 100}}, None),
            ("ocpp2.1", "TransactionEvent", {"totalCost": True}, "totalCost: it is not a number"),
            ("ocpp2.0.1", "Authorize", {}, "idTokenInfo: it is missing"),
            ("ocpp2.0.1", "Authorize", {"idTokenInfo": info, "certificateStatus": "Good"}, "certificateStatus: it is not one of"),
            ("ocpp2.0.1", "Authorize", {"idTokenInfo": info, "certificateStatus": "Accepted"}, None),
            ("ocpp2.0.1", "NotifyEVChargingNeeds", {"status": "NoChargingProfile"}, "status: it is not one of"),
            ("ocpp2.1", "NotifyEVChargingNeeds", {"status": "NoChargingProfile"}, None),
            ("ocpp2.0.1", "Get15118EVCertificate", {"status": "Accepted"}, "exiResponse: it is missing"),
            ("ocpp2.0.1", "Get15118EVCertificate", {"status": "Accepted", "exiResponse": "x" * 7501}, "it is longer than 7500"),
            ("ocpp2.1", "Get15118EVCertificate", {"status": "Accepted", "exiResponse": "x" * 7501}, None),
            ("ocpp2.1", "GetCertificateChainStatus", {"certificateStatus": []}, "certificateStatus: it is not a list with elements"),
            ("ocpp1.6", "DataTransfer", {"status": "Accepted", "data": {}}, "data: it is not a string"),
            ("ocpp2.0.1", "DataTransfer", {"status": "Accepted", "data": {}}, None),
            ("ocpp1.6", "Heartbeat", {"currentTime": "now"}, "currentTime: it is not a time"),
            ("ocpp1.6", "MeterValues", {"customData": {}}, "customData: the message has no such"),
            ("ocpp2.1", "MeterValues", {"customData": {}}, "customData: it has no vendorId"),
            ("ocpp2.1", "MeterValues", {"customData": {"vendorId": "v", "x": 1}}, None))
    node(r, "qv/0")
    for n, (version, action, payload, why) in enumerate(rows):
        token = "qv/0/1/v%d" % n
        ask(r, "QV", token, action=action, protocol=version)
        got = answer(r, "QV", token, json.dumps(payload))
        assert got == "taken" if why is None else got.startswith("invalid: ") and why in got, (version, action, payload, got)


def transaction_ids_never_repeat(r):
    assert r("FCALL", "ocppd_txids", 1, S + "txid:last", 100, 0) == 1
    assert r("FCALL", "ocppd_txids", 1, S + "txid:last", 100, 0) == 101
    assert r("FCALL", "ocppd_txids", 1, S + "txid:last", 100, 5000) == 5001
    assert r("FCALL", "ocppd_txids", 1, S + "txid:last", 2147483647, 0) == 0


def ship(r, frm, to, *events, journal="n/0", stream="ocppd:events:0"):
    args = []
    for e in events:
        args += [len(e) * 2, *[x for kv in e.items() for x in kv]]
    return r("FCALL", "ocppd_ship", 1, stream, journal, frm, to, *args)


def shipping_is_exact(r):
    one, two = {"eventId": "1", "payload": "{ }"}, {"eventId": "2"}
    before = r("XLEN", EV)
    assert ship(r, "", "1", one) == [1, "1"]
    assert ship(r, "", "1", one) == [0, "1"]  # the reply was lost, and the event is not added again
    assert ship(r, "2", "3", two) == [0, "1"]  # the batch before this one has failed
    assert ship(r, "1", "2", two) == [1, "2"]
    assert r("XLEN", EV) == before + 2 and r.entries(EV)[-2:] == [one, two]
    assert r("GET", S + "cursor:n/0") == "2"


def streams_are_trimmed_behind_all_groups(r):
    stream = "ocppd:events:7"

    def trim(age, cap=100000):
        return r("FCALL", "ocppd_trim", 1, stream, age, cap)
    assert trim(0)[2] == 0
    for i in range(1000):
        ship(r, str(i) if i else "", str(i + 1), {"eventId": str(i)}, stream=stream)
    assert trim(3600000) == [0, 0, 1000, 0]
    r("XGROUP", "CREATE", stream, "g", "0")
    r("XGROUP", "CREATE", stream, "h", "$")
    assert trim(-1000)[2] == 1000  # the group g has read nothing
    got = r("XREADGROUP", "GROUP", "g", "me", "COUNT", 800, "STREAMS", stream, ">")
    ids = [i for i, _ in got[0][1]]
    assert trim(-1000)[2] == 1000  # the group has read but not acknowledged the events
    r("XACK", stream, "g", *ids[:500], *ids[600:])
    left = trim(-1000)[2]
    assert 500 <= left < 700, left  # only whole nodes of the stream are removed
    assert r("XRANGE", stream, ids[500], ids[500])
    removed, cut, left, groups = trim(3600000, 300)
    assert cut > 0 and left <= 400 and groups == 2
    r("DEL", stream)
    for i in range(300):
        r("XADD", stream, "*", "a", "b")
    assert trim(-1000)[2] < 300  # without a group events are removed by age


# --- several clients at once ---------------------------------------------------

def several_nodes_and_backends_at_once(r):
    """Four nodes take over ten charge points from each other, crash during commands, and lose
    replies. Every command ends exactly once."""
    cps = ["X%d" % i for i in range(10)]
    sent, sent_lock = {}, threading.Lock()
    stop = threading.Event()
    failures = []
    executed = {}

    def backend(seed):
        c, rnd = server.client(), random.Random(seed)
        for i in range(1000):
            cp, idem = rnd.choice(cps), rnd.choice(("yes", "no"))
            name = "%d-%d" % (seed, i)
            for _ in range(rnd.choice((1, 1, 2))):
                call(c, cp, commandId=name, idempotent=idem, ifOffline=rnd.choice(("fail", "wait")),
                     deadline=rnd.choice(("30ms", "1h", "1h")))
            with sent_lock:
                sent[name] = (cp, idem)
            if rnd.random() < 0.05:
                c("FCALL", "ocppd_cancel", 1, cp, name)
        c.close()

    def gateway(name, seed):
        try:
            c, rnd, inc, mine = server.client(), random.Random(seed), 1, {}
            while not stop.is_set():
                node(c, name, str(inc), 500)
                cp = rnd.choice(cps)
                if rnd.random() < 0.2 or cp not in mine:
                    gen = generation()
                    got = claim(c, cp, name, str(inc), gen)
                    if got[0] == "ok":
                        mine[cp] = (got[1], gen)
                    continue
                epoch, gen = mine[cp]
                dice = rnd.random()
                if dice < 0.03:
                    inc, mine = inc + 1, {}  # as after kill -9
                elif dice < 0.06:
                    c("FCALL", "ocppd_release", 1, cp, epoch, "idle", name)
                    del mine[cp]
                else:
                    got = take(c, cp, epoch, 50, name)
                    if got[0] == "lost":
                        del mine[cp]
                    elif got[0] == "take" and rnd.random() < 0.9:
                        with sent_lock:
                            executed[got[1]] = executed.get(got[1], 0) + 1
                        if rnd.random() < 0.9:
                            out = rnd.choice(("result", "error", "timeout", "uncertain"))
                            for _ in range(rnd.choice((1, 2))):
                                finish(c, cp, epoch, got[1], out, "", "%s-%s" % (name, got[1]))
                        else:
                            inc, mine = inc + 1, {}
                    elif got[0] == "take":
                        claim(c, cp, name, str(inc), gen)  # the reply was lost
            c.close()
        except Exception as e:
            failures.append(e)
            raise

    gateways = [threading.Thread(target=gateway, args=("n%d/0" % i, i)) for i in range(4)]
    backends = [threading.Thread(target=backend, args=(100 + i,)) for i in range(3)]
    for t in gateways + backends:
        t.start()
    for t in backends:
        t.join()
    stop.set()
    for t in gateways:
        t.join()
    assert not failures, failures
    # All clients have ended. The remaining commands end at their deadline, which is set to
    # now.
    for member in r("ZRANGE", S + "due", 0, -1):
        cp, name = member.split("/", 1)
        if cp in cps:
            r("ZADD", S + "due", 1, member)
            r("HSET", S + "cmd:" + member, "deadline", 1)
    while node(r, "last/0")[4] > 0:
        pass
    seen = {}
    for e in r.entries(EV):
        if e.get("eventType") == "command.response" and e["chargePointId"] in cps:
            body = json.loads(e["payload"])
            seen.setdefault(body["commandId"], []).append((e["chargePointId"], body["outcome"]))
    assert set(seen) == set(sent)
    assert all(len(v) == 1 for v in seen.values()), [v for v in seen.values() if len(v) > 1][:3]
    assert all(seen[name][0][0] == cp for name, (cp, _) in sent.items())
    twice = [n for n, times in executed.items() if times > 1]
    assert all(sent[n][1] == "yes" for n in twice), "executed twice without being idempotent"
    for cp in cps:
        assert r("LLEN", S + "queue:" + cp) == 0
    ids = [e["eventId"] for e in r.entries(EV) if e.get("chargePointId") in cps]
    assert len(ids) == len(set(ids))
    print("     %d commands, %d sent more than once, all outcomes: %s" % (
        len(sent), len(twice), sorted({v[0][1] for v in seen.values()})))


# --- library -------------------------------------------------------------------

def shards_agree_with_the_server(r):
    r("FUNCTION", "LOAD", library("fleet_b", 64))
    assert r("FCALL", "fleet_b_version", 0)[1] == 64
    for cp in ("CP1", "RDAM 123", "Säule 7", "x" * 48, "a{b}c", "}", "{}", "{x}"):
        want = binascii.crc_hqx(cp.encode(), 0) % 64  # the CRC16 of Redis
        text = r("FCALL", "fleet_b_call", 1, cp, '{"commandId":"k"}', "Reset", "{}")
        assert json.loads(text)["outcome"] == "offline"
        e = r.entries("fleet_b:events:%d" % want)
        assert [x for x in e if x["chargePointId"] == cp]
        whole = "{fleet_b:events:%d}%s" % (want, cp)
        assert json.loads(r("FCALL", "fleet_b_command", 1, whole, "k"))["chargePointId"] == cp
        refused(r, "the key is {fleet_b:events:%d}" % want, "FCALL", "fleet_b_command", 1,
                "{fleet_b:events:%d}%s" % ((want + 1) % 64, cp), "k")
    r("FUNCTION", "DELETE", "fleet_b")


def every_key_of_a_call_is_in_one_slot(_):
    cluster = Server("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    try:
        c = cluster.client()
        c("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        c("CONFIG", "SET", "cluster-require-full-coverage", "no")
        wait_for("the cluster", lambda: "cluster_state:ok" in c("CLUSTER", "INFO"))
        c("FUNCTION", "LOAD", library("ocppd", 16))
        here, there = set(), set()
        for i in range(200):
            cp = "K%d" % i
            shard = binascii.crc_hqx(cp.encode(), 0) % 16
            stream = "ocppd:events:%d" % shard
            if c("CLUSTER", "KEYSLOT", stream) > 8191:
                if c("CLUSTER", "KEYSLOT", cp) <= 8191:
                    refused(c, "use {%s}%s as the key" % (stream, cp), "FCALL", "ocppd_call", 1, cp, "{}", "Reset", "{}")
                refused(c, "", "FCALL", "ocppd_session", 1, "{%s}%s" % (stream, cp))
                there.add(shard)
                continue
            here.add(shard)
            key = "{%s}%s" % (stream, cp)
            c("FCALL", "ocppd_keepalive", 1, stream, "a/0", "1", 60000)
            epoch = claim(c, key)[1]
            name = call(c, key)["commandId"]
            assert take(c, key, epoch)[0] == "take" and finish(c, key, epoch, name) == "done"
            call(c, key)
            assert c("FCALL", "ocppd_refresh", 1, stream, "a/0", "1", cp, epoch, 1)[1] == [cp]
            assert c("FCALL", "ocppd_release", 1, key, epoch, "idle", "a") == 1
            assert [e for e in c.entries(stream) if e.get("chargePointId") == cp]
            assert ship(c, c("GET", "{%s}:cursor:n/0" % stream) or "", str(i), {"eventId": "1"}, stream=stream)[0] == 1
            c("FCALL", "ocppd_trim", 1, stream, 1000, 1000)
        assert here and there
        c.close()
    finally:
        cluster.stop()


def main():
    global server
    server = Server()
    report = Report()
    try:
        r = server.client()
        r("FUNCTION", "LOAD", library())
        refused(r, "already exists", "FUNCTION", "LOAD", library())
        r("FUNCTION", "LOAD", "REPLACE", library())
        for test in TESTS:
            report.run(test, r)
        r.close()
    finally:
        server.stop()
    return report.end()


TESTS = [
    a_claim_makes_a_session_and_release_ends_it, the_newest_connection_wins_and_the_former_owner_is_told,
    a_late_claim_of_an_older_connection_is_stale, a_generation_from_the_future_locks_no_connection_out,
    the_same_connection_keeps_its_epoch, sessions_end_with_their_worker, two_processes_of_one_name_are_noticed,
    a_start_has_the_answer_that_came_first,
    refresh_returns_what_is_lost_and_what_waits, a_command_goes_its_way, the_same_command_id_is_one_command,
    payload_bytes_are_kept, commands_keep_their_order_one_in_flight, absent_charge_points_fail_or_wait_as_told,
    deadlines_pass_without_anybody_being_special, cancelling, the_queue_is_bounded,
    wrong_calls_are_told_what_is_right, instants_are_read_in_every_form,
    a_command_that_may_have_been_sent_is_uncertain, an_idempotent_one_is_sent_again_first,
    one_that_was_sent_once_never_ends_as_not_sent, what_was_taken_and_never_left_goes_back, a_server_that_forgot_is_told_again, answers_reach_the_worker_that_asked,
    a_question_has_one_answer_in_any_order, a_question_that_is_asked_again_goes_on,
    a_useless_answer_is_refused_with_what_is_wrong, answers_are_checked_by_the_schema_of_the_version,
    transaction_ids_never_repeat, shipping_is_exact, streams_are_trimmed_behind_all_groups,
    several_nodes_and_backends_at_once, shards_agree_with_the_server, every_key_of_a_call_is_in_one_slot,
]

if __name__ == "__main__":
    sys.exit(main())
