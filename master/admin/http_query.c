/* http_query: the parameters of a request. See http_query.h. */
#include "admin/http_query.h"

#include <stdio.h>
#include <string.h>

#include "near.h"

struct check {
    const char *known;
    struct buf *why;
    unsigned    seen; /* a bit for each known word */
};

bool
http_query_decode(char *s)
{
    size_t n = strlen(s), m = MHD_http_unescape(s);

    return m == strlen(s) && n >= m;
}

/* Checks one parameter. The calls are in the order of the request. */
static enum MHD_Result
check_one(
    void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct check *k = arg;
    char          words[256], decoded[HTTP_QUERY_MAX];
    char         *at = NULL;
    struct near   n = near_to(key);
    unsigned      bit = 1;

    (void)kind;
    snprintf(words, sizeof words, "%s", k->known);
    for (char *w = strtok_r(words, " ", &at); w != NULL;
         w = strtok_r(NULL, " ", &at), bit <<= 1) {
        near_try(&n, w);
        if (strcmp(w, key) != 0)
            continue;
        if (k->seen & bit) {
            buf_addf(k->why, "%s: the parameter is given twice", key);
            return MHD_NO;
        }
        k->seen |= bit;
        size_t len = value != NULL ? strlen(value) : 0;
        if (len >= sizeof decoded) {
            buf_addf(k->why, "%s: the value is longer than %zu bytes", key,
                sizeof decoded - 1);
            return MHD_NO;
        }
        memcpy(decoded, value != NULL ? value : "", len + 1);
        if (http_query_decode(decoded))
            return MHD_YES;
        buf_addf(k->why, "%s: the value holds a NUL", key);
        return MHD_NO;
    }
    buf_addf(k->why, "%.64s: there is no such parameter", key);
    if (n.word != NULL)
        buf_addf(k->why, "; is it %s?", n.word);
    else if (k->known[0] != '\0')
        buf_addf(k->why, "; this path has %s", k->known);
    else
        buf_adds(k->why, "; this path has none");
    return MHD_NO;
}

bool
http_query_check(struct MHD_Connection *c, const char *known, struct buf *why)
{
    struct check k = {.known = known, .why = why};

    MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, check_one, &k);
    return why->len == 0;
}

const char *
http_query(struct MHD_Connection *c, const char *name, char out[HTTP_QUERY_MAX])
{
    const char *v = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);

    if (v == NULL || strlen(v) >= HTTP_QUERY_MAX)
        return NULL;
    snprintf(out, HTTP_QUERY_MAX, "%s", v);
    return http_query_decode(out) ? out : NULL;
}
