/* transport: what carries a connection's bytes. See transport.h. */
#include "net/transport.h"

#include <string.h>

#include "base/self.h"
#include "base/up.h"
#include "cidr.h"
#include "ensure.h"
#include "net/proxyproto.h"
#include "net/transport_tls.h"

/* --- plain TCP ----------------------------------------------------------- */

static void
plain_input(struct conn *c, uint8_t *p, size_t n)
{
    up_bytes(c, p, n);
}

static bool
plain_wrap(struct conn *c, const void *p, size_t n, struct wire *w)
{
    (void)c;
    *w = (struct wire){p, n};
    return true;
}

static void
plain_unwrap(struct conn *c)
{
    (void)c;
}

static void
plain_finish(struct conn *c, struct wire *w)
{
    (void)c;
    *w = (struct wire){NULL, 0};
}

static void
plain_free(struct conn *c)
{
    (void)c;
}

static bool
plain_quiet(const struct conn *c)
{
    (void)c;
    return true;
}

static bool
plain_write(struct conn *c, struct buf *out)
{
    (void)c, (void)out;
    return true;
}

static bool
plain_read(struct conn *c, struct fields *f)
{
    (void)c, (void)f;
    return true;
}

const struct transport transports[LISTENER_KINDS] = {
    [LISTENER_PLAIN] = {"plain", plain_input, plain_wrap, plain_unwrap,
        plain_finish, plain_free, plain_quiet, plain_write, plain_read},
    [LISTENER_TLS] = {"tls", transport_tls_input, transport_tls_wrap,
        transport_tls_unwrap, transport_tls_finish, transport_tls_free,
        transport_tls_quiet, transport_tls_write, transport_tls_read},
};

/* --- the PROXY header ---------------------------------------------------- */

/* True if the proxy with this address may report the certificate of its
 * client. */
static bool
trusted_for_tls(const uint64_t addr[2])
{
    const char *cursor = self.conf.tls_proxy_from;
    char        item[CONF_LIST_MAX];
    struct cidr range;

    while (config_list_next(&cursor, item, sizeof item))
        if (cidr_parse(item, &range) && cidr_has(&range, addr))
            return true;
    return false;
}

size_t
transport_take_header(struct conn *c, const uint8_t *p, size_t n)
{
    struct conn_handshake *h = &c->busy->handshake;
    size_t                 before = h->in.len, room = PROXYPROTO_MAX - before;
    struct proxyproto      got;

    if (!buf_add(&h->in, p, n < room ? n : room)) {
        up_refused(c, REFUSE_too_large, NULL);
        return n;
    }
    switch (proxyproto_parse((const uint8_t *)h->in.p, h->in.len, &got)) {
    case PROXYPROTO_INCOMPLETE:
        if (h->in.len == PROXYPROTO_MAX)
            up_refused(c, REFUSE_too_large, NULL);
        return n;
    case PROXYPROTO_ABSENT:
        h->proxy = false;
        h->forwarded = CONN_FORWARDED_MUST;
        buf_free(&h->in);
        return up_peer_known(c) ? 0 : n;
    case PROXYPROTO_ERROR:
        up_refused(c, REFUSE_no_proxy_header, got.why);
        return n;
    case PROXYPROTO_PEER:
        /* h->addr is still the address of the proxy. */
        if (got.tls && trusted_for_tls(h->addr)) {
            h->profile = got.cn[0] != '\0' ? 3 : 2;
            memcpy(h->cn, got.cn, sizeof h->cn);
        }
        memcpy(h->addr, got.addr, sizeof got.addr);
        h->port = got.port;
        h->proxied = true;
        break;
    case PROXYPROTO_LOCAL:
        break;
    }
    STAT_INC(self.st, proxied);
    h->proxy = false;
    buf_free(&h->in);
    /* The header was incomplete before these bytes came. */
    ensure(got.consumed > before && got.consumed - before <= n);
    return up_peer_known(c) ? got.consumed - before : n;
}
