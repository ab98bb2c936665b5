/*
 * handover: the connections of one slot go from one worker process to another.
 *
 * One connection, one message of the charge point, and one command that was
 * sent to it. Any process may be killed at any step, the master too, KILLS
 * times in all. Each step names the function that it represents.
 *
 * What must hold:
 *   - the journal of the slot is open in one process at a time;
 *   - one process at a time reads from the connection and writes to it;
 *   - an answered message is in the journal, once;
 *   - the command has at most one outcome, and exactly one when all is quiet
 *     and a worker lives;
 *   - without a kill the connection is open at the end, and nothing is lost.
 *
 * -DMISTAKE=1..5 omits one condition; spin must find each mistake.
 */
#ifndef MISTAKE
#define MISTAKE 0
#endif
#ifndef KILLS
#define KILLS 2
#endif

#define PROCESSES 3 /* two workers and one successor, started when one died */
#define NO_ONE 9

mtype = { ABSENT, STARTING, PREPARED, SERVING, SETTLING, FROZEN, ASKED, SENDING, RECEIVING, GONE };
mtype = { IN_KERNEL, READ, DURABLE, ANSWERED, LOST }; /* the message */
mtype = { HELLO, KEEP, SLOT, CONN, END };             /* lines on the pair */

mtype phase[PROCESSES] = ABSENT;
byte journal = NO_ONE;      /* the process that has it open */
byte serves = NO_ONE;       /* the process that reads the connection */
bool open = true;           /* a descriptor of the connection exists */
bool fd[PROCESSES];         /* in a process */
bool fd_on_pair;

mtype message = IN_KERNEL;
byte reader = NO_ONE, events;

bool answer_waits;          /* the charge point's answer to the command */
bool call_here[PROCESSES];  /* struct call of the command */
bool call_on_pair;
byte outcomes;              /* in the journal */

bool master_lives = true;
byte heir = NO_ONE, former = NO_ONE, current = 0;
bool asked_go;              /* CHANNEL_frozen is on its way to the master */
bool go;                    /* CHANNEL_go is on its way to the worker */
bool wanted;                /* the operator asks for a successor once */
byte kills;
bool harmed; /* a kill met something that lived */

/* The pair. `torn`: the other end is closed. */
chan to_sender = [1] of { mtype };
chan to_receiver = [3] of { mtype };
bool torn;

#define LIVES(p) (phase[p] != ABSENT && phase[p] != GONE)

inline open_journal(p)
{
    assert(journal == NO_ONE);
    journal = p
}

inline outcome()
{
    assert(outcomes == 0);
    outcomes++
}

/* recovery.c, bury_former(): ends what is open in the journal of the slot's
 * former process and in no living process. */
inline bury(p)
{
    if
#if MISTAKE != 5
    :: outcomes == 0 && !call_here[p] -> outcome()
#else
    :: outcomes == 0 -> outcome()
#endif
    :: else
    fi
}

/* The kernel closes the descriptors of the process. */
inline kernel_closes(p)
{
    fd[p] = false;
    if
    :: serves == p -> serves = NO_ONE
    :: else
    fi;
    if
    :: journal == p -> journal = NO_ONE
    :: else
    fi;
    if
    :: reader == p && message == READ -> message = LOST /* was not answered */
    :: else
    fi;
    call_here[p] = false;
    open = (fd[0] || fd[1] || fd[2] || fd_on_pair)
}

inline leave(p)
{
    phase[p] = GONE;
    kernel_closes(p)
}

