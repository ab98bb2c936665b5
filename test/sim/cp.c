/* cp: one charge point that a script controls. See cp.h. */
#include "cp.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/ensure.h"
#include "jsonspan.h"
#include "link.h"
#include "options.h"

#define SEEN_MAX (4u * LINK_MESSAGE_MAX)

static const char *const usage =
    "usage: ocppsim cp [options] URL\n"
    "  -s, --subprotocol LIST  offered; \"\" for none (ocpp1.6)\n"
    "  -H, --header LINE       a further header line; may be repeated\n"
    "  -u, --user NAME:WORD    Basic authentication\n"
    "  -x, --user-hex NAME:HEX the same, the password in hex digits\n"
    "  -t, --timeout TIME      for each await, and for the end (10s)\n"
    "      --no-pong           leave pings unanswered\n"
    "      --anywhere          allow a target that is not this machine\n"
    "Lines on standard input:\n"
    "  [...            sent as it is, as a text message\n"
    "  text TEXT       the same for any text\n"
    "  answer JSON     CALLRESULT to the last CALL seen\n"
    "  error CODE      CALLERROR to it\n"
    "  await TEXT      continue when a line with TEXT was printed\n"
    "  ping [TEXT]     close [CODE [REASON]]     drop\n"
    "  raw HEX         bytes past all framing    binary HEX\n";

static struct ev_loop    *loop;
static struct link        the_link;
static struct upgrade_url target;
static const char        *subprotocols = "ocpp1.6";
static struct buf         headers = BUF_INIT(16384);
static const char        *user;
static char               password[256];
static size_t             password_len;
static double             timeout = 10;

static ev_io      input_io;
static ev_timer   deadline;
static struct buf input = BUF_INIT(SEEN_MAX);
static bool       input_over;
static bool       opened, down, failed;

/* The output since the last `await` that has found its text. */
static struct buf seen = BUF_INIT(SEEN_MAX);
static char      *awaited;

static struct buf last_id =
    BUF_INIT(4096); /* the last CALL that was received */
static long calls; /* number of CALLs that were sent and are not answered yet */

static void work(void);

/* --- received messages --------------------------------------------------- */

static void
print(const char *word, const char *p, size_t n)
{
    struct buf line = BUF_INIT(SEEN_MAX);

    buf_adds(&line, word);
    if (n > 0 && word[0] != '\0')
        buf_addc(&line, ' ');
    buf_add(&line, p, n);
    buf_addc(&line, '\n');
    fwrite(line.p, 1, line.len, stdout);
    fflush(stdout);
    if (seen.len + line.len > SEEN_MAX)
        buf_clear(&seen);
    buf_add(&seen, line.p, line.len);
    buf_free(&line);
}

static void
print_hex(const char *word, const char *p, size_t n)
{
    struct buf hex = BUF_INIT(2 * LINK_MESSAGE_MAX + 16);

    for (size_t i = 0; i < n; i++)
        buf_addf(&hex, "%02x", (unsigned char)p[i]);
    print(word, hex.p, hex.len);
    buf_free(&hex);
}

/* Bytes that are not printable are shown in hex. */
static void
print_plain(const char *word, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] < ' ' || p[i] > '~') {
            print_hex(word, p, n);
            return;
        }
    }
    print(word, p, n);
}

static void
on_request(struct link *l, struct buf *out)
{
    struct upgrade_request r = {.host = target.host,
        .path = target.path,
        .subprotocols = subprotocols,
        .user = user,
        .password = password,
        .password_len = password_len,
        .headers = buf_cstr(&headers)};
    (void)l;
    upgrade_write(out, &r);
}

static void
on_open(struct link *l, const struct upgrade_answer *answer)
{
    (void)l;
    opened = true;
    print("open", answer->subprotocol, strlen(answer->subprotocol));
    ev_timer_stop(loop, &deadline);
    ev_io_start(loop, &input_io);
}

static void
on_message(struct link *l, int opcode, const char *p, size_t n)
{
    struct jsonspan_frame f;

    (void)l;
    if (opcode == LEASE_PING || opcode == LEASE_PONG) {
        print_plain(opcode == LEASE_PING ? "ping" : "pong", p, n);
    } else if (opcode == 2) {
        print_hex("binary", p, n);
    } else {
        print("", p, n);
        if (!jsonspan_frame(&f, p, n))
            return;
        if (f.type == 2) {
            buf_clear(&last_id);
            buf_add(&last_id, f.id.p, f.id.n);
        } else if (calls > 0) {
            calls--;
        }
    }
}

static void
on_done(struct link *l)
{
    (void)l;
    work();
}

