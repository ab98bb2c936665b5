/*
 * Scans any text as JSON: only the text is read, and the tape is consistent.
 * The result is compared with that of cJSON. cJSON must read any text that is
 * accepted as JSON without deviations, with the same values; and a text that
 * cJSON reads must be accepted here.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ensure.h"
#include "ocpp/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKENS 2000
#define CJSON_NUM 62 /* cJSON cuts numbers at 63 characters */

static struct json_token tokens[TOKENS], again_tokens[TOKENS];

/* Every token lies within its parent, and the siblings end where the parent
 * ends. */
static void
check_tape(const struct json *j, uint32_t i, uint32_t start, uint32_t end)
{
    const struct json_token *t = &j->tok[i];
    uint32_t                 n = 0, k = i + 1;

    ensure(i < j->count && t->next > i && t->next <= j->count);
    ensure(t->start >= start && t->start <= t->end && t->end <= end);
    if (t->type != JSON_OBJECT && t->type != JSON_ARRAY) {
        ensure(t->next == i + 1);
        ensure(t->type != JSON_STRING || t->count <= t->end - t->start);
        return;
    }
    for (; k < t->next; n++) {
        if (t->type == JSON_OBJECT) {
            ensure(j->tok[k].type == JSON_STRING && j->tok[k].next == k + 1);
            k++;
        }
        check_tape(j, k, t->start + 1, t->end - 1);
        k = j->tok[k].next;
    }
    ensure(k == t->next && n == t->count);
}

static bool
has_long_number(const struct json *j)
{
    for (uint32_t i = 0; i < j->count; i++)
        if (j->tok[i].type == JSON_NUMBER &&
            j->tok[i].end - j->tok[i].start > CJSON_NUM)
            return true;
    return false;
}

static void
same_string(const struct json *j, uint32_t i, const char *s)
{
    char  *out = malloc(j->len + 1);
    bool   full;
    size_t n;

    ensure(out != NULL);
    n = json_string(j, i, out, j->len, &full);
    ensure(full && n == strlen(s) && memcmp(out, s, n) == 0);
    ensure(json_equals(j, i, s, n));
    free(out);
}

/* True if this value is equal to that of cJSON. */
static void
same(const struct json *j, uint32_t i, const cJSON *c)
{
    const struct json_token *t = &j->tok[i];
    uint32_t                 k = i + 1;
    double                   v;
    int64_t                  whole;

    switch (t->type) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        ensure(t->type == JSON_OBJECT ? cJSON_IsObject(c) : cJSON_IsArray(c));
        for (c = c->child; c != NULL; c = c->next) {
            ensure(k < t->next);
            if (t->type == JSON_OBJECT) {
                same_string(j, k, c->string);
                ensure(
                    json_member(j, i, c->string, strlen(c->string)) == k + 1);
                k++;
            }
            same(j, k, c);
            k = j->tok[k].next;
        }
        ensure(k == t->next);
        break;
    case JSON_STRING:
        ensure(cJSON_IsString(c));
        same_string(j, i, c->valuestring);
        break;
    case JSON_NUMBER:
        ensure(cJSON_IsNumber(c) && json_double(j, i, &v));
        ensure(
            v == c->valuedouble || fabs(v - c->valuedouble) <= 1e-15 * fabs(v));
        if (json_int64(j, i, &whole))
            ensure((double)whole == v);
        break;
    case JSON_TRUE:
        ensure(cJSON_IsTrue(c));
        break;
    case JSON_FALSE:
        ensure(cJSON_IsFalse(c));
        break;
    default:
        ensure(cJSON_IsNull(c));
    }
}

/* True for texts that cJSON reads differently: it reads every control character
 * as white space, and of a number at the top level it reads as much as it can.
 */
static bool
cjson_is_loose(const char *text, size_t size)
{
    size_t first = 0;

    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < ' ' &&
            memchr("\t\n\r", text[i], 4) == NULL)
            return true;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        first = 3;
    while (first < size && (unsigned char)text[first] <= ' ')
        first++;
    return first < size && strchr("-0123456789", text[first]) != NULL;
}

static void
check_put(const struct json *j)
{
    struct buf  out = BUF_INIT(8 * 1024 * 1024);
    struct json again = JSON_INIT(again_tokens, TOKENS);

    json_put(j, 0, &out);
    ensure(!out.overflow && json_scan(&again, out.p, out.len));
    ensure(again.count == j->count);
    /* The text written from the tape must follow the grammar. */
    ensure((again.deviations &
               ~(DEVIATION_BIT(lone_surrogate) | DEVIATION_BIT(nul_escape) |
                   DEVIATION_BIT(duplicate_key))) == 0);
    for (uint32_t i = 0; i < j->count; i++) {
        ensure(again.tok[i].type == j->tok[i].type);
        ensure(again.tok[i].next == j->tok[i].next);
        ensure(again.tok[i].count == j->tok[i].count);
    }
    ensure(memchr(out.p, '\n', out.len) == NULL);
    buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json j = JSON_INIT(tokens, TOKENS);
    /* cJSON may read one byte beyond the text; json.c may not. */
    char       *text = malloc(size + !size), *ended = malloc(size + 1);
    const char *end;

    ensure(text != NULL && ended != NULL);
    memcpy(text, data, size);
    memcpy(ended, data, size);
    ended[size] = '\0';

    bool   good = json_scan(&j, text, size);
    cJSON *c = cJSON_ParseWithLengthOpts(ended, size, &end, 0);
    if (good) {
        ensure(j.error == JSON_OK && j.count > 0);
        check_tape(&j, 0, 0, j.len);
        check_put(&j);
        if (j.deviations == 0 && !has_long_number(&j)) {
            ensure(c != NULL);
            same(&j, 0, c);
        }
    } else {
        ensure(j.error != JSON_OK && j.error_at <= size && j.count == 0);
        /* cJSON reads an escape without its digits as a NUL. */
        ensure(c == NULL || j.error == JSON_TOO_DEEP ||
            j.error == JSON_TOO_MANY_TOKENS || j.error == JSON_BAD_ESCAPE ||
            cjson_is_loose(text, size));
    }
    cJSON_Delete(c);
    free(text);
    free(ended);
    return 0;
}
