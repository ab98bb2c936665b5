/* worker: one process that serves a part of the connections. See worker.h. */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "access/auth.h"
#include "access/certificate.h"
#include "access/guard.h"
#include "base/loop_memory.h"
#include "base/master_link.h"
#include "base/self.h"
#include "clock.h"
#include "ensure.h"
#include "fleet/claims.h"
#include "fleet/functions.h"
#include "fleet/redis.h"
#include "fleet/ship.h"
#include "fleet/transaction_ids.h"
#include "heap.h"
#include "helper.h"
#include "journal/journal.h"
#include "journal/journal_id.h"
#include "log.h"
#include "move/inherit.h"
#include "net/conn.h"
#include "net/tls_queue.h"
#include "ocpp/tape.h"
#include "sandbox.h"
#include "session/accept.h"
#include "session/former.h"
#include "session/models.h"
#include "session/outcomes.h"
#include "session/recovered.h"
#include "session/remote_starts.h"
#include "session/session.h"
#include "session/transactions.h"
#include "session/unended.h"
#include "sweep.h"
#include "user.h"

/* Idle leases (ws.h) that are kept, 11 KB each: enough for the messages in
 * flight in a busy worker. */
#define POOLED_LEASES 64

/* Places in the slab in addition to max_connections, for connections that are
 * being opened or closed; more if limits.handshakes is higher. Until a place is
 * used, it takes only address space. */
#define ROOM 20000

/* Ms for which the process waits for Redis after the last connection was
 * closed. */
#define LINGER_MS 2000

static void
turn_cb(struct ev_loop *loop, ev_check *w, int revents)
{
    (void)loop, (void)w, (void)revents;
    self_read_clocks();
}

static void
helped_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop, (void)w, (void)revents;
    helper_finish();
}

static void leave(int code, const char *words) __attribute__((noreturn));
static void stay_down(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

static void
leave(int code, const char *words)
{
    ensure_say("%s", words);
    log_error("%s", words);
    exit(code);
}

static void
stay_down(const char *fmt, ...)
{
    char    words[SHM_WORDS_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    leave(WORKER_EXIT_STAY_DOWN, words);
}

static void
recover_line(void *ctx, uint64_t number, const char *line, size_t len)
{
    (void)ctx;
    transactions_recover(number, line, len);
    recovered_line(line, len);
    former_recover(number, line, len);
    remote_starts_recover(line, len);
    if (self.mem->incarnation == 1)
        models_recover(line, len);
}

static void
recover_session(void *ctx, uint64_t number, const char *line, size_t len)
{
    (void)ctx;
    unended_own(number, line, len);
}

static bool
unfinished(void *ctx)
{
    (void)ctx;
    return former_needs_others();
}

static void
neighbour_line(void *ctx, uint64_t number, const char *line, size_t len)
{
    (void)ctx;
    former_neighbour(number, line, len);
}

/* The connections of this slot's former process ended with it: publishes the
 * event for each of them. */
static void
bury_former(enum close_reason reason)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < registry_used(self.registry); i++) {
        registry_mend(self.registry, i);
        struct registry_entry *e = registry_at(self.registry, i);
        cref                   owner = e->owner;
        uint64_t               generation = e->generation;
        if (owner == 0 || cref_slot(owner) != self.slot)
            continue;
        /* If the generation does not belong to the owner word, the entry is
         * being claimed at this moment, and the claiming worker publishes the
         * end. */
        if (owner != cref_make(self.slot, cref_index(owner), generation))
            continue;
        if (conn_find(owner) != NULL)
            continue; /* the connection was inherited */
        e->closed_at = (uint32_t)(self.wall_ms / 1000);
        e->close_reason = (uint8_t)reason;
        /* Release it first: another worker that claims it at this moment
         * publishes the end if the entry still has an owner. */
        if (!registry_release(self.registry, i, owner))
            continue;
        size_t      len;
        const char *name = registry_name(self.registry, i, &len);
        if (former_ends(name, len, &generation))
            session_bury(e, generation, reason);
        else
            STAT_INC(self.st, closed[reason]);
        n++;
    }
    if (n > 0)
        log_info("%u sessions ended with the former process of this slot", n);
}