static void
on_down(struct link *l, enum link_end why, int code, const char *reason)
{
    char line[256];

    (void)l;
    down = true;
    switch (why) {
    case LINK_END_CLOSED:
    case LINK_END_BYE:
    case LINK_END_PROTOCOL:
        snprintf(line, sizeof line, "closed %d%s%s", code, reason[0] ? " " : "",
            reason);
        failed = failed || why == LINK_END_PROTOCOL;
        break;
    case LINK_END_LOST:
        snprintf(line, sizeof line, "%s 1006 %s", opened ? "closed" : "refused",
            reason);
        break;
    default:
        snprintf(line, sizeof line, "refused %d %s", code, reason);
    }
    failed = failed || !opened;
    print(line, NULL, 0);
    work();
}

static const struct link_ops ops = {
    .request = on_request,
    .open = on_open,
    .message = on_message,
    .down = on_down,
    .done = on_done,
};

/* --- actions ------------------------------------------------------------- */

static bool
from_hex(struct buf *out, const char *hex)
{
    for (; *hex != '\0'; hex++) {
        unsigned byte;
        if (*hex == ' ')
            continue;
        if (sscanf(hex, "%2x", &byte) != 1 || hex[1] == '\0' || hex[1] == ' ')
            return false;
        buf_addc(out, (char)byte);
        hex++;
    }
    return true;
}

static void
wrong_line(const char *line)
{
    fprintf(stderr, "ocppsim: cp: %s: this is not an action\n", line);
    failed = true;
}

static void
send_hex(const char *line, const char *hex, bool raw)
{
    struct buf bytes = BUF_INIT(LINK_MESSAGE_MAX);

    if (!from_hex(&bytes, hex))
        wrong_line(line);
    else if (raw)
        link_send_raw(&the_link, bytes.p, bytes.len);
    else
        link_send(&the_link, 2, bytes.p, bytes.len);
    buf_free(&bytes);
}

static void
send_text(const char *text)
{
    if (strncmp(text, "[2,", 3) == 0 || strncmp(text, "[2 ", 3) == 0)
        calls++;
    link_send(&the_link, 1, text, strlen(text));
}

static void
send_reply(const char *line, const char *rest, bool error)
{
    struct buf out = BUF_INIT(LINK_MESSAGE_MAX);

    if (last_id.len == 0) {
        fprintf(stderr, "ocppsim: cp: %s: no CALL was received\n", line);
        failed = true;
        return;
    }
    buf_addf(&out, "[%d,\"", error ? 4 : 3);
    buf_add(&out, last_id.p, last_id.len);
    if (error)
        buf_addf(&out, "\",\"%s\",\"\",{}]", rest);
    else
        buf_addf(&out, "\",%s]", rest);
    link_send(&the_link, 1, out.p, out.len);
    buf_free(&out);
}

static void
send_close(const char *rest)
{
    char *end = (char *)rest;
    long  code = 1000;

    if (rest[0] != '\0')
        code = strtol(rest, &end, 10);
    while (*end == ' ')
        end++;
    link_close(&the_link, (int)code, end);
}

static void
drop(void)
{
    link_drop(&the_link, true);
    down = true;
}

static void
perform(char *line)
{
    size_t word = strcspn(line, " ");
    char  *rest = line + word;
    char   name[16] = "";

    while (*rest == ' ')
        rest++;
    if (word < sizeof name)
        memcpy(name, line, word);
    if (line[0] == '[')
        send_text(line);
    else if (strcmp(name, "text") == 0)
        send_text(rest);
    else if (strcmp(name, "answer") == 0)
        send_reply(line, rest, false);
    else if (strcmp(name, "error") == 0)
        send_reply(line, rest, true);
    else if (strcmp(name, "await") == 0)
        ensure((awaited = strdup(rest)) != NULL);
    else if (strcmp(name, "ping") == 0)
        link_send(&the_link, 9, rest, strlen(rest));
    else if (strcmp(name, "pong") == 0)
        link_send(&the_link, 10, rest, strlen(rest));
    else if (strcmp(name, "close") == 0)
        send_close(rest);
    else if (strcmp(name, "drop") == 0)
        drop();
    else if (strcmp(name, "raw") == 0)
        send_hex(line, rest, true);
    else if (strcmp(name, "binary") == 0)
        send_hex(line, rest, false);
    else if (line[0] != '\0' && line[0] != '#')
        wrong_line(line);
}

/* Returns true if the awaited text is in the output. The output up to it is not
 * searched again. */
static bool
satisfied(void)
{
    size_t n = strlen(awaited);
    char  *at = n ? memmem(seen.p, seen.len, awaited, n) : seen.p;

    if (seen.len == 0 || at == NULL)
        return false;
    char *eol = memchr(at, '\n', seen.len - (size_t)(at - seen.p));
    buf_consume(&seen, (size_t)(eol + 1 - seen.p));
    free(awaited);
    awaited = NULL;
    ev_timer_stop(loop, &deadline);
    return true;
}

static void
wait_on(void)
{
    if (ev_is_active(&deadline))
        return;
    ev_timer_set(&deadline, timeout, 0);
    ev_now_update(loop);
    ev_timer_start(loop, &deadline);
}

