/*
 * points: the charge points on the screen of `ocppctl top`: the busiest ones,
 * and those with problems. See ctl/points.h.
 */
#include "ctl/points.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/screen.h"

#define NAME_COLUMNS 20
#define RECENT_S 600 /* a refusal or a return is shown for this long */

struct row {
    const struct sample_point *p;
    double   rate;   /* messages per second since the former listing */
    int      kind;   /* kind of its problem; 0: none */
    uint64_t weight; /* order among points with the same kind of
                      * problem */
    enum view_sort sort;
};

enum { WELL, AWAY, LOST, RETURNING, REFUSED };

static double
point_rate(const struct view *v, const struct sample_point *p)
{
    if (!p->online || v->points_before->at_ms == 0)
        return 0;
    const struct sample_point *was = sample_find(v->points_before, p->name);
    double s = (double)(v->points->at_ms - v->points_before->at_ms) / 1000.0;
    if (was == NULL || was->generation != p->generation || s <= 0)
        return 0;
    return sample_rate(was->messages, p->messages, s);
}

static bool
left_in_order(const struct sample_point *p)
{
    return strcmp(p->close_reason, "peer_closed") == 0 ||
        strcmp(p->close_reason, "operator") == 0 ||
        strcmp(p->close_reason, "drained") == 0;
}

static bool
recent(const struct view *v, uint64_t then)
{
    return then != 0 && then + RECENT_S > v->now->wall_ms / 1000;
}

/* How often the charge point has reconnected since ocppctl was started. */
static uint64_t
returns(const struct view *v, const struct sample_point *p)
{
    const struct sample_point *first = sample_find(v->points_first, p->name);

    return first != NULL && p->connections > first->connections
        ? p->connections - first->connections
        : 0;
}

static void
judge(const struct view *v, struct row *r)
{
    const struct sample_point *p = r->p;

    r->kind = WELL;
    r->weight = p->closed;
    if (recent(v, p->refused) && p->refused >= p->since) {
        r->kind = REFUSED;
        r->weight = p->refused;
    } else if (returns(v, p) > 0 ||
        (p->connections > 2 && recent(v, p->since))) {
        r->kind = RETURNING;
        r->weight = returns(v, p) << 32 | p->connections;
    } else if (!p->online) {
        r->kind = left_in_order(p) ? AWAY : LOST;
    }
}

static int
by_sickness(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->kind != y->kind)
        return y->kind - x->kind;
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return strcmp(x->p->name, y->p->name);
}

static int
by_business(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->p->online != y->p->online)
        return x->p->online ? -1 : 1;
    if (x->sort == VIEW_RATE && x->rate != y->rate)
        return x->rate < y->rate ? 1 : -1;
    if (x->sort == VIEW_SINCE && x->p->since != y->p->since)
        return x->p->since < y->p->since ? 1 : -1;
    if (x->sort <= VIEW_MESSAGES && x->p->messages != y->p->messages)
        return x->p->messages < y->p->messages ? 1 : -1;
    return strcmp(x->p->name, y->p->name);
}

static void
put_age(struct buf *out, uint64_t now, uint64_t then)
{
    uint64_t age = now > then ? now - then : 0;

    if (then == 0)
        buf_addf(out, "  %6s", "-");
    else if (age >= 2 * 86400)
        buf_addf(out, "  %5" PRIu64 "d", age / 86400);
    else if (age >= 2 * 3600)
        buf_addf(out, "  %5" PRIu64 "h", age / 3600);
    else if (age >= 2 * 60)
        buf_addf(out, "  %5" PRIu64 "m", age / 60);
    else
        buf_addf(out, "  %5" PRIu64 "s", age);
}

static void
put_place(struct buf *out, const struct sample_point *p)
{
    screen_put(out, p->name, NAME_COLUMNS);
    if (p->worker >= 0)
        buf_addf(out, "  %6d", p->worker);
    else
        buf_addf(out, "  %6s", "-");
}

static void
busy_line(struct buf *out, const struct view *v, const struct row *r)
{
    uint64_t now = v->now->wall_ms / 1000;

    put_place(out, r->p);
    buf_addf(out, "  %7.1f  %8" PRIu64, r->rate, r->p->messages);
    put_age(out, now, r->p->since);
    put_age(out, now, r->p->last_seen);
    buf_adds(out, "  ");
    screen_put(out, r->p->action, (unsigned)strlen(r->p->action));
    buf_addc(out, '\n');
}

static void
sick_line(struct buf *out, const struct view *v, const struct row *r)
{
    const struct sample_point *p = r->p;
    uint64_t                   now = v->now->wall_ms / 1000;

    put_place(out, p);
    buf_addf(out, "  %6" PRIu64, p->connections);
    put_age(out, now,
        r->kind == REFUSED ? p->refused
            : p->online    ? p->since
                           : p->closed);
    buf_adds(out, "  ");
    switch (r->kind) {
    case REFUSED:
        buf_addf(out, "refused: %s", p->refuse_reason);
        break;
    case RETURNING:
        buf_adds(out, p->online ? "here" : "away");
        if (returns(v, p) > 0)
            buf_addf(
                out, ", came back %" PRIu64 "x while watched", returns(v, p));
        else
            buf_adds(out, ", comes back often");
        if (p->close_reason[0] != '\0')
            buf_addf(out, "; went: %s", p->close_reason);
        break;
    case LOST:
        buf_addf(out, "lost: %s", p->close_reason);
        break;
    case AWAY:
        buf_addf(out, "away: %s", p->close_reason);
        break;
    }
    buf_addc(out, '\n');
}

static void
list_title(struct buf *out, const struct view *v, bool sick)
{
    char title[32] = "SICKEST";

    if (!sick)
        snprintf(title, sizeof title, "BUSIEST by %s", view_sort_name[v->sort]);
    buf_addf(out, "\1%-*s  WORKER  ", NAME_COLUMNS, title);
    if (sick)
        buf_adds(out, " TIMES     AGO  WHAT");
    else
        buf_adds(out, "  MSG/S  MESSAGES   SINCE    SEEN  LAST ACTION");
    if (v->filter.match != NULL) {
        buf_adds(out, "  only ");
        screen_put(out, v->filter.match, (unsigned)strlen(v->filter.match));
    }
    if (v->filter.worker >= 0)
        buf_addf(out, "  worker %d", v->filter.worker);
    buf_addc(out, '\n');
}

void
points_draw(const struct view *v, bool sick, size_t room, struct buf *out)
{
    size_t      n = 0;
    struct row *row = calloc(v->points->n + 1, sizeof *row);

    if (row == NULL || room < 2) {
        free(row);
        return;
    }
    list_title(out, v, sick);
    for (size_t i = 0; i < v->points->n; i++) {
        struct row *r = &row[n];
        *r = (struct row){.p = &v->points->point[i], .sort = v->sort};
        if (sick)
            judge(v, r);
        else
            r->rate = point_rate(v, r->p);
        if (sick ? r->kind != WELL : r->p->online)
            n++;
    }
    qsort(row, n, sizeof *row, sick ? by_sickness : by_business);
    for (size_t i = 0; i < n && i < room - 1; i++)
        (sick ? sick_line : busy_line)(out, v, &row[i]);
    if (n == 0)
        buf_adds(out, sick ? "none\n" : "no charge point is connected\n");
    free(row);
}
