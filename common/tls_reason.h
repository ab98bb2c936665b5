/*
 * tls_reason: why a TLS handshake failed: the table tls.def.
 */
#ifndef COMMON_TLS_REASON_H
#define COMMON_TLS_REASON_H

enum tls_reason {
#define REASON(word, alert, sentence, remedy) TLS_REASON_##word,
#include "tls.def"
    TLS_REASONS,
    TLS_REASON_none = TLS_REASONS
};

/* The texts of a row of tls.def; static. */
const char *tls_reason_word(enum tls_reason r);
const char *tls_reason_sentence(enum tls_reason r);
const char *tls_reason_remedy(enum tls_reason r);
int         tls_reason_alert(enum tls_reason r);

/* The name of an alert of RFC 8446 6 or RFC 5246 7.2, such as "unknown_ca";
 * "unknown" for others. */
const char *tls_alert_name(unsigned alert);

#endif
