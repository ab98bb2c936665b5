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

#define SEGMENT_DIR "journal"       /* below server.state_dir */
#define SEGMENT_SLOTS 1000u         /* three digits */
#define SEGMENT_NAME_LEN 27         /* without NUL */
#define SEGMENT_LINE_MAX (1u << 20) /* bytes of a line, line feed included */
#define SEGMENT_LINE_MIN 32 /* {"eventId":"16 digits-n"}, no line feed */

void segment_name(
    char out[SEGMENT_NAME_LEN + 1], unsigned slot, uint64_t first);
/* False if the name is not that of a segment. */
bool segment_name_parse(const char *name, unsigned *slot, uint64_t *first);

/* The beginning of a line, up to and without the comma behind the id:
 * {"eventId":"NNNNNNNNNNNNNNNN-node" */
void segment_put_id(struct buf *out, uint64_t number, const char *node);

struct segment_line {
    const char *p;   /* in the reader's memory */
    size_t      len; /* without the line feed */
    uint64_t    number;
};

enum segment_piece {
    SEGMENT_WHOLE, /* *line is set; the next piece begins at len + 1 */
    SEGMENT_BAD,   /* likewise, but it is no event: line->number is 0 */
    SEGMENT_PART   /* no line feed in sight: read on, or a torn end */
};

/* What the bytes begin with. */
enum segment_piece segment_next(
    const char *p, size_t len, struct segment_line *line);

/* What a run of bytes, from the start of a line on, holds. */
struct segment_sum {
    size_t   good;  /* bytes up to the end of its last whole line */
    uint64_t lines; /* whole ones */
    uint64_t bad;   /* other lines before that end */
    uint64_t first; /* number of the first whole line; 0 if there is none */
    uint64_t last;  /* the highest number */
};

void segment_sum(const char *p, size_t len, struct segment_sum *sum);

/*
 * The value of one member of the line's outermost object, as it stands there:
 * a string with its quotes. The first one of that name; false if there is
 * none or the line is no JSON up to there. Names are compared as written.
 */
bool segment_field(const char *line, size_t len, const char *name,
    const char **value, size_t *value_len);

#endif
