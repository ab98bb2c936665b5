/* redis_greeting: the first requests on a connection. See redis_greeting.h. */
#include "fleet/redis_greeting.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/self.h"
#include "fleet/functions.h"
#include "log.h"

/* The value of one line of INFO. */
static void
info(const char *text, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);

    out[0] = '\0';
    for (const char *p = text; p != NULL; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, name, n) == 0 && p[n] == ':') {
            snprintf(
                out, size, "%.*s", (int)strcspn(p + n + 1, "\r\n"), p + n + 1);
            return;
        }
    }
}

static void ask_version(struct link *l);

static void
loaded_cb(redisAsyncContext *ac, void *reply, void *data)
{
    struct link *l = link_awaiting(ac, reply);
    redisReply  *r = reply;

    (void)data;
    if (l == NULL)
        return;
    if (r->type == REDIS_REPLY_ERROR) {
        if (strncmp(r->str, "NOPERM", 6) == 0)
            link_give_up(l, "noperm",
                "redis.user may not load the functions: %s; allow it "
                "FUNCTION, or load the output of `ocppd -x redis` by hand",
                r->str);
        else
            link_give_up(
                l, "functions", "it rejects the functions: %s", r->str);
        return;
    }
    ask_version(l);
}

static void
version_cb(redisAsyncContext *ac, void *reply, void *data)
{
    struct link              *l = link_awaiting(ac, reply);
    const struct redis_value *v = reply;

    (void)data;
    if (l == NULL)
        return;
    const char *error = redis_error(v);
    if (error != NULL && strncmp(error, "LOADING", 7) == 0) {
        link_give_up(l, "loading", "it is still loading its data");
        return;
    }
    if (error != NULL && strstr(error, "unknown command") != NULL) {
        link_give_up(l, "old",
            "it does not support functions; Redis 7 or Valkey 8 is needed");
        return;
    }
    if (error != NULL && strstr(error, "Function not found") == NULL) {
        link_give_up(
            l, "noperm", "it refuses to call the functions: %s", error);
        return;
    }
    uint64_t version = error ? 0 : redis_u64(redis_at(v, 0), INT32_MAX);
    uint64_t shards = error ? 0 : redis_u64(redis_at(v, 1), INT32_MAX);
    if (error == NULL && shards != self.conf.redis_shards) {
        link_give_up(l, "shards",
            "the fleet %s has %" PRIu64 " shards and redis.shards is "
            "%u; it must be the same on all gateways",
            self.conf.redis_prefix, shards, (unsigned)self.conf.redis_shards);
        return;
    }
    if (version >= LIBRARY_VERSION) {
        link_ready(l);
        return;
    }
    if (l->loaded) {
        link_give_up(l, "functions",
            "its functions are still of version %" PRIu64 " after loading",
            version);
        return;
    }
    l->loaded = true;
    log_info("redis %s:%u: loading the functions, version %d", l->host, l->port,
        LIBRARY_VERSION);
    size_t len = 0;
    char  *text = functions_make(
         self.conf.redis_prefix, (unsigned)self.conf.redis_shards, &len);
    redis_begin("FUNCTION");
    redis_add("LOAD");
    redis_add("REPLACE");
    redis_addn(text, len);
    if (text == NULL || !redis_issue(ac, loaded_cb, NULL))
        link_give_up(l, "memory", "no memory for the functions");
    free(text);
}

static void
ask_version(struct link *l)
{
    redis_begin("FCALL");
    redis_name("version", "0");
    redis_issue(l->ac, version_cb, NULL);
}

static void
info_cb(redisAsyncContext *ac, void *reply, void *data)
{
    struct link *l = link_awaiting(ac, reply);
    redisReply  *r = reply;
    char         v[64], policy[32];

    (void)data;
    if (l == NULL)
        return;
    if (r->type == REDIS_REPLY_ERROR) {
        bool auth = strncmp(r->str, "NOAUTH", 6) == 0;
        link_give_up(l, auth ? "auth" : "noperm",
            auth ? "it requires a password; set redis.password_file"
                 : "INFO is refused: %s",
            r->str);
        return;
    }
    info(r->str, "loading", v, sizeof v);
    if (strcmp(v, "1") == 0) {
        link_give_up(l, "loading", "it is still loading its data");
        return;
    }
    info(r->str, "role", v, sizeof v);
    info(r->str, "cluster_enabled", policy, sizeof policy);
    l->cluster = strcmp(policy, "1") == 0;
    if (strcmp(v, "slave") == 0 && !l->cluster) {
        link_give_up(l, "readonly",
            "it is a replica and takes no writes; set redis.host to "
            "the primary");
        return;
    }
    info(r->str, "run_id", v, sizeof v);
    l->new_server = strcmp(v, l->run_id) != 0;
    snprintf(l->run_id, sizeof l->run_id, "%.40s", v);
    info(r->str, "maxmemory", v, sizeof v);
    info(r->str, "maxmemory_policy", policy, sizeof policy);
    if (l->new_server && strcmp(v, "0") != 0 &&
        strcmp(policy, "noeviction") != 0)
        log_warn(
            "redis %s:%u: its maxmemory-policy is %s, so it may throw away "
            "sessions and events; set maxmemory-policy noeviction",
            l->host, l->port, policy);
    info(r->str, "aof_enabled", v, sizeof v);
    if (l->new_server && strcmp(v, "1") != 0)
        log_warn(
            "redis %s:%u: it keeps no append-only file, so when it ends it "
            "loses events that consumers have not read; set appendonly yes",
            l->host, l->port);
    ask_version(l);
}

/* AUTH and SELECT must not fail. */
static void
entered_cb(redisAsyncContext *ac, void *reply, void *data)
{
    struct link *l = link_awaiting(ac, reply);
    redisReply  *r = reply;

    if (l == NULL || r->type != REDIS_REPLY_ERROR)
        return;
    if (strncmp(r->str, "LOADING", 7) == 0)
        link_give_up(l, "loading", "it is still loading its data");
    else
        link_give_up(l, "auth",
            "%s is refused: %s; see redis.user, redis.password_file and "
            "redis.db",
            (const char *)data, r->str);
}

void
greeting_enter(struct link *l, redisAsyncContext *ac)
{
    char name[64];

    if (l->secret[0] != '\0') {
        redis_begin("AUTH");
        if (self.conf.redis_user[0] != '\0')
            redis_add(self.conf.redis_user);
        redis_add(l->secret);
        redis_issue(ac, entered_cb, "AUTH");
    }
    if (self.conf.redis_db != 0) {
        redis_begin("SELECT");
        redis_addu(self.conf.redis_db);
        redis_issue(ac, entered_cb, "SELECT");
    }
    snprintf(name, sizeof name, "ocppd:%s:%u", self.shm->node, self.slot);
    redis_begin("CLIENT");
    redis_add("SETNAME");
    redis_add(name);
    redis_issue(ac, NULL, NULL);
}

void
greeting_begin(struct link *l)
{
    l->loaded = false;
    greeting_enter(l, l->ac);
    redis_begin("INFO");
    redis_issue(l->ac, info_cb, NULL);
}
