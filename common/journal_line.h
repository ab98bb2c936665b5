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
 * and ends with its checksum and a line feed:
 *
 *     ,"crc32c":"XXXXXXXX"}
 *
 * It holds no other line feed and no NUL. The checksum is that of the bytes
 * in front of it, in hexadecimal digits; it belongs to the file and not to the
 * event, so journal_file takes it off. Files of version 0.1 have none.
 *
 * Numbers grow strictly within a slot, and are below 2^53. A crash may leave a
 * torn line at the end of a segment, and a failing disk may repeat lines. So a
 * reader reports a damaged line and continues after it, and skips numbers that
 * it has already read from that slot.
 *
 * These functions are pure and keep no memory.
 */
#ifndef COMMON_JOURNAL_LINE_H
#define COMMON_JOURNAL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* A line with this number or a higher one counts as damaged. A double holds all
 * numbers below exactly, and the microseconds since 1970 reach it in the year
 * 2255. */
#define JOURNAL_NUMBER_MAX (UINT64_C(1) << 53)
#define JOURNAL_CHECK_LEN 21 /* ,"crc32c":"XXXXXXXX"} */

#define JOURNAL_DIR "journal" /* below server.state_dir */
#define JOURNAL_SLOTS 1000u   /* three digits */
#define JOURNAL_NAME_LEN 27   /* without NUL */
/* Bytes of a line, line feed included: the largest message of a charge point
 * (16 MiB), what the repair of its JSON adds, and the rest of the event. */
#define JOURNAL_LINE_MAX (40u << 20)
#define JOURNAL_LINE_MIN 32 /* {"eventId":"16 digits-n"}, no line feed */

/* Writes the name of the segment of a slot whose first event has this number.
 */
void journal_line_file_name(
    char out[JOURNAL_NAME_LEN + 1], unsigned slot, uint64_t first);
/* False if the name is not that of a segment. */
bool journal_line_file_parse(const char *name, unsigned *slot, uint64_t *first);

/* The beginning of a line, up to and without the comma behind the id:
 * {"eventId":"NNNNNNNNNNNNNNNN-node" */
void journal_line_put_id(struct buf *out, uint64_t number, const char *node);

struct journal_line {
    const char *p;   /* in the reader's memory */
    size_t      len; /* length without the line feed */
    uint64_t    number;
    bool        checked; /* it ends with a checksum, which is right */
    uint64_t    at;      /* offset of the line in its file; set by
                            journal_file */
};

enum journal_line_piece {
    JOURNAL_LINE_WHOLE, /* *line is set; the next piece begins at len + 1 */
    JOURNAL_LINE_BAD,   /* likewise, but the line is not an event: line->number
                           is 0 */
    JOURNAL_LINE_PART   /* no line feed in sight: read on, or a torn end */
};

/* Writes the end of a line, with that checksum, in place of the line's last }.
 * p, len: the line up to this }. */
void journal_line_put_check(
    char out[JOURNAL_CHECK_LEN], const char *p, size_t len);

/*
 * An event may name another event that must be shipped before it: the latest
 * one of its identity, if that is in the journal of another slot. This is the
 * last member of the event:
 *
 *     ,"after":"SSS:NNNNNNNNNNNNNNNN"}
 *
 * Slot JOURNAL_SLOTS - 1 (999) means every slot and all events with lower
 * numbers than this one.
 */
#define JOURNAL_AFTER_ALL (JOURNAL_SLOTS - 1)
#define JOURNAL_AFTER_LEN 32

/* Writes the value of this member: SSS:NNNNNNNNNNNNNNNN. */
void journal_line_put_after(char out[21], unsigned slot, uint64_t number);
/* False if the event names none. */
bool journal_line_after(
    const struct journal_line *line, unsigned *slot, uint64_t *number);

/* Reads the first line of n bytes. */
enum journal_line_piece journal_line_next(
    const char *p, size_t len, struct journal_line *line);

/*
 * Finds the first member with this name in the outermost object of the line.
 * *value points to its JSON text: a string includes its quotes. Names are
 * compared byte by byte. False if there is none, or the line is not JSON up to
 * there.
 */
bool journal_line_field(const char *line, size_t len, const char *name,
    const char **value, size_t *value_len);

#endif
