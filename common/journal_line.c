/* journal_line: the form of the journal's files and lines. See journal_line.h.
 */
#include "journal_line.h"

#include "crc32c.h"
#include "json_members.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD "{\"eventId\":\""
#define HEAD_LEN (sizeof HEAD - 1)
#define DIGITS 16
#define CHECK ",\"crc32c\":\""
#define CHECK_DIGITS 8

_Static_assert(sizeof CHECK - 1 + CHECK_DIGITS + 2 == JOURNAL_CHECK_LEN, "");

/* Lower-case hex digits. */
static bool
parse_hex(const char *p, int digits, uint64_t *number)
{
    uint64_t n = 0;

    for (int i = 0; i < digits; i++) {
        unsigned d = (unsigned char)p[i];
        if (d >= '0' && d <= '9')
            d -= '0';
        else if (d >= 'a' && d <= 'f')
            d -= 'a' - 10;
        else
            return false;
        n = n << 4 | d;
    }
    *number = n;
    return true;
}

/* Reads the number of an event. False if it is 0 or too high. */
static bool
parse_number(const char *p, uint64_t *number)
{
    return parse_hex(p, DIGITS, number) && *number != 0 &&
        *number < JOURNAL_NUMBER_MAX;
}

static void
put_hex(char *p, int digits, uint64_t number)
{
    for (int i = digits - 1; i >= 0; i--, number >>= 4)
        p[i] = "0123456789abcdef"[number & 15];
}

void
journal_line_file_name(
    char out[JOURNAL_NAME_LEN + 1], unsigned slot, uint64_t first)
{
    snprintf(out, JOURNAL_NAME_LEN + 1, "w%03u-%016" PRIx64 ".jsonl",
        slot % JOURNAL_SLOTS, first);
}

bool
journal_line_file_parse(const char *name, unsigned *slot, uint64_t *first)
{
    if (strlen(name) != JOURNAL_NAME_LEN || name[0] != 'w' || name[4] != '-' ||
        strcmp(name + 5 + DIGITS, ".jsonl") != 0)
        return false;
    *slot = 0;
    for (int i = 1; i <= 3; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        *slot = *slot * 10 + (unsigned)(name[i] - '0');
    }
    return parse_number(name + 5, first);
}

void
journal_line_put_id(struct buf *out, uint64_t number, const char *node)
{
    char head[HEAD_LEN + DIGITS + 1];

    memcpy(head, HEAD, HEAD_LEN);
    put_hex(head + HEAD_LEN, DIGITS, number);
    head[HEAD_LEN + DIGITS] = '-';
    buf_add(out, head, sizeof head);
    buf_adds(out, node);
    buf_addc(out, '"');
}

void
journal_line_put_check(char out[JOURNAL_CHECK_LEN], const char *p, size_t len)
{
    memcpy(out, CHECK, sizeof CHECK - 1);
    put_hex(out + sizeof CHECK - 1, CHECK_DIGITS, crc32c(p, len));
    /* The line has a length and no NUL.
     * NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(out + sizeof CHECK - 1 + CHECK_DIGITS, "\"}", 2);
}

/* False if the line ends with a checksum that is wrong. */
static bool
right(struct journal_line *line)
{
    const char *check = line->p + line->len - JOURNAL_CHECK_LEN;
    uint64_t    sum;

    if (line->len < JOURNAL_LINE_MIN + JOURNAL_CHECK_LEN ||
        memcmp(check, CHECK, sizeof CHECK - 1) != 0)
        return true;
    line->checked = true;
    return parse_hex(check + sizeof CHECK - 1, CHECK_DIGITS, &sum) &&
        check[JOURNAL_CHECK_LEN - 2] == '"' &&
        sum == crc32c(line->p, line->len - JOURNAL_CHECK_LEN);
}

enum journal_line_piece
journal_line_next(const char *p, size_t len, struct journal_line *line)
{
    const char *end = len ? memchr(p, '\n', len) : NULL;

    if (end == NULL)
        return JOURNAL_LINE_PART;
    line->p = p;
    line->len = (size_t)(end - p);
    line->number = 0;
    line->checked = false;
    /* After a crash a file can contain NULs, because its length was written to
     * the disk before its content. */
    if (line->len < JOURNAL_LINE_MIN || line->len >= JOURNAL_LINE_MAX ||
        memcmp(p, HEAD, HEAD_LEN) != 0 || end[-1] != '}' ||
        p[HEAD_LEN + DIGITS] != '-' || memchr(p, '\0', line->len) != NULL ||
        !parse_number(p + HEAD_LEN, &line->number) || !right(line)) {
        line->number = 0;
        return JOURNAL_LINE_BAD;
    }
    return JOURNAL_LINE_WHOLE;
}

#define AFTER ",\"after\":\""

void
journal_line_put_after(char out[21], unsigned slot, uint64_t number)
{
    snprintf(out, 21, "%03u:%016" PRIx64, slot % JOURNAL_SLOTS, number);
}

bool
journal_line_after(
    const struct journal_line *line, unsigned *slot, uint64_t *number)
{
    const char *p = line->p + line->len - JOURNAL_AFTER_LEN;

    if (line->len < JOURNAL_LINE_MIN + JOURNAL_AFTER_LEN ||
        memcmp(p, AFTER, sizeof AFTER - 1) != 0 ||
        line->p[line->len - 2] != '"')
        return false;
    p += sizeof AFTER - 1;
    *slot = 0;
    for (int i = 0; i < 3; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        *slot = *slot * 10 + (unsigned)(p[i] - '0');
    }
    return p[3] == ':' && parse_number(p + 4, number);
}

bool
journal_line_field(const char *line, size_t len, const char *name,
    const char **value, size_t *value_len)
{
    struct json_member m;

    if (!json_members_find(line, len, name, &m))
        return false;
    *value = m.value;
    *value_len = m.value_len;
    return true;
}
