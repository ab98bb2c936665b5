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

const char *tls_suite_name(enum tls_suite s);    /* of the RFC */
const char *tls_suite_openssl(enum tls_suite s); /* of OpenSSL */
int         tls_suite_version(enum tls_suite s); /* 2 or 3: of TLS 1.x */

/* By either name; TLS_SUITES if it is none of the table. */
enum tls_suite tls_suite_find(const char *name);

#endif
