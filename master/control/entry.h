/*
 * entry: writes an entry of the registry as JSON members and as words.
 */
#ifndef MASTER_CONTROL_ENTRY_H
#define MASTER_CONTROL_ENTRY_H

#include "address.h"
#include "buf.h"
#include "registry.h"
#include "registry_models.h"
#include "writer.h"

/* Writes the members of an entry into an open object. number: that of the
   entry. */
void entry_put(
    struct writer *w, const struct registry_entry *e, uint32_t number);
/* Writes a time in seconds since 1970 as a member; null for 0. */
void entry_put_time(struct writer *w, const char *key, uint32_t then);

/* Vendor and model of the entry with that number; empty if they are unknown. */
struct registry_model entry_model(uint32_t number);

/* The action of the last CALL; "-" if there was no message, or no
 * connection. */
const char *entry_last_action(const struct registry_entry *e);
void entry_address(const struct registry_entry *e, char out[ADDRESS_LEN]);
/* NULL without a connection. */
const char *entry_protocol(const struct registry_entry *e);
const char *entry_close_word(const struct registry_entry *e);
const char *entry_refuse_word(const struct registry_entry *e);

/* Writes a name in a form that is safe for a terminal, and spaces up to a
   width. */
void entry_put_name(struct buf *out, const char *name, size_t n, int width);

#endif
