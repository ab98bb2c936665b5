/* fleet: sessions, fences and the inbox in Redis. See fleet.h. */
#include "redis.h"
#include "ship.h"

void
up_redis_ready(unsigned shard, bool new_server)
{
    ship_ready(shard);
}

void
up_redis_lost(unsigned shard)
{
    ship_lost(shard);
}

void
up_redis_listen(void)
{
}
