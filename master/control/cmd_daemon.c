/* The commands about the daemon itself. See command.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/metrics.h"
#include "admin/report.h"
#include "base/master.h"
#include "base/up.h"
#include "clock.h"
#include "config_put.h"
#include "control/command.h"
#include "control/file_task.h"
#include "journal_dir.h"
#include "knob.h"
#include "log.h"
#include "workers/rebalance.h"
#include "workers/restart.h"
#include "workers/slot.h"
#include "writer.h"

#define BODY_MAX (16u << 20)

/* The commands of this file take at most this many words. */
static bool
words(struct client *c, int argc, char **argv, int most)
{
    if (argc <= most)
        return true;
    command_usage(c, argv, "too many words, beginning with %.64s", argv[most]);
    return false;
}

static void
finish(struct client *c, int code, struct buf *out)
{
    control_reply_buf(c, code, out);
    buf_free(out);
}

void
cmd_status(struct client *c, int argc, char **argv)
{
    struct buf out = BUF_INIT(BODY_MAX);

    if (!words(c, argc, argv, 1))
        return;
    report_status(master.shm, master.conf_file, c->format == 'j', &out);
    finish(c, CONTROL_DONE, &out);
}

void
cmd_health(struct client *c, int argc, char **argv)
{
    struct buf out = BUF_INIT(BODY_MAX);

    if (!words(c, argc, argv, 1))
        return;
    bool well = report_health(master.shm, &out) == REPORT_HEALTHY;
    finish(c, well ? CONTROL_DONE : CONTROL_NEGATIVE, &out);
}

void
cmd_stats(struct client *c, int argc, char **argv)
{
    struct buf  out = BUF_INIT(BODY_MAX);
    const char *pattern = argc > 1 ? argv[1] : NULL;
    bool        any = true;

    if (!words(c, argc, argv, 2))
        return;
    if (c->format == 'p')
        metrics_prometheus(master.shm, &out);
    else if (c->format == 'j')
        any = metrics_json(master.shm, pattern, &out);
    else
        any = metrics_text(master.shm, pattern, &out);
    if (any) {
        finish(c, CONTROL_DONE, &out);
        return;
    }
    buf_free(&out);
    control_replyf(c, CONTROL_NOT_FOUND,
        "%.64s: there is no counter of this name; `stats` alone shows all, "
        "and * matches any text",
        pattern);
}

void
cmd_workers(struct client *c, int argc, char **argv)
{
    struct buf out = BUF_INIT(BODY_MAX);

    if (!words(c, argc, argv, 1))
        return;
    report_workers(master.shm, c->format == 'j', &out);
    finish(c, CONTROL_DONE, &out);
}

void
cmd_config(struct client *c, int argc, char **argv)
{
    struct buf out = BUF_INIT(BODY_MAX);

    if (!words(c, argc, argv, 1))
        return;
    if (c->format == 'j')
        config_put_json(&master.config, master.conf_file, &out);
    else
        config_put_text(&master.config, master.conf_file, &out);
    if (out.len > 0 && out.p[out.len - 1] != '\n')
        buf_addc(&out, '\n');
    finish(c, CONTROL_DONE, &out);
}

/* Every event whose number is below the mark is in the journal, or never will
 * be. journal_floor in shm.h explains the order of the loads. */
void
cmd_journal_mark(struct client *c, int argc, char **argv)
{
    struct buf    out = BUF_INIT(4096);
    struct writer w = WRITER_INIT(&out);

    if (!words(c, argc, argv, 1))
        return;
    /* The path is absolute, because the reader may have another working
     * directory. */
    writer_open(&w, NULL, '{');
    writer_str(&w, "dir", master.state_dir);
    uint64_t mark = journal_dir_mark(master.shm);
    char     cursor[17];
    snprintf(cursor, sizeof cursor, "%016" PRIx64, mark > 0 ? mark - 1 : 0);
    writer_u64(&w, "mark", mark);
    writer_str(&w, "cursor", cursor);
    writer_close(&w);
    buf_addc(&out, '\n');
    finish(c, CONTROL_DONE, &out);
}

/* Replies with the lines of a reload, or with an object if the client wants
 * JSON. */
static void
reload_json(bool ok, struct buf *lines)
{
    struct buf    out = BUF_INIT(BODY_MAX);
    struct writer w = WRITER_INIT(&out);

    writer_open(&w, NULL, '{');
    writer_bool(&w, "inForce", ok);
    writer_open(&w, "lines", '[');
    for (const char *p = buf_cstr(lines); *p != '\0';) {
        size_t n = strcspn(p, "\n");
        if (n > 0)
            writer_strn(&w, NULL, p, n);
        p += n + (p[n] == '\n');
    }
    writer_close(&w);
    writer_close(&w);
    buf_addc(&out, '\n');
    buf_free(lines);
    *lines = out;
}

static void
reloaded(uint64_t client, bool ok, struct buf *lines)
{
    struct client *c = control_client(client);

    if (c == NULL)
        return;
    if (c->format == 'j')
        reload_json(ok, lines);
    control_reply_buf(c, ok ? CONTROL_DONE : CONTROL_FAILED, lines);
}

void
cmd_reload(struct client *c, int argc, char **argv)
{
    if (!words(c, argc, argv, 1) || !control_may_wait(c))
        return;
    control_wait(c, NULL, FILE_TASK_MS,
        "the disk of the configuration has not answered for 2 minutes; the "
        "reload continues when it answers");
    if (!up_reload(c->id, reloaded))
        control_replyf(c, CONTROL_BUSY,
            "too many reloads wait already; nothing was done, try again");
}

