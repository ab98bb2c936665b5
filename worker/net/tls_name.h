/*
 * tls_name: the names in a certificate, and what they are compared with.
 *
 * A name with a NUL or another control character in it is no name: the field
 * stays empty and `odd` is set. Comparisons are byte for byte.
 */
#ifndef WORKER_NET_TLS_NAME_H
#define WORKER_NET_TLS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#define TLS_NAME_MAX 65   /* of a CN, with its NUL: RFC 5280 ub-common-name */
#define TLS_SERIAL_MAX 43 /* 20 bytes in hexadecimal, with its NUL */
#define TLS_NAMES_MAX 256 /* subject alternative names, each ended by NUL */

struct tls_name {
    char     cn[TLS_NAME_MAX];
    char     organization[TLS_NAME_MAX];
    char     serial[TLS_SERIAL_MAX]; /* of the certificate, hexadecimal */
    char     san[TLS_NAMES_MAX];     /* DNS names, one after the other */
    uint16_t san_len;
    bool     odd;
    int64_t  not_after; /* seconds since 1970 */
};

void tls_name_read(const X509 *x, struct tls_name *out);

/* Is one of the alternative names text[0..n)? */
bool tls_name_has_san(const struct tls_name *name, const char *text, size_t n);

/* Is the name in the list, whose items are separated by commas? An empty list
 * holds every name. */
bool tls_name_in_list(const char *list, const char *name);

/* Seconds since 1970 of a time in a certificate, INT64_MAX if it is odd. */
int64_t tls_name_time(const ASN1_TIME *t);

#endif
