/*
 * exposition: the text format of Prometheus, version 0.0.4.
 */
#ifndef MASTER_ADMIN_EXPOSITION_H
#define MASTER_ADMIN_EXPOSITION_H

#include "buf.h"

/* The head of a metric; name: without ocppd_, type: "counter", "gauge" or
 * "histogram". */
void exposition_head(
    struct buf *out, const char *name, const char *type, const char *help);
/* Text as it may stand in the value of a label. */
void exposition_label(struct buf *out, const char *text);

#endif
