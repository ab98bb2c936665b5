/*
 * redis_greeting: the first requests on a connection to a server.
 *
 *     AUTH, SELECT, CLIENT SETNAME, INFO
 *     FCALL PREFIX_version  --- older or none ---> FUNCTION LOAD, again
 *
 * They find out whether the server is the right one: a primary that is not
 * still loading, for the number of shards that is configured, with functions
 * that are not older than this gateway's. Ends with link_ready() or
 * link_give_up(). Private to redis_link.c.
 */
#ifndef WORKER_FLEET_REDIS_GREETING_H
#define WORKER_FLEET_REDIS_GREETING_H

#include "fleet/redis_link.h"

/* On l->ac, right after connecting. */
void greeting_begin(struct link *l);
/* AUTH, SELECT and CLIENT SETNAME only, on either connection. */
void greeting_enter(struct link *l, redisAsyncContext *ac);

#endif
