/* tls_reason: why a TLS handshake failed. See tls_reason.h. */
#include "tls_reason.h"

#include <stddef.h>

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

const char *
tls_alert_name(unsigned alert)
{
    static const char *const names[] = {
        [0] = "close_notify",
        [10] = "unexpected_message",
        [20] = "bad_record_mac",
        [21] = "decryption_failed",
        [22] = "record_overflow",
        [30] = "decompression_failure",
        [40] = "handshake_failure",
        [41] = "no_certificate",
        [42] = "bad_certificate",
        [43] = "unsupported_certificate",
        [44] = "certificate_revoked",
        [45] = "certificate_expired",
        [46] = "certificate_unknown",
        [47] = "illegal_parameter",
        [48] = "unknown_ca",
        [49] = "access_denied",
        [50] = "decode_error",
        [51] = "decrypt_error",
        [60] = "export_restriction",
        [70] = "protocol_version",
        [71] = "insufficient_security",
        [80] = "internal_error",
        [86] = "inappropriate_fallback",
        [90] = "user_canceled",
        [100] = "no_renegotiation",
        [109] = "missing_extension",
        [110] = "unsupported_extension",
        [112] = "unrecognized_name",
        [113] = "bad_certificate_status_response",
        [115] = "unknown_psk_identity",
        [116] = "certificate_required",
        [120] = "no_application_protocol",
    };

    if (alert < sizeof names / sizeof names[0] && names[alert] != NULL)
        return names[alert];
    return "unknown";
}
