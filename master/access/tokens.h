/*
 * tokens: the tokens of the HTTP API.
 *
 * A file `tokens` in server.state_dir, one line for each:
 *
 *     NAME read|admin sha256:SALT:HASH
 *
 * Only the master reads and writes it and checks tokens: the admin process
 * passes on what its client has sent. A token is 40 hexadecimal digits from
 * the kernel's random numbers; only its hash is kept.
 */
#ifndef MASTER_ACCESS_TOKENS_H
#define MASTER_ACCESS_TOKENS_H

#include <stdbool.h>

#include "buf.h"

#define TOKENS_MAX 64
#define TOKENS_NAME_MAX 32
#define TOKENS_TEXT 41 /* with its NUL */

enum tokens_role { TOKENS_NONE, TOKENS_READ, TOKENS_ADMIN };

/* At the start and at a reload. False with a sentence; then the former tokens
 * stay in force. */
bool tokens_read(struct buf *why);

/* The role of a token as a client has sent it; TOKENS_NONE if it is unknown. */
enum tokens_role tokens_judge(const char *token);

/* False with a sentence. out: the token, shown once. */
bool tokens_add(const char *name, enum tokens_role role, char out[TOKENS_TEXT],
    struct buf *why);
bool tokens_remove(const char *name, bool *was_there, struct buf *why);
/* The i-th; false behind the last. */
bool tokens_at(unsigned i, const char **name, enum tokens_role *role);

/* "read", "admin", or "-" for TOKENS_NONE. */
const char *tokens_role_name(enum tokens_role role);

#endif
