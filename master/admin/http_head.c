/* http_head: the head of a request. See http_head.h. */
#include "admin/http_head.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct head {
    unsigned    hosts, lengths, codings;
    bool        blank; /* a name ends with a blank */
    const char *length, *coding;
};

static enum MHD_Result
count_cb(
    void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct head *h = arg;
    size_t       n = strlen(name);

    (void)kind;
    h->blank |= n > 0 && (name[n - 1] == ' ' || name[n - 1] == '\t');
    if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0)
        h->hosts++;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        h->lengths++;
        h->length = value;
    }
    if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        h->codings++;
        h->coding = value;
    }
    return MHD_YES;
}

unsigned
http_head_refusal(struct MHD_Connection *c, size_t body_max, const char **why)
{
    struct head h = {0};

    MHD_get_connection_values(c, MHD_HEADER_KIND, count_cb, &h);
    *why = h.blank      ? "a blank stands before a colon in the head"
        : h.hosts > 1   ? "the request has more than one Host"
        : h.lengths > 1 ? "the request has more than one Content-Length"
        : h.codings > 1 ? "the request has more than one Transfer-Encoding"
        : h.lengths == 1 && h.codings == 1
        ? "the request has a Content-Length and a Transfer-Encoding"
        : NULL;
    if (*why != NULL)
        return MHD_HTTP_BAD_REQUEST;
    if (h.codings == 1 &&
        (h.coding == NULL || strcasecmp(h.coding, "chunked") != 0)) {
        *why = "the only Transfer-Encoding that is understood is chunked";
        return MHD_HTTP_NOT_IMPLEMENTED;
    }
    if (h.length != NULL && strtoull(h.length, NULL, 10) > body_max) {
        *why = "the body is larger than 160 KiB";
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    return 0;
}
