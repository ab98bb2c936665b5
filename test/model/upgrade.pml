/*
 * upgrade: two masters, and the slots that move from one program to the other.
 *
 * Each slot has one connection. Any process may be killed at any step, KILLS
 * times in all. Each step names the function that it represents; what happens
 * between the two workers of a slot is in handover.pml, and is short here. The
 * model begins when the new master has the state of the old one.
 *
 * What must hold:
 *   - the journal of a slot is open in one process at a time;
 *   - the death of a master closes no connection, as long as the other lives;
 *   - the death of a worker closes the connection of its slot at most;
 *   - the upgrade ends: the new master runs, or the old one continues with all
 *     that had not moved;
 *   - a new master that dies before `go` has changed nothing.
 *
 * -DMISTAKE=1..6 omits one condition; spin must find each mistake.
 */
#ifndef MISTAKE
#define MISTAKE 0
#endif
#ifndef KILLS
#define KILLS 2
#endif

#define SLOTS 2
#define ATTEMPTS 3
#define NO_ONE 9

/* A process of slot s: of the old program (0), or of the new program in its
 * attempt 1 to 3. */
#define P(s, g) process[(s) * (ATTEMPTS + 1) + (g)]

mtype = { ABSENT, READY, SERVING, ASKED, GONE }; /* a worker */
mtype = { IDLE, PREPARE, MOVE, AGAIN, FINISH, LEFT }; /* the old master */
mtype = { NOT_THERE, STARTING, PREPARED, SLOT_BY_SLOT, RUNNING }; /* the new */
mtype = { HELD, ON_PAIR, LOST }; /* a connection */

mtype process[SLOTS * (ATTEMPTS + 1)] = ABSENT;
mtype conn[SLOTS] = HELD;
byte holder[SLOTS];          /* the attempt whose process has the connection */
byte journal[SLOTS];         /* the attempt whose process has it open */
byte from[SLOTS];            /* the process that hands over, or has moved */
bool harmed[SLOTS];          /* a worker of it was killed */

bool old = true, new = false;
mtype phase = PREPARE, in = NOT_THERE;
byte attempt, slot, in_slot;
bool taken, went, left;      /* of the old master */
bool gone, inherited, orphaned, in_taken; /* of the new one */

/* Records on the link of the masters. */
bool prepared_m, heir_m, took_m, moved_m, running_m;
bool begin_m, take_m, gone_m, end_m;
#define TO_OLD (prepared_m || heir_m || took_m || moved_m || running_m)
#define TO_NEW (begin_m || take_m || gone_m || end_m)

/* On the channel of the worker that hands over. */
bool handed, asked, go, sent;
bool inherited_m;            /* on that of its heir */
byte kills;
bool old_killed, new_killed, alone;

inline open_journal(s, g)
{
    assert(journal[s] == NO_ONE);
    journal[s] = g
}

/* The kernel closes what the process had. */
inline ends(s, g)
{
    P(s, g) = GONE;
    go = go && !(s == in_slot && g == from[s]);
    if
    :: journal[s] == g -> journal[s] = NO_ONE
    :: else
    fi;
    if
    :: conn[s] == HELD && holder[s] == g -> conn[s] = LOST
    :: else
    fi
}

inline forget_slot()
{
    taken = false;
    went = false;
    left = false;
    handed = false;
    asked = false;
    go = false;
    sent = false;
    inherited_m = false;
    gone = false;
    inherited = false;
    in_taken = false
}

/* --- the workers ---------------------------------------------------------- */

