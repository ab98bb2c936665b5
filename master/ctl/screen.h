/*
 * screen: the terminal that ocppctl draws on.
 *
 * Keys are read one by one without echo, and signals are returned like keys. At
 * any end of the program the terminal gets its former state back. It uses ANSI
 * sequences, which all common terminals support, and no library.
 */
#ifndef MASTER_CTL_SCREEN_H
#define MASTER_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* Results of screen_wait() besides typed bytes. */
enum screen_event {
    SCREEN_TIME = 256, /* the time limit has passed */
    SCREEN_RESIZED,    /* redraw: also after a stop and continue */
    SCREEN_QUIT        /* a signal, or the terminal was closed */
};

/* Takes over the terminal; false with a reason if standard input and output are
 * not a terminal. */
bool screen_open(const char **why);
/* Restores the terminal; harmless if it was not taken over. */
void screen_close(void);

/* Rows and columns as they are now. */
void screen_size(unsigned *rows, unsigned *columns);

/* Waits for at most timeout_ms. Returns a typed byte or an enum screen_event.
 */
int screen_wait(int timeout_ms);

/* Replaces the content of the screen by these lines, each cut at the edge of
 * the screen. A line that begins with \1 is shown in reverse, with \2 in bold.
 * Lines must not contain other control characters. */
void screen_show(const struct buf *lines);

/* Appends text from outside in exactly `columns` characters: cut or filled with
 * blanks. Control characters and bytes that are not UTF-8 become ?. */
void screen_put(struct buf *out, const char *text, unsigned columns);

#endif
