/* tls_suite: the cipher suites that are supported. See tls_suite.h. */
#include "tls_suite.h"

#include <strings.h>

static const struct {
    const char *name, *openssl;
    int         version;
} suites[TLS_SUITES] = {
#define SUITE(name, openssl, record, version)                                  \
    [TLS_SUITE_##name] = {#name, openssl, version},
#include "tls_suites.def"
};

const char *
tls_suite_name(enum tls_suite s)
{
    return suites[s].name;
}

const char *
tls_suite_openssl(enum tls_suite s)
{
    return suites[s].openssl;
}

int
tls_suite_version(enum tls_suite s)
{
    return suites[s].version;
}

enum tls_suite
tls_suite_find(const char *name)
{
    int s = 0;

    while (s < TLS_SUITES && strcasecmp(name, suites[s].name) != 0 &&
        strcasecmp(name, suites[s].openssl) != 0)
        s++;
    return (enum tls_suite)s;
}
