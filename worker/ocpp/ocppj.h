/*
 * ocppj: cuts OCPP-J frames into parts, and builds frames.
 *
 * A frame is [2,id,action,payload], [3,id,payload] or
 * [4,id,code,description,details] (OCPP-J 1.6 section 4); OCPP 2.1 has
 * [5,id,code,description,details] and [6,id,action,payload] besides. Cutting
 * gives a verdict on the form of the frame; schema.h checks the payload. The
 * payload is a span of the frame's text, so its bytes stay as they came. The id
 * that an answer repeats is always valid JSON.
 */
#ifndef WORKER_OCPP_OCPPJ_H
#define WORKER_OCPP_OCPPJ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "ocpp/json.h"

enum ocppj_mode {
    OCPPJ_LENIENT, /* harmless deviations are accepted, and reported */
    OCPPJ_STRICT,  /* a frame that violates the specification is refused */
};

/* How error codes are spelled: 1.6 has FormationViolation and
   OccurenceConstraintViolation, 2.x has FormatViolation and
   OccurrenceConstraintViolation. */
enum ocppj_spelling { OCPPJ_SPELLING_16, OCPPJ_SPELLING_2X };

enum ocppj_error {
#define CALL_ERROR(WORD, v16, v2x) OCPPJ_##WORD,
#include "call_error.def"
#undef CALL_ERROR
    OCPPJ_ERRORS, /* the number of codes; also means a code that is not in
                     the table */
};

/* The word of an error code in the spelling of a version (static text). */
const char *ocppj_error_word(enum ocppj_error e, enum ocppj_spelling s);
/* The error with this word in either spelling, case-sensitive; OCPPJ_ERRORS if
 * there is none. */
enum ocppj_error ocppj_error_find(const char *word, size_t len);

enum ocppj_type {
    OCPPJ_CALL = 2,
    OCPPJ_CALLRESULT = 3,
    OCPPJ_CALLERROR = 4,
    OCPPJ_CALLRESULTERROR = 5, /* a CALLRESULT could not be used (2.1) */
    OCPPJ_SEND = 6,            /* a CALL that is not answered (2.1) */
};

enum ocppj_verdict {
    OCPPJ_GOOD,
    OCPPJ_UNPARSABLE,   /* not a JSON array that begins with a number: count
                           it */
    OCPPJ_UNKNOWN_TYPE, /* a message type that the version does not have */
    OCPPJ_NO_ID,        /* no readable id, or one of more than OCPPJ_ID_ECHO_MAX
                           bytes: count it */
    OCPPJ_LONG_ID,      /* id over 36 characters (OCPP-J 1.6 section 4.1.4) */
    OCPPJ_MALFORMED,    /* it has an id, but wrong elements */
};
/* LONG_ID and MALFORMED: a CALL is answered with a CALLERROR of `error` and
 * `why`; anything else is counted. Whether the first three are answered
 * depends on the version (ocppj_answerable()). If lenient has found a payload
 * all the same, payload_tok is not 0: a CALL with a long id, or with further
 * elements, which may be taken as it is. */

#define OCPPJ_ID_MAX 36                   /* characters */
#define OCPPJ_ID_BYTES (4 * OCPPJ_ID_MAX) /* as UTF-8 */
#define OCPPJ_ID_JSON_MAX (6 * OCPPJ_ID_MAX + 2)
/* Bytes of the longest id that a CALLERROR repeats; a longer one counts as
 * unreadable. */
#define OCPPJ_ID_ECHO_MAX 1024
#define OCPPJ_WORD_MAX 64 /* bytes of an action or code with escapes */

struct ocppj_span {
    const char *p; /* into the frame's text; NULL if there is none */
    size_t      len;
};

struct ocppj_frame {
    enum ocppj_verdict verdict;
    enum ocppj_error   error; /* LONG_ID, MALFORMED: the code of the
                                 CALLERROR */
    const char *why;          /* not GOOD: one sentence, never freed */
    uint64_t    deviations;   /* lenient: deviations of the JSON and of the
                                 frame */

