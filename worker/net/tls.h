/*
 * tls: the door to libssl: handshakes, and nothing after them.
 *
 * A handshake is an SSL object of about 43 KB for a second or so. When it is
 * done, tls_detach() takes keys and sequence numbers out of it into a struct
 * record (net/record) and frees it. One path for every connection: only AEAD
 * suites are offered.
 *
 * A context holds the certificates, authorities and rules of one configuration.
 * A new one takes effect for new handshakes; the old one ends with the last
 * handshake that uses it.
 */
#ifndef WORKER_NET_TLS_H
#define WORKER_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"
#include "net/record.h"
#include "net/tls_name.h"
#include "ticket.h"
#include "tls_reason.h"
#include "tls_suite.h"

/* --- contexts ------------------------------------------------------------ */

struct tls_context;

/* Receives the facts about one certificate or list, for `ocppctl tls`. */
typedef void tls_context_report(void *arg, const char *file,
    const struct tls_name *name, const char *type, int64_t not_after);

/* Makes a context from a bundle (tls_bundle.h), whose descriptor stays the
 * caller's. NULL with one line for each error in errors ("tls.key = FILE: what
 * is wrong; remedy"). Warnings are appended to notes, in the same form. */
struct tls_context *tls_context_load(
    const struct config *c, int bundle, struct buf *errors, struct buf *notes);
/* Releases the context; its memory is freed when the last handshake that uses
   it ends. */
void tls_context_free(struct tls_context *x);
/* Calls report for each certificate of a server, of its chain and of an
 * authority, and for each revocation list; for those that end first if there
 * are more than 64. */
void tls_context_each(
    const struct tls_context *x, tls_context_report *report, void *arg);

/* Sets where the ticket keys are. Called before the first context is made. */
void tls_tickets_at(const struct ticket_keys *keys);

/* --- handshakes ---------------------------------------------------------- */

/* What a finished handshake has shown of the peer. */
struct tls_peer {
    uint8_t suite;   /* enum tls_suite */
    uint8_t version; /* enum record_version */
    bool    resumed;
    bool    certificate;  /* the peer sent a certificate, which was
                             verified */
    struct tls_name name; /* if certificate */
};

struct tls_handshake;

enum tls_step { TLS_MORE, TLS_DONE, TLS_FAILED };

/* NULL if memory is out. */
struct tls_handshake *tls_begin(struct tls_context *x);
/* Feeds in[0..n), of which *used bytes are consumed, and appends the bytes to
 * be sent to wire. After TLS_DONE the rest of the input are records. */
enum tls_step tls_step(struct tls_handshake *h, const uint8_t *in, size_t n,
    size_t *used, struct buf *wire);
/* After TLS_DONE: the keys. record has RECORD_SIZE_MAX bytes; the caller keeps
 * record_size() of them. Frees h. False if OpenSSL behaves otherwise than in
 * the self-test: the connection must end. */
bool tls_detach(
    struct tls_handshake *h, struct record *record, struct tls_peer *who);
/* After TLS_FAILED. The detail is one line: OpenSSL's error text, the name of
 * an alert, or the subject of a certificate. */
enum tls_reason tls_why(
    const struct tls_handshake *h, char *detail, size_t size);
/* The alert that the peer sent, -1 none. */
int tls_alert_received(const struct tls_handshake *h);
/* Frees a handshake that tls_detach() has not freed. */
void tls_abandon(struct tls_handshake *h);

/* Judges the first bytes of a connection. TLS_REASON_none: they can begin a TLS
 * record; otherwise http or not_tls. */
enum tls_reason tls_first_bytes(const uint8_t *p, size_t n);

/* --- the client's side, for the simulator and the tests ------------------ */

/* ca: PEM file of the trusted roots; with NULL every server is trusted.
 * certificate and key: PEM files of the client, NULL for none. suites: as
 * tls.suites. version: 2 or 3, only TLS 1.2 or 1.3; 0, both. Returns NULL with
 * a sentence in why, or without one if memory is out. */
struct tls_context *tls_client_load(const char *ca, const char *certificate,
    const char *key, const char *suites, int version, struct buf *why);
/* host: the name for SNI and verification, NULL for none. */
struct tls_handshake *tls_client_begin(struct tls_context *x, const char *host);

/* --- self-test ----------------------------------------------------------- */

/* Handshakes in memory for each version and suite, with and without a ticket,
 * then records both ways against an SSL object. False with a sentence if this
 * OpenSSL behaves otherwise than net/tls expects. About 20 ms. */
bool tls_selftest(struct buf *why);

#endif
