/*
 * file: small text files that the daemon keeps and an operator may edit.
 *
 * A file is read and replaced as a whole: a reader gets the old text or the new
 * one, also after a crash. Errors are sentences that name the file.
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "buf.h"

/* Errors of one file that are reported one by one. */
#define FILE_ERRORS_MAX 20

enum file_result { FILE_READ, FILE_MISSING, FILE_FAILED };

/* Appends the whole of a regular file to text. The file must have less than
 * text->max bytes. FILE_MISSING and FILE_FAILED: why has a sentence, and text
 * may hold a part. It may wait for the disk. */
enum file_result file_read(const char *path, struct buf *text, struct buf *why);

/* Writes all of it, and waits if fd does not take it at once. False with errno.
 */
bool file_write(int fd, const char *p, size_t n);

/* Makes names in a directory durable. False with errno. */
bool file_sync_directory(const char *dir);

/* Writes a new file beside the old one, makes it durable, gives it the owner
 * and mode of the old file, and renames it over the old file. If there was no
 * old file, the new one gets mode 0640 and the owner uid, gid (-1: that of the
 * process). False with a sentence in why; the old file is then unchanged. It
 * may wait for the disk. */
bool file_replace(const char *path, const char *p, size_t n, uid_t uid,
    gid_t gid, struct buf *why);

/* Puts line (without its newline) in place of the first line for which is()
 * returns true, or at the end; NULL removes that line. True if it was there. If
 * the new text does not fit into text->max or memory, text->overflow is set and
 * the text must not be used. */
bool file_set_line(struct buf *text,
    bool (*is)(const char *line, size_t n, const void *arg), const void *arg,
    const char *line);

/* Appends n bytes as one word of a line: blanks, %, # and control characters
 * are written as %XX, so that any identity is one word. */
void file_put_word(struct buf *out, const char *p, size_t n);
/* Decodes such a word into out, which has room for max bytes. False if a % is
 * not followed by two hexadecimal digits, or the word is empty or too long. */
bool file_get_word(
    const char *word, size_t n, char *out, size_t max, size_t *len);
/* The next word of a line [*p, end): false at the end or at a #. */
bool file_next_word(
    const char **p, const char *end, const char **word, size_t *n);

#endif
