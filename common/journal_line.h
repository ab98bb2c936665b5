/*
 * journal_line: the form of the journal's files and lines.
 *
 * A segment is a file of JSON lines, one event each, written by one worker:
 *
 *     wSSS-NNNNNNNNNNNNNNNN.jsonl
 *
 * SSS is the worker's slot (decimal), N the number of its first event (hex).
 * Names sort by slot, then by time. A line begins with
 *
 *     {"eventId":"NNNNNNNNNNNNNNNN-node",
 *
 * and ends with } and a line feed; it holds no other line feed and no NUL.
 * Numbers grow strictly within a slot. A crash may leave the end of a
 * segment torn, a failing disk also a repetition: a reader skips what is no
 * whole line, and numbers it has had from that slot.
 *
 * All of this is pure: bytes in, answers out; no memory is kept.
 */
#ifndef COMMON_JOURNAL_LINE_H
#define COMMON_JOURNAL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define JOURNAL_DIR "journal"       /* below server.state_dir */
#define JOURNAL_SLOTS 1000u         /* three digits */
#define JOURNAL_NAME_LEN 27         /* without NUL */
#define JOURNAL_LINE_MAX (1u << 20) /* bytes of a line, line feed included */
#define JOURNAL_LINE_MIN 32 /* {"eventId":"16 digits-n"}, no line feed */

void journal_line_file_name(
    char out[JOURNAL_NAME_LEN + 1], unsigned slot, uint64_t first);
/* False if the name is not that of a segment. */
bool journal_line_file_parse(const char *name, unsigned *slot, uint64_t *first);

/* The beginning of a line, up to and without the comma behind the id:
 * {"eventId":"NNNNNNNNNNNNNNNN-node" */
void journal_line_put_id(struct buf *out, uint64_t number, const char *node);

struct journal_line {
    const char *p;   /* in the reader's memory */
    size_t      len; /* without the line feed */
    uint64_t    number;
};

enum journal_line_piece {
    JOURNAL_LINE_WHOLE, /* *line is set; the next piece begins at len + 1 */
    JOURNAL_LINE_BAD,   /* likewise, but it is no event: line->number is 0 */
    JOURNAL_LINE_PART   /* no line feed in sight: read on, or a torn end */
};

/* What the bytes begin with. */
enum journal_line_piece journal_line_next(
    const char *p, size_t len, struct journal_line *line);

/* What a run of bytes, from the start of a line on, holds. */
struct journal_line_sum {
    size_t   good;  /* bytes up to the end of its last whole line */
    uint64_t lines; /* whole ones */
    uint64_t bad;   /* other lines before that end */
    uint64_t first; /* number of the first whole line; 0 if there is none */
    uint64_t last;  /* the highest number */
};

void journal_line_sum(const char *p, size_t len, struct journal_line_sum *sum);

/*
 * The value of one member of the line's outermost object, as it stands there:
 * a string with its quotes. The first one of that name; false if there is
 * none or the line is no JSON up to there. Names are compared as written.
 */
bool journal_line_field(const char *line, size_t len, const char *name,
    const char **value, size_t *value_len);

#endif
