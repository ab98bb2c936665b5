/*
 * main: the program ocppctl. It puts its arguments into one line, sends it to
 * the daemon's control socket, and prints what comes back; control.h
 * describes the protocol. What a command means is known to the daemon alone.
 */
#include "ctl/main.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config.h"
#include "control_line.h"
#include "version.h"

#define CONF_FILE "/etc/ocppd/ocppd.conf"
#define REFUSED_FROM 400 /* codes from here on are errors */
#define BAD_NEWS 220     /* done, and what it says is not good */
#define USAGE 400
#define PATIENCE_S 1800 /* longer than any command waits without a byte */

struct word {
    const char *word, *usage, *sentence;
};

static const struct word words_known[] = {
#define COMMAND(name, word, usage, needs, sentence) {word, usage, sentence},
#include "commands.def"
#undef COMMAND
};

#define WORDS (sizeof words_known / sizeof *words_known)

static const struct word *
find(const char *word)
{
    for (size_t i = 0; i < WORDS; i++)
        if (strcmp(words_known[i].word, word) == 0)
            return &words_known[i];
    return NULL;
}

void
ctl_usage(const char *command)
{
    const struct word *w = find(command);

    if (w != NULL)
        fprintf(stderr, "usage: ocppctl %s%s%s\n", w->word,
            w->usage[0] ? " " : "", w->usage);
}

static void
usage(FILE *to)
{
    fputs("usage: ocppctl [-jpV] [-s socket] [-c file] command [argument]...\n"
          "  -s socket  the daemon's control socket; default: $OCPPD_CONTROL,\n"
          "             else server.control of the configuration\n"
          "  -c file    the daemon's configuration, to find the socket\n"
          "  -j         answer in JSON\n"
          "  -p         answer for Prometheus (stats)\n"
          "Commands:\n",
        to);
    for (size_t i = 0; i < WORDS; i++)
        fprintf(
            to, "  %-15s %s\n", words_known[i].word, words_known[i].sentence);
    fputs("`ocppctl help COMMAND` tells how it is called, ocppctl(8) more.\n",
        to);
}

/* --- the conversation ---------------------------------------------------- */

/* Where a conversation stands: what was read and not yet used. */
struct talk {
    int        fd;
    struct buf in;
};

static bool
explain(struct buf *why, const char *socket_path, int error)
{
    const char *hint = "";

    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
        hint = "; is ocppd running, with this as its server.control? -s names "
               "another socket";
        break;
    case EACCES:
    case EPERM:
        hint = "; only root, the daemon's user and server.control_group may";
        break;
    case EAGAIN:
        hint = "; the daemon does not answer";
        break;
    }
    buf_addf(why, "%s: %s%s", socket_path, strerror(error), hint);
    return false;
}

static bool
talk_open(struct talk *t, const struct ctl *ctl, struct buf *why)
{
    const char        *path = ctl->socket;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct timeval     patience = {
            .tv_sec = ctl->patience_s > 0 ? ctl->patience_s : PATIENCE_S};

    t->in = BUF_INIT(CTL_REPLY_MAX);
    t->fd = -1;
    if (strlen(path) >= sizeof un.sun_path)
        return explain(why, path, ENAMETOOLONG);
    memcpy(un.sun_path, path, strlen(path) + 1);
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t->fd >= 0) {
        setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        /* For a connect(2) that has to wait. */
        setsockopt(t->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    }
    if (t->fd < 0 || connect(t->fd, (struct sockaddr *)&un, sizeof un) != 0)
        return explain(why, path, errno);
    return true;
}

static void
talk_close(struct talk *t)
{
    if (t->fd >= 0)
        close(t->fd);
    buf_free(&t->in);
}