    /* From UNKNOWN_TYPE on (there 0 if it is not even a small integer). */
    int type; /* enum ocppj_type */

    /* LONG_ID, MALFORMED, GOOD; UNPARSABLE, UNKNOWN_TYPE: if it could be
     * read. */
    struct ocppj_span id_raw; /* the id as JSON, for the answer: its text in the
                               * frame, with quotes, if that is valid JSON of at
                               * most OCPPJ_ID_JSON_MAX bytes; otherwise its
                               * value, quoted, in id_text. LONG_ID: its text in
                               * the frame */
    uint32_t id_len;          /* bytes in id; 0 for LONG_ID without payload */
    char     id[OCPPJ_ID_BYTES + 1]; /* value of the id, NUL-terminated;
                                      * LONG_ID: its beginning */
    char id_text[OCPPJ_ID_JSON_MAX];
    char word_text[OCPPJ_WORD_MAX];

    /* GOOD. A part that the frame does not have is p == NULL. */
    struct ocppj_span action;  /* CALL, SEND: its value; MALFORMED: if it
                                * could be read */
    struct ocppj_span payload; /* CALL, SEND, CALLRESULT: "null" as it
                                * came */
    uint32_t payload_tok;      /* its index on the tape; never 0 if GOOD
                                * CALL, SEND or CALLRESULT */
    /* CALLERROR means CALLRESULTERROR too. */
    enum ocppj_error  code;      /* CALLERROR: OCPPJ_ERRORS if unknown */
    struct ocppj_span code_word; /* CALLERROR: the value of the code; its text
                                  * if it is not a string */
    uint32_t description_tok;    /* CALLERROR: on the tape; 0: none */
    uint32_t details_tok;
};

/* Cuts text[0..len) into *f, and scans it onto tape. Types above `last` are
 * unknown. The spans are valid while text, *f and tape are unchanged. Returns
 * f->verdict. */
enum ocppj_verdict ocppj_cut(struct ocppj_frame *f, struct json *tape,
    const char *text, size_t len, enum ocppj_mode mode, enum ocppj_type last);

/* For a frame that is UNPARSABLE, UNKNOWN_TYPE or NO_ID: true if it may be
 * answered with a CALLERROR. False if it begins like an answer or a SEND, also
 * with a byte order mark, a quote, a sign or zeros before the number, because
 * two sides that answer each other's broken answers would never stop. */
bool ocppj_answerable(const char *text, size_t len);

/* True if a frame that could not be read begins like an answer to the CALL with
 * this id, or like a SEND with that id: a message type, a comma, the id. */
bool ocppj_is_answer_of(const char *text, size_t len, const char *id);

/* The id of a CALLERROR that answers a frame without a readable id (OCPP 2.0.1
   Part 4 section 4.2.3). */
#define OCPPJ_UNREADABLE_ID ((struct ocppj_span){"\"-1\"", 4})

/*
 * Builders: each appends one frame to out, and fails only by overflow of out.
 */

/* id: the value, which is quoted here. payload: JSON, or empty for {}. */
void ocppj_put_call(struct buf *out, const char *id, size_t id_len,
    const char *action, const char *payload, size_t payload_len);
/* id_raw: ocppj_frame.id_raw. */
void ocppj_put_result(struct buf *out, struct ocppj_span id_raw,
    const char *payload, size_t payload_len);
/* A CALLERROR, or a CALLRESULTERROR. description is plain text, NULL for "". It
 * is cut at 255 characters, the limit of OCPP 2.0.1 Part 4 section 4.2.3; 1.6
 * has none. details is a JSON object, or empty for {}. */
void ocppj_put_error(struct buf *out, enum ocppj_spelling spelling,
    struct ocppj_span id_raw, enum ocppj_error e, const char *description,
    const char *details, size_t details_len);
void ocppj_put_result_error(struct buf *out, enum ocppj_spelling spelling,
    struct ocppj_span id_raw, enum ocppj_error e, const char *description);

#endif
