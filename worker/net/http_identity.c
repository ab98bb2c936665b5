/*
 * http_identity: the identity of a charge point in its handshake: the
 * identity in the path and the password in the Authorization header. See
 * http.h.
 */
#include <string.h>
#include <strings.h>

#include "base64.h"
#include "hex.h"
#include "net/http.h"
#include "utf8.h"

#define CREDENTIALS_MAX 8192 /* characters of base64 */

/* Cuts the next segment off a path, with the slashes in front of it; false
 * if there is none. */
static bool
next_segment(struct http_span *path, struct http_span *segment)
{
    while (path->n > 0 && *path->p == '/') {
        path->p++;
        path->n--;
    }
    if (path->n == 0)
        return false;
    const char *slash = memchr(path->p, '/', path->n);
    size_t      n = slash ? (size_t)(slash - path->p) : path->n;
    *segment = (struct http_span){path->p, n};
    path->p += n;
    path->n -= n;
    return true;
}

enum http_identity
http_identity(struct http_span path, const char *prefix, size_t max, char *out,
    size_t *len)
{
    struct http_span want = {prefix, strlen(prefix)};
    struct http_span a, b;

    while (next_segment(&want, &a))
        if (!next_segment(&path, &b) || b.n != a.n ||
            memcmp(a.p, b.p, a.n) != 0)
            return HTTP_ID_PATH;
    if (!next_segment(&path, &a))
        return HTTP_ID_EMPTY;
    if (next_segment(&path, &b))
        return HTTP_ID_PATH;

    /* Decode the whole segment before its length is checked, so that the
     * reason does not depend on the knob. */
    char   id[8192];
    size_t n = 0;
    for (size_t i = 0; i < a.n; i++) {
        char c = a.p[i];
        if (c == '%') {
            int h = i + 2 < a.n ? hex_digit(a.p[i + 1]) : -1;
            int l = i + 2 < a.n ? hex_digit(a.p[i + 2]) : -1;
            if (h < 0 || l < 0)
                return HTTP_ID_ESCAPE;
            c = (char)(h << 4 | l);
            i += 2;
            if (c == '\0')
                return HTTP_ID_NUL;
            if (c == '/')
                return HTTP_ID_SLASH;
        }
        if (n == sizeof id)
            return HTTP_ID_LONG;
        id[n++] = c;
    }
    if ((n == 1 && id[0] == '.') || (n == 2 && id[0] == '.' && id[1] == '.'))
        return HTTP_ID_PATH;
    if (!utf8_is(id, n))
        return HTTP_ID_UTF8;
    if (utf8_has_control(id, n))
        return HTTP_ID_CONTROL;
    if (n > max)
        return HTTP_ID_LONG;
    memcpy(out, id, n);
    out[n] = '\0';
    *len = n;
    return HTTP_ID_OK;
}

static const struct {
    int         status;
    const char *sentence;
} identity_answers[] = {
    [HTTP_ID_OK] = {200, "The identity is fine."},
    [HTTP_ID_PATH] = {404, "No charge point is expected at this path."},
    [HTTP_ID_EMPTY] = {404, "The path lacks the identity of the charge point."},
    [HTTP_ID_LONG] = {400, "The identity is too long."},
    [HTTP_ID_ESCAPE] = {400,
        "The identity has a % without two hexadecimal "
        "digits."},
    [HTTP_ID_NUL] = {400, "The identity has a %00 in it."},
    [HTTP_ID_SLASH] = {400, "The identity has a %2F in it."},
    [HTTP_ID_UTF8] = {400, "The identity is not UTF-8."},
    [HTTP_ID_CONTROL] = {400, "The identity has a control character in it."},
};

int
http_identity_status(enum http_identity e)
{
    return identity_answers[e].status;
}

const char *
http_identity_sentence(enum http_identity e)
{
    return identity_answers[e].sentence;
}

enum http_basic
http_basic(struct http_span authorization, const char *identity,
    size_t identity_len, struct http_password *pw)
{
    uint8_t         raw[BASE64_DECODED(CREDENTIALS_MAX) + 3];
    size_t          len = 0;
    enum http_basic result = HTTP_BASIC_BAD;

    if (authorization.n < 6 || strncasecmp(authorization.p, "Basic ", 6) != 0)
        return HTTP_BASIC_NONE;
    struct http_span text = {authorization.p + 6, authorization.n - 6};
    while (text.n > 0 && *text.p == ' ') {
        text.p++;
        text.n--;
    }
    if (text.n <= CREDENTIALS_MAX && base64_decode(text.p, text.n, raw, &len)) {
        if (len < identity_len + 1 ||
            memcmp(raw, identity, identity_len) != 0 ||
            raw[identity_len] != ':') {
            result = HTTP_BASIC_USER;
        } else if (len - identity_len - 1 <= HTTP_PASSWORD_MAX) {
            result = HTTP_BASIC_OK;
            pw->len = len - identity_len - 1;
            memcpy(pw->bytes, raw + identity_len + 1, pw->len);
        }
    }
    explicit_bzero(raw, sizeof raw);
    return result;
}
