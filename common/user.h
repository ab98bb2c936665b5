/*
 * user: server.user, as which all processes but the master run if root starts
 * the daemon.
 */
#ifndef COMMON_USER_H
#define COMMON_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* True if the user exists, or if the process need not become that user;
   otherwise false with a sentence in why. */
bool user_check(const char *user, char *why, size_t size);

/* Gives up root and becomes this user, if a user is set and the process runs as
 * root. False with a sentence in why. */
bool user_become(const char *user, char *why, size_t size);

/* The user and group that own the daemon's files: -1 (no change) if no user is
 * set, the process does not run as root, or there is no such user. */
void user_owner(const char *user, uid_t *uid, gid_t *gid);

#endif
