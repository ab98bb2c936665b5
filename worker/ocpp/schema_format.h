/*
 * schema_format: the forms a scalar of a message may have to have.
 *
 * Each looks at the value of one token, as JSON text or as the string it
 * stands for.
 */
#ifndef WORKER_OCPP_SCHEMA_FORMAT_H
#define WORKER_OCPP_SCHEMA_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "ocpp/json.h"

enum schema_time {
    SCHEMA_TIME_GOOD,
    SCHEMA_TIME_NO_ZONE, /* as it should be, up to the zone */
    SCHEMA_TIME_BAD,
};

/* A date-time of RFC 3339 section 5.6; the day exists. A leap second may
 * stand at the end of any minute. */
enum schema_time schema_datetime(const struct json *j, uint32_t tok);

/* A scheme, a colon, and only characters that RFC 3986 allows. */
bool schema_uri(const struct json *j, uint32_t tok);

/* Is the number a multiple of 10^-decimals? Decided on its text, exactly. */
bool schema_decimals(const struct json *j, uint32_t tok, unsigned decimals);

/* Does the string hold a decimal number, and maybe blanks around it? *value,
 * if not NULL, becomes the number. */
bool schema_numeric(const struct json *j, uint32_t tok, double *value);

#endif
