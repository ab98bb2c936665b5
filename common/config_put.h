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

/* Copies sentences, one per line, of which some begin with the name of a
 * setting: in front of those the place of the setting is added, as
 * config_read() does, unless it has its default. Each line in `out` ends with a
 * newline. Returns how many have a place. */
unsigned config_put_places(const struct config *c, const char *file,
    const char *text, struct buf *out);

/* The table itself as mdoc(7) source, for the manual. */
void config_put_manual(struct buf *out);

#endif
