/* ocppj: cuts OCPP-J frames into parts, and builds frames. See ocppj.h. */
#include "ocpp/ocppj.h"

#include <limits.h>
#include <string.h>

#include "ensure.h"
#include "writer.h"

#define DESCRIPTION_MAX 255 /* characters of errorDescription, see ocppj.h */

static const char *const error_words[OCPPJ_ERRORS][2] = {
#define CALL_ERROR(WORD, v16, v2x) {v16, v2x},
#include "call_error.def"
#undef CALL_ERROR
};

const char *
ocppj_error_word(enum ocppj_error e, enum ocppj_spelling s)
{
    ensure(e < OCPPJ_ERRORS);
    return error_words[e][s == OCPPJ_SPELLING_2X];
}

enum ocppj_error
ocppj_error_find(const char *word, size_t len)
{
    for (unsigned e = 0; e < OCPPJ_ERRORS; e++)
        for (int d = 0; d < 2; d++) {
            const char *w = error_words[e][d];
            if (strlen(w) == len && memcmp(w, word, len) == 0)
                return (enum ocppj_error)e;
        }
    return OCPPJ_ERRORS;
}

/*
 * Cutting
 */

static struct ocppj_span
raw(const struct json *tape, uint32_t i)
{
    struct ocppj_span s;

    s.p = json_raw(tape, i, &s.len);
    return s;
}

/* The text of a string, without its quotes. */
static struct ocppj_span
inner(const struct json *tape, uint32_t i)
{
    const struct json_token *t = &tape->tok[i];

    return (struct ocppj_span){tape->text + t->start, t->end - t->start};
}

static enum ocppj_verdict
refuse(struct ocppj_frame *f, enum ocppj_verdict v, const char *why)
{
    f->why = why;
    return f->verdict = v;
}

/* Deviations that make a string or number invalid JSON, or that some readers of
 * JSON do not accept. */
#define BAD_ID                                                                 \
    (DEVIATION_BIT(leading_zero) | DEVIATION_BIT(loose_number) |               \
        DEVIATION_BIT(control_char) | DEVIATION_BIT(bad_utf8) |                \
        DEVIATION_BIT(lone_surrogate) | DEVIATION_BIT(nul_byte))

