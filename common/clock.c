/* clock: the two clocks, and how time is written. See clock.h. */
#include "clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The end of the year 9999. */
#define LAST_SECOND INT64_C(253402300799)

static uint64_t
read_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t
clock_mono_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t
clock_wall_us(void)
{
    return read_ns(CLOCK_REALTIME) / 1000u;
}

uint64_t
clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000u;
}

void
clock_rfc3339(char out[CLOCK_RFC3339_LEN + 1], uint64_t wall_ms)
{
    /* Cached, since the text of a second is needed for each message and changes
       once a second. */
    static _Thread_local time_t cached_sec = -1;
    static _Thread_local char   cached[21];
    time_t                      sec = (time_t)(wall_ms / 1000u);

    if (sec > LAST_SECOND)
        sec = LAST_SECOND;
    if (sec != cached_sec) {
        struct tm tm;
        gmtime_r(&sec, &tm);
        strftime(cached, sizeof cached, "%Y-%m-%dT%H:%M:%S.", &tm);
        cached_sec = sec;
    }
    unsigned ms = (unsigned)(wall_ms % 1000u);
    memcpy(out, cached, 20);
    out[20] = (char)('0' + ms / 100);
    out[21] = (char)('0' + ms / 10 % 10);
    out[22] = (char)('0' + ms % 10);
    out[23] = 'Z';
    out[24] = '\0';
}

/* Reads exactly n digits. */
static bool
digits(const char **p, const char *end, int n, int *value)
{
    int v = 0;

    if (end - *p < n)
        return false;
    for (int i = 0; i < n; i++) {
        char c = (*p)[i];
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (c - '0');
    }
    *p += n;
    *value = v;
    return true;
}

static bool
literal(const char **p, const char *end, char c)
{
    if (*p == end || **p != c)
        return false;
    (*p)++;
    return true;
}

bool
clock_parse_rfc3339(const char *s, size_t len, uint64_t *wall_ms)
{
    const char *p = s, *end = s + len;
    struct tm   tm = {0};
    int         year, month, ms = 0, oh = 0, om = 0, sign = 0;

    if (!digits(&p, end, 4, &year) || !literal(&p, end, '-') ||
        !digits(&p, end, 2, &month) || !literal(&p, end, '-') ||
        !digits(&p, end, 2, &tm.tm_mday) || p == end ||
        (*p != 'T' && *p != 't' && *p != ' '))
        return false;
    p++;
    if (!digits(&p, end, 2, &tm.tm_hour) || !literal(&p, end, ':') ||
        !digits(&p, end, 2, &tm.tm_min) || !literal(&p, end, ':') ||
        !digits(&p, end, 2, &tm.tm_sec))
        return false;
    if (p < end && *p == '.') {
        int scale = 100;
        if (++p == end || *p < '0' || *p > '9')
            return false;
        for (; p < end && *p >= '0' && *p <= '9'; p++, scale /= 10)
            ms += (*p - '0') * scale;
    }
    if (p == end)
        return false;
    if (*p == 'Z' || *p == 'z') {
        p++;
    } else {
        if (*p != '+' && *p != '-')
            return false;
        sign = *p++ == '-' ? -1 : 1;
        if (!digits(&p, end, 2, &oh) || !literal(&p, end, ':') ||
            !digits(&p, end, 2, &om))
            return false;
    }
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (p != end || year < 1970 || month < 1 || month > 12 || tm.tm_mday < 1 ||
        tm.tm_mday > days[month - 1] ||
        (month == 2 && tm.tm_mday == 29 && !leap) || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60 || oh > 23 || om > 59)
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    int64_t sec = (int64_t)timegm(&tm) - sign * (oh * 3600 + om * 60);
    if (sec < 0)
        return false;
    *wall_ms = (uint64_t)sec * 1000u + (uint64_t)ms;
    return true;
}

void
clock_duration(char out[CLOCK_DURATION_LEN], uint64_t ms)
{
    uint64_t s = ms / 1000u;

    if (ms > 0 && s == 0)
        snprintf(out, CLOCK_DURATION_LEN, "%" PRIu64 "ms", ms);
    else if (s < 60)
        snprintf(out, CLOCK_DURATION_LEN, "%" PRIu64 "s", s);
    else if (s < 3600)
        snprintf(out, CLOCK_DURATION_LEN, "%" PRIu64 "m%" PRIu64 "s", s / 60,
            s % 60);
    else
        snprintf(out, CLOCK_DURATION_LEN,
            "%" PRIu64 "h%" PRIu64 "m%" PRIu64 "s", s / 3600, s / 60 % 60,
            s % 60);
}
