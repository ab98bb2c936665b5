/*
 * top: `ocppctl top`: a live view of the gateway. It samples once a second,
 * draws the difference, and handles keys. ctl/sample.h describes the samples,
 * ctl/view.h the screen.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "ctl/ctl.h"
#include "ctl/sample.h"
#include "ctl/screen.h"
#include "ctl/view.h"

#define PAST 10      /* samples over which latencies are computed */
#define PATIENCE_S 3 /* s to wait for a daemon that does not answer */
#define MATCH_MAX 128
#define BATCH_COLUMNS 160
#define OUT_MAX (1u << 20)

struct top {
    struct ctl    ctl;
    bool          batch;
    unsigned      every_ms;
    struct view   view;
    struct sample ring[PAST + 1];
    unsigned      n; /* samples in the ring, of which ring[0] is the
                        newest */
    struct sample_points points, points_before, points_first;
    struct buf           silent; /* why the daemon did not answer */
    int                  code;   /* the exit code in that case */
    bool                 paused;
    bool                 typing;           /* the user is typing a pattern */
    char                 match[MATCH_MAX]; /* the pattern as typed */
    char                 pattern[MATCH_MAX + 3];
    char                 foot[256];
};

/* --- options ------------------------------------------------------------- */

static bool
take_every(struct top *t, const char *text)
{
    char  *end;
    double s = strtod(text, &end);

    if (end == text || *end != '\0' || !(s >= 0.1 && s <= 3600)) {
        fprintf(
            stderr, "ocppctl: --every %s: give seconds, 0.1 to 3600\n", text);
        return false;
    }
    t->every_ms = (unsigned)(s * 1000 + 0.5);
    return true;
}

static bool
take_sort(struct top *t, const char *text)
{
    for (int i = 0; i < VIEW_SORTS; i++)
        if (strcmp(view_sort_name[i], text) == 0) {
            t->view.sort = (enum view_sort)i;
            return true;
        }
    ctl_bad_word("top", text);
    return false;
}

/* A word without wildcards matches at any place in an identity. */
static bool
set_match(struct top *t, const char *text)
{
    if (strlen(text) >= sizeof t->match)
        return false;
    memmove(t->match, text, strlen(text) + 1);
    snprintf(t->pattern, sizeof t->pattern,
        strpbrk(text, "*?[") ? "%s" : "*%s*", text);
    t->view.filter.match = text[0] != '\0' ? t->pattern : NULL;
    return true;
}

static bool
take_worker(struct top *t, const char *text)
{
    char *end;
    long  n = strtol(text, &end, 10);

    if (end == text || *end != '\0' || n < 0 || n > 255) {
        ctl_report("--worker %s: give its number", text);
        return false;
    }
    t->view.filter.worker = (int)n;
    return true;
}

