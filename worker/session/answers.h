/*
 * answers: decides how the CALLs of charge points are answered.
 *
 * A CALL is checked, and then answered in one of these ways:
 *
 *   now         at once: it makes no event, or is a repetition of a CALL that
 *               was answered
 *   committed   its event is appended, and the answer is sent when that is
 *               durable
 *   ask         the platform is asked: an answer.requested event is appended,
 *               and the CALL waits in platform.h
 *   asked       the platform was asked before, and the CALL takes the place of
 *               the former one
 *   later       it cannot be decided yet, and waits in parked.h
 *
 * Except for the first kind, every answer is in the journal before it is sent,
 * as the member `answer` of the CALL's event. The member `answeredBy` names its
 * origin:
 *
 *   gateway     the settings of [answers]
 *   platform    the platform, by ocppd_answer
 *   fallback    the platform was to answer, and did not in time or could not
 *               be asked
 *
 * Known notifications always get their .conf; business results go into a
 * CALLRESULT, never into a CALLERROR (OCPP-J 1.6 sections 4.2.2 and 4.2.3).
 */
#ifndef WORKER_SESSION_ANSWERS_H
#define WORKER_SESSION_ANSWERS_H

#include "net/conn.h"
#include "ocpp/ocppj.h"

/* Handles a CALL. f: of type CALL, with the verdict GOOD, MALFORMED or
   LONG_ID. */
void answers_take(
    struct conn *c, const struct ocppj_frame *f, const struct json *tape);

/* Answers a message that cannot be read as a CALL, in a version that demands
 * it, by a CALLERROR with the id of the message, or "-1" if that could not be
 * read. */
void answers_refuse_unread(
    struct conn *c, const struct ocppj_frame *f, enum ocppj_error code);

/* Called when events up to this number are durable: the answers that have
   waited for them are sent. */
void answers_committed(uint64_t number);

/* Handles the parked CALLs and the questions again, because some may now be
   decided. */
void answers_retry(void);

/* Handles timeouts: fallbacks, parked CALLs, connections that wait for too
   long. Called several times a second. */
void answers_tick(void);

/* True while events wait and none has become durable for journal.stall_time.
 * New connections are refused then. */
bool answers_stalled(void);

#endif
