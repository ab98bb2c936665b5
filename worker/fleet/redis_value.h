/*
 * redis_value: an answer of Redis, or a part of one.
 *
 * It is a reply of hiredis under another name, so that no other file needs the
 * header of hiredis. It is valid only during the callback that gets it.
 */
#ifndef WORKER_FLEET_REDIS_VALUE_H
#define WORKER_FLEET_REDIS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_value;

/* The text of an error; NULL if v is not an error. */
const char *redis_error(const struct redis_value *v);
/* The bytes of a string; "" and 0 if v is not a string. They may contain NUL,
 * and a NUL follows them. */
const char *redis_text(const struct redis_value *v, size_t *len);
/* True if v is a string with exactly this text. */
bool redis_is(const struct redis_value *v, const char *text);
/* An integer, or a string of digits; 0 for a value that is not there. False,
 * and *out is 0, if it is not a number from 0 to max: then it is counted, and
 * one a minute is logged. */
bool redis_number(const struct redis_value *v, uint64_t max, uint64_t *out);
/* The same, and 0 if it is none. */
uint64_t redis_u64(const struct redis_value *v, uint64_t max);
/* The elements of an array; else 0. */
size_t redis_count(const struct redis_value *v);
/* Element i; an empty value if v is not an array or has fewer elements. */
const struct redis_value *redis_at(const struct redis_value *v, size_t i);

#endif
