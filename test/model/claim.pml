/*
 * claim: one charge point, two gateways, one Redis, one command.
 *
 * The charge point connects several times, to one gateway or the other, while
 * gateways are killed and requests to Redis or their answers are lost. Each
 * step names the function that it represents. `worker/fleet/ocppd*.lua` runs
 * inside Redis, where a function is one step.
 *
 * What must hold:
 *   - a command has at most one outcome, and reaches the charge point at most
 *     once; when all is quiet it has exactly one outcome;
 *   - the epoch in Redis never falls;
 *   - a command is taken only for the connection that holds the session;
 *   - when all is quiet, the newest connection holds the session, and no other
 *     connection is open.
 *
 * -DMISTAKE=1..5 omits one comparison; spin must find each mistake.
 */
#ifndef MISTAKE
#define MISTAKE 0
#endif
#ifndef FAULTS
#define FAULTS 2
#endif

#define GATEWAYS 2
#define CONNECTIONS 3
#define TICKS 4 /* between two connections: more than the clocks err */

mtype = { NEVER, OPEN, ENDED };                /* a connection */
mtype = { NONE, ASKED, HELD };                 /* enum claim_flag */
mtype = { NOTHING, ANSWER_OK, ANSWER_STALE };  /* on the way to a gateway */
mtype = { UNKNOWN, QUEUED, SENT, DONE };       /* a command in Redis */

typedef connection {
    mtype state = NEVER;
    byte node;
    byte generation;
    mtype flag = NONE;
    byte epoch;        /* as granted; 0: nothing to release */
    mtype answer = NOTHING;
    byte answer_epoch;
    bool in_hand;      /* the command was taken for it */
    bool delivered;    /* and reached the charge point */
    bool leaving;      /* a release is owed */
};

connection c[CONNECTIONS];
byte opened, newest, faults;
bool up[GATEWAYS] = true;
byte incarnation[GATEWAYS] = 1;

/* Redis: the session, its fence and the command. */
byte r_epoch, r_generation, r_owner, r_incarnation;
bool r_online, r_inflight;
mtype r_command = UNKNOWN;
byte r_command_epoch, outcomes, executed;
bool deadline;

#define OWNER_LIVES (r_online && up[r_owner] && r_incarnation == incarnation[r_owner])

/* --- ocppd.lua ----------------------------------------------------------- */

inline settle()
{
    assert(r_command != DONE);
    r_command = DONE;
    r_inflight = false;
    outcomes++;
    assert(outcomes <= 1)
}

/* again: the command surely was not sent, and its time is not over. */
inline lost(again)
{
    if
    :: again && !deadline -> r_command = QUEUED; r_inflight = false
    :: else -> settle()
    fi
}

/* The claim of connection i, in Redis. held: it has the command in hand. */
inline claim(i)
{
    if
    :: r_online && r_owner == c[i].node && r_incarnation == incarnation[c[i].node] &&
        r_generation == c[i].generation -> /* the same connection again */
        if
#if MISTAKE == 1
        :: r_inflight && r_command == SENT -> lost(true)
#else
        :: r_inflight && !c[i].in_hand && r_command == SENT -> lost(true)
#endif
        :: else
        fi;
        c[i].answer = ANSWER_OK
    :: else ->
        if
#if MISTAKE != 2
        :: OWNER_LIVES && c[i].generation < r_epoch -> c[i].answer = ANSWER_STALE
#endif
        :: else ->
            if
            :: r_inflight && r_command == SENT -> lost(false)
            :: else
            fi;
            assert(r_epoch < 250);
            r_epoch = (c[i].generation > r_epoch + 1 -> c[i].generation : r_epoch + 1);
            r_generation = c[i].generation;
            r_owner = c[i].node;
            r_incarnation = incarnation[c[i].node];
            r_online = true;
            c[i].answer = ANSWER_OK
        fi
    fi;
    c[i].answer_epoch = r_epoch
}

inline release(i)
{
    if
#if MISTAKE == 3
    :: r_online ->
#else
    :: r_online && r_epoch == c[i].epoch ->
#endif
        r_online = false;
        if
        :: r_inflight && r_command == SENT -> lost(false)
        :: else
        fi
    :: else
    fi
}

/* --- claims.c, call_queue.c ---------------------------------------------- */

/* claims_closed(): without a claim there is nothing to release. */
inline close_connection(i)
{
    c[i].state = ENDED;
    c[i].leaving = (c[i].epoch != 0 || c[i].flag == ASKED);
    if
    :: c[i].in_hand -> c[i].in_hand = false /* release() decides its outcome */
    :: else
    fi
}

/* The connection to Redis broke: requests without a reply never get one, and all
 * claims of the gateway are made again (struct shard: round). */
inline redis_broken(g)
{
    for (k : 0 .. CONNECTIONS - 1) {
        if
        :: c[k].node == g && c[k].state != NEVER ->
            if
            :: c[k].flag == ASKED && c[k].epoch == 0 -> c[k].epoch = c[k].generation
            :: else
            fi;
            c[k].flag = NONE;
            c[k].answer = NOTHING
        :: else
        fi
    }
}

inline kill_gateway(g)
{
    up[g] = false;
    for (k : 0 .. CONNECTIONS - 1) {
        if
        :: c[k].node == g && c[k].state != NEVER ->
            c[k].state = ENDED;
            c[k].leaving = false;
            c[k].flag = NONE;
            c[k].epoch = 0;
            c[k].answer = NOTHING;
            c[k].in_hand = false
        :: else
        fi
    }
}

#define HERE(i) (up[c[i].node] && c[i].state != NEVER)

