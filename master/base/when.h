/* when: moments as reports show them, in Unix seconds. Pure. */
#ifndef MASTER_BASE_WHEN_H
#define MASTER_BASE_WHEN_H

#include <stdint.h>

#include "buf.h"

/* "5m ago", "never" for 0. */
void when_ago(struct buf *out, uint64_t now, uint64_t then);
/* RFC 3339, "never" for 0. */
void when_put(struct buf *out, uint64_t then);

#endif
