/*
 * sweep: everything that time does to connections.
 *
 * There are no timers per connection. A tick each SWEEP_TICK_MS walks a slice
 * of the slab: the deadlines' walk comes around once a second, the pings'
 * walk once in websocket.ping_interval. So pings leave evenly by
 * construction, each connection has one in an interval, and no tick costs
 * more than another.
 */
#ifndef WORKER_SWEEP_H
#define WORKER_SWEEP_H

#define SWEEP_TICK_MS 50

void sweep_start(void);

#endif
