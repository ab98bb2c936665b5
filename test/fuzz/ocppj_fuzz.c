/*
 * Any frame is parsed, checked against its schema and answered, and only the
 * frame is read. Strict and lenient validation never contradict each other. An
 * answer has the id of its CALL. The text of a frame without its secrets, and
 * the text of its transaction, are JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ensure.h"
#include "ocpp/dialect.h"
#include "ocpp/ocppj.h"
#include "ocpp/schema.h"
#include "ocpp/secrets.h"
#include "ocpp/transaction.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKENS 2000

static struct json_token tokens[TOKENS], other_tokens[TOKENS];

static void
check_span(struct ocppj_span s, const char *text, size_t size)
{
    ensure(s.p == NULL ||
        (s.p >= text && s.len <= size && (size_t)(s.p - text) <= size - s.len));
}

/* A word must be in the text, or, if it has escapes, in the frame without them.
 */
static void
check_word(const struct ocppj_frame *f, struct ocppj_span s, const char *text,
    size_t size)
{
    if (s.p != f->word_text)
        check_span(s, text, size);
    else
        ensure(s.len <= sizeof f->word_text);
}

/* The id that an answer repeats must be valid JSON, and bounded. */
static void
check_id(const struct ocppj_frame *f, const char *text, size_t size)
{
    struct json tape = JSON_INIT(other_tokens, TOKENS);

    if (f->id_raw.p == NULL)
        return;
    if (f->id_raw.p != f->id_text)
        check_span(f->id_raw, text, size);
    ensure(f->id_raw.len <=
        (f->verdict == OCPPJ_LONG_ID ? OCPPJ_ID_ECHO_MAX : OCPPJ_ID_JSON_MAX));
    ensure(json_scan(&tape, f->id_raw.p, f->id_raw.len));
    ensure((tape.deviations & ~DEVIATION_BIT(nul_escape)) == 0);
}

static void
check_frame(const struct ocppj_frame *f, const char *text, size_t size)
{
    check_word(f, f->action, text, size);
    check_span(f->payload, text, size);
    check_word(f, f->code_word, text, size);
    check_id(f, text, size);
    ensure(f->id_len <= OCPPJ_ID_BYTES && f->id[f->id_len] == '\0');
    ensure((f->why == NULL) == (f->verdict == OCPPJ_GOOD));
    ensure(f->verdict == OCPPJ_UNKNOWN_TYPE || f->verdict == OCPPJ_UNPARSABLE ||
        (f->id_raw.p != NULL) ==
            (f->verdict == OCPPJ_GOOD || f->verdict == OCPPJ_LONG_ID ||
                f->verdict == OCPPJ_MALFORMED));
}

static void
check_verdict(const struct schema_verdict *v)
{
    ensure(memchr(v->path, '\0', sizeof v->path) != NULL);
    ensure(memchr(v->text, '\0', sizeof v->text) != NULL);
    ensure(v->ok == (v->text[0] == '\0'));
    ensure(v->ok == (v->code == OCPPJ_ERRORS));
    for (const char *p = v->text; *p != '\0'; p++)
        ensure(*p >= 0x20 && *p < 0x7f);
}

static void
check_payload(const struct schema_message *m, enum schema_part part,
    const struct json *tape, uint32_t tok)
{
    struct schema_verdict strict, lenient;

    schema_check(m, part, tape, tok, OCPPJ_STRICT, &strict);
    schema_check(m, part, tape, tok, OCPPJ_LENIENT, &lenient);
    check_verdict(&strict);
    check_verdict(&lenient);
    ensure(strict.deviations == 0);
    /* Lenient validation finds no deviation exactly if strict validation
     * accepts the frame. */
    ensure(strict.ok == (lenient.ok && lenient.deviations == 0));
}

