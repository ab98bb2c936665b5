/* redis: the worker's connection to Redis or Valkey. See redis.h. */
#include "fleet/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "base/up.h"
#include "clock.h"
#include "fleet/redis_greeting.h"
#include "fleet/redis_link.h"
#include "log.h"
#include "number.h"

#define TROUBLE_MS 1000 /* ms after an error during which little is sent */

struct request {
    struct link *link;
    redis_fn    *fn;
    void        *ctx;
    uint64_t     sent_us;
    unsigned     shard;
    bool         asked; /* it was repeated on the node that ASK named; this is
                         * done only once */
    /* In a cluster: the request as it was sent, to repeat it on another
       node. */
    char *text;
    int   len;
};

static uint8_t *link_of; /* by shard */
static bool    *shard_up;
static uint32_t trouble_ms;
static bool     trouble, closing;

/* --- shards --------------------------------------------------------------- */

static void
count_ready(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < redis_shards(); i++)
        n += shard_up[i];
    STAT_SET(self.st, redis_shards_ready, n);
}

static void
lose(unsigned shard)
{
    if (!shard_up[shard])
        return;
    shard_up[shard] = false;
    count_ready();
    up_redis_lost(shard);
}

static void
gain(unsigned shard)
{
    if (shard_up[shard] || closing)
        return;
    shard_up[shard] = true;
    count_ready();
    up_redis_ready(shard, links[link_of[shard]].new_server);
}

static void
link_up(struct link *l)
{
    for (unsigned i = 0; i < redis_shards(); i++)
        if (&links[link_of[i]] == l)
            gain(i);
}

static void
link_down(struct link *l)
{
    for (unsigned i = 0; i < redis_shards(); i++)
        if (&links[link_of[i]] == l)
            lose(i);
}

/* --- requests ------------------------------------------------------------ */

/* The node that "MOVED 3999 127.0.0.1:6381" or an ASK names; NULL if it names
 * none. An empty host means the host that has answered. */
static struct link *
named_link(unsigned shard, const char *error)
{
    char        host[CONF_TEXT_MAX];
    const char *slot = strchr(error, ' ');
    const char *at = slot ? strchr(slot + 1, ' ') : NULL;
    const char *colon = at ? strrchr(at, ':') : NULL;

    if (colon == NULL)
        return NULL;
    snprintf(host, sizeof host, "%.*s", (int)(colon - at - 1), at + 1);
    uint64_t port;
    if (!number_u64(colon + 1, number_digits(colon + 1), 65535, &port) ||
        port == 0) {
        log_error("redis: the answer `%.100s` names no address and port, so "
                  "shard %u is not reached; look at the cluster-announce "
                  "settings of its nodes",
            error, shard);
        return NULL;
    }
    struct link *l =
        link_find(host[0] ? host : links[link_of[shard]].host, (unsigned)port);
    if (l == NULL)
        log_error("redis: the cluster has more than the %d nodes that a worker "
                  "connects to, so shard %u is not reached",
            LINKS, shard);
    return l;
}

/* Sets the node of a shard. */
static void
moved(unsigned shard, const char *error)
{
    struct link *l = named_link(shard, error);

    if (l == NULL || l == &links[link_of[shard]])
        return;
    log_debug("redis: shard %u is on %s:%u", shard, l->host, l->port);
    lose(shard);
    link_of[shard] = (uint8_t)(l - links);
    if (l->state == LINK_READY)
        gain(shard);
}

