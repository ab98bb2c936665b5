/*
 * signals: handles the signals to the master (ocppd(8)).
 */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

/* Starts the watchers. Called once, in the master. */
void signals_watch(void);

#endif
