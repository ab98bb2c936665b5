/*
 * denyfile: addresses and identities that may not connect.
 *
 * A text file with one entry per line; # begins a comment:
 *
 *   address 192.0.2.0/24        an address or a range of them
 *   identity NAME               a charge point, written as in authfile.h
 */
#ifndef COMMON_DENYFILE_H
#define COMMON_DENYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "cidr.h"
#include "config.h"
#include "identity.h"

#define DENYFILE_MAX (4u << 20) /* bytes */
/* The most entries. Each accept() compares with all of them, which takes 10
 * us. */
#define DENYFILE_ADDRESSES 10000
#define DENYFILE_PATH_MAX 256

struct denyfile_name {
    uint8_t len;
    char    name[IDENTITY_MAX];
};

/* A zeroed one is an empty list. */
struct denyfile {
    struct cidr          *range;
    size_t                ranges, ranges_cap;
    struct denyfile_name *name; /* sorted */
    size_t                names, names_cap;
};

/* limits.deny_file, or `deny' in server.state_dir. */
void denyfile_path(const struct config *c, char out[DENYFILE_PATH_MAX]);

enum denyfile_result {
    DENYFILE_GOOD,   /* also if the file is missing: the list is empty */
    DENYFILE_BROKEN, /* some lines are wrong; the others are in the list */
    DENYFILE_UNREADABLE
};

/* Reads the file, or its text, into an empty list, which denyfile_free() frees;
 * errors as in authfile.h. denyfile_parse(): false if there was an error; the
 * other lines are in the list. */
enum denyfile_result denyfile_read(
    struct denyfile *d, const char *path, struct buf *errors);
bool denyfile_parse(struct denyfile *d, const char *name, const char *text,
    size_t len, struct buf *errors);
void denyfile_free(struct denyfile *d);

/* True if the address, in the form of address_pack(), is in a range of the
 * list, or if the identity is in the list. */
bool denyfile_has_address(const struct denyfile *d, const uint64_t addr[2]);
bool denyfile_has_name(const struct denyfile *d, const char *name, size_t len);

/* Adds a line, or removes it. kind is `address' or `identity'. Returns true if
 * the line was there before. *why is set if the two words are not a valid
 * entry. */
bool denyfile_set(struct buf *text, const char *kind, const char *what,
    bool add, const char **why);

#endif
