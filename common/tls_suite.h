/*
 * tls_suite: the cipher suites that are supported: the table tls_suites.def.
 */
#ifndef COMMON_TLS_SUITE_H
#define COMMON_TLS_SUITE_H

#include <stddef.h>

enum tls_suite {
#define SUITE(name, openssl, record, version) TLS_SUITE_##name,
#include "tls_suites.def"
    TLS_SUITES
};

/* Facts about a suite; the texts are static. */
const char *tls_suite_name(enum tls_suite s);    /* name in the RFCs */
const char *tls_suite_openssl(enum tls_suite s); /* name in OpenSSL */
int         tls_suite_version(enum tls_suite s); /* 2 or 3: the version is TLS
                                                    1.2 or 1.3 */

/* Finds a suite by either name; TLS_SUITES if the table does not have it. */
enum tls_suite tls_suite_find(const char *name);

#endif
