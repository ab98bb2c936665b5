/* The interface to libssl: the self-test, both of its ends with each other for
 * every suite, client certificates and their names, and wrong files. */
#include "net/tls.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "config_read.h"
#include "tls_bundle.h"
#include "unit.h"

static char          directory[] = "/tmp/tls_test.XXXXXX";
static struct config config;

/* Runs a shell command in the directory of the files. */
static bool
sh(const char *command)
{
    char line[2048];

    snprintf(line, sizeof line, "cd %s && (%s) >log 2>&1", directory, command);
    return system(line) == 0;
}

static void
make_files(void)
{
    CHECK(mkdtemp(directory) != NULL);
    CHECK(sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
             "-nodes -keyout ca.key -out ca.pem -subj /CN=root -days 9"));
    CHECK(sh("for n in server rsa client; do "
             "a='ec -pkeyopt ec_paramgen_curve:P-256'; "
             "[ $n = rsa ] && a=rsa:2048; "
             "[ $n = client ] && s=/O=ACME\\ Ltd/CN=CP1 || s=/CN=localhost; "
             "openssl req -newkey $a -nodes -keyout $n.key -out $n.csr "
             "-subj \"$s\"; "
             "printf 'subjectAltName=DNS:localhost,DNS:CP1.example\n' > ext; "
             "openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key "
             "-CAcreateserial -days 9 -extfile ext -out $n.pem; done"));
    CHECK(sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
             "-nodes -keyout other.key -out other.pem -subj /CN=CP1 -days 9"));
    CHECK(sh("openssl pkey -in server.key -aes128 -passout pass:x -out "
             "locked.key; head -c 200 server.pem > cut.pem; echo no > no.pem; "
             "for t in CERTIFICATE 'X509 CRL'; do printf -- '-----BEGIN "
             "%s-----\nAAAA\n-----END %s-----\n' \"$t\" \"$t\"; done > bad; "
             "head -3 bad > bad.pem; tail -3 bad > bad.crl"));
    CHECK(sh("printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index\n"
             "default_md=sha256\ndefault_crl_days=9\n' > c; : > index; "
             "openssl ca -config c -gencrl -cert ca.pem -keyfile ca.key "
             "-out good.crl"));
}

static void
set_paths(const char *certificates, const char *keys, const char *ca)
{
    char        item[CONF_LIST_MAX];
    struct buf  out = BUF_INIT(4096);
    const char *lists[] = {certificates, keys, ca};
    char *to[] = {config.tls_certificate, config.tls_key, config.tls_client_ca};

    for (int i = 0; i < 3; i++) {
        buf_clear(&out);
        for (const char *at = lists[i];
             config_list_next(&at, item, sizeof item);)
            buf_addf(&out, "%s%s/%s", out.len ? " " : "", directory, item);
        strcpy(to[i], buf_cstr(&out));
    }
    buf_free(&out);
}

static struct tls_context *
load(struct buf *errors, struct buf *notes)
{
    int fd = tls_bundle_make(&config, errors);

    struct tls_context *x =
        fd < 0 ? NULL : tls_context_load(&config, fd, errors, notes);
    if (fd >= 0)
        close(fd);
    return x;
}

static _Alignas(struct record) uint8_t records[2][RECORD_SIZE_MAX];

/* Makes a complete handshake between two ends of ocppd, in pieces of `piece`
 * bytes. */
static bool
connects(struct tls_context *server, struct tls_context *client, size_t piece,
    struct tls_peer *who, enum tls_reason *why, char *detail)
{
    struct tls_handshake *h[2] = {
        tls_begin(server), tls_client_begin(client, NULL)};
    struct buf    wire[2] = {BUF_INIT(65536), BUF_INIT(65536)};
    enum tls_step step[2] = {TLS_MORE, TLS_MORE};
    size_t        fed[2] = {0, 0};
    bool          good = true;

