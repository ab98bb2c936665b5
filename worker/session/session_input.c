/* session_input: messages from a charge point. See session.h. */
#include "session/session.h"

#include <stdio.h>
#include <string.h>

#include "access/rates.h"
#include "base/self.h"
#include "log.h"
#include "ocpp/tape.h"
#include "printable.h"
#include "session/answers.h"
#include "session/calls.h"
#include "session/publish.h"
#include "session/send.h"
#include "session/tap.h"
#include "session/violation.h"

/* Notes a message that cannot be read but whose beginning names its action. */
static void
report_too_big(struct conn *c)
{
    char        detail[320], id[40], action[40];
    const char *begin;
    int         type = 0;
    size_t      n;
    uint64_t    len = ws_too_big(c->ws, &begin, &n);
    char        text[WS_BEGIN_MAX + 1];

    snprintf(text, sizeof text, "%.*s", (int)n, begin);
    int words =
        sscanf(text, " [ %1d , \"%36[^\"]\" , \"%36[^\"]\"", &type, id, action);
    n = (size_t)snprintf(detail, sizeof detail,
        "a message of %s%llu bytes; websocket.max_message_size is %llu",
        len != 0 ? "" : "more than ",
        (unsigned long long)(len != 0 ? len
                                      : self.conf.websocket_max_message_size),
        (unsigned long long)self.conf.websocket_max_message_size);
    if (words >= 1)
        n += (size_t)snprintf(
            detail + n, sizeof detail - n, "; message type %d", type);
    if (words >= 2)
        n += (size_t)snprintf(detail + n, sizeof detail - n, ", id %s", id);
    if (words == 3 && type == 2)
        snprintf(detail + n, sizeof detail - n, ", action %s", action);
    struct publish_subject subject = publish_subject(c);
    char                   name[3 * IDENTITY_MAX + 1];
    printable_percent(
        name, sizeof name, subject.identity, subject.identity_len);
    log_warn("%s: %s: raise websocket.max_message_size, or the charge point "
             "will send it again and again",
        name, detail);
    violation_report(c, close_info[CLOSE_too_big].word, detail, NULL, 0);
}

void
session_check_owner(struct conn *c)
{
    if (c->state == CONN_OPEN &&
        !registry_owns(self.registry, c->session.entry, c->self))
        session_end(c, CLOSE_replaced, NULL);
}

void
session_bytes(struct conn *c, const uint8_t *p, size_t n)
{
    /* A newer connection may already own the identity, and may have sent the
     * same message. Messages on this connection then no longer count. */
    session_check_owner(c);
    /* A closing connection is read until the peer's close frame has arrived or
     * can no longer arrive. */
    if (c->flags & CONN_FINISHING)
        return;
    if (c->ws == NULL)
        c->ws = ws_borrow(c, &c->ws_bits, self.conf.websocket_max_message_size);
    if (c->ws == NULL) {
        session_end(c, CLOSE_out_of_memory, NULL);
        conn_kill(c);
        return;
    }
    enum ws_result r = ws_input(c->ws, p, n);
    if (r == WS_FAILED) {
        int               status = ws_status(c->ws);
        enum close_reason reason = status == FRAME_STATUS_UTF8 ? CLOSE_not_utf8
            : status == FRAME_STATUS_TOO_BIG                   ? CLOSE_too_big
            : status == FRAME_STATUS_POLICY   ? CLOSE_buffers_full
            : status == FRAME_STATUS_INTERNAL ? CLOSE_out_of_memory
                                              : CLOSE_protocol_error;
        if (c->state == CONN_OPEN) {
            if (reason == CLOSE_too_big)
                report_too_big(c);
            else
                violation_report(
                    c, close_info[reason].word, ws_why(c->ws), NULL, 0);
            session_leave(c, reason, status);
        }
        conn_finish(c);
    } else if (r == WS_CLOSED) {
        if (c->state == CONN_OPEN)
            session_leave(c, CLOSE_peer_closed, FRAME_STATUS_NONE);
        conn_finish(c);
    }
}

