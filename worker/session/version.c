/* version: the OCPP version of a connection. See version.h. */
#include "session/version.h"

#include <fnmatch.h>
#include <string.h>

#include "base/self.h"
#include "registry.h"

/* The version that a rule of ocpp.version_rules prefers for this identity;
 * DIALECTS if there is none. */
static unsigned
preferred(const char *name, size_t len)
{
    char        identity[IDENTITY_MAX + 1], item[CONF_LIST_MAX];
    const char *cursor = self.conf.ocpp_version_rules;

    if (cursor[0] == '\0' || len >= sizeof identity)
        return DIALECTS;
    memcpy(identity, name, len);
    identity[len] = '\0';
    while (config_list_next(&cursor, item, sizeof item)) {
        char *version = strrchr(item, '=');
        *version++ = '\0';
        if (fnmatch(item, identity, 0) != 0)
            continue;
        for (unsigned i = 0; i < DIALECTS; i++)
            if (strcmp(version, dialects[i].name) == 0)
                return i;
    }
    return DIALECTS;
}

/* Picks one of the enabled versions: the one that a rule prefers, or the first
 * in the order of ocpp.versions. */
static int
pick(const struct http_request *r, const char *identity, size_t len,
    enum dialect_number *protocol)
{
    const char *names[DIALECTS + 1];
    uint8_t     which[DIALECTS + 1] = {0};
    size_t      n = 0;
    char        item[32];
    const char *cursor = self.conf.ocpp_versions;
    unsigned    first = preferred(identity, len);

    if (first < DIALECTS) {
        names[n] = dialects[first].name;
        which[n++] = (uint8_t)first;
    }
    while (config_list_next(&cursor, item, sizeof item))
        for (unsigned i = 0; i < DIALECTS; i++)
            if (strcmp(item, dialects[i].name) == 0 && n <= DIALECTS) {
                names[n] = dialects[i].name;
                which[n++] = (uint8_t)i;
            }
    int k = http_pick_subprotocol(r, names, n);
    if (k >= 0)
        *protocol = (enum dialect_number)which[k];
    return k;
}

bool
version_choose(const struct http_request *r, const char *identity, size_t len,
    enum dialect_number *protocol, bool *named)
{
    int picked = pick(r, identity, len, protocol);

    *named = picked >= 0;
    return *named ||
        (picked == HTTP_OFFERED_NOTHING &&
            self.conf.websocket_accept_missing_subprotocol);
}
