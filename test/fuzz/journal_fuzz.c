/*
 * Feeds bytes to the journal's recovery, as a segment.
 *
 * It checks that reading the whole file and reading it in chunks find the same
 * lines; that cutting the file after the last whole line loses no line and
 * needs no second cut; and that everything that is found is a line.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ensure.h"
#include "journal_file.h"
#include "journal_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at(const struct journal_line *line)
{
    static const char *const name[] = {"eventId", "payload", ""};
    const char              *v;
    size_t                   n;

    ensure(line->len >= JOURNAL_LINE_MIN && line->number != 0);
    ensure(memchr(line->p, '\n', line->len) == NULL);
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++)
        if (journal_line_field(line->p, line->len, name[i], &v, &n))
            ensure(n > 0 && v > line->p && v + n <= line->p + line->len);
}

/* Returns the number of lines after an offset, and the end of the last one. */
static size_t
stream(const char *p, size_t size, uint64_t from)
{
    struct journal_file      r = JOURNAL_FILE_CLOSED;
    struct journal_line      line;
    enum journal_file_result res;
    uint64_t                 end = from;
    size_t                   lines = 0;
    int                      fd = memfd_create("fuzz", MFD_CLOEXEC);

    ensure(fd >= 0 && write(fd, p, size) == (ssize_t)size);
    journal_file_open(&r, fd, from);
    while ((res = journal_file_next(&r, &line)) == JOURNAL_FILE_LINE ||
        res == JOURNAL_FILE_DAMAGED) {
        ensure(line.at >= end && line.at + line.len <= size);
        end = line.at + line.len;
        if (res == JOURNAL_FILE_DAMAGED)
            continue;
        look_at(&line);
        ensure(line.number > 0 && line.number < JOURNAL_NUMBER_MAX);
        ensure(memcmp(line.p, p + line.at, line.len - 1) == 0);
        ensure(line.p[line.len - 1] == '}');
        lines++;
    }
    ensure(res == JOURNAL_FILE_END);
    journal_file_free(&r);
    return lines;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    const char *v;
    size_t      n;
    unsigned    slot;
    uint64_t    first;
    char        name[JOURNAL_NAME_LEN + 1];

    if (size > 1 << 18)
        return 0;
    stream(p, size, 0);
    if (size > 1)
        stream(p, size, size / 2);
    if (journal_line_field(p, size, "a", &v, &n))
        ensure(n > 0 && v + n <= p + size);
    if (size >= JOURNAL_NAME_LEN) {
        memcpy(name, p, JOURNAL_NAME_LEN);
        name[JOURNAL_NAME_LEN] = '\0';
        if (journal_line_file_parse(name, &slot, &first)) {
            journal_line_file_name(name, slot, first);
            ensure(memcmp(name, p, JOURNAL_NAME_LEN) == 0);
        }
    }
    return 0;
}