proctype workers(byte s)
{
    byte g;

end:
    do
    :: atomic { /* hello_came(), freeze(), master_link_frozen() */
        handed && s == in_slot && P(s, from[s]) == SERVING && P(s, attempt) == READY ->
        P(s, from[s]) = ASKED;
        asked = true }
    :: atomic { /* keep(): its heir has ended */
        s == in_slot && P(s, from[s]) == ASKED && P(s, attempt) == GONE && !go ->
        P(s, from[s]) = SERVING;
        handed = false;
        asked = false }
    :: atomic { /* handover_go() */
        s == in_slot && go && P(s, from[s]) == ASKED ->
        go = false;
        journal[s] = NO_ONE;
        if
        :: P(s, attempt) == READY ->
            sent = true;
            conn[s] = (conn[s] == HELD -> ON_PAIR : conn[s])
        :: else -> conn[s] = LOST; harmed[s] = true
        fi;
        P(s, from[s]) = GONE }
    :: atomic { /* inherit_slot(), take_conn(), master_link_inherited() */
        s == in_slot && sent && P(s, attempt) == READY ->
        sent = false;
        open_journal(s, attempt);
        if
        :: conn[s] == ON_PAIR -> conn[s] = HELD; holder[s] = attempt
        :: else
        fi;
        P(s, attempt) = SERVING;
        inherited_m = true }
    :: atomic { /* inherit_wait(): INHERIT_NONE; the other end is closed */
        s == in_slot && P(s, attempt) == READY && !sent && !go && (!new || (gone && P(s, from[s]) == GONE)) ->
        P(s, attempt) = GONE }
    :: atomic { /* up_orphaned(): no master has the channel any more */
#if MISTAKE == 1
        !old && phase != LEFT && P(s, 0) == SERVING -> ends(s, 0)
#elif MISTAKE == 2
        !new && in != NOT_THERE && attempt > 0 && P(s, attempt) == SERVING -> ends(s, attempt)
#else
        !old && !new && P(s, from[s]) == SERVING -> ends(s, from[s])
#endif
        }
    od
}

/* --- the old master: upgrade.c -------------------------------------------- */

/* Of all attempts but the old program's own. */
inline kill_all_heirs()
{
    for (i : 0 .. SLOTS - 1) {
        for (j : 1 .. ATTEMPTS) {
            if
            :: P(i, j) != ABSENT && P(i, j) != GONE -> ends(i, j)
            :: else
            fi
        }
        conn[i] = (conn[i] == ON_PAIR -> LOST : conn[i])
    }
}

