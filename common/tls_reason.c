/* tls_reason: why a TLS handshake failed. See tls_reason.h. */
#include "tls_reason.h"

static const struct {
    const char *word, *sentence, *remedy;
    int         alert;
} reasons[TLS_REASONS + 1] = {
    [TLS_REASON_none] = {"", "", "", -1},
#define REASON(word, alert, sentence, remedy)                                  \
    [TLS_REASON_##word] = {#word, sentence, remedy, alert},
#include "tls.def"
};

const char *
tls_reason_word(enum tls_reason r)
{
    return reasons[r].word;
}

const char *
tls_reason_sentence(enum tls_reason r)
{
    return reasons[r].sentence;
}

const char *
tls_reason_remedy(enum tls_reason r)
{
    return reasons[r].remedy;
}

int
tls_reason_alert(enum tls_reason r)
{
    return reasons[r].alert;
}

static const struct {
    const char *name;
    unsigned    number;
} alerts[TLS_ALERTS] = {
#define ALERT(name, number) [TLS_ALERT_##name] = {#name, number},
#include "tls_alert.def"
    [TLS_ALERT_unknown] = {"unknown", 256},
};

const char *
tls_alert_word(enum tls_alert a)
{
    return alerts[a].name;
}

enum tls_alert
tls_alert_find(unsigned number)
{
    int a = 0;

    while (a < TLS_ALERT_unknown && alerts[a].number != number)
        a++;
    return (enum tls_alert)a;
}

const char *
tls_alert_name(unsigned number)
{
    return tls_alert_word(tls_alert_find(number));
}
