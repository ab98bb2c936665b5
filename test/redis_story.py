#!/usr/bin/python3
"""The stream agrees with the charge points: fleets move between gateways and workers while
Redis stops, is killed, fails over to a replica that lags, or moves its slot to another node
of a cluster, and while workers and gateways are killed.

Each charge point records the messages that were acknowledged. In the end each of these is
in the stream with one eventId; each StartTransaction has one transaction id, and each id
one StartTransaction; the events of one gateway are in order for each charge point; and the
consumer of ocppd-redis(7) prints every event.

The seed is printed; OCPPD_TEST_SEED=N repeats the run, and OCPPD_TEST_LONG=1 takes minutes
instead of seconds."""

import subprocess

import redis_fleet as fleet
from lib import *
from redis_fleet import EV, LONG
from redis_manual import example

SECONDS = float(os.environ.get("OCPPD_TEST_SECONDS") or (300 if LONG else 6))
SEED = int(os.environ.get("OCPPD_TEST_SEED") or random.randrange(1 << 31))
PATIENCE = 60 * SLOW
ONCE = ("transaction.started", "transaction.meter_values", "transaction.stopped")
REMEMBERED = 64     # STARTS_MAX, EVENTS_MAX and METERS_MAX of ocppd_gateway.lua


class Forwarder:
    """A port whose connections are forwarded to another port, which may change, like a virtual
    address at a failover."""

    def __init__(self, to):
        self.to, self.open = to, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            a, _ = self.listener.accept()
            try:
                b = socket.create_connection(("127.0.0.1", self.to), 1)
            except OSError:
                a.close()
                continue
            b.settimeout(None)
            self.open += [a, b]
            for x, y in ((a, b), (b, a)):
                threading.Thread(target=self.pump, args=(x, y), daemon=True).start()

    @staticmethod
    def pump(x, y):
        try:
            while True:
                data = x.recv(1 << 16)
                if not data:
                    break
                y.sendall(data)
        except OSError:
            pass
        for s in (x, y):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def switch(self, to):
        self.to = to
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []


def clock(s):
    """Returns a time of the log, which is in UTC."""
    return time.strftime("%H:%M:%S", time.gmtime(s)) + ("%.3f" % (s % 1))[1:]


def stream(r):
    """Returns the entries of the stream, each with the time at which it was added."""
    return [dict(zip(f[::2], f[1::2], strict=True), added=int(id.split("-")[0]) / 1000)
            for id, f in r("XRANGE", EV, "-", "+")]


def around(entries, found):
    """Returns the entries from 10 before the first one of `found` to 3 after the last one."""
    at = [i for i, e in enumerate(entries) if e["eventId"] in found]
    return "\n".join("%s %s %s %s %s" % (
        clock(int(e["eventId"][:16], 16) / 1e6), e["eventId"], e["eventType"], e["payload"], e.get("answer"))
        for e in entries[max(at[0] - 10, 0):at[-1] + 4])


class Point(threading.Thread):
    """A charge point that changes its gateway. It stores its transaction messages and sends them
    again until they are answered; it sends other messages once."""

    number = 0
    lock = threading.Lock()

    def __init__(self, story, name):
        super().__init__(daemon=True)
        self.story, self.identity = story, name
        self.random = random.Random("%d %s" % (SEED, name))
        self.acked = []  # acknowledged messages: (kind, mark, sent, answered)
        self.starts = {}  # by mark: the transaction id in the answer
        self.failure = None

    def mark(self):
        with Point.lock:
            Point.number += 1
            return Point.number

    def connect(self):
        g = self.random.choice(self.story.gateways)
        c = Charger(g, self.identity)
        c.timeout = 6 * SLOW
        return c

    def again(self, c, action, payload, id=None):
        """Sends a CALL until a gateway answers it. Returns (connection, answer). Without an id,
        each attempt has a new one."""
        while True:
            try:
                if c is None:
                    c = self.connect()
                    if self.random.random() < 0.3:
                        c.boot()
                sent = c.put(action, payload, id)
                if self.random.random() < 0.15:  # breaks the connection before the answer
                    time.sleep(self.random.random() * 0.01)
                    c.sock.close()
                    c = None
                    continue
                return c, c.get(sent)
            except (OSError, Closed, AssertionError, CallError, ValueError):
                if c is not None:
                    c.sock.close()
                c = None
                time.sleep(0.02 + self.random.random() * 0.05)
                if time.monotonic() > self.story.give_up:
                    raise

    def transaction(self, c):
        mark = self.mark()
        sent = time.time()
        c, got = self.again(c, "StartTransaction", {
            "connectorId": 1, "idTag": "T", "meterStart": mark, "timestamp": "2026-01-31T12:00:00Z"})
        id = got["transactionId"]
        self.starts[mark] = id
        self.acked.append(("start", mark, sent, time.time()))
        for _ in range(self.random.randrange(3)):
            value, sent = self.mark(), time.time()
            c, _ = self.again(c, "MeterValues", {"connectorId": 1, "transactionId": id, "meterValue": [
                {"timestamp": "2026-01-31T12:10:00Z", "sampledValue": [{"value": str(value)}]}]}, "v%d" % value)
            self.acked.append(("value", value, sent, time.time()))
        stop, sent = self.mark(), time.time()
        c, _ = self.again(c, "StopTransaction", {
            "transactionId": id, "meterStop": stop, "timestamp": "2026-01-31T13:00:00Z"})
        self.acked.append(("stop", stop, sent, time.time()))
        return c

    def run(self):
        c = None
        try:
            while not self.story.over:
                c = self.transaction(c)
                if c is not None and self.random.random() < 0.5:
                    c.sock.close()
                    c = None
                time.sleep(self.random.random() * 0.03)
        except BaseException as e:
            self.failure = e


