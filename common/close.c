/* close: why connections end and handshakes are refused, from close.def. */
#include "close.h"

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
