/*
 * config_fix: texts of a configuration, and their errors, for tests.
 */
#ifndef TEST_UNIT_CONFIG_FIX_H
#define TEST_UNIT_CONFIG_FIX_H

#include <string.h>

#include "buf.h"
#include "config.h"
#include "config_read.h"
#include "unit.h"

static struct config c;
static struct buf    errors = BUF_INIT(1 << 20);

static __attribute__((unused)) bool
reads(const char *text)
{
    buf_clear(&errors);
    return config_read_text(&c, "f", text, strlen(text), NULL, 0, &errors);
}

static __attribute__((unused)) bool
takes(const char *setting)
{
    struct config_override o = {setting};
    buf_clear(&errors);
    return config_read_text(&c, NULL, "", 0, &o, 1, &errors);
}

/* Returns the errors of a text, which a test compares literally. */
static __attribute__((unused)) const char *
says(const char *text)
{
    return reads(text) ? "no error" : buf_cstr(&errors);
}

static __attribute__((unused)) const char *
says_of(const char *setting)
{
    return takes(setting) ? "no error" : buf_cstr(&errors);
}

#endif
