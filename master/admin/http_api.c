/* http_api: the requests of the HTTP API. See http_api.h. */
#include "admin/http_api.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "admin/http.h"
#include "admin/http_answer.h"
#include "admin/http_places.h"
#include "admin/http_query.h"
#include "base/master.h"
#include "cidr.h"
#include "clock.h"
#include "control_line.h"
#include "event.h"
#include "journal_dir.h"
#include "number.h"
#include "score.h"
#include "since.h"
#include "station.h"

#define ASKING_MAX 64 /* requests that wait for the master */
#define FEEDS_MAX 32
#define SCORES_MAX 1
/* The most requests for /v1/charge-points/{id} at the same time, because each
 * reads the journal. */
#define SHOWS_MAX 2
#define SHOW_READ (32u << 20) /* bytes of the journal's end that each reads */
#define SEGMENTS 8
#define NAMES_SIZE 256 /* bytes of a route */
#define WORDS 24
#define METHODS_MAX 64

/* /v1/score */
#define SCORE_POINTS 20000u
#define SCORE_PATIENCE_MS 5000
#define SCORE_SINCE_MS 3600000u
#define SCORE_WORST 20

static const struct shm *shm_of;
static int               channel;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned        asking, feeds, scores, shows;

void
http_api_begin(const struct shm *s, int to_master)
{
    shm_of = s;
    channel = to_master;
}

/* Adds one to the counter and returns true, if it is below `most`. */
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

/* --- permission ------------------------------------------------------------- */

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

/* True if the host in a Host header is a numeric address, localhost, or in
 * admin.hosts. This refuses requests of a foreign page whose name resolves to
 * this machine (DNS rebinding). */
static bool
known_host(const char *host)
{
    char        name[CONF_LIST_MAX], item[CONF_LIST_MAX];
    struct cidr range;

    if (host == NULL || strlen(host) >= sizeof name)
        return false;
    snprintf(name, sizeof name, "%s", host);
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

/* True unless a browser names a foreign origin. A browser names the origin of
 * the page that sends the request, and only the status page may send
 * requests. */
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
    char       *name[SEGMENTS]; /* name in the route, with braces */
    const char *value[SEGMENTS];
    unsigned    n;
};

/* True if the path matches the route. The segments of the path that match
 * names in braces are stored in *p. Both texts are changed: they are cut into
 * segments. */
static bool
match(const char *route, char *path, struct parts *p, char *names)
{
    char *r_at = NULL, *p_at = NULL;

    p->n = 0;
    snprintf(names, NAMES_SIZE, "%s", route);
    char *r = strtok_r(names, "/", &r_at), *s = strtok_r(path, "/", &p_at);
    for (; r != NULL && s != NULL;
         r = strtok_r(NULL, "/", &r_at), s = strtok_r(NULL, "/", &p_at)) {
        if (r[0] != '{') {
            if (strcmp(r, s) != 0)
                return false;
            continue;
        }
        if (p->n == SEGMENTS || !http_query_decode(s))
            return false;
        p->name[p->n] = r;
        p->value[p->n++] = s;
    }
    return r == NULL && s == NULL;
}

/* Adds the facts about a charge point from the end of the journal. */
static bool
add_journal(const char *identity, struct buf *reply)
{
    struct station s = STATION_INIT;
    char           path[CONF_TEXT_MAX + 16];

    if (!take(&shows, SHOWS_MAX))
        return false;
    snprintf(
        path, sizeof path, "%s/" JOURNAL_DIR, master.config.server_state_dir);
    station_find(&s, path, identity, strlen(identity), SHOW_READ);
    station_extend(&s, reply);
    station_free(&s);
    give_back(&shows);
    return true;
}

static enum MHD_Result
run_command(struct MHD_Connection *c, const struct http_route *route,
    const struct parts *p, struct buf *body)
{
    static const char *const option[] = {"--match", "--model", "--state",
        "--worker", "--sort", "--offset", "--limit", "--timeout", "--id",
        "--wait", "--expiring"};
    char                     command[256], values[11][HTTP_QUERY_MAX];
    const char              *words[WORDS];
    size_t                   n = 0, used = 0;
    char                    *at = NULL;
    struct buf               reply = BUF_INIT(CONTROL_REPLY_MAX);

    snprintf(command, sizeof command, "%s", route->command);
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
        const char *v = http_query(c, option[i] + 2, values[used]);
        if (v == NULL)
            continue;
        used++;
        words[n++] = option[i];
        words[n++] = v;
    }
    /* A word from outside must not be read as an option. */
    for (unsigned i = 0; i < p->n; i++)
        if (strncmp(p->value[i], "--", 2) == 0)
            return http_answer_error(c, MHD_HTTP_BAD_REQUEST,
                "a part of the path begins with two dashes");
    if (!take(&asking, ASKING_MAX))
        return http_answer_error(c, MHD_HTTP_SERVICE_UNAVAILABLE,
            "too many requests wait for the master; try again");
    int code = ask_master(channel, token_of(c), words, n, &reply);
    give_back(&asking);
    if (code == MHD_HTTP_OK &&
        strcmp(route->path, "/v1/charge-points/{id}") == 0 &&
        !add_journal(p->value[0], &reply)) {
        buf_free(&reply);
        return http_answer_error(c, MHD_HTTP_SERVICE_UNAVAILABLE,
            "too many requests read the journal; try again");
    }
    return http_answer_text(c,
        code == CONTROL_NEGATIVE ? MHD_HTTP_OK : (unsigned)code,
        "application/json", &reply);
}

