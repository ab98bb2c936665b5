/* tls_name: the names in a certificate. See tls_name.h. */
#include "net/tls_name.h"

#include <openssl/bn.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

/* Copies a name if it fits and has no control character. */
static bool
copy(char *out, size_t size, const unsigned char *p, size_t n)
{
    if (n == 0 || n >= size)
        return false;
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 || p[i] == 0x7f)
            return false;
    memcpy(out, p, n);
    out[n] = '\0';
    return true;
}

/* The last value of that type, which is the one that browsers use. */
static void
read_entry(const X509 *x, int nid, char *out, size_t size, bool *odd)
{
    const X509_NAME *subject = X509_get_subject_name(x);
    int              at = -1, next;

    while ((next = X509_NAME_get_index_by_NID(subject, nid, at)) >= 0)
        at = next;
    if (at < 0)
        return;
    unsigned char *text = NULL;
    int            n = ASN1_STRING_to_UTF8(
                   &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (n < 0 || !copy(out, size, text, (size_t)n))
        *odd = true;
    OPENSSL_free(text);
}

static void
read_san(const X509 *x, struct tls_name *out)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; all != NULL && i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        if (g->type != GEN_DNS)
            continue;
        int n = ASN1_STRING_length(g->d.dNSName);
        if (n > 0 &&
            copy(out->san + out->san_len, sizeof out->san - out->san_len,
                ASN1_STRING_get0_data(g->d.dNSName), (size_t)n))
            out->san_len = (uint16_t)(out->san_len + n + 1);
        else
            out->odd = true;
    }
    GENERAL_NAMES_free(all);
}

int64_t
tls_name_time(const ASN1_TIME *t)
{
    struct tm tm;

    if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
        return INT64_MAX;
    return (int64_t)timegm(&tm);
}

void
tls_name_read(const X509 *x, struct tls_name *out)
{
    memset(out, 0, sizeof *out);
    read_entry(x, NID_commonName, out->cn, sizeof out->cn, &out->odd);
    read_entry(x, NID_organizationName, out->organization,
        sizeof out->organization, &out->odd);
    read_san(x, out);
    out->not_after = tls_name_time(X509_get0_notAfter(x));
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char   *hex = n == NULL ? NULL : BN_bn2hex(n);
    if (hex == NULL ||
        !copy(
            out->serial, sizeof out->serial, (unsigned char *)hex, strlen(hex)))
        out->odd = true;
    OPENSSL_free(hex);
    BN_free(n);
}

bool
tls_name_has_san(const struct tls_name *name, const char *text, size_t n)
{
    for (size_t at = 0; at < name->san_len;) {
        size_t len = strlen(name->san + at);
        if (len == n && memcmp(name->san + at, text, n) == 0)
            return true;
        at += len + 1;
    }
    return false;
}

bool
tls_name_in_list(const char *list, const char *name)
{
    size_t n = strlen(name);

    if (list[0] == '\0')
        return true;
    while (*list != '\0') {
        list += strspn(list, " ,");
        size_t len = strcspn(list, ",");
        size_t bare = len;
        while (bare > 0 && list[bare - 1] == ' ')
            bare--;
        if (bare > 0 && bare == n && memcmp(list, name, n) == 0)
            return true;
        list += len;
    }
    return false;
}

void
tls_name_digest(const char *text, size_t n, uint8_t out[TLS_NAME_DIGEST])
{
    uint8_t all[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)text, n, all);
    memcpy(out, all, TLS_NAME_DIGEST);
}
