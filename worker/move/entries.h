/*
 * entries: registry entries from the segment of another program.
 *
 * At the end of an upgrade one worker reads the changed entries of identities
 * that are offline. A worker does this because the master never takes the lock
 * of the registry (registry.h). It reads some hundred lines in each turn of the
 * loop.
 */
#ifndef WORKER_MOVE_ENTRIES_H
#define WORKER_MOVE_ENTRIES_H

/* Takes over fd, a file of lines (shm_state.h). Sends CHANNEL_inherited to the
 * master at the end. */
void entries_read(int fd);

#endif
