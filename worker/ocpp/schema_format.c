/* schema_format: the forms of scalars. See schema_format.h. */
#include "ocpp/schema_format.h"

#include <string.h>

#include "ocpp/json_char.h"

static bool
is_digit(uchar c)
{
    return (uchar)(c - '0') < 10;
}

static bool
is_alpha(uchar c)
{
    return (uchar)((c | 0x20) - 'a') < 26;
}

/* Two digits, or -1. */
static int
two(const uchar *p)
{
    return is_digit(p[0]) && is_digit(p[1]) ? (p[0] - '0') * 10 + (p[1] - '0')
                                            : -1;
}

static int
days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
        return 29;
    return days[month - 1];
}

/* "2026-01-31T12:34:56": the fixed part. */
#define FIXED 19

static enum schema_time
datetime(const uchar *p, const uchar *end)
{
    if (end - p < FIXED || p[4] != '-' || p[7] != '-' ||
        (p[10] | 0x20) != 't' || p[13] != ':' || p[16] != ':')
        return SCHEMA_TIME_BAD;
    int century = two(p), year = two(p + 2), month = two(p + 5);
    int day = two(p + 8), hour = two(p + 11), minute = two(p + 14);
    int second = two(p + 17);
    if (century < 0 || year < 0 || month < 1 || month > 12 || day < 1 ||
        day > days_of(century * 100 + year, month) || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60)
        return SCHEMA_TIME_BAD;
    p += FIXED;
    if (p < end && *p == '.') {
        p++;
        if (skip_digits(&p, end) == 0)
            return SCHEMA_TIME_BAD;
    }
    if (p == end)
        return SCHEMA_TIME_NO_ZONE;
    if ((*p | 0x20) == 'z')
        return p + 1 == end ? SCHEMA_TIME_GOOD : SCHEMA_TIME_BAD;
    if ((*p != '+' && *p != '-') || end - p != 6 || p[3] != ':')
        return SCHEMA_TIME_BAD;
    hour = two(p + 1);
    minute = two(p + 4);
    return hour >= 0 && hour < 24 && minute >= 0 && minute < 60
        ? SCHEMA_TIME_GOOD
        : SCHEMA_TIME_BAD;
}

/* The longest value with escapes that is read as a time or a number. */
#define PLAIN 128

/* The value of a string: its text, or the decoded text in `plain` if it has
 * escapes. NULL if `plain` is too small. */
static const char *
value_of(const struct json *j, uint32_t tok, char plain[PLAIN], size_t *len)
{
    const struct json_token *t = &j->tok[tok];
    bool                     full;

    *len = t->end - t->start;
    if ((t->flags & JSON_ESCAPED) == 0)
        return j->text + t->start;
    *len = json_string(j, tok, plain, PLAIN, &full);
    return full ? plain : NULL;
}

enum schema_time
schema_datetime(const struct json *j, uint32_t tok)
{
    char        plain[PLAIN];
    size_t      len;
    const char *p = value_of(j, tok, plain, &len);

    return p == NULL ? SCHEMA_TIME_BAD
                     : datetime((const uchar *)p, (const uchar *)p + len);
}

bool
schema_uri(const struct json *j, uint32_t tok)
{
    struct bytes b = bytes_of(j, &j->tok[tok]);
    int          c = next_byte(&b);

    if (c < 0 || !is_alpha((uchar)c))
        return false;
    while ((c = next_byte(&b)) != ':')
        if (c < 0 ||
            (!is_alpha((uchar)c) && !is_digit((uchar)c) &&
                (c == 0 || strchr("+-.", c) == NULL)))
            return false;
    while ((c = next_byte(&b)) >= 0) {
        if (c == '%') {
            uchar hex[4] = {'0', '0'};
            for (int i = 2; i < 4; i++) {
                if ((c = next_byte(&b)) < 0)
                    return false;
                hex[i] = (uchar)c;
            }
            if (hex4(hex) > 0xff)
                return false;
        } else if (!is_alpha((uchar)c) && !is_digit((uchar)c) &&
            (c == 0 || strchr("-._~:/?#[]@!$&'()*+,;=", c) == NULL)) {
            return false;
        }
    }
    return true;
}

bool
schema_decimals(const struct json *j, uint32_t tok, unsigned decimals)
{
    const uchar *p = (const uchar *)j->text + j->tok[tok].start;
    const uchar *end = (const uchar *)j->text + j->tok[tok].end;
    int64_t      lowest = 0; /* place of the last digit that is not zero */
    int64_t      place = 0;  /* digits after the point so far, negative */
    int64_t      power = 0;
    bool         point = false, any = false, minus = false;

    for (; p < end && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            point = true;
        } else if (is_digit(*p)) {
            place -= point;
            if (*p != '0') {
                any = true;
                lowest = place;
            } else if (!point) {
                lowest++; /* a later digit that is not zero sets it again */
            }
        }
    }
    if (!any)
        return true;
    if (p < end) {
        minus = *++p == '-';
        for (p += minus || *p == '+'; p < end; p++)
            if (power < UINT32_MAX)
                power = power * 10 + (*p - '0');
    }
    return lowest + (minus ? -power : power) >= -(int64_t)decimals;
}

/* Reads an optional sign, digits with at most one point, and an optional
   exponent. */
static bool
is_decimal(const uchar *p, const uchar *end)
{
    size_t n;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    n = skip_digits(&p, end);
    if (p < end && *p == '.') {
        p++;
        n += skip_digits(&p, end);
    }
    if (n == 0)
        return false;
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        if (skip_digits(&p, end) == 0)
            return false;
    }
    return p == end;
}

bool
schema_numeric(const struct json *j, uint32_t tok, double *value)
{
    char        plain[PLAIN];
    size_t      len;
    const char *p = value_of(j, tok, plain, &len), *end;

    if (p == NULL)
        return false;
    end = p + len;
    while (p < end && *p == ' ')
        p++;
    while (p < end && end[-1] == ' ')
        end--;
    if (!is_decimal((const uchar *)p, (const uchar *)end))
        return false;
    if (value != NULL)
        *value = json_decimal(p, end);
    return true;
}
