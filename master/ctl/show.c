/* show: `ocppctl show`, with facts about the charge point from the journal. */
#include <stdio.h>
#include <string.h>

#include "control_line.h"
#include "ctl/ctl.h"
#include "ctl/journal_path.h"
#include "journal_line.h"
#include "printable.h"
#include "station.h"
#include "writer.h"

/* The most bytes of the journal's end that are read. */
#define READ_MAX (96u << 20)

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
put_text(const struct station *s, struct buf *out)
{
    const char *v, *tx, *name;
    size_t      n, len;

    for (unsigned i = 0; i < STATION_ROWS; i++)
        if ((name = station_row(s, i, &v, &n)) != NULL)
            put_line(out, name, v, n);
    const struct buf *line = &s->transaction.line;
    if (s->transaction.number == 0 ||
        !journal_line_field(line->p, line->len, "tx", &tx, &len))
        return;
    buf_addf(out, "%-16s %.*s\n", "last transaction", (int)len, tx);
    if (journal_line_field(line->p, line->len, "eventType", &v, &n))
        put_line(out, "... event", v, n);
    if (journal_line_field(line->p, line->len, "timestamp", &v, &n))
        put_line(out, "... at", v, n);
}

static void
print(const struct ctl *ctl, const struct station *s, struct buf *reply)
{
    struct buf shown = BUF_INIT(CONTROL_REPLY_MAX);

    if (ctl->format == 'j')
        station_extend(s, reply);
    else
        put_text(s, reply);
    if (printable_escape(&shown, reply->p, reply->len))
        fwrite(shown.p, 1, shown.len, stdout);
    buf_free(&shown);
}

int
ctl_show(int argc, char **argv, const struct ctl *ctl)
{
    if (argc == 3 && strcmp(argv[1], "--") == 0)
        argv[--argc - 1] = argv[2];
    const char    *words[3] = {"-j", "show", argc > 1 ? argv[1] : ""};
    bool           json = ctl->format == 'j';
    struct buf     reply = BUF_INIT(CONTROL_REPLY_MAX), silent = BUF_INIT(4096);
    struct station s = STATION_INIT;
    char           dir[JOURNAL_PATH_MAX] = "";
    uint64_t       mark = UINT64_MAX;

    int code = argc == 2 && (json || ctl->format == 0)
        ? ctl_request(ctl, words + !json, 2 + json, &reply)
        : -1;
    /* An error is printed as for every other command. */
    if (code < 200 || code >= 300) {
        buf_free(&reply);
        return ctl_run(ctl, argc, argv);
    }
    if (journal_path_ask(ctl, dir, sizeof dir, &mark, &silent) == CTL_DONE)
        station_find(&s, dir, argv[1], strlen(argv[1]), READ_MAX);
    print(ctl, &s, &reply);
    buf_free(&reply);
    buf_free(&silent);
    station_free(&s);
    return fflush(stdout) == 0 ? CTL_DONE : CTL_REFUSED;
}
