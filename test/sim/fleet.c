/* fleet: the charge points of one process. See fleet.h. */
#include "fleet.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/ensure.h"
#include "ledger.h"
#include "point.h"

#define COMPLAINTS_MAX 10u
#define RESERVED_FDS 48u
#define CALM_S 0.05         /* the tick while no charge point is connecting */
#define PUMP_NS 200000u     /* shortest time between two turns of the pump */
#define PUMP_BURST 512u     /* messages between two reads of answers */
#define CONNECTING_MAX 512u /* attempts of the ramp at the same time */

struct fleet fleet;
struct wheel fleet_wheel;

static ev_timer   ticker;
static ev_prepare before_sleep;
static uint64_t   start_ms;
static uint32_t   opened; /* connections that the ramp has opened */
static bool       stormed, quitting;

/* The queue of charge points that may send, in the order in which they became
 * ready. */
static uint32_t ready_head = WHEEL_NONE, ready_tail = WHEEL_NONE;

/* The pump. */
static ev_io    pump_io;
static uint64_t pumped;       /* messages of the load that were sent */
static uint64_t pump_next_ns; /* time at which the next one is due */
static bool     pump_armed;

/* Sockets that stay open and silent, in a ring, the oldest first. */
static int     *buried;
static uint32_t buried_max, buried_at, buried_count;

void
fleet_complain(const char *fmt, ...)
{
    static unsigned count;
    va_list         ap;
    char            line[512];

    if (count++ >= COMPLAINTS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    fprintf(stderr, "ocppsim: %s%s\n", line,
        count == COMPLAINTS_MAX ? " (and so on)" : "");
}

double
fleet_chance(void)
{
    fleet.rng ^= fleet.rng << 13;
    fleet.rng ^= fleet.rng >> 7;
    fleet.rng ^= fleet.rng << 17;
    return (double)(fleet.rng >> 11) / 9007199254740992.0;
}

uint32_t
fleet_ticks(double seconds)
{
    double ticks = seconds * 1000 / FLEET_TICK_MS;

    return ticks < 1 ? 1u : ticks > 4e9 ? 4000000000u : (uint32_t)ticks;
}

uint64_t
fleet_capacity(const struct options *o)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur < 2 * RESERVED_FDS)
        return RESERVED_FDS;
    uint64_t fds = rl.rlim_cur == RLIM_INFINITY ? 20000u : rl.rlim_cur;
    fds -= RESERVED_FDS;
    if (fds > 20000u)
        fds = 20000u;
    /* Silent sockets need descriptors in addition to those of the connections.
     */
    return o->half_open > 0 ? fds / 2 : fds;
}

void
fleet_bury(int fd)
{
    if (buried_max == 0) {
        uint64_t room = 2 * fleet_capacity(fleet.o);
        buried_max =
            room > fleet.count + 16u ? (uint32_t)(room - fleet.count) : 16u;
        buried = calloc(buried_max, sizeof *buried);
        ensure(buried != NULL);
    }
    if (buried_count == buried_max) {
        close(buried[buried_at]);
        buried_count--;
        buried_at = (buried_at + 1) % buried_max;
    }
    buried[(buried_at + buried_count++) % buried_max] = fd;
}

/* --- the pump ------------------------------------------------------------ */

static uint64_t
meant(uint64_t k)
{
    /* The processes send in turn. */
    double n = (double)(k * fleet.processes + fleet.process);
    return atomic_load(&fleet.shared->run_ns) +
        (uint64_t)(n * 1e9 / fleet.o->rate);
}

static void
ready_append(struct point *p)
{
    uint32_t i = (uint32_t)(p - fleet.points);

    p->flags |= POINT_READY;
    p->ready_next = WHEEL_NONE;
    p->ready_prev = ready_tail;
    if (ready_tail == WHEEL_NONE)
        ready_head = i;
    else
        fleet.points[ready_tail].ready_next = i;
    ready_tail = i;
}

void
fleet_unready(struct point *p)
{
    if (!(p->flags & POINT_READY))
        return;
    p->flags &= (uint16_t)~POINT_READY;
    if (p->ready_prev == WHEEL_NONE)
        ready_head = p->ready_next;
    else
        fleet.points[p->ready_prev].ready_next = p->ready_next;
    if (p->ready_next == WHEEL_NONE)
        ready_tail = p->ready_prev;
    else
        fleet.points[p->ready_next].ready_prev = p->ready_prev;
}

static void
pump_arm(uint64_t now)
{
    uint64_t at = pump_next_ns > now + PUMP_NS ? pump_next_ns : now + PUMP_NS;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / 1000000000u),
                                  .tv_nsec = (long)(at % 1000000000u)}};

    pump_armed =
        timerfd_settime(pump_io.fd, TFD_TIMER_ABSTIME, &when, NULL) == 0;
}

