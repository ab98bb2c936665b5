/*
 * session: a charge point that is here.
 *
 * Begins when the identity is claimed in the registry and ends once, for one
 * of the reasons in close.def; whatever comes later on the socket is ignored.
 * Between the two, messages come up from ws.c and go to answers.c (CALLs of
 * the charge point) and calls.c (its answers to ours).
 */
#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

#include "conn.h"
#include "ocppj.h"
#include "registry.h"
#include "schema.h"
#include "writer.h"

/* The subprotocols there are code for. */
enum protocol { PROTOCOL_ocpp16, PROTOCOLS };

extern const char *const protocol_names[PROTOCOLS];
extern const struct schema_dialect *const protocol_dialects[PROTOCOLS];

/* HANDSHAKE to OPEN: claims the identity; a former connection of it is told
 * to go. On anything but REGISTRY_OK nothing has changed. */
enum registry_result session_open(struct conn *c, const char *name, size_t len,
    enum protocol protocol);

/* Has no common version: HANDSHAKE to CLOSING with a close frame. */
void session_reject_version(struct conn *c, const char *name, size_t len);
/* HANDSHAKE to CLOSING. */
void session_leave_handshake(struct conn *c);

/* OPEN to CLOSING, with the close frame of the reason, if it has one and
 * none went yet. why: for the close frame; NULL for the reason's sentence. */
void session_end(struct conn *c, enum close_reason reason, const char *why);

/* Ends it if its identity has a newer owner. */
void session_check_owner(struct conn *c);

/* Appends a JSON object with what only the worker knows. */
void session_tell(struct conn *c, struct buf *out);

/* A violation: counted by the caller; makes an event within
 * ocpp.violation_rate. kind: a word; frame may be NULL. */
void session_violation(struct conn *c, const char *kind, const char *detail,
    const char *frame, size_t len);

/* Ended without its worker having said so: publishes the event for it. */
void session_bury(const struct registry_entry *e, uint64_t generation);

/* Compiled checks of one message, shared by answers.c and calls.c: the mode
 * of ocpp.validation. */
enum ocppj_mode session_mode(void);

/* Counts lenient deviations; if there are any, adds member "deviations" to
 * an event (w may be NULL). */
void session_deviations(struct conn *c, uint64_t set, struct writer *w);

#endif
