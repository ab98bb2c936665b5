#!/usr/bin/python3
"""The alert rules and the dashboard in conf/: their metrics exist, each alert fires,
and the commands that they recommend exist."""

from lib import *
import tls

RULES = ROOT + "/conf/prometheus/ocppd.rules.yml"
DASHBOARD = ROOT + "/conf/grafana/ocppd.json"


def metrics_of(text):
    """Returns the names of metrics in an expression; those of histograms without suffix."""
    return {re.sub(r"_(bucket|sum|count)$", "", m)
            for m in re.findall(r"\b(?:ocppd|process)_[a-z_0-9]+", text)
            if not m.endswith("_")}


def rules():
    """Returns (name, whole text) of each alert. Python's library has no parser of YAML."""
    with open(RULES) as f:
        parts = re.split(r"^      - alert: (\w+)\n", f.read(), flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


def scrape(g):
    r = subprocess.run(["curl", "-sf", "http://%s/metrics" %
                        g.settings["admin_listen"]], stdout=subprocess.PIPE,
                       text=True)
    return r.stdout


def exported():
    """Returns the names of all metrics that a gateway with TLS and one charge point exports."""
    g = tls.gateway(admin_listen="127.0.0.1:%d" % free_port())
    Charger(g, "SEEN").boot()
    return scrape(g)


def test_every_metric_of_the_rules_and_of_the_dashboard_is_exported():
    names = set(re.findall(r"^# TYPE (\S+)", exported(), re.M))
    assert len(names) > 100, names
    for path in (RULES, DASHBOARD):
        with open(path) as f:
            used = metrics_of(f.read())
        assert len(used) > 15, (path, used)
        assert not used - names, (path, used - names)


def test_every_alert_names_the_problem_and_the_remedy():
    r = subprocess.run([OCPPD, "-x", "conf"], stdout=subprocess.PIPE, text=True)
    text = r.stdout
    r = subprocess.run([OCPPD, "-x", "commands"], stdout=subprocess.PIPE,
                       text=True)
    commands = set(re.findall(r"^\.It Cm (\S+)", r.stdout, re.M))
    assert "worker-restart" in commands, commands
    found = rules()
    assert len(found) >= 20 and len({n for n, _ in found}) == len(found)
    for name, rule in found:
        assert re.search(r"severity: (info|warning|critical)\n", rule), name
        action = re.search(r"action: >-\n\s+(.*)", rule)
        assert re.search(r"summary: >-\n\s+\S", rule) and action, name
        assert len(action[1]) > 40 and action[1].endswith("."), name
        for word in re.findall(r"`ocppctl ([\w-]+)", action[1]):
            assert word in commands, (name, word)
        for section, key in re.findall(r"\b(server|journal|redis|websocket|"
                                       r"admin|log)\.(\w+)", action[1]):
            assert re.search(r"^\.It .*\b%s\b" % key, text, re.M), (name, key)


def test_the_metrics_show_a_failed_upgrade():
    g = Gateway(admin_listen="127.0.0.1:%d" % free_port())
    poll(lambda: "ocppd_last_upgrade_successful 1\n" in scrape(g))
    assert g.run("upgrade", "/bin/false").returncode == 1
    text = scrape(g)
    assert "ocppd_last_upgrade_successful 0\n" in text
    assert "ocppd_upgrades_total 1\n" in text
    assert "ocppd_upgrades_failed_total 1\n" in text


def promtool(*words, stdin=None):
    tool = shutil.which("promtool")
    if not tool:
        raise Skip("promtool is not installed: scripts/deps monitoring")
    r = subprocess.run([tool, *words], stdin=stdin, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    return r.returncode, r.stdout


def test_promtool_finds_no_fault_in_the_metrics():
    text = exported()
    with tempfile.TemporaryFile("w+") as f:
        f.write(text)
        f.seek(0)
        code, out = promtool("check", "metrics", stdin=f)
    assert code == 0 and not out, out


def test_promtool_accepts_the_rules_and_the_configuration():
    code, out = promtool("check", "rules", RULES)
    assert code == 0 and "SUCCESS" in out, out
    code, out = promtool("check", "config", "--syntax-only",
                         ROOT + "/conf/prometheus/prometheus.yml")
    assert code == 0, out


# The values of a gateway without problems, one for every two minutes, in promtool's
# notation.
QUIET = {
    'up': "1x90",
    'ocppd_start_time_seconds': "1000x90",
    'ocppd_config_last_reload_successful': "1x90",
    'ocppd_last_upgrade_successful': "1x90",
    'ocppd_worker_restarts_total': "2x90",
    'ocppd_workers{state="ready"}': "4x90",
    'ocppd_workers{state="failed"}': "0x90",
    'ocppd_helper_threads_late': "0x90",
    'ocppd_log_lines_lost_total': "7x90",
    'ocppd_journal_failing': "0x90",
    'ocppd_journal_errors_total': "3x90",
    'ocppd_journal_backlog_bytes': "4096x90",
    'ocppd_commit_duration_seconds_bucket{le="1"}': "0+600x90",
    'ocppd_commit_duration_seconds_bucket{le="+Inf"}': "0+600x90",
    'ocppd_journal_damaged_total': "1x90",
    'ocppd_journal_disk_size_bytes': "1000000000x90",
    'ocppd_journal_disk_free_bytes': "800000000-1000x90",
    'ocppd_redis_ship_lag_seconds': "0.2x90",
    'ocppd_redis_failures_total': "1x90",
    'ocppd_redis_events_trimmed_unread_total': "0x90",
    'ocppd_platform_fallbacks_total': "5x90",
    'ocppd_redis_outcomes_waiting': "0x90",
    'ocppd_pings_skipped_total': "9x90",
    'ocppd_connections_accepted_total': "1000+10x90",
    'ocppd_handshakes_refused_total{reason="auth"}': "0+1x90",
    'ocppd_connections{worker="0"}': "1000x90",
    'ocppd_max_connections': "10000x90",
    'ocppd_identities': "1500x90",
    'ocppd_max_identities': "20000x90",
    'process_open_fds{process="worker 0"}': "1100x90",
    'process_max_fds{process="worker 0"}': "1048576x90",
    'ocppd_penalties_total': "3x90",
    'ocppd_certificate_expiry_timestamp_seconds{file="a.pem"}': "9000000x90",
    'ocppd_tls_failures_total{reason="unknown_ca"}': "0+1x90",
}

# For each alert, the values for which it must fire within three hours.
TROUBLES = {
    "OcppdDown": {'up': "0x90"},
    "OcppdRestarts": {'ocppd_start_time_seconds': "1000+1000x90"},
    "OcppdReloadFailed": {'ocppd_config_last_reload_successful': "0x90"},
    "OcppdUpgradeFailed": {'ocppd_last_upgrade_successful': "0x90"},
    "OcppdWorkerDied": {'ocppd_worker_restarts_total': "2+1x90"},
    "OcppdWorkerFailed": {'ocppd_workers{state="failed"}': "1x90"},
    "OcppdHelperLate": {'ocppd_helper_threads_late': "1x90"},
    "OcppdLogLinesLost": {'ocppd_log_lines_lost_total': "7+1x90"},
    "OcppdJournalFailing": {'ocppd_journal_failing': "1x90"},
    "OcppdJournalErrors": {'ocppd_journal_errors_total': "3+1x90"},
    "OcppdJournalBacklog": {'ocppd_journal_backlog_bytes': "9000000x90"},
    "OcppdCommitSlow": {
        'ocppd_commit_duration_seconds_bucket{le="1"}': "0+600x90",
        'ocppd_commit_duration_seconds_bucket{le="2.5"}': "0+700x90",
        'ocppd_commit_duration_seconds_bucket{le="+Inf"}': "0+700x90"},
    "OcppdJournalDamaged": {'ocppd_journal_damaged_total': "1+1x90"},
    "OcppdDiskFillsUp": {
        'ocppd_journal_disk_free_bytes': "450000000-1000000x90"},
    "OcppdDiskSpaceLow": {'ocppd_journal_disk_free_bytes': "90000000x90"},
    "OcppdRedisLag": {'ocppd_redis_ship_lag_seconds': "100x90"},
    "OcppdRedisFailures": {'ocppd_redis_failures_total': "1+1x90"},
    "OcppdEventsTrimmedUnread": {
        'ocppd_redis_events_trimmed_unread_total': "0+5x90"},
    "OcppdPlatformSilent": {'ocppd_platform_fallbacks_total': "5+5x90"},
    "OcppdOutcomesWaiting": {'ocppd_redis_outcomes_waiting': "2000x90"},
    "OcppdPingsSkipped": {'ocppd_pings_skipped_total': "9+1x90"},
    "OcppdReconnectStorm": {
        'ocppd_connections_accepted_total': "1000+200x90"},
    "OcppdHandshakesRefused": {
        'ocppd_handshakes_refused_total{reason="auth"}': "0+200x90"},
    "OcppdChargePointsGone": {
        'ocppd_connections{worker="0"}': "1000x70 500x20"},
    "OcppdConnectionsNearLimit": {
        'ocppd_connections{worker="0"}': "9500x90"},
    "OcppdIdentitiesNearLimit": {'ocppd_identities': "19900x90"},
    "OcppdDescriptorsNearLimit": {
        'process_max_fds{process="worker 0"}': "1200x90"},
    "OcppdPenalties": {'ocppd_penalties_total': "3+10x90"},
    "OcppdCertificateExpires": {
        'ocppd_certificate_expiry_timestamp_seconds{file="a.pem"}':
            "%dx90" % (10800 + 10 * 86400)},
    "OcppdCertificateExpired": {
        'ocppd_certificate_expiry_timestamp_seconds{file="a.pem"}':
            "%dx90" % (10800 + 86400)},
    "OcppdTlsFailures": {
        'ocppd_tls_failures_total{reason="unknown_ca"}': "0+200x90"},
}


def series(name):
    """Adds the labels that Prometheus would add."""
    more = 'job="ocppd",instance="gateway:9180"'
    return name[:-1] + "," + more + "}" if name.endswith("}") else \
        name + "{" + more + "}"


def case(title, changed, samples):
    return {"name": title, "interval": "2m",
            "input_series": [{"series": series(k), "values": v}
                             for k, v in {**QUIET, **changed}.items()],
            "promql_expr_test": samples}


def test_each_alert_fires_for_its_problem_and_none_without_a_problem():
    assert set(TROUBLES) == {n for n, _ in rules()}
    firing = 'count(ALERTS{alertname="%s",alertstate="firing"})'
    cases = [case("all is well", {}, [
        {"expr": 'count(ALERTS{alertstate="firing"})', "eval_time": "3h",
         "exp_samples": []}])]
    for name, changed in TROUBLES.items():
        assert set(changed) & set(QUIET), name
        cases.append(case(name, changed, [
            {"expr": firing % name, "eval_time": "3h",
             "exp_samples": [{"labels": "{}", "value": 1}]}]))
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/test.yml", "w") as f:     # every JSON text is YAML
            json.dump({"rule_files": [RULES], "evaluation_interval": "5m",
                       "tests": cases}, f)
        code, out = promtool("test", "rules", d + "/test.yml")
    assert code == 0 and "SUCCESS" in out, out


def test_the_dashboard_has_the_structure_that_grafana_reads():
    with open(DASHBOARD) as f:
        board = json.load(f)
    assert board["uid"] == "ocppd" and board["title"]
    ids = [p["id"] for p in board["panels"]]
    assert len(ids) == len(set(ids)) > 15
    for p in board["panels"]:
        if p["type"] == "row":
            continue
        assert p["description"], p["title"]
        assert p["targets"], p["title"]
        place = p["gridPos"]
        assert place["x"] + place["w"] <= 24, p["title"]
        for t in p["targets"]:
            assert "$gateway" in t["expr"], (p["title"], t)


def expressions(board):
    """Returns (title, expression) of each panel, with values for the variables."""
    for p in board["panels"]:
        for t in p.get("targets", ()):
            yield p["title"], t["expr"]
    for a in board["annotations"]["list"]:
        yield a["name"], a["target"]["expr"]


def prometheus(g, d):
    """Runs a Prometheus server that reads the gateway each second. Returns its address."""
    port = free_port()
    with open(d + "/prometheus.yml", "w") as f:
        json.dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [
            {"job_name": "ocppd", "static_configs": [
                {"targets": [g.settings["admin_listen"]]}]}]}, f)
    log = open(d + "/log", "w")
    p = subprocess.Popen(
        ["prometheus", "--config.file", d + "/prometheus.yml",
         "--storage.tsdb.path", d + "/data",
         "--web.listen-address", "127.0.0.1:%d" % port],
        stdout=log, stderr=log)
    log.close()
    return p, "http://127.0.0.1:%d" % port


