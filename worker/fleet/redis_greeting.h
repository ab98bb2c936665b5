/*
 * redis_greeting: the first requests on a connection to a server.
 *
 *     AUTH, SELECT, CLIENT SETNAME, INFO
 *     FCALL PREFIX_version  --- older or none ---> FUNCTION LOAD, again
 *
 * They check that the server can be used: a primary that is not loading, with
 * the configured number of shards, and with functions that are not older than
 * those of this gateway. Ends with link_ready() or link_give_up(). Private to
 * redis*.c.
 */
#ifndef WORKER_FLEET_REDIS_GREETING_H
#define WORKER_FLEET_REDIS_GREETING_H

#include "fleet/redis_link.h"

/* Begins the greeting on l->ac, right after connecting. */
void greeting_begin(struct link *l);
/* Sends AUTH, SELECT and CLIENT SETNAME, on either connection. */
void greeting_enter(struct link *l, redisAsyncContext *ac);

#endif
