/*
 * number: whole numbers in decimal, from outside.
 *
 * The text must consist of exactly len digits, without sign (number_i64()
 * accepts one minus), blank or fraction. False if it does not, or if the number
 * is outside of the range; *out is then unchanged. Leading zeros are allowed.
 * Pure.
 */
#ifndef COMMON_NUMBER_H
#define COMMON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool number_u64(const char *text, size_t len, uint64_t max, uint64_t *out);
bool number_i64(
    const char *text, size_t len, int64_t min, int64_t max, int64_t *out);

/* How many digits a text begins with, so that it can be cut into numbers. */
size_t number_digits(const char *text);

#endif