/* An answer can be parsed, and belongs to the same CALL. */
static void
check_answer(const struct ocppj_frame *f)
{
    struct json        tape = JSON_INIT(other_tokens, TOKENS);
    struct ocppj_frame back;
    struct buf         out = BUF_INIT(8 * 1024 * 1024);

    ocppj_put_result(&out, f->id_raw, f->payload.p, f->payload.len);
    ensure(ocppj_cut(&back, &tape, out.p, out.len, OCPPJ_LENIENT,
               OCPPJ_CALLERROR) == OCPPJ_GOOD);
    /* A number as id is written in its normal form. */
    ensure(back.type == OCPPJ_CALLRESULT);
    ensure(f->id_raw.p[0] != '"' ||
        (back.id_len == f->id_len && memcmp(back.id, f->id, f->id_len) == 0));
    buf_clear(&out);
    ocppj_put_error(&out, OCPPJ_SPELLING_16, f->id_raw, OCPPJ_GENERIC_ERROR,
        f->id, NULL, 0);
    ensure(ocppj_cut(&back, &tape, out.p, out.len, OCPPJ_LENIENT,
               OCPPJ_CALLERROR) == OCPPJ_GOOD);
    ensure(back.type == OCPPJ_CALLERROR);
    buf_free(&out);
}

static void
ensure_json(const struct buf *out)
{
    struct json tape = JSON_INIT(other_tokens, TOKENS);

    ensure(out->overflow || json_scan(&tape, out->p, out->len) ||
        tape.error == JSON_TOO_MANY_TOKENS);
}

static void
check_written(const struct json *tape, uint32_t payload)
{
    struct buf out = BUF_INIT(8 * 1024 * 1024);

    secrets_put(tape, payload, &out);
    ensure_json(&out);
    for (int kind = EVENT_tx_started; kind <= EVENT_tx_stopped; kind++) {
        struct writer w = WRITER_INIT(&out);
        buf_clear(&out);
        writer_open(&w, NULL, '{');
        transaction_put(&w, (enum event_kind)kind, tape, payload, "{}", 2, "x");
        transaction_put_remote(&w, tape, payload);
        writer_close(&w);
        ensure_json(&out);
        transaction_remote_of_message((enum event_kind)kind, tape, payload);
        transaction_id_hash((enum event_kind)kind, tape, payload, "{}", 2);
    }
    buf_free(&out);
}

/* If a frame, which may be invalid JSON, is cut for the log, only the mark of
 * the cut can make it longer. */
static void
check_shown(const char *text, size_t size)
{
    struct buf out = BUF_INIT(8 * 1024 * 1024);

    secrets_put_frame(&out, text, size, 512);
    buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json        tape = JSON_INIT(tokens, TOKENS);
    struct ocppj_frame strict, f;
    char              *text = malloc(size + !size);

    ensure(text != NULL);
    memcpy(text, data, size);
    const struct dialect *d = &dialects[size % DIALECTS];
    ocppj_cut(&strict, &tape, text, size, OCPPJ_STRICT, d->last_type);
    check_frame(&strict, text, size);
    ocppj_cut(&f, &tape, text, size, OCPPJ_LENIENT, d->last_type);
    check_frame(&f, text, size);
    ensure(strict.verdict != OCPPJ_GOOD || f.verdict == OCPPJ_GOOD);
    check_shown(text, size);
    if (f.verdict == OCPPJ_GOOD && f.payload_tok != 0)
        check_written(&tape, f.payload_tok);
    if (f.verdict == OCPPJ_GOOD && f.type != OCPPJ_CALLERROR &&
        f.type != OCPPJ_CALLRESULTERROR) {
        const struct schema_message *m = NULL;
        check_answer(&f);
        if (f.action.p != NULL)
            m = schema_find(d->schema, f.action.p, f.action.len);
        if (m != NULL) {
            check_payload(m, SCHEMA_REQUEST, &tape, f.payload_tok);
        } else {
            /* The result of a CALL that the input chooses. */
            m = &d->schema->messages[f.id_len % d->schema->count];
            check_payload(m, SCHEMA_RESPONSE, &tape, f.payload_tok);
        }
    }
    free(text);
    return 0;
}
