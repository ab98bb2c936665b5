#!/usr/bin/python3
"""The commands of ocppctl, as operators use them."""

from lib import *


def booted(g, name, **kw):
    c = Charger(g, name, **kw)
    c.boot()
    return c


def is_time(text):
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)


# --- ocppctl itself -----------------------------------------------------------------

def test_ocppctl_has_an_exit_code_for_each_kind_of_error():
    g = shared()
    assert g.run("status").returncode == 0
    assert g.run("disconnect", "NOBODY").returncode == 1
    for words in ([], ["no-such-command"], ["connections", "--nonsense"],
                  ["connections", "--limit", "x"], ["show"], ["call", "X"],
                  ["-Q"], ["worker-restart"], ["status", "too", "many"],
                  ["connections", "--state", "maybe"], ["worker-restart", "99"],
                  ["drain", "soon"]):
        r = g.run(*words)
        assert r.returncode == 2, (words, r)
        assert r.stderr.strip() or r.stdout.strip(), words
    r = g.run("-Q")
    assert "invalid option" in r.stderr and r.stderr.count("\n") == 2, r.stderr
    r = subprocess.run([OCPPCTL, "-s", g.dir + "/none.sock", "status"],
                       stderr=subprocess.PIPE, text=True)
    assert r.returncode == 3 and "none.sock" in r.stderr, r
    assert subprocess.run([OCPPCTL, "-V"],
                          stdout=subprocess.PIPE).returncode == 0


def test_errors_escape_control_characters_of_the_command_line():
    g = shared()
    for odd in (b"\x1b[31m", b"a\xc2\x9b31m", b"\xff\xfe", b"\xe2\x80\xae"):
        for words in ([], [b"help"], [b"status"], [b"show"], [b"top"], [b"score"],
                      [b"score", b"--since"], [b"score", b"--worst"],
                      [b"score", b"--by"], [b"events", b"--type"], [b"events", b"--since"],
                      [b"top", b"--worker"], [b"events", b"--dir"],
                      [b"journal", b"check", b"--dir"], [b"events", b"--" + odd]):
            r = subprocess.run([OCPPCTL.encode(), b"-s", g.control.encode(), *words, odd],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            text = (r.stdout + r.stderr).decode()
            assert r.returncode and text, (words, odd, r)
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), text


def test_the_socket_is_found_by_environment_and_configuration():
    g = Gateway(conf="[server]\nworkers = 1\n")
    r = subprocess.run([OCPPCTL, "status"], stdout=subprocess.PIPE, text=True,
                       env=dict(os.environ, OCPPD_CONTROL=g.control))
    assert r.returncode == 0 and "ocppd" in r.stdout
    with open(g.conf, "a") as f:
        f.write("control = %s\n" % g.control)
    r = subprocess.run([OCPPCTL, "-c", g.conf, "status"],
                       stdout=subprocess.PIPE)
    assert r.returncode == 0


def test_help_lists_every_command_with_its_usage():
    with open(os.path.join(ROOT, "common/commands.def")) as f:
        words = re.findall(r'^COMMAND\(\w+, "([\w-]+)", "([^"]*)"', f.read(),
                           re.M)
    g = shared()
    text = g.ctl("help", json_=False)
    for word, usage in words:
        assert re.search(r"^ *%s " % word, text, re.M), word
        assert usage in g.ctl("help", word, json_=False), word
    r = g.run("help", "nonsense")
    assert r.returncode != 0


