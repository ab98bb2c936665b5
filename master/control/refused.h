/* refused: the refused handshakes that the workers keep (cmd_refused.c). */
#ifndef MASTER_CONTROL_REFUSED_H
#define MASTER_CONTROL_REFUSED_H

#include <stddef.h>

#include "buf.h"
#include "shm.h"
#include "writer.h"

/* The most records that there can be. */
size_t refused_most(void);
/* Copies the records, the newest first. name: only those of this identity, or
 * NULL. all has room for refused_most(). Returns the number of records. */
size_t refused_copy(struct shm_refusal *all, const char *name);

/* Appends a record as a JSON object, or as a line of the table. */
void refused_json(const struct shm_refusal *r, struct writer *w);
void refused_text(const struct shm_refusal *r, struct buf *out);

#endif
