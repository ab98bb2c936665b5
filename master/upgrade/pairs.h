/*
 * pairs: the socket pairs through which slots move to the new program.
 *
 * The heir of a slot has one end. The other end stays open here until the
 * slot's old process has ended; the old worker gets a copy, into which it
 * writes its connections.
 */
#ifndef MASTER_UPGRADE_PAIRS_H
#define MASTER_UPGRADE_PAIRS_H

/* Called once. all_prepared: called when that many heirs are ready to take
   over. */
void pairs_begin(unsigned heirs, void (*all_prepared)(void));

/* Makes the pair of a slot, instead of a former one, and returns the heir's
 * end, which the caller closes; -1 with errno. */
int pairs_make(unsigned slot);
/* The same for an heir that is a separate process: it is prepared when it sends
 * its first message. */
int pairs_make_heir(unsigned slot);

int  pairs_end(unsigned slot); /* the old worker's; -1: closed */
void pairs_close(unsigned slot);

#endif