void
session_pong(struct conn *c, const uint8_t *data, size_t len)
{
    uint32_t sent_ms;

    STAT_INC(self.st, pongs);
    /* A pong that answers a ping of the gateway carries the time when the ping
     * was sent. */
    if (len != sizeof sent_ms)
        return;
    memcpy(&sent_ms, data, sizeof sent_ms);
    if (sent_ms != c->pinged_ms)
        return;
    uint32_t rtt = self.now_ms - sent_ms;
    c->session.rtt_ms = rtt < UINT16_MAX ? (uint16_t)rtt : UINT16_MAX - 1;
    histogram_add(&self.st->ping_time, (uint64_t)rtt * 1000);
}

/* Handles a message that cannot be answered. */
static void
unreadable(struct conn *c, const char *kind, const char *why, const char *text,
    size_t len)
{
    STAT_INC(self.st, bad_messages);
    tap_frame(c, TAP_IN, text, len, why);
    violation_report(c, kind, why, text, len);
    if (++c->session.bad >= self.conf.ocpp_max_bad_messages)
        session_end(c, CLOSE_bad_messages, NULL);
}

/* Handles a CALLRESULTERROR: the charge point could not use an answer of the
   gateway. */
static void
take_result_error(struct conn *c, const char *text, size_t len)
{
    STAT_INC(self.st, result_errors);
    tap_frame(c, TAP_IN, text, len, "the charge point could not use an answer");
    violation_report(c, "result_error",
        "the charge point could not use the answer to its CALL", text, len);
}

/* Handles one OCPP-J message. */
static void
take_text(struct conn *c, struct json *tape, const char *text, size_t len)
{
    struct ocppj_frame    f;
    const struct dialect *d = &dialects[c->session.protocol];

    tape->max_depth = (uint32_t)self.conf.ocpp_max_depth;
    switch (ocppj_cut(&f, tape, text, len, dialect_mode(), d->last_type)) {
    case OCPPJ_UNPARSABLE:
    case OCPPJ_NO_ID:
        if (calls_spoiled(c, &f, text, len)) {
            unreadable(c, "malformed", f.why, text, len);
            return;
        }
        unreadable(c, "unreadable", f.why, text, len);
        if (d->answers_unreadable && ocppj_answerable(text, len))
            answers_refuse_unread(c, &f, OCPPJ_RPC_FRAMEWORK_ERROR);
        return;
    case OCPPJ_UNKNOWN_TYPE:
        if (calls_spoiled(c, &f, text, len)) {
            unreadable(c, "malformed", f.why, text, len);
            return;
        }
        STAT_INC(self.st, unknown_types);
        tap_frame(c, TAP_IN, text, len, "unknown message type");
        if (d->answers_unknown_type && ocppj_answerable(text, len))
            answers_refuse_unread(c, &f, OCPPJ_MESSAGE_TYPE_NOT_SUPPORTED);
        return;
    case OCPPJ_LONG_ID:
    case OCPPJ_MALFORMED:
        if (f.type == OCPPJ_SEND || f.type == OCPPJ_CALLRESULTERROR) {
            unreadable(c, "malformed", f.why, text, len);
            return;
        }
        if (f.type != OCPPJ_CALL) {
            calls_spoiled(c, &f, text, len);
            unreadable(c, "malformed", f.why, text, len);
            return;
        }
        /* fall through */
    case OCPPJ_GOOD:
        break;
    }
    violation_count(c, f.deviations);
    if (f.type == OCPPJ_CALL)
        answers_take(c, &f, tape);
    else if (f.type == OCPPJ_SEND)
        send_take(c, &f, tape);
    else if (f.type == OCPPJ_CALLRESULTERROR)
        take_result_error(c, text, len);
    else
        calls_answered(c, &f, tape);
    if (f.verdict == OCPPJ_GOOD)
        c->session.bad = 0;
}

bool
session_message(
    struct conn *c, enum frame_opcode opcode, const char *text, size_t len)
{
    if (c->state != CONN_OPEN)
        return c->state == CONN_CLOSING;
    c->session.messages_in++;
    STAT_INC(self.st, messages_in);
    rates_message(c);
    if (opcode == FRAME_BINARY) {
        violation_report(
            c, "binary", close_info[CLOSE_not_text].sentence, NULL, 0);
        session_end(c, CLOSE_not_text, NULL);
        return c->state == CONN_CLOSING;
    }
    struct json *tape = tape_borrow(TAPE_MESSAGE);
    take_text(c, tape, text, len);
    tape_return(tape);
    return c->state == CONN_OPEN || c->state == CONN_CLOSING;
}
