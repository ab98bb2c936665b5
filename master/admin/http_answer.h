/*
 * http_answer: the responses of the admin port with a whole body: a text, a
 * page, an error. http_api.c makes streams. In the admin process only.
 */
#ifndef MASTER_ADMIN_HTTP_ANSWER_H
#define MASTER_ADMIN_HTTP_ANSWER_H

#include <microhttpd.h>

#include "buf.h"

/* Queues a response with the common headers, and releases it. */
enum MHD_Result http_answer_send(struct MHD_Connection *c, unsigned status,
    const char *type, struct MHD_Response *r);

/* Sends a text. The response takes over the memory of the body. */
enum MHD_Result http_answer_text(struct MHD_Connection *c, unsigned status,
    const char *type, struct buf *body);

/* Sends the status and the body {"error":{"status":...,"message":...}}. */
enum MHD_Result http_answer_error(
    struct MHD_Connection *c, unsigned status, const char *message);
/* The same; the connection is closed afterwards, and nothing more is read from
   it. */
enum MHD_Result http_answer_closing(
    struct MHD_Connection *c, unsigned status, const char *message);
/* Sends 405 with the methods of the path. */
enum MHD_Result http_answer_not_allowed(
    struct MHD_Connection *c, const char *allow);

/* Sends a body whose bytes are valid as long as the process lives. */
enum MHD_Result http_answer_page(struct MHD_Connection *c, const char *type,
    const char *from, const char *end);

#endif
