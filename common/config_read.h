/*
 * config_read: reads the configuration file and the overrides of -o.
 */
#ifndef COMMON_CONFIG_READ_H
#define COMMON_CONFIG_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "config.h"

#define CONFIG_FILE "/etc/ocppd/ocppd.conf" /* read if it exists */

/* An override of -o: "section.key=value". */
struct config_override {
    const char *text;
};

/*
 * Reads a configuration: defaults, then the file (NULL for none), then the
 * overrides (of several for one knob the last counts), then the checks that
 * concern several knobs. Every error is one line
 *
 *   FILE:LINE: section.key = value: what is wrong; what would be right
 *
 * appended to errors; FILE:LINE is "-o" for an override, and the file alone
 * if the error belongs to no line. All errors are reported, not only the
 * first, up to CONF_ERRORS. True if there were none; otherwise *c is not to
 * be used.
 */
bool config_read(struct config *c, const char *file,
    const struct config_override *overrides, size_t n_overrides,
    struct buf *errors);

/* As config_read(), for a program that is not the daemon, such as ocppctl,
 * which needs the path of the control socket. A setting with a ${...} that this
 * process cannot resolve keeps its default, and settings are not checked
 * against each other.
 */
bool config_read_partial(
    struct config *c, const char *file, struct buf *errors);

/* As config_read(), for a text in memory, which cannot include files. Errors
 * have `name` in the place of FILE. */
bool config_read_text(struct config *c, const char *name, const char *text,
    size_t len, const struct config_override *overrides, size_t n_overrides,
    struct buf *errors);

/* Appends one line per knob of class RESTART in which next differs from
 * running, and puts the running value (and origin) back into next. */
void config_keep_restart(
    struct config *next, const struct config *running, struct buf *notes);

#endif
