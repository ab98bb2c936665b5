/* registry_answer: answers to starts as numbers. See registry_answer.h. */
#include "registry_answer.h"

#include <stdbool.h>
#include <string.h>

static const char *const statuses[REGISTRY_ANSWER_STATUSES] = {
    "Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"};
static const char *const token_statuses[REGISTRY_ANSWER_TOKEN_STATUSES] = {"",
    "Accepted", "Blocked", "ConcurrentTx", "Expired", "Invalid", "NoCredit",
    "NotAllowedTypeEVSE", "NotAtThisLocation", "NotAtThisTime", "Unknown"};

static const struct form {
    const char        *head; /* follows the transaction id, if there is one */
    const char *const *words;
    unsigned           n;
    bool               id;
    bool               empty; /* 0 means {} */
} forms[] = {
    [REGISTRY_ANSWER_START] = {",\"idTagInfo\":{\"status\":\"", statuses,
        REGISTRY_ANSWER_STATUSES, .id = true},
    [REGISTRY_ANSWER_STOP] = {"{\"idTagInfo\":{\"status\":\"", statuses,
        REGISTRY_ANSWER_STATUSES, .empty = true},
    [REGISTRY_ANSWER_EVENT] = {"{\"idTokenInfo\":{\"status\":\"",
        token_statuses, REGISTRY_ANSWER_TOKEN_STATUSES, .empty = true},
};

static const char id_head[] = "{\"transactionId\":";
static const char tail[] = "\"}}";

#define TAIL (sizeof tail - 1)

static size_t
put_text(char *out, size_t at, const char *text)
{
    size_t n = strlen(text);

    /* Answers have a length and no NUL.
     * NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
    memcpy(out + at, text, n);
    return at + n;
}

static size_t
put_id(char *out, size_t at, int32_t id)
{
    char     digits[12], *p = digits + sizeof digits;
    uint32_t rest = id < 0 ? -(uint32_t)id : (uint32_t)id;

    *--p = '\0';
    do
        *--p = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (id < 0)
        *--p = '-';
    return put_text(out, at, p);
}

/* Writes the part before the status. */
static size_t
put_head(char *out, const struct form *f, int32_t id)
{
    size_t n = f->id ? put_id(out, put_text(out, 0, id_head), id) : 0;

    return put_text(out, n, f->head);
}

/* The index of the word that is followed by the tail; -1 if there is none. */
static int
word_of(const struct form *f, const char *text, size_t len)
{
    if (len < TAIL || memcmp(text + len - TAIL, tail, TAIL) != 0)
        return -1;
    for (unsigned i = f->empty ? 1 : 0; i < f->n; i++)
        if (strlen(f->words[i]) == len - TAIL &&
            memcmp(f->words[i], text, len - TAIL) == 0)
            return (int)i;
    return -1;
}

int
registry_answer_number(
    enum registry_answer_form form, int32_t id, const char *answer, size_t len)
{
    const struct form *f = &forms[form];
    char               head[REGISTRY_ANSWER_MAX];

    if (f->empty && len == 2 && memcmp(answer, "{}", 2) == 0)
        return 0;
    size_t n = put_head(head, f, id);
    if (len < n || memcmp(head, answer, n) != 0)
        return -1;
    return word_of(f, answer + n, len - n);
}

size_t
registry_answer_put(
    char *out, enum registry_answer_form form, int32_t id, unsigned number)
{
    const struct form *f = &forms[form];

    if (number >= f->n || (f->empty && number == 0))
        return put_text(out, 0, "{}");
    size_t n = put_text(out, put_head(out, f, id), f->words[number]);
    return put_text(out, n, tail);
}
