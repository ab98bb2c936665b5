/* show: `ocppctl show`, with what the journal has of the charge point. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/journal_path.h"
#include "ctl/ctl.h"
#include "journal_dir.h"
#include "journal_file.h"
#include "printable.h"
#include "writer.h"

/* The end of the journal is read, so much of it at most, from the newest
 * segment of each worker on. */
#define READ_MAX (96u << 20)
#define LINE_MAX_BYTES (1u << 20)

struct found {
    uint64_t   number; /* of the event; 0: none */
    struct buf line;
};

/* The charge point's last BootNotification, and the last event of a
 * transaction. */
struct search {
    struct buf   identity; /* as a member of a line */
    struct found boot, transaction;
    uint64_t     left; /* bytes to be read */
};

static bool
value_of(
    const char *object, size_t len, const char *name, const char **v, size_t *n)
{
    return journal_line_field(object, len, name, v, n);
}

static void
keep(struct found *f, const struct journal_line *line)
{
    if (line->number <= f->number || line->len > LINE_MAX_BYTES)
        return;
    f->number = line->number;
    buf_clear(&f->line);
    buf_add(&f->line, line->p, line->len);
}

static void
look_at(struct search *s, const struct journal_line *line)
{
    static const char transaction[] = "\"transaction.";
    const char       *type;
    size_t            n;

    if (memmem(line->p, line->len, s->identity.p, s->identity.len) == NULL ||
        !value_of(line->p, line->len, "eventType", &type, &n))
        return;
    if (n == 21 && memcmp(type, "\"charge_point.booted\"", 21) == 0)
        keep(&s->boot, line);
    else if (n > sizeof transaction &&
        memcmp(type, transaction, sizeof transaction - 1) == 0)
        keep(&s->transaction, line);
}

static void
read_segment(struct search *s, int dir, const struct journal_dir_id *id)
{
    char                name[JOURNAL_NAME_LEN + 1];
    struct journal_file file = JOURNAL_FILE_CLOSED;
    struct journal_line line;
    struct stat         st;

    journal_line_file_name(name, id->slot, id->first);
    int fd = journal_file_openat(dir, name, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0)
            close(fd);
        return;
    }
    uint64_t size = (uint64_t)st.st_size;
    uint64_t take = size < s->left ? size : s->left;
    s->left -= take;
    journal_file_open(&file, fd, size - take);
    for (;;) {
        enum journal_file_result r = journal_file_next(&file, &line);
        if (r == JOURNAL_FILE_LINE)
            look_at(s, &line);
        else if (r != JOURNAL_FILE_DAMAGED)
            break;
    }
    journal_file_free(&file);
}

/* Newest first. */
static int
order(const void *a, const void *b)
{
    const struct journal_dir_id *x = a, *y = b;

    return x->first < y->first ? 1 : x->first > y->first ? -1 : 0;
}

static void
search(struct search *s, const char *path)
{
    struct journal_dir_list list = {0};
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return;
    if (journal_dir_find(dir, &list) == 0) {
        qsort(list.v, list.n, sizeof *list.v, order);
        for (size_t i = 0; i < list.n && s->left > 0; i++)
            read_segment(s, dir, &list.v[i]);
    }
    free(list.v);
    close(dir);
}

/* --- what is printed ------------------------------------------------------ */

/* The members of a BootNotification of 1.6 and of 2.x, by one name. */
static const struct {
    const char *name, *text, *of_16, *of_2x;
} rows[] = {
    {"vendor", "vendor", "chargePointVendor", "vendorName"},
    {"model", "model", "chargePointModel", "model"},
    {"serialNumber", "serial number", "chargePointSerialNumber",
        "serialNumber"},
    {"firmwareVersion", "firmware", "firmwareVersion", "firmwareVersion"},
    {"iccid", "modem, iccid", "iccid", "iccid"},
    {"imsi", "modem, imsi", "imsi", "imsi"},
};

static bool
boot_value(const struct buf *line, size_t row, const char **v, size_t *n)
{
    const char *payload, *station, *modem;
    size_t      len, station_len, modem_len;

    if (!value_of(line->p, line->len, "payload", &payload, &len))
        return false;
    if (!value_of(payload, len, "chargingStation", &station, &station_len))
        return value_of(payload, len, rows[row].of_16, v, n);
    if (value_of(station, station_len, "modem", &modem, &modem_len) &&
        value_of(modem, modem_len, rows[row].of_2x, v, n))
        return true;
    return value_of(station, station_len, rows[row].of_2x, v, n);
}

