/*
 * completion: `ocppctl completion`: scripts for bash and zsh, and the words
 * that they ask for.
 *
 * The scripts contain no list of commands. For each press of the tab key they
 * call `ocppctl completion words` with the typed words. It answers from
 * commands.def, and asks the daemon for identities. It waits for at most 2 s,
 * and prints nothing if there is no daemon.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_line.h"
#include "ctl/ctl.h"
#include "event.h"
#include "usage.h"

#define PATIENCE_S 2
#define IDENTITIES "100"

static const char bash_script[] =
    "# Completion of ocppctl for bash. Made by `ocppctl completion bash`.\n"
    "_ocppctl() {\n"
    "    local word words=(\"${COMP_WORDS[@]:1:COMP_CWORD}\") IFS=$'\\n'\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]}\n"
    "    if declare -F _get_comp_words_by_ref >/dev/null; then\n"
    "        local cword\n"
    "        _get_comp_words_by_ref -n : cur words cword\n"
    "        words=(\"${words[@]:1:cword}\")\n"
    "    fi\n"
    "    COMPREPLY=()\n"
    "    while read -r word; do\n"
    "        COMPREPLY+=(\"$(printf '%q' \"$word\")\")\n"
    "    done < <(\"${COMP_WORDS[0]}\" completion words \"${words[@]}\" "
    "2>/dev/null)\n"
    "    declare -F __ltrim_colon_completions >/dev/null &&\n"
    "        __ltrim_colon_completions \"$cur\"\n"
    "    return 0\n"
    "}\n"
    "complete -o default -F _ocppctl ocppctl\n";

static const char zsh_script[] =
    "#compdef ocppctl\n"
    "# Completion of ocppctl for zsh. Made by `ocppctl completion zsh`.\n"
    "_ocppctl() {\n"
    "    local -a found\n"
    "    found=(${(f)\"$(${words[1]} completion words "
    "\"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
    "    if (( $#found )); then compadd -a found; else _files; fi\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _ocppctl ]; then _ocppctl \"$@\"\n"
    "else compdef _ocppctl ocppctl; fi\n";

static void
offer(const char *word, const char *prefix)
{
    if (strncmp(word, prefix, strlen(prefix)) == 0)
        puts(word);
}

/* Identities that begin with the prefix. One with a control character or a
 * backslash in its JSON cannot be typed as a word, and is omitted. */
static void
offer_identities(struct ctl *ctl, const char *prefix)
{
    char        pattern[512];
    size_t      n = 0;
    struct buf  reply = BUF_INIT(CONTROL_REPLY_MAX);
    const char *words[] = {"-j", "connections", "--state", "all", "--limit",
        IDENTITIES, "--match", pattern};
    static const char key[] = "\"identity\":\"";

    for (const char *p = prefix; *p != '\0' && n < sizeof pattern - 4; p++) {
        if (strchr("*?[\\", *p) != NULL)
            pattern[n++] = '?'; /* compared exactly below */
        else
            pattern[n++] = *p;
    }
    pattern[n++] = '*';
    pattern[n] = '\0';
    ctl->patience_s = PATIENCE_S;
    if (ctl_find_socket(ctl) &&
        ctl_request(ctl, words, sizeof words / sizeof *words, &reply) <
            CONTROL_ERRORS)
        for (char *p = buf_cstr(&reply); (p = strstr(p, key)) != NULL;) {
            p += sizeof key - 1;
            char *end = strchr(p, '"');
            if (end == NULL)
                break;
            *end = '\0';
            if (strchr(p, '\\') == NULL)
                offer(p, prefix);
            p = end + 1;
        }
    buf_free(&reply);
}

static void
offer_actions(const char *prefix)
{
    static const struct {
        const char *name, *from;
    } actions[] = {
#define ACTION(name, direction, profile, event) {#name, #direction},
#include "ocpp_actions.def"
#undef ACTION
    };

    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].from, "cp") != 0)
            offer(actions[i].name, prefix);
}

