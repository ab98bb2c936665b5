/*
 * ensure: assertions that stay on in production.
 *
 * For conditions that only an error of the program can break. A failed ensure()
 * writes its message to shared memory (once ensure_words() was called) and to
 * stderr, and aborts. The master reads the message there, logs the death and
 * starts a successor.
 */
#ifndef COMMON_ENSURE_H
#define COMMON_ENSURE_H

#include <stddef.h>

#define ensure(cond)                                                           \
    ((cond) ? (void)0 : ensure_failed(#cond, __FILE__, __LINE__))

/* Writes the condition and its place to that memory and to stderr, and aborts.
 * The log gets the message from the master. */
void ensure_failed(const char *cond, const char *file, int line)
    __attribute__((noreturn, cold));

/* Sets the memory that receives the last message, besides stderr: shared memory
 * of size bytes, which outlives the process. The message is NUL-terminated.
 * NULL: stderr only. */
void ensure_words(char *where, size_t size);

/* Writes such a message to that memory only, and returns: for a process that is
 * about to exit on purpose. Nothing happens without the memory. A message that
 * does not fit is cut. */
void ensure_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