static void
pump(uint64_t now)
{
    double   d = fleet.o->duration;
    uint64_t end = d > 0
        ? atomic_load(&fleet.shared->run_ns) + (uint64_t)(d * 1e9)
        : UINT64_MAX;

    for (unsigned n = 0; n < PUMP_BURST; n++) {
        if (pump_next_ns > now || pump_next_ns >= end ||
            ready_head == WHEEL_NONE)
            break;
        struct point *p = &fleet.points[ready_head];
        fleet_unready(p);
        story_load(p, pump_next_ns);
        pump_next_ns = meant(++pumped);
    }
    if (!pump_armed && ready_head != WHEEL_NONE && pump_next_ns < end)
        pump_arm(now);
}

static bool
pumping(void)
{
    return fleet.phase == FLEET_RUN && fleet.o->rate > 0;
}

static void
pump_cb(struct ev_loop *loop, ev_io *io, int revents)
{
    uint64_t fired;

    (void)loop;
    (void)revents;
    if (read(io->fd, &fired, sizeof fired) < 0)
        return;
    pump_armed = false;
    if (pumping())
        pump(clock_mono_ns());
}

void
fleet_linked(struct link *l)
{
    (void)l;
    if (pumping() && !pump_armed)
        pump(clock_mono_ns());
}

void
fleet_ready(struct point *p)
{
    const struct options *o = fleet.o;

    if (!o->load || fleet.phase != FLEET_RUN || !(p->flags & POINT_ACTIVE) ||
        (p->flags & POINT_READY))
        return;
    if (o->messages > 0 && p->load_sent >= o->messages) {
        if (!(p->flags & POINT_FINISHED)) {
            p->flags |= POINT_FINISHED;
            fleet.unfinished--;
        }
        return;
    }
    if (o->rate > 0)
        ready_append(p);
    else
        story_load(p, 0);
}

/* --- phases -------------------------------------------------------------- */

static void
ramp(void)
{
    double   rate = fleet.o->ramp / fleet.processes;
    double   ms = (double)(clock_mono_ms() - start_ms);
    uint32_t target = fleet.count;

    if (rate > 0 && rate * ms / 1000 + 1 < target)
        target = (uint32_t)(rate * ms / 1000) + 1;
    while (opened < target &&
        tally_get(fleet.tally, connecting) < CONNECTING_MAX) {
        struct point *p = &fleet.points[opened++];
        point_connect_at(p, fleet.tick, 0);
        point_fire((uint32_t)(p - fleet.points));
    }
}

static void
storm(void)
{
    uint64_t at = atomic_load(&fleet.shared->storm_ns);

    if (at == 0 || stormed)
        return;
    stormed = true;
    for (uint32_t i = 0; i < fleet.count; i++) {
        struct point *p = &fleet.points[i];
        if (p->link.state == LINK_DOWN && p->connect_due == 0)
            continue;
        point_drop(p, false);
        double delay = fleet.o->storm * fleet_chance();
        p->flags |= POINT_STORMED;
        fleet.unstormed++;
        point_connect_at(
            p, fleet.tick + fleet_ticks(delay), at + (uint64_t)(delay * 1e9));
    }
}

static void
weigh(void)
{
    unsigned long size, resident, shared;
    FILE         *f = fopen("/proc/self/statm", "r");

    if (f == NULL)
        return;
    if (fscanf(f, "%lu %lu %lu", &size, &resident, &shared) == 3)
        tally_set(fleet.tally, memory,
            (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE));
    fclose(f);
}

static void
enter(int phase)
{
    int before = fleet.phase;

    fleet.phase = phase;
    if (before < FLEET_RUN && phase >= FLEET_RUN) {
        weigh();
        pump_next_ns = fleet.o->rate > 0 ? meant(0) : 0;
    }
    if (phase == FLEET_RUN) {
        for (uint32_t i = 0; i < fleet.count; i++) {
            point_settle(&fleet.points[i]);
            point_rearm(&fleet.points[i]);
        }
    }
    if (before < FLEET_DRAIN && phase >= FLEET_DRAIN) {
        weigh();
        uint64_t end = atomic_load(&fleet.shared->end_ns);
        while (fleet.o->rate > 0 && fleet.o->messages == 0 &&
            before == FLEET_RUN && meant(pumped) < end) {
            tally_add(fleet.tally, unsent, 1);
            pumped++;
        }
        /* A charge point that has nothing to deliver does not have to connect
         * again. */
        for (uint32_t i = 0; i < fleet.count; i++) {
            struct point *p = &fleet.points[i];
            if (p->link.state == LINK_DOWN && p->outbox.count == 0)
                p->connect_due = 0;
        }
    }
    if (phase == FLEET_QUIT) {
        quitting = true;
        for (uint32_t i = 0; i < fleet.count; i++)
            point_quit(&fleet.points[i]);
    }
}

static void
notify(_Atomic bool *flag, bool now)
{
    if (!now || atomic_load(flag))
        return;
    atomic_store_explicit(flag, true, memory_order_release);
    /* If the pipe is full, the parent wakes up in any case. */
    if (write(fleet.tell, "", 1) < 0)
        return;
}

static void
pace(void)
{
    bool calm =
        fleet.phase == FLEET_RUN && fleet.untried == 0 && fleet.unstormed == 0;
    double every = calm ? CALM_S : FLEET_TICK_MS / 1000.0;

    if (ticker.repeat < every || ticker.repeat > every) {
        ticker.repeat = every;
        ev_timer_again(fleet.loop, &ticker);
    }
}

