#!/usr/bin/python3
"""`ocppctl score`: the charge points with the most problems, which it finds only from the
journal."""

import datetime
import http.client

from lib import *


def at(seconds):
    """Returns the time that is this far from now."""
    return (datetime.datetime.now(datetime.timezone.utc) +
            datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(c, seconds=0, **more):
    c.call("StatusNotification", dict(
        {"connectorId": 1, "errorCode": "NoError", "status": "Available",
         "timestamp": at(seconds)}, **more))


def scored(g, *words):
    return g.ctl("score", *words)


def row(g, name, by="identity"):
    rows = [r for r in scored(g, "--by", by, "--worst", "1000")["worst"]
            if r[by] == name]
    return rows[0] if rows else None


def test_each_kind_of_problem_counts_for_its_charge_point_and_its_model():
    g = Gateway(server_workers="2", ocpp_call_hold="0s",
                ocpp_message_timeout="1s")
    good = Charger(g, "GOOD")
    good.boot("Best", "Fine")
    status(good)
    bad = Charger(g, "BAD\"1")
    bad.call("BootNotification", {
        "chargePointVendor": "Worst", "chargePointModel": "M<1>",
        "firmwareVersion": "1.0"})
    # The clock of BAD"1 is an hour ahead. A message that it sends late has an older time.
    status(bad, 3600, unheard="x")
    status(bad, -7200, unheard="x")
    bad.send("nonsense")
    # BAD"1 answers this command too late.
    call = background(lambda: g.call("BAD\"1", "ClearCache"))
    id, _, _ = bad.take()
    assert call.wait()["outcome"] == "timeout"
    bad.result(id, {"status": "Accepted"})
    g.wait_events(2, type="protocol.violation")
    # BAD"1 answers a ping while it reads.
    poll(lambda: bad.call("Heartbeat") and
         "pingMs" in g.show("BAD\"1")["connection"])
    for _ in range(3):
        bad.close()
        bad = Charger(g, "BAD\"1")
    g.wait_events(3, type="charge_point.disconnected", cp="BAD\"1")

    r = poll(lambda: (lambda r: r if r and sum(r["endsPerDay"].values()) > 2.9
                      else None)(row(g, "BAD\"1")))
    assert r["deviations"]["extra_field"] == 2, r
    assert r["violations"] >= 1 and r["lateAnswers"] == 1, r
    assert r["missingAnswers"] == 1, r
    assert round(r["endsPerDay"]["peer_closed"]) == 3, r
    assert abs(r["clockSkewMs"] - 3600000) < 60000, r
    assert 0 <= r["pingMs"] <= r["pingMaxMs"] < 10000, r
    assert (r["vendor"], r["model"], r["firmware"]) == ("Worst", "M<1>", "1.0")
    fine = row(g, "GOOD")
    assert fine["score"] == 0 and abs(fine["clockSkewMs"]) < 5000, fine
    assert not fine["deviations"] and not fine["endsPerDay"], fine

    got = scored(g, "--worst", "1")
    assert [x["identity"] for x in got["worst"]] == ["BAD\"1"], got
    assert got["rows"] == got["chargePoints"] == 2 and not got["partial"], got
    for by, name in (("model", "M<1>"), ("vendor", "Worst"),
                     ("firmware", "1.0")):
        m = row(g, name, by)
        assert m["chargePoints"] == 1 and m["missingAnswers"] == 1, m
    assert row(g, None, "firmware")["chargePoints"] == 1    # that of GOOD is unknown
    text = g.ctl("score", json_=False)
    assert "extra_field 2" in text and "peer_closed 3 a day" in text, text
    assert text.index("BAD\"1") < text.index("GOOD"), text
    # Events that are older than the window do not count.
    assert scored(g, "--since", at(3600))["events"] == 0
    r = g.run("score", "--by", "modle")
    assert r.returncode == 2 and "is it model?" in r.stderr, r
    assert g.run("score", "--worst", "0").returncode == 2
    # The command works without the daemon too.
    state = g.state_dir
    g.stop()
    r = subprocess.run([OCPPCTL, "-j", "score", "--dir", state],
                       stdout=subprocess.PIPE, text=True)
    assert json.loads(r.stdout)["worst"][0]["identity"] == "BAD\"1", r


def test_prometheus_gets_a_bounded_number_of_models():
    port = free_port()
    g = Gateway(server_workers="1", admin_model_labels="40",
                admin_listen="127.0.0.1:%d" % port)
    chargers = []
    for i in range(50):
        c = Charger(g, "M%d" % i)
        chargers.append(c)
        c.boot("Vendor", 'Model "%02d\\' % i)
        if i % 2:
            status(c, unheard="x")
    r = g.run("-p", "score", "--worst", "40")
    assert r.returncode == 0, r
    # The same over HTTP, where a setting bounds the number.
    h = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    h.request("GET", "/v1/score?by=model&since=24h",
              headers={"Accept": "text/plain"})
    served = h.getresponse().read().decode()
    assert [x.split(" ")[0] for x in served.splitlines()] == \
        [x.split(" ")[0] for x in r.stdout.splitlines()], served
    for name in set(re.findall(r"^# TYPE (\S+) gauge$", r.stdout, re.M)):
        lines = re.findall(r'^%s\{model="((?:[^"\\]|\\.)*)"\} (\S+)$' % name,
                           r.stdout, re.M)
        assert len(lines) == 41 and lines[-1][0] == "other", (name, lines)
    points = re.findall(r"^ocppd_score_charge_points\{.*\} (\d+)$", r.stdout,
                        re.M)
    assert sum(map(int, points)) == 50, points
    deviations = re.findall(r"^ocppd_score_deviations_per_day\{model=\"Model "
                            r".*\} (\S+)$", r.stdout, re.M)
    assert sum(float(x) > 0 for x in deviations) == 25, deviations
    assert g.run("-p", "score", "--by", "identity").returncode == 2


def test_labels_for_prometheus_have_no_control_characters():
    port = free_port()
    g = Gateway(server_workers="1", admin_listen="127.0.0.1:%d" % port)
    c = Charger(g, "ESCAPE")
    c.boot("\u009b31m\u202e\x1b", "M")

    def text():
        h = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        h.request("GET", "/v1/score?by=vendor&since=24h",
                  headers={"Accept": "text/plain"})
        got = h.getresponse().read().decode()
        return got if "31m" in got else None
    got = poll(text, what="the label of the vendor")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", got), got


if __name__ == "__main__":
    main()
