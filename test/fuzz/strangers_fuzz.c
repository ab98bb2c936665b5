/* The credential file and the deny list: any text can be read, and an entry
 * that was added to it is found. */
#include <stdlib.h>
#include <string.h>

#include "authfile.h"
#include "denyfile.h"
#include "ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte is the length of the name at the beginning of the rest. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf            text = BUF_INIT(1 << 20), errors = BUF_INIT(1 << 16);
    struct authfile       a = {0};
    struct denyfile       d = {0};
    struct authfile_entry e = {0}, got;
    const char           *why;
    char                  word[64];

    if (size < 2 || size > 8192)
        return 0;
    size_t n = data[0] % IDENTITY_MAX + 1;
    if (n > size - 1)
        n = size - 1;
    const char *name = (const char *)data + 1;
    buf_add(&text, name + n, size - 1 - n);

    bool good = authfile_parse(&a, "f", text.p, text.len, &errors);
    ensure(good == (errors.len == 0));
    struct authfile_entry listed;
    const char           *p;
    size_t                at = 0, len, count = 0;
    while (authfile_next(&a, &at, &p, &len, &listed)) {
        ensure(authfile_find(&a, p, len, &got));
        count++;
    }
    ensure(count == a.n);
    authfile_free(&a);

    e.has_key = true;
    auth_key_make_offered(&e.key, name, n, data, size);
    authfile_set(&text, name, n, &e);
    ensure(authfile_get(&text, name, n, &got));
    ensure(auth_key_same(&got.key, &e.key) &&
        auth_key_matches(&got.key, data, size));
    ensure(authfile_set(&text, name, n, NULL));

    denyfile_parse(&d, "f", text.p, text.len, &errors);
    denyfile_free(&d);
    memcpy(word, name, n);
    word[n] = '\0';
    if (strlen(word) == n) {
        denyfile_set(&text, "identity", word, true, &why);
        ensure(why == NULL);
        ensure(denyfile_set(&text, "identity", word, false, &why));
        denyfile_set(&text, "address", word, true, &why);
        ensure(
            why != NULL || denyfile_set(&text, "address", word, false, &why));
    }
    buf_free(&text);
    buf_free(&errors);
    return 0;
}
