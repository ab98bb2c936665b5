/* http: the requests of the admin port. See http.h. */
#include "admin/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "admin/report.h"
#include "base/master.h"
#include "address.h"
#include "cidr.h"
#include "clock.h"
#include "event.h"
#include "log.h"
#include "mdoc.h"
#include "version.h"
#include "writer.h"

#define CONNECTIONS 256
#define CROWDED 192 /* from here on the oldest without a request ends */
#define TIMEOUT_S 15
#define MEMORY (32u * 1024) /* per connection, bounds the request's head */
#define STACK (256u * 1024)
#define REQUEST_BODY_MAX (160u * 1024)
#define BODY_MAX (16u << 20)
#define ASKING_MAX 64 /* requests that wait for the master */
#define FEEDS_MAX 32
#define SEGMENTS 8
#define WORDS 24

const struct http_route http_routes[] = {
#define ROUTE(method, path, needs, command, query, sentence)                   \
    {#method, path, HTTP_##needs, command, query, sentence},
#include "admin/http.def"
#undef ROUTE
};
const size_t http_routes_n = sizeof http_routes / sizeof *http_routes;

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
static int               channel;

/* --- connections ----------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned        asking, feeds;

static struct place {
    int      fd; /* -1: free */
    uint64_t since_ms;
    bool     busy; /* it has sent a request that is being answered */
} places[CONNECTIONS];

static int
fd_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

    return i != NULL ? i->connect_fd : -1;
}

static void
set_busy(struct MHD_Connection *c, bool busy)
{
    int fd = fd_of(c);

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        if (places[i].fd == fd) {
            places[i].busy = busy;
            places[i].since_ms = clock_mono_ms();
        }
    pthread_mutex_unlock(&lock);
}

static void
arrived(int fd)
{
    struct place *free_one = NULL, *oldest = NULL;
    unsigned      n = 0;

    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct place *p = &places[i];
        if (p->fd < 0) {
            free_one = p;
            continue;
        }
        n++;
        if (!p->busy && (oldest == NULL || p->since_ms < oldest->since_ms))
            oldest = p;
    }
    /* Its thread sees the end of the connection, and closes it. */
    if (n >= CROWDED && oldest != NULL) {
        shutdown(oldest->fd, SHUT_RDWR);
        oldest->busy = true;
    }
    if (free_one != NULL)
        *free_one = (struct place){.fd = fd, .since_ms = clock_mono_ms()};
}

static void
connection_cb(void *arg, struct MHD_Connection *c, void **state,
    enum MHD_ConnectionNotificationCode what)
{
    (void)arg;
    (void)state;
    int fd = fd_of(c);

