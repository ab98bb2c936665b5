#!/usr/bin/env python3
"""[auth] mode = redis: the platform stores the keys in Redis, where the gateway reads them;
the behaviour while Redis cannot be reached; changes of keys."""

import hashlib

import redis_fleet as fleet
from lib import *
from redis_resp import Error

KEY = "0001020304050607ffffffffffffffffffffffff"
NEW = "f1" * 20
AUTH = "{ocppd:events:0}:auth:"


def basic(user, key):
    both = user.encode() + b":" + bytes.fromhex(key)
    return [("Authorization", "Basic " + base64.b64encode(both).decode())]


def hashed(key, salt=bytes(range(16))):
    """Returns the hash of a key, as ocppd-redis(7) describes it."""
    return "sha256:%s:%s" % (salt.hex(), hashlib.sha256(salt + bytes.fromhex(key)).hexdigest())


def allow(r, identity, key=KEY):
    return r("FCALL", "ocppd_auth", 1, identity, hashed(key) if key != "none" else key)


def gateway(s, **settings):
    settings.setdefault("websocket_handshake_timeout", "30s")
    settings.setdefault("auth_timeout", "15s")
    return fleet.gateway(s, "a", auth_mode="redis", **settings)


def one(**settings):
    """Returns a server, a client of it, and a gateway."""
    s = fleet.redis()
    return s, s.client(), gateway(s, **settings)


def admitted(g, r, identity):
    """Returns a charge point that has connected with its key and has booted."""
    allow(r, identity)
    c = Charger(g, identity, headers=basic(identity, KEY))
    c.boot()
    return c


def handshake(g, identity, key=KEY):
    c = Charger(g, identity, open=False)
    return c, c.handshake(headers=basic(identity, key))


def status(g, identity, key=KEY):
    c, r = handshake(g, identity, key)
    if r.status == 101:
        c.close()
    else:
        c.wait_end()
        c.sock.close()
    return r.status


def down(g):
    """Waits until the gateway has detected that Redis is away."""
    poll(lambda: g.stat("redis_shards_ready") == 0, what="loss of the connections to Redis")


@fleet.tidy
def test_only_a_key_in_redis_is_accepted():
    s, r, g = one()
    assert allow(r, "AL1000") == 1
    assert status(g, "AL1000") == 101
    assert status(g, "AL1000", "00" * 20) == 401
    assert status(g, "AL1000", KEY.encode().hex()) == 101  # the key may be sent as hexadecimal digits
    assert status(g, "AL1001") == 404
    c = Charger(g, "AL1000", open=False)
    assert c.handshake().status == 401
    assert g.stat("auth_asked") == 5 and g.stat("auth_hex") == 1
    assert g.stat("refused", "wrong_key") == 2 and g.stat("refused", "unknown") == 1
    # If the platform changes a key, the change has an effect at once.
    assert allow(r, "AL1000", NEW) == 1
    assert status(g, "AL1000") == 401 and status(g, "AL1000", NEW) == 101
    assert allow(r, "AL1000", "none") == 1 and allow(r, "AL1000", "none") == 0
    assert status(g, "AL1000", NEW) == 404
    assert KEY not in g.log()


@fleet.tidy
def test_the_function_accepts_only_keys_that_are_hashed_like_those_of_ocppctl():
    s, r, g = one()
    made = g.ctl("auth", "hash")
    assert r("FCALL", "ocppd_auth", 1, "CP1", made["hash"]) == 1
    assert status(g, "CP1", made["key"]) == 101
    text = g.run("auth", "hash", KEY).stdout.strip()
    assert r("FCALL", "ocppd_auth", 1, "CP1", text) == 1
    assert status(g, "CP1", made["key"]) == 401 and status(g, "CP1") == 101
    for wrong in (KEY, "sha256:12:34", text + "0", text.replace("sha256", "md5"), ""):
        try:
            r("FCALL", "ocppd_auth", 1, "CP1", wrong)
        except Error as e:
            assert "sha256:SALT:HASH" in str(e), e
        else:
            raise AssertionError("accepted: " + wrong)
    assert status(g, "CP1") == 101
    # The file is not used, and ocppctl reports that.
    for words in (("add", "CP2"), ("remove", "CP1"), ("list",), ("check", "CP1")):
        code, body = g.ask("auth", *words)
        assert code == 500 and "FCALL ocppd_auth 1" in str(body), (code, body)


