/*
 * http_head: the head of a request, before its body is read. In the admin
 * process only.
 */
#ifndef MASTER_ADMIN_HTTP_HEAD_H
#define MASTER_ADMIN_HTTP_HEAD_H

#include <microhttpd.h>
#include <stddef.h>

/*
 * Tests whether the head is unambiguous: a proxy in front could otherwise see
 * another end of the request than this server, and pass the rest as a request
 * of another client (RFC 9112 sections 3.2, 6.1 and 6.3). Also tests whether
 * the body may be as long as announced. Returns 0, or the status of the
 * refusal, and *why is a sentence. The connection is to be closed then.
 */
unsigned http_head_refusal(
    struct MHD_Connection *c, size_t body_max, const char **why);

#endif
