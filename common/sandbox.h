/*
 * sandbox: removes the rights that a process does not need any more.
 *
 * Workers and the admin process read untrusted input. An attacker who controls
 * one of them must not be able to gain privileges, start a program, inspect
 * another process, open a kind of socket that the daemon does not use, or make
 * memory executable.
 *
 * The filter has three results. Calls that the daemon uses are allowed. A call
 * that only an intruder would use ends the process, with a last message that
 * names the call. Any other call fails with ENOSYS, so that a newer libc that
 * tries a newer call first continues with the old one. Only this file uses
 * libseccomp.
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdbool.h>

#include "buf.h"
#include "config.h"

/* True if this build has a filter. Builds with sanitizers have none, because
   they need other calls. */
bool sandbox_possible(void);

/* Called in a child, as its final user, before its first thread. Forbids new
 * privileges; installs the filter, if server.seccomp is on; forbids core files
 * and the inspection of its memory, if it holds secrets. False with a sentence.
 */
bool sandbox_enter(const struct config *c, struct buf *why);

/* Called before secrets are read into memory: forbids core files and the
 * inspection of the memory. sandbox_secrets(): true if the configuration leads
 * to secrets in memory. */
void sandbox_hide(void);
bool sandbox_secrets(const struct config *c);

/* Called in the master when it has bound its sockets. Of the rights of root it
 * keeps those that are needed to bind again, to start workers as another user,
 * to signal them and to write their files. False with errno. */
bool sandbox_master(void);

#endif
