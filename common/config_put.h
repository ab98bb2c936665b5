/*
 * config_put: the configuration that is in force, and the table of all settings
 * for the manual.
 */
#ifndef COMMON_CONFIG_PUT_H
#define COMMON_CONFIG_PUT_H

#include "buf.h"
#include "config.h"

/* Effective values with origins: text (aligned, one per line, in the syntax
 * of the file, so that it can be used as one) or JSON. A SECRET is shown as
 * ***. file: what was read, or NULL. */
void config_put_text(const struct config *c, const char *file, struct buf *out);
void config_put_json(const struct config *c, const char *file, struct buf *out);

/* The table itself as mdoc(7) source, for the manual. */
void config_put_manual(struct buf *out);

#endif
