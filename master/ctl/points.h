/*
 * points: the charge points on the screen of `ocppctl top`.
 *
 * The busiest are ordered by v->sort. The sickest are, in this order,
 * those refused lately, those that keep coming back, those whose connection
 * was lost, and those that went.
 */
#ifndef MASTER_CTL_POINTS_H
#define MASTER_CTL_POINTS_H

#include "ctl/view.h"

/* One of the two lists with its title, in at most `room` lines. */
void points_draw(const struct view *v, bool sick, size_t room, struct buf *out);

#endif
