/*
 * Feeds bytes to the handshake parser, at once and in pieces.
 *
 * It checks that the result is the same for all pieces; that spans are within
 * the input; that an error has a status and a reason; that an identity is
 * short, has no slash, and does not change when it is encoded and decoded; and
 * that a password is the decoded text of the header field.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "ensure.h"
#include "net/http.h"

#define ID_MAX 48

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *whole;
static size_t      whole_n;

static void
within(struct http_span s)
{
    ensure(s.p == NULL || (s.p >= whole && s.p + s.n <= whole + whole_n));
}

static void
identity_holds(struct http_span path)
{
    char               id[ID_MAX + 1], again[ID_MAX + 1];
    size_t             len = 0, len_again = 0;
    struct buf         url = BUF_INIT(4096);
    enum http_identity e = http_identity(path, "/ocpp", ID_MAX, id, &len);

    if (e != HTTP_ID_OK) {
        ensure(http_identity_status(e) >= 400 && http_identity_sentence(e));
        return;
    }
    ensure(len > 0 && len <= ID_MAX && strlen(id) == len);
    ensure(strchr(id, '/') == NULL);
    buf_adds(&url, "/ocpp/");
    for (size_t i = 0; i < len; i++)
        buf_addf(&url, "%%%02x", (unsigned char)id[i]);
    ensure(http_identity((struct http_span){url.p, url.len}, "ocpp/", ID_MAX,
               again, &len_again) == HTTP_ID_OK);
    ensure(len_again == len && memcmp(id, again, len) == 0);
    buf_free(&url);
}

static void
answer(const struct http_request *r)
{
    static const char *const names[] = {"ocpp1.6", "ocpp2.0.1", "ocpp2.1"};
    struct http_password     pw = {.len = 0};
    struct buf               out = BUF_INIT(1024);
    char                     accept[HTTP_ACCEPT_LEN + 1];

    within(r->target);
    within(r->path);
    within(r->key);
    within(r->authorization);
    ensure(r->protocol.n <= HTTP_LINES && r->extensions.n <= HTTP_LINES);
    for (unsigned i = 0; i < r->protocol.n; i++)
        within(r->protocol.line[i]);
    for (unsigned i = 0; i < r->extensions.n; i++)
        within(r->extensions.line[i]);

    http_accept_key(r->key, accept);
    ensure(strlen(accept) == HTTP_ACCEPT_LEN);
    int v = http_pick_subprotocol(r, names, 3);
    ensure(v >= HTTP_OFFERED_OTHERS && v < 3);
    ensure(http_put_switching(&out, accept, v < 0 ? NULL : names[v], NULL));
    buf_free(&out);
    identity_holds(r->path);
    if (http_basic(r->authorization, "CP1", 3, &pw) == HTTP_BASIC_OK)
        ensure(pw.len <= HTTP_PASSWORD_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request one, pieces;
    enum http_result    e, f = HTTP_INCOMPLETE;
    char               *moving = NULL;

    if (size < 1 || size > 8193)
        return 0;
    size_t step = data[0] % 32 + 1;
    whole_n = size - 1;
    /* A heap block of the exact size, so that a sanitizer detects an access
     * beyond it. */
    char *copy = malloc(whole_n + !whole_n);
    memcpy(copy, data + 1, whole_n);
    whole = copy;

    memset(&one, 0, sizeof one);
    memset(&pieces, 0, sizeof pieces);
    e = http_parse(whole, whole_n, &one);
    for (size_t n = 0; n < whole_n && f == HTTP_INCOMPLETE;) {
        n = n + step < whole_n ? n + step : whole_n;
        moving = realloc(moving, n);
        memcpy(moving, whole, n);
        f = http_parse(moving, n, &pieces);
    }
    free(moving);
    ensure(e == f || whole_n == 0);
    ensure(one.status == pieces.status && one.consumed == pieces.consumed);
    ensure((e == HTTP_ERROR) == (one.status != 0));
    ensure((e == HTTP_ERROR) == (one.sentence != NULL));
    if (e == HTTP_COMPLETE) {
        ensure(one.consumed <= whole_n);
        answer(&one);
    }
    /* Functions that few inputs would reach through a request. */
    struct http_span     raw = {whole, whole_n};
    struct http_password pw;
    identity_holds(raw);
    http_basic(raw, "a", 1, &pw);
    http_list_has(raw, "upgrade");
    free(copy);
    return 0;
}
