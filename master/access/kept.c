/* kept: files that have existed. See kept.h. */
#include "access/kept.h"

#include <stdatomic.h>

static atomic_bool existed[KEPT_FILES];

void
kept_exists(enum kept file)
{
    atomic_store(&existed[file], true);
}

bool
kept_vanished(enum kept file, const char *path, struct buf *why)
{
    if (!atomic_load(&existed[file]))
        return false;
    buf_clear(why);
    buf_addf(why,
        "%s does not exist any more; the running workers keep its "
        "entries; restore it, or make an empty file to remove all entries",
        path);
    return true;
}
