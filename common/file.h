/*
 * file: small text files that the daemon keeps and an operator may edit.
 *
 * Read whole, replaced whole: a reader sees the old text or the new
 * one, also after a crash. Errors are sentences that name the file.
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "buf.h"

enum file_result { FILE_READ, FILE_MISSING, FILE_FAILED };

/* The whole of it, at most text->max bytes, appended to text. */
enum file_result file_read(const char *path, struct buf *text, struct buf *why);

/* Writes a new file beside it, makes it durable, and renames it over the old
 * one, whose owner and mode it gets; one that was missing gets mode 0640 and
 * this owner (-1: that of the process). */
bool file_replace(const char *path, const char *p, size_t n, uid_t uid,
    gid_t gid, struct buf *why);

/* Puts line (without its newline) in place of the first line for which is()
 * returns true, or at the end; NULL removes that line. True if it was there. */
bool file_set_line(struct buf *text,
    bool (*is)(const char *line, size_t n, const void *arg), const void *arg,
    const char *line);

/* One word of a line: blanks, %, # and control characters written as %XX, so
 * that any identity is one word. */
void file_put_word(struct buf *out, const char *p, size_t n);
/* Back again into out (room for max bytes); false if a % stands alone or the
 * word is empty or too long. */
bool file_get_word(
    const char *word, size_t n, char *out, size_t max, size_t *len);
/* The next word of a line [*p, end): false at the end or at a #. */
bool file_next_word(
    const char **p, const char *end, const char **word, size_t *n);

#endif
