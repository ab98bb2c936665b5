/*
 * http_query: the parameters of a request, behind the ? of its path. In the
 * admin process only.
 */
#ifndef MASTER_ADMIN_HTTP_QUERY_H
#define MASTER_ADMIN_HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include <microhttpd.h>

#include "buf.h"

#define HTTP_QUERY_MAX 256 /* bytes of a value, percent-encoded, with a NUL */

/* Percent-decodes in place; false with a NUL in it. */
bool http_query_decode(char *s);

/* True if each parameter is one of `known` (words, a blank between them), is
 * there once and can be decoded; otherwise a sentence. */
bool http_query_check(
    struct MHD_Connection *c, const char *known, struct buf *why);

/* The decoded value in out, which has HTTP_QUERY_MAX bytes; NULL without. Only
 * after http_query_check(). */
const char *http_query(
    struct MHD_Connection *c, const char *name, char out[HTTP_QUERY_MAX]);

#endif
