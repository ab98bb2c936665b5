/*
 * jsonspan: finds the values of a JSON text, without copying them.
 *
 * The journal and the ledger contain payloads without any change, and are
 * compared byte by byte. Therefore texts are cut here, and never parsed and
 * printed. Strings, brackets and commas are parsed; the callers check numbers.
 * Pure.
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

/* A walk over the members of an object or the elements of an array. */
struct jsonspan {
    const char *p, *end;
    char        brace; /* '{' or '[' */
    bool        first;
    bool        bad; /* the text is broken, and the walk has ended early */
};

/* False if the first byte of the text, blanks aside, is not the brace. */
bool jsonspan_begin(struct jsonspan *j, struct span text, char brace);
/* Finds the next value. key is set in an object (without its quotes, with its
 * escapes), and may be NULL for arrays. False at the end, or if the text is
 * bad. */
bool jsonspan_next(struct jsonspan *j, struct span *key, struct span *value);
/* Called after the last value. True if only blanks follow the closing brace. */
bool jsonspan_ended(const struct jsonspan *j);

/* Finds the value of one member; false if there is none. */
bool jsonspan_member(struct span object, const char *key, struct span *value);
/* The inside of a string; false if the value is not a string. */
bool jsonspan_string(struct span value, struct span *inside);
bool jsonspan_int(struct span value, int64_t *number);
bool span_is(struct span s, const char *text);

/* A frame of OCPP-J, [type,"id",...], cut into its parts. */
struct jsonspan_frame {
    int         type;    /* 2, 3, 4 or any other number */
    struct span id;      /* inside of the string */
    struct span rest[3]; /* the elements after the id: action, payload ... */
    unsigned    count;   /* number of elements in rest */
};

bool jsonspan_frame(struct jsonspan_frame *f, const char *p, size_t n);

#endif