/* Before the process ends, sends waiting events to Redis while Redis accepts
 * them. The successor sends the others from the journal. */
static void
linger(void)
{
    uint32_t began_ms = self.now_ms;

    while (redis_on() && redis_ready(0) && self.now_ms - began_ms < LINGER_MS &&
        (stat_get(&self.st->journal_backlog_bytes) > 0 || !ship_idle() ||
            !claims_finish()))
        ev_run(self.loop, EVRUN_ONCE);
}

/* --- a successor that inherits ------------------------------------------- */

static const struct worker_boot *booted;

static void
accept_all(void)
{
    accept_hold(self.held);
    accept_open(booted->listeners, booted->n_listeners);
}

/* Called when the last connection of the former process has arrived. */
static void
all_here(bool whole)
{
    conn_inherited();
    bury_former(CLOSE_not_moved);
    /* After an upgrade the registry is new, and has no entries of sessions that
     * did not arrive. */
    if (!whole && !self.mem->served)
        journal_read_back(JOURNAL_RECOVER_MAX, recover_session, NULL);
    former_settle();
    self.mem->served = 1;
    former_tick(); /* before the same charge points are accepted */
    accept_all();
    master_link_hold(false);
}

/* Waits until the lines that belong to the slot have arrived. */
static void
wait_for_slot(int fd)
{
    conn_inherit();
    switch (inherit_wait(fd)) {
    case INHERIT_KEPT:
        exit(WORKER_EXIT_DONE);
    case INHERIT_NONE:
        exit(WORKER_EXIT_TRY_AGAIN);
    case INHERIT_SLOT:
        break;
    }
    self_read_clocks();
    stats_zero_gauges(self.st);
    guard_inherit();
}

