#!/usr/bin/python3
"""ocppd-redis(7): its examples are run as they are printed, and its lists are complete."""

import re as regex

from lib import *
from redis_resp import Server
import redis_fleet as fleet

PAGE = os.path.join(ROOT, "man", "ocppd-redis.7")


def example(name, dir):
    """Writes an example of the page into a file."""
    with open(PAGE) as f:
        text = f.read()
    found = regex.search(r'\.\\" example: %s\n\.Bd [^\n]*\n(.*?)\n\.Ed\n' % regex.escape(name), text, regex.S)
    assert found, "the page has no example " + name
    lines = found.group(1).replace("\\e", "\\").replace("\\&", "")
    path = os.path.join(dir, name)
    with open(path, "w") as f:
        f.write(lines + "\n")
    os.chmod(path, 0o755)
    return path


@fleet.tidy
def test_the_examples_of_the_page_work_as_printed():
    s = fleet.redis()
    r = s.client()
    g = fleet.gateway(s, "a", answers_Authorize="platform", answers_Authorize_fallback="blocked")
    cli = ["-h", "127.0.0.1", "-p", str(s.port)]
    env = dict(os.environ, REDIS=" ".join(cli))
    c = Charger(g, "CP1")
    c.boot()
    fleet.held_by(r, "CP1", "a")

    # A program in the shell sends commands: a result, an error, and a wrong command.
    def command(*words):
        return subprocess.Popen([example("command.sh", g.dir), *words], env=env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p = command("CP1", "Reset", '{"type":"Soft"}')
    i, action, payload = c.take()
    assert (action, payload) == ("Reset", {"type": "Soft"})
    c.result(i, {"status": "Accepted"})
    out, err = p.communicate(timeout=20)
    assert p.returncode == 0 and json.loads(out)["payload"] == {"status": "Accepted"}, (out, err)
    p = command("CP1", "ClearCache")
    i, _, payload = c.take()
    assert payload == {}
    c.error(i)
    out, err = p.communicate(timeout=20)
    assert p.returncode == 1 and json.loads(out)["outcome"] == "error", (out, err)
    p = command("CP1", "Re set")
    out, err = p.communicate(timeout=20)
    assert p.returncode == 2 and "OCPP action" in err, (out, err)

    # A consumer that is killed continues where it was.
    consumer = example("consumer.py", g.dir)
    seen = []
    for _ in range(2):
        p = subprocess.Popen(["/usr/bin/python3", consumer, "127.0.0.1", str(s.port), "billing", "one"],
                             stdout=subprocess.PIPE, text=True)
        want = c.start(meter=len(seen) + 1)["transactionId"]
        while True:
            line = p.stdout.readline()
            assert line, "the consumer has ended"
            seen.append(json.loads(line))
            if json.loads(seen[-1].get("answer", "{}")).get("transactionId") == want:
                break
        p.kill()
        p.communicate()
    ids = [e["eventId"] for e in seen]
    assert len(ids) - len(set(ids)) <= 1  # it may be killed between its work and XACK
    assert {e["eventType"] for e in seen} >= {"charge_point.booted", "command.response", "transaction.started"}

    # The platform decides which idTags may charge.
    with open(g.dir + "/tags", "w") as f:
        f.write("GOOD1\nGOOD2\n")
    def reads():
        return any("cmd=xread" in l for l in r("CLIENT", "LIST").splitlines() if "name=ocppd" not in l)
    p = subprocess.Popen(["/usr/bin/python3", example("authorize.py", g.dir), g.dir + "/tags", *cli],
                         start_new_session=True)
    try:
        poll(reads, what="the XREAD of the platform")
        assert c.call("Authorize", {"idTag": "GOOD2"})["idTagInfo"]["status"] == "Accepted"
        assert c.call("Authorize", {"idTag": "BAD"})["idTagInfo"]["status"] == "Invalid"
    finally:
        os.killpg(p.pid, signal.SIGKILL)  # also its redis-cli
        p.wait()

    poll(lambda: not reads(), what="the end of the XREAD")
    p = subprocess.Popen([example("follow.sh", g.dir), "CP1", "1"], env=env, stdout=subprocess.PIPE, text=True)
    poll(reads, what="the XREAD of follow.sh")
    c.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
    out, _ = p.communicate(timeout=20)
    assert "connector.status_changed" in out


def test_the_page_lists_every_function_option_key_and_state():
    with open(PAGE) as f:
        page = f.read()
    lua = ""
    for name in ("ocppd.lua", "ocppd_gateway.lua"):
        with open(os.path.join(ROOT, "worker/fleet", name)) as f:
            lua += f.read()
    names = regex.findall(r"^add\('(\w+)'", lua, regex.M)
    assert len(names) > 10
    for name in names:
        assert "ocppd_" + name in page, "function " + name
    keys = regex.findall(r"S \.\. '(\w+):?'", lua)
    assert len(set(keys)) > 10, keys
    for key in keys + ["cursor", "txid:last"]:
        assert "}:" + key in page, "key " + key
    options = regex.findall(r"^  (\w+) = function\(v", lua, regex.M)
    assert len(options) > 3, options
    for option in options:
        assert ".It Va %s\n" % option in page, "option " + option
    said = ""
    for name in os.listdir(os.path.join(ROOT, "worker/fleet")):
        if name.endswith(".c"):
            with open(os.path.join(ROOT, "worker/fleet", name)) as f:
                said += f.read()
    words = set(regex.findall(r'(?:redis_set_status\(|link_give_up\([^,]*,\s*)"(\w+)"', said))
    assert {"ready", "slow", "old"} < words, words
    for word in words:
        assert ".It Li %s\n" % word in page or word == "memory", "word " + word


def test_the_version_in_the_library_is_the_gateways():
    with open(os.path.join(ROOT, "worker/fleet", "ocppd.lua")) as f:
        version = f.readlines()[1].split()[-1]
    with open(os.path.join(ROOT, "worker/fleet", "functions.h")) as f:
        assert regex.search(r"LIBRARY_VERSION (\d+)", f.read()).group(1) == version


@fleet.tidy
def test_the_library_can_be_loaded_by_hand():
    s = fleet.redis()
    text = subprocess.run([OCPPD, "-o", "redis.prefix=other", "-o", "redis.shards=3", "-x", "redis"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    r = s.client()
    assert r("FUNCTION", "LOAD", text) == "other"
    assert r("FCALL", "other_version", 0)[1] == 3


if __name__ == "__main__":
    main()
