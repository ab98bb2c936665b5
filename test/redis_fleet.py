#!/usr/bin/python3
"""Several gateways with one Redis: real daemons, a real server, and charge points that move,
stop answering and reconnect. OCPPD_TEST_LONG=1 takes the time that the figures in
ocppd-redis(7) need (ten thousand moves, a server that is stopped for half a minute)."""

import itertools
import subprocess

import glob
from lib import *
from redis_resp import Client, Error, Server, library
from waits import CLOCK_MS, Shim, WRITE

LONG = bool(os.environ.get("OCPPD_TEST_LONG"))
EV = "ocppd:events:0"
S = "{%s}:" % EV
_servers = []
_names = itertools.count(1)


def redis(*options, **kw):
    """Returns a server, which is stopped at the end of the test. After a kill it has all
    acknowledged data. (With appendfsync everysec, Redis would delay its writes by up to 2 s
    while the disk is slow.)"""
    if "--appendfsync" not in options:
        options += ("--appendfsync", "always")
    s = Server("--appendonly", "yes", *options, **kw)
    _servers.append(s)
    return s


def gateway(s, node, **settings):
    settings.setdefault("redis_host", "127.0.0.1")
    settings.setdefault("redis_port", s.port)
    settings.setdefault("redis_timeout", "2s")
    settings.setdefault("redis_connect_timeout", "1s")
    settings.setdefault("redis_session_ttl", "3s")
    settings.setdefault("ocpp_call_hold", "0s")
    settings.setdefault("server_workers", 1)
    settings.setdefault("websocket_idle_timeout", "60s")  # for charge points that do not read
    g = Gateway(server_node=node, **settings)
    poll(lambda: g.stat("redis_shards_ready") >= 1, what="the connection to Redis")
    wait_ids(g)
    return g


def wait_ids(g):
    ids = g.state_dir + "/transaction-ids-ocppd"
    poll(lambda: os.path.exists(ids) and os.path.getsize(ids), what="the first transaction ids")


def fcall(r, name, *args):
    text = r("FCALL", "ocppd_" + name, 1, *args)
    return json.loads(text) if isinstance(text, str) else text


def order(r, cp, action="Reset", payload='{"type":"Soft"}', **options):
    options.setdefault("commandId", "c%d" % next(_names))
    return fcall(r, "call", cp, json.dumps(options), action, payload)


def session(r, cp):
    return fcall(r, "session", cp)


def held_by(r, cp, node):
    def there():
        s = session(r, cp)
        return s if s and s["state"] == "online" and s["node"] == node else None
    return poll(there, what="the session of %s at %s" % (cp, node))


def one(**settings):
    """Returns a server, a client of it, and a gateway."""
    s = redis()
    return s, s.client(), gateway(s, "a", **settings)


def two():
    """Returns a server, a client of it, and two gateways."""
    s = redis()
    return s, s.client(), gateway(s, "a"), gateway(s, "b")


def held(g, r, cp, node):
    """Returns a charge point that has booted and whose session the gateway has claimed."""
    c = Charger(g, cp)
    c.boot()
    held_by(r, cp, node)
    return c


def outcomes(r, cp=None, stream=EV):
    found = {}
    for e in r.entries(stream):
        if e["eventType"] == "command.response" and cp in (None, e["chargePointId"]):
            body = json.loads(e["payload"])
            found.setdefault(body["commandId"], []).append(body["outcome"])
    return found


def outcome(r, cp, name, timeout=DEADLINE):
    """Waits for the one outcome of a command, and returns it."""
    got = poll(lambda: outcomes(r, cp).get(name), timeout, "the outcome of " + name)
    assert len(got) == 1, got
    assert fcall(r, "command", cp, name)["outcome"] == got[0]
    return got[0]


def events(r, cp, type, stream=EV):
    return [e for e in r.entries(stream) if e["chargePointId"] == cp and e["eventType"] == type]


def wait_event(r, cp, type, n=1):
    def enough():
        got = events(r, cp, type)
        return got if len(got) >= n else None
    return poll(enough, what="%d %s of %s" % (n, type, cp))


def tidy(test):
    """Decorates a test: its servers are stopped, even if it fails."""
    def run():
        try:
            test()
        finally:
            while _servers:
                _servers.pop().stop()
    run.__name__ = test.__name__
    return run


# --- from the gateway to Redis -----------------------------------------------------


@tidy
def test_events_arrive_flat_in_order_and_byte_for_byte():
    s, r, g = one()
    c = Charger(g, "CP1")
    c.boot()
    text = ' { "connectorId":1 ,"meterValue":[{"timestamp":"2026-01-31T12:00:00Z",' \
           '"sampledValue":[{"value":"1.10","x":9007199254740993}]}], "q":"\\u00e9\\n\\"" } '.strip()
    c.call("MeterValues", text)
    e = wait_event(r, "CP1", "transaction.meter_values")[0]
    assert e["payload"] == text and e["answer"] == "{}" and e["action"] == "MeterValues"
    assert e["gatewayId"] == "a" and e["protocol"] == "ocpp1.6" and e["messageId"]
    got = [x["eventType"] for x in r.entries(EV)]
    assert got == ["gateway.started", "charge_point.connected", "charge_point.booted",
                   "transaction.meter_values"], got
    journal = g.events("all")
    assert [x["eventId"] for x in r.entries(EV)] == [x["eventId"] for x in journal]
    assert e["generation"] == str(journal[-1]["generation"]) == str(session(r, "CP1")["epoch"])


