/* tls_client: the functions that wolfssl_client.c and mbedtls_client.c share.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
client_arguments(int argc, char **argv)
{
    if (argc == 6)
        return;
    fprintf(stderr, "usage: %s PORT CA VERSION REQUEST FRAME\n", argv[0]);
    exit(64);
}

static int
client_failed(const char *what, int code)
{
    fprintf(stderr, "%s: %d\n", what, code);
    return 1;
}

static int
client_connect(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons((unsigned short)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int                fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("connect");
        exit(1);
    }
    return fd;
}

static int
client_send(const char *file, int (*put)(const void *, int))
{
    char  text[65536];
    FILE *f = fopen(file, "rb");
    int   n = f == NULL ? 0 : (int)fread(text, 1, sizeof text, f);

    for (int at = 0, r; at < n; at += r)
        if ((r = put(text + at, n - at)) <= 0)
            return 0;
    return n > 0;
}

/* Reads until the text has arrived. */
static int
client_await(const char *want, int (*get)(void *, int))
{
    static char text[65536];
    int         n = 0, r;

    while (n < (int)sizeof text - 1 &&
        (r = get(text + n, (int)sizeof text - 1 - n)) > 0) {
        n += r;
        if (memmem(text, (size_t)n, want, strlen(want)) != NULL)
            return 1;
    }
    fprintf(stderr, "%s is not in: %.*s\n", want, n, text);
    return 0;
}

static int
client_talk(char **argv, int (*put)(const void *, int), int (*get)(void *, int))
{
    return client_send(argv[4], put) && client_await(" 101 ", get) &&
            client_send(argv[5], put) && client_await("currentTime", get)
        ? 0
        : 1;
}
