/*
 * user: server.user, as which all processes but the master run if root starts
 * the daemon.
 */
#ifndef COMMON_USER_H
#define COMMON_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Does it exist, if the process would have to become it? */
bool user_check(const char *user, char *why, size_t size);

/* Gives up root for this user, where one is set and the process is root's.
 * False with a sentence in why. */
bool user_become(const char *user, char *why, size_t size);

/* To which user and group the daemon's files belong: -1 (no change) where no
 * user is set, or the process is not root's, or there is no such user. */
void user_owner(const char *user, uid_t *uid, gid_t *gid);

#endif
