/*
 * sample: the state of the gateway at one moment, for `ocppctl
 * top`.
 *
 * A sample is made of four questions to the control socket, which the master
 * answers from shared memory, without asking workers. The listings of charge
 * points walk the whole registry, so they are requested so rarely that they
 * take at most a twentieth of the master's time.
 */
#ifndef MASTER_CTL_SAMPLE_H
#define MASTER_CTL_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "ctl/ctl.h"
#include "stats.h"

#define SAMPLE_POINTS 200 /* charge points of each listing */
#define SAMPLE_NAME (48 * 3 + 1)

struct sample_worker {
    unsigned slot;
    int      pid;
    unsigned starts; /* processes this slot has had */
    char     state[12];
    uint64_t silent_ms; /* ms since its last sweep */
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
    uint64_t              at_ms;      /* monotonic: `stats` was requested */
    uint64_t              workers_ms; /* monotonic: `workers` was requested */
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

/* Selects charge points. */
struct sample_filter {
    const char *match;  /* pattern for fnmatch(3); NULL: all */
    int         worker; /* -1: all */
};

/* Takes a sample without the charge points. The caller frees it by
 * sample_free(). False with a sentence in *why and an exit code of ocppctl in
 * *code. */
bool sample_take(
    const struct ctl *ctl, struct sample *s, struct buf *why, int *code);
void sample_free(struct sample *s);

/* Requests the charge points if it is time to, or if `now` is true; otherwise p
 * is unchanged. True if p is new. *before is then the previous listing, or the
 * one before that if the previous one is very recent. */
bool sample_points(const struct ctl *ctl, const struct sample_filter *f,
    bool now, struct sample_points *p, struct sample_points *before);
void sample_points_free(struct sample_points *p);

/* The charge point of this name; NULL if it is not in the listing. */
const struct sample_point *sample_find(
    const struct sample_points *p, const char *name);

/* The rate of a counter per second. 0 if the counter has become smaller,
 * because the daemon was restarted. */
double sample_rate(uint64_t before, uint64_t now, double seconds);

#endif
