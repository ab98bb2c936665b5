/*
 * http_answer: what the admin port answers: a text, a page, an error. The
 * bodies are whole; streams are made by http_api.c. In the admin process only.
 */
#ifndef MASTER_ADMIN_HTTP_ANSWER_H
#define MASTER_ADMIN_HTTP_ANSWER_H

#include <microhttpd.h>

#include "buf.h"

/* Queues a response with the headers that all have, and gives it up. */
enum MHD_Result http_answer_send(struct MHD_Connection *c, unsigned status,
    const char *type, struct MHD_Response *r);

/* The body becomes the response's. */
enum MHD_Result http_answer_text(struct MHD_Connection *c, unsigned status,
    const char *type, struct buf *body);

/* {"error":{"status":...,"message":...}} */
enum MHD_Result http_answer_error(
    struct MHD_Connection *c, unsigned status, const char *message);
/* 405, with the methods that the path has. */
enum MHD_Result http_answer_not_allowed(
    struct MHD_Connection *c, const char *allow);

/* Bytes that live as long as the process. */
enum MHD_Result http_answer_page(struct MHD_Connection *c, const char *type,
    const char *from, const char *end);

#endif
