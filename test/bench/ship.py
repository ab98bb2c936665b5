#!/usr/bin/python3
"""Measures how fast one worker ships its journal to Redis, and the CPU time that this takes.
A journal of N events (BENCH_EVENTS) is written, a gateway with one worker is started with
it, and the CPU times of the worker and of the Redis server are read from /proc/PID/stat
until all events are in the stream.

Prints events per second, and microseconds of CPU per event in the worker and in
redis-server. Run it as `test/bench/ship.py`, with B as for the tests."""
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import Gateway, poll
from redis_resp import Server

N = int(os.environ.get("BENCH_EVENTS", "300000"))
PAYLOAD = ('{"connectorId":1,"transactionId":17,"meterValue":[{"timestamp":"2026-01-01T00:00:00Z",'
           '"sampledValue":[{"value":"1234.5","context":"Sample.Periodic","measurand":'
           '"Energy.Active.Import.Register","unit":"Wh"},{"value":"16.1","measurand":'
           '"Current.Import","phase":"L1","unit":"A"}]}]}')


def cpu(pid):
    """Returns the seconds of user and system time of all threads."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lay_out(state, events):
    d = os.path.join(state, "journal")
    os.makedirs(d)
    first, size = 1_000_000, 0
    f = None
    for i in range(events):
        if f is None or size > 60 << 20:
            f = open(os.path.join(d, "w000-%016x.jsonl" % (first + i)), "w")
            size = 0
        line = ('{"eventId":"%016x-bench","eventType":"transaction.meter_values","chargePointId":"CP%d",'
                '"gatewayId":"bench","timestamp":"2026-01-01T00:00:00.000Z","generation":%d,"protocol":"ocpp1.6",'
                '"messageId":"m%d","action":"MeterValues","payload":%s,"answer":{}}\n'
                % (first + i, i % 1000, 1_000_000, i, PAYLOAD))
        size += f.write(line)
    f.close()


def run(shards):
    server = Server("--appendonly", "yes")
    g = Gateway(start=False, server_workers=1, redis_host="127.0.0.1", redis_port=server.port,
                redis_stream_max=100_000_000, redis_stream_age="30d", redis_shards=shards, journal_retention="30d",
                server_node="bench", log_level="info")
    try:
        lay_out(g.state_dir, N)
        g.start()
        pid = g.worker_pid(0)
        poll(lambda: g.stat("shipped") > 0, 30)
        began, done, w0, r0 = time.monotonic(), g.stat("shipped"), cpu(pid), cpu(server.process.pid)
        poll(lambda: g.stat("shipped") >= N, 300)
        seconds = time.monotonic() - began
        n = g.stat("shipped") - done
        print("%3d shards: %6.0f events/s; worker %.2f us, redis-server %.2f us of CPU per event (%d events of %d bytes)" % (
            shards, n / seconds, (cpu(pid) - w0) * 1e6 / n, (cpu(server.process.pid) - r0) * 1e6 / n, n,
            g.stat("shipped_bytes") / g.stat("shipped")), flush=True)
    finally:
        g.close()
        g.remove()
        server.stop()


for shards in (1, 8):
    run(shards)
