/*
 * redis_link: one server that redis.c talks to: look-up of its name,
 * connecting, deadlines, back-off. Private to redis*.c, the files that know
 * hiredis.
 */
#ifndef WORKER_FLEET_REDIS_LINK_H
#define WORKER_FLEET_REDIS_LINK_H

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "fleet/redis.h"

#define LINKS 64 /* servers of a cluster */

enum link_state {
    LINK_PAUSE,
    LINK_PREPARING, /* a helper looks up the name and reads the password */
    LINK_CONNECTING,
    LINK_GREETING,
    LINK_READY
};

#define LINK_ADDRESSES 8
#define LINK_ADDRESS_LEN 64

struct link {
    char               host[CONF_TEXT_MAX];
    unsigned           port; /* 0: the Unix socket host */
    enum link_state    state;
    redisAsyncContext *ac;      /* pipelined requests; NULL in PAUSE */
    redisAsyncContext *waiting; /* the one that may block; of links[0] */
    bool               waiting_ready;
    bool               cluster;
    bool               loaded;     /* the library, during this greeting */
    bool               new_server; /* another process than before */
    bool               waits;      /* a blocking request is out */
    uint64_t           pending;    /* requests on ac */
    uint32_t           since_ms;   /* of the state */
    uint32_t           pause_ms;
    uint32_t           answer_ms; /* last answer, or first of what is pending */
    uint32_t           waits_ms;  /* until when the blocking one has time */
    unsigned           fails;     /* in a row */
    bool               asking;    /* the helper has a job for it */
    /* of the host, as the last look-up gave them; each try takes the next */
    char     address[LINK_ADDRESSES][LINK_ADDRESS_LEN];
    unsigned addresses, tries;
    char     secret[CONF_TEXT_MAX]; /* the password */
    bool     prepared;   /* the helper has answered once; secret is valid */
    char     word[16];   /* of the last failure */
    char     run_id[44]; /* of the process it was connected to */
};

extern struct link links[LINKS];
extern unsigned    links_n;

/* The link of that address, made if need be; NULL if there are too many. */
struct link *link_find(const char *host, unsigned port);
void         link_tick(struct link *l);
void         link_close(struct link *l);

/* Ends it and begins a pause. word and sentence: for health and log. Does
 * nothing in a pause. */
void link_give_up(struct link *l, const char *word, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* For redis_greeting.c: the link for which an answer on ac is, NULL if it is
 * not wanted any more; and the end of the greeting. */
struct link *link_awaiting(redisAsyncContext *ac, const void *reply);
void         link_ready(struct link *l);

/* In redis.c: what was built goes out on a connection. */
bool redis_issue(redisAsyncContext *ac, redisCallbackFn *fn, void *data);
/* In redis.c: the link's shards are ready, or lost. */
void redis_link_up(struct link *l);
void redis_link_down(struct link *l);

#endif