/* Sends an answer that has no end of its own. end() frees arg. */
static enum MHD_Result
stream(struct MHD_Connection *c, const char *type,
    MHD_ContentReaderCallback read, MHD_ContentReaderFreeCallback end,
    void *arg)
{
    http_places_streaming(c);
    struct MHD_Response *r = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 64 * 1024, read, arg, end);
    if (r == NULL) {
        end(arg);
        return MHD_NO;
    }
    return http_answer_send(c, MHD_HTTP_OK, type, r);
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
    char v[5][HTTP_QUERY_MAX];
    struct buf  why = BUF_INIT(4096);
    const char *after = http_query(c, "after", v[0]);
    const char *follow = http_query(c, "follow", v[3]);

    if (after == NULL)
        after = header(c, "Last-Event-ID");
    if (!take(&feeds, FEEDS_MAX))
        return http_answer_error(c, MHD_HTTP_SERVICE_UNAVAILABLE,
            "too many streams of events; try again");
    struct feed *f = feed_open(shm_of, after, http_query(c, "since", v[4]),
        http_query(c, "type", v[1]), http_query(c, "cp", v[2]), sse,
        follow != NULL && strcmp(follow, "0") != 0, &why);
    if (f == NULL) {
        give_back(&feeds);
        enum MHD_Result r =
            http_answer_error(c, MHD_HTTP_BAD_REQUEST, buf_cstr(&why));
        buf_free(&why);
        return r;
    }
    return stream(c, sse ? "text/event-stream" : "application/x-ndjson",
        feed_cb, feed_free_cb, f);
}

static ssize_t
tap_cb(void *arg, uint64_t at, char *p, size_t max)
{
    (void)at;
    long n = http_tap_read(arg, p, max);

    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void
tap_free_cb(void *arg)
{
    http_tap_close(arg);
    give_back(&feeds);
}

static enum MHD_Result
run_tap(struct MHD_Connection *c, const char *identity)
{
    if (!take(&feeds, FEEDS_MAX))
        return http_answer_error(
            c, MHD_HTTP_SERVICE_UNAVAILABLE, "too many streams; try again");
    struct http_tap *t = http_tap_open(channel, token_of(c), identity);
    if (t == NULL) {
        give_back(&feeds);
        return http_answer_error(c, MHD_HTTP_SERVICE_UNAVAILABLE,
            "the master does not answer; try again");
    }
    return stream(c, "application/x-ndjson", tap_cb, tap_free_cb, t);
}

static bool
score_of(const char *name, enum score_by *by)
{
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(score_by_name[i], name) == 0) {
            *by = (enum score_by)i;
            return true;
        }
    return false;
}

static bool
worst_of(const char *text, uint32_t *worst)
{
    uint64_t n;

    if (!number_u64(text, strlen(text), SCORE_POINTS, &n) || n < 1)
        return false;
    *worst = (uint32_t)n;
    return true;
}

/* Reads the journal as `ocppctl score` does, with lower limits. The answer is
 * Prometheus text if the client accepts text. */
static enum MHD_Result
run_score(struct MHD_Connection *c)
{
    char        v[3][HTTP_QUERY_MAX], path[CONF_TEXT_MAX + 16];
    const char *accept = header(c, MHD_HTTP_HEADER_ACCEPT);
    const char *by = http_query(c, "by", v[0]);
    const char *worst = http_query(c, "worst", v[1]);
    const char *since = http_query(c, "since", v[2]);
    bool        text = accept != NULL && strstr(accept, "text/plain") != NULL;
    struct buf  out = BUF_INIT(HTTP_BODY_MAX), why = BUF_INIT(4096);
    struct score_view view = {.by = text ? SCORE_MODEL : SCORE_POINT,
        .worst = SCORE_WORST,
        .until_ms = clock_wall_ms()};

    struct config conf;
    shm_config_read(shm_of, &conf);
    view.labels = conf.admin_model_labels;
    view.since_ms = view.until_ms - SCORE_SINCE_MS;
    if ((by != NULL && !score_of(by, &view.by)) ||
        (text && view.by == SCORE_POINT))
        return http_answer_error(c, MHD_HTTP_BAD_REQUEST,
            "by: give model, vendor, firmware, or for JSON identity");
    if (worst != NULL && !worst_of(worst, &view.worst))
        return http_answer_error(
            c, MHD_HTTP_BAD_REQUEST, "worst: give a number from 1 to 20000");
    if (since != NULL && !since_parse(since, &view.since_ms))
        return http_answer_error(c, MHD_HTTP_BAD_REQUEST, "since: " SINCE_FORM);
    if (!take(&scores, SCORES_MAX))
        return http_answer_error(c, MHD_HTTP_SERVICE_UNAVAILABLE,
            "another score is being made; try again");
    snprintf(
        path, sizeof path, "%s/" JOURNAL_DIR, master.config.server_state_dir);
    struct score *s = score_new(SCORE_POINTS);
    bool          good = s != NULL &&
        score_read(s, path, view.since_ms, journal_dir_mark(shm_of),
            SCORE_PATIENCE_MS, &view.partial, &why);
    if (good && text)
        score_put_prometheus(s, &view, &out);
    else if (good)
        score_put_json(s, &view, &out);
    if (s != NULL)
        score_free(s);
    give_back(&scores);
    enum MHD_Result r = good
        ? http_answer_text(c, MHD_HTTP_OK,
              text ? "text/plain; version=0.0.4; charset=utf-8"
                   : "application/json",
              &out)
        : http_answer_error(c, MHD_HTTP_INTERNAL_SERVER_ERROR,
              s == NULL ? "there is no memory" : buf_cstr(&why));
    buf_free(&why);
    return r;
}