    detail[0] = '\0';
    *why = TLS_REASON_none;
    for (int i = 0; i < 100000; i++) {
        int     me = (i + 1) % 2; /* the client begins */
        uint8_t in[65536];
        size_t  used, n = wire[!me].len;
        if (n > fed[me] + piece)
            n = fed[me] + piece;
        if (step[me] != TLS_MORE)
            continue;
        if (n > 0)
            memcpy(in, wire[!me].p, n);
        step[me] = tls_step(h[me], in, n, &used, &wire[me]);
        fed[me] = n - used;
        buf_consume(&wire[!me], used);
        if (step[0] != TLS_MORE && step[1] != TLS_MORE)
            break;
        if (step[me] == TLS_FAILED && wire[me].len == 0)
            break;
    }
    for (int me = 0; me < 2; me++) {
        struct tls_peer p;
        if (step[me] == TLS_DONE) {
            good = tls_detach(h[me], (struct record *)records[me], &p) && good;
            if (me == 0)
                *who = p;
            continue;
        }
        if (me == 0 && step[me] == TLS_FAILED)
            *why = tls_why(h[me], detail, 256);
        tls_abandon(h[me]);
        good = false;
    }
    /* The bytes left for the client are session tickets. */
    if (good && wire[0].len > 0) {
        struct record_input in = record_open(
            (struct record *)records[1], (uint8_t *)wire[0].p, wire[0].len);
        good = in.end == RECORD_OPEN && in.len == 0 && in.used == wire[0].len;
    }
    buf_free(&wire[0]);
    buf_free(&wire[1]);
    return good;
}

static void
talks(void)
{
    struct record *a = (struct record *)records[0],
                  *b = (struct record *)records[1];
    uint8_t wire[256];

    for (int i = 0; i < 4; i++) {
        size_t              n = record_seal(a, RECORD_DATA, "ab", 2, wire);
        struct record_input in = record_open(b, wire, n);
        CHECK(in.end == RECORD_OPEN && in.len == 2 && wire[1] == 'b');
        n = record_seal(b, RECORD_DATA, "cde", 3, wire);
        in = record_open(a, wire, n);
        CHECK(in.end == RECORD_OPEN && in.len == 3 && wire[2] == 'e');
    }
}

static void
test_suites(void)
{
    struct buf         errors = BUF_INIT(4096), notes = BUF_INIT(4096);
    struct ticket_keys keys = {0};
    struct tls_peer    who;
    enum tls_reason    why;
    char               detail[256], ca[128];

    CHECK(ticket_start(&keys, 0));
    tls_tickets_at(&keys);
    set_paths("server.pem rsa.pem", "server.key rsa.key", "");
    struct tls_context *server = load(&errors, &notes);
    CHECK_STR(buf_cstr(&errors), "");
    CHECK_STR(buf_cstr(&notes), "");
    snprintf(ca, sizeof ca, "%s/ca.pem", directory);
    for (int s = 0; server != NULL && s < TLS_SUITES; s++) {
        UNIT_CASE(tls_suite_name((enum tls_suite)s));
        struct tls_context *client =
            tls_client_load(ca, NULL, NULL, tls_suite_name((enum tls_suite)s),
                tls_suite_version((enum tls_suite)s), &errors);
        CHECK(client != NULL);
        for (size_t piece = 1; piece < 100000; piece *= 307) {
            bool good = connects(server, client, piece, &who, &why, detail);
            CHECK(good);
            CHECK_STR(detail, "");
            if (!good)
                continue;
            CHECK_EQ(who.suite, s);
            CHECK(!who.certificate && !who.resumed);
            talks();
        }
        tls_context_free(client);
    }
    UNIT_CASE("");
    CHECK(server != NULL);
    tls_context_free(server);
    tls_tickets_at(NULL);
    buf_free(&errors);
    buf_free(&notes);
}

