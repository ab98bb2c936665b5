/*
 * child: starts processes of the master, and describes their ends.
 */
#ifndef MASTER_WORKERS_CHILD_H
#define MASTER_WORKERS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Forks. When this returns 0 in the child, the state of the master was cleared:
 * all descriptors except stdio, the log and the n in keep (in which -1 is
 * skipped), all signal handlers, and the loop. -1 with errno.
 */
pid_t child_fork(const int *keep, size_t n);

/* Describes a wait status: "was killed by signal 9 (Killed)", "exited with code
 * 1". */
#define CHILD_END_LEN 80
void child_end_text(char out[CHILD_END_LEN], int status);

/* Kills a process and waits for its end; nothing if *pid is 0, which it is
 * afterwards. */
void child_kill(pid_t *pid);

/* The pause before the next start in ms, by how long the last process lived:
 * none after a life of CHILD_DECENT_LIFE_MS, otherwise twice the last pause,
 * from 100 ms to 30 s. *backoff_ms: the last pause, at first 0; the new one is
 * stored there. */
#define CHILD_DECENT_LIFE_MS 10000
uint64_t child_backoff(uint64_t *backoff_ms, uint64_t lived_ms);

#endif
