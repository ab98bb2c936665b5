/*
 * tls_name: the names in a certificate, and what they are compared with.
 *
 * A name that contains a NUL or another control character is not accepted: the
 * field stays empty and `odd` is set. Comparisons are byte for byte.
 */
#ifndef WORKER_NET_TLS_NAME_H
#define WORKER_NET_TLS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

/* Bytes of a CN with its NUL (RFC 5280 appendix A.1, ub-common-name). */
#define TLS_NAME_MAX 65
#define TLS_SERIAL_MAX 43 /* 20 bytes in hexadecimal, with its NUL */
#define TLS_NAMES_MAX 256 /* subject alternative names, each ended by NUL */
#define TLS_NAME_DIGEST 16

struct tls_name {
    char cn[TLS_NAME_MAX];
    char organization[TLS_NAME_MAX];
    char serial[TLS_SERIAL_MAX]; /* serial number of the certificate,
                                    hexadecimal */
    char     san[TLS_NAMES_MAX]; /* DNS names, one after the other */
    uint16_t san_len;
    bool     odd;
    int64_t  not_after; /* seconds since 1970 */
};

/* Copies the names in a certificate into *out, which does not refer to x
 * afterwards. */
void tls_name_read(const X509 *x, struct tls_name *out);

/* True if one of the alternative names is text[0..n). */
bool tls_name_has_san(const struct tls_name *name, const char *text, size_t n);

/* True if the name is in the list, whose items are separated by commas. An
 * empty list holds every name. */
bool tls_name_in_list(const char *list, const char *name);

/* The first bytes of the SHA-256 of a name that is compared later. */
void tls_name_digest(const char *text, size_t n, uint8_t out[TLS_NAME_DIGEST]);

/* Seconds since 1970 of a time in a certificate; INT64_MAX if it is
   malformed. */
int64_t tls_name_time(const ASN1_TIME *t);

#endif
