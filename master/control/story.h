/*
 * story: what is known about one charge point, as one paragraph and as one JSON
 * object: whether it is connected, its last message, why it was refused or
 * closed, and the remedy.
 */
#ifndef MASTER_CONTROL_STORY_H
#define MASTER_CONTROL_STORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "registry.h"
#include "registry_models.h"
#include "shm.h"

/* All facts, which the command collects first. */
struct story {
    const char           *name;
    bool                  known; /* the registry has an entry */
    struct registry_entry e;
    bool                  refused;
    struct shm_refusal    refusal;
    struct registry_model model;
    uint32_t              penalty_s;         /* penalty of the identity */
    uint32_t              address_penalty_s; /* penalty of its last address */
    bool                  slowed;
    unsigned              commands;
    uint64_t              oldest_ms; /* age of the oldest pending command */
    unsigned              profile;   /* highest security profile; 0: no TLS */
    uint64_t              certificate_end; /* Unix seconds; 0: none known */
    const char           *json;            /* the worker's answer; len 0:
                                              none */
    size_t len;
};

/* Appends the paragraph. It holds text from outside as it came, so it must be
 * escaped before it is shown. */
void story_put_text(const struct story *s, struct buf *out);
/* Appends the object, as one line. text: the paragraph, which is one of its
   members. */
void story_put_json(const struct story *s, const char *text, struct buf *out);

#endif
