/*
 * tls_bundle: the bytes of all files of TLS in one sealed memfd.
 *
 * The master reads the files, as root if it is root, and parses none of them.
 * Each worker gets the descriptor, at its fork or with the datagram
 * CHANNEL_tls, and reads it through tls_bundle_read(). Keys are in no shared
 * memory and opens no file.
 */
#ifndef COMMON_TLS_BUNDLE_H
#define COMMON_TLS_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "config.h"

#define TLS_BUNDLE_MAX (64u << 20) /* bytes of all files */

enum tls_file {
    TLS_FILE_CERTIFICATE,
    TLS_FILE_KEY,
    TLS_FILE_SNI,
    TLS_FILE_CLIENT_CA,
    TLS_FILE_CRL,
    TLS_FILE_TICKET_KEYS
};

struct tls_item {
    enum tls_file kind;
    const char   *name; /* of the file, NUL-terminated */
    const char   *data; /* not NUL-terminated */
    size_t        len;
};

/* Reads the files that the configuration names. -1 with lines in errors
 * ("tls.key = FILE: what is wrong; remedy"). */
int tls_bundle_make(const struct config *c, struct buf *errors);

/* Changes when a file has changed or is another one: a hash over names, inode
 * numbers, sizes and times. */
uint64_t tls_bundle_stamp(const struct config *c);

/* The whole bundle into all, which is cleansed with tls_bundle_wipe(). */
bool tls_bundle_read(int fd, struct buf *all);
/* The next item; *at begins with 0. */
bool tls_bundle_next(const struct buf *all, size_t *at, struct tls_item *item);
void tls_bundle_wipe(struct buf *all);

#endif
