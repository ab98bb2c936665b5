/* http_answer: the responses of the admin port. See http_answer.h. */
#include "admin/http_answer.h"

#include "admin/http_places.h"
#include "writer.h"

enum MHD_Result
http_answer_send(struct MHD_Connection *c, unsigned status, const char *type,
    struct MHD_Response *r)
{
    if (r == NULL)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'");
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(
            r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"ocppd\"");
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (status >= 400)
        http_places_refused(c, status);
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

enum MHD_Result
http_answer_text(struct MHD_Connection *c, unsigned status, const char *type,
    struct buf *body)
{
    if (body->overflow || body->p == NULL) {
        buf_free(body);
        return MHD_NO;
    }
    http_places_sending(c, body->len);
    /* libmicrohttpd frees the memory, which malloc made. */
    struct MHD_Response *r = MHD_create_response_from_buffer(
        body->len, body->p, MHD_RESPMEM_MUST_FREE);
    if (r == NULL)
        buf_free(body);
    return http_answer_send(c, status, type, r);
}

static void
put_error(struct buf *out, unsigned status, const char *message)
{
    struct writer w = WRITER_INIT(out);

    writer_open(&w, NULL, '{');
    writer_open(&w, "error", '{');
    writer_u64(&w, "status", status);
    writer_str(&w, "message", message);
    writer_close(&w);
    writer_close(&w);
    buf_addc(out, '\n');
}

enum MHD_Result
http_answer_error(
    struct MHD_Connection *c, unsigned status, const char *message)
{
    struct buf out = BUF_INIT(8192);

    put_error(&out, status, message);
    return http_answer_text(c, status, "application/json", &out);
}

enum MHD_Result
http_answer_closing(
    struct MHD_Connection *c, unsigned status, const char *message)
{
    struct buf out = BUF_INIT(8192);

    put_error(&out, status, message);
    struct MHD_Response *r =
        MHD_create_response_from_buffer(out.len, out.p, MHD_RESPMEM_MUST_COPY);
    buf_free(&out);
    if (r != NULL)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    return http_answer_send(c, status, "application/json", r);
}

enum MHD_Result
http_answer_not_allowed(struct MHD_Connection *c, const char *allow)
{
    struct buf out = BUF_INIT(8192);

    put_error(&out, MHD_HTTP_METHOD_NOT_ALLOWED,
        "the path does not have this method; the header Allow lists its "
        "methods");
    struct MHD_Response *r =
        MHD_create_response_from_buffer(out.len, out.p, MHD_RESPMEM_MUST_COPY);
    buf_free(&out);
    if (r != NULL)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, allow);
    return http_answer_send(
        c, MHD_HTTP_METHOD_NOT_ALLOWED, "application/json", r);
}

enum MHD_Result
http_answer_page(struct MHD_Connection *c, const char *type, const char *from,
    const char *end)
{
    http_places_sending(c, (size_t)(end - from));
    return http_answer_send(c, MHD_HTTP_OK, type,
        MHD_create_response_from_buffer(
            (size_t)(end - from), (void *)from, MHD_RESPMEM_PERSISTENT));
}
