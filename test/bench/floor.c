/*
 * floor: a WebSocket server that does as little as possible, to compare ocppd
 * with.
 *
 *     floor PORT
 *
 * It is one process with one epoll loop. It accepts, answers the handshake
 * without reading it, and returns each read as one frame. It has no JSON, no
 * checks, and no memory per connection except for the descriptor. The
 * difference between its CPU time and that of ocppd is the work of a gateway.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const char welcome[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n";

/* The client masks with a key of zeros, so unmasking only removes the key. */
static void
echo(int fd, unsigned char *p, ssize_t n)
{
    size_t head = (p[1] & 0x7f) == 126 ? 4 : 2;

    p[1] &= 0x7f;
    memmove(p + head, p + head + 4, (size_t)n - head - 4);
    if (send(fd, p, (size_t)n - 4, MSG_NOSIGNAL) < 0)
        close(fd);
}

int
main(int argc, char **argv)
{
    struct sockaddr_in   sin = {.sin_family = AF_INET,
          .sin_port = htons((unsigned short)(argc > 1 ? atoi(argv[1]) : 9999)),
          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static unsigned char buf[65536];
    struct epoll_event   ev[64], e = {.events = EPOLLIN};
    struct rlimit        rl;
    int                  one = 1;

    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(l, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(l, (struct sockaddr *)&sin, sizeof sin) != 0 ||
        listen(l, 4096) != 0) {
        perror("floor: bind");
        return 1;
    }
    int ep = epoll_create1(0);
    e.data.fd = l;
    epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
    for (;;) {
        int n = epoll_wait(ep, ev, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = ev[i].data.fd;
            if (fd == l) {
                while ((fd = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    e.data.fd = fd;
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
                }
                continue;
            }
            ssize_t r = recv(fd, buf, sizeof buf, 0);
            if (r > 0 && buf[0] == 'G')
                (void)!send(fd, welcome, sizeof welcome - 1, MSG_NOSIGNAL);
            else if (r > 6)
                echo(fd, buf, r);
            else if (r == 0 || (r < 0 && errno != EAGAIN))
                close(fd);
        }
    }
}
