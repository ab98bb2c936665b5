/* score: `ocppctl score`: the problems of charge points, from the journal. See
 * common/score.h. */
#include "score.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ctl/ctl.h"
#include "ctl/journal_path.h"
#include "printable.h"

#define POINTS_MAX 200000u
#define TEXT_MAX (64u << 20)
#define WORST 20
#define LABELS 50
#define DAY_MS 86400000u

struct request {
    struct score_view view;
    char              dir[JOURNAL_PATH_MAX];
    bool              alone; /* --dir: the daemon is not asked */
};

static bool
take_by(struct request *q, const char *text, bool *reported)
{
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(score_by_name[i], text) == 0) {
            q->view.by = (enum score_by)i;
            return true;
        }
    ctl_bad_word("score", text);
    *reported = true;
    return false;
}

static bool
take_worst(struct request *q, const char *text)
{
    char         *end;
    unsigned long n = strtoul(text, &end, 10);

    if (text[0] < '1' || text[0] > '9' || *end != '\0' || n > POINTS_MAX) {
        ctl_report("--worst %s: give a number from 1 to %u", text, POINTS_MAX);
        return false;
    }
    q->view.worst = (uint32_t)n;
    return true;
}

static bool
options(struct request *q, int argc, char **argv)
{
    static const struct option table[] = {
        {"worst", required_argument, NULL, 'w'},
        {"by", required_argument, NULL, 'b'},
        {"since", required_argument, NULL, 's'},
        {"dir", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
    bool good = true, reported = false;
    int  o;

    optind = 0;
    while (good && (o = ctl_option(argc, argv, ":", table)) != -1)
        switch (o) {
        case 'w':
            good = take_worst(q, optarg);
            break;
        case 'b':
            good = take_by(q, optarg, &reported);
            break;
        case 's':
            good = ctl_since(optarg, &q->view.since_ms);
            break;
        case 'd':
            q->alone = true;
            good = journal_path_take(q->dir, sizeof q->dir, optarg, true);
            break;
        default:
            good = false;
        }
    if (good && optind == argc)
        return true;
    if (!reported)
        ctl_usage("score");
    return false;
}

static void
print(struct score *s, const struct ctl *ctl, const struct score_view *v)
{
    struct buf out = BUF_INIT(TEXT_MAX), shown = BUF_INIT(6 * TEXT_MAX);

    if (ctl->format == 'j')
        score_put_json(s, v, &out);
    else if (ctl->format == 'p')
        score_put_prometheus(s, v, &out);
    else
        score_put_text(s, v, &out);
    if (printable_escape(&shown, out.p, out.len))
        fwrite(shown.p, 1, shown.len, stdout);
    buf_free(&out);
    buf_free(&shown);
}

int
ctl_score(int argc, char **argv, const struct ctl *ctl)
{
    static struct request q = {.view = {.worst = WORST}};
    struct buf            silent = BUF_INIT(4096), why = BUF_INIT(4096);
    uint64_t              mark = UINT64_MAX;
    int                   result = CTL_DONE;

    q.view.until_ms = clock_wall_ms();
    q.view.since_ms = q.view.until_ms - DAY_MS;
    if (ctl->format == 'p') {
        q.view.by = SCORE_MODEL;
        q.view.worst = LABELS;
    }
    if (!options(&q, argc, argv))
        return CTL_USAGE;
    q.view.labels = q.view.worst;
    if (ctl->format == 'p' && q.view.by == SCORE_POINT) {
        ctl_report("score -p --by identity: the number of series would not "
                   "be limited; give model, vendor or firmware");
        return CTL_USAGE;
    }
    if (!q.alone)
        result = journal_path_ask(ctl, q.dir, sizeof q.dir, &mark, &silent);
    if (result == CTL_DONE && q.dir[0] == '\0')
        result = journal_path_configured(ctl, q.dir, sizeof q.dir);
    struct score *s = score_new(POINTS_MAX);
    if (result == CTL_DONE && s == NULL) {
        ctl_error(ctl, "there is no memory");
        result = CTL_REFUSED;
    } else if (result == CTL_DONE &&
        !score_read(
            s, q.dir, q.view.since_ms, mark, 0, &q.view.partial, &why)) {
        ctl_error(ctl, "%s", buf_cstr(&why));
        result = CTL_REFUSED;
    } else if (result == CTL_DONE) {
        print(s, ctl, &q.view);
    }
    if (s != NULL)
        score_free(s);
    buf_free(&silent);
    buf_free(&why);
    return result;
}
