/*
 * verify: compares a ledger with a journal. See verify.h.
 *
 * The journal is read first, line by line, into four sets: the messages that
 * have an event, the StartTransactions with their transaction ids, the
 * transaction ids with their StartTransactions, and the TransactionEvents
 * of 2.x, which contain their id. Then each line of the ledger is searched in
 * them. A crash may leave an incomplete last line in a ledger; it acknowledges
 * no message, so it is counted and skipped.
 */
#include "verify.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/writer.h"
#include "digest.h"
#include "jsonspan.h"
#include "options.h"

#define COMPLAINTS_MAX 20u /* violations that are printed singly */

/* Counts; those of the second list are violations. */
#define FIGURES(X)                                                             \
    X(events, "events in the journal")                                         \
    X(event_starts, "of these, transactions started")                          \
    X(repeated, "events that repeat another one")                              \
    X(unreadable, "lines that are not a JSON object (torn by a crash)")        \
    X(checked, "acknowledged messages checked")                                \
    X(starts, "of these, StartTransaction")                                    \
    X(transaction_events, "of these, TransactionEvent")
#define VIOLATIONS(X)                                                          \
    X(missing, "acknowledged, but not in the journal")                         \
    X(doubled, "starts that became two transactions")                          \
    X(twice, "TransactionEvents and stops that became two events")             \
    X(shared, "transaction ids given to two starts")                           \
    X(mismatched, "transaction ids that differ from the journal's")            \
    X(spoilt, "lines of the ledger that cannot be read")

static struct {
#define FIELD(name, text) uint64_t name;
    FIGURES(FIELD)
    VIOLATIONS(FIELD)
#undef FIELD
} figures;

static struct digest_set messages; /* identity, messageId, action, payload */
static struct digest_set starts;   /* identity, payload -> transaction id */
static struct digest_set events;   /* TransactionEvents: identity, payload */
static struct digest_set ids;      /* transaction id -> start */
static bool              quiet;

static const char *const usage =
    "usage: ocppsim verify [-jq] --ledger FILE --journal DIR|FILE|-\n"
    "  --ledger FILE   as given to the fleet: FILE, FILE.0, FILE.1, ...\n"
    "  --journal DIR   directory with *.jsonl, or one file, or - for\n"
    "                  standard input\n"
    "  --strict        an event that is there twice is a violation\n"
    "  -j, --json      the figures as JSON\n"
    "  -q, --quiet     violations are counted, not printed\n";

static void
complain(const char *what, struct span line)
{
    static unsigned complaints;

    if (quiet || complaints++ >= COMPLAINTS_MAX)
        return;
    fprintf(stderr, "ocppsim: %s: %.*s\n", what,
        line.n > 400 ? 400 : (int)line.n, line.p);
}

/* The members that lines of both files have. */
struct record {
    struct span identity, message_id, action, payload;
    struct span answer; /* journal: raw */
    int64_t
        transaction; /* ledger: its member, journal: from the answer; 0: none */
};

static void
transaction_of(struct span object, int64_t *transaction)
{
    struct span v;

    if (jsonspan_member(object, "transactionId", &v))
        jsonspan_int(v, transaction);
}

/* False if the line is not a whole JSON object. */
static bool
read_record(struct record *r, struct span line)
{
    struct jsonspan j;
    struct span     key, value;

    memset(r, 0, sizeof *r);
    if (!jsonspan_begin(&j, line, '{'))
        return false;
    while (jsonspan_next(&j, &key, &value)) {
        if (span_is(key, "chargePointId"))
            jsonspan_string(value, &r->identity);
        else if (span_is(key, "messageId"))
            jsonspan_string(value, &r->message_id);
        else if (span_is(key, "action"))
            jsonspan_string(value, &r->action);
        else if (span_is(key, "payload"))
            r->payload = value;
        else if (span_is(key, "answer"))
            r->answer = value;
        else if (span_is(key, "transactionId"))
            jsonspan_int(value, &r->transaction);
    }
    return jsonspan_ended(&j);
}

