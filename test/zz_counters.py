#!/usr/bin/python3
"""Runs after all other tests. Every counter of common/stats.def has changed in one of them,
and so has every reason, outcome and kind by which counters are divided. test/run collects
the counters of all gateways."""

import glob

from lib import *

# Counters that no test can change, with the reason. If one of these changes, its line here
# is wrong and must be removed.
IMPOSSIBLE = {
    "closed tls_spent": "takes 16 million records of TLS 1.2",
    "closed out_of_memory": "memory must run out",
    "deviations bad_uri": "no message of a charge point has a URI",
}

# Counters that depend on the machine or on chance, with the reason.
BY_CHANCE = {
    "hints_lost": "the channel between two processes must be full",
    "tap_lost": "the channel to the master must be full; it drops before",
    "closed buffers_full": "half a gigabyte of buffers must be full",
    "refused registry_busy": "a worker must be stopped in a microsecond",
    "refused auth_down": "only root can hide a file from a worker",
    "deviations bad_utf8": "the WebSocket layer closes with 1007 before",
}

# Some test sends each of these commands: each action that is handled in its own way, and
# one more.
SENT = {"Reset", "ChangeConfiguration", "TriggerMessage", "RemoteStartTransaction", "SetVariables"}

# Codes with which the gateway never answers.
NEVER_SENT = {"InternalError", "GenericError", "other"}

EXCUSED = dict(IMPOSSIBLE, **BY_CHANCE)


def collected():
    path = os.environ.get("OCPPD_TEST_STATS")
    if not path:
        raise Skip("this test needs a run of all tests")
    counters, gauges = {}, {}
    with open(path) as f:
        for line in f:
            x = json.loads(line)
            for k, v in x["stats"].items():
                if isinstance(v, dict):
                    for row, n in v.items():
                        key = k + " " + row
                        counters[key] = counters.get(key, 0) + n
                else:
                    counters[k] = counters.get(k, 0) + v
            for k, v in x["most"].items():
                gauges[k] = max(gauges.get(k, 0), v)
    assert counters, "no counters were collected"
    return counters, gauges


def names(kind):
    with open(os.path.join(ROOT, "common/stats.def")) as f:
        return re.findall(r"^%s\((\w+)" % kind, f.read(), re.M)


def test_every_counter_has_changed():
    counters, _ = collected()
    still = [n for n in names("COUNTER")
             if not counters.get(n) and n not in EXCUSED]
    assert not still, "these counters have not changed: " + ", ".join(still)


def test_every_reason_outcome_and_kind_was_counted():
    counters, _ = collected()
    ours = set()
    for path in glob.glob(os.path.join(ROOT, "worker/ocpp/**/*.schema"), recursive=True):
        with open(path) as f:
            ours |= set(re.findall(r"^message (\w+) cs", f.read(), re.M))
    still = []
    for name in names("COUNTER_BY") + names("GAUGE_BY"):
        for key, n in counters.items():
            if key.startswith(name + " ") and n == 0 and key not in EXCUSED:
                if name == "calls_in" and key.split()[1] in ours:
                    continue  # the gateway sends these messages
                if name == "commands_sent" and key.split()[1] not in SENT:
                    continue
                if name == "call_errors_sent" and key.split()[1] in NEVER_SENT:
                    continue
                still.append(key)
    assert not still, "these counters have not changed: " + ", ".join(still)


def test_every_histogram_has_a_value():
    counters, _ = collected()
    still = [n for n in names("HISTOGRAM") if not counters.get(n + " count")]
    assert not still, "these histograms are empty: " + ", ".join(still)


def test_every_gauge_was_above_zero_at_some_time():
    _, gauges = collected()
    # To fill a disk, a small one must be mounted, which only root can do.
    excused = () if os.getuid() == 0 else ("journal_failing",)
    still = [n for n in names("GAUGE") + names("GAUGE_MAX")
             if not gauges.get(n) and n not in excused]
    assert not still, "these gauges were never above zero: " + ", ".join(still)


def test_counters_that_no_test_can_change_have_not_changed():
    counters, _ = collected()
    moved = ["%s (%d)" % (k, counters[k]) for k in IMPOSSIBLE if counters.get(k)]
    assert not moved, "remove these from IMPOSSIBLE: " + ", ".join(moved)


def test_each_exception_names_a_counter():
    counters, _ = collected()
    unknown = [k for k in EXCUSED if k not in counters]
    assert not unknown, "exceptions for counters that do not exist: " + ", ".join(unknown)


if __name__ == "__main__":
    main()
