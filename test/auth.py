#!/usr/bin/env python3
"""Which charge points may connect: [auth], ocppctl auth, and changes of keys."""

from lib import *

KEY = "0001020304050607ffffffffffffffffffffffff"


def basic(user, key):
    """Makes a handshake. key: bytes, or text that is sent unchanged."""
    if isinstance(key, str):
        key = key.encode()
    both = user.encode() + b":" + key
    return [("Authorization", "Basic " + base64.b64encode(both).decode())]


last = {}  # the value that status() returns


def gateway(mode="file", **more):
    return Gateway(auth_mode=mode, **more)


def add(g, identity, *key):
    code, body = g.ask("auth", "add", identity, *key, "--replace")
    assert code == 200, (code, body)
    return body.decode() if isinstance(body, bytes) else body


def status(g, identity, headers=(), user=None):
    c = Charger(g, identity, open=False)
    r = c.handshake(headers=headers)
    last["from"] = r.local
    if r.status == 101:
        c.close()
    else:
        c.wait_end()
        c.sock.close()
    return r.status


def refused(g, identity):
    """Returns the record of the last handshake in `ocppctl refused`."""
    [r] = [r for r in g.tell("refused") if r["address"] == last["from"]]
    assert r["identity"] == identity, r
    return r


def test_only_a_valid_key_is_accepted():
    g = gateway()
    add(g, "AL1000", KEY)
    # The vector of OCPP-J 1.6, section 6.2.2.
    vector = [("Authorization",
               "Basic QUwxMDAwOgABAgMEBQYH////////////////")]
    assert basic("AL1000", bytes.fromhex(KEY)) == vector
    assert status(g, "AL1000", vector) == 101
    assert status(g, "AL1000", basic("AL1000", bytes(20))) == 401
    assert refused(g, "AL1000")["reason"] == "wrong_key"
    assert status(g, "AL1000") == 401
    assert refused(g, "AL1000")["detail"] == "no Authorization header"
    assert status(g, "AL1001", vector) == 404
    assert refused(g, "AL1001")["reason"] == "unknown"
    assert g.stat("refused", "wrong_key") == 2
    assert g.stat("refused", "unknown") == 1


def test_a_401_names_the_method_of_authentication():
    g = gateway()
    add(g, "CP1", KEY)
    r = refusal(g, "CP1")
    assert r.status == 401 and r["WWW-Authenticate"].startswith("Basic "), \
        r.headers


def test_a_key_may_be_sent_as_hexadecimal_digits():
    g = gateway()
    add(g, "HEX", KEY)
    add(g, "TEXT", "a key of sixteen")
    add(g, "DIGITS", "1234567890123456")
    raw = bytes.fromhex(KEY)
    for form in (raw, KEY, KEY.upper()):
        assert status(g, "HEX", basic("HEX", form)) == 101, form
    for form in ("a key of sixteen", b"a key of sixteen".hex()):
        assert status(g, "TEXT", basic("TEXT", form)) == 101, form
    assert status(g, "DIGITS", basic("DIGITS", "1234567890123456")) == 101
    assert g.stat("auth_hex") == 4


def test_without_accept_hex_the_refusal_reports_that_the_digits_match():
    g = gateway(auth_accept_hex="no")
    add(g, "CP1", KEY)
    assert status(g, "CP1", basic("CP1", bytes.fromhex(KEY))) == 101
    assert status(g, "CP1", basic("CP1", KEY)) == 401
    assert "matches when read as hex" in refused(g, "CP1")["detail"]


def test_refused_reports_the_fault_of_credentials_and_no_secret():
    g = gateway()
    add(g, "CP1", KEY)
    add(g, "CP 2", KEY)
    key = bytes.fromhex(KEY)
    for identity, headers, words in (
            ("CP1", basic("cp1", key), "differs from the identity in case only"),
            ("CP1", basic("CP9", key), "is not the identity"),
            ("CP1", basic("", key), "user name is empty"),
            ("CP1", basic("CP", key), "only the beginning"),
            ("CP 2", basic("CP%202", key), "percent-encoded"),
            ("CP1", basic("CP1", b""), "key is empty"),
            ("CP1", basic("CP1", key + b"\r\n"), "without the blank"),
            ("CP1", basic("CP1", b"guess"), "does not match"),
            ("CP1", [("Authorization", "Bearer abc")], "not of the scheme Basic"),
            ("CP1", [("Authorization", "Basic ???")], "not base64"),
            ("CP1", [("Authorization", "Basic QUJD")], "no colon")):
        assert status(g, identity, headers) == 401, words
        have = refused(g, identity)["detail"]
        assert words in have, (words, have)
    log = g.log()
    assert KEY not in log and "guess" not in log
    _, body = g.ask("-j", "refused")
    assert KEY.encode() not in (body if isinstance(body, bytes)
                                else body.encode())


