/* certificate: security profiles. See certificate.h. */
#include "access/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/profile_log.h"
#include "base/self.h"
#include "clock.h"
#include "net/tls_queue.h"

#define BUCKETS 1024

/* The name in a certificate, kept until the BootNotification; in chains by the
 * index of the connection. */
struct awaited {
    struct awaited *next;
    cref            self;
    char            cn[];
};

static struct awaited *chains[BUCKETS];

/* The security profile and certificate of a connection, from its own TLS or
   from a proxy. */
struct shown {
    unsigned               profile; /* 1 to 3 */
    const char            *cn;
    const struct tls_name *name; /* NULL if a proxy has verified the
                                    certificate */
};

static struct shown
shown(const struct conn *c)
{
    const struct tls_peer *peer = tls_queue_peer(c);
    struct shown           s = {1, "", NULL};

    if (peer != NULL) {
        s.profile = peer->certificate ? 3 : 2;
        s.cn = peer->name.cn;
        s.name = &peer->name;
    } else if (c->busy != NULL && c->busy->handshake.profile > 1) {
        s.profile = c->busy->handshake.profile;
        s.cn = c->busy->handshake.cn;
    }
    return s;
}

static bool
is(const char *text, const char *name, size_t len)
{
    return strlen(text) == len && memcmp(text, name, len) == 0;
}

enum refuse_reason
certificate_check(
    const struct conn *c, const char *name, size_t len, const char **detail)
{
    static char  words[SHM_DETAIL_MAX];
    struct shown s = shown(c);
    unsigned     before = 0;
    uint32_t     end;
    uint32_t     entry = registry_find(self.registry, name, len, false);

    if (entry != REGISTRY_NONE)
        registry_certificate(self.registry, entry, &before, &end);
    if (self.conf.tls_refuse_downgrade && s.profile < before) {
        snprintf(words, sizeof words,
            "it has used security profile %u before and comes with %u now",
            before, s.profile);
        *detail = words;
        return REFUSE_tls_downgrade;
    }
    if (s.profile < 3)
        return REFUSE_REASONS;
    bool good = true;
    if (self.conf.tls_client_name == CONF_tls_client_name_identity)
        good = is(s.cn, name, len);
    else if (self.conf.tls_client_name == CONF_tls_client_name_san)
        good = s.name != NULL && tls_name_has_san(s.name, name, len);
    else
        good = s.cn[0] != '\0';
    if (!good) {
        bool        san = self.conf.tls_client_name == CONF_tls_client_name_san;
        const char *what = san ? "first alternative name" : "CN";
        const char *has = !san ? s.cn : s.name != NULL ? s.name->san : "";
        if (has[0] == '\0')
            snprintf(words, sizeof words,
                "the certificate has no %s that can be an identity", what);
        else
            snprintf(words, sizeof words,
                "the certificate's %s is %.64s, the identity in the URL %.*s",
                what, has, (int)len, name);
        *detail = words;
        return REFUSE_tls_name;
    }
    if (s.name != NULL &&
        !tls_name_in_list(
            self.conf.tls_client_organization, s.name->organization)) {
        snprintf(words, sizeof words,
            "the certificate's O is %s; tls.client_organization has others",
            s.name->organization);
        *detail = words;
        return REFUSE_tls_organization;
    }
    return REFUSE_REASONS;
}

bool
certificate_proves(const struct conn *c)
{
    return shown(c).profile == 3 &&
        self.conf.tls_client_name != CONF_tls_client_name_serial;
}

static void
await_boot(struct conn *c, const char *cn)
{
    size_t           n = strlen(cn) + 1;
    struct awaited  *a = malloc(sizeof *a + n);
    struct awaited **at = &chains[conn_index(c) % BUCKETS];

    if (a == NULL)
        return; /* certificate_booted() then finds no name, and refuses */
    a->self = c->self;
    memcpy(a->cn, cn, n);
    a->next = *at;
    *at = a;
}

