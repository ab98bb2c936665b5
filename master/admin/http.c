/* http: the requests of the admin port. See http.h. */
#include "admin/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/http_answer.h"
#include "admin/http_api.h"
#include "admin/http_head.h"
#include "admin/http_places.h"
#include "admin/http_tls.h"
#include "admin/metrics.h"
#include "admin/report.h"
#include "base/master.h"

#define TIMEOUT_S 15        /* s without a byte */
#define MEMORY (32u * 1024) /* per connection, bounds the request's head */
#define STACK (256u * 1024)
#define REQUEST_BODY_MAX (160u * 1024)
#define SEND_BUFFER (64 * 1024)

/* The status page: three files of the source, unchanged. */
#define PAGE_FILE(name, file)                                                  \
    __asm__(".section .rodata\n.global " #name "\n" #name                      \
            ":\n.incbin \"page/" file "\"\n.global " #name "_end\n" #name      \
            "_end:\n.byte 0\n.previous\n");                                    \
    extern const char name[], name##_end[] /* NOLINT: declared, no value */

PAGE_FILE(page_html, "index.html");
PAGE_FILE(page_css, "page.css");
PAGE_FILE(page_js, "page.js");

static const struct shm *shm_of;

/* --- requests ---------------------------------------------------------------- */

/* Pages for monitoring, which need no token and accept every host name. */
static enum MHD_Result
monitoring(struct MHD_Connection *c, const char *url)
{
    struct buf  out = BUF_INIT(HTTP_BODY_MAX);
    const char *type = "text/plain; charset=utf-8";
    unsigned    status = MHD_HTTP_OK;

    if (strcmp(url, "/health") == 0) {
        type = "application/json";
        if (report_health(shm_of, &out) == REPORT_UNHEALTHY)
            status = MHD_HTTP_SERVICE_UNAVAILABLE;
    } else if (strcmp(url, "/metrics") == 0) {
        type = "text/plain; version=0.0.4; charset=utf-8";
        metrics_prometheus(shm_of, &out);
        metrics_processes(shm_of, &out);
    } else if (strcmp(url, "/ready") == 0) {
        bool ready = report_ready(shm_of);
        buf_adds(&out, ready ? "ready\n" : "not ready\n");
        status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    } else {
        buf_adds(&out, "live\n");
    }
    return http_answer_text(c, status, type, &out);
}

static bool
is_monitoring(const char *url)
{
    return strcmp(url, "/health") == 0 || strcmp(url, "/metrics") == 0 ||
        strcmp(url, "/ready") == 0 || strcmp(url, "/live") == 0;
}

static enum MHD_Result
respond(struct MHD_Connection *c, const char *url, const char *method,
    struct buf *body)
{
    bool get = strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
        strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;

    if (strncmp(url, "/v1/", 4) == 0 || strcmp(url, "/openapi.json") == 0)
        return http_api_answer(c, url, method, body);
    if (!get)
        return http_answer_not_allowed(c, "GET, HEAD");
    if (is_monitoring(url))
        return monitoring(c, url);
    if (strcmp(url, "/") == 0)
        return http_answer_page(
            c, "text/html; charset=utf-8", page_html, page_html_end);
    if (strcmp(url, "/page.css") == 0)
        return http_answer_page(
            c, "text/css; charset=utf-8", page_css, page_css_end);
    if (strcmp(url, "/page.js") == 0)
        return http_answer_page(
            c, "text/javascript; charset=utf-8", page_js, page_js_end);
    return http_answer_error(c, MHD_HTTP_NOT_FOUND,
        "there is no such path; there are /, /health, /metrics, /ready, /live "
        "and the paths in /openapi.json");
}

static enum MHD_Result
request_cb(void *arg, struct MHD_Connection *c, const char *url,
    const char *method, const char *version, const char *data,
    size_t *data_size, void **state)
{
    (void)arg;
    (void)version;
    struct buf *body = *state;

    /* The first call has the head of the request, and the last one has no
     * data. */
    if (body == NULL) {
        const char *why;
        unsigned    status = http_head_refusal(c, REQUEST_BODY_MAX, &why);
        if (status != 0)
            return http_answer_closing(c, status, why);
        *state = body = calloc(1, sizeof *body);
        if (body == NULL)
            return MHD_NO;
        *body = BUF_INIT(REQUEST_BODY_MAX);
        return MHD_YES;
    }
    if (*data_size > 0) {
        buf_add(body, data, *data_size);
        *data_size = 0;
        return MHD_YES;
    }
    http_places_working(c);
    return respond(c, url, method, body);
}

static void
completed_cb(void *arg, struct MHD_Connection *c, void **state,
    enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)why;
    struct buf *body = *state;

    if (body != NULL) {
        buf_free(body);
        free(body);
    }
    *state = NULL;
    http_places_reading(c);
}

/* Paths are decoded segment by segment: a slash in an identity is written
 * %2F. */
static size_t
unescape_cb(void *arg, struct MHD_Connection *c, char *s)
{
    (void)arg;
    (void)c;
    return strlen(s);
}

/* --- servers ----------------------------------------------------------------- */

void
http_begin(const struct shm *s, int to_master)
{
    shm_of = s;
    http_tls_begin();
    http_places_begin(master.config.admin_address_connections);
    http_api_begin(s, to_master);
    series_begin(s);
}

bool
http_serve(int fd, enum listener_kind kind)
{
    const unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD |
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(intptr_t)http_tls_choose},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
            (void *)"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    bool                  with_tls = kind == LISTENER_TLS;

    /* Limits the memory that a slow client takes in the kernel. */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER}, sizeof(int));
    return MHD_start_daemon(flags | (with_tls ? MHD_USE_TLS : 0u), 0, NULL,
               NULL, request_cb, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
               MHD_OPTION_CONNECTION_LIMIT, HTTP_PLACES,
               MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
               MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
               MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK,
               MHD_OPTION_NOTIFY_CONNECTION, http_places_cb, NULL,
               MHD_OPTION_NOTIFY_COMPLETED, completed_cb, NULL,
               MHD_OPTION_UNESCAPE_CALLBACK, unescape_cb, NULL,
               MHD_OPTION_ARRAY, with_tls ? tls : plain,
               MHD_OPTION_END) != NULL;
}
