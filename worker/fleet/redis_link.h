/*
 * redis_link: the connections to one server: the look-up of its name,
 * connecting, deadlines, back-off. Private to redis*.c, the files that include
 * hiredis. Times are those of self.now_ms.
 */
#ifndef WORKER_FLEET_REDIS_LINK_H
#define WORKER_FLEET_REDIS_LINK_H

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "fleet/redis_request.h"
#include "fleet/redis_status.h"
#include "fleet/redis_value.h"

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
    unsigned           port; /* 0: host is the path of a Unix socket */
    enum link_state    state;
    redisAsyncContext *ac;      /* pipelined requests; NULL in PAUSE */
    redisAsyncContext *waiting; /* the connection for blocking requests; only of
                                   links[0] */
    bool waiting_ready;
    bool cluster;
    bool loaded;        /* the library was loaded during this
                           greeting */
    bool new_server;    /* the server is another process than
                           before */
    bool     waits;     /* a blocking request waits for its answer */
    uint64_t pending;   /* requests on ac */
    uint32_t since_ms;  /* when the state began */
    uint32_t pause_ms;  /* length of the pause; UINT32_MAX: for ever */
    uint32_t answer_ms; /* when the last answer came, or the oldest
                           pending request was sent */
    uint32_t waits_ms;  /* deadline of the blocking request */
    unsigned fails;     /* failures in a row */
    bool     asking;    /* the helper has a job for this link */
    /* addresses of the host, from the last look-up; each try uses the next
       one */
    char     address[LINK_ADDRESSES][LINK_ADDRESS_LEN];
    unsigned addresses, tries;
    char     secret[CONF_TEXT_MAX]; /* the password */
    bool     prepared;   /* the helper has answered once; secret is valid */
    char     word[16];   /* word for the last failure */
    char     run_id[44]; /* run_id of the server process of the last
                            connection */
};

extern struct link links[LINKS];
extern unsigned    links_n;

/* The link to that address, which is made if it does not exist; NULL if there
   are too many. */
struct link *link_find(const char *host, unsigned port);
/* Handles the deadlines of a link and the end of its pause. Called at least ten
   times a second. */
void link_tick(struct link *l);
/* Ends the connection, and makes no new one. */
void link_close(struct link *l);

/* Ends the connection and begins a pause. word and sentence: for health and
 * log. Does nothing in a pause. */
void link_give_up(struct link *l, const char *word, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* For the greeting. link_awaiting(): the link that awaits an answer on ac;
 * NULL if the answer is obsolete. link_ready(): the greeting has succeeded. */
struct link *link_awaiting(redisAsyncContext *ac, const void *reply);
void         link_ready(struct link *l);

struct link_calls {
    /* l->ac is being connected: sends the first requests, and ends with
     * link_ready() or link_give_up(). */
    void (*greet)(struct link *l);
    /* The connection for blocking requests is being connected. */
    void (*enter)(struct link *l, redisAsyncContext *ac);
    void (*up)(struct link *l);   /* it is ready */
    void (*down)(struct link *l); /* it is lost */
};

/* Once, before the first link. to must stay valid. */
void link_watch(const struct link_calls *to);

/* In redis_request.c: sends the request that was built on a connection, or
 * returns it as one text, which redisFreeCommand() frees. False if memory is
 * out. */
bool redis_issue(redisAsyncContext *ac, redisCallbackFn *fn, void *data);
bool redis_format(char **text, int *len);

#endif