    pthread_mutex_lock(&lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        arrived(fd);
    else
        for (unsigned i = 0; i < CONNECTIONS; i++)
            if (places[i].fd == fd)
                places[i].fd = -1;
    pthread_mutex_unlock(&lock);
}

/* True if there was room below most. */
static bool
take(unsigned *counter, unsigned most)
{
    pthread_mutex_lock(&lock);
    bool room = *counter < most;
    *counter += room;
    pthread_mutex_unlock(&lock);
    return room;
}

static void
give_back(unsigned *counter)
{
    pthread_mutex_lock(&lock);
    (*counter)--;
    pthread_mutex_unlock(&lock);
}

/* --- answers --------------------------------------------------------------- */

static enum MHD_Result
send_response(struct MHD_Connection *c, unsigned status, const char *type,
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
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(
            r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"ocppd\"");
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result
answer(struct MHD_Connection *c, unsigned status, const char *type,
    struct buf *body)
{
    if (body->overflow || body->p == NULL) {
        buf_free(body);
        return MHD_NO;
    }
    /* libmicrohttpd frees the memory, which malloc made. */
    struct MHD_Response *r = MHD_create_response_from_buffer(
        body->len, body->p, MHD_RESPMEM_MUST_FREE);
    if (r == NULL)
        buf_free(body);
    return send_response(c, status, type, r);
}

static enum MHD_Result
fail(struct MHD_Connection *c, unsigned status, const char *message)
{
    struct buf    out = BUF_INIT(8192);
    struct writer w = WRITER_INIT(&out);

    writer_open(&w, NULL, '{');
    writer_open(&w, "error", '{');
    writer_u64(&w, "status", status);
    writer_str(&w, "message", message);
    writer_close(&w);
    writer_close(&w);
    buf_addc(&out, '\n');
    return answer(c, status, "application/json", &out);
}

static enum MHD_Result
page(struct MHD_Connection *c, const char *type, const char *from,
    const char *end)
{
    return send_response(c, MHD_HTTP_OK, type,
        MHD_create_response_from_buffer(
            (size_t)(end - from), (void *)from, MHD_RESPMEM_PERSISTENT));
}

/* --- who may --------------------------------------------------------------- */

static const char *
header(struct MHD_Connection *c, const char *name)
{
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static const char *
token_of(struct MHD_Connection *c)
{
    const char *a = header(c, MHD_HTTP_HEADER_AUTHORIZATION);

    return a != NULL && strncasecmp(a, "Bearer ", 7) == 0 ? a + 7 : NULL;
}

static bool
from_this_machine(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct sockaddr_storage ss = {0};
    uint64_t                addr[2];
    uint16_t                port;

    if (i == NULL || i->client_addr == NULL)
        return false;
    memcpy(&ss, i->client_addr,
        i->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in));
    address_pack(&ss, addr, &port);
    return cidr_is_loopback(addr);
}

/* The host of a Host header, without its port, is this machine by number or
 * as localhost, or in admin.hosts. A page of a stranger whose name leads here
 * has another. */
static bool
known_host(const char *host)
{
    char        name[CONF_LIST_MAX], item[CONF_LIST_MAX];
    struct cidr range;

    if (host == NULL || strlen(host) >= sizeof name)
        return false;
    strcpy(name, host);
    char *end = name[0] == '[' ? strchr(name, ']') : strchr(name, ':');
    if (end != NULL)
        *end = '\0';
    const char *plain = name[0] == '[' ? name + 1 : name;
    if (strcasecmp(plain, "localhost") == 0 || cidr_parse(plain, &range))
        return true;
    for (const char *at = master.config.admin_hosts;
         config_list_next(&at, item, sizeof item);)
        if (strcasecmp(item, plain) == 0)
            return true;
    return false;
}

/* A browser says which page asks: only our own may. */
static bool
own_origin(struct MHD_Connection *c, const char *host)
{
    const char *origin = header(c, "Origin");

    if (origin == NULL)
        return true;
    const char *at = strstr(origin, "://");
    return at != NULL && host != NULL && strcasecmp(at + 3, host) == 0;
}

/* --- routes ---------------------------------------------------------------- */

struct parts {
    char       *name[SEGMENTS]; /* as in the route, with braces */
    const char *value[SEGMENTS];
    unsigned    n;
};

/* Percent-decoded in place; false with a NUL in it. */
static bool
decode(char *s)
{
    size_t n = strlen(s), m = MHD_http_unescape(s);

    return m == strlen(s) && n >= m;
}

/* Does the path match the route? Segments in braces go to *p. Both are cut. */
static bool
match(const char *route, char *path, struct parts *p, char *names)
{
    char *r_at = NULL, *p_at = NULL;

    p->n = 0;
    strcpy(names, route);
    char *r = strtok_r(names, "/", &r_at), *s = strtok_r(path, "/", &p_at);
    for (; r != NULL && s != NULL;
         r = strtok_r(NULL, "/", &r_at), s = strtok_r(NULL, "/", &p_at)) {
        if (r[0] != '{') {
            if (strcmp(r, s) != 0)
                return false;
            continue;
        }
        if (p->n == SEGMENTS || !decode(s))
            return false;
        p->name[p->n] = r;
        p->value[p->n++] = s;
    }
    return r == NULL && s == NULL;
}

static const char *
query(struct MHD_Connection *c, const char *name, char *out, size_t size)
{
    const char *v = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, name);

    if (v == NULL || strlen(v) >= size)
        return NULL;
    strcpy(out, v);
    return decode(out) ? out : NULL;
}

static enum MHD_Result
run_command(struct MHD_Connection *c, const struct http_route *route,
    const struct parts *p, struct buf *body)
{
    static const char *const option[] = {"--match", "--state", "--worker",
        "--sort", "--offset", "--limit", "--timeout", "--id"};
    char                     command[256], values[8][512];
    const char              *words[WORDS];
    size_t                   n = 0, used = 0;
    char                    *at = NULL;
    struct buf               reply = BUF_INIT(ASK_REPLY_MAX);

    strcpy(command, route->command);
    for (char *w = strtok_r(command, " ", &at); w != NULL;
         w = strtok_r(NULL, " ", &at)) {
        words[n] = w;
        if (strcmp(w, "{body}") == 0)
            words[n] = body->len > 0 ? buf_cstr(body) : "{}";
        for (unsigned i = 0; i < p->n; i++)
            if (strcmp(w, p->name[i]) == 0)
                words[n] = p->value[i];
        n++;
    }
    for (size_t i = 0; i < sizeof option / sizeof *option; i++) {
        if (strstr(route->query, option[i] + 2) == NULL)
            continue;
        const char *v = query(c, option[i] + 2, values[used], sizeof *values);
        if (v == NULL)
            continue;
        used++;
        words[n++] = option[i];
        words[n++] = v;
    }
    /* A word from outside that begins with a dash is no option. */
    for (unsigned i = 0; i < p->n; i++)
        if (p->value[i][0] == '-')
            return fail(c, MHD_HTTP_BAD_REQUEST,
                "a part of the path begins with a dash");
    if (!take(&asking, ASKING_MAX))
        return fail(c, MHD_HTTP_SERVICE_UNAVAILABLE,
            "too many requests wait for the master; try again");
    int code = ask_master(channel, token_of(c), words, n, &reply);
    give_back(&asking);
    return answer(c, code < 300 ? MHD_HTTP_OK : (unsigned)code,
        "application/json", &reply);
}

static ssize_t
feed_cb(void *arg, uint64_t at, char *p, size_t max)
{
    (void)at;
    long n = feed_read(arg, p, max);

    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void
feed_free_cb(void *arg)
{
    feed_close(arg);
    give_back(&feeds);
}

static enum MHD_Result
run_events(struct MHD_Connection *c)
{
    const char *accept = header(c, MHD_HTTP_HEADER_ACCEPT);
    bool sse = accept != NULL && strstr(accept, "text/event-stream") != NULL;
    char v[4][256];
    struct buf  why = BUF_INIT(4096);
    const char *after = query(c, "after", v[0], sizeof *v);
    const char *follow = query(c, "follow", v[3], sizeof *v);

    if (after == NULL)
        after = header(c, "Last-Event-ID");
    if (!take(&feeds, FEEDS_MAX))
        return fail(c, MHD_HTTP_SERVICE_UNAVAILABLE,
            "too many streams of events; try again");
    struct feed *f = feed_open(shm_of, after, query(c, "type", v[1], sizeof *v),
        query(c, "cp", v[2], sizeof *v), sse,
        follow != NULL && strcmp(follow, "0") != 0, &why);
    if (f == NULL) {
        give_back(&feeds);
        enum MHD_Result r = fail(c, MHD_HTTP_BAD_REQUEST, buf_cstr(&why));
        buf_free(&why);
        return r;
    }
    struct MHD_Response *r = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 64 * 1024, feed_cb, f, feed_free_cb);
    if (r == NULL) {
        feed_free_cb(f);
        return MHD_NO;
    }
    return send_response(
        c, MHD_HTTP_OK, sse ? "text/event-stream" : "application/x-ndjson", r);
}

static enum MHD_Result
run_route(struct MHD_Connection *c, const struct http_route *route,
    const struct parts *p, struct buf *body)
{
    struct buf  out = BUF_INIT(BODY_MAX);
    const char *token = token_of(c);

    if (token == NULL && (route->needs == HTTP_ADMIN || !from_this_machine(c)))
        return fail(c, MHD_HTTP_UNAUTHORIZED,
            "a token is needed, as `Authorization: Bearer TOKEN`; `ocppctl "
            "token add NAME read|admin` makes one");
    if (route->command[0] != '\0')
        return run_command(c, route, p, body);
    if (token != NULL) { /* its judge is the master */
        const char *words[] = {"journal-mark"};
        struct buf  reply = BUF_INIT(ASK_REPLY_MAX);
        if (!take(&asking, ASKING_MAX))
            return fail(c, MHD_HTTP_SERVICE_UNAVAILABLE, "busy; try again");
        int code = ask_master(channel, token, words, 1, &reply);
        give_back(&asking);
        if (code >= 300)
            return answer(c, (unsigned)code, "application/json", &reply);
        buf_free(&reply);
    }
    if (strcmp(route->path, "/v1/events") == 0)
        return run_events(c);
    if (strcmp(route->path, "/v1/series") == 0)
        series_json(&out);
    else if (strcmp(route->path, "/v1/events/schema") == 0)
        event_put_schema(&out);
    else
        http_openapi(&out);
    return answer(c, MHD_HTTP_OK, "application/json", &out);
}

static enum MHD_Result
api(struct MHD_Connection *c, const char *url, const char *method,
    struct buf *body)
{
    const char *host = header(c, MHD_HTTP_HEADER_HOST);
    char        path[2048], names[256];
    bool        path_known = false;

