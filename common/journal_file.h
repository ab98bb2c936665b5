/*
 * journal_file: the events of one segment file, line by line, without their
 * checksums.
 *
 * A reader owns a file descriptor and a buffer that grows with the longest
 * line, to JOURNAL_LINE_MAX at most. It may stand at the end of a file that
 * is still written: journal_file_next() looks again each time. One thread at a
 * time.
 */
#ifndef COMMON_JOURNAL_FILE_H
#define COMMON_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "journal_line.h"

struct journal_file {
    int      fd;      /* -1: closed */
    int      error;   /* errno of the last JOURNAL_FILE_ERROR */
    uint64_t offset;  /* in the file, of what is read next from it */
    uint64_t bad;     /* damaged lines so far */
    uint64_t ceiling; /* numbers from here on are not believed in a line
                         without checksum; 0: no such bound */
    bool   checked;   /* a line with a checksum came: so all have one */
    char  *p;
    size_t pos, len, cap;
    bool   skipping; /* up to the next line feed */
};

/* A segment without checksums holds no event numbered so far above the one in
 * its name: 2^42 microseconds are 50 days. */
#define JOURNAL_FILE_SPAN (UINT64_C(1) << 42)

#define JOURNAL_FILE_CLOSED ((struct journal_file){.fd = -1})

enum journal_file_result {
    JOURNAL_FILE_LINE,    /* *line is set; it is gone with the next call */
    JOURNAL_FILE_DAMAGED, /* a line that is no event; line->at and len */
    JOURNAL_FILE_END,  /* no whole line there now; what is there may be torn */
    JOURNAL_FILE_ERROR /* r->error: EIO and its like, or ENOMEM */
};

/* Opens a segment, for reading (O_RDONLY) or also for writing (O_RDWR). What is
 * no plain file is EINVAL: a pipe in its place would keep the caller waiting.
 */
int journal_file_openat(int dir_fd, const char *name, int mode);

/* Takes fd over. With an offset that is not 0, begins with the first line
 * that starts there or behind it. The buffer of a closed reader is reused. */
void journal_file_open(struct journal_file *r, int fd, uint64_t offset);
enum journal_file_result journal_file_next(
    struct journal_file *r, struct journal_line *line);
/* In the file, of the byte behind the last line that was returned, if
 * nothing was read since. */
uint64_t journal_file_at(const struct journal_file *r);
void     journal_file_close(struct journal_file *r); /* keeps the buffer */
void     journal_file_free(struct journal_file *r);

#endif
