#!/usr/bin/python3
"""Instructions per message in a worker, counted by callgrind on a fixed input.

    test/bench/instructions.py [build directory...]

One worker serves one charge point, which sends each message a number of times and waits
for each answer. The count includes the instructions that the worker executes from the
moment at which the socket is ready until it returns to the loop, and the release of answers
after a commit. It excludes the kernel, the loop itself and the sweep. The count is the same
in each run, so two builds can be compared. The rows of TLS have the same messages over TLS
1.3 with AES-128-GCM; valgrind hides the widest vector instructions from OpenSSL. Needs
valgrind (scripts/deps valgrind)."""

import os
import re
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lib
from lib import *

WARM, COUNT = 50, 500
ENTRANCES = ("io_cb", "up_committed")   # loop -> connection, commit -> answers

MESSAGES = {
    "Heartbeat": {},
    "StatusNotification": {
        "connectorId": 1, "errorCode": "NoError", "status": "Charging",
        "timestamp": "2026-01-31T12:00:00Z"},
    "MeterValues": {
        "connectorId": 1, "transactionId": 7, "meterValue": [{
            "timestamp": "2026-01-31T12:00:00Z", "sampledValue": [
                {"value": "1234", "measurand": "Energy.Active.Import.Register",
                 "unit": "Wh"},
                {"value": "16.1", "measurand": "Current.Import", "unit": "A",
                 "phase": "L1"}]}]},
}


class OverTls(Charger):
    """A charge point whose connection uses TLS."""
    def __init__(self, g, port, **kw):
        super().__init__(g, open=False)
        self.reset()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = context.wrap_socket(plain)
        assert self.handshake(**kw).status == 101


def run(build, action, payload, count, protocol="ocpp1.6", tls=None):
    """Returns the instructions of a run with WARM + count messages. payload: the payload of
    each message, or a function of its number. tls: the directory of scripts/test-ca."""
    lib.OCPPD = os.path.join(build, "ocppd")
    lib.OCPPCTL = os.path.join(build, "ocppctl")
    out = tempfile.mkdtemp(prefix="ocppd-bench-")
    lib.VALGRIND[:] = ["valgrind", "-q", "--tool=callgrind", "--trace-children=yes",
                       "--callgrind-out-file=%s/%%p" % out] + \
        ["--toggle-collect=%s" % f for f in ENTRANCES]
    knobs, port = {}, None
    if tls:
        port = free_port()
        knobs = dict(server_listen_tls="127.0.0.1:%d" % port,
                     tls_certificate=tls + "/ecdsa.pem",
                     tls_key=tls + "/ecdsa.key",
                     tls_suites="TLS_AES_128_GCM_SHA256")
    g = Gateway(server_workers=1, limits_message_rate=0, limits_byte_rate=0,
                server_seccomp="no", log_level="error", admin_listen="",
                ocpp_heartbeat_jitter=0, websocket_ping_interval="10m",
                websocket_idle_timeout="30m", journal_commit_interval="0s", **knobs)
    pid = g.worker_pid(0)
    c = OverTls(g, port, protocols=protocol) if tls else \
        Charger(g, protocols=protocol)
    if protocol == "ocpp1.6":
        c.boot()
    else:
        c.call("BootNotification", {"reason": "PowerUp", "chargingStation": {
            "model": "Model", "vendorName": "Vendor"}}, timeout=60)
    for i in range(WARM + count):
        c.call(action, payload(i) if callable(payload) else payload,
               id="%08d" % i, timeout=60)
    c.close()  # the gateway would wait for the charge point's close frame
    g.stop(timeout=60)
    with open("%s/%d" % (out, pid)) as f:
        total = int(re.search(r"^totals: (\d+)", f.read(), re.M).group(1))
    shutil.rmtree(out)
    g.remove()
    lib._gateways.remove(g)
    return total


def has_tls(build):
    """Returns True if the build has TLS, because builds without it can be compared too."""
    with open(os.path.join(build, "ocppd"), "rb") as f:
        return b"listen_tls" in f.read()


def count(build, action, payload, protocol="ocpp1.6", tls=None):
    """Returns the instructions for one message."""
    low = run(build, action, payload, COUNT, protocol, tls)
    high = run(build, action, payload, 3 * COUNT, protocol, tls)
    return (high - low) / (2 * COUNT)


def main():
    builds = [os.path.abspath(b) for b in sys.argv[1:]] or [B]
    print("%-20s %s" % ("instructions per", "  ".join(builds)))
    for action, payload in MESSAGES.items():
        row = [count(build, action, payload) for build in builds]
        text = "  ".join("%10.0f" % n for n in row)
        if len(row) == 2:
            text += "  %+.2f %%" % (100 * (row[1] / row[0] - 1))
        print("%-20s %s" % (action, text), flush=True)
    ca = tempfile.mkdtemp(prefix="ocppd-bench-ca-")
    subprocess.run([os.path.join(os.path.dirname(B), "scripts/test-ca"), ca],
                   check=True)
    row = ["%10.0f" % count(build, "Heartbeat", {}, tls=ca) if has_tls(build)
           else "%10s" % "-" for build in builds]
    print("%-20s %s" % ("Heartbeat over TLS", "  ".join(row)))
    shutil.rmtree(ca)


if __name__ == "__main__":
    main()
