/* sample: the state of the gateway at one moment. See ctl/sample.h. */
#include "ctl/sample.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "control_line.h"

#define LISTING_SHARE 20
#define SHORT_MS 900

/* --- members of JSON objects --------------------------------------------- */

static uint64_t
number(const cJSON *o, const char *key)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(m) && m->valuedouble > 0 ? (uint64_t)m->valuedouble
                                                   : 0;
}

static bool
truth(const cJSON *o, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, key));
}

static void
text(const cJSON *o, const char *key, char *to, size_t size)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);

    snprintf(to, size, "%s", cJSON_IsString(m) ? m->valuestring : "");
}

static uint64_t
moment(const cJSON *o, const char *key)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);
    uint64_t     ms;

    if (!cJSON_IsString(m) ||
        !clock_parse_rfc3339(m->valuestring, strlen(m->valuestring), &ms))
        return 0;
    return ms / 1000;
}

/* --- asking -------------------------------------------------------------- */

static bool
ask(const struct ctl *ctl, const char *const *words, size_t n,
    struct buf *reply, struct buf *why, int *code)
{
    int answer = ctl_request(ctl, words, n, reply);

    if (answer >= 0 && answer < CONTROL_ERRORS)
        return true;
    *code = answer < 0 ? CTL_NOT_RUNNING : CTL_REFUSED;
    buf_add(why, reply->p, reply->len);
    return false;
}

static cJSON *
ask_json(const struct ctl *ctl, const char *const *words, size_t n,
    struct buf *why, int *code)
{
    struct buf reply = BUF_INIT(CONTROL_REPLY_MAX);
    cJSON     *j = NULL;

    if (ask(ctl, words, n, &reply, why, code)) {
        j = cJSON_Parse(buf_cstr(&reply));
        if (j == NULL) {
            *code = CTL_REFUSED;
            buf_addf(why,
                "%s: the answer cannot be read; is this ocppctl of "
                "the daemon's version?",
                words[1]);
        }
    }
    buf_free(&reply);
    return j;
}

static bool
take_status(const struct ctl *ctl, struct sample *s, struct buf *why, int *code)
{
    static const char *const words[] = {"-j", "status"};
    cJSON                   *j = ask_json(ctl, words, 2, why, code);

    if (j == NULL)
        return false;
    text(j, "version", s->version, sizeof s->version);
    text(j, "node", s->node, sizeof s->node);
    text(j, "status", s->health, sizeof s->health);
    clock_duration(s->uptime, number(j, "uptimeMs"));
    s->draining = truth(j, "draining");
    s->connections_max = number(j, "maxConnections");
    s->identities = number(j, "identities");
    s->identities_max = number(j, "maxIdentities");
    const cJSON *problems = cJSON_GetObjectItemCaseSensitive(j, "problems");
    s->problems = (unsigned)cJSON_GetArraySize(problems);
    const cJSON *first = cJSON_GetArrayItem(problems, 0);
    snprintf(s->problem, sizeof s->problem, "%s",
        cJSON_IsString(first) ? first->valuestring : "");
    const cJSON *journal = cJSON_GetObjectItemCaseSensitive(j, "journal");
    char         word[16];
    text(journal, "status", word, sizeof word);
    s->journal_failing = strcmp(word, "failing") == 0;
    cJSON_Delete(j);
    return true;
}

static bool
take_workers(
    const struct ctl *ctl, struct sample *s, struct buf *why, int *code)
{
    static const char *const words[] = {"-j", "workers"};
    const cJSON             *o;

    s->workers_ms = clock_mono_ms();
    cJSON *j = ask_json(ctl, words, 2, why, code);
    if (j == NULL)
        return false;
    s->worker = calloc((size_t)cJSON_GetArraySize(j) + 1, sizeof *s->worker);
    cJSON_ArrayForEach(o, j)
    {
        if (s->worker == NULL)
            break;
        struct sample_worker *w = &s->worker[s->workers++];
        w->slot = (unsigned)number(o, "worker");
        w->pid = (int)number(o, "pid");
        w->starts = (unsigned)number(o, "starts");
        text(o, "state", w->state, sizeof w->state);
        w->silent_ms = number(o, "aliveMsAgo");
        w->connections = number(o, "connections");
        w->messages_in = number(o, "messagesIn");
        w->messages_out = number(o, "messagesOut");
        w->events = number(o, "events");
        w->journal_failing = truth(o, "journalFailing");
        text(o, "lastWords", w->words, sizeof w->words);
    }
    cJSON_Delete(j);
    return true;
}