proctype old_master()
{
    byte i, j;

end:
    do
    :: atomic { /* prepare(): program_start(), offer_first() */
        old && phase == PREPARE && in == NOT_THERE ->
        attempt++;
        slot = 0;
        in_slot = 0;
        forget_slot();
        new = true;
        orphaned = false;
        in = STARTING }
    :: atomic { old && prepared_m && phase == PREPARE -> /* move() */
        prepared_m = false;
        phase = MOVE;
        begin_m = true }
    :: atomic { /* heir_is_there() */
        old && heir_m && !moved_m && phase == MOVE ->
        heir_m = false;
        if
        :: !left && P(slot, from[slot]) != GONE -> handed = true
        :: !left && P(slot, from[slot]) == GONE -> left = true; taken = true; take_m = true; gone_m = true
        :: left
        fi }
    :: atomic { old && heir_m && phase != MOVE -> heir_m = false } /* record() */
    :: atomic { /* upgrade_frozen(): send_take() */
        old && asked && !left && phase == MOVE && slot == in_slot ->
        asked = false;
        taken = true;
        take_m = true }
    :: atomic { old && asked && left && slot == in_slot -> asked = false } /* upgrade_frozen(): of a dead worker */
    :: atomic { /* outgoing_go() */
        old && took_m && phase == MOVE ->
        took_m = false;
        went = true;
        go = (P(slot, from[slot]) == ASKED) }
    :: atomic { /* upgrade_worker_left(), offer_slot() */
        old && phase == MOVE && slot == in_slot && !left && handed && P(slot, from[slot]) == GONE ->
        left = true;
        take_m = !taken;
        taken = true;
        gone_m = true }
    :: atomic { /* slot_moved(), finish() */
        old && moved_m && phase == MOVE ->
        moved_m = false;
        slot++;
        taken = false;
        went = false;
        left = false;
        if
        :: slot == SLOTS -> phase = FINISH; end_m = true
        :: else
        fi }
    :: atomic { old && running_m && phase == FINISH -> running_m = false; old = false; phase = LEFT } /* leave() */
    :: atomic { /* new_master_died(): try_again(), or give_up(). What was sent to
                 * an heir arrives: it reads its channel after that */
        old && !new && !(sent && P(slot, attempt) == READY) && in != NOT_THERE && !TO_OLD && phase != IDLE && phase != AGAIN ->
        in = NOT_THERE;
        begin_m = false; take_m = false; gone_m = false; end_m = false;
        if
#if MISTAKE == 3
        :: true ->
#else
        :: attempt == ATTEMPTS || (attempt == 1 && slot == 0 && !went) ->
#endif
            kill_all_heirs();
            phase = IDLE;
            for (i : 0 .. SLOTS - 1) { /* supervise_keep() */
                P(i, 0) = (P(i, 0) == ASKED -> SERVING : P(i, 0));
                if
                :: P(i, 0) == GONE -> open_journal(i, 0); P(i, 0) = SERVING
                :: else
                fi;
                from[i] = 0
            }
        :: else ->
            for (i : 0 .. SLOTS - 1) {
                if
                :: i < slot || (i == slot && left) -> 
                    P(i, attempt) = (P(i, attempt) == READY -> GONE : P(i, attempt)); /* INHERIT_NONE */
                    from[i] = attempt /* heirs_adopt() */
                :: i >= slot && !(i == slot && (left || went)) -> /* kill_process(); keep() */
                    if
                    :: P(i, attempt) != GONE && P(i, attempt) != ABSENT -> ends(i, attempt)
                    :: else
                    fi;
                    P(i, from[i]) = (P(i, from[i]) == ASKED -> SERVING : P(i, from[i]))
                :: else
                fi
            }
#if MISTAKE == 4
            if
            :: slot < SLOTS && went && !left -> ends(slot, attempt)
            :: else
            fi;
            phase = PREPARE
#else
            phase = (slot < SLOTS && went && !left -> AGAIN : PREPARE)
#endif
        fi;
        i = 0;
        j = 0 }
    :: atomic { /* upgrade_worker_left() in AGAIN: heirs_adopt(), prepare_soon() */
        old && phase == AGAIN && P(slot, from[slot]) == GONE && !(sent && P(slot, attempt) == READY) ->
        from[slot] = attempt;
        P(slot, attempt) = (P(slot, attempt) == READY -> GONE : P(slot, attempt)); /* INHERIT_NONE */
        phase = PREPARE }
    :: atomic { /* upgrade_kept() in AGAIN */
        old && phase == AGAIN && P(slot, from[slot]) == SERVING && !go ->
        P(slot, attempt) = (P(slot, attempt) == READY -> GONE : P(slot, attempt));
        phase = PREPARE }
    od
}

/* --- the new master: successor.c ------------------------------------------ */

inline begin_slot()
{
    if
    :: !orphaned -> heir_m = true
    :: else -> /* foreign_hand_over(), with CHANNEL_AGAIN */
        handed = true;
        asked = asked || (P(in_slot, from[in_slot]) == ASKED && !go)
    fi
}