@tidy
def test_messages_that_are_sent_to_two_gateways_are_in_the_stream_once():
    s, r, a, b = two()
    c = Charger(a, "TWICE")
    id = c.start()["transactionId"]
    meter = {"connectorId": 1, "transactionId": id, "meterValue": [
        {"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [{"value": "1"}]}]}
    stop = {"transactionId": id, "meterStop": 5, "timestamp": "2026-01-31T13:00:00Z"}

    def tell(c, n):
        for action, payload in (("MeterValues", meter), ("StopTransaction", stop)):
            c.put(action, payload, "%s %d" % (action, n))
            assert c.get("%s %d" % (action, n)) == {}
    tell(c, 1)
    s.kill()  # the other gateway ships its acknowledged events later
    d = Charger(b, "TWICE")
    tell(d, 1)
    # The same bytes with another message id are other MeterValues, because a charge point
    # without a clock sends equal ones.
    d.put("MeterValues", meter, "m2")
    assert d.get("m2") == {}
    s.start()
    r = s.client()
    wait_event(r, "TWICE", "transaction.meter_values", 2)
    for g in (a, b):
        ids = {e["eventId"] for e in g.events("gateway.started")}
        poll(lambda: ids <= {e["eventId"] for e in r.entries(EV)} and g.stat("ship_lag_ms") == 0)
    assert len(events(r, "TWICE", "transaction.stopped")) == 1
    assert len(events(r, "TWICE", "transaction.meter_values")) == 2
    assert len(b.events("transaction.stopped")) == 1  # its journal has the acknowledged event


@tidy
def test_equal_messages_of_two_transactions_with_the_same_id_are_both_in_the_stream():
    """A platform may choose any id, also one that it has used before."""
    s, r, g = one(answers_StartTransaction="platform")
    c = Charger(g, "SAME")
    for n in (1, 2, 3):
        c.put("StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": 0,
                                   "timestamp": "1970-01-01T00:00:00Z"}, "s%d" % n)
        e = wait_event(r, "SAME", "answer.requested", n)[-1]
        assert r("FCALL", "ocppd_answer", 1, "SAME", e["replyToken"],
                 '{"transactionId":0,"idTagInfo":{"status":"Accepted"}}') == "taken"
        assert c.get("s%d" % n)["transactionId"] == 0
        assert c.stop(0, meter=0, when="1970-01-01T00:00:00Z") == {}
        wait_event(r, "SAME", "transaction.started", n)
        wait_event(r, "SAME", "transaction.stopped", n)


@tidy
def test_charge_points_are_served_while_redis_is_away_and_events_are_shipped_in_order():
    s = redis()
    g = gateway(s, "a")
    c = Charger(g, "CP1")
    c.boot()
    s.kill()
    ids = [c.start(meter=i)["transactionId"] for i in range(30)]
    assert len(set(ids)) == 30
    d = Charger(g, "CP2")  # connections are still accepted
    d.boot()
    poll(lambda: g.stat("ship_lag_ms") > 0, what="a lag")
    assert g.tell("health")["redis"]["status"] != "ready"
    s.start()
    r = s.client()
    held_by(r, "CP2", "a")
    got = wait_event(r, "CP1", "transaction.started", 30)
    assert [json.loads(e["answer"])["transactionId"] for e in got] == ids
    assert len(r.entries(EV)) == len({e["eventId"] for e in r.entries(EV)})
    poll(lambda: g.stat("ship_lag_ms") == 0, what="the end of the lag")
    c.call("Heartbeat"), d.call("Heartbeat")


@tidy
def test_the_lag_is_the_age_of_the_oldest_event_also_after_a_restart():
    s = redis()
    g = gateway(s, "a", server_workers=2)
    c = Charger(g, "CP1", worker=1)
    c.boot()
    held_by(s.client(), "CP1", "a")
    # Time without events is not a lag: the lag begins with the first event that waits. The
    # state of shipping is written to files every 5 s.
    poll(lambda: g.stat("ship_lag_ms") == 0 and all(
        os.path.exists(g.state_dir + "/journal/w%03d.shipped" % slot)
        for slot in (0, 1)))
    s.kill()
    began = time.monotonic()
    c.start()
    lag = poll(lambda: g.stat("ship_lag_ms"), what="a lag")
    assert lag <= (time.monotonic() - began) * 1000 + 1, lag
    for settings in ({}, {"server_workers": "1"}):
        g.kill_everything()
        g.settings.update(settings)
        poll(lambda: time.monotonic() - began > 4)
        started = time.monotonic()
        g.start()
        # Slot 1 has the event: first with its worker, then without a worker.
        lag = poll(lambda: g.stat("ship_lag_ms") >= 1000 * (started - began)
                   and g.stat("ship_lag_ms"), 5, "the lag of the event")
        assert lag <= (time.monotonic() - began) * 1000 + 1, lag
    s.start()
    wait_event(s.client(), "CP1", "transaction.started", 1)
    poll(lambda: g.stat("ship_lag_ms") == 0, what="the end of the lag")


@tidy
def test_a_server_that_dies_with_a_full_window_gets_all_requests_again():
    """More requests were sent to the server than may be unanswered. After its death none of
    them counts as unanswered any more."""
    s = redis()
    g = gateway(s, "a")
    c = Charger(g, "FULL")
    c.boot()
    wait_event(s.client(), "FULL", "charge_point.booted")
    s.signal(signal.SIGSTOP)
    for i in range(60):
        c.call("DataTransfer", {"vendorId": "V", "data": "%d %s" % (i, "x" * 60000)})
    poll(lambda: g.stat("redis_pending") > 0, what="batches without an answer")
    s.kill()
    s.start()
    want = {e["eventId"] for e in g.events("all")}
    poll(lambda: want <= {e["eventId"] for e in s.client().entries(EV)}, 30 * SLOW, "all events")
    assert len(s.client().entries(EV)) == len(want)


@tidy
def test_a_successor_ships_the_events_of_its_dead_worker():
    s, r, g = one()
    for i in range(5):
        c = Charger(g, "K%d" % i)
        c.boot()
        for k in range(20):
            c.start(meter=k)
        g.kill_worker(0)
        poll(lambda: g.workers()[0]["state"] == "ready", what="the successor")
    want = [e["eventId"] for e in g.events("all")]
    poll(lambda: len(r.entries(EV)) >= len(g.events("all")) >= 5 * 22, what="all events")
    got = [e["eventId"] for e in r.entries(EV)]
    assert got[:len(want)] == want and len(got) == len(set(got))


@tidy
def test_journals_of_former_worker_slots_are_shipped_too():
    s, r, g = one(server_workers=3)
    s.kill()
    chargers = [Charger(g, "O%d" % w, worker=w) for w in range(3)]
    for c in chargers:
        c.boot()
    g.stop()
    g.settings["server_workers"] = 1
    g.start()
    s.start()
    r = s.client()
    for w in range(3):
        wait_event(r, "O%d" % w, "charge_point.booted")
    g.wait_log("slot 2, which has no worker any more, is shipped")


@tidy
def test_a_server_that_lost_its_last_second_gets_the_events_again():
    s = redis("--appendfsync", "no")
    r = s.client()
    g = gateway(s, "a")
    c = Charger(g, "CP1")
    c.boot()
    wait_event(r, "CP1", "charge_point.booted")
    r("BGREWRITEAOF")
    poll(lambda: "aof_rewrite_in_progress:0" in r("INFO", "persistence"))
    before = len(r.entries(EV))
    size = {n: os.path.getsize(os.path.join(s.dir, "appendonlydir", n))
            for n in os.listdir(os.path.join(s.dir, "appendonlydir"))}
    order(r, "CP1", commandId="lost")
    i, _, _ = c.take()
    c.result(i, {"status": "Accepted"})
    assert outcome(r, "CP1", "lost") == "result"
    c.start()
    wait_event(r, "CP1", "transaction.started")
    s.kill()
    for n in os.listdir(os.path.join(s.dir, "appendonlydir")):
        if n in size and n.endswith(".aof"):
            os.truncate(os.path.join(s.dir, "appendonlydir", n), size[n])
    s.start()
    r = s.client()
    wait_event(r, "CP1", "transaction.started")
    assert poll(lambda: outcomes(r, "CP1").get("lost")) == ["result"]
    got = [e["eventId"] for e in r.entries(EV)]
    assert len(got) == len(set(got)) == before + 3  # command.sent, command.response, transaction.started
    # The outcome that was reported again is counted once.
    order(r, "CP1", commandId="next")
    c.result(c.take()[0], {"status": "Accepted"})
    assert outcome(r, "CP1", "next") == "result"
    assert poll(lambda: g.stat("commands", "result") >= 2) and g.stat("commands", "result") == 2


@tidy
def test_acknowledged_events_are_removed_and_those_above_the_limit_with_a_warning():
    s, r, g = one(redis_stream_max=1000)
    c = Charger(g, "CP1")
    r("XGROUP", "CREATE", EV, "slow", "0", "MKSTREAM")
    i = 0
    while r("XLEN", EV) < 850:
        c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available",
                                      "info": str(i)})
        i += 1
    g.wait_log("above redis.stream_max")
    assert g.tell("health")["status"] != "healthy"
    while i < 1300:
        c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available",
                                      "info": str(i)})
        i += 1
    poll(lambda: g.stat("trimmed_unread") > 0, 15, "the cut")
    poll(lambda: r("XLEN", EV) <= 1100, what="removal of the events above the limit")


@tidy
def test_without_a_group_events_are_removed_by_age():
    s = redis("--stream-node-max-entries", "10")
    r = s.client()
    g = gateway(s, "a", redis_stream_age="1s")
    c = Charger(g, "CP1")
    for i in range(40):
        c.start(meter=i)
    poll(lambda: g.stat("trimmed") > 0, 30, "the trimming")
    poll(lambda: r("XLEN", EV) < 40)


# --- sessions --------------------------------------------------------------------


@tidy
def test_a_charge_point_moves_and_its_half_open_connection_is_closed():
    s, r, a, b = two()
    old = held(a, r, "CP1", "a")
    new = held(b, r, "CP1", "b")
    old.wait_closed(1008)
    order(r, "CP1", commandId="there")
    i, _, _ = new.take()
    new.result(i, {"status": "Accepted"})
    assert outcome(r, "CP1", "there") == "result"
    # The end of the old session does not affect the new one.
    assert session(r, "CP1")["node"] == "b" and not new.ended()
    assert b.stat("claims_stale") == 0


@tidy
def test_of_two_connections_made_while_redis_was_away_the_newer_one_wins():
    s, r, a, b = two()
    s.kill()
    poll(lambda: a.stat("redis_shards_ready") == 0 and b.stat("redis_shards_ready") == 0)
    first = Charger(a, "CP1")
    first.boot()
    # The clocks of the gateways agree only as exactly as Redis replies quickly.
    began = time.monotonic()
    poll(lambda: time.monotonic() > began + 0.3 * SLOW)
    second = Charger(b, "CP1")
    second.boot()
    s.start()
    r = s.client()
    held_by(r, "CP1", "b")
    first.wait_closed(1008)
    assert second.call("Heartbeat") and session(r, "CP1")["node"] == "b"


@tidy
def test_a_claim_whose_reply_was_lost_leaves_no_session():
    s, r, g = one(redis_timeout="1500ms")
    s.signal(signal.SIGSTOP)
    # The handshake waits 500 ms for the epoch; then its claim is in the server's socket
    # buffer.
    c = Charger(g, "CP1")
    poll(lambda: g.stat("redis_shards_ready") == 0, what="the end of redis.timeout")
    c.close()
    poll(lambda: not g.online("CP1"))
    s.signal(signal.SIGCONT)

    def over():
        got = session(r, "CP1")
        return got and got["state"] == "offline"
    poll(over, what="the end of the session in Redis")


@tidy
def test_sessions_of_a_dead_node_are_lost_and_commands_wait_for_the_next_session():
    s, r, a, b = two()
    c = held(a, r, "CP1", "a")
    a.kill_everything()
    poll(lambda: session(r, "CP1")["state"] == "lost", what="the state `lost` of the session")
    order(r, "CP1", commandId="w", ifOffline="wait")
    assert order(r, "CP1", commandId="f")["outcome"] == "offline"
    d = Charger(b, "CP1")
    d.boot()
    i, _, _ = d.take()
    d.result(i, {"status": "Accepted"})
    assert outcome(r, "CP1", "w") == "result"


@tidy
def test_two_gateways_of_one_name_are_reported_in_the_log():
    s = redis()
    first = gateway(s, "same")
    gateway(s, "same")
    first.wait_log("another gateway uses the name same/0", 15)


# --- from Redis to the charge point ----------------------------------------------------


@tidy
def test_a_command_in_redis_ends_with_the_right_outcome():
    s, r, g = one(ocpp_message_timeout="1s")
    c = held(g, r, "CP1", "a")
    order(r, "CP1", commandId="result")
    order(r, "CP1", commandId="error")
    order(r, "CP1", commandId="invalid", payload='{"type":"Warm"}')
    order(r, "CP1", commandId="unknown", action="Bogus")
    order(r, "CP1", commandId="timeout")
    i, action, payload = c.take()
    assert (action, payload) == ("Reset", {"type": "Soft"})
    c.result(i, '{"status": "Accepted"}')
    i, _, _ = c.take()
    c.error(i, "InternalError", "it \"broke\"", '{"n": 1.10}')
    assert outcome(r, "CP1", "result") == "result" and outcome(r, "CP1", "error") == "error"
    e = [json.loads(e["payload"]) for e in events(r, "CP1", "command.response")]
    assert e[0]["payload"] == {"status": "Accepted"} and e[0]["action"] == "Reset"
    assert e[1]["error"] == {"code": "InternalError", "description": "it \"broke\"", "details": {"n": 1.1}}
    assert outcome(r, "CP1", "invalid") == "invalid" and outcome(r, "CP1", "unknown") == "invalid"
    c.take()
    assert outcome(r, "CP1", "timeout") == "timeout"
    order(r, "CP1", commandId="uncertain")
    c.take()
    order(r, "CP1", commandId="behind")
    c.reset()
    assert outcome(r, "CP1", "uncertain") == "uncertain" and outcome(r, "CP1", "behind") == "offline"
    assert order(r, "CP1", commandId="offline")["outcome"] == "offline"
    order(r, "CP1", commandId="expired", ifOffline="wait", deadline="100ms")
    assert outcome(r, "CP1", "expired") == "expired"
    order(r, "CP1", commandId="cancelled", ifOffline="wait")
    assert fcall(r, "cancel", "CP1", "cancelled")["outcome"] == "expired"
    assert g.stats("commands")["commands"]["result"] == 1


