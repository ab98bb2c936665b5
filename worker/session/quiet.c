/* quiet: whether a connection is idle in all its parts. See quiet.h. */
#include "session/quiet.h"

#include <stddef.h>

#include "access/guard.h"
#include "fleet/claim.h"
#include "session/session.h"

const char *
conn_busy_part(const struct conn *c)
{
    return !conn_net_quiet(c)  ? "net"
        : !guard_is_quiet(c)   ? "access"
        : !claim_is_quiet(c)   ? "fleet"
        : !session_is_quiet(c) ? "session"
                               : NULL;
}
