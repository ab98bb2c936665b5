/*
 * record_keys: the keys of a TLS connection after its handshake, and how they
 * are derived (RFC 8446 7, RFC 5246 6.3). See record.h for their use.
 *
 * Pure: it allocates nothing per connection. The owner of a struct record
 * gives it memory of record_size() bytes and wipes it at the end.
 */
#ifndef WORKER_NET_RECORD_KEYS_H
#define WORKER_NET_RECORD_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_TEXT 16384 /* bytes of plaintext in one record, at most */
/* Bytes of the largest struct record with its keys. */
#define RECORD_SIZE_MAX 204

enum record_version { RECORD_TLS12, RECORD_TLS13 };

enum record_suite {
    RECORD_AES128, /* AES-128-GCM with SHA-256 */
    RECORD_AES256, /* AES-256-GCM with SHA-384 */
    RECORD_CHACHA, /* ChaCha20-Poly1305 with SHA-256 */
    RECORD_SUITES
};

enum record_flag {
    RECORD_CLIENT = 1,     /* this end is the client: tickets are skipped */
    RECORD_OWES_UPDATE = 2 /* the peer asked for a KeyUpdate; it is sent before
                            * the next data */
};

struct record {
    uint8_t  version;  /* enum record_version */
    uint8_t  suite;    /* enum record_suite */
    uint8_t  flags;    /* enum record_flag */
    uint8_t  idle;     /* records without data in a row */
    uint16_t max_text; /* plaintext bytes per record that the peer accepts */
    uint8_t  sealed;   /* 1: the last record can be taken back */
    uint8_t  name;     /* for the owner: enum tls_suite */
    /* For the owner: self.now_ms when the write key was made. */
    uint32_t renewed_ms;
    /* 32 bits suffice: the write key is renewed at RECORD_LIMIT, and a read key
     * is never used for 2^32 records (record_spent()). */
    uint32_t read_seq, write_seq;
    /* With TLS 1.2 and AES-GCM the first four bytes are the implicit nonce (RFC
     * 5288 3). The other eight of write_iv are the explicit nonce of record 0;
     * a later record has this number plus its sequence number. */
    uint8_t read_iv[12], write_iv[12];
    /* The read key, the write key; TLS 1.3: the read and the write secret. */
    uint8_t keys[];
};

/* Names of cipher and hash in OpenSSL, and sizes in bytes. */
struct record_parameters {
    const char *cipher, *hash;
    uint8_t     key, hash_size;
};
extern const struct record_parameters record_parameters[RECORD_SUITES];

/* Prepares the hashes, once per process. False: OpenSSL lacks one. */
bool record_keys_init(void);

/* Bytes of a struct record with its keys. */
size_t record_size(enum record_version v, enum record_suite s);

/* Makes a struct record from the traffic secrets of TLS 1.3, each as long as
 * the hash (RFC 8446 7.3). r has record_size() bytes. Sequence numbers begin
 * with 0 or with what the caller sets. False: libcrypto failed. */
bool record_begin13(struct record *r, enum record_suite s,
    const uint8_t *read_secret, const uint8_t *write_secret);
/* As record_begin13() for TLS 1.2, from the master secret of 48 bytes and the
 * two random values of 32 bytes each (RFC 5246 6.3). `client`: this end is the
 * client. */
bool record_begin12(struct record *r, enum record_suite s, bool client,
    const uint8_t *master, const uint8_t *client_random,
    const uint8_t *server_random);
/* Overwrites the record with its keys. */
void record_wipe(struct record *r);

/* Derives the next key of one direction (RFC 8446 7.2); its sequence numbers
 * begin with 0 again. False: libcrypto failed. */
bool record_advance(struct record *r, bool write);

/* The key of one direction; points into r. */
uint8_t *record_key(struct record *r, bool write);

/* True for TLS 1.2 with AES-GCM, which sends a part of the nonce (RFC 5288 3).
 * All other suites derive it from the sequence number (RFC 8446 5.3, RFC 7905
 * 2). */
bool record_explicit_nonce(const struct record *r);

/* The explicit nonce of the record with that number. */
uint64_t record_nonce(const struct record *r, uint64_t number);
/* Sets the explicit nonces such that the record with that number has this
   one. */
void record_set_nonce(struct record *r, uint64_t number, uint64_t nonce);

#endif