class Story:
    def __init__(self, gateways, points):
        self.gateways = gateways
        self.over = False
        self.lost = []  # (from, to): Redis has lost what it acknowledged in this time
        self.give_up = time.monotonic() + SECONDS + 2 * PATIENCE
        self.points = [Point(self, "ST%d" % i) for i in range(points)]

    def play(self, acts):
        r = random.Random(SEED)
        log = []                # (act, from, to)
        for p in self.points:
            p.start()
        end = time.monotonic() + SECONDS
        todo = []
        while time.monotonic() < end:
            if not todo:
                todo = list(acts)
                r.shuffle(todo)
            act = todo.pop()
            from_ = time.time()
            act(r)
            log.append((act.__name__, from_, time.time()))
            time.sleep(0.2 + r.random() * 0.3)
        self.over = True
        for p in self.points:
            p.join(2 * PATIENCE)
            assert not p.is_alive(), "a charge point waits for an answer"
            if p.failure:
                raise p.failure
        for act, from_, to in log:
            print("       %s to %s: %s" % (clock(from_), clock(to), act))

    def exempt(self, sent, answered):
        return any(a <= answered and sent <= b for a, b in self.lost)

    @staticmethod
    def between(p, kind, mark, order):
        """Returns how many messages of this kind Redis had to remember from the first event of the
        mark to the last one, both of which are in the stream. Redis remembers a StartTransaction
        from the time at which its answer is reserved, and any other message from the time at which
        its event is added."""
        at = [i for i, (m, _) in enumerate(order) if m == mark]
        first, last = order[at[0]][1], order[at[-1]][1]
        return len({m for m, _ in order[at[0]:at[-1]]} | {
            m for k, m, sent, answered in p.acked
            if k == kind == "start" and sent <= last and answered >= first})

    @staticmethod
    def starts_between(p, mark, order):
        """The same for the starts that Redis had to remember while the event of a stop was repeated.
        It keeps the note of a stop that comes before its start as long as it remembers that start,
        and such a stop takes a place among the starts."""
        added = [a for m, a in order["stop"] if m == mark]
        first, last = added[0], added[-1]
        begun = {m for m, a in order["start"] if first <= a <= last} | {
            m for k, m, sent, answered in p.acked
            if k == "start" and sent <= last and answered >= first}
        return len(begun) + sum(first <= a <= last for a in order["early"])

    def judge(self, entries):
        """Checks the entries of the stream, which are in its order. Returns a summary."""
        seen, twice = set(), 0
        order = {}      # identity: kind: its marks in the order of the stream, and when they were added
        marks = {}      # (kind, mark): eventIds
        ids = {}        # mark of a StartTransaction: transaction ids in the stream
        unchecked = set()
        last = {}
        begun = set()   # (identity, transaction id) of the starts up to here
        for e in entries:
            if e["eventId"] in seen:
                twice += 1
                continue
            seen.add(e["eventId"])
            kind = e["eventType"]
            payload = json.loads(e["payload"])
            if not e["eventId"].split("-")[1].startswith("r"):
                key = e["chargePointId"], e["gatewayId"]
                if not (kind == "charge_point.disconnected" and payload["reason"] == "gateway_died"):
                    assert last.get(key, "") < e["eventId"], "%s is out of order" % e["eventId"]
                    last[key] = e["eventId"]
            mark = {"transaction.started": lambda: ("start", payload["meterStart"]),
                    "transaction.stopped": lambda: ("stop", payload["meterStop"]),
                    "transaction.meter_values": lambda: (
                        "value", int(payload["meterValue"][0]["sampledValue"][0]["value"]))}.get(kind)
            if mark is None:
                continue
            mark = mark()
            marks.setdefault(mark, []).append(e["eventId"])
            of_point = order.setdefault(e["chargePointId"], {"start": [], "value": [], "stop": [], "early": []})
            of_point[mark[0]].append((mark[1], e["added"]))
            if mark[0] == "stop" and (e["chargePointId"], payload["transactionId"]) not in begun:
                of_point["early"].append(e["added"])
            if mark[0] == "start":
                id = json.loads(e["answer"])["transactionId"]
                begun.add((e["chargePointId"], id))
                ids.setdefault(mark[1], set()).add(id)
                if "start_unchecked" in json.loads(e.get("deviations") or "[]"):
                    unchecked.add(mark[1])
        of, excused, forgotten = {}, 0, 0
        count = 0
        for p in self.points:
            for kind, mark, sent, answered in p.acked:
                count += 1
                found = marks.get((kind, mark), [])
                assert found, "%s %s of %s was acknowledged and is not in the stream" % (kind, mark, p.identity)
                if kind == "start":
                    id = p.starts[mark]
                    assert id in ids[mark], "the answer %d to %d is not in the stream: %s" % (id, mark, ids[mark])
                    for one in ids[mark]:
                        assert of.setdefault(one, mark) == mark, "id %d belongs to StartTransactions %d and %d" % (one, mark, of[one])
                if len(found) == 1:
                    continue
                if (kind == "start" and mark in unchecked) or self.exempt(sent, answered):
                    excused += 1
                    continue
                between = self.between(p, kind, mark, order[p.identity][kind])
                if kind == "stop":
                    between = max(between, self.starts_between(p, mark, order[p.identity]))
                assert between > REMEMBERED and (kind != "start" or len(ids[mark]) == 1), \
                    "%s %d of %s, sent at %s, answered at %s: events %s, ids %s, %d between\n%s" % (
                        kind, mark, p.identity, clock(sent), clock(answered), found, ids.get(mark), between,
                        around([e for e in entries if e["chargePointId"] == p.identity], found))
                forgotten += 1
        assert count > 50, "only %d messages were acknowledged" % count
        assert twice == 0, "%d events are in the stream twice" % twice
        return ("%d acknowledged messages, %d transactions, %d twice without Redis, %d that were forgotten, "
                "%d events repeated" % (count, len(of), excused, forgotten, twice))


