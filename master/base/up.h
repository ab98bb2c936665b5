/*
 * up: the functions that lower folders of the master call in higher ones.
 *
 * Calls in the master go down the folders; these few come up. The files of
 * master/ itself define them.
 */
#ifndef MASTER_BASE_UP_H
#define MASTER_BASE_UP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"

/* --- the daemon's life: main.c ------------------------------------------- */

/* Called for a signal or a command; each returns at once. A second drain stops
 * the daemon at once. */
void up_drain(uint64_t ms);
void up_stop(void);
void up_reopen_logs(void);

/* Begins an upgrade to another program; NULL: the one that was started. False
 * with a sentence if it cannot begin. */
bool up_upgrade(const char *program, struct buf *why);
/* Called when an upgrade has failed and this program continues. */
void up_upgrade_failed(void);
/* Called when the new program has taken over: this process ends, and leaves
   files and sockets to it. */
void up_succeeded(void) __attribute__((noreturn));
/* up_unlock() gives up the locks by which a start notices that a daemon runs.
 * up_lock() takes them and writes the pid file; false with a sentence. */
void up_unlock(void);
bool up_lock(struct buf *why);
/* Writes which process continues when this one has ended to a file; 0: none.
 * Returns its name, NULL if it does not hold the pid. */
const char *up_next_pid(pid_t pid);

/* Called when every worker has been ready once. */
void up_is_ready(void);
/* Called when the daemon cannot start. */
void up_cannot_start(const char *why) __attribute__((noreturn));
/* Called when no worker process is left. */
void up_end(void) __attribute__((noreturn));

/* In a forked child: stops the master's signal watchers, so that its loop
 * can be destroyed. */
void up_forget_signals(void);

/* --- a new configuration: reload.c --------------------------------------- */

/* The result of a reload: lines for people, valid during the call. ok false:
 * the old configuration stays in force. client: as it was given. */
typedef void up_reloaded(uint64_t client, bool ok, struct buf *lines);

/* Reads the configuration again, beside the loop, and calls done(), now or
 * later. The result is logged, and kept for `status`. False if too many reloads
 * wait already: then done() is not called. A signal (client 0) that finds
 * another one waiting is served together with it, by one done(). */
bool up_reload(uint64_t client, up_reloaded *done);
/* True until the last done() was called. */
bool up_reloading(void);

/* Changed certificates are in force: the workers and the admin process are
 * notified. */
void up_certificates(void);

/* --- what workers send: dispatch.c --------------------------------------- */

/* Takes some datagrams of a worker; false when its end is closed. */
bool up_receive(unsigned slot, int fd);
void up_worker_gone(unsigned slot);   /* its process is dead */
void up_worker_failed(unsigned slot); /* the slot will have no successor */
/* A worker that was handing over has ended. well: it ended by itself, when it
   was done. */
void up_worker_left(unsigned slot, bool well);
void up_heir_gone(unsigned slot); /* an heir died while it took over */
void up_tick(void);               /* once a second */

/* A client of the HTTP API has come; the callee takes over its socket. */
void up_client(int fd);

#endif