def test_identities_with_colons_and_blanks_work():
    g = gateway()
    for name in ("a:b", "RDAM 123", "100%", "#1", "\u00e4"):
        add(g, name, KEY)
        assert status(g, name, basic(name, bytes.fromhex(KEY))) == 101, name
    code, body = g.ask("-j", "auth", "list")
    assert {e["identity"] for e in json.loads(body)} == {
        "a:b", "RDAM 123", "100%", "#1", "\u00e4"}


def test_a_list_of_identities_needs_no_keys():
    g = gateway("list")
    add(g, "CP1", "none")
    add(g, "CP2")
    assert status(g, "CP1") == 101
    assert status(g, "CP2") == 101
    assert status(g, "CP3") == 404


def test_no_key_is_made_for_an_invalid_identity():
    g = Gateway(auth_mode="file")
    for words in (["auth", "add"], ["auth", "remove"], ["deny", "add", "identity"],
                  ["call"]):
        for name in ("", "x" * 49, "a\udcff", "a\x1b", "a\u009b", "a\x7f"):
            rest = ["ClearCache"] if words == ["call"] else []
            s = socket.socket(socket.AF_UNIX)
            s.connect(g.control)
            s.sendall(" ".join(words + ["'%s'" % name] + rest).encode(
                "utf-8", "surrogateescape") + b"\n")
            got = s.makefile("rb").read()
            assert got.startswith(b"400 ") and b"48 bytes of UTF-8" in got, got
    assert not os.path.exists(g.state_dir + "/auth")


def test_auth_add_makes_a_key_and_keeps_only_its_hash():
    g = gateway()
    code, body = g.ask("-j", "auth", "add", "CP1")
    key = json.loads(body)["key"]
    assert len(bytes.fromhex(key)) == 20
    assert status(g, "CP1", basic("CP1", bytes.fromhex(key))) == 101
    text = open(g.state_dir + "/auth").read()
    assert key not in text and "CP1 sha256:" in text
    assert os.stat(g.state_dir + "/auth").st_mode & 0o007 == 0
    assert key not in g.log()


def test_an_operator_manages_keys_with_ocppctl():
    g = gateway()
    r = g.run("auth", "add", "CP1")
    assert r.returncode == 0, r.stderr
    first = re.search(r"key: ([0-9a-f]{40}) ", r.stdout).group(1)
    r = g.run("auth", "add", "CP1")
    assert r.returncode == 1 and "--replace" in r.stderr, r
    assert g.run("auth", "check", "CP1", first).returncode == 0
    r = g.run("auth", "add", "CP1", "--replace")
    assert r.returncode == 0, r.stderr
    key = re.search(r"key: ([0-9a-f]{40}) ", r.stdout).group(1)
    assert g.run("auth", "check", "CP1", first).returncode == 1
    assert g.run("auth", "check", "CP1", key).returncode == 0
    assert g.run("auth", "check", "CP1", key[::-1] + "00").returncode == 1
    assert g.run("auth", "list").stdout.split() == ["key", "CP1"]
    assert g.run("auth", "remove", "CP1").returncode == 0
    assert g.run("auth", "list").stdout == "the credential file is empty\n"
    assert g.run("auth").returncode == 2


def test_a_file_that_cannot_be_read_is_tried_again():
    if os.geteuid() != 0:
        raise Skip("only root can make a file that a worker cannot read")
    g = gateway(server_user="nobody", server_workers=1)
    add(g, "CP1", KEY)
    path = g.state_dir + "/auth"
    good = basic("CP1", bytes.fromhex(KEY))
    assert status(g, "CP1", good) == 101
    os.chown(path, 0, 0)
    os.chmod(path, 0o600)
    assert g.ask("reload")[0] == 200  # the master can read it
    g.wait_log("the credentials read before stay in force")
    assert status(g, "CP1", good) == 101
    g.kill_worker(0)
    poll(lambda: all(w["state"] == "ready" for w in g.workers()))
    poll(lambda: status(g, "CP1", good) == 503)
    assert refused(g, "CP1")["reason"] == "auth_down"
    os.chmod(path, 0o644)
    poll(lambda: status(g, "CP1", good) == 101)


