/*
 * near: which known word a misspelt one may have meant. Pure.
 *
 *   struct near n = near_to(typed);
 *   for each known word: near_try(&n, word);
 *   n.word is the nearest, NULL if none is near enough
 */
#ifndef COMMON_NEAR_H
#define COMMON_NEAR_H

#include <stdbool.h>

struct near {
    const char *typed;
    unsigned    best; /* distance of typed and word, plus one at first */
    const char *word;
};

/* Begins a search. typed must stay valid. A third of its letters may be wrong,
 * at least one and at most four; a word that differs more is not suggested, and
 * nor is one of more than 64 bytes. */
struct near near_to(const char *typed);
/* True if the word is nearer than all before. Case and - for _ cost nothing. */
bool near_try(struct near *n, const char *word);

#endif
