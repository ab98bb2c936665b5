/*
 * journal_path: where the journal is, for the commands of ocppctl that read its
 * files: as the daemon answers, or else as the configuration has it.
 *
 * The functions print an error themselves and return an exit code of enum
 * ctl_exit.
 */
#ifndef MASTER_CTL_JOURNAL_PATH_H
#define MASTER_CTL_JOURNAL_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "ctl/ctl.h"

#define JOURNAL_PATH_MAX 512

/* Makes the path of the journal's directory from a state directory. With
 * `given`, dir may also be the journal's directory itself. False if the path is
 * too long. */
bool journal_path_take(char *out, size_t size, const char *dir, bool given);

/* Asks the daemon for its mark (journal_dir.h), and for the directory if *dir
 * is empty. If no daemon runs, *mark stays as it is and *silent gets the
 * reason. */
int journal_path_ask(const struct ctl *ctl, char *dir, size_t size,
    uint64_t *mark, struct buf *silent);

/* Without a daemon: takes the directory from the configuration. */
int journal_path_configured(const struct ctl *ctl, char *dir, size_t size);

#endif
