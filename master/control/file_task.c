/* file_task: a command whose work is in files. See file_task.h. */
#include "control/file_task.h"

#include "base/files.h"

static void
work(struct helper_job *h)
{
    struct file_task *t = (struct file_task *)h;

    t->work(t);
}

static void
done(struct helper_job *h)
{
    struct file_task *t = (struct file_task *)h;

    t->done(t, control_client(t->client));
}

bool
file_task_begin(struct client *c, struct file_task *t)
{
    t->h.work = work;
    t->h.done = done;
    t->client = c->id;
    t->uid = c->uid;
    if (!control_may_wait(c))
        return false;
    if (!files_submit(&t->h)) {
        control_replyf(c, CONTROL_BUSY,
            "%d changes of files already wait for their disk, or no thread "
            "can be started (the log has the reason); nothing was done, try "
            "again",
            FILES_JOBS);
        return false;
    }
    control_wait(c, NULL, FILE_TASK_MS,
        "the disk of the file has not answered for 2 minutes; the command "
        "is executed when it answers");
    return true;
}
