/*
 * txids: the transaction ids that the whole fleet has received.
 *
 * A set in shared memory, by which a process detects that the gateway has given
 * the same id to another process. Slots are taken by compare-and-swap and never
 * freed; a page without ids takes no memory.
 */
#ifndef SIM_TXIDS_H
#define SIM_TXIDS_H

#include <stdbool.h>
#include <stdint.h>

bool txids_map(void);       /* called before fork() */
bool txids_add(int32_t id); /* false: another process has it already */
bool txids_full(void);      /* then txids_add() returns true for every id */

#endif
