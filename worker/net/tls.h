/*
 * tls: the door to libssl: handshakes, and nothing after them.
 *
 * A handshake is an SSL object of about 43 KB for a second or so. When it is
 * done, tls_detach() takes keys and sequence numbers out of it into a struct
 * record (net/record) and frees it. One path for every connection: only AEAD
 * suites are offered.
 *
 * A context is what the configuration and its files make of certificates,
 * authorities and rules. A new one takes effect for new handshakes; the old
 * one ends with the last handshake that uses it.
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

/* What is known of one certificate file, for `ocppctl tls`. */
typedef void tls_context_report(void *arg, const char *file,
    const struct tls_name *name, const char *type, int64_t not_after);

/* Makes a context out of a bundle (tls_bundle.h). NULL with one line for each
 * error ("tls.key = FILE: what; remedy"). What is only worth a warning goes
 * into notes, in the same form. */
struct tls_context *tls_context_load(
    const struct config *c, int bundle, struct buf *errors, struct buf *notes);
/* Its memory goes with the last handshake that uses it. */
void tls_context_free(struct tls_context *x);
/* Calls report for each server certificate and revocation list. */
void tls_context_each(
    const struct tls_context *x, tls_context_report *report, void *arg);

/* Where ticket keys are; before any context is made. */
void tls_tickets_at(const struct ticket_keys *keys);

/* --- handshakes ---------------------------------------------------------- */

/* What a finished handshake has shown of the peer. */
struct tls_peer {
    uint8_t         suite;   /* enum tls_suite */
    uint8_t         version; /* enum record_version */
    bool            resumed;
    bool            certificate; /* it showed one, which is verified */
    struct tls_name name;        /* if certificate */
};

struct tls_handshake;

enum tls_step { TLS_MORE, TLS_DONE, TLS_FAILED };

/* NULL if memory is out. */
struct tls_handshake *tls_begin(struct tls_context *x);
/* Feeds in[0..n), of which *used bytes are consumed; what is to be sent is
 * appended to wire. After TLS_DONE the rest of the input are records. */
enum tls_step tls_step(struct tls_handshake *h, const uint8_t *in, size_t n,
    size_t *used, struct buf *wire);
/* After TLS_DONE: the keys. record has RECORD_SIZE_MAX bytes; the caller keeps
 * record_size() of them. Frees h. False if OpenSSL behaves otherwise than in
 * the self-test: the connection must end. */
bool tls_detach(
    struct tls_handshake *h, struct record *record, struct tls_peer *who);
/* After TLS_FAILED. The detail is one line: OpenSSL's words, the name of an
 * alert, the subject of a certificate. */
enum tls_reason tls_why(
    const struct tls_handshake *h, char *detail, size_t size);
/* The alert that the peer sent, -1 none. */
int  tls_alert_received(const struct tls_handshake *h);
void tls_abandon(struct tls_handshake *h);

/* Do the first bytes look like TLS? TLS_REASON_none: yes, or too few of
 * them; otherwise http or not_tls. */
enum tls_reason tls_first_bytes(const uint8_t *p, size_t n);

/* --- the client's side, for the simulator and the tests ------------------ */

/* ca: PEM file of the roots that are trusted, NULL trusts every server.
 * certificate and key: of the client, NULL for none. NULL with words in why. */
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
