/*
 * clock: the two clocks, and the forms of time as text.
 *
 * Deadlines and durations use the monotonic clock; what people and events read
 * uses the wall clock. Neither is ever computed from the other.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_RFC3339_LEN 24 /* "2026-01-31T12:34:56.789Z" */
#define CLOCK_DURATION_LEN 32

/* The monotonic clock in ns and ms; the wall clock in us and ms since
 * 1970-01-01T00:00:00Z. */
uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);
uint64_t clock_wall_us(void); /* since 1970-01-01T00:00:00Z */
uint64_t clock_wall_ms(void);

/* Writes RFC 3339 in UTC with milliseconds and Z: CLOCK_RFC3339_LEN characters
 * and a NUL. */
void clock_rfc3339(char out[CLOCK_RFC3339_LEN + 1], uint64_t wall_ms);

/* Reads the date-time of RFC 3339 section 5.6, from 1970 on (fraction optional,
 * cut to milliseconds; Z or an offset required; a blank is accepted instead of
 * the T). The whole of s[0..len) must match. False leaves *wall_ms alone. */
bool clock_parse_rfc3339(const char *s, size_t len, uint64_t *wall_ms);

/* Writes a duration as /health prints it: "1h2m3s", "1m0s", "250ms", "0s". */
void clock_duration(char out[CLOCK_DURATION_LEN], uint64_t ms);

#endif
