/*
 * functions: the text of the Functions library (ocppd.lua), as it is loaded.
 *
 * Its first two lines contain the prefix and the number of shards; the rest is
 * the same for all gateways. The version is raised with every visible change,
 * because a gateway never replaces a newer library by an older one.
 */
#ifndef WORKER_FLEET_FUNCTIONS_H
#define WORKER_FLEET_FUNCTIONS_H

#include <stddef.h>

#define LIBRARY_VERSION 10 /* as in the second line of ocppd.lua */

/* The text, which the caller frees; NULL if memory is out. prefix: letters,
   digits and _. */
char *functions_make(const char *prefix, unsigned shards, size_t *len);

#endif
