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
    int         status; /* close frame's, or HTTP's; 0: none is sent */
    const char *sentence;
};

extern const struct close_info close_info[CLOSE_REASONS];
extern const struct close_info refuse_info[REFUSE_REASONS];

/* The reason is a limit of the gateway that was reached: health reports it,
 * and the log once a minute. */
bool close_is_limit(enum refuse_reason reason);

#endif
