/*
 * signals: what signals ask for (ocppd(8)).
 */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

void signals_watch(void);

#endif
