/* permits: the messages allowed while the boot is Pending. See permits.h. */
#include "session/permits.h"

#include <stdlib.h>
#include <string.h>

/* By index of the connection. */
static uint16_t *permits;
static uint32_t  permits_n;

void
permits_add(const struct conn *c, uint16_t set)
{
    uint32_t i = conn_index(c);

    if (i >= permits_n) {
        uint32_t  n = conn_high() > i ? conn_high() : i + 1;
        uint16_t *p = realloc(permits, n * sizeof *p);
        if (p == NULL)
            return;
        memset(p + permits_n, 0, (n - permits_n) * sizeof *p);
        permits = p;
        permits_n = n;
    }
    permits[i] |= set;
}

uint16_t
permits_of(const struct conn *c)
{
    uint32_t i = conn_index(c);

    return i < permits_n ? permits[i] : 0;
}

void
permits_clear(const struct conn *c)
{
    uint32_t i = conn_index(c);

    if (i < permits_n)
        permits[i] = 0;
}
