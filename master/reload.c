/*
 * reload: a new configuration, in two steps.
 *
 * First everything is read and checked; an error changes nothing. Only then
 * it is published: to shared memory for all processes, with a datagram as a
 * hint to look. No connection is affected (promise P5).
 */
#include "base/up.h"

#include <stdio.h>
#include <string.h>

#include "admin/admin.h"
#include "clock.h"
#include "config_read.h"
#include "log.h"
#include "base/master.h"
#include "access/access.h"
#include "access/tokens.h"
#include "workers/supervise.h"
#include "workers/tls_keeper.h"

#define TEXT_MAX (64 * 1024)

/* Each line of the text to the log. */
static void
log_lines(enum log_level level, struct buf *text)
{
    for (const char *line = buf_cstr(text); *line != '\0';) {
        size_t n = strcspn(line, "\n");
        if (n > 0)
            log_line(level, "reload: %.*s", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

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
    /* One line: the first one. */
    const char *text = buf_cstr(words);
    snprintf(s->reload_words, sizeof s->reload_words, "%s%.*s",
        ok ? "ok" : "failed: ", ok ? 0 : (int)strcspn(text, "\n"), text);
}

bool
up_reload(struct buf *out)
{
    static struct config next;
    struct buf           words = BUF_INIT(TEXT_MAX);
    const char          *from =
        master.conf_file ? master.conf_file : "the built-in defaults";

    if (master.phase >= MASTER_DRAINING) {
        buf_adds(out, "reload: the daemon is stopping\n");
        return false;
    }
    if (!config_read(&next, master.conf_file, master.overrides,
            master.n_overrides, &words) ||
        !access_check(&next, true, &words) || !tokens_read(&words) ||
        !tls_keeper_check(&next, &words, &words)) {
        log_lines(LOG_LEVEL_ERROR, &words);
        log_error("reload: %u errors in %s; the old configuration stays",
            count_lines(&words), from);
        remember(false, &words);
        buf_add(out, words.p, words.len);
        buf_addf(out, "the old configuration stays\n");
        buf_free(&words);
        return false;
    }
    config_keep_restart(&next, &master.config, &words);
    master.config = next;
    shm_config_publish(master.shm, &next);
    access_read_again();
    tls_keeper_adopt();
    supervise_notify_all(CHANNEL_config);
    supervise_notify_all(CHANNEL_tls);
    admin_notify(CHANNEL_config);
    admin_notify(CHANNEL_tls);
    log_lines(LOG_LEVEL_WARN, &words);
    log_info("reload: %s is in force", from);
    remember(true, &words);
    buf_add(out, words.p, words.len);
    buf_addf(out, "%s is in force\n", from);
    buf_free(&words);
    return true;
}

void
up_certificates(void)
{
    admin_notify(CHANNEL_tls);
}
