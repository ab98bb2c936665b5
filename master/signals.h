/*
 * signals: handles the signals to the master (ocppd(8)).
 */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

void signals_watch(void);

#endif
