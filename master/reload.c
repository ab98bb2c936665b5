/*
 * reload: a new configuration, in two steps.
 *
 * First everything is read and checked; an error changes nothing. Only then is
 * it published: in shared memory for all processes, with a datagram as a hint
 * to read it. No connection is affected (promise P5).
 *
 * A disk may hang, and the check of certificates may take long. So the files
 * are read by the thread of base/files.h, and the loop waits for the report on
 * the certificates. Reloads are done one after the other.
 */
#include "base/up.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "access/tokens.h"
#include "admin/admin.h"
#include "base/files.h"
#include "base/master.h"
#include "clock.h"
#include "config_put.h"
#include "config_read.h"
#include "log.h"
#include "workers/hints.h"
#include "workers/tls_keeper.h"

#define TEXT_MAX (64 * 1024)
#define REQUESTS_MAX 16

static unsigned
count_lines(struct buf *text)
{
    unsigned n = 0;

    for (size_t i = 0; i < text->len; i++)
        n += text->p[i] == '\n';
    return n;
}

static void
remember(bool ok, struct buf *words)
{
    struct shm *s = master.shm;

    s->reload_wall_ms = clock_wall_ms();
    s->reloads++;
    s->reloads_failed += !ok;
    s->reload_failed = !ok;
    if (ok)
        s->config_loaded_ms = s->reload_wall_ms;
    /* Keep only the first line. */
    const char *text = buf_cstr(words);
    snprintf(s->reload_words, sizeof s->reload_words, "%s%.*s",
        ok ? "ok" : "failed: ", ok ? 0 : (int)strcspn(text, "\n"), text);
}

/* --- one reload ---------------------------------------------------------- */

static struct request {
    uint64_t     client;
    up_reloaded *done;
} requests[REQUESTS_MAX]; /* the first one is in progress */
static unsigned requests_n;

static struct reading_again {
    struct helper_job h;
    struct config     now, next;
    bool              good;
    struct tokens    *tokens;
    struct tls_loaded tls;
    struct buf        errors, notes;
} * again;

static void begin(void);

static const char *
source(void)
{
    return master.conf_file ? master.conf_file : "the built-in defaults";
}

static void
end(bool ok, struct buf *lines)
{
    struct request r = requests[0];

    if (again != NULL) {
        tokens_free(again->tokens);
        buf_free(&again->errors);
        buf_free(&again->notes);
        free(again);
        again = NULL;
    }
    memmove(requests, requests + 1, --requests_n * sizeof *requests);
    r.done(r.client, ok, lines);
    buf_free(lines);
    if (requests_n > 0 && again == NULL)
        begin();
}

static void
refuse(void)
{
    struct buf lines = BUF_INIT(TEXT_MAX);

    config_put_places(
        &again->next, master.conf_file, buf_cstr(&again->errors), &lines);
    log_lines(LOG_LEVEL_ERROR, "reload: ", buf_cstr(&lines));
    log_error("reload: %u errors in %s; the old configuration stays",
        count_lines(&lines), source());
    remember(false, &lines);
    buf_adds(&lines, "the old configuration stays\n");
    end(false, &lines);
}

static void
adopt(void)
{
    struct buf lines = BUF_INIT(TEXT_MAX);

    config_keep_restart(&again->next, &master.config, &again->notes);
    master.config = again->next;
    shm_config_publish(master.shm, &again->next);
    tokens_adopt(again->tokens);
    again->tokens = NULL;
    access_auth_changed();
    access_deny_changed();
    tls_keeper_adopt();
    hints_notify_all(CHANNEL_tls);
    admin_notify(CHANNEL_config);
    admin_notify(CHANNEL_tls);
    log_lines(LOG_LEVEL_WARN, "reload: ", buf_cstr(&again->notes));
    log_info("reload: %s is in force", source());
    remember(true, &again->notes);
    buf_add(&lines, again->notes.p, again->notes.len);
    buf_addf(&lines, "%s is in force\n", source());
    end(true, &lines);
}

static void
stop(void)
{
    struct buf lines = BUF_INIT(TEXT_MAX);

    buf_adds(&lines, "reload: the daemon is stopping\n");
    end(false, &lines);
}

static void
judged(bool good)
{
    if (master.phase >= MASTER_DRAINING)
        stop();
    else if (good)
        adopt();
    else
        refuse();
}

static void
read_work(struct helper_job *h)
{
    struct reading_again *r = (struct reading_again *)h;

    r->good = config_read(&r->next, master.conf_file, master.overrides,
                  master.n_overrides, &r->errors) &&
        access_check(&r->next, &r->now, &r->errors, &r->notes) &&
        (r->tokens = tokens_read(r->now.server_state_dir, &r->errors)) !=
            NULL &&
        tls_keeper_load(&r->next, &r->tls, &r->errors);
}

static void
read_done(struct helper_job *h)
{
    (void)h;
    if (again->good)
        tls_keeper_judge(
            &again->next, &again->tls, &again->errors, &again->notes, judged);
    else
        judged(false);
}

/* Begins the first of the requests. */
static void
begin(void)
{
    struct buf lines = BUF_INIT(TEXT_MAX);

    if (master.phase >= MASTER_DRAINING) {
        stop();
        return;
    }
    again = calloc(1, sizeof *again);
    if (again != NULL) {
        again->h.work = read_work;
        again->h.done = read_done;
        again->now = master.config;
        again->errors = BUF_INIT(TEXT_MAX);
        again->notes = BUF_INIT(TEXT_MAX);
        if (files_submit(&again->h))
            return;
    }
    buf_adds(&lines,
        "reload: too many changes of files wait for their disk, or there is "
        "no memory; the old configuration stays\n");
    log_lines(LOG_LEVEL_ERROR, "", buf_cstr(&lines));
    end(false, &lines);
}

bool
up_reload(uint64_t client, up_reloaded *done)
{
    /* A reload that waits already also serves this request. */
    if (client == 0 && requests_n > 1 && requests[requests_n - 1].client == 0)
        return true;
    if (requests_n == REQUESTS_MAX)
        return false;
    requests[requests_n++] = (struct request){client, done};
    if (requests_n == 1)
        begin();
    return true;
}

bool
up_reloading(void)
{
    return requests_n > 0;
}

void
up_certificates(void)
{
    hints_notify_all(CHANNEL_tls);
    admin_notify(CHANNEL_tls);
}
