/*
 * tls_reason: why a TLS handshake failed: the table tls.def; and the names of
 * alerts: the table tls_alert.def.
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
/* The number of the alert that the peer gets. */
int tls_reason_alert(enum tls_reason r);

enum tls_alert {
#define ALERT(name, number) TLS_ALERT_##name,
#include "tls_alert.def"
    TLS_ALERT_unknown,
    TLS_ALERTS
};

/* The alert with that number; TLS_ALERT_unknown for others. */
enum tls_alert tls_alert_find(unsigned number);
/* The name of an alert, such as "unknown_ca"; static. */
const char *tls_alert_word(enum tls_alert a);
const char *tls_alert_name(unsigned number);

#endif