/* Handles errors that concern the whole server. */
static void
look_at_error(struct link *l, unsigned shard, const char *error)
{
    STAT_INC(self.st, redis_errors);
    if (strncmp(error, "MOVED ", 6) == 0) {
        moved(shard, error);
        return;
    }
    if (strncmp(error, "TRYAGAIN", 8) == 0 || strncmp(error, "ASK ", 4) == 0) {
        log_debug("redis %s:%u: shard %u moves to another node", l->host,
            l->port, shard);
        return; /* the users of the shard try again */
    }
    if (strncmp(error, "READONLY", 8) == 0)
        link_give_up(l, "readonly", "it is a replica and takes no writes");
    else if (strncmp(error, "UNBLOCKED", 9) == 0)
        return; /* the server became a replica; the next request fails */
    else if (strncmp(error, "LOADING", 7) == 0)
        link_give_up(l, "loading", "it is still loading its data");
    else if (strncmp(error, "NOAUTH", 6) == 0 ||
        strncmp(error, "WRONGPASS", 9) == 0)
        link_give_up(l, "auth", "it does not accept the password: %s", error);
    else if (strncmp(error, "NOPERM", 6) == 0)
        link_give_up(l, "noperm", "redis.user lacks a permission: %s", error);
    else if (strstr(error, "Function not found") != NULL)
        link_give_up(l, "functions", "the functions were removed from it");
    else {
        bool oom = strncmp(error, "OOM", 3) == 0;
        bool disk = strncmp(error, "MISCONF", 7) == 0;
        if (!trouble)
            log_error("redis %s:%u: %s%s", l->host, l->port, error,
                oom ? "; events wait in the journal: give it memory, or let "
                      "the consumers acknowledge events"
                    : disk
                    ? "; events wait in the journal until it can write its disk"
                    : "");
        trouble = true;
        trouble_ms = self.now_ms;
        redis_set_status(oom ? "oom" : disk ? "misconf" : "error", "%s", error);
    }
}

static void
free_request(struct request *r)
{
    if (r->text != NULL)
        redisFreeCommand(r->text);
    free(r);
}

static void answered(redisAsyncContext *ac, void *reply, void *data);

static void
ignored(redisAsyncContext *ac, void *reply, void *data)
{
    struct link *l = data;

    (void)reply;
    if (l->ac == ac)
        l->pending--;
}

static bool
send_request(struct link *l, struct request *r)
{
    r->link = l;
    r->sent_us = clock_mono_ns() / 1000u;
    if (l->pending == 0)
        l->answer_ms = self.now_ms;
    if (r->asked) {
        if (redisAsyncCommand(l->ac, ignored, l, "ASKING") != REDIS_OK)
            return false;
        l->pending++;
    }
    int sent = r->text != NULL ? redisAsyncFormattedCommand(l->ac, answered, r,
                                     r->text, (size_t)r->len)
        : redis_issue(l->ac, answered, r) ? REDIS_OK
                                          : REDIS_ERR;
    if (sent != REDIS_OK)
        return false;
    l->pending++;
    STAT_INC(self.st, redis_pending);
    return true;
}

/* Handles "ASK 3999 127.0.0.1:6381": the slot is moving to that node, and this
 * key is there already or will be made there. True if the request was repeated
 * there; its answer follows. */
static bool
follow_ask(struct request *r, const char *error)
{
    struct link *l =
        strncmp(error, "ASK ", 4) == 0 ? named_link(r->shard, error) : NULL;

    if (l == NULL || r->text == NULL || r->asked || l->state != LINK_READY)
        return false;
    r->asked = true;
    return send_request(l, r);
}

static void
answered(redisAsyncContext *ac, void *reply, void *data)
{
    struct request *r = data;
    struct link    *l = r->link;
    struct request  copy = *r;

    STAT_DEC(self.st, redis_pending);
    if (l->ac == ac && reply != NULL) {
        l->pending--;
        l->answer_ms = self.now_ms;
    } else if (l->ac == ac) {
        /* The connection is broken, and hiredis frees it after this callback,
         * so nothing may be sent on it any more. */
        l->ac = NULL;
        link_give_up(l, "down", "the connection broke: %s",
            ac->errstr && ac->errstr[0] ? ac->errstr : "closed by the server");
    }
    if (reply != NULL) {
        histogram_add(
            &self.st->redis_time, clock_mono_ns() / 1000u - copy.sent_us);
        if (trouble && self.now_ms - trouble_ms >= TROUBLE_MS &&
            ((redisReply *)reply)->type != REDIS_REPLY_ERROR) {
            trouble = false;
            log_warn("redis %s:%u: takes requests again", l->host, l->port);
            redis_set_status("ready", "connected to %s:%u", l->host, l->port);
        }
    }
    if (reply != NULL && ((redisReply *)reply)->type == REDIS_REPLY_ERROR &&
        follow_ask(r, ((redisReply *)reply)->str))
        return;
    free_request(r);
    copy.fn(copy.ctx, reply);
    if (reply != NULL && ((redisReply *)reply)->type == REDIS_REPLY_ERROR &&
        l->ac == ac)
        look_at_error(l, copy.shard, ((redisReply *)reply)->str);
}

