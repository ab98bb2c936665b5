/* options: the command line. See options.h. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/version.h"
#include "message.h"

enum kind { FLAG, COUNT, RATE, SPAN, SHARE, TEXT };

static const struct row {
    const char *name; /* NULL: a heading, in help */
    int         letter;
    enum kind   kind;
    size_t      at;
    const char *arg, *def, *help;
} rows[] = {
#define HEADING(text) {NULL, 0, FLAG, 0, NULL, NULL, text},
#define OPTION(name, letter, kind, field, arg, def, help)                      \
    {name, letter, kind, offsetof(struct options, field), arg, def, help},
#include "options.def"
#undef OPTION
#undef HEADING
};

#define ROWS (sizeof rows / sizeof *rows)

void
options_wrong(const char *fmt, ...)
{
    va_list ap;

    fputs("ocppsim: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs("\n(ocppsim --help lists the options)\n", stderr);
    exit(2);
}

bool
options_span(const char *text, double *seconds)
{
    char  *end;
    double v = strtod(text, &end);

    if (end == text || !isfinite(v) || v < 0)
        return false;
    if (strcmp(end, "ms") == 0)
        v /= 1000;
    else if (strcmp(end, "m") == 0)
        v *= 60;
    else if (strcmp(end, "h") == 0)
        v *= 3600;
    else if (strcmp(end, "") != 0 && strcmp(end, "s") != 0)
        return false;
    if (v > 30 * 86400)
        return false;
    *seconds = v;
    return true;
}

static void
set(struct options *o, const struct row *r, const char *text)
{
    char *at = (char *)o + r->at, *end;

    switch (r->kind) {
    case FLAG:
        *(bool *)(void *)at = text == NULL || text[0] != '0';
        return;
    case TEXT:
        *(const char **)(void *)at = text;
        return;
    case COUNT: {
        errno = 0;
        uint64_t v = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
            options_wrong("--%s %s: not a whole number", r->name, text);
        *(uint64_t *)(void *)at = v;
        return;
    }
    case SPAN:
        if (!options_span(text, (double *)(void *)at))
            options_wrong(
                "--%s %s: not a time (250ms, 5s, 2m, 1h)", r->name, text);
        return;
    default: {
        double v = strtod(text, &end);
        if (r->kind == SHARE && *end == '%')
            end++;
        if (end == text || *end != '\0' || !isfinite(v) || v < 0 ||
            (r->kind == SHARE && v > 100))
            options_wrong("--%s %s: not a %s", r->name, text,
                r->kind == SHARE ? "share from 0 to 100 percent"
                                 : "rate per second");
        *(double *)(void *)at = v;
    }
    }
}

static void
help(void)
{
    fputs("usage: ocppsim [options] [URL]\n"
          "       ocppsim cp [options] URL\n"
          "       ocppsim verify --ledger FILE --journal DIR|-\n"
          "\nA fleet of simulated OCPP charge points.\n",
        stdout);
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        if (r->name == NULL) {
            printf("\n%s\n", r->help);
            continue;
        }
        char left[64], letter[5] = "    ";
        if (r->letter)
            snprintf(letter, sizeof letter, "-%c, ", r->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, r->name,
            r->arg ? " " : "", r->arg ? r->arg : "");
        printf("  %-28s %s", left, r->help);
        if (r->kind != FLAG && r->def != NULL && strcmp(r->def, "0") != 0)
            printf(" (%s)", r->def);
        putchar('\n');
    }
}

/* True if the pattern has one %d, maybe with a width, and no other conversion.
 * It comes from outside, and is never passed to printf(). */
static bool
pattern_parse(const char *pattern, size_t *before, size_t *after,
    unsigned *width, bool *zeros)
{
    const char *p = strchr(pattern, '%');

    if (p == NULL)
        return false;
    *before = (size_t)(p - pattern);
    p++;
    *zeros = *p == '0';
    *width = 0;
    while (*p >= '0' && *p <= '9' && *width < 100)
        *width = *width * 10 + (unsigned)(*p++ - '0');
    if (*p != 'd' || *width > 20 || strchr(p, '%') != NULL)
        return false;
    *after = (size_t)(p + 1 - pattern);
    return true;
}

void
options_identity(
    const struct options *o, uint64_t number, char *out, size_t size)
{
    size_t   before, after;
    unsigned width;
    bool     zeros;

    if (!pattern_parse(o->identity, &before, &after, &width, &zeros)) {
        snprintf(out, size, "%s", o->identity);
        return;
    }
    if (zeros)
        snprintf(out, size, "%.*s%0*" PRIu64 "%s", (int)before, o->identity,
            (int)width, number, o->identity + after);
    else
        snprintf(out, size, "%.*s%*" PRIu64 "%s", (int)before, o->identity,
            (int)width, number, o->identity + after);
}

