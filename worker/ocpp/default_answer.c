/* default_answer: the payloads of the gateway's own answers. See
 * default_answer.h. */
#include "ocpp/default_answer.h"

#include <string.h>

static bool
has(const struct default_answer *a, const char *name)
{
    uint32_t i = json_member(a->tape, a->payload, name, strlen(name));

    return i != 0 && a->tape->tok[i].type != JSON_NULL;
}

/* Writes a verdict on a token, under the member name of the version. */
static void
put_token(struct writer *w, const char *name, const struct default_answer *a)
{
    if (a->token_info != NULL) {
        writer_raw(w, name, a->token_info, a->token_info_len);
        return;
    }
    /* The gateway cannot verify a contract certificate, so such a token is not
       accepted. */
    bool certificate = a->m->event == EVENT_authorization &&
        (has(a, "certificate") || has(a, "iso15118CertificateHashData"));
    writer_open(w, name, '{');
    writer_str(w, "status", certificate ? "Invalid" : a->token_status);
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

static void
put_empty(struct writer *w, const char *name, const struct default_answer *a)
{
    (void)a;
    writer_str(w, name, "");
}

/* Copies a member of the request, byte for byte. */
static void
echo(struct writer *w, const struct default_answer *a, uint32_t object,
    const char *name)
{
    uint32_t i = json_member(a->tape, object, name, strlen(name));

    if (i == 0)
        return;
    writer_raw(w, name, "", 0);
    json_put(a->tape, i, w->out);
}

static void
put_echo(struct writer *w, const char *name, const struct default_answer *a)
{
    echo(w, a, a->payload, name);
}

/* The gateway verifies no contract certificate, so it accepts none. */
static void
put_no_chain(struct writer *w, const char *name, const struct default_answer *a)
{
    (void)a;
    writer_str(w, name, "CertChainError");
}

/* The answer has at most so many entries, by its schema. A request may have
 * more if validation is lenient. */
#define CHAIN_STATUSES 4

/* Writes an entry for each certificate in the request. */
static void
put_chain_status(
    struct writer *w, const char *name, const struct default_answer *a)
{
    const struct json *j = a->tape;
    uint32_t all = json_member(j, a->payload, "certificateStatusRequests", 25);

    unsigned left = CHAIN_STATUSES;

    writer_open(w, name, '[');
    if (all != 0 && j->tok[all].type == JSON_ARRAY)
        for (uint32_t i = all + 1; i < j->tok[all].next && left > 0;
             i = j->tok[i].next, left--) {
            writer_open(w, NULL, '{');
            echo(w, a, i, "certificateHashData");
            echo(w, a, i, "source");
            writer_str(w, "status", a->status);
            writer_str(w, "nextUpdate", a->now);
            writer_close(w);
        }
    writer_close(w);
}

/* Functions that fill in fields of responses. An optional field of the response
 * is filled in if the request has the field `with`. A name and type have the
 * same meaning in all versions. */
static const struct filler {
    const char      *name;
    enum schema_type type;
    const char      *with;
    void (*put)(
        struct writer *w, const char *name, const struct default_answer *a);
} fillers[] = {
    {"status", SCHEMA_ENUM, NULL, put_status},
    {"currentTime", SCHEMA_DATETIME, NULL, put_now},
    {"idTagInfo", SCHEMA_OBJECT, "idTag", put_token},
    {"idTokenInfo", SCHEMA_OBJECT, "idToken", put_token},
    {"interval", SCHEMA_INTEGER, NULL, put_interval},
    {"transactionId", SCHEMA_INTEGER, NULL, put_transaction_id},
    {"exiResponse", SCHEMA_STRING, NULL, put_empty},
    {"vatNumber", SCHEMA_STRING, NULL, put_echo},
    {"certificateStatus", SCHEMA_ENUM, "certificate", put_no_chain},
    {"certificateStatus", SCHEMA_ENUM, "iso15118CertificateHashData",
        put_no_chain},
    {"certificateStatus", SCHEMA_OBJECT, NULL, put_chain_status},
};

static bool
fills(const struct filler *f, const struct schema_field *field)
{
    return f->type == (enum schema_type)field->type &&
        f->name[0] == field->name[0] && strlen(f->name) == field->name_len &&
        memcmp(f->name, field->name, field->name_len) == 0;
}

static void
put_field(struct writer *w, const struct default_answer *a, uint32_t i)
{
    const struct schema_object *o = &a->m->response;
    bool                        required = o->required >> i & 1;

    for (size_t k = 0; k < sizeof fillers / sizeof fillers[0]; k++) {
        const struct filler *f = &fillers[k];
        if (fills(f, &o->fields[i]) &&
            (required ||
                (f->with != NULL && has(a, f->with) &&
                    !(a->no_token_info && f->put == put_token)))) {
            f->put(w, f->name, a);
            return;
        }
    }
}

void
default_answer_put(struct writer *w, const struct default_answer *a)
{
    for (uint32_t i = 0; i < a->m->response.count; i++)
        put_field(w, a, i);
}
