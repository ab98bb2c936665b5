/*
 * deflate: permessage-deflate (RFC 7692), without state of a connection.
 *
 * The client is asked for client_no_context_takeover, and the gateway never
 * takes its own context over. So each message is compressed by itself, and
 * one inflater and one deflater serve all connections of the process. A
 * connection keeps four bits (frame.h): the window that its messages are
 * compressed with, 0 without compression.
 *
 * The states are made when they are first needed: 44 KiB for inflating, and
 * up to 256 KiB for deflating. One thread only.
 */
#ifndef WORKER_NET_DEFLATE_H
#define WORKER_NET_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* The longest answer to an offer, with its NUL. */
#define DEFLATE_ANSWER_LEN 112

/*
 * Accepts the first acceptable offer of a Sec-WebSocket-Extensions value
 * (sections 5 and 7.1). Returns the window size for messages to the client, in
 * bits (9 to 15), and writes the header value of the answer. Returns 0 if no
 * offer is acceptable: another extension, unknown, repeated or malformed
 * parameters, or a window of 8 bits, which zlib cannot write as raw deflate.
 */
unsigned deflate_negotiate(
    const char *value, size_t len, char answer[DEFLATE_ANSWER_LEN]);

enum deflate_result {
    DEFLATE_OK,
    DEFLATE_TOO_BIG, /* more than max bytes come out */
    DEFLATE_BROKEN,  /* the bytes are not a deflate stream, or it ends early */
    DEFLATE_NO_MEMORY
};

/* Inflates a message of n compressed bytes (section 7.2.2). *out is valid until
 * deflate_done(), which must follow each call. */
enum deflate_result deflate_inflate(
    const void *p, size_t n, size_t max, const char **out, size_t *len);
void deflate_done(void);

/* Replaces the content of out by the compressed form of a message (section
 * 7.2.1). window: in bits, as deflate_negotiate() has returned it. False if
 * that would not be shorter, or if memory is out; out is then empty. */
bool deflate_compress(
    const void *p, size_t n, unsigned window, struct buf *out);

#endif