def test_auth_check_compares_a_key_and_auth_remove_removes_it():
    g = gateway()
    add(g, "CP1", KEY)
    assert g.ask("auth", "check", "CP1", KEY)[0] == 200
    assert g.ask("auth", "check", "CP1", KEY.upper())[0] == 200
    assert g.ask("auth", "check", "CP1", "00" * 20)[0] == 220
    assert g.ask("auth", "check", "CP2")[0] == 404
    assert g.ask("auth", "add", "CP1", "short")[0] == 400
    assert g.ask("auth", "add", "x" * 49)[0] == 400
    assert g.ask("auth", "frobnicate")[0] == 400
    assert g.ask("auth", "remove", "CP1")[0] == 200
    assert g.ask("auth", "remove", "CP1")[0] == 404
    poll(lambda: status(g, "CP1", basic("CP1", bytes.fromhex(KEY))) == 404)


def test_a_change_is_used_by_all_workers():
    g = gateway(server_workers=3)
    for i in range(20):
        key = "%040x" % (i + 1)
        add(g, "CP1", key)
        poll(lambda: status(g, "CP1", basic("CP1", bytes.fromhex(key))) == 101)
    good = basic("CP1", bytes.fromhex("%040x" % 20))
    for _ in range(20):
        assert status(g, "CP1", good) == 101
    g.note_stats()


def test_a_reload_reads_the_file_and_refuses_one_with_an_error():
    g = gateway()
    add(g, "CP1", KEY)
    poll(lambda: g.log().count(": 1 identities") == 2)   # both workers
    path = g.state_dir + "/auth"
    good = open(path).read()
    with open(path, "w") as f:
        f.write(good + "CP2 sha256:12:34\nCP1\nCP3\n")
    code, body = g.ask("reload")
    body = body.decode() if isinstance(body, bytes) else body
    lines = good.count("\n")
    assert code == 500, body
    assert "%s:%d: the key is not sha256" % (path, lines + 1) in body, body
    assert "%s:%d: the identity occurs in an earlier line" % (path, lines + 2) \
        in body, body
    assert status(g, "CP3") == 404      # the keys of the old file are still valid
    os.unlink(path)
    assert g.ask("reload")[0] == 500  # a deleted file does not remove the keys
    assert status(g, "CP1", basic("CP1", bytes.fromhex(KEY))) == 101
    code, body = g.ask("auth", "add", "CP4")   # nor does the next entry
    assert code == 500 and "auth does not exist any more" in body, body
    assert status(g, "CP1", basic("CP1", bytes.fromhex(KEY))) == 101
    with open(path, "w") as f:
        f.write(good + "# comment\n\n  CP3   # no key\n")
    assert g.ask("reload")[0] == 200
    poll(lambda: status(g, "CP3") == 401)
    g.send_signal(signal.SIGHUP)
    assert status(g, "CP1", basic("CP1", bytes.fromhex(KEY))) == 101


def test_a_file_with_an_error_prevents_the_start_and_its_line_is_reported():
    g = gateway(start=False)
    os.makedirs(g.state_dir)
    with open(g.state_dir + "/auth", "w") as f:
        f.write("CP1 secret\n")
    g.start(wait=False)
    assert g.wait_exit() != 0
    assert "auth:1: the key is not sha256" in g.log()
    assert "secret\n" not in g.log()


def test_a_successor_of_a_worker_knows_the_keys():
    g = gateway(server_workers=1)
    add(g, "CP1", KEY)
    g.deaths_expected = True
    g.kill_worker(0)
    good = basic("CP1", bytes.fromhex(KEY))
    poll(lambda: status(g, "CP1", good) == 101)


def rotate(g, c, key, answer):
    """The platform sends a new key, and the charge point answers."""
    h = background(lambda: g.ask("-j", "call", "CP1", "ChangeConfiguration",
                                 json.dumps({"key": "AuthorizationKey",
                                             "value": key})))
    id, action, payload = c.take()[:3]
    assert action == "ChangeConfiguration"
    # While the command is in flight both keys must be valid, because the charge point may
    # use the new one at once.
    poll(lambda: has(g) == "new key")
    answer(id)
    code, body = h.wait()
    return json.loads(body)