    if (!known_host(host) || !own_origin(c, host))
        return fail(c, MHD_HTTP_FORBIDDEN,
            "this host name, or this origin, is not known here; see "
            "admin.hosts in ocppd.conf(5)");
    if (body->overflow)
        return fail(
            c, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than 160 KiB");
    for (size_t i = 0; i < http_routes_n; i++) {
        struct parts p;
        if (strlen(url) >= sizeof path)
            break;
        strcpy(path, url);
        if (!match(http_routes[i].path, path, &p, names))
            continue;
        path_known = true;
        if (strcmp(method, http_routes[i].method) == 0 ||
            (strcmp(method, "HEAD") == 0 &&
                strcmp(http_routes[i].method, "GET") == 0))
            return run_route(c, &http_routes[i], &p, body);
    }
    return fail(c,
        path_known ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND,
        path_known ? "this method is not for this path"
                   : "there is no such path; /openapi.json lists all");
}

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
    return answer(c, status, type, &out);
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
        return api(c, url, method, body);
    if (!get) {
        struct buf out = BUF_INIT(256);
        buf_adds(&out, "Only GET and HEAD.\n");
        return answer(
            c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", &out);
    }
    if (is_monitoring(url))
        return monitoring(c, url);
    if (strcmp(url, "/") == 0)
        return page(c, "text/html; charset=utf-8", page_html, page_html_end);
    if (strcmp(url, "/page.css") == 0)
        return page(c, "text/css; charset=utf-8", page_css, page_css_end);
    if (strcmp(url, "/page.js") == 0)
        return page(c, "text/javascript; charset=utf-8", page_js, page_js_end);
    struct buf out = BUF_INIT(256);
    buf_adds(&out,
        "There are /, /health, /metrics, /ready, /live and what "
        "/openapi.json lists.\n");
    return answer(c, MHD_HTTP_NOT_FOUND, "text/plain; charset=utf-8", &out);
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
    set_busy(c, true);
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
    set_busy(c, false);
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

void
http_begin(const struct shm *s, int to_master)
{
    shm_of = s;
    channel = to_master;
    for (unsigned i = 0; i < CONNECTIONS; i++)
        places[i].fd = -1;
    series_begin(s);
}

bool
http_serve(int fd)
{
    return MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD |
                   MHD_USE_THREAD_PER_CONNECTION,
               0, NULL, NULL, request_cb, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
               MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
               MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
               MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
               MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK,
               MHD_OPTION_NOTIFY_CONNECTION, connection_cb, NULL,
               MHD_OPTION_NOTIFY_COMPLETED, completed_cb, NULL,
               MHD_OPTION_UNESCAPE_CALLBACK, unescape_cb, NULL,
               MHD_OPTION_END) != NULL;
}

/* --- the table, written out -------------------------------------------------- */

static void
put_parameters(struct writer *w, const struct http_route *r)
{
    char  text[256];
    char *at = NULL;

    writer_open(w, "parameters", '[');
    for (const char *p = r->path; (p = strchr(p, '{')) != NULL; p++) {
        writer_open(w, NULL, '{');
        writer_strn(w, "name", p + 1, strcspn(p + 1, "}"));
        writer_str(w, "in", "path");
        writer_bool(w, "required", true);
        writer_raw(w, "schema", "{\"type\":\"string\"}", 17);
        writer_close(w);
    }
    strcpy(text, r->query);
    for (char *q = strtok_r(text, " ", &at); q != NULL;
         q = strtok_r(NULL, " ", &at)) {
        writer_open(w, NULL, '{');
        writer_str(w, "name", q);
        writer_str(w, "in", "query");
        writer_raw(w, "schema", "{\"type\":\"string\"}", 17);
        writer_close(w);
    }
    writer_close(w);
}

static void
put_operation(struct writer *w, const struct http_route *r)
{
    static const char *const methods[][2] = {
        {"GET", "get"}, {"POST", "post"}, {"PUT", "put"}, {"DELETE", "delete"}};
    const char *method = "get";

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i][0], r->method) == 0)
            method = methods[i][1];
    writer_open(w, method, '{');
    writer_str(w, "summary", r->sentence);
    put_parameters(w, r);
    if (strstr(r->command, "{body}") != NULL) {
        static const char any[] =
            "{\"content\":{\"application/json\":{\"schema\":{\"type\":"
            "\"object\"}}}}";
        writer_raw(w, "requestBody", any, sizeof any - 1);
    }
    writer_open(w, "security", '[');
    writer_open(w, NULL, '{');
    writer_raw(w, "token", "[]", 2);
    writer_close(w);
    writer_close(w);
    writer_open(w, "responses", '{');
    writer_open(w, "200", '{');
    writer_str(w, "description", "done; the JSON of the command");
    writer_close(w);
    writer_open(w, "default", '{');
    writer_str(w, "description",
        "an error: {\"error\":{\"status\":...,\"message\":...}}");
    writer_close(w);
    writer_close(w);
    writer_close(w);
}

