/*
 * penalty: makes a name that does something too often wait, longer each time.
 *
 * One table in shared memory for all workers, of identities that connect too
 * often, addresses that are refused too often, and identities with wrong keys
 * from one address. The hash of a name is stored in one of two words of the
 * table. A word is changed by compare-and-swap, so a crash leaves either its
 * old or its new value. The table may forget a name: a new name takes the word
 * of the name that was quiet for longer.
 *
 *   more than `limit' in a minute  ->  refused for 5 s; the next time, within
 *   the hour, for 10 s, then 20 s ... up to `most'. What is refused meanwhile
 *   does not count, so the wait ends also while attempts continue. A minute
 * within the limit halves the next wait again.
 *
 * Pure except for the table: the caller passes the time, in seconds of the
 * monotonic clock.
 */
#ifndef COMMON_PENALTY_H
#define COMMON_PENALTY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "fields.h"
#include "hash.h"

#define PENALTY_FIRST_S 5
#define PENALTY_WINDOW_S 60
#define PENALTY_FORGET_S 3600
#define PENALTY_MOST_S 3600 /* the highest limits.max_penalty */

struct penalty {
    struct hash_key key;
    uint32_t        rows;       /* a power of two */
    uint32_t        other_size; /* 1: the table that penalty_read() is reading
                                   has another number of rows */
    _Atomic uint64_t row[];
};

/* Bytes of the table; init, once, on memory that is zero. */
size_t penalty_size(uint64_t max_connections);
void   penalty_init(struct penalty *t, uint64_t max_connections);

/* Kinds of names. For an address, refusals are counted. */
#define PENALTY_IDENTITY 2
#define PENALTY_ADDRESS 3

/* kind: keeps identities and addresses apart. Returns the seconds that the name
 * has still to wait, 0 for none. */
uint32_t penalty_waits(
    struct penalty *t, unsigned kind, const void *p, size_t n, uint32_t now_s);

/* The same for the master, which does not trust the size in the table. */
uint32_t penalty_peek(const struct penalty *t, uint32_t rows, unsigned kind,
    const void *p, size_t n, uint32_t now_s);

/* Counts one more time. limit: times in a minute, where more than 4095 count as
 * 4095; most: seconds. Returns the seconds to wait from now on, 0 if the name
 * is within the limit. */
uint32_t penalty_count(struct penalty *t, unsigned kind, const void *p,
    size_t n, uint32_t now_s, uint32_t limit, uint32_t most);

/* The table as records: `penalties` with the key, then `penalty` for each word
 * in use. They fit into a table of the same size only; another one stays empty,
 * as if all had waited long enough. rows: of the table, as penalty_peek(). The
 * reader is called for each of these records, before others use the table;
 * false if it is none of them. */
void penalty_write(const struct penalty *t, uint32_t rows, struct buf *out);
bool penalty_read(struct penalty *t, struct fields *f);
/* The number of rows of the table for that many connections. */
uint32_t penalty_rows(uint64_t max_connections);

#endif
