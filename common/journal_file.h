/*
 * reader: the events of one segment file, line by line.
 *
 * A reader owns a file descriptor and a buffer that grows with the longest
 * line, to SEGMENT_LINE_MAX at most. It may stand at the end of a file that
 * is still written: reader_next() looks again each time. One thread at a
 * time.
 */
#ifndef COMMON_READER_H
#define COMMON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal_line.h"

struct reader {
    int      fd;     /* -1: closed */
    int      error;  /* errno of the last READER_ERROR */
    uint64_t offset; /* in the file, of what is read next from it */
    uint64_t bad;    /* lines that were no events, left out */
    char    *p;
    size_t   pos, len, cap;
    bool     skipping; /* up to the next line feed */
};

#define READER_CLOSED ((struct reader){.fd = -1})

enum reader_result {
    READER_LINE, /* *line is set; it is gone with the next call */
    READER_END,  /* no whole line there now; what is there may be torn */
    READER_ERROR /* r->error: EIO and its like, or ENOMEM */
};

/* Takes fd over. With an offset that is not 0, begins with the first line
 * that starts there or behind it. The buffer of a closed reader is reused. */
void               reader_open(struct reader *r, int fd, uint64_t offset);
enum reader_result reader_next(struct reader *r, struct segment_line *line);
/* In the file, of the byte behind the last line that was returned, if
 * nothing was read since. */
uint64_t reader_at(const struct reader *r);
void     reader_close(struct reader *r); /* keeps the buffer */
void     reader_free(struct reader *r);

#endif
