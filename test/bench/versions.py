#!/usr/bin/python3
"""The cost of a message of OCPP 2.x compared with the same message of 1.6, and of a
compressed message compared with an uncompressed one; run by `make bench-versions`.

    test/bench/versions.py [--no-instructions] [seconds of each row]

One worker serves one charge point, which waits for each answer. The rows are measured in
turns, so that the drift of the machine's speed affects all of them equally; a ratio is the
median of the ratios within a turn. CPU is that of the worker, including system calls.
Instructions are counted as by instructions.py, if valgrind is installed. Targets: Heartbeat
2.x / 1.6 at most 1.05, TransactionEvent / StartTransaction at most 1.3, and a compressed
TransactionEvent of 1.2 kB at most 10 us more than an uncompressed one."""

import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), HERE]
from lib import *
from deflate import squeeze
from ocpp2 import V21, V201
import instructions

TURNS, SECONDS = 20, 0.5
WHEN = "2026-01-31T12:00:00.000Z"


def start(i):
    return {"connectorId": 1, "idTag": "04A2B3C4", "meterStart": i, "timestamp": WHEN}


def event(i):
    return {"eventType": "Started", "timestamp": WHEN, "triggerReason": "Authorized",
            "seqNo": i, "transactionInfo": {"transactionId": "T-1"},
            "idToken": {"idToken": "04A2B3C4", "type": "ISO14443"}, "evse": {"id": 1}}


def long_event(i):
    return dict(event(i), meterValue=[{"timestamp": WHEN, "sampledValue": [
        {"value": 1000.5 + n, "measurand": m, "phase": "L%d" % (1 + n % 3),
         "unitOfMeasure": {"unit": u}} for n, (m, u) in enumerate(
             (("Current.Import", "A"), ("Voltage", "V"), ("Power.Active.Import", "W")) * 3)]}])


# name: protocol, action, payload of message number i, compressed
ROWS = {
    "Heartbeat 1.6": ("ocpp1.6", "Heartbeat", lambda i: {}, False),
    "Heartbeat 2.0.1": (V201, "Heartbeat", lambda i: {}, False),
    "Heartbeat 2.1": (V21, "Heartbeat", lambda i: {}, False),
    "StartTransaction": ("ocpp1.6", "StartTransaction", start, False),
    "TransactionEvent 2.0.1": (V201, "TransactionEvent", event, False),
    "TransactionEvent 2.1": (V21, "TransactionEvent", event, False),
    "1.2 kB plain": (V201, "TransactionEvent", long_event, False),
    "1.2 kB compressed": (V201, "TransactionEvent", long_event, True),
}
RATIOS = (("Heartbeat 2.0.1", "Heartbeat 1.6", 1.05), ("Heartbeat 2.1", "Heartbeat 1.6", 1.05),
          ("TransactionEvent 2.0.1", "StartTransaction", 1.3),
          ("TransactionEvent 2.1", "StartTransaction", 1.3))


class Talker:
    """A charge point that sends one kind of message and reads the answers without parsing them,
    because parsing would be work of the client."""

    def __init__(self, g, n, protocol, action, payload, compressed):
        self.c = Charger(g, "BENCH%d" % n, open=False)
        r = self.c.handshake(protocols=protocol, headers=[
            ("Sec-WebSocket-Extensions", "permessage-deflate")] if compressed else [])
        assert r.status == 101 and bool(r["Sec-WebSocket-Extensions"]) == compressed
        self.action, self.payload, self.compressed, self.i = action, payload, compressed, 0

    def frames(self, n):
        out = []
        for _ in range(n):
            self.i += 1
            text = '[2,"%08d","%s",%s]' % (self.i, self.action, json.dumps(
                self.payload(self.i), separators=(",", ":")))
            out.append(frame(TEXT, squeeze(text), rsv=4) if self.compressed
                       else frame(TEXT, text))
        self.bytes = len(text)
        return out

    def talk(self, frames):
        for f in frames:
            self.c.raw(f)
            while not self.c.buffer:
                self.c.fill(time.monotonic() + 30)
            self.c.buffer = b""


def cpu_us(pid):
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1000


def measure(seconds):
    g = Gateway(server_workers=1, limits_message_rate=0, limits_byte_rate=0, log_level="error",
                ocpp_heartbeat_jitter=0, websocket_ping_interval="10m",
                websocket_idle_timeout="30m", journal_commit_interval="0s")
    pid = g.worker_pid(0)
    talkers = {name: Talker(g, n, *row) for n, (name, row) in enumerate(ROWS.items())}
    us = {name: [] for name in ROWS}
    for turn in range(TURNS + 1):
        for name, t in talkers.items():
            frames, end, n, spent = t.frames(200), time.monotonic() + seconds, 0, 0
            while time.monotonic() < end:
                before = cpu_us(pid)
                t.talk(frames)
                spent += cpu_us(pid) - before
                n += len(frames)
                frames = t.frames(200)
            if turn > 0:                        # the first turn only fills the caches
                us[name].append(spent / n)
    sizes = {name: t.bytes for name, t in talkers.items()}
    g.close()
    return us, sizes


def main():
    words = [w for w in sys.argv[1:] if not w.startswith("-")]
    us, sizes = measure(float(words[0]) if words else SECONDS)
    print("%-26s %6s %12s" % ("worker's CPU per message", "bytes", "us (median)"))
    for name, values in us.items():
        print("%-26s %6d %12.2f" % (name, sizes[name], statistics.median(values)))
    for a, b, most in RATIOS:
        ratio = statistics.median(x / y for x, y in zip(us[a], us[b]))
        print("%-26s %6.3f of %s (target %.2f)" % (a, ratio, b, most))
    more = statistics.median(x - y for x, y in zip(us["1.2 kB compressed"], us["1.2 kB plain"]))
    print("%-26s %+6.2f us (target at most 10)" % ("compressed", more), flush=True)
    if "--no-instructions" in sys.argv or not shutil.which("valgrind"):
        return
    print("%-26s" % "instructions per message")
    counts = {}
    for name, (protocol, action, payload, compressed) in ROWS.items():
        if compressed:
            continue
        counts[name] = instructions.count(B, action, payload, protocol)
        print("%-26s %12.0f" % (name, counts[name]), flush=True)
    for a, b, most in RATIOS:
        print("%-26s %6.3f of %s" % (a, counts[a] / counts[b], b))


if __name__ == "__main__":
    main()
