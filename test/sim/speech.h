/*
 * speech: messages of a charge point in the OCPP version of its connection.
 *
 * story.c decides what the charge point does; this file chooses and writes the
 * message for it. Each function writes a payload and returns its message.
 */
#ifndef SIM_SPEECH_H
#define SIM_SPEECH_H

#include "message2.h"
#include "point.h"

enum message speech_boot(struct point *p, struct message_text *t);
/* connector 0: the charge point itself, whose status 2.x reports as that of
 * connector 1. */
enum message speech_status(
    struct point *p, struct message_text *t, int connector, unsigned status);
enum message speech_authorize(struct point *p, struct message_text *t);
/* The beginning of a transaction. In 2.x the charge point chooses its id here.
 */
enum message speech_start(struct point *p, struct message_text *t);
enum message speech_update(
    struct point *p, struct message_text *t, uint32_t meter);
/* reason: a word of 1.6. */
enum message speech_stop(struct point *p, struct message_text *t,
    uint32_t meter, const char *reason);
/* A meter value outside of a transaction. */
enum message speech_meter(struct point *p, struct message_text *t,
    uint32_t meter, uint32_t power, const char *context);
enum message speech_word(
    struct point *p, struct message_text *t, enum message m, const char *word);
/* The next part of a report. The last part clears WANT_REPORT in p->wants. */
enum message speech_report(struct point *p, struct message_text *t);

/* The id of the transaction of 2.x; valid until the next call. */
const char *speech_transaction(const struct point *p);
/* The value of variable i of message2.h, NULL if it cannot be read; valid until
 * the next call for the same i. */
const char *speech_value(const struct point *p, unsigned i);

#endif
