/*
 * kept: a file that has existed and is missing now is an error.
 *
 * Without it the credential file, the deny list and the file of tokens may be
 * missing, which means that they are empty. If one of them is deleted by
 * mistake while the daemon runs, the next change by `ocppctl` must not write a
 * file that has only the new entry. Called in the thread of base/files.h, and
 * before that thread exists.
 */
#ifndef MASTER_ACCESS_KEPT_H
#define MASTER_ACCESS_KEPT_H

#include <stdbool.h>

#include "buf.h"

enum kept { KEPT_AUTH, KEPT_DENY, KEPT_TOKENS, KEPT_FILES };

/* The file was read, or written. */
void kept_exists(enum kept file);
/* The file does not exist. True if it did before: why has a sentence then. */
bool kept_vanished(enum kept file, const char *path, struct buf *why);

#endif
