/*
 * files: the thread for the small files of the master.
 *
 * Configuration, credentials, deny list and tokens are on a disk that may
 * hang. What reads or writes them is a job for this thread (helper.h), one at
 * a time, so that no change of a file comes between the reading and the
 * writing of another.
 */
#ifndef MASTER_BASE_FILES_H
#define MASTER_BASE_FILES_H

#include <stdbool.h>

#include "helper.h"

#define FILES_JOBS 64

/* False if FILES_JOBS wait already, or there is no thread: nothing was taken.
 */
bool files_submit(struct helper_job *job);
/* True while a job waits, runs, or has not been finished. */
bool files_busy(void);

#endif
