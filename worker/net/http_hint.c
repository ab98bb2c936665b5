/* http_hint: the reason why credentials are not valid. See http_hint.h. */
#include "net/http_hint.h"

#include <string.h>
#include <strings.h>

#include "base64.h"

#define TEXT_MAX 1024 /* characters of base64 */
#define RAW_MAX BASE64_DECODED(TEXT_MAX)

/* Decodes the credentials; 0 if that is not possible. */
static size_t
decode(struct http_span text, uint8_t raw[RAW_MAX])
{
    size_t n = 0;

    return text.n <= TEXT_MAX && base64_decode(text.p, text.n, raw, &n) ? n : 0;
}

static bool
encoded(const uint8_t *p, size_t n, const char *identity, size_t len)
{
    char             name[256];
    size_t           out;
    struct http_span path;

    /* Compare with the identity as it is written in the URL. */
    if (n + 1 >= sizeof name || memchr(p, '%', n) == NULL)
        return false;
    name[0] = '/';
    memcpy(name + 1, p, n);
    path = (struct http_span){name, n + 1};
    char plain[256];
    return http_identity(path, "", sizeof plain - 1, plain, &out) ==
        HTTP_ID_OK &&
        out == len && memcmp(plain, identity, len) == 0;
}

static const char *
about_user(const uint8_t *raw, size_t n, const char *identity, size_t len)
{
    const uint8_t *colon = memchr(raw, ':', n);

    if (colon == NULL)
        return "the credentials have no colon after the user name";
    size_t user = (size_t)(colon - raw);
    if (user == 0)
        return "the user name is empty";
    if (n > len && raw[len] == ':' &&
        strncasecmp((const char *)raw, identity, len) == 0)
        return "the user name differs from the identity in case only";
    if (encoded(raw, user, identity, len))
        return "the user name is the identity percent-encoded";
    while (user > 0 && (raw[user - 1] == ' ' || raw[user - 1] == '\t'))
        user--;
    if (user == len && memcmp(raw, identity, len) == 0)
        return "the user name has blanks after the identity";
    if (user > 0 && user < len && memcmp(raw, identity, user) == 0)
        return "the user name is only the beginning of the identity";
    return "the user name is not the identity";
}

const char *
http_hint(
    struct http_span authorization, const char *identity, size_t identity_len)
{
    uint8_t     raw[RAW_MAX];
    const char *hint;

    if (authorization.n == 0)
        return "no Authorization header";
    if (authorization.n < 6 || strncasecmp(authorization.p, "Basic ", 6) != 0)
        return "the Authorization header is not of the scheme Basic";
    struct http_span text = {authorization.p + 6, authorization.n - 6};
    while (text.n > 0 && *text.p == ' ') {
        text.p++;
        text.n--;
    }
    size_t n = decode(text, raw);
    if (n == 0)
        hint = "the Authorization header is not base64";
    else
        hint = about_user(raw, n, identity, identity_len);
    explicit_bzero(raw, sizeof raw);
    return hint;
}
