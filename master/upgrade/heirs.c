/* heirs: the workers of the new program. See heirs.h. */
#include "upgrade/heirs.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cref.h"
#include "upgrade/foreign.h"
#include "workers/child.h"

static struct {
    pid_t pid;     /* 0: none */
    int   channel; /* the descriptor + 1; 0: none */
    pid_t adopted; /* pid of the worker of a new master that died */
} heirs[CREF_SLOTS];

void
heirs_process(unsigned slot, pid_t pid)
{
    heirs[slot].pid = pid;
}

void
heirs_channel(unsigned slot, int fd)
{
    if (heirs[slot].channel != 0)
        close(heirs[slot].channel - 1);
    heirs[slot].channel = fd + 1;
}

void
heirs_adopt(unsigned slot)
{
    pid_t pid = heirs[slot].pid;

    if (pid == 0 || heirs[slot].channel == 0)
        return;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return;
    foreign_forget(slot);
    foreign_process(slot, fd);
    foreign_channel(slot, heirs[slot].channel - 1);
    heirs[slot].adopted = pid;
    heirs[slot].channel = 0;
    heirs[slot].pid = 0;
}

int
heirs_reap(unsigned slot)
{
    int status = 0;

    while (waitpid(heirs[slot].adopted, &status, 0) < 0 && errno == EINTR)
        ;
    heirs[slot].adopted = 0;
    return status;
}

void
heirs_kill(unsigned slot)
{
    child_kill(&heirs[slot].pid);
}

void
heirs_kill_all(void)
{
    for (unsigned i = 0; i < CREF_SLOTS; i++) {
        child_kill(&heirs[i].pid);
        child_kill(&heirs[i].adopted);
        foreign_forget(i);
        heirs_channel(i, -1);
    }
}