@fleet.tidy
def test_a_value_in_redis_that_is_not_a_key_is_never_accepted():
    s, r, g = one()
    r("HSET", AUTH + "CP1", "key", KEY)
    assert status(g, "CP1") == 401
    g.wait_log("CP1: its key in Redis is not sha256")
    r("SET", AUTH + "CP2", "a string")   # WRONGTYPE
    assert status(g, "CP2") == 503
    allow(r, "CP3")
    assert status(g, "CP3") == 101


@fleet.tidy
def test_while_redis_is_away_known_charge_points_connect_with_their_remembered_key():
    s, r, g = one(server_workers=2)
    for name in ("CP1", "CP2"):
        allow(r, name)
    # One worker has accepted the key, and the other one remembers it too.
    assert status(g, "CP1") == 101
    s.kill()
    down(g)
    for _ in range(12):
        assert status(g, "CP1") == 101
    assert g.stat("auth_remembered") == 12
    # Another key may be the new key of the charge point. Only Redis can decide that, when it
    # is there again.
    c, answer = handshake(g, "CP1", NEW)
    assert answer.status == 503 and int(answer["Retry-After"]) > 0
    assert status(g, "CP2") == 503 and status(g, "stranger") == 503
    [r] = [r for r in g.tell("refused") if r["identity"] == "stranger"]
    assert r["reason"] == "auth_down" and "Redis does not answer" in r["detail"], r
    g.kill_worker(0)
    g.deaths_expected = True
    poll(lambda: all(w["state"] == "ready" for w in g.workers()))
    for _ in range(6):
        assert status(g, "CP1") == 101
    s.start()
    poll(lambda: status(g, "CP2") == 101)
    poll(lambda: status(g, "stranger") == 404)


@fleet.tidy
def test_a_key_that_was_removed_is_not_accepted_while_redis_is_away():
    s, r, g = one()
    for name in ("GONE", "CHANGED", "SAME"):
        allow(r, name)
        assert status(g, name) == 101
    allow(r, "GONE", "none")
    allow(r, "CHANGED", NEW)
    assert status(g, "GONE") == 404  # after this the gateway forgets the key
    assert status(g, "CHANGED") == 401
    assert status(g, "SAME", NEW) == 401  # a wrong key does not change the remembered one
    s.kill()
    down(g)
    assert status(g, "GONE") == 503
    assert status(g, "CHANGED") == 503 and status(g, "CHANGED", NEW) == 503
    assert status(g, "SAME") == 101


@fleet.tidy
def test_with_remember_0_no_charge_point_connects_while_redis_is_away():
    s, r, g = one(auth_remember="0s")
    allow(r, "CP1")
    assert status(g, "CP1") == 101
    s.kill()
    down(g)
    assert status(g, "CP1") == 503


@fleet.tidy
def test_a_handshake_that_waits_for_redis_is_not_displaced():
    """It has waited for more than a second, but not for its client."""
    s, r, g = one(limits_handshakes=5, server_workers=1)
    for i in range(5):
        allow(r, "CP%d" % i)
    s.signal(signal.SIGSTOP)
    held = [Charger(g, "CP%d" % i, open=False) for i in range(5)]
    began = time.monotonic()
    for c in held:
        c.raw(c.request(headers=basic(c.identity, KEY)))
    poll(lambda: g.stat("handshaking") == 5)
    while time.monotonic() - began < 1.5:
        assert status(g, "NEW") == 503
    assert g.stat("handshaking") == 5
    s.signal(signal.SIGCONT)
    assert [c.response().status for c in held] == [101] * 5


