/* default_answer: what the gateway answers by itself. See default_answer.h. */
#include "ocpp/default_answer.h"

#include <string.h>

/* A verdict on a token, under the name that the version has for it. */
static void
put_token(struct writer *w, const char *name, const struct default_answer *a)
{
    writer_open(w, name, '{');
    writer_str(w, "status", a->token_status);
    writer_close(w);
}

static void
put_status(struct writer *w, const char *name, const struct default_answer *a)
{
    writer_str(w, name, a->status);
}

static void
put_now(struct writer *w, const char *name, const struct default_answer *a)
{
    writer_str(w, name, a->now);
}

static void
put_interval(struct writer *w, const char *name, const struct default_answer *a)
{
    writer_u64(w, name, a->interval_s);
}

static void
put_transaction_id(
    struct writer *w, const char *name, const struct default_answer *a)
{
    writer_i64(w, name, a->transaction_id);
}

/* Fields of responses. `with` is the field of the request that calls for one
 * that is not required. A name means one thing in all versions. */
static const struct filler {
    const char *name;
    const char *with;
    void (*put)(
        struct writer *w, const char *name, const struct default_answer *a);
} fillers[] = {
    {"status", NULL, put_status},
    {"currentTime", NULL, put_now},
    {"idTagInfo", "idTag", put_token},
    {"interval", NULL, put_interval},
    {"transactionId", NULL, put_transaction_id},
};

static const struct filler *
filler_of(const struct schema_field *f)
{
    for (size_t i = 0; i < sizeof fillers / sizeof fillers[0]; i++)
        if (strlen(fillers[i].name) == f->name_len &&
            memcmp(fillers[i].name, f->name, f->name_len) == 0)
            return &fillers[i];
    return NULL;
}

void
default_answer_put(struct writer *w, const struct default_answer *a)
{
    const struct schema_object *o = &a->m->response;

    for (uint32_t i = 0; i < o->count; i++) {
        const struct filler *f = filler_of(&o->fields[i]);
        if (f != NULL &&
            ((o->required >> i & 1) ||
                (f->with != NULL &&
                    json_member(
                        a->tape, a->payload, f->with, strlen(f->with)) != 0)))
            f->put(w, f->name, a);
    }
}
