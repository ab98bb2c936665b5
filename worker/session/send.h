/*
 * send: SEND messages of OCPP 2.1, which are not answered.
 *
 * A SEND is checked as a CALL is, and becomes an event. One that cannot be
 * used is reported as a violation and dropped.
 */
#ifndef WORKER_SESSION_SEND_H
#define WORKER_SESSION_SEND_H

#include "net/conn.h"
#include "ocpp/ocppj.h"

/* f: of type SEND, with the verdict GOOD. */
void send_take(
    struct conn *c, const struct ocppj_frame *f, const struct json *tape);

#endif