@fleet.tidy
def test_a_redis_that_does_not_answer_delays_only_handshakes():
    s, r, g = one(auth_timeout="300ms", redis_timeout="30s")
    for name in ("CP1", "CP2"):
        allow(r, name)
    assert status(g, "CP1") == 101
    here = Charger(g, "CP2", headers=basic("CP2", KEY))
    here.boot()
    s.signal(signal.SIGSTOP)
    assert status(g, "CP1") == 101  # the key is remembered
    assert status(g, "CP3") == 503
    assert g.stat("redis_shards_ready") == 1
    here.call("Heartbeat")
    # A client that leaves or sends further bytes while it waits for Redis leaves nothing
    # behind.
    waiting = [Charger(g, "W%d" % i, open=False) for i in range(20)]
    for i, c in enumerate(waiting):
        c.raw(c.request(headers=basic(c.identity, KEY)))
    poll(lambda: g.stat("auth_asked") >= 20 + 4, what="the questions about all charge points")
    for i, c in enumerate(waiting):
        if i % 2:
            c.reset()
        else:
            c.raw(b"x" * 20000)
    poll(lambda: g.stat("handshaking") == 0, what="the end of all handshakes")
    here.call("Heartbeat")
    s.signal(signal.SIGCONT)
    # Late replies of Redis belong to no waiting handshake, and are dropped.
    poll(lambda: status(g, "CP3") == 404)
    assert status(g, "CP1") == 101
    here.close()
    poll(lambda: g.stat("connections") == 0 and g.stat("closing") == 0)


@fleet.tidy
def test_bytes_that_follow_the_request_are_kept():
    s = fleet.redis()
    g = gateway(s)
    allow(s.client(), "CP1")
    heartbeat = frame(TEXT, '[2,"1","Heartbeat",{}]')
    for at_once in (True, False):
        c = Charger(g, "CP1", open=False)
        request = c.request(headers=basic("CP1", KEY))
        c.raw(request + heartbeat if at_once else request)
        if not at_once:
            c.raw(heartbeat)
        assert c.response().status == 101
        assert c.get("1")["currentTime"]


@fleet.tidy
def test_many_handshakes_at_once_are_all_answered():
    s, r, g = one(server_workers=2)
    names = ["S%03d" % i for i in range(400)]
    for name in names[::2]:
        allow(r, name)
    chargers = [Charger(g, name, open=False) for name in names]
    for c in chargers:
        c.raw(c.request(headers=basic(c.identity, KEY)))
    got = [c.response().status for c in chargers]
    assert got == [101, 404] * 200, got
    assert g.stat("auth_asked") == 400 and g.stat("handshaking") == 0


# --- a new key --------------------------------------------------------------------


def send_key(g, identity, key=NEW, timeout=30):
    return background(lambda: json.loads(g.ask(
        "-j", "call", identity, "ChangeConfiguration",
        json.dumps({"key": "AuthorizationKey", "value": key}), timeout=timeout)[1]))


def stored(r):
    return r("HMGET", AUTH + "CP1", "key", "next")