/* Checks rules that concern several options. */
static void
agree(struct options *o)
{
    size_t      before, after;
    unsigned    width;
    bool        zeros;
    const char *why;

    if (!upgrade_url(&o->target, o->url, &why))
        options_wrong("%s: %s", o->url, why);
    o->tls = o->tls || o->target.secure;
    if ((o->tls_certificate != NULL) != (o->tls_key != NULL))
        options_wrong("--tls-certificate and --tls-key belong together");
    if (!o->target.loopback && !o->anywhere)
        options_wrong("%s is not this machine; a fleet can be a flood: add "
                      "--anywhere if the target is yours",
            o->target.host);
    if (o->count == 0 || o->count > 10000000)
        options_wrong("--count %" PRIu64 ": not from 1 to 10000000", o->count);
    if (o->per_address == 0 || o->per_address > 20000)
        options_wrong(
            "--per-address %" PRIu64 ": not from 1 to 20000", o->per_address);
    if (o->first > 1000000000)
        options_wrong("--first %" PRIu64 ": too large", o->first);
    if (o->message_timeout < 0.01 || o->connect_timeout < 0.01)
        options_wrong("a timeout must be 10ms or more");
    if (!pattern_parse(o->identity, &before, &after, &width, &zeros) &&
        (o->count > 1 || strchr(o->identity, '%') != NULL))
        options_wrong("--identity %s: needs exactly one %%d, such as "
                      "SIM%%06d",
            o->identity);
    if (strlen(o->identity) > 200)
        options_wrong("--identity: longer than 200 bytes");
    if (o->active == 0 || o->active > o->count)
        o->active = o->count;
    o->load = o->rate > 0 || o->messages > 0;
    if (o->load && (o->idle || o->heartbeat_every > 0))
        options_wrong("--rate and --messages go neither with --idle nor "
                      "with --heartbeat-every");
    if (o->keep && (o->messages == 0 || o->duration == 0))
        options_wrong("--keep needs --messages and --duration");
    if (o->idle && !o->boot)
        o->no_boot = true;
    if (o->boot && o->no_boot && !o->idle)
        options_wrong("--boot and --no-boot exclude each other");
    o->action =
        strcmp(o->message, "mix") == 0 ? -1 : message_action(o->message);
    if (o->action != -1 && o->action != MESSAGE_HEARTBEAT &&
        o->action != MESSAGE_STATUS && o->action != MESSAGE_METER_VALUES)
        options_wrong("--message %s: not Heartbeat, StatusNotification, "
                      "MeterValues or mix",
            o->message);
    static const char *const versions[] = {"1.6", "2.0.1", "2.1", "mixed"};
    for (o->spoken = 0; strcmp(o->version, versions[o->spoken]) != 0;)
        if (++o->spoken > VERSIONS)
            options_wrong(
                "--version %s: not 1.6, 2.0.1, 2.1 or mixed", o->version);
    snprintf(o->header_lines, sizeof o->header_lines, "%s%s%s",
        o->deflate ? "Sec-WebSocket-Extensions: permessage-deflate; "
                     "client_no_context_takeover; "
                     "server_no_context_takeover\r\n"
                   : "",
        o->header ? o->header : "", o->header ? "\r\n" : "");
    if (o->seed == 0)
        o->seed = clock_wall_us() % 1000000000u + 1;
}

void
options_parse(struct options *o, int argc, char **argv)
{
    struct option longs[ROWS + 2] = {{0}};
    char          shorts[ROWS * 2 + 3];
    size_t        n = 0, s = 0;

    memset(o, 0, sizeof *o);
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        if (r->name == NULL)
            continue;
        if (r->def != NULL)
            set(o, r, r->def);
        longs[n++] = (struct option){r->name,
            r->kind == FLAG ? no_argument : required_argument, NULL,
            256 + (int)i};
        if (r->letter) {
            shorts[s++] = (char)r->letter;
            if (r->kind != FLAG)
                shorts[s++] = ':';
        }
    }
    longs[n] = (struct option){"help", no_argument, NULL, 'h'};
    shorts[s++] = 'h';
    shorts[s++] = 'V';
    shorts[s] = '\0';

    int c;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (c == '?')
            options_wrong("an option is wrong");
        if (c == 'h') {
            help();
            exit(0);
        }
        if (c == 'V') {
            printf("ocppsim %s\n", OCPPD_VERSION);
            exit(0);
        }
        for (size_t i = 0; i < ROWS; i++) {
            const struct row *r = &rows[i];
            if (r->name == NULL || (c != 256 + (int)i && c != r->letter))
                continue;
            set(o, r, optarg);
            if (strcmp(r->name, "storm") == 0)
                o->storming = true;
        }
    }
    if (optind < argc)
        o->url = argv[optind++];
    if (optind < argc)
        options_wrong("%s: a second URL; one is enough", argv[optind]);
    agree(o);
}
