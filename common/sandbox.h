/*
 * sandbox: what a process gives up once it has what it needs.
 *
 * Workers and the admin process read untrusted input. An attacker who controls
 * one of them must not be able to gain privileges, start a program, inspect
 * another process, open a kind of socket that the daemon does not use, or make
 * memory executable.
 *
 * The filter has three answers. What the daemon uses is allowed. What only an
 * intruder would use ends the process, with a last message that names the call.
 * Anything else fails with ENOSYS, so that a newer libc which tries a newer
 * call first goes on with the old one. libseccomp is used here only.
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdbool.h>

#include "buf.h"
#include "config.h"

/* Is there a filter at all? Not with sanitizers, which need other calls. */
bool sandbox_possible(void);

/* In a child, as the user it stays, before its first thread: no new
 * privileges; the filter, if server.seccomp is on; no core and no look into
 * its memory if it holds secrets. False with a sentence. */
bool sandbox_enter(const struct config *c, struct buf *why);

/* Secrets are in memory from now on. */
void sandbox_hide(void);
bool sandbox_secrets(const struct config *c);

/* In the master, once it has bound its sockets: of the rights of root it
 * keeps those that are needed to bind again, to start workers as another
 * user, to signal them and to write their files. False with errno. */
bool sandbox_master(void);

#endif
