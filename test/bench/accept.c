/*
 * accept: measures the CPU time of a TLS handshake without ocppd.
 *
 *     accept serve PORT CERTIFICATE KEY     a bare SSL_accept() loop
 *     accept shake PORT N VERSION           N handshakes, one after the other
 *
 * The server has those settings of worker/net/tls_context.c that take time: no
 * session cache, one ticket, X25519 first. VERSION: 2 or 3, of TLS 1.x.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in
address(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
        .sin_port = htons((unsigned short)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
fail(const char *what)
{
    perror(what);
    ERR_print_errors_fp(stderr);
    return 1;
}

static int
serve(char **argv)
{
    struct sockaddr_in at = address(argv[2]);
    SSL_CTX           *ctx = SSL_CTX_new(TLS_server_method());
    int                one = 1, l = socket(AF_INET, SOCK_STREAM, 0);

    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384");
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (SSL_CTX_use_certificate_chain_file(ctx, argv[3]) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, argv[4], SSL_FILETYPE_PEM) != 1 ||
        bind(l, (struct sockaddr *)&at, sizeof at) != 0 || listen(l, 1024) != 0)
        return fail("accept");
    for (;;) {
        int fd = accept(l, NULL, NULL);
        if (fd < 0)
            return fail("accept");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, fd);
        SSL_accept(ssl);
        SSL_free(ssl);
        close(fd);
    }
}

static int
shake(char **argv)
{
    struct sockaddr_in to = address(argv[2]);
    SSL_CTX           *ctx = SSL_CTX_new(TLS_client_method());
    int version = argv[4][0] == '2' ? TLS1_2_VERSION : TLS1_3_VERSION;

    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    for (int n = atoi(argv[3]); n > 0; n--) {
        int  fd = socket(AF_INET, SOCK_STREAM, 0);
        SSL *ssl = SSL_new(ctx);
        SSL_set_fd(ssl, fd);
        if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 ||
            SSL_connect(ssl) != 1)
            return fail("shake");
        SSL_free(ssl);
        close(fd);
    }
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "serve") == 0)
        return serve(argv);
    if (argc == 5 && strcmp(argv[1], "shake") == 0)
        return shake(argv);
    fprintf(stderr,
        "usage: accept serve PORT CERTIFICATE KEY | "
        "shake PORT N VERSION\n");
    return 64;
}