/* A daemon that refuses early may stop reading; then its answer counts. */
static void
talk_say(struct talk *t, const struct buf *line)
{
    for (size_t at = 0; at < line->len;) {
        ssize_t n = send(t->fd, line->p + at, line->len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        at += (size_t)n;
    }
}

static bool
read_some(struct talk *t)
{
    ssize_t n;

    if (!buf_reserve(&t->in, 65536))
        return false;
    do
        n = recv(t->fd, t->in.p + t->in.len, 65536, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    t->in.len += (size_t)n;
    return true;
}

/* The next reply: its code, with its body of *len bytes at t->in.p + *at;
 * -1 if the daemon went away before it was whole. */
static int
talk_hear(struct talk *t, size_t *at, size_t *len)
{
    char *nl, *end;

    while ((nl = t->in.len ? memchr(t->in.p, '\n', t->in.len) : NULL) == NULL)
        if (t->in.len > 64 || !read_some(t))
            return -1;
    long code = strtol(t->in.p, &end, 10);
    if (*end != ' ' || code < 100 || code > 999)
        return -1;
    unsigned long long n = strtoull(end + 1, &end, 10);
    if (end != nl || n > CTL_REPLY_MAX)
        return -1;
    *at = (size_t)(nl + 1 - t->in.p);
    *len = (size_t)n;
    while (t->in.len - *at < *len)
        if (!read_some(t))
            return -1;
    return (int)code;
}

static bool
make_line(struct buf *line, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_addc(line, ' ');
        control_line_quote(line, words[i]);
    }
    buf_addc(line, '\n');
    return !line->overflow;
}

int
ctl_request(const struct ctl *ctl, const char *const *words, size_t n,
    struct buf *reply)
{
    struct buf  line = BUF_INIT(LINE_MAX_BYTES + 1);
    struct talk t = {.fd = -1};
    size_t      at, len;
    int         code = -1;

    if (!make_line(&line, words, n)) {
        buf_addf(reply, "the command is longer than %u bytes", LINE_MAX_BYTES);
        code = USAGE;
    } else if (talk_open(&t, ctl, reply)) {
        talk_say(&t, &line);
        code = talk_hear(&t, &at, &len);
        if (code < 0)
            buf_addf(reply, "%s: the daemon went away before it answered",
                ctl->socket);
        else
            buf_add(reply, t.in.p + at, len);
    }
    talk_close(&t);
    buf_free(&line);
    return code;
}

/* --- a command for the daemon -------------------------------------------- */

static int
print(int code, const char *body, size_t len)
{
    FILE *to = code >= REFUSED_FROM ? stderr : stdout;

    if (to == stderr)
        fputs("ocppctl: ", to);
    fwrite(body, 1, len, to);
    if (fflush(to) != 0)
        return CTL_REFUSED; /* nobody reads our output any more */
    if (code == USAGE)
        return CTL_USAGE;
    return code >= REFUSED_FROM || code == BAD_NEWS ? CTL_REFUSED : CTL_DONE;
}

static int
run(const struct ctl *ctl, int argc, char **argv)
{
    const char *words[LINE_WORDS];
    char        format[3] = "-";
    struct buf  line = BUF_INIT(LINE_MAX_BYTES + 1);
    struct buf  why = BUF_INIT(4096);
    struct talk t;
    size_t      n = 0, at, len;
    int         code, result = CTL_DONE;

    if (argc > LINE_WORDS - 1) {
        fprintf(stderr, "ocppctl: more than %d words\n", LINE_WORDS - 1);
        return CTL_USAGE;
    }
    if (ctl->format != 0) {
        format[1] = ctl->format;
        words[n++] = format;
    }
    for (int i = 0; i < argc; i++)
        words[n++] = argv[i];
    if (!make_line(&line, words, n)) {
        fprintf(stderr, "ocppctl: the command is longer than %u bytes\n",
            LINE_MAX_BYTES);
        return CTL_USAGE;
    }
    if (!talk_open(&t, ctl, &why)) {
        fprintf(stderr, "ocppctl: %s\n", buf_cstr(&why));
        result = CTL_NOT_RUNNING;
    } else {
        talk_say(&t, &line);
        do {
            code = talk_hear(&t, &at, &len);
            if (code < 0) {
                fprintf(stderr, "ocppctl: the daemon went away\n");
                result = CTL_NOT_RUNNING;
                break;
            }
            result = print(code, t.in.p + at, len);
            buf_consume(&t.in, at + len);
        } while (code < 200 && result == CTL_DONE);
    }
    talk_close(&t);
    buf_free(&line);
    buf_free(&why);
    return result;
}

/* --- arguments ----------------------------------------------------------- */

/* From a configuration; NULL if it has errors, which are told if loud. */
static const char *
socket_of(const char *file, bool loud)
{
    static struct config c;
    struct buf           errors = BUF_INIT(65536);

    bool ok = config_read(&c, file, NULL, 0, &errors);
    if (!ok && loud)
        fwrite(errors.p, 1, errors.len, stderr);
    buf_free(&errors);
    return ok ? c.server_control : NULL;
}

static bool
find_socket(struct ctl *ctl)
{
    const char *env = getenv("OCPPD_CONTROL");

    if (ctl->socket != NULL)
        return true;
    if (ctl->conf != NULL)
        ctl->socket = socket_of(ctl->conf, true);
    else if (env != NULL && env[0] != '\0')
        ctl->socket = env;
    else if (access(CONF_FILE, R_OK) == 0)
        ctl->socket = socket_of(CONF_FILE, false);
    if (ctl->socket == NULL && ctl->conf == NULL)
        ctl->socket = socket_of(NULL, true);
    if (ctl->socket != NULL && ctl->socket[0] == '\0') {
        fprintf(stderr,
            "ocppctl: server.control is empty: this daemon has no "
            "control socket\n");
        return false;
    }
    return ctl->socket != NULL;
}

int
main(int argc, char **argv)
{
    struct ctl ctl = {0};
    int        option;

    signal(SIGPIPE, SIG_IGN);
    /* +: options behind the command are the command's. */
    while ((option = getopt(argc, argv, "+s:c:jphV")) != -1)
        switch (option) {
        case 's':
            ctl.socket = optarg;
            break;
        case 'c':
            ctl.conf = optarg;
            break;
        case 'j':
        case 'p':
            ctl.format = (char)option;
            break;
        case 'h':
            usage(stdout);
            return CTL_DONE;
        case 'V':
            printf("ocppctl %s\n", OCPPD_VERSION);
            return CTL_DONE;
        default:
            usage(stderr);
            return CTL_USAGE;
        }
    argc -= optind;
    argv += optind;
    if (argc == 0) {
        usage(stderr);
        return CTL_USAGE;
    }
    if (strcmp(argv[0], "help") == 0 && argc == 1) {
        usage(stdout);
        return CTL_DONE;
    }
    if (find(argv[0]) == NULL) {
        fprintf(stderr,
            "ocppctl: %s: no such command; `ocppctl help` lists "
            "them\n",
            argv[0]);
        return CTL_USAGE;
    }
    if (strcmp(argv[0], "help") == 0) {
        /* Known here too, so that it needs no daemon. */
        const struct word *w = find(argv[1]);
        if (w == NULL) {
            fprintf(stderr, "ocppctl: %s: no such command\n", argv[1]);
            return CTL_USAGE;
        }
        printf("usage: ocppctl %s%s%s\n%s.\n", w->word, w->usage[0] ? " " : "",
            w->usage, w->sentence);
        return CTL_DONE;
    }
    if (!find_socket(&ctl))
        return CTL_USAGE;
    if (strcmp(argv[0], "events") == 0)
        return ctl_events(argc, argv, &ctl);
    if (strcmp(argv[0], "top") == 0)
        return ctl_top(argc, argv, &ctl);
    return run(&ctl, argc, argv);
}