proctype worker(byte p)
{
end:
    do
    /* --- what a worker does ---------------------------------------------- */
    :: atomic { /* an ordinary start: worker_main(), recovery */
        phase[p] == STARTING && heir != p ->
        open_journal(p);
        bury(p);
        phase[p] = SERVING }
    :: atomic { /* io_cb(), session_message(): in no phase from FROZEN on */
        serves == p && message == IN_KERNEL &&
#if MISTAKE != 1
        (phase[p] == SERVING || phase[p] == SETTLING || phase[p] == RECEIVING) ->
#else
        LIVES(p) ->
#endif
        assert(fd[p]);
        message = READ;
        reader = p }
    :: atomic { /* committer.c */
        journal == p && message == READ && reader == p ->
        message = DURABLE;
        events++;
        assert(events <= 1) }
    :: atomic { /* deferred_release() */
        message == DURABLE && reader == p && serves == p && LIVES(p) && phase[p] != SENDING ->
        assert(fd[p] && events == 1);
        message = ANSWERED }
    :: atomic { /* calls_answered.c: the answer to the command, its outcome durable */
        serves == p && answer_waits && call_here[p] && journal == p &&
        (phase[p] == SERVING || phase[p] == SETTLING || phase[p] == RECEIVING) ->
        answer_waits = false;
        call_here[p] = false;
        outcome() }

    /* --- handover.c: the sender ------------------------------------------ */
    :: atomic { /* hello_came(), accept_hold() */
        phase[p] == SERVING && heir != NO_ONE && p == current && to_sender?[HELLO] ->
        to_sender?HELLO;
        phase[p] = SETTLING }
    :: atomic { phase[p] == SETTLING -> phase[p] = FROZEN } /* freeze() */
    :: atomic { /* journal_idle() && !deferred_any(): master_link_frozen() */
        phase[p] == FROZEN &&
#if MISTAKE != 2
        !(message == READ && reader == p) && !(message == DURABLE && reader == p) &&
#endif
        master_lives ->
        asked_go = true;
        phase[p] = ASKED }
    :: atomic { /* keep(): the successor has ended, or the disk hangs */
        (phase[p] == SETTLING || phase[p] == FROZEN || phase[p] == ASKED) && p == current && torn && !go ->
        phase[p] = SERVING; /* thaw() */
        asked_go = false }
    :: atomic { /* handover_go(): redis_close(), journal_close(), put_slot() */
        phase[p] == ASKED && go && former == p ->
        go = false;
#if MISTAKE != 3
        journal = NO_ONE;
#endif
        if
        :: torn
        :: else -> to_receiver!SLOT
        fi;
        phase[p] = SENDING }
    :: atomic { /* send_conn(): the descriptor and its record */
        phase[p] == SENDING && fd[p] && nfull(to_receiver) ->
        serves = (serves == p -> NO_ONE : serves);
        if
        :: torn -> fd[p] = false; open = (fd[0] || fd[1] || fd[2] || fd_on_pair)
        :: else ->
            fd_on_pair = true;
            call_on_pair = call_here[p];
            to_receiver!CONN;
            fd[p] = false
        fi;
        call_here[p] = false }
    :: atomic { /* the connection has ended already, or is sent */
        phase[p] == SENDING && !fd[p] && nfull(to_receiver) ->
        if
        :: torn
        :: else -> to_receiver!END
        fi;
        leave(p) }

    /* --- inherit.c: the receiver ----------------------------------------- */
    :: atomic { /* inherit_wait(): say_hello() */
        phase[p] == STARTING && heir == p ->
        to_sender!HELLO;
        phase[p] = PREPARED }
    :: atomic { /* inherit_wait(): INHERIT_SLOT, inherit_slot() */
        phase[p] == PREPARED && to_receiver?[SLOT] ->
        to_receiver?SLOT;
        open_journal(p);
        phase[p] = RECEIVING }
    :: atomic { /* take_conn(), moving_arrived() */
        phase[p] == RECEIVING && to_receiver?[CONN] ->
        to_receiver?CONN;
        assert(serves == NO_ONE);
        fd_on_pair = false;
        fd[p] = true;
        serves = p;
        call_here[p] = call_on_pair;
        call_on_pair = false }
    :: atomic { /* finish(): what did not come has ended */
        phase[p] == RECEIVING && to_receiver?[END] ->
        to_receiver?END;
        bury(p);
        phase[p] = SERVING }
    :: atomic { /* PAIR_ENDED behind `go`: the sender was killed */
        phase[p] == RECEIVING && empty(to_receiver) && former != NO_ONE && !LIVES(former) ->
        bury(p);
        phase[p] = SERVING }
    :: atomic { /* INHERIT_NONE: the sender was killed before `go` */
        phase[p] == PREPARED && empty(to_receiver) && !LIVES(0) && p == 1 -> leave(p) }
    :: atomic { /* the master has ended: drain_time, then the end */
        !master_lives && LIVES(p) && phase[p] != SENDING && phase[p] != RECEIVING -> leave(p) }
    od
}

/* A pair of which one end is closed: the lines in it are read, and none is
 * added. The kernel closes the descriptors in it when both ends are closed. */
proctype kernel()
{
end:
    do
    :: atomic { !torn && (phase[1] == GONE) -> torn = true }
    :: atomic { /* no process reads the pair any more */
        phase[1] == GONE && fd_on_pair ->
        fd_on_pair = false;
        call_on_pair = false;
        open = (fd[0] || fd[1] || fd[2]) }
    od
}

proctype master()
{
end:
    do
    :: atomic { /* restart_worker(): succession_start() */
        master_lives && wanted && phase[0] == SERVING ->
        wanted = false;
        heir = 1;
        phase[1] = STARTING }
    :: atomic { /* succession_frozen() */
        master_lives && asked_go ->
        asked_go = false;
        if
        :: heir == 1 && LIVES(1) && LIVES(0) ->
            go = true;
            former = 0;
            current = 1
        :: else
        fi }
    :: atomic { /* died_cb(), start(): the slot gets an ordinary successor */
        master_lives && !LIVES(current) && phase[2] == ABSENT &&
        phase[0] != ABSENT &&
#if MISTAKE != 4
        (former == NO_ONE || !LIVES(former)) && /* it may have the journal */
        (heir == NO_ONE || !LIVES(heir)) &&
#endif
        phase[1] != STARTING ->
        current = 2;
        phase[2] = STARTING }
    :: atomic { /* died_cb(): a former process that continues is killed */
        master_lives && former != NO_ONE && !LIVES(current) && LIVES(former) ->
        leave(former) }
    od
}

/* kill -9 */
proctype killer()
{
    byte p;

end:
    do
    :: atomic {
        kills < KILLS ->
        kills++;
        if
        :: p = 0
        :: p = 1
        :: p = 2
        fi;
        if
        :: LIVES(p) -> harmed = true; leave(p)
        :: else
        fi;
        p = 0 }
    :: atomic { kills < KILLS && master_lives -> kills++; harmed = true; master_lives = false }
    :: atomic { kills < KILLS -> kills = KILLS } /* no more of them */
    od
}

proctype judge()
{
    timeout;
    assert(message != ANSWERED || events == 1);
    assert(outcomes <= 1);
    assert(serves == NO_ONE || fd[serves]);
    if
    :: !harmed ->
        assert(open && serves == 1 && phase[1] == SERVING && phase[0] == GONE);
        assert(message == ANSWERED && outcomes == 1)
    :: else
    fi;
    /* A worker that lives on has ended what the slot had begun. */
    if
    :: master_lives && LIVES(current) ->
        assert(phase[current] == SERVING && journal == current);
        assert(outcomes == 1 || call_here[current])
    :: else
    fi
}

init {
    atomic {
        phase[0] = SERVING;
        journal = 0;
        serves = 0;
        fd[0] = true;
        call_here[0] = true;
        answer_waits = true;
        wanted = true;
        run worker(0);
        run worker(1);
        run worker(2);
        run kernel();
        run master();
        run killer();
        run judge()
    }
}
