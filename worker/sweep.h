/*
 * sweep: everything that time does to connections.
 *
 * There are no timers per connection. A tick each SWEEP_TICK_MS walks a slice
 * of the slab: the deadlines' walk comes around once a second, the pings'
 * walk a little faster than websocket.ping_interval. So pings leave evenly by
 * construction and no tick costs more than another. The deadlines' walk keeps
 * the interval as the upper bound of each connection.
 */
#ifndef WORKER_SWEEP_H
#define WORKER_SWEEP_H

#define SWEEP_TICK_MS 50

/* Once, when the connections can be used. */
void sweep_start(void);

#endif
