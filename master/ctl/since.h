/* since: a time on the command line: RFC 3339, or how long ago. */
#ifndef MASTER_CTL_SINCE_H
#define MASTER_CTL_SINCE_H

#include <stdbool.h>
#include <stdint.h>

/* Wall clock; false with a message. */
bool ctl_since(const char *text, uint64_t *wall_ms);

#endif