@tidy
def test_a_command_sent_before_a_crash_is_sent_again_only_if_it_is_idempotent():
    s, r, g = one()
    c = Charger(g, "CP1")
    c.boot()
    for how, idempotent in (("once", "no"), ("again", "yes")):
        held_by(r, "CP1", "a")
        order(r, "CP1", commandId=how, idempotent=idempotent, ifOffline="wait")
        order(r, "CP1", commandId=how + "-next", ifOffline="wait")
        c.take()
        g.kill_worker(0)
        poll(lambda: g.workers()[0]["state"] == "ready")
        c = Charger(g, "CP1")
        c.boot()
        for name in ([how] if idempotent == "yes" else []) + [how + "-next"]:
            i, _, _ = c.take()
            c.result(i, {"status": "Accepted"})
            assert outcome(r, "CP1", name) == "result"
    assert outcomes(r, "CP1")["once"] == ["uncertain"]


@tidy
def test_a_command_waits_for_a_charge_point_that_has_not_booted():
    s, r, g = one(ocpp_call_hold="1m")
    order(r, "CP1", commandId="w", ifOffline="wait")
    c = Charger(g, "CP1")
    held_by(r, "CP1", "a")
    c.silence()
    assert fcall(r, "command", "CP1", "w")["state"] == "queued"
    c.boot()
    i, _, _ = c.take()
    c.result(i, {"status": "Accepted"})
    assert outcome(r, "CP1", "w") == "result"


@tidy
def test_an_answer_given_while_redis_is_away_is_not_lost():
    s, r, g = one()
    c = held(g, r, "CP1", "a")
    order(r, "CP1", commandId="x")
    i, _, _ = c.take()
    s.kill()
    poll(lambda: g.stat("redis_shards_ready") == 0)
    c.result(i, {"status": "Accepted"})
    c.call("Heartbeat")
    assert g.stat("outcomes_waiting") == 1
    s.start()
    r = s.client()
    assert outcome(r, "CP1", "x") == "result"


