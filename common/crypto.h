/*
 * crypto: libcrypto is set up once, in the master, for all processes.
 *
 * libcrypto builds its tables when they are first needed: names, algorithms of
 * the provider, decoders of keys. That is 400 KB of heap in each process that
 * speaks TLS. Tables that exist before the fork are shared by all workers as
 * long as they are not changed.
 *
 * The random generators notice a fork and are seeded anew in the child
 * (RAND(7), EVP_RAND(7)).
 */
#ifndef COMMON_CRYPTO_H
#define COMMON_CRYPTO_H

#include <stdbool.h>

/* To be called before the first worker is started. Failures are ignored: the
 * worker then builds its own tables, and reports what is missing. */
void crypto_prepare(bool tls);

#endif