/* Prints the words that are possible for a value in a usage. */
static void
offer_value(struct ctl *ctl, const char *value, const char *prefix)
{
    char word[160];

    while (usage_word(&value, word, sizeof word)) {
        if (usage_is_literal(word))
            offer(word, prefix);
        else if (strcmp(word, "IDENTITY") == 0 || strcmp(word, "PATTERN") == 0)
            offer_identities(ctl, prefix);
        else if (strcmp(word, "ACTION") == 0)
            offer_actions(prefix);
        else if (strcmp(word, "COMMAND") == 0)
            for (size_t i = 0; i < ctl_words_n; i++)
                offer(ctl_words[i].word, prefix);
        else if (strcmp(word, "TYPE") == 0)
            for (size_t i = 0; i < EVENTS; i++)
                offer(event_info[i].type, prefix);
    }
}

static bool
find_option(const char *usage, const char *name, struct usage_item *item)
{
    while (usage_next(&usage, item))
        if (strcmp(item->option, name) == 0)
            return true;
    return false;
}

/* argv: the words after the command; the last one is being typed. */
static void
offer_argument(struct ctl *ctl, const char *usage, int argc, char **argv)
{
    struct usage_item item;
    const char       *prefix = argv[argc - 1];
    int               at = 0;

    for (int i = 0; i + 1 < argc; i++) {
        if (argv[i][0] != '-') {
            at++;
            continue;
        }
        bool with_value =
            find_option(usage, argv[i], &item) && item.value[0] != '\0';
        if (with_value && i + 2 == argc) {
            offer_value(ctl, item.value, prefix);
            return;
        }
        i += with_value;
    }
    if (prefix[0] == '-') {
        for (const char *u = usage; usage_next(&u, &item);)
            if (item.option[0] != '\0')
                offer(item.option, prefix);
        offer("--help", prefix);
        return;
    }
    while (usage_next(&usage, &item))
        if (item.option[0] == '\0' && at-- == 0)
            offer_value(ctl, item.value, prefix);
}

/* argv: the words after `ocppctl`; the last one is being typed. */
static void
offer_words(struct ctl *ctl, int argc, char **argv)
{
    int i = 0;

    for (; i + 1 < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-s") == 0)
            ctl->socket = argv[++i];
        else if (strcmp(argv[i], "-c") == 0)
            ctl->conf = argv[++i];
    }
    if (i >= argc)
        return; /* the value of -s or -c: a file, which the shell completes */
    if (i + 1 == argc && argv[i][0] == '-') {
        static const char *const options[] = {
            "-s", "-c", "-j", "-p", "-h", "-V", "--help", "--version"};
        for (size_t k = 0; k < sizeof options / sizeof *options; k++)
            offer(options[k], argv[i]);
    } else if (i + 1 == argc) {
        for (size_t k = 0; k < ctl_words_n; k++)
            offer(ctl_words[k].word, argv[i]);
    } else {
        for (size_t k = 0; k < ctl_words_n; k++)
            if (strcmp(ctl_words[k].word, argv[i]) == 0)
                offer_argument(
                    ctl, ctl_words[k].usage, argc - i - 1, argv + i + 1);
    }
}

int
ctl_completion(int argc, char **argv, const struct ctl *ctl)
{
    struct ctl  mine = *ctl;
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "bash") == 0 && argc == 2)
        fputs(bash_script, stdout);
    else if (strcmp(what, "zsh") == 0 && argc == 2)
        fputs(zsh_script, stdout);
    else if (strcmp(what, "words") == 0 && argc > 2)
        offer_words(&mine, argc - 2, argv + 2);
    else if (argc > 1)
        return ctl_bad_word("completion", what);
    else {
        ctl_usage("completion");
        return CTL_USAGE;
    }
    return fflush(stdout) == 0 ? CTL_DONE : CTL_REFUSED;
}
