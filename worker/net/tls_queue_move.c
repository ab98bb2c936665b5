/* tls_queue_move: a handshake is moved to another process. See tls_queue.h. */
#include <stdio.h>
#include <string.h>

#include "net/tls_queue_private.h"

bool
tls_queue_write(const struct conn *c, struct buf *out)
{
    const struct tls_job *j = c->busy->handshake.tls;

    if (j == NULL)
        return true;
    if (j->done != (c->tls != 0) || (!j->done && j->spoken))
        return false;
    if (!j->done) {
        const struct buf *b = j->h == NULL ? &j->in : &j->raw;
        fields_put_bytes(out, "tls_in", b->p, b->len);
        return true;
    }
    const struct tls_peer *p = &j->peer;
    fields_put_str(out, "tls_suite", tls_suite_name(p->suite));
    fields_put_u64(out, "tls_version", p->version);
    fields_put_u64(out, "tls_resumed", p->resumed);
    if (p->certificate) {
        fields_put_str(out, "tls_cn", p->name.cn);
        fields_put_str(out, "tls_o", p->name.organization);
        fields_put_str(out, "tls_serial", p->name.serial);
        fields_put_bytes(out, "tls_san", p->name.san, p->name.san_len);
        fields_put_i64(out, "tls_not_after", p->name.not_after);
    }
    return true;
}

static void
take_certificate(struct fields *f, struct tls_peer *p)
{
    const struct field *san = fields_find(f, "tls_san");

    p->certificate = true;
    snprintf(p->name.cn, sizeof p->name.cn, "%s",
        fields_str(f, "tls_cn", sizeof p->name.cn - 1));
    snprintf(p->name.organization, sizeof p->name.organization, "%s",
        fields_str(f, "tls_o", sizeof p->name.organization - 1));
    snprintf(p->name.serial, sizeof p->name.serial, "%s",
        fields_str(f, "tls_serial", sizeof p->name.serial - 1));
    if (san != NULL && san->len <= sizeof p->name.san &&
        (san->len == 0 || san->value[san->len - 1] == '\0')) {
        memcpy(p->name.san, san->value, san->len);
        p->name.san_len = (uint16_t)san->len;
    }
    p->name.not_after = fields_i64(f, "tls_not_after", 0, INT64_MIN, INT64_MAX);
}

bool
tls_queue_read(struct conn *c, struct fields *f)
{
    const struct field *in = fields_find(f, "tls_in");
    const char         *suite = fields_str(f, "tls_suite", 64);

    if (in != NULL && c->tls == 0 && in->len > 0)
        tls_queue_input(c, (const uint8_t *)in->value, in->len);
    if (suite[0] == '\0')
        return c->tls == 0;
    struct tls_job *j = tls_queue_job(c);
    if (j == NULL)
        return false;
    j->done = true;
    for (unsigned i = 0; i < TLS_SUITES; i++)
        if (strcmp(tls_suite_name(i), suite) == 0)
            j->peer.suite = (uint8_t)i;
    j->peer.version = (uint8_t)fields_u64(f, "tls_version", 0, UINT8_MAX);
    j->peer.resumed = fields_bool(f, "tls_resumed", false);
    if (fields_find(f, "tls_cn") != NULL)
        take_certificate(f, &j->peer);
    return c->tls != 0;
}
