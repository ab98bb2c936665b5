/*
 * schema_format: the forms a scalar of a message may have to have.
 *
 * Each function checks the value of one token.
 */
#ifndef WORKER_OCPP_SCHEMA_FORMAT_H
#define WORKER_OCPP_SCHEMA_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "ocpp/json.h"

enum schema_time {
    SCHEMA_TIME_GOOD,
    SCHEMA_TIME_NO_ZONE, /* valid, but without a time zone */
    SCHEMA_TIME_BAD,
};

/* Checks a date-time of RFC 3339 section 5.6, including that the day exists. A
 * leap second is accepted at the end of any minute. */
enum schema_time schema_datetime(const struct json *j, uint32_t tok);

/* True if the string is a scheme, a colon, and only characters that RFC 3986
   allows. */
bool schema_uri(const struct json *j, uint32_t tok);

/* True if the number is a multiple of 10^-decimals. Exact: it is decided by the
   text. */
bool schema_decimals(const struct json *j, uint32_t tok, unsigned decimals);

/* True if the string is a decimal number, optionally with blanks around it.
 * *value, if not NULL, is set to the number. */
bool schema_numeric(const struct json *j, uint32_t tok, double *value);

#endif
