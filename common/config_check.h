/*
 * config_check: what must hold of settings beyond the type of each one.
 *
 * Checks that texts are addresses, names and paths where these are needed, and
 * that settings agree with each other. Pure: whether a directory exists or an
 * address can be bound shows when the daemon starts.
 */
#ifndef COMMON_CONFIG_CHECK_H
#define COMMON_CONFIG_CHECK_H

#include <stdbool.h>

#include "config.h"

/* Called for each fault: the number of the knob, and "what is wrong; what
 * would be right", which is valid during the call. */
typedef void check_fault(void *arg, enum conf_knob k, const char *text);

/* bad[k]: knob k could not be read; its value is not checked. Knobs that fail a
 * check are marked there too. */
void check_config(const struct config *c, bool bad[CONF_KNOBS],
    check_fault *report, void *arg);

#endif
