/*
 * functions: the text of the Functions library (ocppd.lua), as it is loaded.
 *
 * Its first two lines carry the prefix and the number of shards; the rest is
 * the same everywhere. The version is raised with every change that others
 * can see; a gateway never replaces a newer library by its own.
 */
#ifndef WORKER_FLEET_FUNCTIONS_H
#define WORKER_FLEET_FUNCTIONS_H

#include <stddef.h>

#define LIBRARY_VERSION 5 /* as in the second line of ocppd.lua */

/* To be freed; NULL without memory. prefix: letters, digits and _. */
char *functions_make(const char *prefix, unsigned shards, size_t *len);

#endif