@tidy
def test_a_claim_before_a_refused_outcome_reports_the_command_as_in_flight():
    """The server refuses the outcome and accepts the claim that follows, which may happen when
    its memory is short. The claim must not report that no command is in flight."""
    s = redis()
    r = s.client()
    g = gateway(s, "a")
    c = Charger(g, "CP1")
    c.boot()
    held_by(r, "CP1", "a")
    right = library()
    r("FUNCTION", "LOAD", "REPLACE", right.replace("\nadd('finish', finish)\n",
      "\nadd('finish', function() return redis.error_reply('ERR not now') end)\n"))
    order(r, "CP1", commandId="x", deadline="1s")
    order(r, "CP1", commandId="y", action="ClearCache", payload="{}")
    i, action, _ = c.take()
    assert action == "Reset"
    c.result(i, {"status": "Accepted"})
    poll(lambda: g.stat("outcomes_waiting") == 1, what="a refused outcome")
    claims = g.stat("claims")
    r("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    poll(lambda: g.stat("claims") > claims, what="the next claim")
    assert fcall(r, "command", "CP1", "x")["state"] == "sent"
    r("FUNCTION", "LOAD", "REPLACE", right)
    assert outcome(r, "CP1", "x") == "result"
    i, action, _ = c.take()
    assert action == "ClearCache"
    c.result(i, {"status": "Accepted"})
    assert outcome(r, "CP1", "y") == "result"


# --- answers of the platform, transaction ids --------------------------------------------


@tidy
def test_a_call_gets_the_answer_of_the_platform_or_the_fallback():
    s = redis()
    r = s.client()
    g = gateway(s, "a", answers_Authorize="platform", answers_Authorize_fallback="blocked",
                answers_BootNotification="platform", answers_StartTransaction="platform",
                answers_Heartbeat="platform")

    asked = iter(range(1000))

    def answer(action, payload):
        n = next(asked)
        e = wait_event(r, "CP1", "answer.requested", n + 1)[n]
        assert e["action"] == action and e["generation"] and "answer" not in e
        return r("FCALL", "ocppd_answer", 1, "CP1", e["replyToken"], payload), e

    def last(type, by, payload):
        e = wait_event(r, "CP1", type)[-1]
        assert e["answeredBy"] == by and json.loads(e["answer"]) == payload, e
        return e
    c = Charger(g, "CP1")
    i = c.put("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    assert answer("BootNotification", '{"currentTime":"2026-01-01T00:00:00Z","interval":7,'
                  '"status":"Rejected"}')[0] == "taken"
    assert c.get(i) == {"currentTime": "2026-01-01T00:00:00Z", "interval": 7, "status": "Rejected"}
    order(r, "CP1", commandId="held")
    c.silence()
    i = c.put("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    answer("BootNotification", '{"currentTime":"2026-01-01T00:00:00Z","interval":7,"status":"Accepted"}')
    c.get(i)
    k, _, _ = c.take()
    c.result(k, {"status": "Accepted"})
    i = c.put("Authorize", {"idTag": "T"})
    poll(lambda: g.stat("platform_waiting") == 1)
    done, e = answer("Authorize", '{"idTagInfo":{"status":"ConcurrentTx"}}')
    assert done == "taken"
    assert c.get(i) == {"idTagInfo": {"status": "ConcurrentTx"}}
    assert last("authorization.requested", "platform", {"idTagInfo": {"status": "ConcurrentTx"}})["question"] \
        == e["replyToken"]
    assert r("FCALL", "ocppd_answer", 1, "CP1", e["replyToken"], "{}") == "late"
    # The platform answers invalidly and then no more, so the fallback is sent.
    i = c.put("Authorize", {"idTag": "U"})
    done, e = answer("Authorize", '{"idTagInfo":{"status":"Maybe"}}')
    assert done.startswith("invalid: idTagInfo: "), done
    assert c.get(i) == {"idTagInfo": {"status": "Blocked"}}
    assert g.stat("platform_fallbacks") == 1
    poll(lambda: len(events(r, "CP1", "authorization.requested")) == 2)
    last("authorization.requested", "fallback", {"idTagInfo": {"status": "Blocked"}})
    assert r("FCALL", "ocppd_answer", 1, "CP1", e["replyToken"], '{"idTagInfo":{"status":"Accepted"}}') == "late"
    # The function accepts this payload, but it breaks the schema. The platform may answer
    # again.
    i = c.put("Authorize", {"idTag": "V"})
    done, e = answer("Authorize", '{"idTagInfo":{"status":"Accepted","expiryDate":"2026-02-30T00:00:00Z"}}')
    assert done == "taken"
    g.wait_log("the platform's answer cannot be used")

    def again():
        return r("FCALL", "ocppd_answer", 1, "CP1", e["replyToken"], '{"idTagInfo":{"status":"Expired"}}') == "taken"
    poll(again)
    assert c.get(i) == {"idTagInfo": {"status": "Expired"}}
    assert g.stat("platform_refused") == 1
    # The platform chooses the id of a transaction. When its StartTransaction is sent again, it
    # is the same transaction.
    ask = dict(connectorId=1, idTag="T", meterStart=0, timestamp="2026-01-31T12:00:00Z")
    before = g.stat("messages_in")
    i = c.put("StartTransaction", ask)
    k = c.put("StartTransaction", ask)
    poll(lambda: g.stat("messages_in") == before + 2)
    answer("StartTransaction", '{"transactionId":777,"idTagInfo":{"status":"Accepted"}}')
    assert c.get(k)["transactionId"] == 777
    assert c.call("StartTransaction", ask)["transactionId"] == 777
    assert len(events(r, "CP1", "transaction.started")) == 1
    i = c.put("Heartbeat", {})
    answer("Heartbeat", '{"currentTime":"2026-01-01T00:00:00Z"}')
    assert c.get(i) == {"currentTime": "2026-01-01T00:00:00Z"}


@tidy
def test_an_answer_of_the_platform_that_would_end_the_connection_is_not_sent():
    """The answer is too long for the output buffer of the connection. The platform may give a
    shorter one; otherwise the fallback is sent."""
    s = redis()
    r = s.client()
    g = gateway(s, "a", answers_DataTransfer="platform", websocket_max_output_size="16KiB")
    c = Charger(g, "CP1")
    long = json.dumps({"status": "Accepted", "data": "x" * 20000})
    for n in range(2):
        i = c.put("DataTransfer", {"vendorId": "V"})
        token = wait_event(r, "CP1", "answer.requested", n + 1)[n]["replyToken"]
        assert r("FCALL", "ocppd_answer", 1, "CP1", token, long) == "taken"
        g.wait_log("cannot be used: it is longer than websocket.max_output_size permits")
        poll(lambda: g.stat("platform_refused") == n + 1)
        if n:
            assert c.get(i) == {"status": "UnknownVendorId"}
        else:
            poll(lambda: r("FCALL", "ocppd_answer", 1, "CP1", token, '{"status":"Accepted"}') == "taken")
            assert c.get(i) == {"status": "Accepted"}
    assert [e["answeredBy"] for e in wait_event(r, "CP1", "data_transfer.received", 2)] == \
        ["platform", "fallback"]


@tidy
def test_requests_are_counted_until_they_are_answered():
    s, r, g = one(redis_timeout="20s")
    c = held(g, r, "CP1", "a")
    poll(lambda: g.stat("redis_pending") == 0, what="the replies to all requests")
    s.signal(signal.SIGSTOP)
    c.start()  # its event is sent to Redis
    poll(lambda: g.stat("redis_pending") > 0, what="a request without a reply")
    text = g.run("-p", "stats").stdout
    assert re.search(r"^ocppd_redis_requests_pending(\{.*\})? [1-9]", text, re.M), text
    s.signal(signal.SIGCONT)
    poll(lambda: g.stat("redis_pending") == 0, what="the replies to all requests")
    # The question to a platform that does not answer ends.
    s.signal(signal.SIGSTOP)
    c.start()
    poll(lambda: g.stat("redis_pending") > 0, what="a request without a reply")
    s.kill()
    poll(lambda: g.stat("redis_pending") == 0, what="the end of the connection to Redis")


@tidy
def test_while_redis_is_stopped_no_connection_is_closed_and_fallbacks_are_sent():
    s, r, g = one(answers_Authorize="platform")
    c = held(g, r, "CP1", "a")
    s.signal(signal.SIGSTOP)
    end = time.monotonic() + (30 if LONG else 6)
    n = 0
    while time.monotonic() < end:
        n += 1
        assert c.start(meter=n)["transactionId"] > 0
        assert c.call("Authorize", {"idTag": "T"}, timeout=5)["idTagInfo"]["status"] == "Accepted"
    s.signal(signal.SIGCONT)
    poll(lambda: g.stat("redis_shards_ready") == 1 and g.stat("ship_lag_ms") == 0, 30, "the shipping")
    assert len(wait_event(r, "CP1", "transaction.started", n)) == n
    held_by(r, "CP1", "a")
    order(r, "CP1", commandId="after")
    i, _, _ = c.take()
    c.result(i, {"status": "Accepted"})
    assert outcome(r, "CP1", "after") == "result"
    got = [e["eventId"] for e in r.entries(EV)]
    assert len(got) == len(set(got))


@tidy
def test_transaction_ids_are_unique_over_nodes_even_if_redis_loses_its_data():
    s = redis()
    a, b = gateway(s, "a", server_workers=2), gateway(s, "b", server_workers=2)
    chargers = [Charger(g, "T%d" % i) for i, g in enumerate((a, b, a, b))]
    ids = [c.start(meter=i)["transactionId"] for i in range(100) for c in chargers]
    s.kill()
    for g in (a, b):
        g.stop()
        g.start()
    chargers = [Charger(g, "T%d" % i) for i, g in enumerate((a, b, a, b))]
    ids += [c.start(meter=1000 + i)["transactionId"] for i in range(300) for c in chargers]
    assert len(set(ids)) == 400 + 1200 and min(ids) > 0


# --- failures --------------------------------------------------------------------------------


@tidy
def test_a_password_file_that_is_a_pipe_does_not_stop_other_connections():
    """Opening a pipe without a writer would block the thread that looks up names."""
    s = redis("--requirepass", "secret")
    g = Gateway(start=False, redis_host="127.0.0.1", redis_port=s.port,
                server_workers=1)
    path = g.settings["redis_password_file"] = g.dir + "/pw"
    for make, remove in ((os.mkfifo, os.unlink), (os.mkdir, os.rmdir)):
        make(path)
        g.start()
        g.wait_log("redis.password_file = %s cannot be read: it is not a regular" % path)
        poll(lambda: g.tell("health")["redis"]["status"] == "auth")
        remove(path)
        with open(path, "w") as f:
            f.write("secret\n")
        poll(lambda: g.stat("redis_shards_ready") == 1, 20, "the connection")
        g.stop()
        os.unlink(path)


@tidy
def test_each_fault_of_the_server_has_its_line_in_the_log_and_its_status():
    s = redis("--requirepass", "secret")
    g = Gateway(server_node="a", redis_host="127.0.0.1", redis_port=s.port, server_workers=1,
                websocket_idle_timeout="60s")
    g.wait_log("it requires a password; set redis.password_file")
    assert g.tell("health")["redis"]["status"] == "auth"
    g.stop()
    with open(g.dir + "/pw", "w") as f:
        f.write("wrong\n")
    g.settings["redis_password_file"] = g.dir + "/pw"
    g.start()
    g.wait_log("AUTH is refused: WRONGPASS")
    with open(g.dir + "/pw", "w") as f:
        f.write("secret\n")
    poll(lambda: g.stat("redis_shards_ready") == 1, 20, "the connection")
    c = Charger(g, "CP1")
    c.boot()
    r = s.client()
    r("AUTH", "secret")

    def of_cp1():
        return sum(e.get("chargePointId") == "CP1" for e in r.entries(EV))
    poll(lambda: of_cp1() == 2)
    wait_ids(g)  # without memory the server reserves no ids
    # The server has no memory: no event is lost, and the gateway continues without help.
    r("CONFIG", "SET", "maxmemory", "1")
    c.start()
    g.wait_log("OOM .*events wait in the journal")
    assert g.tell("health")["redis"]["status"] == "oom"
    r("CONFIG", "SET", "maxmemory", "0")
    poll(lambda: of_cp1() == 3, 15, "the shipping after OOM")
    g.wait_log("takes requests again")
    # The server becomes a replica, as after a failover.
    r("REPLICAOF", "127.0.0.1", "1")
    c.start(meter=2)
    g.wait_log("it is a replica and takes no writes")
    r("REPLICAOF", "NO", "ONE")
    poll(lambda: of_cp1() == 4, 20, "the shipping after the failover")
    c.call("Heartbeat")
    # The number of shards changes.
    h = Gateway(server_node="b", redis_host="127.0.0.1", redis_port=s.port, redis_password="secret",
                redis_shards=4, server_workers=1)
    h.wait_log("has 1 shards and redis.shards is 4; it must be the same on all gateways")
    assert "secret" not in h.ctl("config", json_=False)
    h.stop()
    # The functions are removed.
    r("FUNCTION", "FLUSH")
    c.start(meter=3)
    poll(lambda: of_cp1() == 5, 20, "the functions' return")


# --- load and disturbances ---------------------------------------------------------------------


def storm(s, gateways, seconds, disturb, chargers=6):
    """Charge points have sessions and move, a platform sends commands to them, and there are
    disturbances. Returns the acknowledged transactions and the commands."""
    stop = threading.Event()
    acked, sent, lock = [], [], threading.Lock()

    def charge(n):
        rnd, cp, k, c = random.Random(n), "X%d" % n, 0, None
        while not stop.is_set():
            try:
                if c is None:
                    c = Charger(rnd.choice(gateways), cp, timeout=4)
                    c.boot()
                dice = rnd.random()
                if dice < 0.02:
                    c.reset()
                    c = None
                    continue
                k += 1
                when = "2026-01-31T12:%02d:%02dZ" % (k // 60 % 60, k % 60)
                c.start(meter=k, when=when)
                with lock:
                    acked.append((cp, k))
                while c.calls:
                    i, _, _ = c.take()
                    c.result(i, {"status": "Accepted"})
            except (OSError, Closed, TimeoutError, AssertionError):
                if c is not None and c.sock is not None:
                    c.sock.close()
                c = None
        if c is not None and c.sock is not None:
            c.sock.close()

    def command():
        rnd, r, k = random.Random(99), None, 0
        while not stop.is_set():
            k += 1
            cp, name = "X%d" % rnd.randrange(chargers), "s%d" % k
            options = json.dumps({"commandId": name, "ifOffline": rnd.choice(("fail", "wait")),
                                  "idempotent": rnd.choice(("yes", "no")), "deadline": "20s" if LONG else "8s"})
            while not stop.is_set():
                try:
                    r = r or Client(s.port, 5)
                    r("FCALL", "ocppd_call", 1, cp, options, "Reset", '{"type":"Soft"}')
                    with lock:
                        sent.append((cp, name, time.monotonic()))
                    break
                except (OSError, Error, ConnectionError):
                    r = None
                    stop.wait(0.02)
            stop.wait(0.005)    # about 200 commands a second

    threads = [threading.Thread(target=charge, args=(n,)) for n in range(chargers)]
    threads.append(threading.Thread(target=command))
    for t in threads:
        t.start()
    end = time.monotonic() + seconds

    def until(done, more):
        """Waits until the list has that many further entries, or the load has ended."""
        n = len(done) + more
        while len(done) < n and time.monotonic() < end:
            time.sleep(0.005)

    while time.monotonic() < end:
        disturb(lambda n: until(acked, n), lambda n: until(sent, n))
    stop.set()
    for t in threads:
        t.join()
    return acked, sent


def in_order(g, r):
    """Checks that every event of the gateway is in the stream once, and that those of each
    charge point are in the order of their numbers."""
    poll(lambda: g.stat("redis_shards_ready") >= 1, 30, "Redis")
    want = {e["eventId"] for e in g.events("all")}
    poll(lambda: want <= {e["eventId"] for e in r.entries(EV)}, 60, "all events in the stream")
    got = [e for e in r.entries(EV) if not e["eventId"].split("-")[1].startswith("r")]
    assert len(got) == len({e["eventId"] for e in got}), "an event is in the stream twice"
    last = {}
    for e in got:
        assert "after" not in e
        assert last.get(e["chargePointId"], "") < e["eventId"], \
            "%s of %s comes behind %s" % (e["eventId"], e["chargePointId"], last[e["chargePointId"]])
        if e["chargePointId"]:
            last[e["chargePointId"]] = e["eventId"]
    return got


@tidy
def test_the_end_of_a_session_of_a_dead_gateway_waits_for_earlier_events():
    """The event is in the journal of the session's worker, and the newest event of the charge
    point is in another journal. The event names the one that must be shipped first."""
    s = redis()
    g = gateway(s, "a", server_workers="2")
    poll(lambda: g.stat("redis_shards_ready") >= 1, 30, "Redis")
    s.kill()
    old = Charger(g, "CP1", worker=0)
    old.boot()
    new = Charger(g, "CP1", worker=1)
    new.boot()
    poll(lambda: g.events("charge_point.disconnected", "CP1"), what="the end of the former session")
    g.kill_everything()
    s.start()
    g.start()
    in_order(g, s.client())
    ends = [json.loads(e["payload"])["reason"] for e in s.client().entries(EV)
            if e["eventType"] == "charge_point.disconnected" and e["chargePointId"] == "CP1"]
    assert ends == ["replaced", "gateway_died"], ends
    died = [l for f in glob.glob(g.state_dir + "/journal/*.jsonl") for l in open(f) if '"gateway_died"' in l]
    assert len(died) == 1 and '"after":' in died[0], died


@tidy
def test_an_event_that_the_platform_answers_keeps_its_place_between_two_workers():
    """The next event of the charge point, at another worker, is shipped after it."""
    s = redis()
    r = s.client()
    g = gateway(s, "a", server_workers=2, answers_DataTransfer="platform")
    poll(lambda: g.stat("redis_shards_ready") == 2)
    first = Charger(g, "CP1", worker=1)
    first.boot()
    first.put("DataTransfer", {"vendorId": "V"}, "m1")
    [e] = wait_event(r, "CP1", "answer.requested")
    r("FCALL", "ocppd_answer", 1, "CP1", e["replyToken"], json.dumps({"status": "Accepted"}))
    assert first.get("m1") == {"status": "Accepted"}
    [answered] = g.wait_events(cp="CP1", type="data_transfer.received")
    Charger(g, "CP1", worker=0).boot()
    lines = [l for f in glob.glob(g.state_dir + "/journal/w000-*.jsonl") for l in open(f)
             if '"charge_point.connected"' in l and '"CP1"' in l]
    assert len(lines) == 1 and '"after":"001:%s"' % answered["eventId"][:16] in lines[0], (answered, lines)


def name_after(line, after):
    """Changes a line of a journal so that it names that event as the one that must be shipped
    first."""
    text = line.rpartition(',"crc32c":"')[0] + ',"after":"%s"' % after
    return text + ',"crc32c":"%08x"}' % crc32c(text.encode())


@tidy
def test_a_session_whose_generation_was_raised_ends_once():
    """A claim raises the generation of a session if Redis has a higher epoch. The worker that
    ends the session of a dead worker knows only the first generation; and after a move the
    beginning and the rest of the session are in two journals."""
    s = redis()
    r = s.client()
    g = gateway(s, "a", server_workers=2)
    points = ["BURIED"] + ["MOVED%d" % i for i in range(4)]

    chargers = {cp: Charger(g, cp, worker=int(cp != "BURIED")) for cp in points}
    for cp, c in chargers.items():
        c.boot()
        held_by(r, cp, "a")
        r("HSET", S + "cp:" + cp, "epoch", int((time.time() + 60) * 1e6))
    claims = g.stat("claims")
    r("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    poll(lambda: g.stat("claims") == claims + len(points), what="the next claim of each session")
    for cp, c in chargers.items():
        c.call("DataTransfer", {"vendorId": "raised"})
        begin, later = (g.wait_events(cp=cp, type=t)[0]["generation"] for t in (
            "charge_point.connected", "data_transfer.received"))
        assert begin < later, (begin, later)

    def ends():
        return {cp: [e["payload"]["reason"] for e in g.events("charge_point.disconnected", cp=cp)] for cp in points}
    g.kill_worker(0)
    poll(lambda: all(w["state"] == "ready" for w in g.workers()) and ends()["BURIED"], what="the readiness of a new worker")
    g.ctl("rebalance", json_=False)
    poll(lambda: "rebalance: done, 2 connections have moved" in g.log(), what="the move")
    for cp in points[1:]:
        chargers[cp].call("DataTransfer", {"vendorId": "moved"})
    for life in range(2):
        g.kill_everything()
        g.start()
        Charger(g, "AFTER%d" % life).boot()
        for cp in points:
            g.wait_events(cp=cp, type="charge_point.disconnected")
        assert ends() == dict({cp: ["gateway_died"] for cp in points}, BURIED=["worker_died"]), ends()


@tidy
def test_the_event_of_a_command_in_redis_has_an_id_of_its_own():
    """The gateway draws its number, which is in no journal. After the death of the gateway the
    clock is set back to before that number."""
    s, shim = redis(), Shim()
    r = s.client()
    shim.put(8 * CLOCK_MS, struct.pack("=q", 3600 * 1000))
    g = gateway(s, "a", env=shim.env)
    chargers = [Charger(g, "CP%d" % n) for n in range(8)]
    for n, c in enumerate(chargers):
        c.boot()
        held_by(r, "CP%d" % n, "a")
        r("FCALL", "ocppd_call", 1, "CP%d" % n, json.dumps({"commandId": "C%d" % n}), "ClearCache", "{}")
    for c, id in [(c, c.take()[0]) for c in chargers]:
        c.result(id, {"status": "Accepted"})
    outcomes = poll(lambda: [e["eventId"] for e in r.entries(EV) if e["eventType"] == "command.response"][7:] and
                    [e["eventId"] for e in r.entries(EV) if e["eventType"] == "command.response"], what="the outcomes")
    g.kill_everything()
    shim.put(8 * CLOCK_MS, struct.pack("=q", 0))
    g.start()
    _, started = poll(lambda: len(g.events("gateway.started")) == 2 and
                      [e["eventId"] for e in g.events("gateway.started")], what="the event gateway.started")
    assert started > max(outcomes), (started, outcomes)
    Charger(g, "AFTER").boot()
    wait_event(r, "AFTER", "charge_point.booted")
    ids = [e["eventId"] for e in r.entries(EV)]
    assert len(ids) == len(set(ids))


@tidy
def test_the_first_event_of_a_start_waits_for_all_earlier_events():
    """The event may have the first number that the new process has drawn."""
    s = redis()
    g = gateway(s, "a", server_workers="2")
    s.kill()
    for n in (0, 1):
        Charger(g, "CP%d" % n, worker=n).boot()
    g.kill_everything()
    path = max(glob.glob(g.state_dir + "/journal/w001-*.jsonl"))
    with open(path) as f:
        lines = f.read().splitlines()
    event = json.loads(lines[0])
    assert event["chargePointId"] == "CP1" and event["after"].startswith("999:"), event
    lines[0] = name_after(lines[0].replace(',"after":"%s"' % event["after"], ""),
                          "999:" + event["eventId"][:16])
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    g.start()
    held = g.worker_pid(0)
    os.kill(held, signal.SIGSTOP)
    s.start()
    g.wait_log("worker 1: ships journal 1 from")
    end = time.monotonic() + 0.3  # an event that does not wait would be in the stream before
    poll(lambda: time.monotonic() > end)
    os.kill(held, signal.SIGCONT)
    r = s.client()
    for n in (0, 1):
        wait_event(r, "CP%d" % n, "charge_point.booted")
    order = [e["chargePointId"] for e in r.entries(EV) if e["eventType"] == "charge_point.booted"]
    assert order == ["CP0", "CP1"], order


@tidy
def test_an_event_that_names_a_later_one_does_not_wait_for_it():
    """No gateway writes such an event: the journals were damaged or edited. Two events that name
    each other would wait for ever."""
    s = redis()
    g = gateway(s, "a", server_workers="2")
    s.kill()
    for n in (0, 1):
        c = Charger(g, "CP%d" % n, worker=n)
        c.boot()
        c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
    g.kill_everything()
    for n in (0, 1):
        path = max(glob.glob(g.state_dir + "/journal/w00%d-*.jsonl" % n))
        with open(path) as f:
            lines = f.read().splitlines()
        at = next(i for i, line in enumerate(lines) if '"StatusNotification"' in line)
        number = int(json.loads(lines[at])["eventId"][:16], 16)
        lines[at] = name_after(lines[at], "00%d:%016x" % (1 - n, number + (1 << 40)))
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")
    s.start()
    g.start()
    r = s.client()
    for cp in ("CP0", "CP1"):  # the events that follow it
        poll(lambda: any(e["eventType"] == "charge_point.disconnected" and e["chargePointId"] == cp
                         for e in r.entries(EV)))
    assert [e.get("action") for e in r.entries(EV)].count("StatusNotification") == 2


@tidy
def test_events_shipped_with_another_prefix_are_shipped_with_the_new_one_too():
    """A file beside the journal records how far it was shipped, and to which server."""
    s = redis()
    g = gateway(s, "a")
    c = Charger(g, "CP1")
    c.boot()
    wait_event(s.client(), "CP1", "charge_point.booted")
    hints = g.state_dir + "/journal/w000.shipped"
    poll(lambda: os.path.exists(hints), what="the file beside the journal")
    g.stop()
    text = open(hints).read()
    assert "of ocppd id" in text, text
    g.settings["redis_prefix"] = "other"
    g.start()
    r = s.client()
    poll(lambda: any(e["chargePointId"] == "CP1" for e in r.entries("other:events:0")))
    ids = [e["eventId"] for e in r.entries("other:events:0")]
    assert set(e["eventId"] for e in r.entries(EV)) <= set(ids)
    assert "has lost events" not in g.log()


@tidy
def test_numbers_in_redis_that_cannot_be_right_are_ignored():
    s, r, g = one()
    c = held(g, r, "CP1", "a")
    wrong = ["-1", "99999999999999999999", "0x7fffffffffff", "1e15", str(1 << 63), str((1 << 53) + 1), " 9007199254740991", "+1", ""]
    for epoch in wrong:
        r("XADD", S + "inbox:a/0", "*", "what", "replaced", "identity", "CP1", "by", "evil", "epoch", epoch)
    r("XADD", S + "inbox:a/0", "*", "what", "replaced", "identity", "CP1", "by", "old", "epoch", "1")
    order(r, "CP1", commandId="behind")  # its entry is read after the wrong ones
    i, _, _ = c.take()
    c.result(i, {"status": "Accepted"})
    assert outcome(r, "CP1", "behind") == "result"
    assert session(r, "CP1")["node"] == "a" and not c.ended()
    assert g.stat("redis_unusable") == len(wrong)
    assert "-1 is not a number from 0 to" in g.log()
    assert g.log().count("is not a number from 0 to") == 1  # one line a minute
    # The gateway finds such a cursor when it starts.
    key = next(k for k in r("KEYS", "*:cursor:*"))
    kept = r("GET", key)
    g.stop()
    r("SET", key, "-1")
    g.start()
    poll(lambda: "is not the number of an event" in g.log())
    assert "is repaired or deleted" in g.log()
    d = Charger(g, "CP2")
    d.boot()                                # the charge point is served
    r("SET", key, kept)
    wait_event(r, "CP2", "charge_point.booted")


@tidy
def test_the_events_of_a_charge_point_that_changes_its_worker_often_are_in_order():
    seed = int(os.environ.get("OCPPD_TEST_SEED", "7"))
    rng = random.Random(seed)
    s = redis()
    g = gateway(s, "a", server_workers="4")
    here = {}

    def hop(n):
        for _ in range(n):
            cp = "H%d" % rng.randrange(12)
            c = here.pop(cp, None)
            if c is not None and rng.random() < .5:  # otherwise the new connection replaces the old one
                c.sock.close()
            here[cp] = c = Charger(g, cp, worker=rng.randrange(4))
            c.boot()
            for _ in range(rng.randrange(3)):
                c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
    hop(40)
    s.kill()  # while Redis is away, workers and the gateway die
    hop(40)
    g.kill_worker(rng.randrange(4))
    poll(lambda: all(w["state"] == "ready" for w in g.workers()), what="the readiness of all workers")
    hop(40)
    g.kill_everything()
    here.clear()
    g.start()
    hop(40)
    s.start()
    hop(40)
    got = in_order(g, s.client())
    assert len(got) > 400, len(got)
    # The consumer of the manual page prints every event.
    from redis_manual import example
    p = subprocess.Popen(["/usr/bin/python3", example("consumer.py", g.dir), "127.0.0.1", str(s.port), "all", "one"],
                         stdout=subprocess.PIPE, text=True)
    try:
        want, printed = {e["eventId"] for e in got}, set()
        while printed < want:
            line = p.stdout.readline()
            assert line, "the consumer has ended"
            printed.add(json.loads(line)["eventId"])
    finally:
        p.kill()
        p.communicate()


@tidy
def test_a_remembered_answer_that_is_not_a_json_object_is_not_sent():
    """Another client may have written any text into Redis."""
    s, r, a, b = two()
    for n, text in enumerate(("[", "[]", "x" * 190, "{}\0", '{"transactionId":1', "{}\n{}")):
        for state in ("known", "draft"):
            cp = "ODD%d%s" % (n, state)
            Charger(a, cp).start()
            key = S + "starts:" + cp
            # Wait until the event is shipped, because that writes the state too.
            poll(lambda: [v for v in r("HVALS", key) if v.startswith("known ")])
            for fingerprint in r("HKEYS", key):
                r("HSET", key, fingerprint, "%s 1 %s" % (state, text))
            got = Charger(b, cp).start()
            assert got["idTagInfo"] == {"status": "Accepted"}, got
            e = b.wait_events(cp=cp, type="transaction.started")
            assert e[0]["answer"] == got and e[0]["deviations"] == ["start_unchecked"], e


@tidy
def test_a_segment_whose_first_commit_failed_is_shipped_completely():
    """Redis is reachable again before that, so the segment is read from its file."""
    s = redis()
    r = s.client()
    orders = tempfile.NamedTemporaryFile(prefix="ocppd-shim-")
    os.truncate(orders.name, 4096)
    os.chmod(orders.name, 0o666)
    g = gateway(s, "a", env={
        "LD_PRELOAD": os.path.join(B, "fault_shim.so"), "OCPPD_FAULTS": orders.name,
        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"})
    sync_fails = lambda errno, ms: os.pwrite(orders.fileno(), struct.pack("=qq", errno, ms), 16)
    c = Charger(g, "CP1")
    data = {"vendorId": "v", "data": "y" * 3000}
    n = 30
    sync_fails(5, 500)
    ids = [c.put("DataTransfer", data) for _ in range(n)]
    poll(lambda: g.stat("journal_failing"))
    s.kill()
    s.start()
    r = s.client()
    poll(lambda: g.stat("redis_shards_ready") == 1)
    failed = lambda: struct.unpack("=q", os.pread(orders.fileno(), 8, 8 * 18))[0]
    before = failed()
    poll(lambda: failed() > before + 1, what="another failed commit")
    sync_fails(0, 0)
    for i in ids:
        c.get(i)
    c.call("DataTransfer", data)
    wait_event(r, "CP1", "data_transfer.received", n + 1)


class Silent:
    """A connection to Redis on which the replies to one worker can be held back."""

    def __init__(self, port, name):
        self.name, self.held = name, threading.Event()
        self.to, self.listener = port, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            a, _ = self.listener.accept()
            try:
                b = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                a.close()  # the Redis of a test that is over
                continue
            names = []
            threading.Thread(target=self.pump, args=(a, b, names), daemon=True).start()
            threading.Thread(target=self.pump, args=(b, a, names, True), daemon=True).start()

    def pump(self, x, y, names, replies=False):
        try:
            while True:
                data = x.recv(1 << 16)
                if self.name in data:
                    names.append(self.name)
                while replies and names and self.held.is_set():
                    time.sleep(0.01)
                y.sendall(data)
                if not data:
                    return
        except OSError:
            pass


@tidy
def test_an_event_that_waits_for_another_worker_takes_no_processor_time():
    s = redis()
    way = Silent(s.port, b"a/0")
    g = gateway(way, "a", server_workers=2, redis_timeout="60s")
    poll(lambda: g.stat("redis_shards_ready") == 2)
    c = Charger(g, "WAITS", worker=0)
    c.boot()
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    c.call("StatusNotification", status)
    r = s.client()
    wait_event(r, "WAITS", "connector.status_changed")
    way.held.set()
    for _ in range(3):  # the last of them is not sent to Redis yet
        c.call("StatusNotification", status)
    c = Charger(g, "WAITS", worker=1)
    c.call("StatusNotification", status)
    pid = g.worker_pid(1)

    def busy():
        """Returns the seconds for which the worker has run or was ready to run (proc(5))."""
        with open("/proc/%d/schedstat" % pid) as f:
            return sum(map(int, f.read().split()[:2])) / 1e9
    before, began = busy(), time.monotonic()
    poll(lambda: time.monotonic() > began + 2)
    share = (busy() - before) / (time.monotonic() - began)
    c.call("Heartbeat")
    assert g.stat("ship_lag_ms") > 1000, "no event has waited"
    way.held.clear()
    wait_event(r, "WAITS", "connector.status_changed", 5)
    assert share < 0.5, "the worker was ready to run for %.0f %% of the time" % (100 * share)


@tidy
def test_events_are_shipped_in_order_if_one_between_them_is_lost():
    """The events of a charge point on worker 0 wait to be shipped. The charge point connects to
    worker 1, which dies before it has written the event that names worker 0."""
    s, shim = redis(), Shim()
    way = Silent(s.port, b"a/0")
    g = gateway(way, "a", server_workers=2, redis_timeout="60s", env=shim.env)
    g.deaths_expected = True
    poll(lambda: g.stat("redis_shards_ready") == 2)
    c = Charger(g, "HOPS", worker=0)
    c.boot()
    way.held.set()
    for _ in range(10):         # more events than are sent without a reply
        c.call("DataTransfer", {"vendorId": "V", "data": 250000 * "x"})
    c.close()
    [end] = poll(lambda: g.events("charge_point.disconnected"), what="the end of the first session")
    r = s.client()
    there = lambda: [e["eventId"] for e in r.entries(EV)]
    assert end["eventId"] not in there(), "the end of the session was sent before the earlier events were acknowledged"
    shim.hang(WRITE, "/w001")
    c = Charger(g, "HOPS", worker=1)
    poll(shim.hit, what="a write of worker 1 that hangs")
    g.kill_worker(1)
    shim.go_on()
    # The session is unknown, because its beginning was lost. The next session's events follow
    # those that the lost event named.
    Charger(g, "HOPS", worker=1)
    [_, gone] = poll(lambda: len(g.events("charge_point.connected")) == 2 and g.events("charge_point.connected"),
                     what="the beginning of the next session")
    poll(lambda: g.stat("redis_shards_ready") == 2)
    poll(lambda: g.stat("ship_lag_ms") > 1000)
    way.held.clear()
    poll(lambda: {end["eventId"], gone["eventId"]} <= set(there()), what="the last events")
    order = there()
    assert order.index(end["eventId"]) < order.index(gone["eventId"]), order


@tidy
def test_a_damaged_id_of_the_journal_is_replaced():
    """Both workers ship the events from before and after with the same new id. A pipe in place of
    the file stops no worker."""
    s = redis()
    r = s.client()
    g = gateway(s, "a", server_workers=2)
    path = g.state_dir + "/journal/id"
    for n, text in enumerate((b"", b"zz", b"0123456789ABCDEF\n", b"5" * 40 + b"\n", 16 * b"\xff", b"pipe", None)):
        if text is not None:
            g.kill_everything()
            if text == b"pipe":
                for p in (path, g.state_dir + "/journal/w000.shipped"):
                    if os.path.exists(p):
                        os.unlink(p)
                    os.mkfifo(p)
            else:
                with open(path, "wb") as f:
                    f.write(text)
            g.start()
            poll(lambda: path + " is damaged; it gets a new id" in g.log())
        for w in (0, 1):
            Charger(g, "CP%d%d" % (n, w), worker=w).boot()
        with open(path) as f:
            id = f.read()
        assert re.fullmatch("[0-9a-f]{16}\n", id), id
        want = {e["eventId"] for e in g.events("all")}
        poll(lambda: want <= {e["eventId"] for e in r.entries(EV)}, 30, "all events, after %r" % text)
        assert {e["eventId"].rpartition("-")[2] for e in g.events(cp="CP%d0" % n) + g.events(cp="CP%d1" % n)} == {id[:8]}


@tidy
def test_two_gateways_with_the_same_name_are_reported_and_lose_no_event():
    s = redis()
    r = s.client()
    a, b = gateway(s, "same"), gateway(s, "same")
    for n in range(30):
        for g, cp in ((a, "A%d" % n), (b, "B%d" % n)):
            c = Charger(g, cp)
            c.boot()
            c.close()
        if n == 15:  # each continues from its own cursor
            s.kill()
            s.start()
    r = s.client()
    for g in (a, b):
        want = {e["eventId"] for e in g.events("all")}
        assert len(want) > 60
        poll(lambda: want <= {e["eventId"] for e in r.entries(EV)}, 30, "all events of both")
    ids = [e["eventId"] for e in r.entries(EV)]     # events may still be added
    assert len(ids) == len(set(ids))
    # The eventIds of two gateways differ even if their numbers are equal.
    ends = [{e["eventId"].split("-", 1)[1] for e in g.events("all")} for g in (a, b)]
    assert len(ends[0]) == len(ends[1]) == 1 and ends[0] != ends[1], ends
    poll(lambda: "another gateway uses the name" in a.log() + b.log(), 20, "a line about the name")


@tidy
def test_one_function_lists_waiting_commands_and_one_lists_online_sessions():
    s, r, g = one()
    here = [Charger(g, "ON%d" % n) for n in range(5)]
    gone = Charger(g, "GONE")
    for c in here + [gone]:
        c.boot()
    held_by(r, "GONE", "a")
    gone.close()

    def online():
        cursor, found = "0", []
        while True:
            cursor, text = r("FCALL_RO", "ocppd_sessions", 1, EV, cursor, "2")
            found += json.loads(text)
            if cursor == "0":
                return sorted(x["chargePointId"] for x in found if x["state"] == "online" and x["node"] == "a")
    poll(lambda: online() == ["ON%d" % n for n in range(5)], what="the list of five online sessions")
    c = here[0]
    for n in range(3):
        order(r, "ON0", commandId="c%d" % n)
    i, _, _ = c.take()

    def waiting():
        return [(x["commandId"], x["state"]) for x in json.loads(r("FCALL_RO", "ocppd_commands", 1, "ON0"))]
    assert waiting() == [("c0", "sent"), ("c1", "queued"), ("c2", "queued")]
    for n in range(3):
        c.result(i, {"status": "Accepted"})
        assert outcome(r, "ON0", "c%d" % n) == "result"
        i = c.take()[0] if n < 2 else None
    assert waiting() == []
    for key in "ocppd:events:1", "CP1", "":
        try:
            r("FCALL_RO", "ocppd_sessions", 1, key, "0", "1")
        except Error as e:
            assert "not a stream of the fleet" in str(e)
        else:
            raise AssertionError(key)


@tidy
def test_a_lost_counter_of_transaction_ids_is_raised_above_all_used_ids():
    s = redis()
    r = s.client()
    a = gateway(s, "a")
    c = Charger(a, "CP1")
    c.boot()
    first = c.start(meter=1)["transactionId"]
    last = int(r("GET", S + "txid:last"))
    assert last > first
    r("FLUSHALL")
    poll(lambda: int(r("GET", S + "txid:last") or 0) >= last, 10, "the counter")
    b = gateway(s, "b")
    d = Charger(b, "CP2")
    d.boot()
    assert d.start(meter=2)["transactionId"] > last


WHEN = "2026-01-31T12:00:00Z"


@tidy
def test_a_start_sent_again_to_another_gateway_is_the_same_transaction():
    s, r, a, b = two()
    first = Charger(a, "CP1")
    first.boot()
    id = first.start()
    wait_event(r, "CP1", "transaction.started")
    again = Charger(b, "CP1")
    assert again.start() == id
    other = again.start(meter=7)
    assert other["transactionId"] != id["transactionId"]
    assert again.start(meter=7) == other
    wait_event(r, "CP1", "transaction.started", 2)
    # When the transaction has ended, an equal StartTransaction begins a new one.
    again.stop(id["transactionId"])
    wait_event(r, "CP1", "transaction.stopped")
    third = Charger(a, "CP1").start()
    assert third["transactionId"] not in (id["transactionId"], other["transactionId"])
    got = wait_event(r, "CP1", "transaction.started", 3)
    ids = [json.loads(e["answer"])["transactionId"] for e in got]
    assert ids == [id["transactionId"], other["transactionId"], third["transactionId"]]
    assert not any("deviations" in e for e in got)


@tidy
def test_a_start_that_a_dead_gateway_reserved_or_shipped_late_is_in_the_stream_once():
    s, r, a, b = two()
    cut = Charger(a, "CP1")
    cut.boot()
    wait_event(r, "CP1", "charge_point.booted")
    # The gateway reserves its answer and dies before it ships: the worker is stopped as soon as
    # the reservation exists.
    key = S + "starts:CP1"
    pid = a.worker_pid(0)
    a.deaths_expected = True
    cut.put("StartTransaction", {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": WHEN})
    poll(lambda: r("HLEN", key), what="the reservation")
    os.kill(pid, signal.SIGSTOP)
    state = r("HVALS", key)[0].split()[0]
    a.kill_everything()
    mine = Charger(b, "CP1").start(tag="T")
    got = wait_event(r, "CP1", "transaction.started")
    a.start()
    poll(lambda: {e["eventId"] for e in a.events("gateway.started")} <= {e["eventId"] for e in r.entries(EV)})
    poll(lambda: a.stat("ship_lag_ms") == 0 and b.stat("ship_lag_ms") == 0)
    got = events(r, "CP1", "transaction.started")
    assert len(got) == 1, (state, got)
    assert json.loads(got[0]["answer"]) == mine
    mine2 = Charger(a, "CP1").start(tag="T")
    assert mine2 == mine


@tidy
def test_a_start_while_redis_is_away_is_marked_as_start_unchecked():
    s = redis()
    g = gateway(s, "a")
    c = Charger(g, "CP1")
    c.boot()
    s.kill()
    poll(lambda: g.stat("redis_shards_ready") == 0)
    id = c.start()["transactionId"]
    e = g.events("transaction.started")[0]
    assert e["deviations"] == ["start_unchecked"] and e["answer"]["transactionId"] == id
    s.start()
    e = wait_event(s.client(), "CP1", "transaction.started")[0]
    assert json.loads(e["deviations"]) == ["start_unchecked"]
    b = gateway(s, "b")
    assert Charger(b, "CP1").start()["transactionId"] == id


@tidy
def test_generations_increase_although_a_clock_is_a_day_ahead():
    s = redis()
    r = s.client()
    orders = tempfile.NamedTemporaryFile()
    words = [0] * 32
    words[5] = 86400 * 1000                     # clock_ms of fault_shim.c
    orders.write(struct.pack("=32q", *words))
    orders.flush()
    a = gateway(s, "a")
    b = gateway(s, "b", env={"LD_PRELOAD": B + "/fault_shim.so", "OCPPD_FAULTS": orders.name})
    for i in range(12):
        c = Charger((a, b, b, a)[i % 4], "CP1")
        c.boot()
        c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
    poll(lambda: len(events(r, "CP1", "connector.status_changed")) == 12)
    tomorrow = (time.time() + 80000) * 1e6
    assert max(int(e["generation"]) for e in events(r, "CP1", "charge_point.connected")) > tomorrow, "the clock was not ahead"
    # Each connection has one generation, which is higher than the one before.
    opened = [int(e["generation"]) for e in events(r, "CP1", "charge_point.connected")]
    booted = [int(e["generation"]) for e in events(r, "CP1", "charge_point.booted")]
    status = [int(e["generation"]) for e in events(r, "CP1", "connector.status_changed")]
    assert len(set(opened)) == 12 and sorted(opened) == sorted(booted) == sorted(status)
    order_of = sorted(opened)
    by = {int(e["generation"]): e["gatewayId"] for e in events(r, "CP1", "charge_point.connected")}
    assert "".join(by[g] for g in order_of) == "abba" * 3, [(g, by[g]) for g in order_of]


def judge(s, gateways, acked, sent, lost_ok=()):
    r = s.client()
    poll(lambda: all(g.stat("redis_shards_ready") >= 1 for g in gateways), 20, "all connections")
    poll(lambda: r("ZCARD", S + "due") == 0, 80, "the end of all commands")
    poll(lambda: all(g.stat("ship_lag_ms") == 0 and g.stat("outcomes_waiting") == 0 for g in gateways),
         30, "the end of shipping")

    def stream():
        return {(e["chargePointId"], json.loads(e["payload"])["meterStart"])
                for e in r.entries(EV) if e["eventType"] == "transaction.started"}
    # The lag is stored once a second; after a start it begins with 0.
    poll(lambda: set(acked) <= stream(), 30, "each acknowledged start in the stream")
    ids = [e["eventId"] for e in r.entries(EV)]
    assert len(ids) == len(set(ids)), "an event is in the stream twice"
    found = {}
    for e in r.entries(EV):
        if e["eventType"] == "command.response":
            body = json.loads(e["payload"])
            found.setdefault((e["chargePointId"], body["commandId"]), []).append(body["outcome"])
    twice = {k: v for k, v in found.items() if len(v) != 1}
    assert not twice, "commands with more than one outcome: %s" % list(twice.items())[:3]
    none = [x for x in sent if x[:2] not in found and x[1] not in lost_ok]
    assert not none, "%d of %d commands without an outcome, such as %s" % (len(none), len(sent), none[:3])
    kinds = {}
    for v in found.values():
        kinds[v[0]] = kinds.get(v[0], 0) + 1
    print("     %d transactions, %d commands: %s" % (len(acked), len(sent), kinds))


@tidy
def test_after_kill_9_of_workers_under_load_each_event_is_shipped_once():
    s = redis()
    gs = [gateway(s, "a", server_workers=2), gateway(s, "b", server_workers=2)]

    def disturb(starts, commands):
        g = random.choice(gs)
        w = random.randrange(2)
        if g.workers()[w]["state"] == "ready":
            g.kill_worker(w)
        starts(300)
    acked, sent = storm(s, gs, 30 if LONG else 5, disturb)
    # The master waits before it replaces workers that die soon after their start.
    poll(lambda: all(w["state"] == "ready" for g in gs for w in g.workers()), 90)
    judge(s, gs, acked, sent)


@tidy
def test_after_kill_9_of_a_gateway_under_load_each_event_is_shipped_once():
    s = redis()
    gs = [gateway(s, "a"), gateway(s, "b")]

    def disturb(starts, commands):
        g = random.choice(gs)
        g.deaths_expected = True
        g.kill_everything()
        commands(60)
        g.start()
        starts(600)
    acked, sent = storm(s, gs, 30 if LONG else 5, disturb)
    judge(s, gs, acked, sent)


def redis_killed(policy):
    s = redis("--appendfsync", policy)
    gs = [gateway(s, "a"), gateway(s, "b")]
    kills = []

    def disturb(starts, commands):
        starts(1200)
        s.kill()
        kills.append(time.monotonic())
        starts(400)     # charge points are served while Redis is away
        s.start()
    acked, sent = storm(s, gs, 30 if LONG else 6, disturb)
    # A server that writes once a second may lose a command that ocppd_call accepted in the last
    # second before a kill; the platform has to send it again.
    lost_ok = [name for _, name, when in sent if policy != "always" and
               any(-0.1 < k - when < 2.5 for k in kills)]
    judge(s, gs, acked, sent, lost_ok)


@tidy
def test_after_kill_9_of_a_redis_that_syncs_always_each_event_is_there_once():
    redis_killed("always")


@tidy
def test_after_kill_9_of_a_redis_that_syncs_every_second_each_event_is_there():
    redis_killed("everysec")


@tidy
def test_after_random_moves_each_identity_has_its_newest_connection():
    s = redis()
    r = s.client()
    gs = [gateway(s, "a", server_workers=2), gateway(s, "b", server_workers=2)]
    rnd, cps, wrong = random.Random(5), ["M%d" % i for i in range(8)], []
    moves = (10000 if LONG else 600) // len(cps)
    sent = []
    unlucky = []

    def arrive(g, cp):
        """Two connections that differ in time by less than the clocks of two gateways have no
        order: the older one may win once."""
        for again in (True, True, False):
            try:
                c = Charger(g, cp, timeout=10)
                c.call("Heartbeat")
                return c
            except Closed as e:
                if e.code != 1008 or not again:
                    raise
                unlucky.append(cp)

    def wander(cp, seed):
        rnd, old = random.Random(seed), []
        for k in range(moves):
            g = rnd.choice(gs)
            try:
                c = arrive(g, cp)
            except (Closed, OSError, TimeoutError) as e:
                wrong.append((cp, k, repr(e)))
                continue
            for o in old:  # these connections are half-open from now on
                if rnd.random() < 0.5:
                    o.reset()
                else:
                    o.sock.close()
            old = [c]
            if rnd.random() < 0.1:
                sent.append((cp, "m%s-%d" % (cp, k)))
                order_client[seed]("FCALL", "ocppd_call", 1, cp, json.dumps(
                    {"commandId": sent[-1][1], "ifOffline": "wait", "deadline": "5s"}), "Reset", '{"type":"Soft"}')
        return old[0]
    order_client = {i: s.client() for i in range(len(cps))}
    threads = [background(wander, cp, i) for i, cp in enumerate(cps)]
    last = [t.wait() for t in threads]
    assert not wrong, "wrong closes: %s" % wrong[:5]
    for cp, c in zip(cps, last):
        if c.ended():
            c = arrive(c.g, cp)
        held_by(r, cp, c.g.settings["server_node"])
        other = gs[0] if c.g is gs[1] else gs[1]
        poll(lambda: not other.online(cp), what="the end of the old session of " + cp)
        assert not c.ended(), "the last connection was closed"
    poll(lambda: r("ZCARD", S + "due") == 0, 60, "the end of all commands")
    found = {}
    for cp in cps:
        for k, v in outcomes(r, cp).items():
            found[(cp, k)] = v
    assert set(found) == set(sent) and all(len(v) == 1 for v in found.values())
    assert len(unlucky) <= moves * len(cps) // 50, unlucky
    print("     %d moves, %d commands, %d too close to each other" % (
        moves * len(cps), len(sent), len(unlucky)))


@tidy
def test_top_shows_the_connections_to_redis_and_the_lag():
    s = redis()
    g = gateway(s, "a")
    c = Charger(g, "CP1")
    c.boot()

    def line():
        return re.search(r"^redis +ready (\d+)  behind (\d+) ms .*$", g.run("top", "-b").stdout, re.M)
    poll(lambda: line().groups() == ("1", "0"), what="a ready shard without a lag")
    s.kill()
    poll(lambda: g.stat("redis_shards_ready") == 0)
    c.start()
    poll(lambda: line().group(1) == "0" and int(line().group(2)) > 0, what="no ready shard and a lag")


# --- a cluster ---------------------------------------------------------------------------------


def cluster():
    """Starts three masters. Returns a client of each."""
    nodes = [redis("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000")
             for _ in range(3)]
    rs = [n.client() for n in nodes]
    for i, r in enumerate(rs):
        r("CLUSTER", "ADDSLOTSRANGE", i * 5462, min(i * 5462 + 5461, 16383))
        r("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
    for n in nodes[1:]:
        port = n.options[n.options.index("--cluster-port") + 1]
        rs[0]("CLUSTER", "MEET", "127.0.0.1", n.port, port)
    poll(lambda: all("cluster_state:ok" in r("CLUSTER", "INFO") and
                     "cluster_known_nodes:3" in r("CLUSTER", "INFO") for r in rs), 20, "the cluster")
    return nodes, rs


@tidy
def test_a_server_that_is_away_is_tried_at_least_every_2_s():
    s, r, g = one()
    s.kill()
    # Eight pauses: four that double from 50 ms, each half as long again at most, and
    # then 2 s. With pauses of up to 10 s this takes 16 s.
    n = g.stat("redis_failures")
    poll(lambda: g.stat("redis_failures") >= n + 9, timeout=14 * SLOW)


@tidy
def test_a_key_that_has_moved_is_found_at_its_new_node():
    nodes, rs = cluster()
    g = gateway(nodes[0], "a", redis_shards=1, auth_mode="redis", auth_timeout="1s")
    slot = rs[0]("CLUSTER", "KEYSLOT", EV)
    source = min(slot // 5462, 2)
    target = (source + 1) % 3
    src, dst = rs[source], rs[target]
    ids = [r("CLUSTER", "MYID") for r in rs]
    salt, key = os.urandom(16), os.urandom(20)
    poll(lambda: g.stat("redis_shards_ready") == 1, 20)
    src("FCALL", "ocppd_auth", 2, "{%s}CP1" % EV, EV,
        "sha256:%s:%s" % (salt.hex(), hashlib.sha256(salt + key).hexdigest()))
    # The gateway has connections to both nodes, because it was redirected to the other one
    # before.
    dst("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    src("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    src("MIGRATE", "127.0.0.1", nodes[target].port, S + "auth:CP1", 0, 5000)
    word = base64.b64encode(b"CP1:" + key).decode()

    def welcome():
        c = Charger(g, "CP1", open=False)
        return c.handshake(headers=[("Authorization", "Basic " + word)]).status == 101
    poll(welcome, 20, "the charge point whose key has moved")
    r = refusal(g, "CP1", headers=[("Authorization", "Basic " + base64.b64encode(b"CP1:" + b"x" * 20).decode())])
    assert r.status == 401


@tidy
def test_a_gateway_follows_the_redirections_of_a_cluster():
    nodes, rs = cluster()
    g = gateway(nodes[0], "a", redis_shards=8)
    poll(lambda: g.stat("redis_shards_ready") == 8, 20, "all shards")

    def at(key):
        return rs[min(rs[0]("CLUSTER", "KEYSLOT", key) // 5462, 2)]
    import binascii
    used = set()
    for i in range(12):
        cp = "CL%d" % i
        stream = "ocppd:events:%d" % (binascii.crc_hqx(cp.encode(), 0) % 8)
        r, key = at(stream), "{%s}%s" % (stream, cp)
        c = Charger(g, cp)
        c.boot()
        poll(lambda: (fcall(r, "session", key) or {}).get("state") == "online", 15, "the session of " + cp)
        fcall(r, "call", key, '{"commandId":"k%d"}' % i, "Reset", '{"type":"Soft"}')
        n, _, _ = c.take()
        c.result(n, {"status": "Accepted"})
        poll(lambda: outcomes(r, cp, stream).get("k%d" % i) == ["result"], what="the result of the command")
        poll(lambda: events(r, cp, "charge_point.booted", stream), what="the event of the boot")
        used.add(stream)
    assert len(used) > 3

    # The slot of one shard moves to another node while its charge point and the platform
    # continue.
    cp = "CL0"
    stream = "ocppd:events:%d" % (binascii.crc_hqx(cp.encode(), 0) % 8)
    key, slot = "{%s}%s" % (stream, cp), rs[0]("CLUSTER", "KEYSLOT", stream)
    source = min(slot // 5462, 2)
    target = (source + 1) % 3
    src, dst = rs[source], rs[target]
    ids = [r("CLUSTER", "MYID") for r in rs]
    c = Charger(g, cp)
    c.boot()
    poll(lambda: json.loads(src("FCALL_RO", "ocppd_session", 2, key, stream))["state"] == "online")
    dst("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
    src("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    refusals = []

    def order_anywhere(name):
        """Calls a function as a client of a cluster does it."""
        clients = nodes[source].client(), nodes[target].client()

        def once():
            for r in clients:
                try:
                    return r("FCALL", "ocppd_call", 2, key, stream, '{"commandId":"%s","ifOffline":"wait"}' % name,
                             "ClearCache", "{}")
                except Error as e:
                    refusals.append(str(e).split()[0])
        return json.loads(poll(once, 20, "a node that takes the call"))
    h = background(order_anywhere, "mid")
    poll(lambda: "TRYAGAIN" in refusals, what="a refusal TRYAGAIN")
    keys = src("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    assert stream in keys and len(keys) > 3
    keys.sort(key=lambda k: k != stream)  # the stream moves first
    for n, k in enumerate(keys):
        src("MIGRATE", "127.0.0.1", nodes[target].port, k, 0, 5000)
        c.call("StatusNotification", {"connectorId": n, "errorCode": "NoError", "status": "Available"})
    while keys:  # keys that the gateway has written meanwhile
        keys = src("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        for k in keys:
            src("MIGRATE", "127.0.0.1", nodes[target].port, k, 0, 5000)
    for r in (dst, src, rs[3 - source - target]):
        r("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
    n, action, _ = c.take(30)
    c.result(n, {"status": "Accepted"})
    assert h.wait()["state"] in ("queued", "sent")
    poll(lambda: outcomes(dst, cp, stream).get("mid") == ["result"], 30, "the outcome")
    want = {e["eventId"] for e in g.events("all") if e["chargePointId"] == cp}
    poll(lambda: want <= {e["eventId"] for e in dst.entries(stream)}, 30, "all events at the new node")
    got = [e["eventId"] for e in dst.entries(stream)]
    assert len(got) == len(set(got))


if __name__ == "__main__":
    main()
