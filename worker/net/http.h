/*
 * http: the opening handshake of a WebSocket, as text.
 *
 * Pure: no socket, no clock, no state. The caller collects bytes (at most
 * websocket.max_handshake_size; it refuses a longer request with 431), calls
 * http_parse() after each read, and sends the output of the http_put_*()
 * functions. Every span points into the caller's bytes and is valid as long as
 * they are.
 *
 * RFC 6455 section 4.2, RFC 7230 as far as one GET needs it, RFC 7617
 * (Basic), OCPP-J 1.6 section 3.1 (URL and subprotocol).
 *
 * SHA-1 comes from libcrypto.
 */
#ifndef WORKER_NET_HTTP_H
#define WORKER_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define HTTP_LINES 8       /* header lines of one name; more: status 400 */
#define HTTP_ACCEPT_LEN 28 /* Sec-WebSocket-Accept, without NUL */
#define HTTP_PASSWORD_MAX 256

struct http_span {
    const char *p; /* not NUL-terminated; NULL if absent */
    size_t      n; /* bytes */
};

/* A list header may come in several lines, which count as one (RFC 7230
 * section 3.2.2). */
struct http_lines {
    struct http_span line[HTTP_LINES];
    unsigned         n;
};

/* Zeroed by the caller before the first http_parse() of a request; written
 * by http_parse() only. The spans are set when it answers HTTP_COMPLETE. */
struct http_request {
    size_t scanned;           /* bytes looked at in earlier calls */
    size_t consumed;          /* bytes of the request; what follows them
                                 belongs to the WebSocket */
    struct http_span  target; /* as sent, for the log */
    struct http_span  path;   /* part of the target, from its "/" to "?" */
    struct http_span  key;    /* Sec-WebSocket-Key: 24 characters */
    struct http_span  authorization;
    struct http_lines forwarded_for; /* X-Forwarded-For */
    struct http_lines forwarded;     /* Forwarded */
    struct http_lines protocol;      /* Sec-WebSocket-Protocol */
    struct http_lines extensions;    /* Sec-WebSocket-Extensions */
    int               status;        /* HTTP status of an error */
    const char       *sentence;      /* why, for the peer and the log; static */
};

enum http_result { HTTP_INCOMPLETE, HTTP_COMPLETE, HTTP_ERROR };

/*
 * Looks at the n bytes collected so far; between calls p may move and n may
 * only grow. Total work is linear in n, whatever the pieces. An error is
 * reported as early as the bytes show it, with status 400, 405 (not GET), 426
 * (no WebSocket, or not version 13) or 505 (not HTTP/1.1).
 *
 * Refused besides: a bare LF or CR (a proxy in front may hand one on inside
 * a value, which would let its client forge X-Forwarded-For), NUL and other
 * control characters, folded headers, a header without colon or with a
 * blank before it, a body, no or two of Host, Key, Version. Tolerated: one
 * empty line in front, a target in absolute form, bytes above 0x7f.
 */
enum http_result http_parse(const char *p, size_t n, struct http_request *r);

/* True if a comma-separated list holds the token; case is ignored. */
bool http_list_has(struct http_span list, const char *token);

/* --- identity (OCPP-J 1.6 section 3.1.1) --------------------------------- */

enum http_identity {
    HTTP_ID_OK,
    HTTP_ID_PATH,   /* not one segment below the prefix: 404 */
    HTTP_ID_EMPTY,  /* nothing behind the prefix: 404; all below: 400 */
    HTTP_ID_LONG,   /* more than max bytes after decoding */
    HTTP_ID_ESCAPE, /* % without two hexadecimal digits */
    HTTP_ID_NUL,    /* %00 */
    HTTP_ID_SLASH,  /* %2F */
    HTTP_ID_UTF8,   /* not UTF-8 after decoding */
    HTTP_ID_CONTROL /* U+0001..1F, U+007F..9F */
};

/*
 * Takes the identity from the path: the one segment below the prefix,
 * percent-decoded exactly once. Slashes in front, doubled and trailing are
 * tolerated in path and prefix; "/" and "" are the empty prefix. "." and ".."
 * are no identities (HTTP_ID_PATH). out has room for max + 1 bytes, is
 * NUL-terminated, and is written only with HTTP_ID_OK, as is *len.
 */
enum http_identity http_identity(struct http_span path, const char *prefix,
    size_t max, char *out, size_t *len);
/* The HTTP status and the sentence for every value except HTTP_ID_OK. */
int         http_identity_status(enum http_identity e);
const char *http_identity_sentence(enum http_identity e);

/* --- subprotocol (RFC 6455 section 4.2.2, OCPP-J 1.6 section 3.1.2) ------ */

enum { HTTP_OFFERED_NOTHING = -1, HTTP_OFFERED_OTHERS = -2 };

/* The index of the first of names[0..n) that the client offers. The order of
 * the client's list is ignored. Names are compared exactly, because the answer
 * must repeat an offered name. Without a match one of the two values above is
 * returned. */
int http_pick_subprotocol(
    const struct http_request *r, const char *const names[], size_t n);

/* --- Basic credentials (RFC 7617; OCPP-J 1.6 section 6.2.2) -------------- */

struct http_password {
    size_t  len;
    uint8_t bytes[HTTP_PASSWORD_MAX]; /* any byte, NUL and colon included */
};

enum http_basic {
    HTTP_BASIC_OK,
    HTTP_BASIC_NONE, /* no Authorization, or of another scheme */
    HTTP_BASIC_BAD,  /* not base64, or the password is longer than
                        HTTP_PASSWORD_MAX */
    HTTP_BASIC_USER  /* the user name is not the identity */
};

/* The credentials must begin with `identity:`; what follows is the password
 * (so an identity with a colon in it works). Base64 may lack its padding.
 * *pw is written only with HTTP_BASIC_OK; the caller wipes it after use. */
enum http_basic http_basic(struct http_span authorization, const char *identity,
    size_t identity_len, struct http_password *pw);

/* --- answers -------------------------------------------------------------- */

/* Sec-WebSocket-Accept (RFC 6455 section 4.2.2) for a key that http_parse() has
   accepted. */
void http_accept_key(struct http_span key, char out[HTTP_ACCEPT_LEN + 1]);

/* Appends the answer 101. subprotocol: one that the client offered, or NULL for
 * none; extensions: the answer to an offer (deflate.h), or NULL. Appends all or
 * nothing; false if it did not fit. */
bool http_put_switching(struct buf *out, const char *accept,
    const char *subprotocol, const char *extensions);

/* Appends any other answer, with Connection: close and the sentence as
 * text/plain. 401, 405 and 426 get the header that they require. retry_after:
 * seconds, for 503 and 429; 0 leaves the header out. All or nothing; false if
 * it did not fit. */
bool http_put_refusal(
    struct buf *out, int status, unsigned retry_after, const char *sentence);

#endif
