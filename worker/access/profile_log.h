/*
 * profile_log: appends to the file of profiles.h that an identity has used a
 * higher security profile than before. A helper writes; the connection does not
 * wait.
 */
#ifndef WORKER_ACCESS_PROFILE_LOG_H
#define WORKER_ACCESS_PROFILE_LOG_H

#include <stddef.h>

/* Appends a line to the file, in a helper thread. Errors are logged. */
void profile_log_put(const char *name, size_t len, unsigned profile);

#endif