proctype new_master()
{
    byte i;

end:
    do
    :: atomic { /* successor_start(): start_heir(); hello_cb() */
        new && in == STARTING ->
        for (i : 0 .. SLOTS - 1) {
            P(i, attempt) = READY
        }
        i = 0;
        if
        :: !orphaned -> prepared_m = true; in = PREPARED
        :: else -> in = SLOT_BY_SLOT; begin_slot()
        fi }
    :: atomic { new && begin_m && in == PREPARED -> begin_m = false; in = SLOT_BY_SLOT; begin_slot() }
    :: atomic { new && take_m && in == SLOT_BY_SLOT -> take_m = false; in_taken = true; took_m = old }
    :: atomic { new && gone_m && !take_m && in == SLOT_BY_SLOT -> gone_m = false; gone = true } /* old_one_gone() */
    :: atomic { new && inherited_m && in == SLOT_BY_SLOT -> inherited_m = false; inherited = true } /* successor_inherited() */
    :: atomic { /* successor_heir_gone() */
        new && in == SLOT_BY_SLOT && in_slot < SLOTS && P(in_slot, attempt) == GONE && !inherited ->
        if
#if MISTAKE == 5
        :: true ->
#else
        :: gone ->
#endif
            inherited = true;
            open_journal(in_slot, attempt); /* supervise_free() */
            P(in_slot, attempt) = SERVING
        :: !gone -> P(in_slot, attempt) = READY; begin_slot() /* start_heir() */
        fi }
    :: atomic { /* slot_done(), next_slot() */
        new && in == SLOT_BY_SLOT && in_slot < SLOTS && gone && inherited && !took_m ->
        from[in_slot] = attempt;
        moved_m = !orphaned;
        in_slot++;
        handed = false; asked = false; go = false; sent = false;
        gone = false; inherited = false; in_taken = false; inherited_m = false;
        if
        :: in_slot < SLOTS -> begin_slot()
        :: in_slot == SLOTS && orphaned -> in = RUNNING /* take_over() */
        :: else
        fi }
    :: atomic { new && end_m && in == SLOT_BY_SLOT && in_slot == SLOTS -> end_m = false; in = RUNNING; running_m = true } /* take_over() */
    :: atomic { /* link_ended() */
        new && !old && phase != LEFT && !orphaned && !TO_NEW && in != RUNNING ->
#if MISTAKE == 6
        new = false; in = NOT_THERE
#else
        orphaned = true;
        prepared_m = false; heir_m = false; took_m = false; moved_m = false;
        if
        :: in == PREPARED -> in = SLOT_BY_SLOT; begin_slot()
        :: in == SLOT_BY_SLOT && in_slot == SLOTS -> in = RUNNING /* take_over() */
        :: in == SLOT_BY_SLOT && in_slot < SLOTS && !gone -> begin_slot()
        :: else
        fi
#endif
        }
    :: atomic { /* frozen(): foreign_go() */
        new && orphaned && asked -> asked = false; in_taken = true; go = (P(in_slot, from[in_slot]) == ASKED) }
    :: atomic { /* ended(): old_one_gone() */
        new && orphaned && in == SLOT_BY_SLOT && in_slot < SLOTS && !gone && P(in_slot, from[in_slot]) == GONE ->
        gone = true }
    od
}

/* kill -9 */
proctype killer()
{
    byte s, g;

end:
    do
    :: atomic { kills < KILLS && old -> kills++; old = false; old_killed = true; alone = !new }
    :: atomic { kills < KILLS && new -> kills++; new = false; new_killed = true }
    :: atomic {
        kills < KILLS ->
        kills++;
        if
        :: s = 0
        :: s = 1
        fi;
        if
        :: g = from[s]
        :: g = attempt
        fi;
        if
        :: P(s, g) != ABSENT && P(s, g) != GONE ->
            harmed[s] = true;
            if
            :: g == attempt && conn[s] == ON_PAIR -> conn[s] = LOST; sent = false
            :: else
            fi;
            ends(s, g)
        :: else
        fi;
        s = 0;
        g = 0 }
    :: atomic { kills < KILLS -> kills = KILLS } /* no more of them */
    od
}

/* Nothing more can happen. */
proctype judge()
{
    byte s;

    timeout;
    if
    :: old || new ->
        for (s : 0 .. SLOTS - 1) {
            assert(harmed[s] || (conn[s] == HELD && P(s, holder[s]) == SERVING && journal[s] == holder[s]))
        }
        assert((phase == IDLE && old) || (in == RUNNING && new))
    :: else
    fi;
    assert(old || new || alone || (old_killed && new_killed) || (phase == LEFT && new_killed));
    assert(kills > 0 || (in == RUNNING && phase == LEFT))
}

init {
    byte s;

    atomic {
        for (s : 0 .. SLOTS - 1) {
            P(s, 0) = SERVING;
            journal[s] = 0;
            run workers(s)
        }
        run old_master();
        run new_master();
        run killer();
        run judge()
    }
}