def test_help_of_every_program_and_command_needs_no_daemon():
    for program in ("ocppd", "ocppctl", "ocppsim"):
        r = subprocess.run([os.path.join(B, program), "--help"], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert r.returncode == 0 and r.stdout.startswith("usage: "), r
    with open(os.path.join(ROOT, "common/commands.def")) as f:
        words = re.findall(r'^COMMAND\(\w+, "([\w-]+)"', f.read(), re.M)
    for word in words:
        r = subprocess.run([OCPPCTL, "-s", "/none", word, "--help"], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert r.returncode == 0, (word, r)
        assert word == "help" or r.stdout.startswith(
            "usage: ocppctl " + word), (word, r)


def test_the_messages_of_a_short_connection_are_shown():
    """This also applies to a connection that ended before the gateway first counted its
    messages."""
    g = shared()
    c = Charger(g, "SHORT")
    for _ in range(3):
        c.call("Heartbeat")
    c.close()
    poll(lambda: not g.show("SHORT")["online"])
    assert g.show("SHORT")["messages"] == 3


def test_for_a_misspelt_word_the_right_one_is_suggested():
    g = shared()
    for words, want in ((["conections"], "connections"),
                        (["log_levle"], "log-level"),
                        (["help", "stauts"], "status"),
                        (["connections", "--lmit", "3"], "--limit"),
                        (["connections", "--state", "onlin"], "online"),
                        (["auth", "ad", "X"], "add"),
                        (["deny", "lst"], "list"),
                        (["token", "remov", "X"], "remove"),
                        (["token", "add", "X", "amdin"], "admin"),
                        (["log-level", "inof"], "info"),
                        (["journal", "chek"], "check"),
                        (["top", "--sort", "mesages"], "messages"),
                        (["top", "--evry", "1"], "--every"),
                        (["events", "--folow"], "--follow"),
                        (["score", "--wurst", "3"], "--worst"),
                        (["journal", "check", "--dri", "x"], "--dir"),
                        (["events", "--type", "transaction.stoped"],
                         "transaction.stopped")):
        r = g.run(*words)
        assert r.returncode == 2 and "is it %s?" % want in r.stderr, r
    r = g.run("xyzzyplugh")
    assert r.returncode == 2 and "is it" not in r.stderr, r
    r = g.run("score", "--worst")
    assert r.returncode == 2, r
    assert r.stderr.startswith("ocppctl: score: --worst needs a value\n"), r
    # The usage can be typed as it is printed, whichever program prints it.
    for words in (["why"], ["score", "--worst"], ["call", "X"]):
        assert "\nusage: ocppctl %s " % words[0] in g.run(*words).stderr, words
    code, body = g.ask("conections")
    assert code == 400 and "is it connections?" in body, body


def completed(g, *words):
    r = g.run("completion", "words", *words)
    assert r.returncode == 0 and r.stderr == "", r
    return r.stdout.split("\n")[:-1]


def test_commands_options_and_identities_are_completed():
    g = Gateway(server_workers="1")
    for name in ("CP:1", "CP 2", "CP*3", "OTHER"):
        booted(g, name)
    assert sorted(completed(g, "con")) == ["config", "connections"]
    assert completed(g, "auth", "") == ["add", "remove", "check", "list", "hash"]
    assert completed(g, "connections", "--st") == ["--state"]
    assert completed(g, "connections", "--state", "o") == ["online", "offline"]
    assert completed(g, "connections", "--limit", "3", "--of") == ["--offset"]
    assert "--help" in completed(g, "show", "--")
    assert completed(g, "events", "--type", "transaction.st") == [
        "transaction.started", "transaction.stopped"]
    assert "RemoteStopTransaction" in completed(g, "call", "CP:1", "Rem")
    assert "BootNotification" not in completed(g, "call", "CP:1", "")
    assert completed(g, "help", "log") == ["log-level"]
    # An identity is completed with exactly the text that was typed, from the daemon of the
    # given socket.
    here = ["-s", g.control, "show"]
    assert sorted(completed(g, *here, "CP")) == ["CP 2", "CP*3", "CP:1"]
    assert completed(g, *here, "CP*") == ["CP*3"]
    assert completed(g, *here, "X") == []
    assert completed(g, "-s", "/none", "show", "C") == []
    assert completed(g, "-s") == ["-s"] and completed(g, "nonsense", "x") == []


def test_bash_and_zsh_complete_identities():
    g = Gateway(server_workers="1")
    for name in ("SHELL 1", "SHELL$(touch x)2"):
        booted(g, name)
    script = os.path.join(B, "completion", "ocppctl")
    with open(script) as f:
        assert f.read() == g.ctl("completion", "bash", json_=False)
    r = subprocess.run(["bash", "-c", 'source "%s"; COMP_WORDS=(%s show SH); '
                        'COMP_CWORD=2; _ocppctl; printf "%%s\\n" '
                        '"${COMPREPLY[@]}"' % (script, OCPPCTL)],
                       env=dict(os.environ, OCPPD_CONTROL=g.control),
                       cwd=g.dir, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)
    assert sorted(r.stdout.split("\n")[:-1]) == [
        "SHELL\\ 1", "SHELL\\$\\(touch\\ x\\)2"], r
    assert not os.path.exists(g.dir + "/x")
    zsh = shutil.which("zsh")
    if not zsh:
        raise Skip("zsh is not installed")
    r = subprocess.run(
        [zsh, "-f", "-c", 'compdef() { : }; compadd() { print -l $found }; '
         'source "%s"; words=(%s show SH); CURRENT=3; _ocppctl' % (
             os.path.join(B, "completion", "_ocppctl"), OCPPCTL)],
        env=dict(os.environ, OCPPD_CONTROL=g.control), cwd=g.dir,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert sorted(r.stdout.split("\n")[:-1]) == [
        "SHELL 1", "SHELL$(touch x)2"], r


def members(value):
    """Returns the names of all members at any depth, except the names of metrics and
    settings, and the members of a charge point's payload."""
    if isinstance(value, dict):
        for k, v in value.items():
            yield k
            yield from members(v)
    elif isinstance(value, list):
        for v in value:
            yield from members(v)


def test_with_j_every_command_prints_json_also_for_errors():
    g = Gateway(server_workers="1")
    c = booted(g, "JSON1")
    with open(os.path.join(ROOT, "common/commands.def")) as f:
        table = re.findall(r'^COMMAND\(\w+, "([\w-]+)", "[^"]*", (\w+)', f.read(), re.M)
    # The output of these commands has tests of its own: they print more than one answer,
    # need a charge point that answers, or end the daemon.
    others = {"tap", "call", "outcome", "disconnect", "token", "drain", "upgrade",
              "rebalance", "shutdown"}
    asked = []
    for words in (["status"], ["health"], ["stats"], ["workers"],
                  ["connections"], ["show", "JSON1"], ["why", "JSON1"],
                  ["redis"], ["tls"], ["refused"],
                  ["config"], ["journal-mark"], ["log-level"], ["help"],
                  ["log-level", "debug"], ["auth", "add", "JSON2"],
                  ["auth", "check", "JSON2"], ["auth", "list"],
                  ["auth", "hash"], ["auth", "remove", "JSON2"],
                  ["deny", "add", "identity", "JSON3"], ["deny", "list"],
                  ["deny", "remove", "identity", "JSON3"], ["reload"],
                  ["worker-restart", "0"]):
        got = g.ctl(*words)
        asked.append(words[0])
        if words[0] == "health":
            del got["ping_service"]  # this member has its name by requirement
        if words[0] not in ("stats", "config"):
            odd = [k for k in members(got) if "_" in k]
            assert not odd, (words, odd)
    assert set(asked) | others == {word for word, needs in table if needs != "LOCAL"}
    assert g.ctl("log-level")["logLevel"] == "debug"
    assert {x["command"] for x in g.ctl("help")} >= {"top", "status"}
    for words, code in ((["disconnect", "JSON9"], 1), (["show"], 2),
                        (["xyz"], 2), (["connections", "--limit", "x"], 2),
                        (["auth", "remove", "JSON9"], 1),
                        (["show", "JSON9"], 1)):
        r = g.run("-j", *words)
        assert r.returncode == code and r.stderr == "", (words, r)
        error = json.loads(r.stdout)["error"]
        assert error["message"], words
    r = g.run("-j", "show")
    assert json.loads(r.stdout)["error"]["usage"] == "show IDENTITY"
    r = subprocess.run([OCPPCTL, "-j", "-s", "/none", "status"], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 3 and json.loads(r.stdout)["error"]["message"]
    poll(lambda: all(w["state"] == "ready" for w in g.workers()))
    c = booted(g, "JSON1")
    assert g.ctl("disconnect", "JSON1")["message"] == "disconnected"
    assert g.ctl("drain", "0s")["message"]


def test_arguments_with_any_characters_reach_the_daemon():
    g = shared()
    for name in ("it's", 'a "quoted" one', "back\\slash", "ü€😀", "a b",
                 "$HOME", "-dash", "--two"):
        c = booted(g, name)
        for words in ([name], ["--", name]):
            assert g.ctl("show", *words)["identity"] == name
            assert "connected since" in g.ctl("why", *words, json_=False)
        c.close()


# --- status, health, workers, stats, config ------------------------------------------

def test_status_in_text_and_json():
    g = Gateway(server_node="n1")
    booted(g, "ST")
    s = g.ctl("status")
    assert s["node"] == "n1" and s["pid"] == g.pid and s["status"] == "healthy"
    assert s["workers"] == s["workersReady"] == 2
    assert s["maxConnections"] == 10000 and s["problems"] == []
    assert is_time(s["started"]) and not s["draining"]
    assert s["config"]["file"] == g.conf
    text = g.ctl("status", json_=False)
    for word in ("healthy", "2 of 2 ready", str(g.pid), "127.0.0.1:%d" % g.port,
                 g.conf):
        assert word in text, (word, text)


def test_health_has_the_required_members():
    g = Gateway()
    c = booted(g, "HEALTH")
    r = g.run("health")
    assert r.returncode == 0
    h = json.loads(r.stdout)
    assert list(h)[:5] == ["connections", "ping_service", "status",
                           "timestamp", "uptime"], h
    assert h["status"] == "healthy" and is_time(h["timestamp"])
    assert h["connections"] == 1 and h["maxConnections"] == 10000
    assert re.fullmatch(r"\d+m?s", h["uptime"]), h["uptime"]
    assert type(h["uptimeMs"]) is int
    p = h["ping_service"]
    assert list(p) == ["active_connections", "ping_interval", "skipped_pings",
                       "total_pings"], p
    assert p["active_connections"] == 1 and p["ping_interval"] == "1s"
    assert type(p["total_pings"]) is int and type(p["skipped_pings"]) is int
    assert len(h["workers"]) == 2 and h["journal"]["status"] == "ok"
    assert "redis" in h
    poll(lambda: (c.ended(), g.ctl("health")["ping_service"]["total_pings"])[1])


def test_workers_in_text_and_json():
    g = Gateway(server_workers="3")
    w = g.ctl("workers")
    assert [x["worker"] for x in w] == [0, 1, 2]
    assert all(x["state"] == "ready" and alive(x["pid"]) and x["starts"] == 1
               for x in w)
    text = g.ctl("workers", json_=False).splitlines()
    assert len(text) == 4 and text[0].split()[0] == "WORKER"
    assert str(w[1]["pid"]) in text[2]


def test_stats_in_text_json_and_prometheus():
    g = shared()
    c = booted(g, "STATS")
    with open(os.path.join(ROOT, "common/stats.def")) as f:
        names = re.findall(r"^(?:COUNTER|COUNTER_BY|GAUGE|GAUGE_BY|GAUGE_MAX|HISTOGRAM)\((\w+)",
                           f.read(), re.M)
    s = g.ctl("stats")
    assert sorted(s) == sorted(names)
    assert s["calls_in"]["BootNotification"] >= 1
    assert s["handshake_time"]["count"] >= 1
    text = g.ctl("stats", json_=False)
    for n in names:
        assert re.search(r"^%s " % n, text, re.M), n
    assert sorted(g.ctl("stats", "acc*")) == sorted(n for n in names if n.startswith("acc"))
    assert g.run("stats", "nonsense").returncode == 1
    r = g.run("-p", "stats")
    assert r.returncode == 0 and "# TYPE ocppd_connections_accepted_total counter" in r.stdout
    c.close()


def test_config_shows_each_value_and_its_origin():
    g = Gateway(conf="[server]\nworkers = 1\n\n[ocpp]\n# x\ncall_queue = 5\n")
    s = g.ctl("config")["settings"]
    with open(os.path.join(ROOT, "common/conf.def")) as f:
        table = f.read()
    for made in re.findall(r'^#include "(\w+\.def)"', table, re.M):
        with open(os.path.join(B, "gen", made)) as f:
            table += f.read()
    knobs = re.findall(r"^(?:FLAG|COUNT|TIME|SIZE|WORD|TEXT|SECRET|LIST)"
                       r"\((\w+), (\w+)", table, re.M)
    assert sorted((a, b) for a in s for b in s[a]) == sorted(knobs)
    assert s["ocpp"]["call_queue"] == {"value": 5, "origin": "file", "line": 6,
                                       "reload": "live"}
    assert s["server"]["node"]["origin"] == "command line"
    assert s["websocket"]["ping_interval"]["origin"] == "default"
    text = g.ctl("config", json_=False)
    assert re.search(r"^call_queue += 5 +# line 6$", text, re.M), text
    assert re.search(r"^ping_interval += 45s +# default$", text, re.M)


# --- charge points ---------------------------------------------------------------------

def test_connections_are_filtered_sorted_and_paged():
    g = Gateway(server_workers="2")
    chargers = {}
    for i in range(12):
        name = "%s-%02d" % ("AB"[i % 2], i)
        chargers[name] = booted(g, name, worker=i % 2)
    for i in range(5):
        chargers["A-04"].call("Heartbeat")

    def ids(*words):
        return [c["identity"] for c in
                g.ctl("connections", *words)["connections"]]
    assert ids() == sorted(chargers)
    assert ids("--match", "A-*") == [n for n in sorted(chargers) if n[0] == "A"]
    assert ids("--match", "?-1[01]") == ["A-10", "B-11"]
    chargers["A-10"].boot("ACME Ltd", "Wall Box")
    assert ids("--model", "acme*BOX") == ["A-10"]
    assert ids("--model", "acme*", "--match", "B*") == []
    assert ids("--worker", "1") == [n for n in sorted(chargers) if n[0] == "B"]
    assert ids("--limit", "3") == sorted(chargers)[:3]
    assert ids("--limit", "3", "--offset", "4") == sorted(chargers)[4:7]
    assert ids("--offset", "100") == []
    poll(lambda: ids("--sort", "messages")[0] == "A-04")
    assert set(ids("--sort", "since")) == set(ids("--sort", "seen")) == \
        set(chargers)
    chargers["A-00"].close()
    poll(lambda: not g.online("A-00"))
    assert "A-00" not in ids() and ids("--state", "offline") == ["A-00"]
    assert ids("--state", "all") == sorted(chargers)
    got = g.ctl("connections", "--limit", "2")
    assert got["total"] == 11
    text = g.ctl("connections", "--state", "all", json_=False)
    assert len(text.splitlines()) == 14 and "12 of 12" in text
    assert "away: peer_closed" in text


def test_show_prints_the_record_of_one_charge_point():
    g = Gateway(server_workers="2")
    c = booted(g, "SHOW ME", worker=1)
    c.call("Heartbeat")
    poll(lambda: (c.ended(), g.show("SHOW ME")["connection"].get("pingMs"))[1]
         is not None)
    s = g.ctl("show", "SHOW ME")
    assert s["online"] and s["worker"] == 1
    assert s["address"] == "%s:%d" % c.sock.getsockname()
    assert s["lastAction"] == "Heartbeat" and is_time(s["since"])
    k = s["connection"]
    assert k["boot"] == "Accepted" and k["protocol"] == "ocpp1.6"
    assert k["messagesIn"] == k["messagesOut"] == 2
    # The worker updates these values when the command asks for them.
    assert s["messages"] == 2, s
    assert k["unanswered"] == 0 and k["commandsPending"] == 0
    text = g.ctl("show", "SHOW ME", json_=False)
    for word in ("SHOW ME", "online, on worker 1", "Heartbeat", s["address"],
                 "\nmessages in      2\n"):
        assert word in text, (word, text)
    c.close()
    poll(lambda: not g.online("SHOW ME"))
    s = g.ctl("show", "SHOW ME")
    assert s["closeReason"] == "peer_closed" and s["connection"] is None
    assert "peer_closed" in g.ctl("show", "SHOW ME", json_=False)
    r = g.run("show", "NEVER")
    assert r.returncode == 1 and "NEVER" in r.stderr + r.stdout


def test_show_reports_whether_a_connection_is_quiet():
    g = shared(websocket_ping_interval="1h", websocket_idle_timeout="3h")
    c = booted(g, "QUIET")
    poll(lambda: g.show("QUIET")["connection"]["quiet"])
    assert g.stat("leases") == 0
    c.raw(frame(TEXT, '[2,"1","Heartbeat",{}]')[:7])  # half a frame
    poll(lambda: not g.show("QUIET")["connection"]["quiet"])
    poll(lambda: g.stats()["leases"] == 1)
    c.reset()


def test_why_explains_the_state_of_a_charge_point_in_one_paragraph():
    g = Gateway(server_workers="1", auth_mode="file", ocpp_call_hold="0s")
    g.ctl("auth", "add", "WHY1", "0123456789abcdef")
    r = g.run("why", "NEVER")
    assert r.returncode == 1 and "NEVER has not been connected" in r.stdout, r
    refusal(g, "STRANGER")
    text = g.run("why", "STRANGER").stdout
    assert re.search(r"^STRANGER has not been connected .* It was last refused "
                     r"\d+s ago, from 127.0.0.1:\d+: the identity is not in "
                     r"the credential file .* Remedy: `ocppctl auth add",
                     text), text
    key = base64.b64encode(b"WHY1:0123456789abcdef").decode()
    c = Charger(g, "WHY1", headers=[("Authorization", "Basic " + key)])
    c.boot()
    text = g.run("why", "WHY1").stdout
    assert "deviate" not in text
    assert " It speaks ocpp1.6 and is of the vendor Vendor, model Model." \
        in text, text
    c.call("BootNotification", {"chargePointVendor": "V", "x": 1,
                                "chargePointModel": "M"})
    c.call("DataTransfer", {"vendorId": "V", "messageId": None})
    text = g.run("why", "WHY1").stdout
    assert "Its messages deviate from the specification, and are accepted: " \
        "a field is not part of the message (extra_field), a field is null " \
        "instead of absent (null_field)." in text, text
    got = g.ctl("why", "WHY1")
    assert got["deviations"] == ["extra_field", "null_field"], got
    assert got["securityProfile"] == 0 and got["certificateEnds"] is None, got
    assert re.search(r"^WHY1 is connected since \S+ \(\d+s ago\) from "
                     r"127.0.0.1:\d+, on worker 0\. It last sent something "
                     r"\d+s ago \(last action DataTransfer; \d+ messages",
                     text), text
    assert "commands" not in text
    call = background(lambda: g.run("call", "WHY1", "ClearCache"))
    id = c.take()[0]
    text = g.run("why", "WHY1").stdout
    assert re.search(r"1 command to it waits .* the oldest for \d+\.\d s",
                     text), text
    c.result(id, {"status": "Accepted"})
    call.wait()
    c.close()
    poll(lambda: not g.online("WHY1"))
    got = g.ctl("why", "WHY1")
    assert not got["online"] and got["known"], got
    assert "is not connected" in got["text"], got
    assert "by the charge point: the charge point closed" in got["text"], got
    assert is_time(got["closed"]) and got["commandsPending"] == 0, got
    assert (got["closeReason"], got["closedBy"], got["protocol"]) == (
        "peer_closed", "the charge point", "ocpp1.6"), got
    assert not got["slowed"] and got["addressPenaltySeconds"] == 0, got


def test_disconnect_closes_with_1008():
    g = shared()
    c = booted(g, "OUT")
    h = background(c.wait_closed, 1008)
    assert g.run("disconnect", "OUT").returncode == 0
    h.wait()
    e = g.wait_events(cp="OUT", type="charge_point.disconnected")[0]
    assert e["payload"]["reason"] == "operator"
    r = g.run("disconnect", "OUT")
    assert r.returncode == 1 and "not connected" in r.stdout + r.stderr
    booted(g, "OUT").close()


# --- tap -------------------------------------------------------------------------------

class Tap:
    def __init__(self, g, *words, **kw):
        self.p = subprocess.Popen([OCPPCTL, "-s", g.control, *words],
                                  stdout=subprocess.PIPE, **kw)
        self.buffer = b""

    def line(self, timeout=DEADLINE):
        end = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.p.stdout], [], [], left)[0]:
                raise TimeoutError("no line came")
            some = os.read(self.p.stdout.fileno(), 1 << 16)
            if not some:
                raise Closed(None, "the tap ended")
            self.buffer += some
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def stop(self):
        self.p.kill()
        self.p.wait()
        self.p.stdout.close()


def tapped(g, tap, c):
    """Sends messages until the tap prints one, which shows that it is active."""
    def comes():
        c.call("Heartbeat")
        try:
            return tap.line(0.05)
        except TimeoutError:
            return None
    poll(comes)
    try:
        while True:
            tap.line(0.2)
    except TimeoutError:
        pass


def test_tap_shows_frames_of_both_directions_with_the_gateways_decision():
    g = Gateway(server_workers="2")
    for worker in (0, 1):
        c = booted(g, "TAP-%d" % worker, worker=worker)
        other = booted(g, "OTHER-%d" % worker, worker=worker)
        tap = Tap(g, "-j", "tap", "TAP-*")
        try:
            tapped(g, tap, c)
            other.call("Authorize", {"idTag": "HIDDEN"})
            c.call("Authorize", {"idTag": "SEEN"}, id="a1")
            x, y = json.loads(tap.line()), json.loads(tap.line())
            assert x["direction"] == "in" and y["direction"] == "out"
            assert x["frame"] == '[2,"a1","Authorize",{"idTag": "SEEN"}]'
            assert x["chargePointId"] == c.identity and is_time(x["timestamp"])
            assert x["decision"] == "authorization.requested"
            assert json.loads(y["frame"])[:2] == [3, "a1"] and y["decision"]
            c.send("garbage")
            x = json.loads(tap.line())
            assert x["frame"] == "garbage" and x["decision"], x
            h = background(g.call, c.identity, "ClearCache")
            c.result(c.take()[0], {"status": "Accepted"})
            h.wait()
            x, y = json.loads(tap.line()), json.loads(tap.line())
            assert (x["direction"], y["direction"]) == ("out", "in")
        finally:
            tap.stop()
        c.call("Heartbeat")
    text = Tap(g, "tap", "TAP-1")
    try:
        tapped(g, text, c)
        c.call("Authorize", {"idTag": "TEXT"})
        line = text.line()
        assert "TAP-1" in line and '{"idTag": "TEXT"}' in line, line
    finally:
        text.stop()


def test_a_slow_reader_of_tap_loses_frames_and_delays_no_other_client():
    g = Gateway(server_workers="1")
    c = booted(g, "SLOWTAP")
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(g.control)
    s.sendall(b"-j tap 'SLOW*'\n")
    s.settimeout(DEADLINE)
    poll(lambda: (c.call("Heartbeat"), select.select([s], [], [], 0)[0])[1])
    big = "x" * 6000
    slowest = 0
    for i in range(1200):  # 14 MB of frames, which the reader does not read
        began = time.monotonic()
        c.call("DataTransfer", {"vendorId": "V", "data": big})
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 2 * SLOW, slowest
    assert g.ask("status")[0] == 200
    # When the reader has read enough, the next frame has the number of lost frames.
    end = [b""]

    def marked():
        c.call("Heartbeat")
        while select.select([s], [], [], 0)[0]:
            some = s.recv(1 << 20)
            assert some, "the tap ended"
            end[0] = end[0][-20:] + some
            if re.search(b'"lost(Before)?":', end[0]):
                return True
        return False
    poll(marked, what="the number of lost frames")
    s.close()
    c.close()


# --- stop ---------------------------------------------------------------------------------

def test_drain_closes_connections_over_a_time_and_stops():
    g = Gateway()
    chargers = [booted(g, "DRAIN%d" % i) for i in range(5)]
    g.note_stats()
    handles = [background(c.wait_closed, 1001) for c in chargers]
    r = g.run("drain", "500ms")
    assert r.returncode == 0 and "draining" in r.stdout
    for h in handles:
        h.wait()
    assert g.wait_exit() == 0
    g.process = None
    assert g.run("status").returncode == 3


def test_shutdown_stops_at_once():
    g = Gateway(server_drain_time="60s")
    booted(g, "SHUT")
    g.note_stats()
    assert g.run("shutdown").returncode == 0
    assert g.wait_exit() == 0
    g.process = None


# --- access rights ------------------------------------------------------------------------------

def test_members_of_the_group_may_only_read():
    if os.getuid() != 0:
        raise Skip("only root can become another user")
    import grp
    import pwd
    nobody = pwd.getpwnam("nobody")
    g = Gateway(server_control_group=grp.getgrgid(nobody.pw_gid).gr_name)
    c = booted(g, "GROUP")

    def become():
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    st = os.stat(g.control)
    assert st.st_mode & 0o777 == 0o660 and st.st_gid == nobody.pw_gid
    with open(os.path.join(ROOT, "common/commands.def")) as f:
        table = re.findall(r'^COMMAND\(\w+, "([\w-]+)", "[^"]*", (\w+)',
                           f.read(), re.M)
    words = {"show": ["GROUP"], "why": ["GROUP"], "call": ["GROUP", "ClearCache"],
             "disconnect": ["GROUP"], "tap": ["*"], "worker-restart": ["0"],
             "log-level": ["debug"], "outcome": ["known"]}
    assert g.ask("call", "GROUP", "ClearCache", "--id", "known", "--wait",
                 "no")[0] == 202
    c.result(c.take()[0], {"status": "Accepted"})
    poll(lambda: g.ask("outcome", "known")[0] == 200)
    # The user may search the directory of the socket.
    copy = g.dir + "/ocppctl"
    shutil.copy(OCPPCTL, copy)
    for word, needs in table:
        if needs == "LOCAL" and word != "events":
            continue
        if word == "tap":  # it ends after its first line here
            p = subprocess.Popen([copy, "-s", g.control, "tap", "*"],
                                 preexec_fn=become, stdout=subprocess.PIPE,
                                 text=True, cwd="/")
            lines = background(p.stdout.readline)
            while lines.is_alive():
                c.call("Heartbeat")
            assert "Heartbeat" in lines.wait()
            p.kill()
            p.wait()
            continue
        r = subprocess.run([copy, "-s", g.control, word] + words.get(word, []),
                           preexec_fn=become, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, cwd="/",
                           timeout=DEADLINE)
        if needs == "ADMIN":
            assert r.returncode == 1, (word, r)
            assert "only root" in r.stdout + r.stderr, (word, r)
        else:
            assert r.returncode == 0, (word, r)
        if word == "events":
            assert "charge_point.connected" in r.stdout, r
    assert g.online("GROUP") and alive(g.pid)
    c.call("Heartbeat")

    def stranger():
        os.setgroups([])
        os.setgid(nobody.pw_gid + 1 if nobody.pw_gid < 65000 else 12345)
        os.setuid(nobody.pw_uid)
    r = subprocess.run([copy, "-s", g.control, "status"], preexec_fn=stranger,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")
    assert r.returncode == 3, r


def test_invalid_input_at_the_control_socket_is_refused():
    g = shared()
    for data in (b"\n", b"'open\n", b"\0\n", b"x" * 100000 + b"\n", b"-j\n",
                 b"status\r\n", b"show " + b"a " * 100 + b"\n",
                 b"y" * 250000 + b"\n", b"\xff\xfe\n"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(DEADLINE)
        s.connect(g.control)
        try:
            s.sendall(data)
            got = s.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            got = b"400 "
        assert got[:1] in (b"2", b"4"), (data[:20], got)
        s.close()
    assert g.ask("status")[0] == 200


def begin(g, text):
    """Connects to the control socket, sends this, and leaves the connection open."""
    s = socket.socket(socket.AF_UNIX)
    # settimeout() is not used, because connect() would then fail if the queue is full.
    for way in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        s.setsockopt(socket.SOL_SOCKET, way,
                     struct.pack("ll", int(DEADLINE), 0))
    s.connect(g.control)
    s.sendall(text)
    return s


def test_clients_that_do_not_end_their_line_do_not_prevent_other_commands():
    g = Gateway()
    c, tap = booted(g, "CP1"), Tap(g, "tap", "*")
    tapped(g, tap, c)
    for text in (b"", b"stat"):
        slow = [begin(g, text) for i in range(280)]
        for i in range(3):
            r = g.run("status")
            assert r.returncode == 0, r
        assert slow[0].recv(100).startswith(b"503 "), "the oldest client was not disconnected"
        slow[-1].sendall(b"status\n"[len(text):])
        assert slow[-1].recv(100).startswith(b"200 ")
    # A client whose command is being executed is not disconnected.
    c.call("Heartbeat")
    assert "Heartbeat" in tap.line()
    tap.stop()


def test_clients_of_the_group_do_not_prevent_commands_of_an_administrator():
    if os.getuid() != 0:
        raise Skip("only root can become another user")
    import grp
    import pwd
    nobody = pwd.getpwnam("nobody")
    g = Gateway(server_control_group=grp.getgrgid(nobody.pw_gid).gr_name)
    mine = begin(g, b"stat")
    os.setegid(nobody.pw_gid)
    os.seteuid(nobody.pw_uid)
    try:
        slow = [begin(g, b"stat") for i in range(280)]
        assert begin(g, b"status\n").recv(100).startswith(b"200 ")
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert slow[0].recv(100).startswith(b"503 "), "the oldest client was not disconnected"
    mine.sendall(b"us\n")
    assert mine.recv(100).startswith(b"200 ")


def test_clients_that_disconnect_while_their_command_waits_free_their_places():
    g = Gateway(ocpp_message_timeout="60s", ocpp_call_hold="0s",
                ocpp_call_queue="256")
    chargers = [booted(g, "GONE%d" % i) for i in range(2)]
    for i in range(280):
        s = begin(g, b"call GONE%d ClearCache\n" % (i % 2))
        s.close()
    # Each of these commands was executed, or found no free place at that moment.
    assert g.run("status").returncode == 0
    assert chargers[0].take()[1] == "ClearCache"
    # A client that has closed only its sending direction still gets the answer.
    s = begin(g, b"call GONE0 ClearCache --timeout 1s\n")
    s.shutdown(socket.SHUT_WR)
    chargers[1].close()
    assert s.recv(100).startswith(b"2"), "the client was disconnected"


def test_commands_that_wait_do_not_take_all_places():
    g = Gateway(ocpp_message_timeout="60s", ocpp_call_hold="0s",
                ocpp_call_queue="256")
    c = booted(g, "BUSY")
    waiting = [begin(g, b"call BUSY ClearCache\n") for i in range(200)]
    got = [s for s in waiting if select.select([s], [], [], 0)[0]]
    poll(lambda: any(select.select([s], [], [], 0)[0] for s in waiting))
    assert g.run("status").returncode == 0
    refused = [s for s in waiting if select.select([s], [], [], 0)[0]]
    assert 1 <= len(refused) <= 8, len(refused)
    assert refused[0].recv(100).startswith(b"503 ")


def test_an_incomplete_line_is_not_executed():
    g = shared()
    c = booted(g, "UNENDED")
    s = begin(g, b"disconnect UNENDED")
    s.shutdown(socket.SHUT_WR)
    assert s.recv(100) == b""           # the gateway has read the line and closed the connection
    s.close()
    c.call("Heartbeat")
    assert g.online("UNENDED")
    c.close()


def test_without_free_descriptors_the_master_does_not_use_the_processor():
    import resource as res
    def few():
        res.setrlimit(res.RLIMIT_NOFILE, (24, 24))
    g = Gateway(server_workers="1", server_max_connections="4", preexec=few)
    waiting = [begin(g, b"stat") for i in range(30)]
    g.wait_log("cannot accept a client of the control socket: Too many open")

    def ticks():
        with open("/proc/%d/stat" % g.pid) as f:
            f = f.read().rsplit(")", 1)[1].split()
        return int(f[11]) + int(f[12])
    before, began = ticks(), time.monotonic()
    poll(lambda: time.monotonic() - began > 1, 2)    # in this time a loop that does not wait would
    assert ticks() - before < 20, "the master does not wait"  # use 100 ticks
    for s in waiting:
        s.close()
    poll(lambda: g.run("status").returncode == 0)


def test_single_bytes_do_not_extend_the_time_for_a_line():
    g = shared()
    s = begin(g, b"s")
    began = time.monotonic()
    while not select.select([s], [], [], 0.5)[0]:
        assert time.monotonic() - began < 20 * SLOW, "the connection was not closed in time"
        s.sendall(b"t")
    assert s.recv(100).startswith(b"504 ")
    assert time.monotonic() - began > 9


if __name__ == "__main__":
    main()
