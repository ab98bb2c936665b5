/*
 * child: how the master starts a process and describes the end of one.
 */
#ifndef MASTER_WORKERS_CHILD_H
#define MASTER_WORKERS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Forks. In the child everything that is the master's is gone when this
 * returns 0: every descriptor but stdio, the log and the n in keep (which
 * may hold -1 for none), every signal handler, the loop. -1 with errno.
 */
pid_t child_fork(const int *keep, size_t n);

/* "was killed by signal 9 (Killed)", "exited with code 1": of a wait
 * status. */
#define CHILD_END_LEN 80
void child_end_text(char out[CHILD_END_LEN], int status);

/* Kills a process and waits for its end; nothing if *pid is 0, which it is
 * afterwards. */
void child_kill(pid_t *pid);

/* How long to wait before the next start, given how long the last one
 * lived: none after a long run, else twice as long each time. */
#define CHILD_DECENT_LIFE_MS 10000
uint64_t child_backoff(uint64_t *backoff_ms, uint64_t lived_ms);

#endif
