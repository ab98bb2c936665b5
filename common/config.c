/* config: the settings of one daemon. See config.h. */
#include "config.h"

#include <string.h>

bool
config_list_next(const char **cursor, char *item, size_t size)
{
    const char *s = *cursor;

    while (*s == ' ')
        s++;
    size_t n = strcspn(s, " ");
    *cursor = s + n;
    if (n == 0)
        return false;
    if (n >= size)
        n = size - 1;
    memcpy(item, s, n);
    item[n] = '\0';
    return true;
}

bool
config_has_redis(const struct config *c)
{
    return c->redis_host[0] != '\0' || c->redis_socket[0] != '\0';
}

uint64_t
config_stream_alarm(const struct config *c)
{
    return c->redis_stream_max / 100 * 80;
}