void
certificate_opened(struct conn *c)
{
    struct shown s = shown(c);
    uint32_t     end = 0;

    if (s.profile == 3 && s.name != NULL && s.name->not_after > 0 &&
        s.name->not_after / REGISTRY_END_S < REGISTRY_ENDS - 1)
        end = (uint32_t)(s.name->not_after / REGISTRY_END_S) + 1;
    /* Without TLS the table stays untouched, and takes no memory. */
    if (s.profile > 1) {
        unsigned    before;
        uint32_t    former;
        size_t      len;
        const char *name = registry_name(self.registry, c->session.entry, &len);
        registry_certificate(self.registry, c->session.entry, &before, &former);
        registry_set_certificate(
            self.registry, c->session.entry, s.profile, end);
        if (s.profile > before)
            profile_log_put(name, len, s.profile);
    }
    c->access.awaits_boot = s.profile == 3 &&
        self.conf.tls_client_name == CONF_tls_client_name_serial;
    c->access.expires = end != 0;
    if (c->access.awaits_boot)
        await_boot(c, s.cn);
}

void
certificate_put(struct writer *w, const struct conn *c)
{
    struct shown           s = shown(c);
    const struct tls_peer *peer = tls_queue_peer(c);
    char                   end[CLOCK_RFC3339_LEN + 1];

    writer_u64(w, "securityProfile", s.profile);
    if (s.profile == 1)
        return;
    writer_open(w, "tls", '{');
    if (peer != NULL) {
        writer_str(w, "version", peer->version == RECORD_TLS13 ? "1.3" : "1.2");
        writer_str(w, "cipherSuite", tls_suite_name(peer->suite));
        writer_bool(w, "resumed", peer->resumed);
    } else {
        writer_bool(w, "byProxy", true);
    }
    if (s.profile == 3) {
        writer_str(w, "commonName", s.cn);
        if (s.name != NULL) {
            writer_str(w, "organizationName", s.name->organization);
            writer_str(w, "serialNumber", s.name->serial);
            clock_rfc3339(end, (uint64_t)s.name->not_after * 1000);
            writer_str(w, "notAfter", end);
        }
    }
    writer_close(w);
}

/* --- tls.client_name = serial -------------------------------------------- */

static struct awaited **
find(const struct conn *c)
{
    struct awaited **at = &chains[conn_index(c) % BUCKETS];

    while (*at != NULL && (*at)->self != c->self)
        at = &(*at)->next;
    return at;
}

void
certificate_gone(struct conn *c)
{
    if (!c->access.awaits_boot)
        return;
    struct awaited **at = find(c), *a = *at;
    if (a != NULL) {
        *at = a->next;
        free(a);
    }
    c->access.awaits_boot = false;
}

void
certificate_write(const struct conn *c, struct buf *out)
{
    if (!c->access.awaits_boot)
        return;
    const struct awaited *a = *find(c);
    fields_put_str(out, "boot_cn", a != NULL ? a->cn : "");
}

bool
certificate_read(struct conn *c, struct fields *f)
{
    if (c->state != CONN_OPEN || fields_find(f, "boot_cn") == NULL)
        return true;
    c->access.awaits_boot = true;
    await_boot(c, fields_str(f, "boot_cn", TLS_NAME_MAX - 1));
    return true;
}

/* True if the member of that object is this text. */
static bool
has(const struct json *j, uint32_t object, const char *member, const char *text)
{
    uint32_t v = json_member(j, object, member, strlen(member));

    return v != 0 && json_equals(j, v, text, strlen(text));
}

bool
certificate_booted(struct conn *c, const struct json *boot, uint32_t payload)
{
    if (!c->access.awaits_boot)
        return true;
    struct awaited *a = *find(c);
    bool            good = false;

    if (a != NULL) {
        uint32_t station = json_member(
            boot, payload, "chargingStation", strlen("chargingStation"));
        good = has(boot, payload, "chargePointSerialNumber", a->cn) ||
            has(boot, payload, "chargeBoxSerialNumber", a->cn) ||
            (station != 0 && has(boot, station, "serialNumber", a->cn));
    }
    if (good)
        certificate_gone(c);
    return good;
}

enum close_reason
certificate_tick(const struct conn *c)
{
    unsigned profile;
    uint32_t end;

    if (!c->access.expires || !self.conf.tls_close_expired)
        return CLOSE_REASONS;
    registry_certificate(self.registry, c->session.entry, &profile, &end);
    return end != 0 && self.wall_ms / 1000 / REGISTRY_END_S >= end
        ? CLOSE_certificate_expired
        : CLOSE_REASONS;
}