void
cmd_drain(struct client *c, int argc, char **argv)
{
    struct config given = master.config;
    char          text[CLOCK_DURATION_LEN];

    if (!words(c, argc, argv, 2))
        return;
    if (argc > 1) {
        struct buf why = BUF_INIT(1024);
        if (!knob_parse(CONF_KNOB_server_drain_time, argv[1], &given, &why)) {
            command_usage(c, argv, "%.64s: %s", argv[1], buf_cstr(&why));
            buf_free(&why);
            return;
        }
        buf_free(&why);
    }
    if (master.phase >= MASTER_DRAINING) {
        control_replyf(c, CONTROL_CONFLICT,
            "drain: the daemon is stopping "
            "already; `shutdown` ends it at once");
        return;
    }
    clock_duration(text, given.server_drain_time);
    log_info(
        "an operator drains the gateway over %s (uid %d)", text, (int)c->uid);
    control_replyf(
        c, CONTROL_DONE, "draining over %s, then the daemon stops", text);
    up_drain(given.server_drain_time);
}

void
cmd_shutdown(struct client *c, int argc, char **argv)
{
    if (!words(c, argc, argv, 1))
        return;
    log_info("an operator stops the gateway at once (uid %d)", (int)c->uid);
    control_replyf(c, CONTROL_DONE, "stopping");
    up_stop();
}

void
cmd_log_level(struct client *c, int argc, char **argv)
{
    enum log_level level;

    if (!words(c, argc, argv, 2))
        return;
    if (argc > 1) {
        if (!log_level_parse(argv[1], &level)) {
            command_bad_word(c, argv, argv[1]);
            return;
        }
        atomic_store(&master.shm->log_level, (int)level);
        log_info("log level is now %s, until the next reload (uid %d)", argv[1],
            (int)c->uid);
    }
    level = (enum log_level)atomic_load(&master.shm->log_level);
    if (c->format != 'j') {
        control_replyf(c, CONTROL_DONE, "%s", log_level_name(level));
        return;
    }
    struct buf    out = BUF_INIT(256);
    struct writer w = WRITER_INIT(&out);
    writer_open(&w, NULL, '{');
    writer_str(&w, "logLevel", log_level_name(level));
    writer_close(&w);
    buf_addc(&out, '\n');
    finish(c, CONTROL_DONE, &out);
}

/* On success the client moves to the new program, which replies. */
static void
upgrade_poll(struct client *c)
{
    const struct shm *s = master.shm;

    if (!s->upgrading)
        control_replyf(c, CONTROL_FAILED,
            "upgrade: %.*s; the old program continues",
            (int)sizeof s->upgrade_words, s->upgrade_words);
}

void
cmd_upgrade(struct client *c, int argc, char **argv)
{
    struct buf why = BUF_INIT(1024);

    if (!words(c, argc, argv, 2) || !control_may_wait(c))
        return;
    /* A client with a token of the HTTP API may not choose the program that
       root executes. */
    if (argc > 1 && c->uid != 0 && c->uid != geteuid()) {
        control_replyf(c, CONTROL_FORBIDDEN,
            "upgrade: only root and the user that started ocppd may name a "
            "program");
    } else if (!up_upgrade(argc > 1 ? argv[1] : NULL, &why)) {
        control_replyf(c, CONTROL_CONFLICT, "upgrade: %s", buf_cstr(&why));
    } else {
        log_info("an operator upgrades the gateway (uid %d)", (int)c->uid);
        c->waits = "upgrade";
        control_wait(c, upgrade_poll, 0, "");
    }
    buf_free(&why);
}

void
cmd_worker_restart(struct client *c, int argc, char **argv)
{
    struct buf why = BUF_INIT(1024);
    uint64_t   n;

    if (!words(c, argc, argv, 2))
        return;
    if (argc < 2) {
        command_usage(
            c, argv, "give the number of a worker; `workers` lists them");
        return;
    }
    if (!command_number(c, argv, "worker", argv[1], 0, master.slots - 1, &n))
        return;
    enum shm_worker_state state = slot_state((unsigned)n);
    bool running = state != SHM_WORKER_DOWN && state != SHM_WORKER_FAILED;
    if (!restart_worker((unsigned)n, &why)) {
        control_replyf(
            c, CONTROL_CONFLICT, "worker-restart: %s", buf_cstr(&why));
    } else {
        log_info("an operator restarts worker %u (uid %d)", (unsigned)n,
            (int)c->uid);
        control_replyf(c, CONTROL_DONE,
            running ? "a successor takes over the connections of worker %u"
                    : "worker %u starts",
            (unsigned)n);
    }
    buf_free(&why);
}

void
cmd_rebalance(struct client *c, int argc, char **argv)
{
    struct buf why = BUF_INIT(1024);
    uint64_t   n = 0;

    if (!words(c, argc, argv, 1))
        return;
    if (!rebalance_begin(&why, &n)) {
        control_replyf(c, CONTROL_CONFLICT, "rebalance: %s", buf_cstr(&why));
    } else {
        log_info("an operator rebalances the workers (uid %d): %llu "
                 "connections are to move",
            (int)c->uid, (unsigned long long)n);
        control_replyf(c, CONTROL_DONE,
            n > 0 ? "%llu connections move to other workers"
                  : "%llu connections move, because the workers have equal "
                    "shares",
            (unsigned long long)n);
    }
    buf_free(&why);
}