/* --- numbers ------------------------------------------------------------- */

/* The histogram whose buckets are being read. */
struct buckets {
    const struct stat_info *info;
    unsigned                next;
    uint64_t                below;
};

static bool
is_named(const char *name, size_t n, const char *word, const char *suffix)
{
    size_t w = strlen(word);

    return n == w + strlen(suffix) && memcmp(name, word, w) == 0 &&
        memcmp(name + w, suffix, n - w) == 0;
}

static void
take_bucket(struct stats *st, const struct stat_info *info, struct buckets *b,
    uint64_t v)
{
    struct histogram *h = (struct histogram *)((char *)st + info->offset);

    if (b->info != info) {
        *b = (struct buckets){.info = info};
        while (histogram_bounds[b->next] < STATS_METRIC_FROM)
            b->next++;
    }
    if (b->next < STATS_BUCKETS)
        stat_set(&h->bucket[b->next++], v - b->below);
    b->below = v;
}

/* Reads a line `name{label="value"} number`, whose name is without ocppd_. */
static void
take_number(struct sample *s, const char *line, size_t len, struct buckets *b)
{
    const char *end = line + len;
    const char *blank = memrchr(line, ' ', len);
    size_t      n = strcspn(line, "{ ");
    const char *value = line[n] == '{' ? memchr(line, '"', len) : NULL;

    if (blank == NULL || line + n > blank || end - blank < 2)
        return;
    uint64_t v = strtoull(blank + 1, NULL, 10);
    if (is_named(line, n, "ping_interval_seconds", ""))
        s->ping_interval_s = v;
    for (size_t i = 0; i < stat_info_count; i++) {
        const struct stat_info *info = &stat_info[i];
        stat_value *to = (stat_value *)((char *)&s->stats + info->offset);
        char        metric[STAT_METRIC_LEN];
        if (!stat_metric(info, metric))
            continue;
        if (info->kind == STAT_HISTOGRAM) {
            if (is_named(line, n, metric, "_bucket")) {
                take_bucket(&s->stats, info, b, v);
                return;
            }
            continue;
        }
        if (!is_named(line, n, metric, ""))
            continue;
        if (info->label == NULL) {
            stat_add(to, v); /* a gauge of each worker adds up */
            return;
        }
        for (unsigned r = 0; value != NULL && r < info->rows; r++) {
            const char *row = info->row_name(r);
            size_t      w = strlen(row);
            if (strncmp(value + 1, row, w) == 0 && value[1 + w] == '"') {
                stat_add(&to[r], v);
                return;
            }
        }
        return;
    }
}

static bool
take_stats(const struct ctl *ctl, struct sample *s, struct buf *why, int *code)
{
    static const char *const words[] = {"-p", "stats"};
    struct buf               reply = BUF_INIT(CONTROL_REPLY_MAX);
    struct buckets           b = {0};
    bool                     ok = ask(ctl, words, 2, &reply, why, code);

    const char *p = buf_cstr(&reply);
    while (ok && *p != '\0') {
        size_t n = strcspn(p, "\n");
        if (strncmp(p, "ocppd_", 6) == 0)
            take_number(s, p + 6, n - 6, &b);
        p += n + (p[n] == '\n');
    }
    buf_free(&reply);
    return ok;
}

bool
sample_take(const struct ctl *ctl, struct sample *s, struct buf *why, int *code)
{
    *s = (struct sample){.at_ms = clock_mono_ms(), .wall_ms = clock_wall_ms()};
    if (take_stats(ctl, s, why, code) && take_workers(ctl, s, why, code) &&
        take_status(ctl, s, why, code))
        return true;
    sample_free(s);
    return false;
}

