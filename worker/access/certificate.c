/* certificate: security profiles. See certificate.h. */
#include "access/certificate.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "access/profile_log.h"
#include "base/self.h"
#include "clock.h"
#include "ensure.h"
#include "heap.h"
#include "net/tls_queue.h"

/* For each connection, the digest of the name in its certificate, until the
 * BootNotification, and zeros otherwise. It is an array, because a heap block
 * that is allocated among the short-lived blocks of a handshake would keep
 * their page in use (800 bytes for each connection). */
#define DIGEST TLS_NAME_DIGEST
static uint8_t (*awaited)[DIGEST];
static bool emptied; /* a digest was removed since certificate_trim() */

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
            "the identity used security profile %u before and uses %u now",
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
            "the certificate's O is %s, which tls.client_organization does not "
            "list",
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
        tls_name_digest(s.cn, strlen(s.cn), awaited[conn_index(c)]);
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

void
certificate_open(uint32_t capacity)
{
    /* Only addresses are reserved; the kernel allocates a page when a
     * connection first uses it. */
    awaited = mmap(NULL, capacity * sizeof *awaited, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ensure(awaited != MAP_FAILED);
}

void
certificate_forget(struct conn *c)
{
    if (!c->access.awaits_boot)
        return;
    c->access.awaits_boot = false;
    memset(awaited[conn_index(c)], 0, DIGEST);
    emptied = true;
}

size_t
certificate_trim(void)
{
    if (!emptied)
        return 0;
    emptied = false;
    return heap_drop_zeros(awaited, conn_high() * sizeof *awaited);
}

void
certificate_write(const struct conn *c, struct buf *out)
{
    if (c->access.awaits_boot)
        fields_put_bytes(out, "boot_name", awaited[conn_index(c)], DIGEST);
}

bool
certificate_read(struct conn *c, struct fields *f)
{
    const struct field *name = fields_find(f, "boot_name");

    if (c->state != CONN_OPEN || name == NULL)
        return true;
    if (name->len != DIGEST)
        return false;
    c->access.awaits_boot = true;
    memcpy(awaited[conn_index(c)], name->value, DIGEST);
    return true;
}

/* True if the member of the object holds the name whose digest is expected. */
static bool
has(const struct json *j, uint32_t object, const char *member,
    const uint8_t *expected)
{
    char     text[TLS_NAME_MAX];
    uint8_t  digest[DIGEST];
    bool     full;
    uint32_t v = json_member(j, object, member, strlen(member));

    if (v == 0 || j->tok[v].type != JSON_STRING)
        return false;
    size_t n = json_string(j, v, text, sizeof text, &full);
    tls_name_digest(text, n, digest);
    return full && memcmp(digest, expected, DIGEST) == 0;
}

bool
certificate_booted(struct conn *c, const struct json *boot, uint32_t payload)
{
    if (!c->access.awaits_boot)
        return true;
    const uint8_t *expected = awaited[conn_index(c)];
    uint32_t       station = json_member(
              boot, payload, "chargingStation", strlen("chargingStation"));
    bool good = has(boot, payload, "chargePointSerialNumber", expected) ||
        has(boot, payload, "chargeBoxSerialNumber", expected) ||
        (station != 0 && has(boot, station, "serialNumber", expected));
    if (good)
        certificate_forget(c);
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
