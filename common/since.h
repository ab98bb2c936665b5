/* since: a time as people write it: RFC 3339, or how long ago. Pure except for
 * the clock. */
#ifndef COMMON_SINCE_H
#define COMMON_SINCE_H

#include <stdbool.h>
#include <stdint.h>

#define SINCE_FORM                                                             \
    "give a time like 2026-01-31T12:00:00Z, or how long ago, like 90s, 10m, "  \
    "1h30m, 2d"

/* Reads a time; *wall_ms is the wall clock. False if the text is not a time. */
bool since_parse(const char *text, uint64_t *wall_ms);

#endif
