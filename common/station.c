/* station: facts about one charge point from the journal. See station.h. */
#include "station.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal_dir.h"
#include "journal_file.h"
#include "journal_line.h"
#include "writer.h"

struct search {
    struct station *found;
    struct buf      identity; /* the identity, as a member of a line */
    uint64_t        left;     /* bytes to be read */
};

static bool
value_of(
    const char *object, size_t len, const char *name, const char **v, size_t *n)
{
    return journal_line_field(object, len, name, v, n);
}

static void
keep(struct station_event *f, const struct journal_line *line)
{
    if (line->number <= f->number || line->len > STATION_LINE_MAX)
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
        keep(&s->found->boot, line);
    else if (n > sizeof transaction &&
        memcmp(type, transaction, sizeof transaction - 1) == 0)
        keep(&s->found->transaction, line);
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

/* Orders by time, the newest first. */
static int
order(const void *a, const void *b)
{
    const struct journal_dir_id *x = a, *y = b;

    return x->first < y->first ? 1 : x->first > y->first ? -1 : 0;
}

void
station_find(struct station *found, const char *path, const char *identity,
    size_t len, uint64_t most)
{
    struct search s = {
        .found = found, .identity = BUF_INIT(1024), .left = most};
    struct journal_dir_list list = {0};
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return;
    buf_adds(&s.identity, "\"chargePointId\":");
    writer_quote(&s.identity, identity, len);
    if (journal_dir_find(dir, &list) == 0) {
        qsort(list.v, list.n, sizeof *list.v, order);
        for (size_t i = 0; i < list.n && s.left > 0; i++)
            read_segment(&s, dir, &list.v[i]);
    }
    buf_free(&s.identity);
    free(list.v);
    close(dir);
}

void
station_free(struct station *found)
{
    buf_free(&found->boot.line);
    buf_free(&found->transaction.line);
}

/* One name for the members of a BootNotification of 1.6 and of 2.x that mean
 * the same. */
static const struct {
    const char *name, *text, *of_16, *of_2x;
} rows[STATION_ROWS] = {
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

const char *
station_row(
    const struct station *s, unsigned row, const char **value, size_t *len)
{
    return s->boot.number != 0 && boot_value(&s->boot.line, row, value, len)
        ? rows[row].text
        : NULL;
}

static void
put_json(const struct station *s, struct writer *w)
{
    static const char *const members[] = {
        "eventId", "eventType", "timestamp", "tx"};
    const char *v;
    size_t      n;

    if (s->boot.number != 0) {
        writer_open(w, "station", '{');
        for (size_t i = 0; i < STATION_ROWS; i++)
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

void
station_extend(const struct station *s, struct buf *object)
{
    struct writer w = WRITER_INIT(object);
    size_t        n = object->len;

    while (n > 0 && object->p[n - 1] == '\n')
        n--;
    if (n < 2 || object->p[n - 1] != '}' || object->p[n - 2] == '{')
        return;
    object->len = n - 1;
    /* The object is opened again, and already has members. */
    w.depth = 1;
    w.more = 1u << 1;
    put_json(s, &w);
    writer_close(&w);
    buf_addc(object, '\n');
}
