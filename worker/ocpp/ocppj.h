/*
 * ocppj: cuts OCPP-J frames into their parts, and puts them together.
 *
 * A frame is [2,id,action,payload], [3,id,payload] or
 * [4,id,code,description,details] (OCPP-J 1.6 section 4). Cutting says what
 * may be done with it; what the payload says is the business of schema.h.
 * All parts are spans of the frame's text: bytes in are bytes out.
 */
#ifndef WORKER_OCPP_OCPPJ_H
#define WORKER_OCPP_OCPPJ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "ocpp/json.h"

enum ocppj_mode {
    OCPPJ_LENIENT, /* harmless deviations pass, and are reported */
    OCPPJ_STRICT,  /* what the specification does not allow is refused */
};

/* How error codes are spelled. */
enum ocppj_spelling { OCPPJ_SPELLING_16, OCPPJ_SPELLING_2X };

enum ocppj_error {
#define OCPPJ_ERROR(WORD, v16, v2x) OCPPJ_##WORD,
#include "ocpp/ocppj_errors.def"
#undef OCPPJ_ERROR
    OCPPJ_ERRORS, /* how many; also: a code that is not in the table */
};

const char *ocppj_error_word(enum ocppj_error e, enum ocppj_spelling s);
/* In either spelling, case-sensitive; OCPPJ_ERRORS if unknown. */
enum ocppj_error ocppj_error_find(const char *word, size_t len);

enum ocppj_type { OCPPJ_CALL = 2, OCPPJ_CALLRESULT = 3, OCPPJ_CALLERROR = 4 };

enum ocppj_verdict {
    OCPPJ_GOOD,
    OCPPJ_UNPARSABLE,   /* no JSON array: no answer possible; count it */
    OCPPJ_UNKNOWN_TYPE, /* a message type we do not know: ignore (J 4.1.3) */
    OCPPJ_NO_ID,        /* no readable id: no answer possible; count it */
    OCPPJ_LONG_ID,      /* id over 36 characters (J 4.2.3) */
    OCPPJ_MALFORMED,    /* an id, but wrong elements */
};
/* LONG_ID and MALFORMED: a CALL is answered with a CALLERROR of `error` and
 * `why`; anything else is counted. */

#define OCPPJ_ID_MAX 36                   /* characters */
#define OCPPJ_ID_BYTES (4 * OCPPJ_ID_MAX) /* as UTF-8 */

struct ocppj_span {
    const char *p; /* into the frame's text; NULL if there is none */
    size_t      len;
};

struct ocppj_frame {
    enum ocppj_verdict verdict;
    enum ocppj_error   error;      /* LONG_ID, MALFORMED: what to answer */
    const char        *why;        /* not GOOD: one sentence, never freed */
    uint64_t           deviations; /* lenient: JSON's and the frame's */

    /* From UNKNOWN_TYPE on (there 0 if it is not even a small integer). */
    int type; /* enum ocppj_type */

    /* LONG_ID, MALFORMED, GOOD. */
    struct ocppj_span id_raw; /* as it stands in the frame, with quotes */
    uint32_t          id_len; /* bytes in id; 0 for LONG_ID */
    char              id[OCPPJ_ID_BYTES + 1]; /* value, NUL-terminated */

    /* GOOD. A part that the frame does not have is p == NULL. */
    struct ocppj_span action;      /* CALL: within its quotes, as it came;
                                    * MALFORMED: if it could be read */
    struct ocppj_span payload;     /* CALL, CALLRESULT: "null" as it came */
    uint32_t          payload_tok; /* its index on the tape; never 0 if GOOD
                                    * CALL or CALLRESULT */
    enum ocppj_error  code;        /* CALLERROR: OCPPJ_ERRORS if unknown */
    struct ocppj_span code_raw;    /* CALLERROR: within its quotes */
    struct ocppj_span description; /* CALLERROR: JSON value, with quotes */
    struct ocppj_span details;     /* CALLERROR: JSON value */
};

/* Cuts text[0..len) into *f, with tape as working memory. Spans and tape
 * stay good while the text does and the tape is not used again. The verdict
 * is also returned. */
enum ocppj_verdict ocppj_cut(struct ocppj_frame *f, struct json *tape,
    const char *text, size_t len, enum ocppj_mode mode);

/*
 * Builders: append one frame to out. They never fail but by overflow of out.
 */

/* id is a value and will be quoted; payload is JSON, or empty for {}. */
void ocppj_put_call(struct buf *out, const char *id, size_t id_len,
    const char *action, const char *payload, size_t payload_len);
/* id_raw is JSON as received. */
void ocppj_put_result(struct buf *out, struct ocppj_span id_raw,
    const char *payload, size_t payload_len);
/* description is plain text, cut at 255 characters (J 4.2.3); NULL for "".
 * details is a JSON object, or empty for {}. */
void ocppj_put_error(struct buf *out, enum ocppj_spelling spelling,
    struct ocppj_span id_raw, enum ocppj_error e, const char *description,
    const char *details, size_t details_len);

#endif
