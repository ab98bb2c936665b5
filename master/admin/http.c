/* http: the requests of the admin port. See http.h. */
#include "admin/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/http_answer.h"
#include "admin/http_api.h"
#include "admin/http_places.h"
#include "admin/metrics.h"
#include "admin/report.h"
#include "base/master.h"
#include "log.h"
#include "tls_bundle.h"

#define TIMEOUT_S 15        /* without a byte */
#define MEMORY (32u * 1024) /* per connection, bounds the request's head */
#define STACK (256u * 1024)
#define REQUEST_BODY_MAX (160u * 1024)
#define BODY_MAX (16u << 20)
#define SERVERS 64
#define SEND_BUFFER (64 * 1024)
#define FORMER_S 3600 /* seconds */
#define PEM_MAX (1u << 20)

/* The page: three files, as they stand in the source. */
#define PAGE_FILE(name, file)                                                  \
    __asm__(".section .rodata\n.global " #name "\n" #name                      \
            ":\n.incbin \"page/" file "\"\n.global " #name "_end\n" #name      \
            "_end:\n.byte 0\n.previous\n");                                    \
    extern const char name[], name##_end[]

PAGE_FILE(page_html, "index.html");
PAGE_FILE(page_css, "page.css");
PAGE_FILE(page_js, "page.js");

static const struct shm *shm_of;

static struct server {
    int                fd;
    enum listener_kind kind;
    struct MHD_Daemon *daemon; /* NULL: TLS without a usable certificate */
} servers[SERVERS];
static unsigned servers_n;

/* The first pair of tls.certificate and tls.key. */
static struct buf certificate = {.max = PEM_MAX}, key = {.max = PEM_MAX};

/* --- requests ---------------------------------------------------------------- */

/* For monitoring: without a token, for every host name. */
static enum MHD_Result
monitoring(struct MHD_Connection *c, const char *url)
{
    struct buf  out = BUF_INIT(BODY_MAX);
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
    struct buf out = BUF_INIT(256);
    buf_adds(&out,
        "There are /, /health, /metrics, /ready, /live and what "
        "/openapi.json lists.\n");
    return http_answer_text(
        c, MHD_HTTP_NOT_FOUND, "text/plain; charset=utf-8", &out);
}

static enum MHD_Result
request_cb(void *arg, struct MHD_Connection *c, const char *url,
    const char *method, const char *version, const char *data,
    size_t *data_size, void **state)
{
    (void)arg;
    (void)version;
    struct buf *body = *state;

    /* The first call comes with the head, the last without data. */
    if (body == NULL) {
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

static struct MHD_Daemon *
start(const struct server *s)
{
    const unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD |
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, buf_cstr(&certificate)},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, buf_cstr(&key)},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
            (void *)"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    bool                  with_tls = s->kind == LISTENER_TLS;

    if (with_tls && (certificate.len == 0 || key.len == 0))
        return NULL;
    return MHD_start_daemon(flags | (with_tls ? MHD_USE_TLS : 0u), 0, NULL,
        NULL, request_cb, NULL, MHD_OPTION_LISTEN_SOCKET, s->fd,
        MHD_OPTION_CONNECTION_LIMIT, HTTP_PLACES, MHD_OPTION_CONNECTION_TIMEOUT,
        TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK,
        MHD_OPTION_NOTIFY_CONNECTION, http_places_cb, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, completed_cb, NULL,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape_cb, NULL, MHD_OPTION_ARRAY,
        with_tls ? tls : plain, MHD_OPTION_END);
}

void
http_begin(const struct shm *s, int to_master)
{
    shm_of = s;
    http_places_begin(master.config.admin_address_connections);
    http_api_begin(s, to_master);
    series_begin(s);
}

bool
http_serve(int fd, enum listener_kind kind)
{
    struct server *s = &servers[servers_n];

    if (servers_n == SERVERS)
        return false;
    *s = (struct server){.fd = fd, .kind = kind};
    /* Of each connection: what a slow client makes the kernel keep. */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER}, sizeof(int));
    s->daemon = start(s);
    servers_n++;
    return s->daemon != NULL;
}

/* The former server ends when its connections have ended; a stream that goes on
 * for longer than an hour is ended, and its client goes on with its cursor. */
static void *
stop(void *daemon)
{
    for (int i = 0; i < FORMER_S; i++) {
        const union MHD_DaemonInfo *d =
            MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
        if (i > 0 && d != NULL && d->num_connections == 0)
            break;
        sleep(1);
    }
    MHD_stop_daemon(daemon);
    return NULL;
}

static void
renew(struct server *s)
{
    struct MHD_Daemon *next = start(s);
    pthread_t          thread;

    if (next == NULL) {
        log_error("admin.listen_tls: the certificate of tls.certificate cannot "
                  "be used here; the former one stays");
        return;
    }
    if (s->daemon != NULL) {
        MHD_quiesce_daemon(s->daemon); /* the socket stays open */
        if (pthread_create(&thread, NULL, stop, s->daemon) == 0)
            pthread_detach(thread);
    }
    s->daemon = next;
}

void
http_certificate(int bundle)
{
    struct buf      all = BUF_INIT(0);
    struct tls_item item;
    bool            have_certificate = false, have_key = false;

    if (!tls_bundle_read(bundle, &all)) {
        log_error("cannot read the certificates: %s", strerror(errno));
        return;
    }
    buf_clear(&certificate);
    tls_bundle_wipe(&key);
    key = BUF_INIT(PEM_MAX);
    for (size_t at = 0; tls_bundle_next(&all, &at, &item);) {
        if (item.kind == TLS_FILE_CERTIFICATE && !have_certificate)
            have_certificate = buf_add(&certificate, item.data, item.len);
        if (item.kind == TLS_FILE_KEY && !have_key)
            have_key = buf_add(&key, item.data, item.len);
    }
    tls_bundle_wipe(&all);
    /* A file may hold both. */
    if (have_certificate && !have_key)
        buf_add(&key, certificate.p, certificate.len);
    for (unsigned i = 0; i < servers_n; i++)
        if (servers[i].kind == LISTENER_TLS)
            renew(&servers[i]);
}
