/* ensure: assertions that stay on in production. See ensure.h. */
#include "ensure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static char  *words;
static size_t words_size;

void
ensure_words(char *where, size_t size)
{
    words = where;
    words_size = size;
}

void
ensure_say(const char *fmt, ...)
{
    va_list ap;

    if (words == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(words, words_size, fmt, ap);
    va_end(ap);
}

void
ensure_failed(const char *cond, const char *file, int line)
{
    ensure_say("assertion failed: %s (%s:%d)", cond, file, line);
    fprintf(stderr, "assertion failed: %s (%s:%d)\n", cond, file, line);
    abort();
}