def has(g):
    return json.loads(g.ask("-j", "auth", "list")[1])[0]["has"]


NEW = "f1" * 20


def test_an_accepted_new_key_and_the_old_one_are_valid_until_the_new_one_is_used():
    g = gateway()
    add(g, "CP1", KEY)
    old = basic("CP1", bytes.fromhex(KEY))
    new = basic("CP1", bytes.fromhex(NEW))
    c = Charger(g, "CP1", headers=old)
    c.boot()
    out = rotate(g, c, NEW, lambda id: c.result(id, {"status": "Accepted"}))
    assert out["outcome"] == "result", out
    assert status(g, "CP1", old) == 101
    assert status(g, "CP1", old) == 101
    assert has(g) == "new key"
    assert status(g, "CP1", new) == 101
    poll(lambda: has(g) == "key")
    poll(lambda: status(g, "CP1", old) == 401)
    assert status(g, "CP1", new) == 101
    assert g.stat("auth_new_key") >= 1
    assert NEW not in open(g.state_dir + "/auth").read()


def test_a_new_key_that_was_refused_is_not_valid():
    g = gateway()
    add(g, "CP1", KEY)
    old = basic("CP1", bytes.fromhex(KEY))
    c = Charger(g, "CP1", headers=old)
    c.boot()
    out = rotate(g, c, NEW, lambda id: c.result(id, {"status": "Rejected"}))
    assert out["outcome"] == "result", out
    poll(lambda: has(g) == "key")
    poll(lambda: status(g, "CP1", basic("CP1", bytes.fromhex(NEW))) == 401)
    assert status(g, "CP1", old) == 101


K1, K2, K3 = "a1" * 20, "b2" * 20, "c3" * 20     # new keys, in the order in which they are sent


def booted(g):
    """Returns CP1, connected with KEY."""
    c = Charger(g, "CP1", headers=basic("CP1", bytes.fromhex(KEY)))
    c.boot()
    return c


def lets(g, key):
    return status(g, "CP1", basic("CP1", bytes.fromhex(key))) == 101


def test_a_refused_new_key_does_not_remove_an_earlier_one():
    g = gateway(server_workers=1)
    add(g, "CP1", KEY)
    c = booted(g)
    rotate(g, c, K1, lambda id: c.result(id, {"status": "Accepted"}))
    rotate(g, c, K2, lambda id: c.result(id, {"status": "Rejected"}))
    # The same key is sent again. This time the charge point refuses it, because it has it
    # already.
    rotate(g, c, K1, lambda id: c.error(id))
    poll(lambda: not lets(g, K2))
    assert lets(g, KEY)
    c = booted(g)
    rotate(g, c, K3, lambda id: c.result(id, {"status": "Accepted"}))
    # This key has replaced the former one, which was never used.
    poll(lambda: not lets(g, K1))
    assert lets(g, KEY) and lets(g, K3)
    poll(lambda: not lets(g, KEY))
    assert lets(g, K3)


def test_a_new_key_that_needs_a_restart_does_not_remove_an_earlier_one():
    g = gateway(server_workers=1)
    add(g, "CP1", KEY)
    c = booted(g)

    def hashes():
        with open(g.state_dir + "/auth") as f:
            return set(re.findall(r"sha256:\w+:\w+", f.read()))

    def send(key, status):
        # The file has the keys and the answers in their order.
        before = hashes()

        def answer(id):
            poll(lambda: hashes() - before)
            c.result(id, {"status": status})
        rotate(g, c, key, answer)
    send(K1, "Accepted")
    send(K2, "RebootRequired")
    send(K3, "Rejected")
    # The connection is lost before the restart, and after it.
    for key in (K1, K2):
        assert lets(g, key)
    for key in (KEY, K1):
        poll(lambda: status(g, "CP1", basic("CP1", bytes.fromhex(key))) == 401)


def test_a_new_key_is_valid_after_a_restart():
    g = gateway()
    add(g, "CP1", KEY)
    c = Charger(g, "CP1", headers=basic("CP1", bytes.fromhex(KEY)))
    c.boot()
    rotate(g, c, NEW, lambda id: c.result(id, {"status": "Accepted"}))
    g.stop()
    g.start()
    assert status(g, "CP1", basic("CP1", bytes.fromhex(KEY))) == 101
    assert status(g, "CP1", basic("CP1", bytes.fromhex(NEW))) == 101


if __name__ == "__main__":
    main()
