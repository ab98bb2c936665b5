/* since: reads a time such as 90s or 2026-01-31. See since.h. */
#include "since.h"

#include <string.h>

#include "clock.h"
#include "number.h"

/* Reads "90s", "1h30m", "2d" as milliseconds; false if the text has another
 * form. */
static bool
parse_ago(const char *text, uint64_t *ms)
{
    uint64_t sum = 0;

    for (const char *p = text; *p != '\0';) {
        const char *end = p + number_digits(p);
        uint64_t    n, unit;
        if (!number_u64(p, (size_t)(end - p), UINT64_MAX, &n))
            return false;
        switch (*end) {
        case 's':
            unit = 1000;
            break;
        case 'm':
            unit = 60000;
            break;
        case 'h':
            unit = 3600000;
            break;
        case 'd':
            unit = 86400000;
            break;
        default:
            return false;
        }
        if (n > UINT64_MAX / 2 / unit - sum / unit)
            return false;
        sum += n * unit;
        p = end + 1;
    }
    *ms = sum;
    return text[0] != '\0';
}

bool
since_parse(const char *text, uint64_t *wall_ms)
{
    uint64_t ago, now = clock_wall_ms();

    if (clock_parse_rfc3339(text, strlen(text), wall_ms))
        return true;
    if (!parse_ago(text, &ago))
        return false;
    *wall_ms = ago < now ? now - ago : 1;
    return true;
}
