/* redis_status: what is shown of Redis. See redis_status.h. */
#include "fleet/redis_status.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/self.h"

void
redis_set_status(const char *word, const char *fmt, ...)
{
    va_list ap;

    snprintf(self.mem->redis_word, sizeof self.mem->redis_word, "%s", word);
    va_start(ap, fmt);
    vsnprintf(self.mem->redis_words, sizeof self.mem->redis_words, fmt, ap);
    va_end(ap);
}
