/* near: finds the known word that is most similar to a misspelt one. See
 * near.h. */
#include "near.h"

#include <stddef.h>
#include <string.h>

#define NAME_MAX_BYTES 64 /* longer words have no suggestion */

static char
lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c == '-' ? '_' : c);
}

/* The edit distance between a and b: letters missing, added, changed, or two
 * neighbours swapped. */
static unsigned
distance(const char *a, const char *b)
{
    size_t   na = strlen(a), nb = strlen(b);
    unsigned row[3][NAME_MAX_BYTES + 1];

    if (na > NAME_MAX_BYTES || nb > NAME_MAX_BYTES)
        return NAME_MAX_BYTES;
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *two = row[(i + 1) % 3], *one = row[(i - 1) % 3],
                 *now = row[i % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            char     ca = lower(a[i - 1]), cb = lower(b[j - 1]);
            unsigned best = one[j - 1] + (ca != cb);
            if (one[j] + 1 < best)
                best = one[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && ca == lower(b[j - 2]) &&
                lower(a[i - 2]) == cb && two[j - 2] + 1 < best)
                best = two[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

struct near
near_to(const char *typed)
{
    size_t   n = strlen(typed);
    unsigned tolerance = n < 3 ? 1 : (unsigned)(n / 3 > 4 ? 4 : n / 3);

    return (struct near){.typed = typed, .best = tolerance + 1};
}

bool
near_try(struct near *n, const char *word)
{
    unsigned d = distance(n->typed, word);

    if (d >= n->best)
        return false;
    n->best = d;
    n->word = word;
    return true;
}
