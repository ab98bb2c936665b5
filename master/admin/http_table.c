/* http_table: writes the table of the HTTP API. See http.h. */
#include <stdio.h>
#include <string.h>

#include "admin/http.h"
#include "ensure.h"
#include "mdoc.h"
#include "version.h"
#include "writer.h"

const struct http_route http_routes[] = {
#define ROUTE(method, path, needs, command, query, sentence)                   \
    {#method, path, HTTP_##needs, command, query, sentence},
#include "admin/http.def"
};
const size_t http_routes_n = sizeof http_routes / sizeof *http_routes;

static const struct param {
    const char *name, *schema, *sentence;
} params[] = {
#define PARAM(name, schema, sentence) {name, schema, sentence},
#include "admin/http.def"
};

static const struct param *
param_of(const char *name)
{
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        if (strcmp(params[i].name, name) == 0)
            return &params[i];
    ensure(!"a route's parameter has no PARAM");
    return NULL;
}

static void
put_parameters(struct writer *w, const struct http_route *r)
{
    char  text[256];
    char *at = NULL;

    writer_open(w, "parameters", '[');
    for (const char *p = r->path; (p = strchr(p, '{')) != NULL; p++) {
        writer_open(w, NULL, '{');
        writer_strn(w, "name", p + 1, strcspn(p + 1, "}"));
        writer_str(w, "in", "path");
        writer_bool(w, "required", true);
        writer_raw(w, "schema", "{\"type\":\"string\"}", 17);
        writer_close(w);
    }
    snprintf(text, sizeof text, "%s", r->query);
    for (char *q = strtok_r(text, " ", &at); q != NULL;
         q = strtok_r(NULL, " ", &at)) {
        writer_open(w, NULL, '{');
        writer_str(w, "name", q);
        writer_str(w, "in", "query");
        const struct param *p = param_of(q);
        writer_str(w, "description", p->sentence);
        writer_raw(w, "schema", p->schema, strlen(p->schema));
        writer_close(w);
    }
    writer_close(w);
}

static void
put_operation(struct writer *w, const struct http_route *r)
{
    static const char *const methods[][2] = {
        {"GET", "get"}, {"POST", "post"}, {"PUT", "put"}, {"DELETE", "delete"}};
    const char *method = "get";

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i][0], r->method) == 0)
            method = methods[i][1];
    writer_open(w, method, '{');
    writer_str(w, "summary", r->sentence);
    put_parameters(w, r);
    if (strstr(r->command, "{body}") != NULL) {
        static const char any[] =
            "{\"content\":{\"application/json\":{\"schema\":{\"type\":"
            "\"object\"}}}}";
        writer_raw(w, "requestBody", any, sizeof any - 1);
    }
    writer_open(w, "security", '[');
    writer_open(w, NULL, '{');
    writer_raw(w, "token", "[]", 2);
    writer_close(w);
    writer_close(w);
    writer_open(w, "responses", '{');
    writer_open(w, "200", '{');
    writer_str(w, "description", "done; the JSON of the command");
    writer_close(w);
    if (strstr(r->sentence, "202") != NULL) {
        writer_open(w, "202", '{');
        writer_str(w, "description", "the command has no outcome yet");
        writer_close(w);
    }
    static const char error[] = "{\"$ref\":\"#/components/responses/error\"}";
    writer_raw(w, "default", error, sizeof error - 1);
    writer_close(w);
    writer_close(w);
}

void
http_openapi(struct buf *out)
{
    static const char token[] =
        "{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}}";
    static const char responses[] =
        "{\"error\":{\"description\":\"an error\",\"content\":{"
        "\"application/json\":{\"schema\":{\"type\":\"object\",\"required\":["
        "\"error\"],\"properties\":{\"error\":{\"type\":\"object\",\"required\":"
        "[\"status\",\"message\"],\"properties\":{\"status\":{\"type\":"
        "\"integer\"},\"message\":{\"type\":\"string\"},\"usage\":{\"type\":"
        "\"string\"}}}}}}}}}";
    struct writer w = WRITER_INIT(out);

    writer_open(&w, NULL, '{');
    writer_str(&w, "openapi", "3.0.3");
    writer_open(&w, "info", '{');
    writer_str(&w, "title", "ocppd");
    writer_str(&w, "version", OCPPD_VERSION);
    writer_close(&w);
    writer_open(&w, "components", '{');
    writer_raw(&w, "securitySchemes", token, sizeof token - 1);
    writer_raw(&w, "responses", responses, sizeof responses - 1);
    writer_close(&w);
    writer_open(&w, "paths", '{');
    for (size_t i = 0; i < http_routes_n; i++) {
        /* The methods of one path follow each other in the table. */
        if (i == 0 || strcmp(http_routes[i].path, http_routes[i - 1].path) != 0)
            writer_open(&w, http_routes[i].path, '{');
        put_operation(&w, &http_routes[i]);
        if (i + 1 == http_routes_n ||
            strcmp(http_routes[i].path, http_routes[i + 1].path) != 0)
            writer_close(&w);
    }
    writer_close(&w);
    writer_close(&w);
    buf_addc(out, '\n');
}

void
http_put_manual(struct buf *out)
{
    buf_adds(out, ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < http_routes_n; i++) {
        const struct http_route *r = &http_routes[i];
        buf_addf(out, ".It Cm %s Pa %s\n", r->method, r->path);
        mdoc_prose(out, r->sentence, false);
        if (r->query[0] != '\0')
            buf_addf(out, "Parameters:\n.Cm %s .\n", r->query);
        if (r->command[0] != '\0') {
            buf_adds(out, "As\n.Ic ocppctl -j");
            for (const char *p = r->command; *p != '\0'; p++)
                if (*p == ' ')
                    buf_adds(out, " ");
                else
                    buf_addc(out, *p);
            buf_adds(out, " .\n");
        }
        if (r->needs == HTTP_ADMIN)
            buf_adds(out, "Needs a token of the role\n.Cm admin .\n");
    }
    buf_adds(out, ".El\n.Ss Parameters\n.Bl -tag -width expiring\n");
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        buf_addf(out, ".It Cm %s\n", params[i].name);
        mdoc_prose(out, params[i].sentence, false);
    }
    buf_adds(out, ".El\n");
}
