#!/usr/bin/python3
"""A charge point that uses another WebSocket library (Debian's python3-websockets) boots,
charges, and answers commands."""

import asyncio

from lib import *

try:
    import websockets
    import websockets.exceptions
except ImportError:
    websockets = None

# The name differs between version 13 and older and version 14 and newer of the library.
REFUSED = tuple(getattr(websockets.exceptions, name)
                for name in ("InvalidStatusCode", "InvalidStatus")
                if hasattr(websockets.exceptions, name)) if websockets else ()


def with_library(story):
    if websockets is None:
        raise Skip("python3-websockets is not installed")
    asyncio.run(asyncio.wait_for(story, 30 * SLOW))


async def call(ws, action, payload):
    id = "%032x" % random.getrandbits(128)
    await ws.send(json.dumps([2, id, action, payload]))
    answer = json.loads(await ws.recv())
    assert answer[:2] == [3, id], answer
    return answer[2]


async def day(g):
    url = "ws://127.0.0.1:%d/ocpp/THIRD%%20PARTY" % g.port
    async with websockets.connect(url, subprotocols=["ocpp1.5", "ocpp1.6"],
                                  ping_interval=0.5) as ws:
        assert ws.subprotocol == "ocpp1.6"
        boot = await call(ws, "BootNotification", {
            "chargePointVendor": "V", "chargePointModel": "M"})
        assert boot["status"] == "Accepted"
        await call(ws, "StatusNotification", {
            "connectorId": 1, "status": "Preparing", "errorCode": "NoError"})
        tag = await call(ws, "Authorize", {"idTag": "T"})
        assert tag["idTagInfo"]["status"] == "Accepted"
        t = (await call(ws, "StartTransaction", {
            "connectorId": 1, "idTag": "T", "meterStart": 0,
            "timestamp": "2026-01-31T12:00:00Z"}))["transactionId"]
        await call(ws, "MeterValues", {
            "connectorId": 1, "transactionId": t, "meterValue": [
                {"timestamp": "2026-01-31T12:10:00Z",
                 "sampledValue": [{"value": "100", "unit": "Wh"}]}]})
        # A command is sent during the charging session; the library fragments the answer.
        h = background(g.run, "call", "THIRD PARTY", "RemoteStopTransaction",
                       json.dumps({"transactionId": t}))
        m = json.loads(await ws.recv())
        assert m[0] == 2 and m[2:] == ["RemoteStopTransaction",
                                       {"transactionId": t}], m
        answer = json.dumps([3, m[1], {"status": "Accepted"}])
        await ws.send([answer[:5], answer[5:20], answer[20:]])
        r = await asyncio.get_running_loop().run_in_executor(None, h.wait)
        assert r.returncode == 0 and "Accepted" in r.stdout, r
        stop = await call(ws, "StopTransaction", {
            "transactionId": t, "meterStop": 200, "reason": "Remote",
            "timestamp": "2026-01-31T12:20:00Z"})
        assert stop == {}
        pong = await ws.ping(b"hello")
        await asyncio.wait_for(pong, 5 * SLOW)
    types = [e["eventType"] for e in
             g.wait_events(9, cp="THIRD PARTY")]
    assert types == [
        "charge_point.connected", "charge_point.booted",
        "connector.status_changed", "authorization.requested",
        "transaction.started", "transaction.meter_values", "command.response",
        "transaction.stopped", "charge_point.disconnected"], types


def test_a_charge_point_with_another_library_charges():
    with_library(day(Gateway(ocpp_validation="strict")))


async def long_and_replaced(g):
    url = "ws://127.0.0.1:%d/ocpp/AGAIN" % g.port
    async with websockets.connect(url, subprotocols=["ocpp1.6"]) as old:
        await call(old, "DataTransfer", {"vendorId": "V", "data": "x" * 60000})
        async with websockets.connect(url, subprotocols=["ocpp1.6"]) as new:
            await call(new, "Heartbeat", {})
            try:
                await old.recv()
                raise AssertionError("the old connection was not closed")
            except websockets.ConnectionClosed as e:
                assert e.rcvd.code == 1008, e


