/* functions: the text of the Functions library. See functions.h. */
#include "fleet/functions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The library is made of two files of the tree. Between them are the checks of
 * the platform's answers, which are generated from the message schemas. */
__asm__(".section .rodata\n"
        ".global functions_begin\n"
        ".global functions_end\n"
        "functions_begin:\n"
        ".incbin \"ocppd.lua\"\n"
        ".incbin \"ocpp_answers.lua\"\n"
        ".incbin \"ocppd_gateway.lua\"\n"
        "functions_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char functions_begin[], functions_end[];

char *
functions_make(const char *prefix, unsigned shards, size_t *len)
{
    const char *rest = strchr(strchr(functions_begin, '\n') + 1, '\n') + 1;
    size_t      n = (size_t)(functions_end - rest);
    char        head[256];
    int         h = snprintf(head, sizeof head,
                "#!lua name=%s\nlocal PREFIX, SHARDS, VERSION = '%s', %u, "
                        "%d\n",
                prefix, prefix, shards, LIBRARY_VERSION);
    char       *text = malloc((size_t)h + n);

    if (text == NULL)
        return NULL;
    memcpy(text, head, (size_t)h);
    memcpy(text + h, rest, n);
    *len = (size_t)h + n;
    return text;
}
