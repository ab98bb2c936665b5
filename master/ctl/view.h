/*
 * view: the screen of `ocppctl top`, made from samples. It sends no requests
 * and uses no terminal. It returns as many lines of text as there is room for,
 * the most important ones first.
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

    const struct sample *now;
    const struct sample *before; /* the sample from which rates per
                                    second are computed */
    const struct sample *past;   /* the sample from which latencies are
                                    computed */
    const struct sample_points *points, *points_before;
    /* The charge points when the program started, to find those that have
     * reconnected. */
    const struct sample_points *points_first;
};

/* Writes the lines for screen_show(). */
void view_draw(const struct view *v, struct buf *out);

#endif