static struct digest
message_digest(const struct record *r)
{
    struct span parts[] = {r->identity, r->message_id, r->action, r->payload};

    return digest_of(parts, 4);
}

static struct digest
start_digest(const struct record *r)
{
    struct span parts[] = {r->identity, r->payload};

    return digest_of(parts, 2);
}

static bool
same(struct digest x, struct digest y)
{
    return x.a == y.a && x.b == y.b;
}

/* Checks a StartTransaction and its id in either file: each StartTransaction
 * must have one id, and each id one StartTransaction. */
static void
note_start(struct digest start, int64_t id, struct span line)
{
    struct digest_slot *s = digest_slot(&starts, start);

    if (s->value != 0 && s->value != id) {
        figures.doubled++;
        complain("a StartTransaction has two transaction ids", line);
        return;
    }
    s->value = id;
    struct digest_slot *i = digest_slot(&ids, digest_number(id));
    if (i->value != 0 && !same(i->other, start)) {
        figures.shared++;
        complain("a transaction id has two StartTransactions", line);
        return;
    }
    i->value = 1;
    i->other = start;
}

static void
journal_line(struct span line)
{
    struct record r;
    struct span   type;

    if (!read_record(&r, line)) {
        figures.unreadable++;
        return;
    }
    figures.events++;
    /* The outcome of a command has an action, too, but is not a message. */
    if (r.action.n == 0 || r.message_id.p == NULL || r.payload.p == NULL ||
        (jsonspan_member(line, "eventType", &type) &&
            span_is(type, "\"command.response\"")))
        return;
    struct digest_slot *m = digest_slot(&messages, message_digest(&r));
    if (m->value++ > 0)
        figures.repeated++;
    if (span_is(r.action, "TransactionEvent") ||
        span_is(r.action, "StopTransaction")) {
        struct digest_slot *e = digest_slot(&events, start_digest(&r));
        /* A start that was sent again under another message id makes one
         * event. */
        if (e->value++ > 0 && m->value == 1) {
            figures.twice++;
            complain(
                "TransactionEvent or StopTransaction became two events", line);
        }
        return;
    }
    if (!span_is(r.action, "StartTransaction"))
        return;
    /* An answer of the platform proves nothing, nor does the lack of an answer.
     */
    if (r.answer.p != NULL && r.transaction == 0)
        transaction_of(r.answer, &r.transaction);
    figures.event_starts++;
    if (r.transaction == 0)
        return;
    struct digest       start = start_digest(&r);
    struct digest_slot *known = digest_find(&starts, start);
    if (known != NULL && known->value == r.transaction && m->value == 1)
        figures.repeated++;
    note_start(start, r.transaction, line);
}

static void
ledger_line(struct span line)
{
    struct record r;

    if (!read_record(&r, line) || r.identity.n == 0 || r.payload.p == NULL) {
        figures.spoilt++;
        complain("unreadable line in the ledger", line);
        return;
    }
    figures.checked++;
    bool start = span_is(r.action, "StartTransaction");
    bool event = span_is(r.action, "TransactionEvent");
    figures.transaction_events += event;
    event |= span_is(r.action, "StopTransaction");
    const struct digest_slot *known = start || event
        ? digest_find(start ? &starts : &events, start_digest(&r))
        : NULL;
    /* A message that was sent again under another message id has an event
     * already. */
    if (digest_find(&messages, message_digest(&r)) == NULL && known == NULL) {
        figures.missing++;
        complain("acknowledged, but not in the journal", line);
    }
    if (!start)
        return;
    figures.starts++;
    if (known != NULL && known->value != 0 && known->value != r.transaction) {
        figures.mismatched++;
        complain("the journal has another transaction id", line);
        return;
    }
    /* A start that is in the journal was checked there. */
    if (known == NULL || known->value == 0)
        note_start(start_digest(&r), r.transaction, line);
}

static bool
each_line(FILE *f, void (*take)(struct span line))
{
    char   *line = NULL;
    size_t  size = 0;
    ssize_t n;

    while ((n = getline(&line, &size, f)) > 0) {
        if (line[n - 1] == '\n')
            n--;
        if (n > 0)
            take((struct span){line, (size_t)n});
    }
    free(line);
    return !ferror(f);
}