void
http_openapi(struct buf *out)
{
    static const char token[] =
        "{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}}";
    struct writer w = WRITER_INIT(out);

    writer_open(&w, NULL, '{');
    writer_str(&w, "openapi", "3.0.3");
    writer_open(&w, "info", '{');
    writer_str(&w, "title", "ocppd");
    writer_str(&w, "version", OCPPD_VERSION);
    writer_close(&w);
    writer_open(&w, "components", '{');
    writer_raw(&w, "securitySchemes", token, sizeof token - 1);
    writer_close(&w);
    writer_open(&w, "paths", '{');
    for (size_t i = 0; i < http_routes_n; i++) {
        /* The methods of one path follow each other in the table. */
        if (i == 0 || strcmp(http_routes[i].path, http_routes[i - 1].path) != 0)
            writer_open(&w, http_routes[i].path, '{');
        put_operation(&w, &http_routes[i]);
        if (i + 1 == http_routes_n ||
            strcmp(http_routes[i].path, http_routes[i + 1].path) != 0)
            writer_close(&w);
    }
    writer_close(&w);
    writer_close(&w);
    buf_addc(out, '\n');
}

void
http_put_manual(struct buf *out)
{
    buf_adds(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < http_routes_n; i++) {
        const struct http_route *r = &http_routes[i];
        buf_addf(out, ".It Cm %s Pa %s\n", r->method, r->path);
        mdoc_prose(out, r->sentence, false);
        if (r->query[0] != '\0')
            buf_addf(out, "Parameters:\n.Cm %s .\n", r->query);
        if (r->command[0] != '\0') {
            buf_adds(out, "As\n.Ic ocppctl -j");
            for (const char *p = r->command; *p != '\0'; p++)
                if (*p == ' ')
                    buf_adds(out, " ");
                else
                    buf_addc(out, *p);
            buf_adds(out, " .\n");
        }
        if (r->needs == HTTP_ADMIN)
            buf_adds(out, "Needs a token of the role\n.Cm admin .\n");
    }
    buf_adds(out, ".El\n");
}