static void
test_client_certificates(void)
{
    static const struct {
        const char     *name;
        bool            required;
        const char     *file;
        enum tls_reason why;
    } rows[] = {
        {"verified", true, "client", TLS_REASON_none},
        {"none where it is optional", false, NULL, TLS_REASON_none},
        {"none where it is required", true, NULL, TLS_REASON_no_certificate},
        {"of another authority", true, "other", TLS_REASON_unknown_ca},
        {"of another authority, optional", false, "other",
            TLS_REASON_unknown_ca},
    };
    struct buf      errors = BUF_INIT(4096), notes = BUF_INIT(4096);
    struct tls_peer who;
    enum tls_reason why;
    char            detail[256], ca[128], file[128], key[128];

    set_paths("server.pem", "server.key", "ca.pem");
    snprintf(ca, sizeof ca, "%s/ca.pem", directory);
    for (int i = 0; i < 10; i++) {
        const int r = i / 2;
        UNIT_CASE(rows[r].name);
        config.tls_client = rows[r].required ? CONF_tls_client_required
                                             : CONF_tls_client_optional;
        struct tls_context *server = load(&errors, &notes);
        snprintf(file, sizeof file, "%s/%s.pem", directory, rows[r].file);
        snprintf(key, sizeof key, "%s/%s.key", directory, rows[r].file);
        struct tls_context *client = tls_client_load(
            ca, rows[r].file ? file : NULL, key, "", 2 + i % 2, &errors);
        CHECK_STR(buf_cstr(&errors), "");
        CHECK(server != NULL && client != NULL);
        bool good = connects(server, client, 65536, &who, &why, detail);
        CHECK_EQ(why, rows[r].why);
        /* In TLS 1.3 the handshake is complete for the client before it
         * receives the refusal. */
        CHECK_EQ(good, rows[r].why == TLS_REASON_none);
        if (good) {
            CHECK_EQ(who.certificate, rows[r].file != NULL);
            CHECK_STR(who.name.cn, rows[r].file ? "CP1" : "");
            if (rows[r].file != NULL) {
                CHECK_STR(who.name.organization, "ACME Ltd");
                CHECK(tls_name_has_san(&who.name, "CP1.example", 11));
                CHECK(tls_name_has_san(&who.name, "localhost", 9));
                CHECK(!tls_name_has_san(&who.name, "CP1", 3));
                CHECK(!tls_name_has_san(&who.name, "", 0));
                CHECK(who.name.not_after >
                    (int64_t)(clock_wall_ms() / 1000) + 8 * 86400);
            }
            talks();
        }
        tls_context_free(server);
        tls_context_free(client);
    }
    config.tls_client = CONF_tls_client_no;
    UNIT_CASE("");
    buf_free(&errors);
    buf_free(&notes);
}

static void
test_lists(void)
{
    CHECK(tls_name_in_list("", "anything"));
    CHECK(tls_name_in_list("ACME Ltd", "ACME Ltd"));
    CHECK(tls_name_in_list("Other,  ACME Ltd , X", "ACME Ltd"));
    CHECK(!tls_name_in_list("ACME Ltd", "ACME"));
    CHECK(!tls_name_in_list("ACME", "ACME Ltd"));
    CHECK(!tls_name_in_list("ACME,", ""));
}

static void
test_wrong_files(void)
{
    static const struct {
        const char *certificate, *key, *ca, *words;
    } rows[] = {
        {"none.pem", "server.key", "", "no such file"},
        {"server.pem", "rsa.key", "", "belongs to none of the certificates"},
        {"server.key", "server.key", "", "no certificate in it"},
        {"server.pem", "server.pem", "", "no private key in it"},
        {"server.pem", "locked.key", "", "passphrase"},
        {"cut.pem", "server.key", "", "PEM"},
        {"no.pem", "server.key", "", "no certificate in it"},
        {"bad.pem", "server.key", "", "a certificate in it is damaged"},
        {"server.pem", "server.key", "server.key", "no certificate in it"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf errors = BUF_INIT(4096), notes = BUF_INIT(4096);
        UNIT_CASE(rows[i].words);
        set_paths(rows[i].certificate, rows[i].key, rows[i].ca);
        CHECK(load(&errors, &notes) == NULL);
        bool found = strstr(buf_cstr(&errors), rows[i].words) != NULL;
        CHECK(found);
        CHECK(strstr(buf_cstr(&errors), directory) != NULL);
        if (!found)
            fprintf(stderr, "    have %s\n", buf_cstr(&errors));
        buf_free(&errors);
        buf_free(&notes);
    }
    UNIT_CASE("");
}

static void
test_revocation_lists(void)
{
    static const struct {
        const char *file, *words; /* NULL: the file is valid */
    } rows[] = {
        {"good.crl", NULL},
        {"bad.crl", "a revocation list in it is damaged"},
        {"ca.pem", "no revocation list in it"},
    };
    set_paths("server.pem", "server.key", "ca.pem");
    config.tls_client = CONF_tls_client_required;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf errors = BUF_INIT(4096), notes = BUF_INIT(4096);
        UNIT_CASE(rows[i].file);
        snprintf(config.tls_crl, sizeof config.tls_crl, "%s/%s", directory,
            rows[i].file);
        struct tls_context *x = load(&errors, &notes);
        CHECK_EQ(x != NULL, rows[i].words == NULL);
        CHECK(strstr(buf_cstr(&errors), rows[i].words ? rows[i].words : ""));
        CHECK_EQ(errors.len > 0, rows[i].words != NULL);
        tls_context_free(x);
        buf_free(&errors);
        buf_free(&notes);
    }
    UNIT_CASE("");
    config.tls_crl[0] = '\0';
    config.tls_client = CONF_tls_client_no;
}

