/*
 * profiles: the highest security profile that each identity has used, over a
 * restart, so that tls.refuse_downgrade holds.
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

void profiles_put_line(
    struct buf *out, const char *name, size_t len, unsigned profile);

/* Appends lines; may wait for the disk. False with errno. */
bool profiles_append(const char *state_dir, const char *p, size_t n);

/* True without a file, too. False with a sentence: some are not known. */
bool profiles_load(struct registry *r, const char *state_dir, struct buf *why);

#endif
