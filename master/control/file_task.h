/*
 * file_task: a command whose work is in files of a disk that may hang.
 *
 * The command fills a task with copies of all that work() needs, and begins
 * it. work() runs in the thread of base/files.h; done() runs on the loop
 * afterwards, replies, and frees the task. The client waits meanwhile. It may
 * be gone when done() runs: the change was made all the same.
 */
#ifndef MASTER_CONTROL_FILE_TASK_H
#define MASTER_CONTROL_FILE_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/control.h"
#include "helper.h"

#define FILE_TASK_MS 120000 /* then the client gets CONTROL_TIMEOUT */

/* Embedded as the first member of the command's own struct. */
struct file_task {
    struct helper_job h;
    uint64_t          client;
    uid_t             uid;
    void (*work)(struct file_task *);
    /* c is NULL if the client does not wait any more. */
    void (*done)(struct file_task *, struct client *c);
};

/* False if it replied already: the caller frees the task. */
bool file_task_begin(struct client *c, struct file_task *t);

#endif
