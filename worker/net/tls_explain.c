/* tls_explain: finds the reason of a failed handshake from OpenSSL's errors. */
#include "net/tls_private.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

static enum tls_reason
of_verification(int error)
{
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return TLS_REASON_expired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return TLS_REASON_not_yet_valid;
    case X509_V_ERR_CERT_REVOKED:
        return TLS_REASON_revoked;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
        return TLS_REASON_crl;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return TLS_REASON_weak;
    case X509_V_ERR_INVALID_PURPOSE:
        return TLS_REASON_purpose;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
        return TLS_REASON_unknown_ca;
    default:
        return TLS_REASON_certificate;
    }
}

static enum tls_reason
of_alert(int alert)
{
    switch (alert) {
    case SSL_AD_UNKNOWN_CA:
        return TLS_REASON_peer_unknown_ca;
    case SSL_AD_CERTIFICATE_EXPIRED:
        return TLS_REASON_peer_expired;
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_ACCESS_DENIED:
        return TLS_REASON_peer_certificate;
    default:
        return TLS_REASON_peer_alert;
    }
}

static enum tls_reason
of_error(unsigned long error)
{
    if (ERR_GET_LIB(error) != ERR_LIB_SSL)
        return TLS_REASON_protocol;
    switch (ERR_GET_REASON(error)) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_CIPHERS_SPECIFIED:
        return TLS_REASON_no_suite;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_INAPPROPRIATE_FALLBACK:
        return TLS_REASON_version;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return TLS_REASON_no_certificate;
    case SSL_R_HTTP_REQUEST:
        return TLS_REASON_http;
    default:
        return TLS_REASON_protocol;
    }
}

enum tls_reason
tls_explain(const struct tls_handshake *h, char *detail, size_t size)
{
    snprintf(detail, size, "%s", "");
    if (h->alert_received > 0) {
        snprintf(detail, size, "alert %d, %s", h->alert_received,
            tls_alert_name((unsigned)h->alert_received));
        return of_alert(h->alert_received);
    }
    if (h->verify_error != X509_V_OK) {
        snprintf(detail, size, "%s: %s",
            h->subject[0] != '\0' ? h->subject : "(no CN)",
            X509_verify_cert_error_string(h->verify_error));
        return of_verification(h->verify_error);
    }
    const char *words = ERR_reason_error_string(h->error);
    snprintf(detail, size, "%s", words != NULL ? words : "");
    return of_error(h->error);
}
