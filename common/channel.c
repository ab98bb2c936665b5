/* channel: datagrams between the master and a worker. See channel.h. */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ensure.h"

static uint64_t last_id;

uint64_t
channel_next_id(void)
{
    return ++last_id;
}

void
channel_ids_above(uint64_t id)
{
    if (last_id < id)
        last_id = id;
}

bool
channel_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
            fds) != 0)
        return false;
    int size = 8 * (int)CHANNEL_BODY_MAX;
    for (int i = 0; i < 2; i++) {
        /* The kernel limits this to net.core.wmem_max, which an ordinary user
         * cannot exceed. One body fits into the smallest default. */
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

bool
channel_send_fd(int fd, struct channel_msg *msg, int passed)
{
    union {
        struct cmsghdr head;
        char           room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec  iov = {msg, sizeof *msg};
    struct msghdr h = {.msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control.room};
    ssize_t       r;

    memset(&control, 0, sizeof control);
    msg->len = 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof passed);
    memcpy(CMSG_DATA(c), &passed, sizeof passed);
    do
        r = sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (r < 0 && errno == EINTR);
    return r >= 0;
}

/* The descriptors of a received header: the first is kept if it is wanted. */
static void
take_descriptors(struct msghdr *h, int *passed)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL;
         c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (*passed < 0)
                *passed = fd;
            else
                close(fd);
        }
    }
}

static int
receive(int fd, struct channel_msg *msg, char *body, int *passed)
{
    union {
        struct cmsghdr head;
        char           room[CMSG_SPACE(sizeof(int))];
    } control;
    /* cppcheck-suppress ctuuninitvar ; it is recvmsg that fills *msg */
    struct iovec  iov[2] = {{msg, sizeof *msg}, {body, CHANNEL_BODY_MAX}};
    struct msghdr h = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t       r;

    if (passed != NULL) {
        h.msg_control = &control;
        h.msg_controllen = sizeof control.room;
        *passed = -1;
    }
    do
        r = recvmsg(fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    if (passed != NULL)
        take_descriptors(&h, passed);
    /* If a datagram is cut, or its length differs from that in its header, the
     * sender is faulty. */
    if (r < (ssize_t)sizeof *msg || (size_t)r != sizeof *msg + msg->len)
        return -1;
    body[msg->len] = '\0';
    return 1;
}

int
channel_recv(int fd, struct channel_msg *msg, char *body)
{
    return receive(fd, msg, body, NULL);
}

int
channel_recv_fd(int fd, struct channel_msg *msg, char *body, int *passed)
{
    return receive(fd, msg, body, passed);
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