static void
put_line(struct buf *out, const char *name, const char *v, size_t n)
{
    if (n >= 2 && v[0] == '"') {
        v++;
        n -= 2;
    }
    buf_addf(out, "%-16s %.*s\n", name, (int)n, v);
}

static void
put_text(const struct search *s, struct buf *out)
{
    const char *v, *tx;
    size_t      n, len;

    for (size_t i = 0; s->boot.number != 0 && i < sizeof rows / sizeof rows[0];
         i++)
        if (boot_value(&s->boot.line, i, &v, &n))
            put_line(out, rows[i].text, v, n);
    const struct buf *line = &s->transaction.line;
    if (s->transaction.number == 0 ||
        !value_of(line->p, line->len, "tx", &tx, &len))
        return;
    buf_addf(out, "%-16s %.*s\n", "last transaction", (int)len, tx);
    if (value_of(line->p, line->len, "eventType", &v, &n))
        put_line(out, "... event", v, n);
    if (value_of(line->p, line->len, "timestamp", &v, &n))
        put_line(out, "... at", v, n);
}

static void
put_json(const struct search *s, struct writer *w)
{
    static const char *const members[] = {
        "eventId", "eventType", "timestamp", "tx"};
    const char *v;
    size_t      n;

    if (s->boot.number != 0) {
        writer_open(w, "station", '{');
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            if (boot_value(&s->boot.line, i, &v, &n))
                writer_raw(w, rows[i].name, v, n);
        writer_close(w);
    }
    if (s->transaction.number == 0)
        return;
    writer_open(w, "lastTransaction", '{');
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (value_of(s->transaction.line.p, s->transaction.line.len, members[i],
                &v, &n))
            writer_raw(w, members[i], v, n);
    writer_close(w);
}

static void
print(const struct ctl *ctl, const struct search *s, struct buf *reply)
{
    struct buf out = BUF_INIT(CTL_REPLY_MAX), shown = BUF_INIT(CTL_REPLY_MAX);
    size_t     n = reply->len;

    while (n > 0 && (reply->p[n - 1] == '\n' || reply->p[n - 1] == '}'))
        if (reply->p[--n] == '}')
            break;
    if (ctl->format == 'j' && n > 1) {
        struct writer w = WRITER_INIT(&out);
        buf_add(&out, reply->p, n);
        /* The daemon's object is open again, and has members. */
        w.depth = 1;
        w.more = 1u << 1;
        put_json(s, &w);
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
        buf_add(&out, reply->p, reply->len);
        put_text(s, &out);
    }
    if (printable_escape(&shown, out.p, out.len))
        fwrite(shown.p, 1, shown.len, stdout);
    buf_free(&out);
    buf_free(&shown);
}

int
ctl_show(int argc, char **argv, const struct ctl *ctl)
{
    const char   *words[3] = {"-j", "show", argc > 1 ? argv[1] : ""};
    bool          json = ctl->format == 'j';
    struct buf    reply = BUF_INIT(CTL_REPLY_MAX), silent = BUF_INIT(4096);
    struct search s = {.identity = BUF_INIT(1024),
        .boot.line = BUF_INIT(2 * LINE_MAX_BYTES),
        .transaction.line = BUF_INIT(2 * LINE_MAX_BYTES),
        .left = READ_MAX};
    char          dir[JOURNAL_PATH_MAX] = "";
    uint64_t      mark = UINT64_MAX;

    int code = argc == 2 && (json || ctl->format == 0)
        ? ctl_request(ctl, words + !json, 2 + json, &reply)
        : -1;
    /* What went wrong is printed as for every other command. */
    if (code < 200 || code >= 300) {
        buf_free(&reply);
        return ctl_run(ctl, argc, argv);
    }
    buf_adds(&s.identity, "\"chargePointId\":");
    writer_quote(&s.identity, argv[1], strlen(argv[1]));
    if (journal_path_ask(ctl, dir, sizeof dir, &mark, &silent) == CTL_DONE)
        search(&s, dir);
    print(ctl, &s, &reply);
    buf_free(&reply);
    buf_free(&silent);
    buf_free(&s.identity);
    buf_free(&s.boot.line);
    buf_free(&s.transaction.line);
    return fflush(stdout) == 0 ? CTL_DONE : CTL_REFUSED;
}
