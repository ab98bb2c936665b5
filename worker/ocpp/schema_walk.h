/*
 * schema_walk: the position in a payload that is checked, and what is wrong
 * there. Private to schema*.c.
 */
#ifndef WORKER_OCPP_SCHEMA_WALK_H
#define WORKER_OCPP_SCHEMA_WALK_H

#include "ocpp/schema.h"

/* The position in the payload: each level is on the C stack of its check. */
struct schema_place {
    const struct schema_place *up;    /* NULL: the payload itself */
    const char                *name;  /* NULL: an element of an array */
    uint32_t                   len;   /* bytes of name */
    uint32_t                   index; /* index of the element */
};

struct schema_walk {
    const struct json     *tape;
    struct schema_verdict *out;
    bool                   strict;
    /* Lenient mode, transaction message: nothing in it is refused, since a
     * charge point repeats a refused message, and finally drops it. */
    bool     forgiving;
    uint16_t flags; /* flags of the message */
};

/* Refuses the payload, with the text "PATH: words". Always returns false. */
bool schema_refuse(struct schema_walk *c, const struct schema_place *at,
    enum ocppj_error code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), cold));

/* Lenient: notes the deviation and returns true. Strict: refuses with the code
 * and "PATH: found X, expected `right`", and returns false. */
bool schema_deviate(struct schema_walk *c, const struct schema_place *at,
    uint32_t tok, uint64_t bit, enum ocppj_error code, const char *right)
    __attribute__((cold));

/* The same for a value of another type than that of the field. */
bool schema_wrong_type(struct schema_walk *c, const struct schema_place *at,
    const struct schema_field *f, uint32_t tok, uint64_t bit)
    __attribute__((cold));

#endif