static void
test_notes(void)
{
    struct buf errors = BUF_INIT(4096), notes = BUF_INIT(4096);

    CHECK(sh("cat server.pem ca.pem > chain.pem"));
    set_paths("chain.pem", "server.key", "");
    struct tls_context *x = load(&errors, &notes);
    CHECK(x != NULL);
    CHECK(strstr(buf_cstr(&notes), "root certificate is not sent") != NULL);
    tls_context_free(x);
    buf_free(&errors);
    buf_free(&notes);
}

static void
test_tickets(void)
{
    struct ticket_keys k = {0};
    struct ticket_key  a, b;
    struct buf         why = BUF_INIT(256), text = BUF_INIT(4096);
    bool               old;

    CHECK(!ticket_current(&k, &a));
    CHECK(ticket_start(&k, 5));
    CHECK(ticket_current(&k, &a));
    CHECK(ticket_find(&k, a.name, &b, &old) && !old);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
    CHECK(ticket_rotate(&k, 6));
    CHECK(ticket_find(&k, a.name, &b, &old) && old);
    CHECK(ticket_current(&k, &b) && memcmp(&a, &b, sizeof a) != 0);
    CHECK(ticket_rotate(&k, 7));
    CHECK(!ticket_find(&k, a.name, &b, &old));
    CHECK_EQ(k.since_ms, 7);
    ticket_none(&k);
    CHECK(!ticket_current(&k, &a));

    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 106; j++)
            buf_addc(&text, j < 30 ? (char)('A' + i) : 'Q');
        buf_adds(&text, "Q=\n");
    }
    CHECK(ticket_load(&k, text.p, text.len, 8, &why));
    CHECK(ticket_current(&k, &a));
    CHECK_EQ(k.current, 1);
    CHECK(!ticket_load(&k, text.p, 109, 8, &why));
    CHECK(!ticket_load(&k, "short\n", 6, 8, &why));
    CHECK(ticket_current(&k, &b) && memcmp(&a, &b, sizeof a) == 0);
    buf_free(&why);
    buf_free(&text);
}

static void
test_first_bytes(void)
{
    CHECK_EQ(tls_first_bytes((const uint8_t *)"", 0), TLS_REASON_none);
    CHECK_EQ(tls_first_bytes((const uint8_t *)"G", 1), TLS_REASON_none);
    CHECK_EQ(tls_first_bytes((const uint8_t *)"GET /o", 6), TLS_REASON_http);
    CHECK_EQ(tls_first_bytes((const uint8_t *)"GOT", 3), TLS_REASON_not_tls);
    CHECK_EQ(
        tls_first_bytes((const uint8_t *)"\x16\x03\x01", 3), TLS_REASON_none);
    CHECK_EQ(
        tls_first_bytes((const uint8_t *)"\x16\x02", 2), TLS_REASON_not_tls);
    CHECK_EQ(tls_first_bytes((const uint8_t *)"\x80", 1), TLS_REASON_not_tls);
}

int
main(void)
{
    struct buf why = BUF_INIT(1024), errors = BUF_INIT(4096);

    CHECK(config_read_text(&config, "test", "", 0, NULL, 0, &errors));
    uint64_t began = clock_mono_ns();
    CHECK(tls_selftest(&why));
    printf("self-test: %.1f ms\n", (double)(clock_mono_ns() - began) / 1e6);
    CHECK_STR(buf_cstr(&why), "");
    make_files();
    test_suites();
    test_client_certificates();
    test_lists();
    test_wrong_files();
    test_revocation_lists();
    test_notes();
    test_tickets();
    test_first_bytes();
    sh("rm -rf *");
    rmdir(directory);
    buf_free(&why);
    buf_free(&errors);
    return unit_done();
}
