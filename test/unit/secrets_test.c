/* secrets_test: passwords and keys are removed from messages. */
#include "ocpp/secrets.h"
#include "unit.h"

static struct json_token tokens[2000];
static struct json       tape = JSON_INIT(tokens, 2000);

#define VARIABLE(name, rest)                                                   \
    "{\"component\":{\"name\":\"C\"},\"variable\":{\"name\":\"" name           \
    "\"}," rest "}"

/* NULL: nothing is hidden. */
static const struct {
    const char *text, *shown;
} rows[] = {
    /* Secrets by the name of the member. */
    {"{ \"a\" : [ 1 , 2.50 ] }", NULL},
    {"{\"apn\":{\"apnPassword\":\"x\",\"simPin\":12,\"apn\":\"y\"}}",
        "{\"apn\":{\"apnPassword\":\"***\",\"simPin\":\"***\",\"apn\":\"y\"}}"},
    {"{ \"password\" : [1,{}], \"key\":\"k\",\"user\":\"u\" }",
        "{\"password\":\"***\",\"key\":\"***\",\"user\":\"u\"}"},
    {"{\"basicAuthPassword\":null,\"key\":\"k\"}", NULL},
    {"{\"pass\\u0077ord\":\"x\"}", "{\"pass\\u0077ord\":\"***\"}"},
    /* Secrets by the name of the variable. */
    {"{\"key\":\"AuthorizationKey\",\"value\":\"x\"}",
        "{\"key\":\"AuthorizationKey\",\"value\":\"***\"}"},
    {"{\"value\":\"x\",\"key\":\"authorization\\u004bEY \"}",
        "{\"value\":\"***\",\"key\":\"authorization\\u004bEY \"}"},
    {"{\"key\":\"a\",\"key\":\"WifiPassword\",\"value\":\"x\"}",
        "{\"key\":\"a\",\"key\":\"WifiPassword\",\"value\":\"***\"}"},
    {"{\"configurationKey\":[{\"key\":\"A\",\"value\":\"1\"},{\"key\":"
     "\"AuthorizationKey\",\"readonly\":false,\"value\":\"x\"}]}",
        "{\"configurationKey\":[{\"key\":\"A\",\"value\":\"1\"},{\"key\":"
        "\"AuthorizationKey\",\"readonly\":false,\"value\":\"***\"}]}"},
    {"{\"key\":[\"AuthorizationKey\"],\"value\":1}", NULL},
    {"{\"key\":\"AuthorizationKeyLength\",\"value\":\"x\"}", NULL},
    {"[" VARIABLE("BasicAuthPassword", "\"attributeValue\":\"x\"") "]",
        "[" VARIABLE("BasicAuthPassword", "\"attributeValue\":\"***\"") "]"},
    {VARIABLE("HeartbeatInterval", "\"attributeValue\":\"x\""), NULL},
    {VARIABLE("SimPin", "\"variableAttribute\":[{\"value\":\"x\"}]"),
        VARIABLE("SimPin", "\"variableAttribute\":[{\"value\":\"***\"}]")},
    {VARIABLE("VpnKey", "\"actualValue\":\"x\",\"eventId\":1"),
        VARIABLE("VpnKey", "\"actualValue\":\"***\",\"eventId\":1")},
    /* Secrets by the content of the value. */
    {"{\"location\":\"ftp://user:p@ss:word@host/a:b@c\"}",
        "{\"location\":\"ftp://user:***@host/a:b@c\"}"},
    {"{\"location\":\"ftp:\\/\\/user:x@host\"}", "{\"location\":\"***\"}"},
    {"{\"location\":\"http://host:80/a@b\"}", NULL},
    {"[\"http://a/ ftp://u:x@h/ ftp://v:y@h\"]", "[\"***\"]"},
    {"{\"certificate\":\"-----BEGIN EC PRIVATE KEY-----\\nx\"}",
        "{\"certificate\":\"***\"}"},
    {"{\"c\":\"PRIVATE\\u0020KEY\"}", "{\"c\":\"***\"}"},
    {"{\"certificate\":\"-----BEGIN CERTIFICATE-----\\nx\"}", NULL},
};

static const struct {
    const char *text, *shown;
} broken[] = {
    {"[2,\"1\",\"ChangeConfiguration\",{\"key\":\"AuthorizationKey\",\"value\":\"x",
        "[2,\"1\",\"ChangeConfiguration\",{\"key\":\"AuthorizationKey***"},
    {"{\"apnPassword\" \"x\"", "{\"apnPassword***"},
    {"hello", NULL},
    {"-----BEGIN RSA private key-----x", "-----BEGIN RSA private key***"},
    {"\"ftp://u:x@host/", "\"ftp://u:***"},
    {"[2,\"1\",\"x\",{\"password\":\"x\"}]",
        "[2,\"1\",\"x\",{\"password\":\"***\"}]"},
    {"[ 2 , 01 ]", NULL},
    {"", NULL},
};

/* A variable whose name is too long to be compared may be a secret. */
static void
a_name_that_is_too_long(void)
{
    struct buf out = BUF_INIT(65536);
    char       text[1000];

    for (int n = 256; n <= 257; n++) {
        snprintf(text, sizeof text, "{\"key\":\"%0*d\",\"value\":\"x\"}", n, 0);
        UNIT_CASE(text);
        CHECK(json_scan(&tape, text, strlen(text)));
        buf_clear(&out);
        secrets_put(&tape, 0, &out);
        CHECK_EQ(strstr(buf_cstr(&out), "\"value\":\"x\"") != NULL, n == 256);
        CHECK_EQ(strstr(buf_cstr(&out), "***") != NULL, n == 257);
    }
    buf_free(&out);
}

int
main(void)
{
    struct buf out = BUF_INIT(65536);

    a_name_that_is_too_long();

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *want = rows[i].shown ? rows[i].shown : rows[i].text;
        UNIT_CASE(rows[i].text);
        CHECK(json_scan(&tape, rows[i].text, strlen(rows[i].text)));
        buf_clear(&out);
        secrets_put(&tape, 0, &out);
        CHECK_STRN(out.p, out.len, want);
        buf_clear(&out);
        secrets_put_frame(&out, rows[i].text, strlen(rows[i].text), 65536);
        CHECK_STRN(out.p, out.len, want);
    }
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const char *want = broken[i].shown ? broken[i].shown : broken[i].text;
        UNIT_CASE(broken[i].text);
        buf_clear(&out);
        secrets_put_frame(&out, broken[i].text, strlen(broken[i].text), 65536);
        CHECK_STRN(buf_cstr(&out), out.len, want);
    }
    UNIT_CASE("cut");
    buf_clear(&out);
    secrets_put_frame(&out, "no JSON password", 16, 5);
    CHECK_STRN(out.p, out.len, "no JS");
    CHECK(secrets_is_field("apnPassword", 11));
    CHECK(!secrets_is_field("apnPasswor", 10));
    buf_free(&out);
    return unit_done();
}