static bool
each_line_of(const char *path, void (*take)(struct span line))
{
    bool  given = strcmp(path, "-") == 0;
    FILE *f = given ? stdin : fopen(path, "re");
    bool  ok = f != NULL && each_line(f, take);

    if (!ok)
        fprintf(stderr, "ocppsim: %s: %m\n", path);
    if (f != NULL && !given)
        fclose(f);
    return ok;
}

static int
journal_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    size_t n = strlen(path);

    (void)st;
    if (type != FTW_F)
        return 0;
    if (ftw->level > 0 && (n < 6 || strcmp(path + n - 6, ".jsonl") != 0))
        return 0;
    return each_line_of(path, journal_line) ? 0 : 1;
}

static bool
read_journal(const char *where)
{
    if (strcmp(where, "-") == 0)
        return each_line_of(where, journal_line);
    int rc = nftw(where, journal_file, 16, 0);
    if (rc < 0)
        fprintf(stderr, "ocppsim: %s: %m\n", where);
    return rc == 0;
}

/* Reads the file itself, and those that the processes of the fleet have named
 * after it. */
static bool
read_ledger(const char *file)
{
    unsigned found = 0;

    for (int i = -1;; i++) {
        char path[4096];
        if (i < 0)
            snprintf(path, sizeof path, "%s", file);
        else
            snprintf(path, sizeof path, "%s.%d", file, i);
        FILE *f = fopen(path, "re");
        if (f == NULL) {
            if (i < 0)
                continue;
            break;
        }
        bool fine = each_line(f, ledger_line);
        fclose(f);
        if (!fine)
            return false;
        found++;
    }
    if (found == 0)
        fprintf(
            stderr, "ocppsim: neither %s nor %s.0 can be read\n", file, file);
    return found > 0;
}

static uint64_t
report(bool json, bool strict)
{
    struct buf    out = BUF_INIT(65536);
    struct writer w = WRITER_INIT(&out);
    uint64_t      bad = strict ? figures.repeated : 0;

#define SUM(name, text) bad += figures.name;
    VIOLATIONS(SUM)
#undef SUM
    if (json) {
        writer_open(&w, NULL, '{');
        writer_bool(&w, "ok", bad == 0);
#define MEMBER(name, text) writer_u64(&w, #name, figures.name);
        FIGURES(MEMBER)
        VIOLATIONS(MEMBER)
#undef MEMBER
        writer_close(&w);
        buf_addc(&out, '\n');
    } else {
#define LINE(name, text)                                                       \
    buf_addf(&out, "%12" PRIu64 "  %s\n", figures.name, text);
        FIGURES(LINE)
        VIOLATIONS(LINE)
#undef LINE
        buf_adds(&out,
            bad == 0 ? "every promise was kept\n" : "promises were broken\n");
    }
    fwrite(out.p, 1, out.len, stdout);
    buf_free(&out);
    return bad;
}

int
verify_main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"ledger", required_argument, NULL, 'l'},
        {"journal", required_argument, NULL, 'J'},
        {"strict", no_argument, NULL, 's'}, {"json", no_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    const char *ledger = NULL, *journal = NULL;
    bool        json = false, strict = false;
    int         c;

    while ((c = getopt_long(argc, argv, "jqh", longs, NULL)) != -1) {
        switch (c) {
        case 'l':
            ledger = optarg;
            break;
        case 'J':
            journal = optarg;
            break;
        case 's':
            strict = true;
            break;
        case 'j':
            json = true;
            break;
        case 'q':
            quiet = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (ledger == NULL || journal == NULL || optind != argc) {
        fputs(usage, stderr);
        return 2;
    }
    if (!read_journal(journal) || !read_ledger(ledger))
        return 1;
    uint64_t bad = report(json, strict);
    digest_free(&messages);
    digest_free(&starts);
    digest_free(&events);
    digest_free(&ids);
    return bad == 0 ? 0 : 1;
}
