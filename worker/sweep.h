/*
 * sweep: the periodic work on connections: deadlines and pings.
 *
 * There are no timers per connection. Each tick of SWEEP_TICK_MS visits a slice
 * of the slab: the walk of the deadlines takes a second for a round, the walk
 * of the pings a little less than websocket.ping_interval. So pings are evenly
 * spread, and all ticks cost about the same. The walk of the deadlines also
 * sends pings that are due, so that the interval is an upper bound for each
 * connection.
 */
#ifndef WORKER_SWEEP_H
#define WORKER_SWEEP_H

#define SWEEP_TICK_MS 50

/* Called once, when connections can be served. */
void sweep_start(void);

#endif
