/* close: why connections end and handshakes are refused, from close.def. */
#include "close.h"

bool
close_is_limit(enum refuse_reason reason)
{
    switch (reason) {
    case REFUSE_full:
    case REFUSE_identities_full:
    case REFUSE_registry_busy:
    case REFUSE_crowded:
    case REFUSE_crowded_prefix:
    case REFUSE_handshakes_full:
    case REFUSE_flapping:
    case REFUSE_failing:
        return true;
    default:
        return false;
    }
}

const struct close_info close_info[CLOSE_REASONS] = {
#define CLOSE(word, status, sentence) {#word, status, sentence},
#define REFUSE(word, http, sentence)
#include "close.def"
#undef CLOSE
#undef REFUSE
};

const struct close_info refuse_info[REFUSE_REASONS] = {
#define CLOSE(word, status, sentence)
#define REFUSE(word, http, sentence) {#word, http, sentence},
#include "close.def"
#undef CLOSE
#undef REFUSE
};