@fleet.tidy
def test_a_new_key_is_in_redis_before_the_charge_point_has_it():
    s, r, g = one()
    c = admitted(g, r, "CP1")
    h = send_key(g, "CP1")
    id, action, _ = c.take()[:3]
    assert action == "ChangeConfiguration" and stored(r)[1].startswith("sha256:")
    assert status(g, "CP1") == 101 and status(g, "CP1", "00" * 20) == 401
    c = Charger(g, "CP1", headers=basic("CP1", KEY))   # the former command ends as uncertain
    assert h.wait()["outcome"] == "uncertain"
    c.boot()
    h = send_key(g, "CP1")
    c.result(c.take()[0], {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"
    old, new = stored(r)
    assert status(g, "CP1") == 101 and status(g, "CP1", NEW) == 101
    poll(lambda: stored(r) == [new, None], what="the replacement of the key by the new key")
    assert status(g, "CP1") == 401 and status(g, "CP1", NEW) == 101
    assert g.stat("auth_new_key") == 1


@fleet.tidy
def test_a_new_key_that_was_refused_is_removed_again():
    s, r, g = one()
    c = admitted(g, r, "CP1")
    h = send_key(g, "CP1")
    c.result(c.take()[0], {"status": "Rejected"})
    h.wait()
    poll(lambda: stored(r) == [hashed(KEY), None])
    assert status(g, "CP1", NEW) == 401


@fleet.tidy
def test_a_refused_new_key_does_not_remove_an_earlier_one():
    s, r, g = one()
    c = admitted(g, r, "CP1")

    def send(key, answer):
        h = send_key(g, "CP1", key)
        c.result(c.take()[0], {"status": answer})
        assert h.wait()["outcome"] == "result"
    k1, k2, k3 = "a1" * 20, "b2" * 20, "c3" * 20
    send(k1, "Accepted")
    send(k2, "Rejected")
    send(k1, "Rejected")  # the charge point has this key already
    poll(lambda: status(g, "CP1", k2) == 401)
    assert status(g, "CP1") == 101
    c = Charger(g, "CP1", headers=basic("CP1", KEY))
    c.boot()
    send(k3, "Accepted")  # this key replaces the first new key, which was not used
    poll(lambda: status(g, "CP1", k1) == 401)
    assert status(g, "CP1") == 101 and status(g, "CP1", k3) == 101
    poll(lambda: status(g, "CP1") == 401)
    assert r("HMGET", AUTH + "CP1", "next", "accepted") == [None, None]


@fleet.tidy
def test_an_identity_that_looks_like_a_key_in_redis_is_refused():
    s = fleet.redis()
    r = s.client()
    g = fleet.gateway(s, "a")
    for name in ("{ocppd:events:0}VICTIM", "{ocppd:events:7}", "{ocppd:events:"):
        assert refusal(g, name).status == 400
        [got] = g.show(name)["refusals"]
        assert got["reason"] == "bad_identity" and "Redis" in got["detail"], got
    # Other names with braces are valid, and are separate identities.
    for name in ("{ocppd}VICTIM", "{other:events:0}VICTIM", "VICTIM{ocppd:events:0}"):
        c = Charger(g, name)
        c.boot()
        h = background(lambda: g.call(name, "ClearCache"))
        c.result(c.take()[0], {"status": "Accepted"})
        assert h.wait()["outcome"] == "result"
        assert r("FCALL", "ocppd_session", 1, name)
        c.close()
    # The library does not accept such a key either, with or without its stream.
    for key in ("{ocppd:events:0}{ocppd:events:0}VICTIM",):
        try:
            r("FCALL", "ocppd_auth", 1, key, "none")
            raise AssertionError("the library has accepted the key")
        except Error as e:
            assert "is not the identity" in str(e), e


@fleet.tidy
def test_a_new_key_waits_for_redis_and_the_following_commands_wait_for_it():
    s, r, g = one(ocpp_message_timeout="60s")  # longer than Redis is stopped in this test
    c = admitted(g, r, "CP1")
    s.kill()
    down(g)
    h = send_key(g, "CP1")
    poll(lambda: g.show("CP1")["connection"]["commandsPending"] == 1)
    c.call("Heartbeat")  # the next message is this answer, so the command was not sent
    s.start()
    r = s.client()
    id, action, _ = c.take()[:3]
    assert action == "ChangeConfiguration" and stored(r)[1]
    c.result(id, {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"
    # The command is not sent while Redis does not answer, however often the gateway checks
    # it.
    s.signal(signal.SIGSTOP)
    h = send_key(g, "CP1", "cd" * 20)
    poll(lambda: g.show("CP1")["connection"]["commandsPending"] == 1)
    c.silence(1.5)
    s.signal(signal.SIGCONT)
    id, action, _ = c.take()[:3]
    assert action == "ChangeConfiguration" and stored(r)[1]
    c.result(id, {"status": "Accepted"})
    assert h.wait()["outcome"] == "result"
    # A command about which Redis cannot be asked ends without being sent.
    s.kill()
    down(g)
    out = json.loads(g.ask("-j", "call", "--timeout", "2s", "CP1", "ChangeConfiguration",
                           json.dumps({"key": "AuthorizationKey", "value": "ab" * 20}))[1])
    assert out["outcome"] == "expired", out
    c.call("Heartbeat")


@fleet.tidy
def test_mode_redis_needs_a_redis_server():
    g = Gateway(auth_mode="redis", start=False)
    g.start(wait=False)
    assert g.wait_exit() != 0
    assert "neither redis.host nor redis.socket is set" in g.log(), g.log()


if __name__ == "__main__":
    main()