def test_a_real_prometheus_evaluates_every_panel_of_the_dashboard():
    if not shutil.which("prometheus"):
        raise Skip("prometheus is not installed: scripts/deps monitoring")
    g = tls.gateway(admin_listen="127.0.0.1:%d" % free_port(),
                    websocket_idle_timeout="120s")
    c = Charger(g, "SEEN")
    c.boot()
    with open(DASHBOARD) as f:
        board = json.load(f)
    with tempfile.TemporaryDirectory() as d:
        p, url = prometheus(g, d)
        try:
            def ask(expr):
                r = subprocess.run(
                    ["curl", "-sf", url + "/api/v1/query", "--data-urlencode",
                     "query=" + expr], stdout=subprocess.PIPE, text=True)
                return json.loads(r.stdout or "{}")

            def many():
                got = ask("count_over_time(up[1m])").get("data", {"result": []})
                return got["result"] and int(got["result"][0]["value"][1]) > 3
            poll(many, timeout=60 * SLOW, what="four scrapes")
            empty = set()
            for title, expr in expressions(board):
                for name, value in (("$__rate_interval", "1m"), ("$job", "ocppd"),
                                    ("$gateway", ".*"), ("$__range", "1h")):
                    expr = expr.replace(name, value)
                got = ask(expr)
                assert got.get("status") == "success", (title, expr, got)
                if not got["data"]["result"]:
                    empty.add(title)
            # Panels of events that did not happen in this test have no lines.
            assert empty <= {"Starts", "Arrivals and departures",
                             "Refused handshakes", "Deviations and errors",
                             "Commands", "Certificate ends in"}, empty
        finally:
            p.kill()
            p.wait()