static enum MHD_Result
run_route(struct MHD_Connection *c, const struct http_route *route,
    const struct parts *p, struct buf *body)
{
    struct buf  out = BUF_INIT(HTTP_BODY_MAX), why = BUF_INIT(4096);
    const char *token = token_of(c);

    if (!http_query_check(c, route->query, &why)) {
        enum MHD_Result r =
            http_answer_error(c, MHD_HTTP_BAD_REQUEST, buf_cstr(&why));
        buf_free(&why);
        return r;
    }
    if (token == NULL && (route->needs == HTTP_ADMIN || !from_this_machine(c)))
        return http_answer_error(c, MHD_HTTP_UNAUTHORIZED,
            "a token is needed, as `Authorization: Bearer TOKEN`; `ocppctl "
            "token add NAME read|admin` makes one");
    if (route->command[0] != '\0')
        return run_command(c, route, p, body);
    if (token != NULL) { /* the master checks the token */
        const char *words[] = {"journal-mark"};
        struct buf  reply = BUF_INIT(CONTROL_REPLY_MAX);
        if (!take(&asking, ASKING_MAX))
            return http_answer_error(
                c, MHD_HTTP_SERVICE_UNAVAILABLE, "busy; try again");
        int code = ask_master(channel, token, words, 1, &reply);
        give_back(&asking);
        if (code >= 300)
            return http_answer_text(
                c, (unsigned)code, "application/json", &reply);
        buf_free(&reply);
    }
    if (strcmp(route->path, "/v1/events") == 0)
        return run_events(c);
    if (strcmp(route->path, "/v1/charge-points/{id}/tap") == 0)
        return run_tap(c, p->value[0]);
    if (strcmp(route->path, "/v1/score") == 0)
        return run_score(c);
    if (strcmp(route->path, "/v1/series") == 0)
        series_json(&out);
    else if (strcmp(route->path, "/v1/events/schema") == 0)
        event_put_schema(&out);
    else
        http_openapi(&out);
    return http_answer_text(c, MHD_HTTP_OK, "application/json", &out);
}

/* Writes the methods of a path, for a 405. */
static void
add_method(char *allow, const char *method)
{
    size_t n = strlen(allow);

    snprintf(allow + n, METHODS_MAX - n, "%s%s", n > 0 ? ", " : "", method);
}

enum MHD_Result
http_api_answer(struct MHD_Connection *c, const char *url, const char *method,
    struct buf *body)
{
    const char *host = header(c, MHD_HTTP_HEADER_HOST);
    char        path[2048], names[NAMES_SIZE], allow[METHODS_MAX] = "";

    if (!known_host(host) || !own_origin(c, host))
        return http_answer_error(c, MHD_HTTP_FORBIDDEN,
            "requests for this host name, or from this origin, are not "
            "accepted; see admin.hosts in ocppd.conf(5)");
    if (body->overflow)
        return http_answer_error(
            c, MHD_HTTP_CONTENT_TOO_LARGE, "the body is larger than 160 KiB");
    if (body->len > 0 && memchr(body->p, '\0', body->len) != NULL)
        return http_answer_error(
            c, MHD_HTTP_BAD_REQUEST, "the body holds a NUL byte");
    for (size_t i = 0; i < http_routes_n; i++) {
        struct parts p = {.n = 0};
        if (strlen(url) >= sizeof path)
            break;
        snprintf(path, sizeof path, "%s", url);
        if (!match(http_routes[i].path, path, &p, names))
            continue;
        add_method(allow, http_routes[i].method);
        if (strcmp(http_routes[i].method, "GET") == 0)
            add_method(allow, "HEAD");
        if (strcmp(method, http_routes[i].method) == 0 ||
            (strcmp(method, "HEAD") == 0 &&
                strcmp(http_routes[i].method, "GET") == 0))
            return run_route(c, &http_routes[i], &p, body);
    }
    if (allow[0] != '\0')
        return http_answer_not_allowed(c, allow);
    return http_answer_error(c, MHD_HTTP_NOT_FOUND,
        "there is no such path; /openapi.json lists all");
}
