/* close: why connections end and handshakes are refused, from close.def. */
#ifndef COMMON_CLOSE_H
#define COMMON_CLOSE_H

#include <stdbool.h>

enum close_reason {
#define CLOSE(word, status, sentence) CLOSE_##word,
#define REFUSE(word, http, sentence)
#include "close.def"
#undef CLOSE
#undef REFUSE
    CLOSE_REASONS
};

enum refuse_reason {
#define CLOSE(word, status, sentence)
#define REFUSE(word, http, sentence) REFUSE_##word,
#include "close.def"
#undef CLOSE
#undef REFUSE
    REFUSE_REASONS
};

struct close_info {
    const char *word;
    int         status; /* status of the close frame (RFC 6455 7.4) or of HTTP;
                           0: none is sent */
    const char *sentence;
};

extern const struct close_info close_info[CLOSE_REASONS];
extern const struct close_info refuse_info[REFUSE_REASONS];

/* True if the reason is that a limit of the gateway was reached. Health reports
 * such a refusal, and the log does once a minute. */
bool close_is_limit(enum refuse_reason reason);

#endif
