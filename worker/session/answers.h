/*
 * answers: what the gateway answers to the CALLs of charge points.
 *
 * A CALL is checked, and then answered in one of these ways:
 *
 *   now         no event is made of it, or its answer was given before
 *   committed   its event is appended, and the answer leaves with the commit
 *   ask         the platform is asked: an answer.requested event is appended,
 *               and the CALL waits in platform.h
 *   asked       the platform was asked before, and the CALL takes the place of
 *               the former one
 *   later       it cannot be decided yet, and waits in parked.h
 *
 * Every answer but those of the first kind is in the journal before it leaves,
 * as the `answer` of the CALL's event, with its author as `answeredBy`:
 *
 *   gateway     by the settings of [answers]
 *   platform    as ocppd_answer brought it
 *   fallback    the platform was to answer, and did not in time or could not
 *               be asked
 *
 * Known notifications always get their .conf; business results go into a
 * CALLRESULT, never into a CALLERROR (OCPP-J 1.6 errata 3.2).
 */
#ifndef WORKER_SESSION_ANSWERS_H
#define WORKER_SESSION_ANSWERS_H

#include "net/conn.h"
#include "ocpp/ocppj.h"

struct deferred;
struct deferred_effect;
struct parked;

/* f: type CALL; GOOD, MALFORMED or LONG_ID. */
void answers_take(
    struct conn *c, const struct ocppj_frame *f, const struct json *tape);

/* A message that cannot be taken as a CALL, of a version that answers such:
 * CALLERROR with its id, or with "-1" if that could not be read. */
void answers_refuse_unread(
    struct conn *c, const struct ocppj_frame *f, enum ocppj_error code);

/* A parked CALL once more; p->again is set if it still cannot be decided. */
void answers_again(struct conn *c, struct parked *p);

/* The event of an answer is durable. */
void answers_durable(const struct deferred *d);
/* The answer has left. */
void answers_left(struct conn *c, const struct deferred_effect *e);

/* Takes the parked CALLs again, because what some wait for has arrived. */
void answers_retry(void);

/* Fallbacks, parked CALLs, connections that wait for too long. Often. */
void answers_tick(void);

/* True while the journal has taken no event for journal.stall_time although
 * events wait: no charge point is let in. */
bool answers_stalled(void);

#endif
