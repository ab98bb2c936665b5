/* The names of a client certificate, which is any DER that OpenSSL accepts. All
 * texts end with a NUL, each alternative name is found, and no other name is
 * found. */
#include "net/tls_name.h"

#include <stdlib.h>
#include <string.h>

#include "ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned char *p = data;
    struct tls_name     *name;

    if (size > 8192)
        return 0;
    X509 *x = d2i_X509(NULL, &p, (long)size);
    if (x == NULL)
        return 0;
    name = malloc(sizeof *name);
    ensure(name != NULL);
    memset(name, 0xa5, sizeof *name);
    tls_name_read(x, name);
    ensure(memchr(name->cn, 0, sizeof name->cn) != NULL &&
        memchr(name->organization, 0, sizeof name->organization) != NULL &&
        memchr(name->serial, 0, sizeof name->serial) != NULL &&
        name->san_len <= sizeof name->san);
    ensure(name->serial[strspn(name->serial, "0123456789abcdefABCDEF-")] == 0);
    for (size_t at = 0; at < name->san_len;) {
        size_t n = strnlen(name->san + at, name->san_len - at);
        ensure(at + n < name->san_len);
        ensure(tls_name_has_san(name, name->san + at, n));
        at += n + 1;
    }
    ensure(!tls_name_has_san(name, "not\0one", 7));
    ensure(tls_name_in_list("", name->organization));
    ensure(!tls_name_in_list("a name that is longer than sixty-four bytes can "
                             "ever be in a certificate",
        name->cn));
    free(name);
    X509_free(x);
    return 0;
}
