/*
 * journal: `ocppctl journal check`: reads every segment of the journal and
 * lists what is damaged.
 *
 * It reads the files directly. While the daemon writes them, the newest segment
 * of a slot may end with a line that is not complete yet.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/journal_path.h"
#include "journal_dir.h"
#include "journal_file.h"
#include "writer.h"

#define JSON_MAX ((size_t)16 << 20)

struct check {
    const char   *dir;
    bool          json;
    uint64_t      segments, events, unchecked, damaged;
    struct buf    text; /* the JSON answer */
    struct writer w;
};

/* Writes a damaged place, with its file and the offset of its first byte. */
static void
place(struct check *k, const char *name, uint64_t at, size_t len,
    const char *what)
{
    k->damaged++;
    if (!k->json) {
        printf("%s/%s: byte %" PRIu64 ", %zu bytes: %s\n", k->dir, name, at,
            len, what);
        return;
    }
    writer_open(&k->w, NULL, '{');
    writer_str(&k->w, "file", name);
    writer_u64(&k->w, "offset", at);
    writer_u64(&k->w, "length", len);
    writer_str(&k->w, "problem", what);
    writer_close(&k->w);
}

static void
check_file(
    struct check *k, int dir_fd, const struct journal_dir_id *id, bool newest)
{
    char                     name[JOURNAL_NAME_LEN + 1];
    struct journal_file      r = JOURNAL_FILE_CLOSED;
    struct journal_line      line;
    struct stat              st;
    enum journal_file_result res;

    journal_line_file_name(name, id->slot, id->first);
    int fd = journal_file_openat(dir_fd, name, O_RDONLY);
    if (fd < 0 && errno == ENOENT)
        return; /* removed in the meantime */
    k->segments++;
    if (fd < 0) {
        place(k, name, 0, 0, strerror(errno));
        return;
    }
    journal_file_open(&r, fd, 0);
    r.ceiling = id->first + JOURNAL_FILE_SPAN;
    while ((res = journal_file_next(&r, &line)) == JOURNAL_FILE_LINE ||
        res == JOURNAL_FILE_DAMAGED) {
        if (res == JOURNAL_FILE_DAMAGED) {
            place(k, name, line.at, line.len, "this line is damaged");
            continue;
        }
        k->events++;
        k->unchecked += !line.checked;
    }
    uint64_t at = journal_file_at(&r);
    if (res == JOURNAL_FILE_ERROR)
        place(k, name, at, 0, strerror(r.error));
    else if (!newest && fstat(r.fd, &st) == 0 && (uint64_t)st.st_size > at)
        place(k, name, at, (size_t)((uint64_t)st.st_size - at),
            "the end is torn; the writer was interrupted");
    journal_file_free(&r);
}

static int
check(struct check *k)
{
    struct journal_dir_list list = {NULL, 0};
    int fd = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 ? errno : journal_dir_find(fd, &list);

    if (err != 0) {
        struct buf why = BUF_INIT(4096);
        journal_dir_put_error(&why, k->dir, err);
        ctl_report("%s", buf_cstr(&why));
        buf_free(&why);
        if (fd >= 0)
            close(fd);
        return CTL_REFUSED;
    }
    if (k->json) {
        writer_open(&k->w, NULL, '{');
        writer_open(&k->w, "damaged", '[');
    }
    for (size_t i = 0; i < list.n; i++)
        check_file(k, fd, &list.v[i],
            i + 1 == list.n || list.v[i + 1].slot != list.v[i].slot);
    free(list.v);
    close(fd);
    if (k->json) {
        writer_close(&k->w);
        writer_u64(&k->w, "segments", k->segments);
        writer_u64(&k->w, "events", k->events);
        writer_u64(&k->w, "unchecked", k->unchecked);
        writer_close(&k->w);
        if (!k->text.overflow)
            printf("%.*s\n", (int)k->text.len, k->text.p);
    } else {
        printf("%" PRIu64 " segments, %" PRIu64 " events, %" PRIu64
               " damaged places\n",
            k->segments, k->events, k->damaged);
        if (k->unchecked > 0)
            printf("%" PRIu64 " events are of version 0.1 and have no "
                   "checksum\n",
                k->unchecked);
    }
    return k->damaged == 0 ? CTL_DONE : CTL_REFUSED;
}

int
ctl_journal(int argc, char **argv, const struct ctl *ctl)
{
    static const struct option table[] = {
        {"dir", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
    static char dir[JOURNAL_PATH_MAX];
    struct buf  silent = BUF_INIT(4096);
    uint64_t    mark;
    int         o, result = CTL_DONE;

    if (argc > 1 && argv[1][0] != '-' && strcmp(argv[1], "check") != 0)
        return ctl_bad_word("journal", argv[1]);
    bool good = argc > 1 && strcmp(argv[1], "check") == 0;

    optind = 0;
    while (good && (o = ctl_option(argc - 1, argv + 1, ":", table)) != -1)
        good = o == 'd' && journal_path_take(dir, sizeof dir, optarg, true);
    if (!good || optind < argc - 1) {
        ctl_usage("journal");
        return CTL_USAGE;
    }
    if (dir[0] == '\0')
        result = journal_path_ask(ctl, dir, sizeof dir, &mark, &silent);
    if (result == CTL_DONE && dir[0] == '\0')
        result = journal_path_configured(ctl, dir, sizeof dir);
    buf_free(&silent);
    if (result != CTL_DONE)
        return result;
    struct check k = {
        .dir = dir, .json = ctl->format == 'j', .text = BUF_INIT(JSON_MAX)};
    k.w = WRITER_INIT(&k.text);
    result = check(&k);
    buf_free(&k.text);
    return result;
}
