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
    uint64_t offset;  /* where the file is read next */
    uint64_t bad;     /* damaged lines so far */
    uint64_t ceiling; /* a line without checksum and with this number or a
                         higher one counts as damaged; 0: no such bound */
    bool checked;     /* a line with a checksum was read, so all lines must have
                         one */
    char  *p;
    size_t pos, len, cap;
    bool   skipping; /* dropping bytes up to the next line feed */
};

/* A segment without checksums holds no event numbered so far above the one in
 * its name: 2^42 microseconds are 50 days. */
#define JOURNAL_FILE_SPAN (UINT64_C(1) << 42)

#define JOURNAL_FILE_CLOSED ((struct journal_file){.fd = -1})

enum journal_file_result {
    JOURNAL_FILE_LINE,    /* *line is set; it is valid until the next call */
    JOURNAL_FILE_DAMAGED, /* a line that is not an event; line->at and len */
    JOURNAL_FILE_END,     /* there is no further whole line; the last one may be
                             torn */
    JOURNAL_FILE_ERROR    /* r->error: EIO and its like, or ENOMEM */
};

/* Opens a segment; mode is O_RDONLY or O_RDWR. Returns the descriptor, or -1
 * with errno: EISDIR for a directory, and EINVAL for any other file that is not
 * a regular one, because a pipe would make the caller wait. */
int journal_file_openat(int dir_fd, const char *name, int mode);

/* Starts reading fd, which the reader closes. With an offset other than 0, it
 * begins with the first line that starts at the offset or behind it. The buffer
 * of a closed reader is reused. */
void journal_file_open(struct journal_file *r, int fd, uint64_t offset);
/* The next line. After JOURNAL_FILE_END the caller may ask again later. */
enum journal_file_result journal_file_next(
    struct journal_file *r, struct journal_line *line);
/* The offset in the file behind the last line that was returned. */
uint64_t journal_file_at(const struct journal_file *r);
void     journal_file_close(struct journal_file *r); /* keeps the buffer */
void     journal_file_free(struct journal_file *r);

#endif
