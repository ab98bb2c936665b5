/*
 * conn_slab: the memory of the connections, for conn.c only.
 *
 * A slab of struct conn, in index order, never moved. It owns the list of free
 * structs, the list of DEAD ones, which it frees at the end of the loop's turn
 * together with what they still own, and the memory of the busy parts. Look-ups
 * by index and by name, and conn_busy(), are declared in conn.h.
 */
#ifndef WORKER_NET_CONN_SLAB_H
#define WORKER_NET_CONN_SLAB_H

#include <stdint.h>

#include "net/conn.h"

/* A free struct, zeroed; NULL if the slab is full. */
struct conn *conn_slab_take(void);
/* The same at this index, or at another one if it is taken (conn_inherit()). */
struct conn *conn_slab_take_at(uint32_t index);
/* Gives back a struct that is still zeroed. */
void conn_slab_put(struct conn *c);
/* Makes a connection DEAD; it is freed at the end of the loop's turn. */
void conn_slab_bury(struct conn *c);

/* Frees the busy part, if there is one. */
void conn_slab_free_busy(struct conn *c);

#endif
