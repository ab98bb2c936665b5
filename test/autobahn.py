#!/usr/bin/python3
"""Runs the public conformance suite for WebSocket, Autobahn|Testsuite, against the
echo program (test/echo), which uses the frames of the gateway.

    test/autobahn.py                                 all cases except limits (9)
    OCPPD_WSTEST_CASES="9.* 12.1.*" test/autobahn.py

The suite is neither in Debian nor in this repository. Its program wstest must be in
PATH, or OCPPD_WSTEST must be the command. Otherwise the test is counted as skipped;
compression.py and rfc6455.py, which follow the suite, always run. Cases 12 and 13 send
up to 131 MB each and take an hour."""

import shlex

from compression import Echo
from lib import *

CASES = "1.* 2.* 3.* 4.* 5.* 6.* 7.* 10.* 12.* 13.*"
NUMBER = 64 + 145 + 37 + 1 + 90 + 126
# The suite calls 7.1.6 and 7.13 informational: any outcome of them is right.
GOOD = {"OK", "INFORMATIONAL"}


def test_the_public_conformance_suite_passes():
    command = shlex.split(os.environ.get("OCPPD_WSTEST", "wstest"))
    if shutil.which(command[0]) is None:
        raise Skip("the suite (wstest) is not installed")
    cases = os.environ.get("OCPPD_WSTEST_CASES", CASES)
    echo = Echo()
    directory = tempfile.mkdtemp(prefix="ocppd-suite-")
    spec = os.path.join(directory, "spec.json")
    with open(spec, "w") as f:
        json.dump({"outdir": directory, "cases": cases.split(), "exclude-cases": [],
                   "exclude-agent-cases": {}, "servers": [
                       {"agent": "echo", "url": "ws://127.0.0.1:%d" % echo.port}]}, f)
    r = subprocess.run(command + ["-m", "fuzzingclient", "-s", spec], cwd=directory,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0, r.stdout[-2000:]
    with open(os.path.join(directory, "index.json")) as f:
        results = json.load(f)["echo"]
    echo.close()
    shutil.rmtree(directory)
    bad = {n: x for n, x in results.items()
           if x["behavior"] not in GOOD or x["behaviorClose"] not in GOOD}
    assert results and not bad, bad
    print("%d cases" % len(results))
    if cases == CASES:
        assert len(results) == NUMBER, len(results)


if __name__ == "__main__":
    main()