/* The steps of a worker for one of its connections. */
proctype worker(byte i)
{
    byte k;

end:
    do
    :: atomic { /* claims_opened(), claims_check(): send_claim() */
        HERE(i) && c[i].state == OPEN && c[i].flag == NONE ->
        c[i].flag = ASKED;
        claim(i) }
    :: atomic { /* claimed_cb() */
        HERE(i) && c[i].state == OPEN && c[i].answer == ANSWER_OK ->
        c[i].flag = HELD;
        c[i].epoch = c[i].answer_epoch;
        c[i].answer = NOTHING }
    :: atomic { /* claimed_cb(): up_replaced(); there is nothing to release */
        HERE(i) && c[i].state == OPEN && c[i].answer == ANSWER_STALE ->
        c[i].flag = NONE;
        c[i].epoch = 0;
        c[i].state = ENDED;
        c[i].in_hand = false;
        c[i].answer = NOTHING }
    :: atomic { /* claimed_cb(): the connection has ended meanwhile */
        HERE(i) && c[i].state == ENDED && c[i].answer != NOTHING ->
        c[i].epoch = (c[i].answer == ANSWER_OK -> c[i].answer_epoch : 0);
        c[i].leaving = (c[i].answer == ANSWER_OK);
        c[i].flag = NONE;
        c[i].answer = NOTHING }
    :: atomic { /* refreshed_cb(), inbox: another connection holds the session */
        HERE(i) && c[i].state == OPEN && c[i].flag == HELD && c[i].epoch != r_epoch ->
        c[i].flag = ASKED;
        claim(i) }
    :: atomic { /* the end of an old connection is noticed: claims_closed() */
        HERE(i) && c[i].state == OPEN && i != newest ->
        close_connection(i) }
    :: atomic { /* release(), repeated by claims_tick() until it is answered */
        HERE(i) && c[i].leaving && c[i].answer == NOTHING ->
        release(i);
        if
        :: c[i].leaving = false
        :: faults < FAULTS -> faults++
        fi }
    :: atomic { /* call_queue.c: take, by epoch */
        HERE(i) && c[i].state == OPEN && c[i].flag == HELD && r_command == QUEUED &&
#if MISTAKE != 4
        r_online && r_epoch == c[i].epoch &&
#endif
        !r_inflight ->
        assert(r_online && r_owner == c[i].node && r_epoch == c[i].epoch);
        r_command = SENT;
        r_command_epoch = c[i].epoch;
        r_inflight = true;
        c[i].delivered = false;
        if
        :: c[i].in_hand = true /* the answer arrives: calls.c sends the CALL */
        :: faults < FAULTS -> faults++; redis_broken(c[i].node) /* it is lost */
        fi;
        k = 0 }
    :: atomic { /* the charge point reads its newest connection only */
        HERE(i) && i == newest && c[i].state == OPEN && c[i].in_hand && !c[i].delivered ->
        c[i].delivered = true;
        executed++;
        assert(executed <= 1) }
    :: atomic { /* finish, repeated until it is answered */
        HERE(i) && c[i].in_hand && c[i].delivered ->
        if
#if MISTAKE == 5
        :: r_command != UNKNOWN -> settle()
#else
        :: r_command == SENT && r_command_epoch == c[i].epoch -> settle()
#endif
        :: else /* late */
        fi;
        if
        :: c[i].in_hand = false
        :: faults < FAULTS -> faults++
        fi }
    od
}

/* Events that concern a whole gateway. */
proctype fault(byte g)
{
    byte k;

end:
    do
    :: atomic { up[g] && faults < FAULTS -> faults++; redis_broken(g); k = 0 }
    :: atomic { up[g] && faults < FAULTS -> faults++; kill_gateway(g); k = 0 }
    :: atomic { !up[g] -> incarnation[g]++; up[g] = true }
    od
}

/* --- the rest ------------------------------------------------------------ */

proctype charge_point()
{
    byte g, k;

    do
    :: atomic { /* registry_claim(): the newest connection replaces the former */
        opened < CONNECTIONS ->
        if
        :: g = 0
        :: g = 1
        fi;
        if
        :: up[g] ->
            for (k : 0 .. CONNECTIONS - 1) {
                if
                :: c[k].state == OPEN && c[k].node == g -> close_connection(k)
                :: else
                fi
            }
            c[opened].state = OPEN;
            c[opened].node = g;
            c[opened].generation = TICKS * (opened + 1);
            newest = opened;
            opened++
        :: else
        fi;
        g = 0;
        k = 0 }
    :: atomic { opened == CONNECTIONS -> break }
    od
}

proctype platform()
{
    r_command = QUEUED /* ocppd_call, ifOffline wait, idempotent no */
}

/* The time of the command is over; tick() then ends a command that waits. */
proctype time()
{
    atomic { deadline = true };
end:
    do
    :: atomic { r_command == QUEUED -> settle() }
    :: atomic { r_command == SENT && !c[newest].in_hand -> settle() }
    od
}

/* Nothing more can happen. */
proctype judge()
{
    byte i;

    timeout;
    assert(r_command == DONE && outcomes == 1);
    if
    :: c[newest].state == OPEN ->
        assert(c[newest].flag == HELD);
        assert(r_online && r_epoch == c[newest].epoch && r_owner == c[newest].node)
    :: else
    fi;
    for (i : 0 .. CONNECTIONS - 1) {
        assert(i == newest || c[i].state != OPEN)
    }
}

init {
    byte i;

    atomic {
        for (i : 0 .. CONNECTIONS - 1) {
            run worker(i)
        }
        run fault(0);
        run fault(1);
        run charge_point();
        run platform();
        run time();
        run judge()
    }
}
