/* words: the commands of ocppctl, and their usage. See ctl.h. */
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

#include "ensure.h"
#include "near.h"
#include "usage.h"

#define LOCAL_READ(name) NULL
#define LOCAL_EXTENDED(name) ctl_##name
#define LOCAL_ADMIN(name) NULL
#define LOCAL_LOCAL(name) ctl_##name

const struct ctl_word ctl_words[] = {
#define COMMAND(name, word, usage, needs, upgrade, sentence)                   \
    {word, usage, sentence, LOCAL_##needs(name)},
#include "commands.def"
#undef COMMAND
};

const size_t ctl_words_n = sizeof ctl_words / sizeof *ctl_words;

const struct ctl_word *
ctl_find_word(const char *word)
{
    for (size_t i = 0; i < ctl_words_n; i++)
        if (strcmp(ctl_words[i].word, word) == 0)
            return &ctl_words[i];
    return NULL;
}

void
ctl_usage(const char *command)
{
    const struct ctl_word *w = ctl_find_word(command);

    if (w != NULL)
        fprintf(stderr, "usage: ocppctl %s%s%s\n", w->word,
            w->usage[0] ? " " : "", w->usage);
}

int
ctl_option(
    int argc, char **argv, const char *letters, const struct option *table)
{
    opterr = 0;
    int at = optind > 0 ? optind : 1;
    int o = getopt_long(argc, argv, letters, table, NULL);
    if (o == ':') {
        ctl_report("%s: %s needs a value", argv[0], argv[optind - 1]);
    } else if (o == '?') {
        const char *typed = argv[optind > at ? optind - 1 : at];
        struct near n = near_to(typed + strspn(typed, "-"));
        for (const struct option *t = table; t->name != NULL; t++)
            near_try(&n, t->name);
        ctl_report("%s: %s: there is no such option%s%s%s", argv[0], typed,
            n.word != NULL ? "; is it --" : "", n.word != NULL ? n.word : "",
            n.word != NULL ? "?" : "");
    }
    return o == ':' ? '?' : o;
}

int
ctl_bad_word(const char *command, const char *typed)
{
    const struct ctl_word *w = ctl_find_word(command);
    struct near            n = near_to(typed);
    char                   word[64];

    ensure(w != NULL);
    usage_try(&n, w->usage, word, sizeof word);
    ctl_report("%s: %s: there is no such word%s%s%s", command, typed,
        n.word != NULL ? "; is it " : "", n.word != NULL ? n.word : "",
        n.word != NULL ? "?" : "");
    ctl_usage(command);
    return CTL_USAGE;
}
