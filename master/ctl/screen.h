/*
 * screen: the terminal that ocppctl draws on.
 *
 * Keys arrive one by one and unseen, signals arrive like keys, and whatever
 * happens to the program the terminal is put back as it was. ANSI sequences,
 * which every terminal of the last decades supports; no library.
 */
#ifndef MASTER_CTL_SCREEN_H
#define MASTER_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* What screen_wait() returns besides bytes typed. */
enum screen_event {
    SCREEN_TIME = 256, /* nothing happened for that long */
    SCREEN_RESIZED,    /* redraw: also after a stop and continue */
    SCREEN_QUIT        /* a signal, or the terminal is gone */
};

/* Takes the terminal over; false with a reason if standard input and output
 * are none. */
bool screen_open(const char **why);
/* Puts it back; harmless if it was not taken. */
void screen_close(void);

/* Rows and columns as they are now. */
void screen_size(unsigned *rows, unsigned *columns);

/* A byte typed, or an enum screen_event, after timeout_ms at the latest. */
int screen_wait(int timeout_ms);

/* Replaces what is on the screen by these lines, each cut where the screen
 * ends. A line that begins with \1 is shown in reverse, with \2 in bold.
 * Nothing else in it may be a control character. */
void screen_show(const struct buf *lines);

/* Appends text from outside: at most `columns` characters wide, control
 * characters and what is no UTF-8 as ?, filled with blanks. */
void screen_put(struct buf *out, const char *text, unsigned columns);

#endif
