/*
 * jsonspan: where the values of a JSON text lie, without copying any.
 *
 * The journal and the ledger hold payloads byte for byte, and are compared
 * byte for byte: so they are cut here, never parsed and printed. The cutter
 * handles strings, brackets and commas; its callers check numbers. Pure.
 */
#ifndef SIM_JSONSPAN_H
#define SIM_JSONSPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const char *p;
    size_t      n;
};

/* A walk over the members of one object or the elements of one array. */
struct jsonspan {
    const char *p, *end;
    char        brace; /* '{' or '[' */
    bool        first;
    bool        bad; /* the text is broken; the walk ended early */
};

/* False if the text (blanks aside) does not begin with the brace. */
bool jsonspan_begin(struct jsonspan *j, struct span text, char brace);
/* The next value; key is set in an object (without its quotes, escapes as
 * they stand) and may be NULL for arrays. False at the end, or when bad. */
bool jsonspan_next(struct jsonspan *j, struct span *key, struct span *value);
/* After the last value: nothing but blanks may follow the closing brace. */
bool jsonspan_ended(const struct jsonspan *j);

/* The value of one member; false if it is not there. */
bool jsonspan_member(struct span object, const char *key, struct span *value);
/* The inside of a string value; false if the value is no string. */
bool jsonspan_string(struct span value, struct span *inside);
bool jsonspan_int(struct span value, int64_t *number);
bool span_is(struct span s, const char *text);

/* [type,"id",...]: the frame of OCPP-J cut in its parts. */
struct jsonspan_frame {
    int         type;    /* 2, 3, 4 or whatever stood there */
    struct span id;      /* inside of the string */
    struct span rest[3]; /* what follows: action, payload ... */
    unsigned    count;   /* of rest */
};

bool jsonspan_frame(struct jsonspan_frame *f, const char *p, size_t n);

#endif
