/*
 * view: the screen of `ocppctl top`, made from samples. It sends
 * no requests and uses no terminal: it returns lines of text, the most
 * important ones first, as far as there is room.
 */
#ifndef MASTER_CTL_VIEW_H
#define MASTER_CTL_VIEW_H

#include "ctl/sample.h"

enum view_sort {
    VIEW_RATE,
    VIEW_MESSAGES,
    VIEW_SINCE,
    VIEW_IDENTITY,
    VIEW_SORTS
};
enum view_lists { VIEW_BOTH, VIEW_BUSIEST, VIEW_SICKEST, VIEW_LISTS };

extern const char *const view_sort_name[VIEW_SORTS];

struct view {
    unsigned             rows; /* 0: as many as needed */
    unsigned             columns;
    enum view_sort       sort;
    enum view_lists      lists;
    struct sample_filter filter;
    const char          *foot; /* last line; NULL for none */
    bool                 foot_marked;

    const struct sample        *now;
    const struct sample        *before; /* rates are per second since then */
    const struct sample        *past;   /* latencies are those since then */
    const struct sample_points *points, *points_before;
    /* As they were when the watching began, to find those that have
     * reconnected. */
    const struct sample_points *points_first;
};

/* Lines for screen_show(). */
void view_draw(const struct view *v, struct buf *out);

#endif
