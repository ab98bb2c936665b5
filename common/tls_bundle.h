/*
 * tls_bundle: the bytes of all files of TLS in one sealed memfd.
 *
 * The master reads the files, as root if it is root, and does not parse them.
 * Each worker gets the descriptor, at its fork or with the datagram
 * CHANNEL_tls, and reads it by tls_bundle_read(). So keys are not in shared
 * memory, and workers open no key file.
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

/* Reads the files that the configuration names. Returns the descriptor of the
 * memfd, which the caller closes; -1 with lines in errors ("tls.key = FILE:
 * what is wrong; remedy"). It may wait for the disk. */
int tls_bundle_make(const struct config *c, struct buf *errors);

/* A hash over the names, inode numbers, sizes and times of the files, which
 * changes when a file changes. */
uint64_t tls_bundle_stamp(const struct config *c);

/* Reads the whole bundle into `all`, which must be empty, and which the caller
 * overwrites and frees with tls_bundle_wipe(), also after false: the bundle
 * cannot be read, or memory is out. */
bool tls_bundle_read(int fd, struct buf *all);
/* The next item, which points into `all`; *at begins with 0. False after the
 * last one. */
bool tls_bundle_next(const struct buf *all, size_t *at, struct tls_item *item);
void tls_bundle_wipe(struct buf *all);

#endif
