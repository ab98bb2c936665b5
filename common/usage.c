/* usage: the usage of a command, read word by word. See usage.h. */
#include "usage.h"

#include <stdio.h>
#include <string.h>

bool
usage_next(const char **usage, struct usage_item *item)
{
    const char *s = *usage;
    char        text[sizeof item->option + sizeof item->value];

    while (*s == ' ')
        s++;
    if (*s == '\0')
        return false;
    *item = (struct usage_item){.optional = *s == '['};
    size_t n = item->optional ? strcspn(++s, "]") : strcspn(s, " ");
    snprintf(text, sizeof text, "%.*s", (int)n, s);
    *usage = s + n + (s[n] == ']');
    const char *value = text;
    if (text[0] == '-') {
        size_t len = strcspn(text, " ");
        snprintf(item->option, sizeof item->option, "%.*s", (int)len, text);
        value = text + len + strspn(text + len, " ");
    }
    snprintf(item->value, sizeof item->value, "%.*s",
        (int)sizeof item->value - 1, value);
    return true;
}

bool
usage_word(const char **value, char *word, size_t size)
{
    size_t n = strcspn(*value, "|");

    if (n == 0)
        return false;
    snprintf(word, size, "%.*s", (int)n, *value);
    *value += n + ((*value)[n] == '|');
    return true;
}

bool
usage_is_literal(const char *word)
{
    return word[0] >= 'a' && word[0] <= 'z';
}

void
usage_try(struct near *n, const char *usage, char *word, size_t size)
{
    struct usage_item item;
    char              one[sizeof item.value];

    while (usage_next(&usage, &item)) {
        const char *v = item.value;
        while (usage_word(&v, one, sizeof one))
            if (usage_is_literal(one) && near_try(n, one)) {
                snprintf(word, size, "%s", one);
                n->word = word;
            }
    }
}
