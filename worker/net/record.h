/*
 * record: the record layer of TLS 1.2 and 1.3 (RFC 8446 section 5, RFC 5246
 * section 6.2.3, RFC 5288, RFC 7905), AEAD suites only, after the handshake.
 *
 * OpenSSL does the handshake; net/tls takes the keys and counters out of it
 * and frees it. What stays for the life of the connection is one struct
 * record of 76 to 204 bytes, whose size depends on the version and the suite.
 *
 * Pure: it touches no socket and no clock, and allocates nothing per
 * connection. The ciphers are libcrypto's (aead.h).
 *
 * A nonce must never be used twice under one key. Therefore bytes that
 * record_seal() returned are sent or the connection ends; record_unseal()
 * takes back the last record if not one byte of it has left the process.
 */
#ifndef WORKER_NET_RECORD_H
#define WORKER_NET_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/record_keys.h"

#define RECORD_HEAD 5
/* The most bytes of a record on the wire (RFC 8446 5.2). TLS 1.2 permits 2,048
 * bytes of expansion, but AEAD suites use 24. */
#define RECORD_WIRE (RECORD_HEAD + RECORD_TEXT + 256)

/* Records under one key. AES-GCM keeps its security margin up to 2^24.5 records
   (RFC 8446 5.5). */
#define RECORD_LIMIT (UINT64_C(1) << 24)
/* The most KeyUpdates, empty records and warnings in a row without data. */
#define RECORD_IDLE_MAX 32

enum record_type {
    RECORD_CCS = 20,
    RECORD_ALERT = 21,
    RECORD_HANDSHAKE = 22,
    RECORD_DATA = 23
};

/* The alerts (RFC 8446 6, RFC 5246 7.2) that ocppd sends or checks for. */
enum record_alert {
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_BAD_RECORD_MAC = 20,
    ALERT_RECORD_OVERFLOW = 22,
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECODE_ERROR = 50,
    ALERT_ILLEGAL_PARAMETER = 47,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_USER_CANCELED = 90,
    ALERT_NO_RENEGOTIATION = 100
};

/* Prepares the ciphers, once per process. False: OpenSSL lacks one. */
bool record_init(void);

enum record_end {
    RECORD_OPEN,    /* more records may follow */
    RECORD_CLOSED,  /* the peer's close_notify */
    RECORD_ALERTED, /* a fatal alert of the peer: input.alert */
    RECORD_FAILED   /* the peer violated the protocol: the caller must send
                       input.alert */
};

struct record_input {
    size_t used;             /* wire bytes consumed; the rest is an incomplete
                                record */
    size_t          len;     /* plaintext bytes, now at the begin of p */
    unsigned        updates; /* KeyUpdates of the peer */
    enum record_end end;
    uint8_t         alert;
};

/* Opens all whole records at p[0..n) in place. Plaintext lies at p[0..len),
 * also if the end is not RECORD_OPEN. An incomplete record stays where it
 * was, at p + used. */
struct record_input record_open(struct record *r, uint8_t *p, size_t n);

/* Wire bytes of the record that begins at p. 0 if its header is incomplete;
 * more than RECORD_WIRE if the bytes are not a valid header. */
size_t record_wire_size(const uint8_t *p, size_t n);

/* The most bytes that record_seal() writes for n bytes of plaintext. */
size_t record_bound(const struct record *r, size_t n);

/* Seals p[0..n) into as many records as needed; a KeyUpdate that is owed or
 * due by RECORD_LIMIT goes first. p and out do not overlap. Returns the
 * wire bytes; 0 if the keys are used up (TLS 1.2 only) or libcrypto failed: the
 * connection must end then. */
size_t record_seal(struct record *r, enum record_type type, const void *p,
    size_t n, uint8_t *out);

/* Takes back the last record_seal(), none of whose bytes has left. False if it
 * was more than one record: the bytes must be sent then. */
bool record_unseal(struct record *r);

/* True if a key is nearly used up and cannot be renewed: with TLS 1.2, or if
 * the peer sends 2^32 records without a KeyUpdate. */
bool record_spent(const struct record *r);

/* Writes a KeyUpdate (RFC 8446 4.6.3) and renews the write key; `request` asks
 * the peer for a KeyUpdate too. TLS 1.3 only. Returns the wire bytes, 0 if
 * libcrypto failed. */
size_t record_update(struct record *r, bool request, uint8_t *out);

/* Writes an alert, which is fatal unless it is close_notify or
   no_renegotiation. Returns the wire bytes, 0 if libcrypto failed. */
size_t record_alert(struct record *r, enum record_alert alert, uint8_t *out);

#endif