def all_shipped(gateways, read):
    """Checks that every event of the journals is in the stream, except for one of a transaction
    message that another gateway has shipped with the same answer."""
    for g in gateways:
        want = {e["eventId"]: e for e in g.events("all")}
        missing = []

        def none():
            entries = read()
            there = {e["eventId"] for e in entries}
            equal = {(e["chargePointId"], e["eventType"], e["payload"], e["answer"]) for e in entries
                     if e["eventType"] in ONCE}
            missing[:] = [e for i, e in want.items() if i not in there and not (
                e["eventType"] in ONCE and
                (e["chargePointId"], e["eventType"], raw(e, "payload"), raw(e, "answer")) in equal)]
            return not missing
        try:
            poll(none, PATIENCE)
        except AssertionError:
            raise AssertionError("%d of %d events of %s are not in the stream, such as %s; %s" % (
                len(missing), len(want), g.settings["server_node"], missing[0], g.tell("redis")))


def raw(event, member):
    return json.dumps(event[member]) if member == "payload" else \
        json.dumps(event[member], separators=(",", ":"))


def consumed(dir, port, entries, stream=EV):
    """Checks that the consumer of the manual page prints every event."""
    want = {e["eventId"] for e in entries}
    p = subprocess.Popen([sys.executable, example("consumer.py", dir), "127.0.0.1", str(port), "story", "one", stream],
                         stdout=subprocess.PIPE, text=True)
    got = set()
    watchdog = threading.Timer(PATIENCE, p.kill)
    watchdog.start()
    try:
        while not want <= got:
            line = p.stdout.readline()
            assert line, "the consumer has ended; it has printed %d of %d events" % (len(got & want), len(want))
            got.add(json.loads(line)["eventId"])
    finally:
        watchdog.cancel()
        p.kill()
        p.wait()


