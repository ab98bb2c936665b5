/*
 * ensure: assertions that stay on in production.
 *
 * For conditions that only an error of the program can break. A failed ensure()
 * leaves its words where the master finds them (shared memory, once
 * ensure_words() was called), prints them, and aborts: the master logs the
 * death and starts a successor.
 */
#ifndef COMMON_ENSURE_H
#define COMMON_ENSURE_H

#include <stddef.h>

#define ensure(cond)                                                           \
    ((cond) ? (void)0 : ensure_failed(#cond, __FILE__, __LINE__))

void ensure_failed(const char *cond, const char *file, int line)
    __attribute__((noreturn, cold));

/* Where last words go besides stderr; the memory must outlive the process
 * (shared), NUL-terminated within size bytes. NULL: stderr only. */
void ensure_words(char *where, size_t size);

/* Leaves words without dying: for a process about to exit on purpose. */
void ensure_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
