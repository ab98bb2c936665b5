/*
 * points: the charge points on the screen of `ocppctl top`.
 *
 * The busiest ones are ordered by v->sort. Those with problems are, in this
 * order: refused lately, reconnecting often, connection lost, and disconnected.
 */
#ifndef MASTER_CTL_POINTS_H
#define MASTER_CTL_POINTS_H

#include "ctl/view.h"

/* Writes one of the two lists with its title, in at most `room` lines. */
void points_draw(const struct view *v, bool sick, size_t room, struct buf *out);

#endif
