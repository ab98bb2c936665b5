/* channel: datagrams between the master and a worker. See channel.h. */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ensure.h"

uint64_t
channel_next_id(void)
{
    static uint64_t last;

    return ++last;
}

bool
channel_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
            fds) != 0)
        return false;
    int size = 8 * (int)CHANNEL_BODY_MAX;
    for (int i = 0; i < 2; i++) {
        /* The kernel caps this at net.core.wmem_max, which an ordinary user
         * cannot pass; one body fits into the smallest default. */
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    return true;
}

bool
channel_send(int fd, struct channel_msg *msg, const void *body, size_t n)
{
    ensure(n <= CHANNEL_BODY_MAX);
    msg->len = (uint32_t)n;
    struct iovec  iov[2] = {{msg, sizeof *msg}, {(void *)body, n}};
    struct msghdr h = {.msg_iov = iov, .msg_iovlen = n > 0 ? 2 : 1};
    ssize_t       r;
    do
        r = sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    return r >= 0;
}

int
channel_recv(int fd, struct channel_msg *msg, char *body)
{
    /* cppcheck-suppress ctuuninitvar ; it is recvmsg that fills *msg */
    struct iovec  iov[2] = {{msg, sizeof *msg}, {body, CHANNEL_BODY_MAX}};
    struct msghdr h = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t       r;

    do
        r = recvmsg(fd, &h, MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    /* A datagram that is cut or says another length: who sends that is not to
     * be talked with. */
    if (r < (ssize_t)sizeof *msg || (size_t)r != sizeof *msg + msg->len)
        return -1;
    body[msg->len] = '\0';
    return 1;
}

const char *
channel_string(const char *body, size_t len, unsigned n)
{
    const char *p = body, *end = body + len;

    while (p < end) {
        if (n-- == 0)
            return p;
        p = memchr(p, '\0', (size_t)(end - p));
        if (p == NULL)
            break;
        p++;
    }
    return "";
}