# --- Grafana's own types -------------------------------------------------------

GRAFANA = ["@grafana/schema@13.2.3", "typescript@5"]


def grafana():
    """Installs Grafana's packages once, and returns their directory."""
    where = os.path.join(B, "npm-grafana")
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise Skip("npm is not installed")
    if not os.path.exists(where + "/node_modules/@grafana/schema"):
        r = subprocess.run(
            ["npm", "install", "--prefix", where, "--silent", "--no-audit",
             "--no-fund", "--ignore-scripts"] + GRAFANA,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=120 * SLOW)
        if r.returncode != 0:
            raise Skip("npm cannot install the packages: " + r.stdout[-200:])
    return where


def test_the_dashboard_is_of_the_type_that_grafana_publishes():
    """The tests cannot install Grafana itself. The files that it loads have this type."""
    where = grafana()
    with open(DASHBOARD) as f:
        board = json.load(f)
    # In an annotation these members belong to the type of the data source.
    for a in board["annotations"]["list"]:
        del a["target"]["expr"], a["titleFormat"]

    def check(board):
        text = json.dumps(board, indent=1)
        # Values of an enum are not strings in TypeScript.
        text = text.replace('"mode": "absolute"', '"mode": ThresholdsMode.Absolute')
        text = text.replace('"type": "value"', '"type": MappingType.ValueToText')
        with open(where + "/board.ts", "w") as f:
            f.write("import { Dashboard, ThresholdsMode, MappingType } from "
                    "'@grafana/schema';\nexport const d: Dashboard = %s;\n"
                    % text)
        r = subprocess.run(
            ["node_modules/.bin/tsc", "--noEmit", "--skipLibCheck", "--strict",
             "--module", "node16", "--moduleResolution", "node16", "board.ts"],
            cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        return r.returncode, r.stdout
    code, out = check(board)
    assert code == 0, out
    board["refresh"] = 10  # the check must report this error
    code, out = check(board)
    assert code != 0 and "'number' is not assignable" in out, out


if __name__ == "__main__":
    main()