static bool
next_line(char **line)
{
    char *eol = input.len ? memchr(input.p, '\n', input.len) : NULL;

    if (eol == NULL) {
        if (!input_over || input.len == 0)
            return false;
        buf_addc(&input, '\n');
        eol = input.p + input.len - 1;
    }
    *line = strndup(input.p, (size_t)(eol - input.p));
    ensure(*line != NULL);
    buf_consume(&input, (size_t)(eol + 1 - input.p));
    return true;
}

/* Executes as many lines of the script as possible. Called after every event.
 */
static void
work(void)
{
    char *line;

    for (;;) {
        if (awaited != NULL && !satisfied()) {
            if (down) {
                fprintf(
                    stderr, "ocppsim: cp: closed while awaiting %s\n", awaited);
                failed = true;
                ev_break(loop, EVBREAK_ALL);
                return;
            }
            wait_on();
            return;
        }
        if (!next_line(&line))
            break;
        perform(line);
        free(line);
    }
    if (down) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    if (!input_over)
        return;
    /* The script has ended, but answers to its CALLs are still awaited. */
    if (calls == 0)
        link_close(&the_link, 1000, "");
    wait_on();
}

static void
input_cb(struct ev_loop *lp, ev_io *io, int revents)
{
    char    bytes[65536];
    ssize_t n = read(io->fd, bytes, sizeof bytes);

    (void)revents;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        input_over = true;
        ev_io_stop(lp, io);
    } else {
        buf_add(&input, bytes, (size_t)n);
    }
    work();
}

static void
deadline_cb(struct ev_loop *lp, ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    fprintf(stderr, "ocppsim: cp: %s was not received\n",
        awaited != NULL ? awaited
            : !opened   ? "the handshake"
            : calls > 0 ? "an answer to a CALL"
                        : "our close");
    failed = true;
    ev_break(lp, EVBREAK_ALL);
}

/* --- start --------------------------------------------------------------- */

static void
set_user(char *text, bool hex)
{
    struct buf bytes = BUF_INIT(sizeof password);
    char      *colon = strchr(text, ':');

    if (colon == NULL)
        options_wrong("--user: needs NAME:PASSWORD");
    *colon = '\0';
    user = text;
    if (!hex)
        buf_adds(&bytes, colon + 1);
    if ((hex && !from_hex(&bytes, colon + 1)) || bytes.overflow)
        options_wrong("--user: the password is too long, or has no hex digits");
    memcpy(password, bytes.p ? bytes.p : "", bytes.len);
    password_len = bytes.len;
    buf_free(&bytes);
}

static void
options(int argc, char **argv)
{
    static const struct option longs[] = {
        {"subprotocol", required_argument, NULL, 's'},
        {"header", required_argument, NULL, 'H'},
        {"user", required_argument, NULL, 'u'},
        {"user-hex", required_argument, NULL, 'x'},
        {"timeout", required_argument, NULL, 't'},
        {"no-pong", no_argument, NULL, 'P'},
        {"anywhere", no_argument, NULL, 'A'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    const char *why;
    bool        anywhere = false;
    int         c;

    while ((c = getopt_long(argc, argv, "s:H:u:x:t:h", longs, NULL)) != -1) {
        switch (c) {
        case 's':
            subprotocols = optarg;
            break;
        case 'H':
            buf_adds(&headers, optarg);
            buf_adds(&headers, "\r\n");
            break;
        case 'u':
        case 'x':
            set_user(optarg, c == 'x');
            break;
        case 't':
            if (!options_span(optarg, &timeout))
                options_wrong("--timeout %s: not a time", optarg);
            break;
        case 'P':
            the_link.mute = true;
            break;
        case 'A':
            anywhere = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind + 1 != argc) {
        fputs(usage, stderr);
        exit(2);
    }
    if (!upgrade_url(&target, argv[optind], &why))
        options_wrong("%s: %s", argv[optind], why);
    if (!target.loopback && !anywhere)
        options_wrong("%s is not this machine: add --anywhere if it is yours",
            target.host);
}

int
cp_main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    link_init(&the_link);
    options(argc, argv);
    loop = ev_default_loop(0);
    link_setup(loop, &ops, false);
    struct buf why = BUF_INIT(1024);
    if (target.secure && !secure_setup(NULL, NULL, NULL, 0, &why)) {
        fprintf(stderr, "ocppsim: %s\n", buf_cstr(&why));
        return 1;
    }
    ev_io_init(&input_io, input_cb, STDIN_FILENO, EV_READ);
    ev_init(&deadline, deadline_cb);
    if (!link_connect(&the_link, (struct sockaddr *)&target.addr,
            target.addr_len, NULL, 0)) {
        printf("refused %d %s\n", errno, strerror(errno));
        return 1;
    }
    wait_on();
    ev_run(loop, 0);
    return failed ? 1 : 0;
}