def test_long_messages_and_a_takeover_work_with_another_library():
    with_library(long_and_replaced(Gateway()))


async def refused(g):
    for path, status in (("/ocpp/", 404), ("/x/CP1", 404),
                         ("/ocpp/a%2Fb", 400)):
        try:
            await websockets.connect("ws://127.0.0.1:%d%s" % (g.port, path),
                                     subprotocols=["ocpp1.6"])
            raise AssertionError(path + " was accepted")
        except REFUSED as e:
            got = getattr(e, "status_code", None) or e.response.status_code
            assert got == status, (path, e)


def test_another_library_understands_refusals():
    with_library(refused(Gateway()))


async def drained(g):
    async with websockets.connect("ws://127.0.0.1:%d/ocpp/DRAINED" % g.port,
                                  subprotocols=["ocpp1.6"]) as ws:
        g.send_signal(signal.SIGTERM)
        try:
            await ws.recv()
            raise AssertionError("the connection was not closed")
        except websockets.ConnectionClosed as e:
            assert e.rcvd.code == 1001, e
    g.wait_exit()
    g.process = None


def test_a_drain_closes_with_going_away():
    with_library(drained(Gateway()))


# --- ocpp-rpc of npm, which validates both directions by its own schemas ------------

NPM = "ocpp-rpc@2.2.1"


def library():
    """Installs the package once, and returns its directory."""
    where = os.path.join(B, "npm")
    path = os.path.join(where, "node_modules", "ocpp-rpc")
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise Skip("npm is not installed")
    if not os.path.exists(path):
        r = subprocess.run(["npm", "install", "--prefix", where, "--silent", "--no-audit",
                            "--no-fund", "--ignore-scripts", NPM], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=120 * SLOW)
        if r.returncode != 0 or not os.path.exists(path):
            raise Skip("npm cannot install %s: %s" % (NPM, r.stdout[-200:]))
    return path


def test_ocpp_rpc_in_strict_mode_accepts_every_answer_and_command():
    path = library()
    from certification import COMMANDS
    from ocpp2 import ONLY, SAME, V201
    g = shared(ocpp_call_hold="0s")
    # For each action, the first command in the tables and its answer are used.
    commands = {}
    for steps in COMMANDS.values():
        for action, request, answer, *_ in steps:
            commands.setdefault(action, (request, answer))
    messages = [list(row[:2]) for row in SAME + ONLY[V201]]
    p = subprocess.Popen(
        ["node", os.path.join(ROOT, "test", "rpc_client.js"), path], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        p.stdin.write(json.dumps({
            "endpoint": "ws://127.0.0.1:%d/ocpp" % g.port, "identity": "NPM",
            "protocol": V201, "messages": messages,
            "answers": {a: answer for a, (_, answer) in commands.items()}}) + "\n")
        p.stdin.flush()
        seen = []
        while not seen or seen[-1][0] not in ("ready", "error"):
            line = p.stdout.readline()
            assert line, p.stderr.read()
            seen.append(json.loads(line))
        assert seen[-1] == ["ready", V201], seen[-1]
        assert [s[1][0] for s in seen if s[0] == "answer"] == [m[0] for m in messages]
        assert not [s for s in seen if s[0] == "failure"], seen
        for action, (request, answer) in commands.items():
            out = g.call("NPM", action, request)
            assert out["outcome"] == "result" and out["payload"] == answer, out
            got = json.loads(p.stdout.readline())
            assert got == ["command", [action, request]], got
        assert len(commands) > 15
    finally:
        p.stdin.close()
        p.wait(timeout=DEADLINE)
    assert p.stdout.read() == ""


if __name__ == "__main__":
    main()
