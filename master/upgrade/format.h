/*
 * format: the number of the format in which the masters of two programs
 * exchange records (upgrade.h).
 */
#ifndef MASTER_UPGRADE_FORMAT_H
#define MASTER_UPGRADE_FORMAT_H

/* Raised when records change so that an older program cannot read them at all.
 * New keys and new records do not require that. */
#ifndef UPGRADE_FORMAT /* test/upgrade.py has a program with another one */
#define UPGRADE_FORMAT 1
#endif

#endif