/* Writes the value of an id, quoted, into id_text if it fits. */
static void
quote_id(struct ocppj_frame *f)
{
    static const char hex[] = "0123456789abcdef";
    char             *out = f->id_text;

    *out++ = '"';
    for (uint32_t i = 0; i < f->id_len; i++) {
        unsigned char c = (unsigned char)f->id[i];
        if (c < 0x20) {
            /* NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
            memcpy(out, "\\u00", 4);
            out[4] = hex[c >> 4];
            out[5] = hex[c & 15];
            out += 6;
            continue;
        }
        if (c == '"' || c == '\\')
            *out++ = '\\';
        *out++ = (char)c;
    }
    *out++ = '"';
    f->id_raw = (struct ocppj_span){f->id_text, (size_t)(out - f->id_text)};
}

/* Writes an id that is a number into id_text as valid JSON: without plus sign
 * and leading zeros, and with a digit on both sides of a point. */
static void
mend_number(struct ocppj_frame *f)
{
    const char *p = f->id;
    char       *out = f->id_text;

    if (*p == '-')
        *out++ = *p;
    p += *p == '-' || *p == '+';
    while (*p == '0' && p[1] >= '0' && p[1] <= '9')
        p++;
    if (*p == '.')
        *out++ = '0';
    for (; *p != '\0'; p++) {
        *out++ = *p;
        if (*p == '.' && (p[1] < '0' || p[1] > '9'))
            *out++ = '0';
    }
    f->id_raw = (struct ocppj_span){f->id_text, (size_t)(out - f->id_text)};
}

/* Reads the id at tok i, whose length was checked. */
static void
take_id(struct ocppj_frame *f, const struct json *tape, uint32_t i)
{
    const struct json_token *t = &tape->tok[i];
    size_t                   len = t->end - t->start;
    bool                     bad = (tape->deviations & BAD_ID) != 0;

    if (t->type == JSON_STRING && (t->count != len || t->flags != 0 || bad)) {
        f->id_len = (uint32_t)json_string(tape, i, f->id, OCPPJ_ID_BYTES, NULL);
    } else {
        memcpy(f->id, tape->text + t->start, len);
        f->id_len = (uint32_t)len;
    }
    f->id[f->id_len] = '\0';
    if (t->type == JSON_STRING && (bad || f->id_raw.len > OCPPJ_ID_JSON_MAX))
        quote_id(f);
    else if (bad)
        mend_number(f);
}

/* The value of a word. Most words have no escapes and need no copy. */
static struct ocppj_span
word(struct ocppj_frame *f, const struct json *tape, uint32_t i)
{
    bool full;

    if ((tape->tok[i].flags & JSON_ESCAPED) == 0)
        return inner(tape, i);
    size_t n = json_string(tape, i, f->word_text, sizeof f->word_text, &full);
    return full ? (struct ocppj_span){f->word_text, n} : inner(tape, i);
}

/* Reads a CALLERROR from its third element, at index i. A CALLERROR cannot be
 * refused, since it gets no answer. So lenient mode accepts every CALLERROR
 * with a code. */
static enum ocppj_verdict
cut_callerror(struct ocppj_frame *f, const struct json *tape, uint32_t i,
    enum ocppj_mode mode)
{
    const struct json_token *tok = tape->tok;
    uint32_t                 n = tok[0].count;
    bool                     odd = n > 5;

    if (n < 3 || (n == 3 && mode == OCPPJ_STRICT))
        return refuse(f, OCPPJ_MALFORMED,
            "a CALLERROR has 5 elements: [4, id, code, "
            "description, details]");
    if (n < 5)
        f->deviations |= DEVIATION_BIT(short_callerror);
    if (tok[i].type == JSON_STRING) {
        f->code_word = word(f, tape, i);
        f->code = ocppj_error_find(f->code_word.p, f->code_word.len);
    } else {
        f->code_word = raw(tape, i);
        odd = true;
    }
    i = tok[i].next;
    if (n > 3) {
        f->description_tok = i;
        odd |= tok[i].type != JSON_STRING;
        i = tok[i].next;
    }
    if (n > 4) {
        f->details_tok = i;
        odd |= tok[i].type != JSON_OBJECT;
    }
    if (odd) {
        f->deviations |= DEVIATION_BIT(odd_callerror);
        if (mode == OCPPJ_STRICT)
            return refuse(f, OCPPJ_MALFORMED,
                deviation_sentence(DEVIATION_odd_callerror));
    }
    return f->verdict = OCPPJ_GOOD;
}

/* Reads a CALLRESULT from its third element, at index i. It cannot be refused
 * either, so lenient mode uses the object in its place, or the one at the end
 * if an action's name comes before it. */
static enum ocppj_verdict
cut_callresult(struct ocppj_frame *f, const struct json *tape, uint32_t i,
    enum ocppj_mode mode)
{
    uint32_t n = tape->tok[0].count;

    if (n > 3 && tape->tok[i].type != JSON_OBJECT)
        for (uint32_t k = 3; k < n; k++)
            i = tape->tok[i].next;
    if (n < 3 || (n != 3 && mode == OCPPJ_STRICT) ||
        (n != 3 && tape->tok[i].type != JSON_OBJECT))
        return refuse(f, OCPPJ_MALFORMED,
            "a CALLRESULT has 3 elements: "
            "[3, id, payload]");
    if (n > 3)
        f->deviations |= DEVIATION_BIT(odd_callresult);
    f->payload = raw(tape, i);
    f->payload_tok = i;
    return f->verdict = OCPPJ_GOOD;
}

/* Lenient: finds action and payload of a CALL whose id is too long or that has
 * further elements. */
static void
find_parts(struct ocppj_frame *f, const struct json *tape, enum deviation what)
{
    const struct json_token *tok = tape->tok;
    uint32_t                 i = tok[2].next;

    if (f->type != OCPPJ_CALL || tok[0].count < 4 ||
        tok[i].type != JSON_STRING || tok[tok[i].next].type != JSON_OBJECT)
        return;
    if (f->verdict == OCPPJ_LONG_ID) {
        size_t n = tok[2].end - tok[2].start;
        if (n > OCPPJ_ID_BYTES)
            n = OCPPJ_ID_BYTES;
        if (tok[2].type == JSON_STRING)
            n = json_string(tape, 2, f->id, OCPPJ_ID_BYTES, NULL);
        else
            memcpy(f->id, tape->text + tok[2].start, n);
        f->id_len = (uint32_t)n;
        f->id[n] = '\0';
    }
    f->action = word(f, tape, i);
    f->payload_tok = tok[i].next;
    f->payload = raw(tape, f->payload_tok);
    f->deviations |= UINT64_C(1) << what;
}

bool
ocppj_answerable(const char *text, size_t len)
{
    static const char mark[] = "\xef\xbb\xbf", before[] = " \t\r\n\"+0";
    size_t            i = len >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;

    while (i < len && memchr(before, text[i], 4) != NULL)
        i++;
    if (i == len || text[i] != '[')
        return true;
    do
        i++;
    while (i < len && memchr(before, text[i], sizeof before - 1) != NULL);
    return i == len || text[i] < '0' + OCPPJ_CALLRESULT ||
        text[i] > '0' + OCPPJ_SEND;
}

/* Reads the id at tok i; false if it is not readable. */
static bool
find_id(struct ocppj_frame *f, const struct json *tape, uint32_t i)
{
    const struct json_token *t = &tape->tok[i];

    if (tape->tok[0].count < 2 ||
        (t->type != JSON_STRING && t->type != JSON_NUMBER))
        return false;
    f->id_raw = raw(tape, i);
    bool is_long = t->type == JSON_STRING ? t->count > OCPPJ_ID_MAX
                                          : f->id_raw.len > OCPPJ_ID_MAX;
    if (!is_long) {
        take_id(f, tape, i);
        return true;
    }
    if (f->id_raw.len > OCPPJ_ID_ECHO_MAX || (tape->deviations & BAD_ID) != 0) {
        f->id_raw = (struct ocppj_span){NULL, 0};
        return false;
    }
    f->verdict = OCPPJ_LONG_ID;
    return true;
}

/* Reads a message type that is a string, or has a sign or a fraction of zeros:
   "3", +3, 3.0. */
static bool
read_odd_type(const struct json *tape, uint32_t i, int64_t *type)
{
    struct ocppj_span s = inner(tape, i);
    const char       *p = s.p, *end = s.p + s.len;

    if (tape->tok[i].type != JSON_STRING && tape->tok[i].type != JSON_NUMBER)
        return false;
    while (p < end && (*p == ' ' || *p == '+' || *p == '0'))
        p++;
    if (p == end || *p < '1' || *p > '9')
        return false;
    int64_t digit = *p++ - '0';
    if (p < end && *p == '.')
        do
            p++;
        while (p < end && *p == '0');
    while (p < end && *p == ' ')
        p++;
    if (p == end)
        *type = digit;
    return p == end;
}

bool
ocppj_is_answer_of(const char *text, size_t len, const char *id)
{
    const char *p = memchr(text, '[', len), *end = text + len;
    size_t      n = strlen(id);

    if (p == NULL || ocppj_answerable(text, len) ||
        (p = memchr(p, ',', (size_t)(end - p))) == NULL)
        return false;
    do
        p++;
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'));
    return (size_t)(end - p) >= n + 2 && *p == '"' &&
        memcmp(p + 1, id, n) == 0 && p[n + 1] == '"';
}

/* True if the frame is beyond a limit of the gateway only behind the id of a
 * CALL, which then gets an answer. The scan has stopped there, so the tape has
 * the first elements of the frame, but no end of them. */
static bool
is_call_beyond_limits(struct ocppj_frame *f, const struct json *tape)
{
    const struct json_token *tok = tape->tok;
    int64_t                  type = 0;

    if (tape->error != JSON_TOO_DEEP && tape->error != JSON_TOO_MANY_TOKENS)
        return false;
    if (tok[0].type != JSON_ARRAY || tok[0].count < 2 ||
        tok[1].type != JSON_NUMBER || !json_int64(tape, 1, &type) ||
        type != OCPPJ_CALL)
        return false;
    f->type = OCPPJ_CALL;
    return find_id(f, tape, 2) && f->verdict != OCPPJ_LONG_ID;
}

enum ocppj_verdict
ocppj_cut(struct ocppj_frame *f, struct json *tape, const char *text,
    size_t len, enum ocppj_mode mode, enum ocppj_type last)
{
    const struct json_token *tok = tape->tok;
    uint32_t                 i, n;
    int64_t                  type = 0;

    memset(f, 0, offsetof(struct ocppj_frame, id) + 1);
    memset(&f->action, 0, sizeof *f - offsetof(struct ocppj_frame, action));
    f->error = OCPPJ_FORMATION_VIOLATION;
    f->code = OCPPJ_ERRORS;
    if (!json_scan(tape, text, len))
        return refuse(f,
            is_call_beyond_limits(f, tape) ? OCPPJ_MALFORMED : OCPPJ_UNPARSABLE,
            json_error_text(tape->error));
    f->deviations = tape->deviations;
    if (tok[0].type != JSON_ARRAY)
        return refuse(f, OCPPJ_UNPARSABLE, "the frame is not an array");

    n = tok[0].count;
    bool number = n > 0 && tok[1].type == JSON_NUMBER;
    bool known = number && json_int64(tape, 1, &type);
    if (!known && n > 0 && mode == OCPPJ_LENIENT &&
        read_odd_type(tape, 1, &type)) {
        number = known = true;
        f->deviations |= DEVIATION_BIT(odd_type);
    }
    if (!number) {
        if (n > 0)
            find_id(f, tape, tok[1].next);
        return refuse(
            f, OCPPJ_UNPARSABLE, "the first element is not a message type");
    }
    if (!known || type < OCPPJ_CALL || type > (int)last) {
        f->type = type >= INT_MIN && type <= INT_MAX ? (int)type : 0;
        find_id(f, tape, 2);
        return refuse(f, OCPPJ_UNKNOWN_TYPE, "the message type is unknown");
    }
    f->type = (int)type;

    i = 2;
    if (!find_id(f, tape, i))
        return refuse(f, OCPPJ_NO_ID,
            "there is no message id that an answer could repeat");
    if (f->verdict == OCPPJ_LONG_ID) {
        if (mode == OCPPJ_LENIENT)
            find_parts(f, tape, DEVIATION_long_id);
        return refuse(
            f, OCPPJ_LONG_ID, "the message id is longer than 36 characters");
    }
    if (tok[i].type == JSON_NUMBER)
        f->deviations |= DEVIATION_BIT(number_id);
    i = tok[i].next;

    /* The name of the action is set even if the rest of the CALL is wrong. */
    if ((type == OCPPJ_CALL || type == OCPPJ_SEND) && n > 2 &&
        tok[i].type == JSON_STRING)
        f->action = word(f, tape, i);
    if (mode == OCPPJ_STRICT && f->deviations != 0)
        return refuse(f, OCPPJ_MALFORMED,
            deviation_sentence((enum deviation)__builtin_ctzll(f->deviations)));

    switch (type) {
    case OCPPJ_CALL:
    case OCPPJ_SEND:
        if (n != 4) {
            if (mode == OCPPJ_LENIENT)
                find_parts(f, tape, DEVIATION_long_call);
            return refuse(f, OCPPJ_MALFORMED,
                type == OCPPJ_CALL
                    ? "a CALL has 4 elements: [2, id, action, payload]"
                    : "a SEND has 4 elements: [6, id, action, payload]");
        }
        if (tok[i].type != JSON_STRING)
            return refuse(f, OCPPJ_MALFORMED, "the action is not a string");
        i = tok[i].next;
        break;
    case OCPPJ_CALLRESULT:
        return cut_callresult(f, tape, i, mode);
    default:
        return cut_callerror(f, tape, i, mode);
    }
    f->payload = raw(tape, i);
    f->payload_tok = i;
    return f->verdict = OCPPJ_GOOD;
}

/*
 * Building
 */

static void
put_json(struct buf *out, const char *p, size_t len)
{
    if (len > 0)
        buf_add(out, p, len);
    else
        buf_add(out, "{}", 2);
}

void
ocppj_put_call(struct buf *out, const char *id, size_t id_len,
    const char *action, const char *payload, size_t payload_len)
{
    buf_add(out, "[2,", 3);
    writer_quote(out, id, id_len);
    buf_addc(out, ',');
    writer_quote(out, action, strlen(action));
    buf_addc(out, ',');
    put_json(out, payload, payload_len);
    buf_addc(out, ']');
}

void
ocppj_put_result(struct buf *out, struct ocppj_span id_raw, const char *payload,
    size_t payload_len)
{
    buf_add(out, "[3,", 3);
    buf_add(out, id_raw.p, id_raw.len);
    buf_addc(out, ',');
    put_json(out, payload, payload_len);
    buf_addc(out, ']');
}

/* The number of bytes of the first max characters of s. */
static size_t
first_characters(const char *s, size_t max)
{
    size_t n = 0;

    for (; s[n] != '\0'; n++)
        if (((unsigned char)s[n] & 0xc0) != 0x80 && max-- == 0)
            break;
    return n;
}

static void
put_error(struct buf *out, char type, enum ocppj_spelling spelling,
    struct ocppj_span id_raw, enum ocppj_error e, const char *description,
    const char *details, size_t details_len)
{
    if (description == NULL)
        description = "";
    buf_addc(out, '[');
    buf_addc(out, type);
    buf_addc(out, ',');
    buf_add(out, id_raw.p, id_raw.len);
    buf_add(out, ",\"", 2);
    buf_adds(out, ocppj_error_word(e, spelling));
    buf_add(out, "\",", 2);
    writer_quote(
        out, description, first_characters(description, DESCRIPTION_MAX));
    buf_addc(out, ',');
    put_json(out, details, details_len);
    buf_addc(out, ']');
}

void
ocppj_put_error(struct buf *out, enum ocppj_spelling spelling,
    struct ocppj_span id_raw, enum ocppj_error e, const char *description,
    const char *details, size_t details_len)
{
    put_error(out, '4', spelling, id_raw, e, description, details, details_len);
}

void
ocppj_put_result_error(struct buf *out, enum ocppj_spelling spelling,
    struct ocppj_span id_raw, enum ocppj_error e, const char *description)
{
    put_error(out, '5', spelling, id_raw, e, description, NULL, 0);
}