void
sample_free(struct sample *s)
{
    free(s->worker);
    *s = (struct sample){0};
}

/* --- charge points ------------------------------------------------------- */

const struct sample_point *
sample_find(const struct sample_points *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->point[i].name, name) == 0)
            return &p->point[i];
    return NULL;
}

static void
take_point(const cJSON *o, struct sample_points *to)
{
    struct sample_point *p = &to->point[to->n];

    memset(p, 0, sizeof *p);
    text(o, "identity", p->name, sizeof p->name);
    if (sample_find(to, p->name) != NULL)
        return; /* it was in an earlier listing */
    p->online = truth(o, "online");
    p->worker = p->online ? (int)number(o, "worker") : -1;
    p->since = moment(o, "since");
    p->last_seen = moment(o, "lastSeen");
    p->closed = moment(o, "closed");
    p->refused = moment(o, "refused");
    p->messages = number(o, "messages");
    p->connections = number(o, "connections");
    p->generation = number(o, "generation");
    text(o, "lastAction", p->action, sizeof p->action);
    text(o, "closeReason", p->close_reason, sizeof p->close_reason);
    text(o, "refuseReason", p->refuse_reason, sizeof p->refuse_reason);
    to->n++;
}

/* Reads one listing into the remaining room. */
static void
list(const struct ctl *ctl, const struct sample_filter *f, const char *state,
    const char *sort, struct sample_points *to, size_t room)
{
    const char *words[16] = {
        "-j", "connections", "--limit", NULL, "--state", state, "--sort", sort};
    size_t     n = 8;
    char       limit[16], slot[16];
    struct buf why = BUF_INIT(4096);
    int        code;

    snprintf(limit, sizeof limit, "%d", SAMPLE_POINTS);
    words[3] = limit;
    if (f->match != NULL) {
        words[n++] = "--match";
        words[n++] = f->match;
    }
    if (f->worker >= 0 && strcmp(state, "online") == 0) {
        snprintf(slot, sizeof slot, "%d", f->worker);
        words[n++] = "--worker";
        words[n++] = slot;
    }
    cJSON       *j = ask_json(ctl, words, n, &why, &code);
    const cJSON *o;
    cJSON_ArrayForEach(
        o, cJSON_GetObjectItemCaseSensitive(j, "connections")) if (to->n < room)
        take_point(o, to);
    cJSON_Delete(j);
    buf_free(&why);
}

bool
sample_points(const struct ctl *ctl, const struct sample_filter *f, bool now,
    struct sample_points *p, struct sample_points *before)
{
    static uint64_t          not_before_ms;
    static const char *const listings[][2] = {{"online", "messages"},
        {"online", "seen"}, {"online", "since"}, {"offline", "seen"}};
    uint64_t                 began = clock_mono_ms();
    size_t                   room = SAMPLE_POINTS * 4;

    if (!now && began < not_before_ms)
        return false;
    struct sample_points next = {
        .at_ms = began, .point = calloc(room + 1, sizeof *next.point)};
    if (next.point == NULL)
        return false;
    for (size_t i = 0; i < 4; i++)
        list(ctl, f, listings[i][0], listings[i][1], &next, room);
    uint64_t end = clock_mono_ms();
    not_before_ms = end + (end - began) * LISTING_SHARE;
    /* Counts of messages are up to a second old, so rates over a shorter time
     * would be wrong. */
    if (began - p->at_ms >= SHORT_MS || before->at_ms == 0) {
        sample_points_free(before);
        *before = *p;
    } else {
        sample_points_free(p);
    }
    *p = next;
    return true;
}

void
sample_points_free(struct sample_points *p)
{
    free(p->point);
    *p = (struct sample_points){0};
}

double
sample_rate(uint64_t before, uint64_t now, double seconds)
{
    return now > before ? (double)(now - before) / seconds : 0;
}
