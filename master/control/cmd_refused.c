/* `refused`: the last refused handshakes, from the rings in shared memory.
 * See command.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "base/master.h"
#include "clock.h"
#include "close.h"
#include "control/command.h"
#include "control/refused.h"
#include "printable.h"
#include "writer.h"

#define LIMIT_DEFAULT 20
#define LIMIT_MOST 100000 /* more than the records that can exist */
#define BODY_MAX (16u << 20)

/* Copies a record. A worker may be writing it at this moment; then seq is odd,
 * or changes. */
static bool
copy_refusal(struct shm_refusal *from, struct shm_refusal *to)
{
    for (int i = 0; i < 100; i++) {
        uint64_t seq = atomic_load_explicit(&from->seq, memory_order_acquire);
        if (seq == 0)
            return false; /* never written */
        if (seq & 1)
            continue;
        memcpy(to, from, sizeof *to);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&from->seq, memory_order_relaxed) == seq)
            return true;
    }
    return false; /* a worker died while it wrote the record */
}

static int
newest_first(const void *a, const void *b)
{
    const struct shm_refusal *x = a, *y = b;

    return (x->wall_ms < y->wall_ms) - (x->wall_ms > y->wall_ms);
}

/* Workers write the records, so their content is checked. */
static bool
is_sound(struct shm_refusal *r)
{
    r->path[sizeof r->path - 1] = '\0';
    r->offered[sizeof r->offered - 1] = '\0';
    r->detail[sizeof r->detail - 1] = '\0';
    return r->reason < REFUSE_REASONS && r->name_len <= sizeof r->name;
}

size_t
refused_most(void)
{
    return (size_t)master.slots * (SHM_REFUSALS + SHM_SILENT);
}

size_t
refused_copy(struct shm_refusal *all, const char *name)
{
    size_t n = 0;

    for (unsigned s = 0; s < master.slots; s++)
        for (unsigned i = 0; i < SHM_REFUSALS + SHM_SILENT; i++) {
            struct shm_refusal *r = &all[n];
            if (!copy_refusal(&shm_worker(master.shm, s)->refusal[i], r) ||
                !is_sound(r))
                continue;
            if (name != NULL &&
                (r->name_len != strlen(name) ||
                    memcmp(r->name, name, r->name_len) != 0))
                continue;
            n++;
        }
    qsort(all, n, sizeof *all, newest_first);
    return n;
}

void
refused_json(const struct shm_refusal *r, struct writer *w)
{
    char text[ADDRESS_LEN];

    writer_open(w, NULL, '{');
    clock_rfc3339(text, r->wall_ms);
    writer_str(w, "time", text);
    clock_rfc3339(text, r->first_ms);
    writer_str(w, "first", text);
    writer_u64(w, "count", r->count);
    address_text(text, r->addr, r->port);
    writer_str(w, "address", text);
    writer_strn(w, "identity", r->name, r->name_len);
    writer_str(w, "path", r->path);
    writer_str(w, "offered", r->offered);
    writer_str(w, "reason", refuse_info[r->reason].word);
    writer_u64(w, "status", r->status);
    writer_str(w, "sentence", refuse_info[r->reason].sentence);
    writer_str(w, "detail", r->detail);
    writer_close(w);
}

void
refused_text(const struct shm_refusal *r, struct buf *out)
{
    char when[CLOCK_RFC3339_LEN + 1], addr[ADDRESS_LEN];
    char name[3 * IDENTITY_MAX + 1];

    clock_rfc3339(when, r->wall_ms);
    address_text(addr, r->addr, r->port);
    printable_percent(name, sizeof name, r->name, r->name_len);
    buf_addf(out, "%s  %-21s  %3d %-15s  ", when, addr, r->status,
        refuse_info[r->reason].word);
    if (name[0] != '\0')
        buf_addf(out, "%s: ", name);
    buf_adds(out, refuse_info[r->reason].sentence);
    if (r->detail[0] != '\0')
        buf_addf(out, " (%s)", r->detail);
    if (r->path[0] != '\0')
        buf_addf(out, "; path %s", r->path);
    if (r->offered[0] != '\0')
        buf_addf(out, "; offered %s", r->offered);
    if (r->count > 1) {
        clock_rfc3339(when, r->first_ms);
        buf_addf(out, "; %" PRIu32 " times since %s", r->count, when);
    }
    buf_addc(out, '\n');
}

void
cmd_refused(struct client *c, int argc, char **argv)
{
    static const char *const names[] = {"--limit"};
    const char              *v[1] = {NULL};
    uint64_t                 limit = LIMIT_DEFAULT;
    size_t                   n;

    if (!command_options(c, &argc, argv, names, v, 1))
        return;
    if (argc > 1) {
        command_usage(c, argv, "too many words");
        return;
    }
    if (v[0] != NULL &&
        !command_number(c, argv, "--limit", v[0], 1, LIMIT_MOST, &limit))
        return;
    struct shm_refusal *all = calloc(refused_most(), sizeof *all);
    if (all == NULL) {
        control_replyf(c, CONTROL_FAILED, "refused: out of memory");
        return;
    }
    n = refused_copy(all, NULL);
    if (n > limit)
        n = limit;

    struct buf    out = BUF_INIT(BODY_MAX);
    struct writer w = WRITER_INIT(&out);
    if (c->format == 'j')
        writer_open(&w, NULL, '[');
    for (size_t i = 0; i < n; i++)
        if (c->format == 'j')
            refused_json(&all[i], &w);
        else
            refused_text(&all[i], &out);
    if (c->format == 'j') {
        writer_close(&w);
        buf_addc(&out, '\n');
    } else if (n == 0) {
        buf_adds(&out, "no handshake was refused\n");
    }
    free(all);
    control_reply_buf(c, CONTROL_DONE, &out);
    buf_free(&out);
}
