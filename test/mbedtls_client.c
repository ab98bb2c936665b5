/* mbedtls_client: a charge point with mbedTLS, which ESP32 uses, for
 * test/tls_clients.py. It is used like wolfssl_client.c. With TLS 1.2 it asks
 * for fragments of 1,024 bytes; with TLS 1.3, mbedTLS itself would treat the
 * answer to that as an error. The exit code is 77 if the library has no usable
 * TLS 1.3, as version 2.28. */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

#include "tls_client.h"

static mbedtls_ssl_context ssl;

static int
put(const void *p, int n)
{
    return mbedtls_ssl_write(&ssl, p, (size_t)n);
}

static int
get(void *p, int n)
{
    return mbedtls_ssl_read(&ssl, p, (size_t)n);
}

int
main(int argc, char **argv)
{
    static mbedtls_ssl_config       conf;
    static mbedtls_x509_crt         ca;
    static mbedtls_entropy_context  entropy;
    static mbedtls_ctr_drbg_context random;
    static mbedtls_net_context      net;

    client_arguments(argc, argv);
    int tls13 = argv[3][0] == '3';
#if MBEDTLS_VERSION_MAJOR >= 3
    psa_crypto_init();
#else
    if (tls13)
        return 77;
#endif
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    mbedtls_ssl_init(&ssl);
    mbedtls_ssl_config_init(&conf);
    mbedtls_x509_crt_init(&ca);
    if (mbedtls_ctr_drbg_seed(
            &random, mbedtls_entropy_func, &entropy, NULL, 0) != 0 ||
        mbedtls_x509_crt_parse_file(&ca, argv[2]) != 0 ||
        mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_CLIENT,
            MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return client_failed("cannot be set up", 0);
    mbedtls_ssl_conf_ca_chain(&conf, &ca, NULL);
    mbedtls_ssl_conf_authmode(&conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_rng(&conf, mbedtls_ctr_drbg_random, &random);
    if (!tls13)
        mbedtls_ssl_conf_max_frag_len(&conf, MBEDTLS_SSL_MAX_FRAG_LEN_1024);
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_protocol_version version =
        tls13 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2;
    mbedtls_ssl_conf_min_tls_version(&conf, version);
    mbedtls_ssl_conf_max_tls_version(&conf, version);
#endif
    net.fd = client_connect(atoi(argv[1]));
    if (mbedtls_ssl_setup(&ssl, &conf) != 0 ||
        mbedtls_ssl_set_hostname(&ssl, "localhost") != 0)
        return client_failed("cannot be set up", 0);
    mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    int r = mbedtls_ssl_handshake(&ssl);
    if (r != 0)
        return client_failed("handshake", r);
    return client_talk(argv, put, get);
}