@fleet.tidy
def test_the_streams_of_three_gateways_are_complete_after_failovers_and_deaths():
    print("       seed %d" % SEED, flush=True)
    servers = [fleet.redis()]
    address = Forwarder(servers[0].port)

    class Address:              # the form that fleet.gateway() needs
        port = address.port
    gateways = [fleet.gateway(Address, "n%d" % i, server_workers=2, redis_timeout="1s",
                              websocket_idle_timeout="60s") for i in range(3)]
    for g in gateways:
        g.deaths_expected = True
    story = Story(gateways, 12)

    def redis_stops(r):
        servers[-1].signal(signal.SIGSTOP)
        time.sleep(0.3 + r.random())
        servers[-1].signal(signal.SIGCONT)

    def redis_is_killed(r):
        servers[-1].kill()
        time.sleep(r.random())
        servers[-1].start()

    def redis_fails_over(r):
        """Fails over to a replica that lags, so the last writes are lost."""
        old = servers[-1]
        new = fleet.redis("--replicaof", "127.0.0.1 %d" % old.port)
        c = new.client()
        poll(lambda: "master_link_status:up" in c("INFO", "replication"), PATIENCE, "the replica")
        from_ = time.time()
        c("REPLICAOF", "NO", "ONE")
        time.sleep(0.05 + r.random() * 0.2)
        old.kill()
        new.options = old.options  # after its next start it is not a replica
        servers.append(new)
        address.switch(new.port)
        story.lost.append((from_ - 1, time.time() + 2))

    def gateway_dies(r):
        g = r.choice(gateways)
        g.kill_everything()
        time.sleep(r.random() * 0.7)
        g.start(wait=False)

    def worker_dies(r):
        g = r.choice(gateways)
        try:
            os.kill(g.workers()[r.randrange(2)]["pid"], signal.SIGKILL)
        except (OSError, ValueError):
            pass                # the gateway is starting

    story.play([redis_stops, redis_is_killed, redis_fails_over, gateway_dies, worker_dies])
    for g in gateways:
        g.wait_ready()
    client = servers[-1].client()
    all_shipped(gateways, lambda: stream(client))
    entries = stream(client)
    said = story.judge(entries)
    consumed(gateways[0].dir, servers[-1].port, entries)
    print("       " + said)


@fleet.tidy
def test_the_stream_of_two_gateways_is_complete_after_moves_of_its_slot_in_a_cluster():
    print("       seed %d" % SEED, flush=True)
    nodes, rs = fleet.cluster()
    gateways = [fleet.gateway(nodes[0], "n%d" % i, server_workers=1, redis_timeout="1s",
                              websocket_idle_timeout="60s") for i in range(2)]
    for g in gateways:
        g.deaths_expected = True
    story = Story(gateways, 6)
    slot = rs[0]("CLUSTER", "KEYSLOT", EV)
    ids = [r("CLUSTER", "MYID") for r in rs]
    at = [min(slot // 5462, 2)]

    def slot_moves(r):
        source, target = at[0], (at[0] + 1 + r.randrange(2)) % 3
        src, dst = rs[source], rs[target]
        dst("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        src("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        while True:
            keys = src("CLUSTER", "GETKEYSINSLOT", slot, 10)
            if not keys:
                break
            for k in keys:
                src("MIGRATE", "127.0.0.1", nodes[target].port, k, 0, 5000)
        for one in (dst, src, rs[3 - source - target]):
            one("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        at[0] = target

    def gateway_dies(r):
        g = r.choice(gateways)
        g.kill_everything()
        time.sleep(r.random() * 0.5)
        g.start(wait=False)

    story.play([slot_moves, slot_moves, gateway_dies])
    for g in gateways:
        g.wait_ready()
    all_shipped(gateways, lambda: stream(rs[at[0]]))
    entries = stream(rs[at[0]])
    said = story.judge(entries)
    consumed(gateways[0].dir, nodes[at[0]].port, entries)
    print("       " + said)


if __name__ == "__main__":
    main()
