/* files: the thread for the small files of the master. See files.h. */
#include "base/files.h"

static struct helper helper = HELPER_INIT("ocppd-files",
    "the disk of the configuration, credentials or deny list", FILES_JOBS,
    2000);

bool
files_submit(struct helper_job *job)
{
    return helper_submit(&helper, job);
}

bool
files_busy(void)
{
    return helper_busy(&helper);
}
