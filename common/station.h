/*
 * station: facts about one charge point from the journal: its last
 * BootNotification, and the last event of a transaction.
 *
 *     struct station s = STATION_INIT;
 *     station_find(&s, "/var/lib/ocppd/journal", "CP1", 3, 32 << 20);
 *     station_extend(&s, &object);
 *     station_free(&s);
 *
 * The journal is read from its end, without locks.
 */
#ifndef COMMON_STATION_H
#define COMMON_STATION_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

#define STATION_LINE_MAX (1u << 20) /* bytes; a longer event is skipped */
#define STATION_ROWS 6              /* values of a BootNotification */

struct station_event {
    uint64_t   number; /* 0: none was found */
    struct buf line;
};

struct station {
    struct station_event boot, transaction;
};

#define STATION_INIT                                                           \
    {                                                                          \
        .boot.line = BUF_INIT(2 * STATION_LINE_MAX),                           \
        .transaction.line = BUF_INIT(2 * STATION_LINE_MAX)                     \
    }

/* Reads at most `most` bytes of the journal in directory path, beginning with
 * the newest segment of each worker. If the directory cannot be read, nothing
 * is found, and nothing is reported. It may wait for the disk. */
void station_find(struct station *found, const char *path, const char *identity,
    size_t len, uint64_t most);
void station_free(struct station *found);

/* The name of a row for people, and its value as JSON; NULL if there is no
 * value. row: 0 to STATION_ROWS - 1. */
const char *station_row(
    const struct station *s, unsigned row, const char **value, size_t *len);

/* Adds the members `station` and `lastTransaction`, each if it was found, to a
 * JSON object with members. */
void station_extend(const struct station *s, struct buf *object);

#endif
