/*
 * ask: a conversation with the master, for a client of the HTTP API. See
 * http.h.
 *
 * The master gets one end of a socket pair over the channel and treats it as a
 * client of the control socket, with the rights of the client's token. So the
 * admin process itself needs no rights.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/http.h"
#include "channel.h"
#include "control_line.h"
#include "number.h"

#define PATIENCE_S 1300 /* s; longer than any command may take */

static int
unavailable(struct buf *reply)
{
    buf_clear(reply);
    buf_adds(reply,
        "{\"error\":{\"status\":503,\"message\":\"the master does not answer; "
        "try again\"}}\n");
    return CONTROL_BUSY;
}

static bool
send_all(int fd, const struct buf *line)
{
    for (size_t at = 0; at < line->len;) {
        ssize_t n = send(fd, line->p + at, line->len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

static void
receive_all(int fd, struct buf *reply)
{
    for (;;) {
        if (!buf_reserve(reply, 65536))
            return;
        ssize_t n = recv(fd, reply->p + reply->len, 65536, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        reply->len += (size_t)n;
    }
}

/* Makes the line of a command; false if it is too long. */
static bool
make_line(
    struct buf *line, const char *token, const char *const *words, size_t n)
{
    if (token != NULL) {
        buf_adds(line, "-k ");
        control_line_quote(line, token);
        buf_addc(line, ' ');
    }
    buf_adds(line, "-j");
    for (size_t i = 0; i < n; i++) {
        buf_addc(line, ' ');
        control_line_quote(line, words[i]);
    }
    buf_addc(line, '\n');
    return !line->overflow;
}

/* Makes a client of the master and sends the line. Returns its socket, -1 if
   that fails. */
static int
connect_master(int channel, const struct buf *line)
{
    struct channel_msg m = {.type = CHANNEL_client};
    struct timeval     patience = {.tv_sec = PATIENCE_S};
    int                ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    bool sent = channel_send_fd(channel, &m, ends[1]);
    close(ends[1]);
    if (sent && send_all(ends[0], line))
        return ends[0];
    close(ends[0]);
    return -1;
}

int
ask_open(int channel, const char *token, const char *const *words, size_t n)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES + 1);
    int        fd =
        make_line(&line, token, words, n) ? connect_master(channel, &line) : -1;

    buf_free(&line);
    return fd;
}

int
ask_master(int channel, const char *token, const char *const *words, size_t n,
    struct buf *reply)
{
    struct buf line = BUF_INIT(LINE_MAX_BYTES + 1);

    if (!make_line(&line, token, words, n)) {
        buf_free(&line);
        buf_adds(reply,
            "{\"error\":{\"status\":413,\"message\":\"the command is longer "
            "than 192 KiB\"}}\n");
        return 413;
    }
    int fd = connect_master(channel, &line);
    buf_free(&line);
    if (fd >= 0) {
        receive_all(fd, reply);
        close(fd);
    }
    char *nl = reply->len > 0 ? memchr(reply->p, '\n', reply->len) : NULL;
    if (nl == NULL)
        return unavailable(reply);
    uint64_t code;
    if (!number_u64(reply->p, number_digits(reply->p), 599, &code) ||
        code < 100)
        return unavailable(reply);
    buf_consume(reply, (size_t)(nl + 1 - reply->p));
    return (int)code;
}
