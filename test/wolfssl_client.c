/* wolfssl_client: a charge point with wolfSSL, for test/tls_clients.py. Usage:
 * wolfssl_client PORT CA VERSION REQUEST FRAME. It sends the files REQUEST and,
 * after the response, FRAME. It returns 0 if the answer has a currentTime.
 * VERSION: 2 or 3, of TLS 1.x. */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include "tls_client.h"

static WOLFSSL *ssl;

static int
put(const void *p, int n)
{
    return wolfSSL_write(ssl, p, n);
}

static int
get(void *p, int n)
{
    return wolfSSL_read(ssl, p, n);
}

int
main(int argc, char **argv)
{
    client_arguments(argc, argv);
    wolfSSL_Init();
    WOLFSSL_CTX *ctx =
        wolfSSL_CTX_new(argv[3][0] == '2' ? wolfTLSv1_2_client_method()
                                          : wolfTLSv1_3_client_method());
    if (ctx == NULL ||
        wolfSSL_CTX_load_verify_locations(ctx, argv[2], NULL) !=
            WOLFSSL_SUCCESS ||
        (ssl = wolfSSL_new(ctx)) == NULL ||
        wolfSSL_set_fd(ssl, client_connect(atoi(argv[1]))) != WOLFSSL_SUCCESS)
        return client_failed("cannot be set up", 0);
    if (wolfSSL_connect(ssl) != WOLFSSL_SUCCESS)
        return client_failed("handshake", wolfSSL_get_error(ssl, 0));
    return client_talk(argv, put, get);
}
