/*
 * sample: the state of the gateway at one moment, for `ocppctl
 * top`.
 *
 * Four questions to the control socket, which the master answers from shared
 * memory: no worker is asked. The listings of charge points walk the whole
 * registry; they are asked for so rarely that they take a twentieth of the
 * master's time at most, however large it is.
 */
#ifndef MASTER_CTL_SAMPLE_H
#define MASTER_CTL_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "ctl/ctl.h"
#include "stats.h"

#define SAMPLE_POINTS 200 /* of each listing */
#define SAMPLE_NAME (48 * 3 + 1)

struct sample_worker {
    unsigned slot;
    int      pid;
    unsigned starts; /* processes this slot has had */
    char     state[12];
    uint64_t silent_ms; /* since its last sweep */
    uint64_t connections, messages_in, messages_out, events;
    bool     journal_failing;
    char     words[64]; /* last words */
};

/* A charge point; times in Unix seconds, 0 for never. */
struct sample_point {
    char     name[SAMPLE_NAME];
    bool     online;
    int      worker; /* -1: none */
    uint64_t since, last_seen, closed, refused;
    uint64_t messages, connections, generation;
    char     action[40];
    char     close_reason[24], refuse_reason[24];
};

struct sample_points {
    uint64_t             at_ms; /* monotonic; 0: never asked */
    size_t               n;
    struct sample_point *point; /* each identity once */
};

struct sample {
    uint64_t              at_ms; /* monotonic */
    uint64_t              wall_ms;
    char                  version[24], node[40], health[16], uptime[32];
    char                  problem[160]; /* the first of them */
    unsigned              problems;
    bool                  draining;
    uint64_t              connections_max, identities, identities_max;
    uint64_t              ping_interval_s;
    bool                  journal_failing;
    struct stats          stats; /* all workers */
    size_t                workers;
    struct sample_worker *worker;
};

/* Which charge points are looked at. */
struct sample_filter {
    const char *match;  /* as of fnmatch(3); NULL: all */
    int         worker; /* -1: all */
};

/* All but the charge points. False with a sentence in *why; code is an exit
 * code of ocppctl. The sample is the caller's, sample_free(). */
bool sample_take(
    const struct ctl *ctl, struct sample *s, struct buf *why, int *code);
void sample_free(struct sample *s);

/* Asks for the charge points if it is time to, or if `now`; keeps what p
 * holds otherwise. True if p is new: *before is then what it was, or what
 * was before that if it was asked for just now. */
bool sample_points(const struct ctl *ctl, const struct sample_filter *f,
    bool now, struct sample_points *p, struct sample_points *before);
void sample_points_free(struct sample_points *p);

const struct sample_point *sample_find(
    const struct sample_points *p, const char *name);

/* Of a counter, per second. One that shrank belongs to a daemon that was
 * restarted: no rate then. */
double sample_rate(uint64_t before, uint64_t now, double seconds);

#endif
