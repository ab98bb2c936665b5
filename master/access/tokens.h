/*
 * tokens: the tokens of the HTTP API.
 *
 * A file `tokens` in server.state_dir, one line for each:
 *
 *     NAME read|admin sha256:SALT:HASH
 *
 * Only the master reads and writes the file and checks tokens; the admin
 * process passes on the token that its client has sent. A token is 40
 * hexadecimal digits from the kernel's random numbers; only its hash is kept.
 */
#ifndef MASTER_ACCESS_TOKENS_H
#define MASTER_ACCESS_TOKENS_H

#include <stdbool.h>

#include "buf.h"

#define TOKENS_MAX 64
#define TOKENS_NAME_MAX 32
#define TOKENS_TEXT 41 /* bytes of a token, with its NUL */

enum tokens_role { TOKENS_NONE, TOKENS_READ, TOKENS_ADMIN };

struct tokens;

/* --- in any thread: they may wait for the disk --- */

/* What the file in dir holds; without a file no tokens. NULL with a sentence.
 */
struct tokens *tokens_read(const char *dir, struct buf *why);

/* Reads the file, changes it, and returns what it holds then; NULL with a
 * sentence. */
struct tokens *tokens_add(const char *dir, const char *name,
    enum tokens_role role, char out[TOKENS_TEXT], struct buf *why);
struct tokens *tokens_remove(
    const char *dir, const char *name, bool *was_there, struct buf *why);

/* --- on the loop --- */

/* They are in force; t is the callee's. */
void tokens_adopt(struct tokens *t);
void tokens_free(struct tokens *t);

/* The role of a token as a client has sent it; TOKENS_NONE if it is unknown. */
enum tokens_role tokens_judge(const char *token);

/* The i-th token; false after the last one. */
bool tokens_at(unsigned i, const char **name, enum tokens_role *role);

/* The role as a word: "read", "admin", or "-" for TOKENS_NONE. */
const char *tokens_role_name(enum tokens_role role);

#endif