static bool
options(struct top *t, int argc, char **argv)
{
    static const struct option table[] = {{"batch", no_argument, NULL, 'b'},
        {"every", required_argument, NULL, 'e'},
        {"sort", required_argument, NULL, 's'},
        {"match", required_argument, NULL, 'm'},
        {"worker", required_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
    int                        c;
    bool                       ok = true;

    optind = 0; /* resets getopt(3) of glibc */
    while (ok && (c = ctl_option(argc, argv, ":b", table)) != -1)
        switch (c) {
        case 'b':
            t->batch = true;
            break;
        case 'e':
            ok = take_every(t, optarg);
            break;
        case 's':
            ok = take_sort(t, optarg);
            break;
        case 'm':
            ok = set_match(t, optarg);
            break;
        case 'w':
            ok = take_worker(t, optarg);
            break;
        default:
            ok = false;
        }
    if (ok && optind == argc)
        return true;
    ctl_usage("top");
    return false;
}

/* --- sampling ------------------------------------------------------------ */

static void
forget(struct top *t)
{
    for (unsigned i = 0; i < t->n; i++)
        sample_free(&t->ring[i]);
    t->n = 0;
}

/* True if another daemon answers than before. */
static bool
started_anew(const struct sample *before, const struct sample *now)
{
    return stat_get(&now->stats.accepted) < stat_get(&before->stats.accepted) ||
        stat_get(&now->stats.pings) < stat_get(&before->stats.pings);
}

static void
copy_points(struct sample_points *to, const struct sample_points *from)
{
    size_t size = (from->n + 1) * sizeof *from->point;

    to->point = malloc(size);
    if (to->point == NULL)
        return;
    memcpy(to->point, from->point, size);
    to->n = from->n;
    to->at_ms = from->at_ms;
}

/* Keeps the first listing, and adds each charge point that appears later. */
static void
remember_first(struct top *t)
{
    if (t->points_first.at_ms == 0) {
        copy_points(&t->points_first, &t->points);
        return;
    }
    for (size_t i = 0; i < t->points.n; i++) {
        const struct sample_point *p = &t->points.point[i];
        if (t->points_first.n >= SAMPLE_POINTS * 8)
            return;
        if (sample_find(&t->points_first, p->name) != NULL)
            continue;
        struct sample_point *more = realloc(
            t->points_first.point, (t->points_first.n + 2) * sizeof *more);
        if (more == NULL)
            return;
        t->points_first.point = more;
        more[t->points_first.n++] = *p;
    }
}

static void
ask_points(struct top *t, bool now)
{
    if (sample_points(
            &t->ctl, &t->view.filter, now, &t->points, &t->points_before))
        remember_first(t);
}

static void
sample(struct top *t, bool points_now)
{
    struct sample s;

    buf_clear(&t->silent);
    if (!sample_take(&t->ctl, &s, &t->silent, &t->code))
        return;
    if (t->n > 0 && started_anew(&t->ring[0], &s)) {
        forget(t);
        sample_points_free(&t->points);
        sample_points_free(&t->points_before);
        sample_points_free(&t->points_first);
    }
    if (t->n == PAST + 1)
        sample_free(&t->ring[--t->n]);
    memmove(t->ring + 1, t->ring, t->n * sizeof *t->ring);
    t->ring[0] = s;
    t->n++;
    ask_points(t, points_now);
}

/* --- drawing ------------------------------------------------------------- */

static void
foot(struct top *t)
{
    struct view *v = &t->view;
    char        *out = t->foot;
    const size_t size = sizeof t->foot;

    v->foot = out;
    v->foot_marked = true;
    if (t->typing)
        snprintf(out, size,
            "only identities with: %s_   (Enter takes it, "
            "Escape shows all)",
            t->match);
    else if (t->silent.len > 0)
        snprintf(
            out, size, "no answer, trying again: %s", buf_cstr(&t->silent));
    else if (t->paused)
        snprintf(out, size, "paused; space continues");
    else {
        v->foot_marked = false;
        snprintf(out, size,
            "q quit  s sort  / filter  w worker  v lists  "
            "+ - interval  space pause");
    }
}

static void
draw(struct top *t)
{
    struct buf   out = BUF_INIT(OUT_MAX);
    struct view *v = &t->view;

    v->now = &t->ring[0];
    v->before = &t->ring[t->n > 1 ? 1 : 0];
    v->past = &t->ring[t->n > 0 ? t->n - 1 : 0];
    v->points = &t->points;
    v->points_before = &t->points_before;
    v->points_first = &t->points_first;
    if (t->batch) {
        v->rows = 0;
        v->columns = BATCH_COLUMNS;
        view_draw(v, &out);
        for (size_t i = 0; i < out.len; i++) /* plain output has no marks */
            if (out.p[i] != '\1' && out.p[i] != '\2')
                putchar(out.p[i]);
    } else {
        screen_size(&v->rows, &v->columns);
        foot(t);
        if (t->n > 0)
            view_draw(v, &out);
        else
            buf_addf(&out, "\1ocppctl top\n%s", t->foot);
        screen_show(&out);
    }
    buf_free(&out);
}

/* --- keys ---------------------------------------------------------------- */

/* Keys while a pattern is typed. True if it changed. */
static bool
type(struct top *t, int key)
{
    size_t n = strlen(t->match);
    char   text[MATCH_MAX];

    memcpy(text, t->match, n + 1);
    if (key == '\r' || key == '\n') {
        t->typing = false;
    } else if (key == '\033') {
        t->typing = false;
        text[0] = '\0';
    } else if (key == 0x7f || key == '\b') {
        /* Remove all bytes of a character. */
        while (n > 0 && (text[--n] & 0xc0) == 0x80)
            ;
        text[n] = '\0';
    } else if (key >= 0x20 && n + 1 < sizeof text) {
        text[n] = (char)key;
        text[n + 1] = '\0';
    }
    return set_match(t, text);
}

/* True if the charge points must be requested again. */
static bool
press(struct top *t, int key)
{
    struct view          *v = &t->view;
    static const unsigned steps[] = {
        250, 500, 1000, 2000, 5000, 10000, 30000, 60000};

    if (t->typing)
        return type(t, key);
    switch (key) {
    case 's':
        v->sort = (v->sort + 1) % VIEW_SORTS;
        break;
    case 'v':
        v->lists = (v->lists + 1) % VIEW_LISTS;
        break;
    case '/':
    case 'f':
        t->typing = true;
        break;
    case 'w':
        if (++v->filter.worker >= (int)(t->n > 0 ? t->ring[0].workers : 0))
            v->filter.worker = -1;
        return true;
    case ' ':
        t->paused = !t->paused;
        break;
    case '+': /* longer interval */
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
            if (steps[i] > t->every_ms) {
                t->every_ms = steps[i];
                break;
            }
        break;
    case '-':
        for (size_t i = sizeof steps / sizeof *steps; i-- > 0;)
            if (steps[i] < t->every_ms) {
                t->every_ms = steps[i];
                break;
            }
        break;
    }
    return false;
}

static int
live(struct top *t)
{
    const char *why;
    bool        ask = true;

    if (!screen_open(&why)) {
        ctl_report("top: %s", why);
        return CTL_USAGE;
    }
    for (uint64_t next = 0;;) {
        uint64_t now = clock_mono_ms();
        if (t->n == 0 || (!t->paused && now >= next)) {
            sample(t, ask);
            next = now + t->every_ms;
            if (t->n == 0) /* the daemon has never answered */
                break;
        } else if (ask) {
            ask_points(t, true);
        }
        ask = false;
        draw(t);
        now = clock_mono_ms();
        int key = screen_wait(t->paused ? -1
                : next > now            ? (int)(next - now)
                                        : 0);
        if (key == SCREEN_QUIT || (!t->typing && (key == 'q' || key == 'Q')))
            break;
        if (key < SCREEN_TIME)
            ask = press(t, key);
        /* After a change of the interval, the new one applies to the next
         * sample. */
        if (next > clock_mono_ms() + t->every_ms)
            next = clock_mono_ms() + t->every_ms;
    }
    screen_close();
    if (t->n > 0)
        return CTL_DONE;
    ctl_report("top: %s", buf_cstr(&t->silent));
    return t->code;
}

/* Prints two samples and the difference between them. */
static int
batch(struct top *t)
{
    struct timespec pause = {
        t->every_ms / 1000, (long)(t->every_ms % 1000) * 1000000};

    sample(t, true);
    if (t->silent.len == 0) {
        nanosleep(&pause, NULL);
        sample(t, true);
    }
    if (t->silent.len > 0) {
        ctl_report("top: %s", buf_cstr(&t->silent));
        return t->code;
    }
    draw(t);
    return fflush(stdout) == 0 ? CTL_DONE : CTL_REFUSED;
}

int
ctl_top(int argc, char **argv, const struct ctl *ctl)
{
    static struct top top;
    struct top       *t = &top;

    *t = (struct top){.ctl = *ctl,
        .every_ms = 1000,
        .view = {.filter = {.worker = -1}},
        .silent = BUF_INIT(4096)};
    t->ctl.patience_s = PATIENCE_S;
    if (ctl->format != 0) {
        ctl_report("top has no JSON; use -j with `stats`, `workers` and "
                   "`connections`");
        return CTL_USAGE;
    }
    if (!options(t, argc, argv))
        return CTL_USAGE;
    int code = t->batch ? batch(t) : live(t);
    forget(t);
    sample_points_free(&t->points);
    sample_points_free(&t->points_before);
    sample_points_free(&t->points_first);
    buf_free(&t->silent);
    return code;
}
