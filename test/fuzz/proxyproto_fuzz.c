/* The PROXY header: the result for any bytes is the same in any pieces, and no
 * byte after the header is read. */
#include "net/proxyproto.h"

#include <stdlib.h>
#include <string.h>

#include "ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxyproto whole, part;

    if (size > 4096)
        return 0;
    enum proxyproto_result r = proxyproto_parse(data, size, &whole);
    ensure(whole.consumed <= size && whole.consumed <= PROXYPROTO_MAX);
    ensure(r != PROXYPROTO_ERROR || whole.why != NULL);
    if (r == PROXYPROTO_PEER || r == PROXYPROTO_LOCAL)
        ensure(whole.consumed > 0);
    if (r == PROXYPROTO_ABSENT)
        ensure(whole.consumed == 0);
    if (r == PROXYPROTO_PEER) {
        /* There is a name only for TLS connections, and it is one text without
         * a NUL. */
        ensure(memchr(whole.cn, 0, sizeof whole.cn) != NULL);
        ensure(whole.cn[0] == 0 || whole.tls);
    }
    ensure(r != PROXYPROTO_INCOMPLETE || size < PROXYPROTO_MAX);
    for (size_t n = 0; n < size; n++) {
        /* A separate copy, so that a sanitizer detects an access beyond it. */
        uint8_t *copy = malloc(n ? n : 1);
        memcpy(copy, data, n);
        enum proxyproto_result q = proxyproto_parse(copy, n, &part);
        free(copy);
        if (q == PROXYPROTO_INCOMPLETE)
            continue;
        ensure(q == r);
        if (q != PROXYPROTO_ERROR)
            ensure(part.consumed == whole.consumed && part.port == whole.port &&
                memcmp(part.addr, whole.addr, sizeof part.addr) == 0 &&
                part.tls == whole.tls && strcmp(part.cn, whole.cn) == 0);
        break;
    }
    return 0;
}
