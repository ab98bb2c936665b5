/* ship_hint: the file with the numbers of shipped events. See ship_hint.h. */
#include "fleet/ship_hint.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/self.h"
#include "buf.h"
#include "file.h"
#include "fleet/redis.h"
#include "helper.h"
#include "journal/journal_id.h"
#include "journal_line.h"

#define NAME_SIZE (CONF_TEXT_MAX + 48) /* bytes of the file's path */
#define TEXT_MAX (1u << 20)            /* bytes of the file */

static void
file_name(const struct ship_hint *h, char *out, size_t size)
{
    snprintf(out, size, "%s/w%03u.shipped", h->dir, h->slot);
}

/* Reads the file. The first line names shards, prefix and journal; "all NUMBER"
 * and "SHARD NUMBER" lines follow. A file with another first line is ignored.
 */
static void
read_file(struct ship_hint *h)
{
    char       name[NAME_SIZE], prefix[64], id[32], *line, *rest;
    unsigned   shard, shards = 0;
    uint64_t   n;
    struct buf text = BUF_INIT(TEXT_MAX), why = BUF_INIT(NAME_SIZE + 256);

    file_name(h, name, sizeof name);
    int words = file_read(name, &text, &why) != FILE_READ ||
            (line = strtok_r(buf_cstr(&text), "\n", &rest)) == NULL
        ? 0
        : sscanf(line, "shards %9u of %63s id %31s", &shards, prefix, id);
    buf_free(&why);
    /* Version 0.1 wrote no id; its cursors have other names. */
    h->unnamed = words == 2;
    if (words < 2 || shards != redis_shards() ||
        strcmp(prefix, self.conf.redis_prefix) != 0 ||
        (words == 3 && strcmp(id, journal_id()) != 0)) {
        buf_free(&text);
        return;
    }
    while ((line = strtok_r(NULL, "\n", &rest)) != NULL)
        if (sscanf(line, "all %19" SCNu64, &n) == 1 && n <= JOURNAL_NUMBER_MAX)
            h->all = n;
        else if (sscanf(line, "%9u %19" SCNu64, &shard, &n) == 2 &&
            shard < shards && n <= JOURNAL_NUMBER_MAX)
            h->of[shard] = n;
    buf_free(&text);
    h->kept = h->unnamed ? 0 : h->all;
}

/* A job of the helper: writes the new contents of a file. */
struct job {
    struct helper_job h;
    struct ship_hint *hint;
    uint64_t          all;
    bool              ok;
    char              name[NAME_SIZE];
    struct buf        text;
};

static struct helper hints =
    HELPER_INIT("ocppd-hints", "the disk of the journal", 64, 2000);

static void
work(struct helper_job *h)
{
    struct job *w = (struct job *)h;
    char        temp[sizeof w->name + 4];

    snprintf(temp, sizeof temp, "%s.new", w->name);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return; /* a full disk: the journal reports it */
    w->ok = write(fd, w->text.p, w->text.len) == (ssize_t)w->text.len;
    w->ok &= close(fd) == 0;
    w->ok = w->ok && rename(temp, w->name) == 0;
    if (!w->ok)
        unlink(temp);
}

static void
written(struct helper_job *h)
{
    struct job *w = (struct job *)h;

    w->hint->writing = false;
    if (w->ok)
        w->hint->kept = w->all;
    buf_free(&w->text);
    free(w);
}

void
ship_hint_write(struct ship_hint *h)
{
    if (h->all <= h->kept || h->writing)
        return;
    struct job *w = calloc(1, sizeof *w);
    if (w == NULL)
        return;
    w->h.work = work;
    w->h.done = written;
    w->hint = h;
    w->all = h->all;
    file_name(h, w->name, sizeof w->name);
    w->text = BUF_INIT(TEXT_MAX);
    buf_addf(&w->text, "shards %u of %s id %s\nall %" PRIu64 "\n",
        redis_shards(), self.conf.redis_prefix, journal_id(), w->all);
    for (unsigned i = 0; i < redis_shards(); i++)
        if (h->of[i] != 0)
            buf_addf(&w->text, "%u %" PRIu64 "\n", i, h->of[i]);
    h->writing = helper_submit(&hints, &w->h);
    if (!h->writing) {
        buf_free(&w->text);
        free(w);
    }
}

bool
ship_hint_open(struct ship_hint *h, const char *dir, unsigned slot)
{
    *h = (struct ship_hint){.dir = dir, .slot = slot};
    h->of = calloc(redis_shards(), sizeof *h->of);
    if (h->of == NULL)
        return false;
    read_file(h);
    return true;
}
