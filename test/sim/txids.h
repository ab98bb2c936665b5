/*
 * txids: the transaction ids the whole fleet was given.
 *
 * A set in shared memory, so that a process notices when the gateway gives
 * it an id that another process has. Slots are claimed by compare-and-swap
 * and never freed; pages no id fell on cost nothing.
 */
#ifndef SIM_TXIDS_H
#define SIM_TXIDS_H

#include <stdbool.h>
#include <stdint.h>

bool txids_map(void);       /* before fork */
bool txids_add(int32_t id); /* false: it was there already */
bool txids_full(void);      /* from then on txids_add() lets all pass */

#endif
