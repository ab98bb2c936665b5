#!/usr/bin/python3
"""The HTTP port for monitoring: health and metrics. A strict parser reads the responses."""

import http.client

from lib import *
from ocpp2 import V21, V201, Station

METER = {"connectorId": 1, "meterValue": [
    {"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [{"value": "1"}]}]}


def gateway(**kw):
    port = free_port()
    g = Gateway(admin_listen="127.0.0.1:%d" % port, **kw)
    g.admin = port

    def up():
        try:
            return get(g, "/live")[0] == 200
        except OSError:
            return False
    poll(up, what="a response of the admin port")
    return g


def get(g, path, method="GET", body=None):
    """Makes a request. Returns (status, headers, body)."""
    h = http.client.HTTPConnection("127.0.0.1", g.admin, timeout=DEADLINE)
    try:
        h.request(method, path, body)
        r = h.getresponse()
        return r.status, dict(r.getheaders()), r.read().decode()
    finally:
        h.close()


def parse(text):
    """Parses the Prometheus text format 0.0.4 strictly. Returns
        {family: (type, help, {(sample, labels): value})}"""
    families, current = {}, None
    name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
    label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        m = re.fullmatch(r"# HELP (%s) (.*)" % name, line)
        if m:
            assert m[1] not in families, "a family occurs twice: " + line
            assert m[2].strip(), line
            current = m[1]
            families[current] = [None, m[2], {}]
            continue
        m = re.fullmatch(r"# TYPE (%s) (counter|gauge|histogram)" % name, line)
        if m:
            assert m[1] == current and families[current][0] is None and \
                not families[current][2], line
            families[current][0] = m[2]
            continue
        m = re.fullmatch(r"(%s)(?:\{(%s(?:,%s)*)\})? (\S+)"
                         % (name, label, label), line)
        assert m, "not a line of the format: %r" % line
        kind = families[current][0]
        assert kind, "a sample without TYPE: " + line
        allowed = [current] if kind != "histogram" else \
            [current + s for s in ("_bucket", "_sum", "_count")]
        assert m[1] in allowed, "a sample is not with its family: " + line
        key = (m[1], m[2] or "")
        assert key not in families[current][2], "a sample occurs twice: " + line
        families[current][2][key] = float(m[3])
    return families


def connected(g):
    """Returns {(version, vendor, model): connections} from /metrics."""
    family = parse(get(g, "/metrics")[2]).get(
        "ocppd_charge_points_connected", (None, None, {}))
    return {tuple(re.findall(r'="((?:[^"\\]|\\.)*)"', labels)): float(v)
            for (_, labels), v in family[2].items()}


def test_connections_are_counted_by_version_vendor_and_model():
    g = gateway(server_workers="2", ocpp_versions="ocpp2.0.1 ocpp1.6")
    here = [Charger(g, "A%d" % i) for i in range(3)]
    for c in here:
        c.boot("Vendor", 'Big "1\\')
    unknown = Charger(g, "SILENT")
    two = Charger(g, "TWO", protocols="ocpp2.0.1")
    two.call("BootNotification", {
        "reason": "PowerUp", "chargingStation": {
            "vendorName": "Andere GmbH \u00fc" + "x" * 30,
            "model": "M\u0007\u202e2"}})
    big = ("ocpp1.6", "Vendor", 'Big \\"1\\\\')
    other = ("ocpp2.0.1", "Andere GmbH \u00fc" + "x" * 30, "M????2")
    want = {big: 3, other: 1, ("ocpp1.6", "unknown", "unknown"): 1}
    poll(lambda: connected(g) == want)
    assert g.show("TWO")["vendor"] == other[1], g.show("TWO")
    listed = {c["identity"]: (c["vendor"], c["model"], c["protocol"])
              for c in g.ctl("connections")["connections"]}
    assert listed["A0"] == ("Vendor", 'Big "1\\', "ocpp1.6"), listed
    assert listed["SILENT"] == (None, None, "ocpp1.6"), listed
    text = g.ctl("connections", json_=False)
    assert 'ocpp1.6   Vendor Big "1\\' in text, text
    # One charge point reports another model, another one disconnects.
    here[0].boot("Vendor", "New")
    here[1].close()
    want.update({big: 1, ("ocpp1.6", "Vendor", "New"): 1})
    poll(lambda: connected(g) == want)
    # After an upgrade and after a restart the models are still known, although no charge
    # point sends a BootNotification again.
    g.upgrade()
    assert connected(g) == want, connected(g)
    g.stop()
    g.start()
    here = [Charger(g, "A0"), Charger(g, "TWO", protocols="ocpp2.0.1")]
    want = {("ocpp1.6", "Vendor", "New"): 1, other: 1}
    poll(lambda: connected(g) == want)


def test_models_above_the_limit_are_counted_together():
    g = gateway(server_workers="1", conf="[admin]\nmodel_labels = 2\n")
    here = [(i, Charger(g, "C%d%d" % (i, k)))
            for i, n in enumerate((3, 2, 1, 1)) for k in range(n)]
    for i, c in here:
        c.boot("V", "M%d" % i)
    want = {("ocpp1.6", "V", "M0"): 3, ("ocpp1.6", "V", "M1"): 2,
            ("ocpp1.6", "other", "other"): 2}
    poll(lambda: connected(g) == want)
    conf = open(g.conf).read().replace("model_labels = 2", "model_labels = 0")
    with open(g.conf, "w") as f:
        f.write(conf)
    g.ctl("reload")
    want = {("ocpp1.6", "other", "other"): 7}
    poll(lambda: connected(g) == want)


def test_health_is_the_same_document_as_that_of_ocppctl():
    g = gateway()
    c = Charger(g, "H")
    c.boot()
    status, headers, body = get(g, "/health")
    assert status == 200 and headers["Content-Type"] == "application/json"
    mine, theirs = json.loads(body), g.ctl("health")
    assert list(mine) == list(theirs)
    for k in ("status", "connections", "maxConnections", "problems", "journal"):
        assert mine[k] == theirs[k], k
    assert mine["status"] == "healthy" and mine["connections"] == 1
    assert mine["ping_service"]["active_connections"] == 1


def test_connections_are_counted_by_version_and_by_whether_they_charge():
    g = gateway(server_workers=2)
    versions = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")

    def numbers():
        """Returns the connections by version, and those that charge, from /metrics and
        /health."""
        m, h = parse(get(g, "/metrics")[2]), json.loads(get(g, "/health")[2])
        by = {labels: n for (_, labels), n in m["ocppd_connections_by_version"][2].items()}
        assert len(by) == len(h["connectionsByVersion"]) == 3, (by, h)
        return ([int(by['version="%s"' % v]) for v in versions] + [int(*m["ocppd_connections_charging"][2].values())],
                [h["connectionsByVersion"][v] for v in versions] + [h["charging"]])

    def become(*want):
        poll(lambda: numbers() == (list(want), list(want)), what="%s" % (want,))
    become(0, 0, 0, 0)
    a = Charger(g, "A16", worker=0)
    b = Station(g, "B201", V201, worker=1)
    c = Station(g, "C21", V21, worker=0)
    for x in (a, b, c):
        x.boot()
    become(1, 1, 1, 0)
    id = a.start()["transactionId"]
    b.event("Started", "t", 0)
    b.event("Updated", "t", 1)
    become(1, 1, 1, 2)
    # All connections move to other processes, which still count them.
    for n in (0, 1):
        assert g.ask("worker-restart", str(n))[0] == 200
    poll(lambda: g.stat("moved") == 3)
    become(1, 1, 1, 2)
    a.stop(id)
    become(1, 1, 1, 1)
    # MeterValues count as charging only with a transaction.
    a.call("MeterValues", METER)
    become(1, 1, 1, 1)
    a.call("MeterValues", dict(METER, transactionId=id))
    become(1, 1, 1, 2)
    b.close()
    become(1, 0, 1, 1)
    g.kill_worker(0)
    become(0, 0, 0, 0)


def test_metrics_conform_to_the_conventions_of_prometheus():
    g = gateway()
    c = Charger(g, "M")
    c.boot()
    c.call("Heartbeat")
    status, headers, body = get(g, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    f = parse(body)
    with open(os.path.join(ROOT, "common/stats.def")) as d:
        d = d.read()
    table = re.findall(r"^(COUNTER|COUNTER_BY|GAUGE|GAUGE_BY|GAUGE_MAX|HISTOGRAM)\((\w+)", d, re.M)
    other = dict(re.findall(r"^METRIC\((\w+), (\w+)\)", d, re.M))
    assert len(table) > 100 and set(other) < {name for _, name in table}
    for kind, name in table:
        full = "ocppd_" + other.get(name, name) + {
            "GAUGE": "", "GAUGE_BY": "", "GAUGE_MAX": "", "HISTOGRAM": "_seconds"}.get(kind, "_total")
        if name != "call_errors_out":       # equal to the sum of call_errors_sent
            assert full in f, full
    for name, (kind, help, samples) in f.items():
        assert name.startswith(("ocppd_", "process_")), name
        assert samples, name
        assert name.endswith("_total") == (kind == "counter"), (name, kind)
        if kind == "histogram":
            check_histogram(name, samples)
        for v in samples.values():
            assert v >= 0, name
    one = lambda n, l="": f[n][2][(n, l)]
    assert one("ocppd_handshakes_total") == 1
    assert one("ocppd_calls_received_total", 'action="Heartbeat"') == 1
    assert sum(f["ocppd_connections"][2].values()) == 1
    assert one("ocppd_workers", 'state="ready"') == 2
    assert abs(one("ocppd_start_time_seconds") - time.time()) < 60
    h = f["ocppd_answer_duration_seconds"][2]
    assert h[("ocppd_answer_duration_seconds_count", "")] == 2


def test_each_metric_is_in_the_manual():
    from tls import authority
    a = authority()
    g = gateway(server_workers=1,
                server_listen_tls="127.0.0.1:%d" % free_port(),
                tls_certificate=a.path("server")[0],
                tls_key=a.path("server")[1])
    c = Charger(g, "ONE")
    c.boot()
    poll(lambda: connected(g))
    names = set(parse(get(g, "/metrics")[2]))
    assert {"ocppd_charge_points_connected",
            "ocppd_ticket_key_age_seconds"} <= names, names
    with open(os.path.join(B, "man/ocppd-stats.7")) as f:
        text = f.read()
    missing = [n for n in names if not re.search(r"\b%s\b" % n, text)]
    assert not missing, missing


def test_promtool_finds_no_problem():
    if not shutil.which("promtool"):
        raise Skip("promtool (package prometheus) is not installed")
    g = gateway()
    Charger(g, "P").boot()
    text = get(g, "/metrics")[2]
    r = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert r.returncode == 0 and r.stdout == "", r.stdout


def test_metrics_of_processes_disk_and_configuration():
    g = gateway(conf="[server]\nworkers = 2\n")
    f = parse(get(g, "/metrics")[2])
    here = [l for n, l in f["process_cpu_seconds_total"][2]]
    assert here == ['process="master"', 'process="admin"', 'process="worker 0"',
                    'process="worker 1"']
    one = lambda n, l="": f[n][2][(n, l)]
    for name in ("process_resident_memory_bytes", "process_virtual_memory_bytes",
                 "process_max_fds", "process_start_time_seconds"):
        assert all(v > 0 for v in f[name][2].values()), name
        assert len(f[name][2]) == 4, name
    assert abs(one("process_start_time_seconds", 'process="worker 0"') - time.time()) < 60
    with open("/proc/%d/limits" % g.workers()[0]["pid"]) as l:
        limit = re.search(r"Max open files +(\d+)", l.read())[1]
    assert one("process_max_fds", 'process="worker 0"') == int(limit)
    disk = os.statvfs(g.state_dir)

    def measured():
        free = parse(get(g, "/metrics")[2])["ocppd_journal_disk_free_bytes"][2]
        free = free[("ocppd_journal_disk_free_bytes", "")]
        return abs(free - disk.f_bavail * disk.f_frsize) < 0.2 * disk.f_blocks * disk.f_frsize
    poll(measured)

    loaded = one("ocppd_config_last_reload_success_timestamp_seconds")
    assert abs(loaded - time.time()) < 60
    assert one("ocppd_config_last_reload_successful") == 1
    with open(g.conf, "a") as conf:
        conf.write("no_such_key = 1\n")
    assert g.run("reload").returncode != 0
    f = parse(get(g, "/metrics")[2])
    assert one("ocppd_config_last_reload_successful") == 0
    assert one("ocppd_config_last_reload_success_timestamp_seconds") == loaded


def test_error_codes_and_commands_are_counted_by_name():
    g = gateway()
    c = Charger(g, "CODES")
    c.boot()
    codes = ["NotImplemented", "NotSupported", "InternalError", "ProtocolError",
             "SecurityError", "FormationViolation", "FormatViolation",
             "PropertyConstraintViolation", "OccurenceConstraintViolation",
             "OccurrenceConstraintViolation", "TypeConstraintViolation",
             "GenericError", "MessageTypeNotSupported", "RpcFrameworkError",
             "Odd"]
    for code in codes:
        b = background(g.call, "CODES", "Reset", {"type": "Soft"})
        c.error(c.take()[0], code)
        assert b.wait()["outcome"] == "error"
    f = parse(get(g, "/metrics")[2])
    got = f["ocppd_call_errors_received_total"][2]
    rows = {l[6:-1]: v for (n, l), v in got.items() if v}
    assert rows == {"NotImplemented": 1, "NotSupported": 1, "InternalError": 1,
                    "ProtocolError": 1, "SecurityError": 1, "FormatViolation": 2,
                    "PropertyConstraintViolation": 1,
                    "OccurrenceConstraintViolation": 2,
                    "TypeConstraintViolation": 1, "GenericError": 1,
                    "MessageTypeNotSupported": 1, "RpcFrameworkError": 1,
                    "other": 1}, rows
    sent = f["ocppd_commands_sent_total"][2]
    assert sent[("ocppd_commands_sent_total", 'action="Reset"')] == len(codes)
    assert c.refused("NoSuchAction", {}).code == "NotImplemented"
    f = parse(get(g, "/metrics")[2])
    assert f["ocppd_call_errors_sent_total"][2][
        ("ocppd_call_errors_sent_total", 'code="NotImplemented"')] == 1


def check_histogram(name, samples):
    buckets = [(float(re.search(r'le="([^"]+)"', l)[1]), v)
               for (n, l), v in samples.items() if n == name + "_bucket"]
    assert [b for b, v in buckets] == sorted(b for b, v in buckets), name
    assert [v for b, v in buckets] == sorted(v for b, v in buckets), name
    assert buckets[-1][0] == float("inf")
    assert buckets[-1][1] == samples[(name + "_count", "")], name
    assert (name + "_sum", "") in samples


def test_counters_do_not_go_back_when_a_worker_dies():
    g = gateway()
    c = Charger(g, "BACK", worker=0)
    c.boot()
    before = parse(get(g, "/metrics")[2])
    old = g.kill_worker(0)

    def successor_ready():  # reads one response, because a second one may differ
        w = g.workers()[0]
        return w["state"] == "ready" and w["pid"] != old
    poll(successor_ready)
    after = parse(get(g, "/metrics")[2])
    for name, (kind, help, samples) in before.items():
        if kind in ("counter", "histogram"):
            for k, v in samples.items():
                assert after[name][2][k] >= v, k
    assert after["ocppd_worker_restarts_total"][2][
        ("ocppd_worker_restarts_total", "")] == 1


def test_ready_and_live_follow_the_workers():
    g = gateway(server_drain_time="3s")
    assert get(g, "/ready")[0] == 200 and get(g, "/live")[0] == 200
    c = [Charger(g, "R%d" % i) for i in range(3)]
    g.send_signal(signal.SIGTERM)
    poll(lambda: get(g, "/ready")[0] == 503)
    assert get(g, "/live")[0] == 200
    g.note_stats()
    g.wait_exit()
    g.process = None


def test_ready_answers_503_while_no_worker_works():
    g = gateway(server_workers="1")
    for i in range(4):  # until the delay before the next start is long enough
        old = g.kill_worker(0)
        if i < 3:
            poll(lambda: g.worker_pid(0) not in (0, old))
    poll(lambda: get(g, "/ready")[0] == 503)
    assert get(g, "/health")[0] == 503
    assert json.loads(get(g, "/health")[2])["status"] == "unhealthy"
    poll(lambda: get(g, "/ready")[0] == 200, 20 * SLOW)


def test_other_paths_and_methods_are_refused():
    g = gateway()
    assert get(g, "/nothing")[0] == 404
    assert get(g, "/healthy")[0] == 404
    status, headers, body = get(g, "/health", "POST", "x" * 10000)
    assert status == 405 and headers["Allow"] == "GET, HEAD"
    assert get(g, "/health", "DELETE")[0] == 405
    status, headers, body = get(g, "/health", "HEAD")
    assert status == 200 and body == ""
    s = socket.create_connection(("127.0.0.1", g.admin))
    s.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
    s.close()
    assert get(g, "/health")[0] == 200


def test_a_charge_point_cannot_use_the_admin_port():
    g = gateway()
    h = http.client.HTTPConnection("127.0.0.1", g.admin, timeout=DEADLINE)
    h.request("GET", "/ocpp/CP1", headers={
        "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": "x" * 22 + "==", "Sec-WebSocket-Version": "13"})
    assert h.getresponse().status == 404
    h.close()


def test_the_admin_process_is_started_again_if_it_dies():
    g = gateway()
    workers = {w["pid"] for w in g.workers()}
    mine = [int(p) for p in subprocess.run(
        ["pgrep", "-P", str(g.pid)], stdout=subprocess.PIPE,
        text=True).stdout.split() if int(p) not in workers]
    assert len(mine) == 1
    c = Charger(g, "OTHER")
    os.kill(mine[0], signal.SIGKILL)
    g.wait_log("admin: the process")

    def again():
        try:
            return get(g, "/live")[0] == 200
        except OSError:
            return False
    poll(again)
    c.boot()


def test_many_slow_clients_delay_monitoring_only_for_a_short_time():
    g = gateway()
    slow = []
    for i in range(40):
        s = socket.create_connection(("127.0.0.1", g.admin))
        s.sendall(b"GET /health HT")
        slow.append(s)
    assert get(g, "/health")[0] == 200
    for s in slow:
        s.close()


if __name__ == "__main__":
    main()
