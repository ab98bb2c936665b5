/*
 * master: what the files of the master share.
 *
 * One thread, one libev loop. After the fork a child uses only `shm`, `config`
 * and `log_target`, which it reads.
 */
#ifndef MASTER_BASE_MASTER_H
#define MASTER_BASE_MASTER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "config.h"
#include "config_read.h"
#include "shm.h"

/* Exit codes of ocppd, with the numbers of sysexits(3). */
enum master_exit {
    MASTER_EXIT_DONE = 0,
    MASTER_EXIT_FAILED = 1,
    MASTER_EXIT_USAGE = 64,
    MASTER_EXIT_CONFIG = 78
};

enum master_phase {
    MASTER_STARTING,   /* not every worker was ready yet */
    MASTER_INHERITING, /* the old program hands over, slot by slot */
    MASTER_RUNNING,
    MASTER_DRAINING, /* the workers close their connections, then the daemon
                        ends */
    MASTER_STOPPING  /* the workers are being killed */
};

struct master {
    struct ev_loop   *loop;
    enum master_phase phase;

    /* Where the configuration comes from, to read it again. */
    const char                   *conf_file; /* NULL: defaults only */
    const struct config_override *overrides;
    size_t                        n_overrides;

    /* How this process was started, for its successor. program: path of its
       file. */
    int    argc;
    char **argv;
    char   program[CONF_TEXT_MAX];

    struct config config;            /* the configuration in force, which shm
                                        publishes */
    char        state_dir[PATH_MAX]; /* server.state_dir, absolute */
    const char *log_target;          /* config.log_target, but syslog with -d
                                        where that is stderr */
    struct shm *shm;
    int         memfd;
    int         lockfd; /* lock of the state directory; held by every process
                           (locks.h) */
    unsigned slots;
};

extern struct master master;

#endif