static void
tick_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    fleet.tick = 1 + (uint32_t)((clock_mono_ms() - start_ms) / FLEET_TICK_MS);
    int phase =
        atomic_load_explicit(&fleet.shared->phase, memory_order_acquire);
    if (phase != fleet.phase)
        enter(phase);
    if (opened < fleet.count && fleet.phase <= FLEET_RUN)
        ramp();
    storm();
    wheel_turn(&fleet_wheel, fleet.tick);
    if (pumping())
        pump(clock_mono_ns());
    notify(&fleet.tally->ramped, fleet.untried == 0);
    notify(&fleet.tally->done,
        (fleet.o->messages > 0 || fleet.o->storming) &&
            (fleet.o->messages == 0 || fleet.unfinished == 0) &&
            (!fleet.o->storming || (stormed && fleet.unstormed == 0)));
    notify(&fleet.tally->drained,
        fleet.phase >= FLEET_DRAIN && fleet.busy == 0 && fleet.queued == 0);
    if (quitting && tally_get(fleet.tally, connected) == 0)
        ev_break(loop, EVBREAK_ALL);
    pace();
}

static void
prepare_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct tally *t = fleet.tally;

    (void)w;
    (void)revents;
    tally_set(t, bytes_in, link_totals.bytes_in);
    tally_set(t, bytes_out, link_totals.bytes_out);
    tally_set(t, pings, link_totals.pings_in);
    tally_set(t, pongs, link_totals.pongs_in);
    if (!ledger_commit()) {
        fprintf(stderr, "ocppsim: cannot write the ledger: %m\n");
        tally_add(t, trouble, 1);
        ev_break(loop, EVBREAK_ALL);
    }
}

/* --- start --------------------------------------------------------------- */

/* Number k of process p is charge point k * P + p of the fleet, so that
 * --active and the kinds of mischief are spread evenly. The rivals come after
 * all others. */
static void
populate(void)
{
    const struct options *o = fleet.o;
    uint32_t              own = 0, rivals = 0;
    uint32_t              total = (uint32_t)o->count;

    for (uint32_t n = fleet.process; n < total; n += fleet.processes) {
        own++;
        rivals += mischief_rival(n);
    }
    fleet.count = own + rivals;
    fleet.first_rival = own;
    fleet.points = calloc(fleet.count ? fleet.count : 1, sizeof *fleet.points);
    ensure(fleet.points != NULL);
    wheel_init(
        &fleet_wheel, &fleet.points[0].timer, sizeof *fleet.points, point_fire);
    uint32_t rival = own;
    for (uint32_t i = 0; i < own; i++) {
        uint32_t n = fleet.process + i * fleet.processes;
        unsigned active = n < o->active ? POINT_ACTIVE : 0;
        fleet.unfinished += active != 0;
        point_init(&fleet.points[i], n, (uint16_t)(active | mischief_flags(n)));
        if (mischief_rival(n))
            point_init(&fleet.points[rival++], n, POINT_RIVAL);
    }
    fleet.untried = fleet.count;
    tally_set(fleet.tally, points, fleet.count);
}

int
fleet_run(const struct options *o, struct fleet_shared *shared,
    unsigned process, unsigned processes, uint32_t nonce, int tell_fd)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fleet = (struct fleet){
        .o = o,
        .shared = shared,
        .tally = &shared->tally[process],
        .process = process,
        .processes = processes,
        .nonce = nonce,
        .tick = 1,
        .tell = tell_fd,
        .rng = (o->seed + process) * 0x9e3779b97f4a7c15u | 1u,
        .loop = ev_loop_new(EVFLAG_AUTO),
    };
    ensure(fleet.loop != NULL);
    for (int i = 0; i < 8; i++)
        fleet_chance();
    start_ms = clock_mono_ms();
    link_setup(fleet.loop, &point_ops, fleet.o->deflate);
    struct buf why = BUF_INIT(1024);
    if (o->tls &&
        !secure_setup(o->tls_ca, o->tls_certificate, o->tls_key,
            (unsigned)o->tls_version, &why)) {
        fprintf(stderr, "ocppsim: %s\n", buf_cstr(&why));
        return 1;
    }
    if (o->ledger != NULL && !ledger_open(o->ledger, process)) {
        fprintf(stderr, "ocppsim: %s.%u: %m\n", o->ledger, process);
        return 1;
    }
    populate();
    if (o->rate > 0) {
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        ensure(fd >= 0);
        ev_io_init(&pump_io, pump_cb, fd, EV_READ);
        ev_io_start(fleet.loop, &pump_io);
    }
    ev_prepare_init(&before_sleep, prepare_cb);
    ev_prepare_start(fleet.loop, &before_sleep);
    ev_timer_init(&ticker, tick_cb, 0, FLEET_TICK_MS / 1000.0);
    ev_timer_start(fleet.loop, &ticker);
    ev_run(fleet.loop, 0);
    return 0;
}
