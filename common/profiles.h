/*
 * profiles: keeps the highest security profile that each identity has used in a
 * file, so that tls.refuse_downgrade works over a restart.
 *
 * The file `profiles` in server.state_dir has one line for each rise, PROFILE
 * IDENTITY, the identity as a word of file.h. Workers append to it; the master
 * reads it into the registry before the first worker starts, and makes it
 * short again.
 */
#ifndef COMMON_PROFILES_H
#define COMMON_PROFILES_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "registry.h"

#define PROFILES_FILE "profiles"

/* Appends the line of an identity with its highest security profile, 2 or 3. */
void profiles_put_line(
    struct buf *out, const char *name, size_t len, unsigned profile);

/* Appends whole lines (p, n) and makes them durable. May wait for the disk.
 * False with errno. */
bool profiles_append(const char *state_dir, const char *p, size_t n);

/* Reads the file into the registry, and writes it anew if it has grown long.
 * True also if there is no file; a damaged line is skipped without a message.
 * False with a sentence in why if the file could not be read or written. May
 * wait for the disk. */
bool profiles_load(struct registry *r, const char *state_dir, struct buf *why);

#endif