bool
redis_send(unsigned shard, redis_fn *fn, void *ctx)
{
    if (!redis_ready(shard))
        return false;
    struct link    *l = &links[link_of[shard]];
    struct request *r = malloc(sizeof *r);
    if (r == NULL)
        return false;
    *r = (struct request){.fn = fn, .ctx = ctx, .shard = shard};
    if ((l->cluster && !redis_format(&r->text, &r->len)) ||
        !send_request(l, r)) {
        free_request(r);
        return false;
    }
    return true;
}

struct wait {
    redis_fn *fn;
    void     *ctx;
};

static void
waited(redisAsyncContext *ac, void *reply, void *data)
{
    struct wait *w = data, copy = *w;

    free(w);
    if (links[0].waiting == ac) {
        links[0].waits = false;
        if (reply == NULL) {
            links[0].waiting = NULL;
            link_give_up(&links[0], "down", "the connection broke: %s",
                ac->errstr && ac->errstr[0] ? ac->errstr
                                            : "closed by the server");
        }
    }
    copy.fn(copy.ctx, reply);
    if (reply != NULL && ((redisReply *)reply)->type == REDIS_REPLY_ERROR &&
        links[0].waiting == ac)
        look_at_error(&links[0], 0, ((redisReply *)reply)->str);
}

bool
redis_send_waiting(redis_fn *fn, void *ctx, uint32_t block_ms)
{
    struct link *l = &links[0];

    if (l->waiting == NULL || !l->waiting_ready || l->waits)
        return false;
    struct wait *w = malloc(sizeof *w);
    if (w == NULL)
        return false;
    *w = (struct wait){fn, ctx};
    if (!redis_issue(l->waiting, waited, w)) {
        free(w);
        return false;
    }
    l->waits = true;
    l->waits_ms = self.now_ms + block_ms + (uint32_t)self.conf.redis_timeout;
    return true;
}

/* --- the whole ----------------------------------------------------------- */

static const struct link_calls link_calls = {
    greeting_begin, greeting_enter, link_up, link_down};

bool
redis_on(void)
{
    return link_of != NULL;
}

void
redis_open(void)
{
    const struct config *c = &self.conf;

    if (!config_has_redis(c))
        return;
    link_of = calloc(c->redis_shards, sizeof *link_of);
    shard_up = calloc(c->redis_shards, sizeof *shard_up);
    if (link_of == NULL || shard_up == NULL) {
        log_error("no memory for redis.shards = %llu; this worker ends",
            (unsigned long long)c->redis_shards);
        exit(1);
    }
    link_watch(&link_calls);
    if (c->redis_socket[0] != '\0')
        link_find(c->redis_socket, 0);
    else
        link_find(c->redis_host, (unsigned)c->redis_port);
    redis_set_status("down", "not connected yet");
    redis_tick();
}

void
redis_tick(void)
{
    if (!redis_on() || closing)
        return;
    for (unsigned i = 0; i < links_n; i++)
        link_tick(&links[i]);
}

void
redis_close(void)
{
    closing = true;
    for (unsigned i = 0; i < links_n; i++)
        link_close(&links[i]);
}

unsigned
redis_shards(void)
{
    return (unsigned)self.conf.redis_shards;
}

bool
redis_ready(unsigned shard)
{
    return shard_up != NULL && shard_up[shard];
}

bool
redis_troubled(void)
{
    return trouble && self.now_ms - trouble_ms < TROUBLE_MS;
}

uint64_t
redis_pending(void)
{
    return stat_get(&self.st->redis_pending);
}

bool
redis_is_cluster(void)
{
    return links[0].cluster;
}

/* The CRC16 of Redis (XMODEM). */
unsigned
redis_shard(const char *identity, size_t len)
{
    static uint16_t table[256];
    uint16_t        crc = 0;

    if (redis_shards() <= 1)
        return 0;
    if (table[1] == 0)
        for (unsigned i = 0; i < 256; i++) {
            uint16_t v = (uint16_t)(i << 8);
            for (int k = 0; k < 8; k++)
                v = (uint16_t)(v & 0x8000 ? v << 1 ^ 0x1021 : v << 1);
            table[i] = v;
        }
    for (size_t i = 0; i < len; i++)
        crc = (uint16_t)(crc << 8 ^
            table[(crc >> 8 ^ (uint8_t)identity[i]) & 0xff]);
    return crc % redis_shards();
}
