/* A file of [tls] is any bytes: certificates, keys, revocation lists. Reading
 * fails with words, or what was read can be used or is refused with words; the
 * file may be a server's certificate, its key, authorities or lists. */
#include "net/tls_private.h"

#include <stdlib.h>
#include <string.h>

#include "ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
use(const struct tls_pem *pem)
{
    SSL_CTX *ctx = pem->n_keys > 0 ? tls_context_base(false, "", false) : NULL;

    ensure(pem->n_keys == 0 || ctx != NULL);
    for (unsigned i = 0; i < pem->n_keys; i++) {
        struct buf why = BUF_INIT(4096), notes = BUF_INIT(65536);
        X509      *leaf = NULL;
        bool good = tls_pem_use(ctx, pem, pem->keys[i], &leaf, &why, &notes);
        ensure(good ? leaf != NULL && why.len == 0 : why.len > 0);
        ensure(tls_pem_type(pem->keys[i]) != NULL);
        buf_free(&why);
        buf_free(&notes);
    }
    SSL_CTX_free(ctx);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf     why = BUF_INIT(4096);
    struct tls_pem pem;

    if (size > 16384)
        return 0;
    /* The reader does not need a NUL behind the text. */
    char *text = malloc(size + 1);
    ensure(text != NULL);
    memcpy(text, data, size);
    if (tls_pem_read(text, size, &pem, &why)) {
        ensure(why.len == 0);
        use(&pem);
    } else {
        ensure(why.len > 0);
    }
    tls_pem_free(&pem);
    buf_free(&why);
    free(text);
    return 0;
}