/* Sets the name, the signals, the user and the sandbox of the process. */
static void
become_worker(const struct worker_boot *boot)
{
    char       label[32], name[16], no_user[SHM_WORDS_MAX];
    struct buf why = BUF_INIT(4096);

    self_begin(boot->shm, boot->slot);
    snprintf(label, sizeof label, "worker %u", self.slot);
    snprintf(name, sizeof name, "ocppd-w%u", self.slot); /* 15 bytes at most */
    log_process(label);
    log_level_at(&self.shm->log_level);
    ensure_words(self.mem->words, sizeof self.mem->words);
    prctl(PR_SET_NAME, name, 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    /* The master decides when to stop, but ^C at a terminal sends SIGINT to all
     * processes. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (!user_become(self.conf.server_user, no_user, sizeof no_user))
        stay_down("%s", no_user);
    if (!sandbox_enter(&self.conf, &why))
        stay_down("%s", buf_cstr(&why));
}

static void
make_loop(void)
{
    static ev_check turn;
    static ev_io    helped;

    loop_memory_open();
    self.loop = ev_loop_new(EVFLAG_NOENV);
    ensure(self.loop != NULL);
    ev_check_init(&turn, turn_cb);
    ev_set_priority(&turn, EV_MAXPRI);
    ev_check_start(self.loop, &turn);

    int helper = helper_open();
    ensure(helper >= 0);
    ev_io_init(&helped, helped_cb, helper, EV_READ);
    ev_io_start(self.loop, &helped);
}

/* Returns the number of connections that there is room for. */
static uint32_t
open_connections(const struct worker_boot *boot)
{
    struct buf why = BUF_INIT(4096);
    uint64_t   capacity = self.conf.server_max_connections +
        (self.conf.limits_handshakes > ROOM ? self.conf.limits_handshakes
                                            : ROOM);
    if (capacity > CREF_INDEXES)
        capacity = CREF_INDEXES;
    if (!conn_init((uint32_t)capacity) || !tape_open())
        leave(WORKER_EXIT_TRY_AGAIN,
            "no address space for connections and messages: raise the limit "
            "(ulimit -v, LimitAS=), or lower server.max_connections");
    certificate_open((uint32_t)capacity);
    ws_pool_keep(POOLED_LEASES);
    if (boot->tls_bundle >= 0 &&
        !tls_queue_open((uint32_t)capacity, boot->tls_bundle, &why))
        leave(WORKER_EXIT_TRY_AGAIN, buf_cstr(&why));
    return (uint32_t)capacity;
}

static void
open_journal(bool inherits)
{
    struct buf         why = BUF_INIT(4096);
    struct journal_env env = {.shm = self.shm,
        .slot = self.slot,
        .loop = self.loop,
        .conf = &self.conf,
        .recover_line = inherits ? NULL : recover_line,
        .unfinished = unfinished,
        .neighbour_line = inherits ? NULL : neighbour_line,
        .recover_max = JOURNAL_RECOVER_MAX};
    /* At the first start of the daemon an unusable journal is an error of the
     * installation. Later the disk may come back, so the master starts the
     * worker again. */
    if (!journal_open(&env, &why))
        leave(self.mem->incarnation > 1 ? WORKER_EXIT_TRY_AGAIN
                                        : WORKER_EXIT_STAY_DOWN,
            buf_cstr(&why));
    if (!journal_id_open(self.conf.server_state_dir) &&
        config_has_redis(&self.conf))
        log_error("cannot read or write %s/" JOURNAL_DIR "/id: %s; nothing is "
                  "shipped until that is possible and `ocppctl worker-restart "
                  "%u` was given",
            self.conf.server_state_dir, strerror(errno), self.slot);
}

void
worker_main(const struct worker_boot *boot)
{
    bool inherits = boot->inherit >= 0;

    heap_open();
    self.held = boot->held;
    become_worker(boot);
    make_loop();
    uint32_t capacity = open_connections(boot);

    auth_open();
    guard_open(inherits);
    booted = boot;
    if (inherits)
        wait_for_slot(boot->inherit);
    open_journal(inherits);
    redis_open();
    transaction_ids_open();
    claims_open(capacity, inherits ? inherit_incarnation() : "");
    ship_open();
    self.mem->recovered = 1; /* transactions_find() waits for it */
    if (!inherits) {
        bury_former(CLOSE_worker_died);
        former_end();
        self.mem->served = 1;
    }
    master_link_open(boot->channel);
    if (inherits) {
        master_link_hold(true);
        inherit_slot();
        inherit_start(all_here);
    } else {
        accept_all();
    }
    recovered_report();
    sweep_start();
    self.mem->alive_ms = clock_mono_ms();
    master_link_ready();
    log_info("ready");
    ev_run(self.loop, 0);

    /* Drained. Data that waits for the master or Redis is sent before the
       end. */
    outcomes_retry();
    linger();
    /* Requests without a reply end here, and their callbacks may publish
     * events. */
    redis_close();
    journal_close();
    master_link_tick();
    log_info("done");
    exit(WORKER_EXIT_DONE);
}

/* Appends lines, each with a letter before it. */
static void
put_lines(struct buf *out, char letter, struct buf *text)
{
    for (const char *line = buf_cstr(text); *line != '\0';) {
        size_t n = strcspn(line, "\n");
        buf_addf(out, "%c%.*s\n", letter, (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static void
put_tls_file(void *arg, const char *file, const struct tls_name *name,
    const char *type, int64_t not_after)
{
    buf_addf(arg, "F%s\t%s\t%s\t%s\t%lld\n", file, name->cn, name->serial, type,
        (long long)not_after);
}

void
worker_check_tls(const struct config *c, int bundle, struct buf *out)
{
    struct buf errors = BUF_INIT(65536), notes = BUF_INIT(65536);

    struct tls_context *x = tls_selftest(&errors)
        ? tls_context_load(c, bundle, &errors, &notes)
        : NULL;
    put_lines(out, 'E', &errors);
    put_lines(out, 'N', &notes);
    if (x != NULL)
        tls_context_each(x, put_tls_file, out);
    tls_context_free(x);
    buf_adds(out, "O\n");
    buf_free(&errors);
    buf_free(&notes);
}

void
worker_put_library(const struct config *c, struct buf *out)
{
    size_t len = 0;
    char  *text =
        functions_make(c->redis_prefix, (unsigned)c->redis_shards, &len);

    if (text != NULL)
        buf_add(out, text, len);
    free(text);
}
