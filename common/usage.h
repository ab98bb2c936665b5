/*
 * usage: the usage of a command in commands.def, read word by word. Pure.
 *
 *   IDENTITY [--state online|offline] [-b] [--limit N] add|remove
 *
 * Brackets make an item optional; an item that begins with a dash is an
 * option, with its value behind a blank; words in small letters are typed as
 * they are, separated by |, words in capitals represent values.
 */
#ifndef COMMON_USAGE_H
#define COMMON_USAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "near.h"

struct usage_item {
    bool optional;
    char option[32]; /* with its dashes; empty: an argument */
    char value[160]; /* of the option, or the argument; empty: a flag */
};

/* The next item at *usage; false at the end. */
bool usage_next(const char **usage, struct usage_item *item);

/* The next of the words of a value; false at the end. */
bool usage_word(const char **value, char *word, size_t size);

/* True if the word is typed as it is. */
bool usage_is_literal(const char *word);

/* Tries all literal words of the usage as suggestions for near_to(). */
void usage_try(struct near *n, const char *usage, char *word, size_t size);

#endif
