/*
 * control_line: a line of the control protocol, cut into words. Pure.
 *
 *   words are separated by blanks and tabs
 *   'anything but a quote'       as it stands
 *   "with \" \\ \n \r \t"        the backslash escapes, anything else after
 *                                it stays as it is, backslash included
 *   \x outside of quotes         x as it stands
 *   'pieces'" may "be\ joined    into one word
 *
 * So JSON can be typed with the quotes of a shell, and every text without NUL
 * fits on one line.
 */
#ifndef COMMON_CONTROL_LINE_H
#define COMMON_CONTROL_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

#define LINE_WORDS 64
#define LINE_MAX_BYTES (192u * 1024) /* without the newline */

/* A reply begins with its code; the body has at most so many bytes. */
#define CONTROL_REPLY_MAX (64u << 20)
#define CONTROL_ERRORS 400 /* codes from here on are errors */

enum control_code {
    CONTROL_MORE = 100,
    CONTROL_DONE = 200,
    CONTROL_TAKEN = 202,    /* a command is in progress */
    CONTROL_NEGATIVE = 220, /* done, with a negative result */
    CONTROL_USAGE = 400,
    CONTROL_UNKNOWN = 401, /* the token is */
    CONTROL_FORBIDDEN = 403,
    CONTROL_NOT_FOUND = 404,
    CONTROL_CONFLICT = 409, /* not now, not twice */
    CONTROL_FAILED = 500,
    CONTROL_BUSY = 503,
    CONTROL_TIMEOUT = 504
};

enum control_line_error {
    LINE_OK,
    LINE_TOO_MANY,    /* words */
    LINE_OPEN_SINGLE, /* no closing quote */
    LINE_OPEN_DOUBLE,
    LINE_OPEN_ESCAPE, /* nothing after a backslash */
    LINE_NUL          /* a NUL byte cannot be in a word */
};

struct control_line {
    char *word[LINE_WORDS + 1]; /* NUL-terminated; NULL at the end */
    int   words;
    enum control_line_error error;
    size_t                  where; /* offset of the error in the line, bytes */
};

/* Cuts text[0..len), which has room for one more byte and is overwritten:
 * the words lie in it. A trailing newline, with or without a carriage
 * return, is not part of a word. False with error and where set. */
bool control_line_cut(struct control_line *l, char *text, size_t len);

/* What is wrong and what would be right, as a sentence. */
const char *control_line_error_text(enum control_line_error e);

/* Appends a word so quoted that control_line_cut() gives it back; on one line.
 */
void control_line_quote(struct buf *out, const char *word);

#endif
