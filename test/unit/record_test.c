/* The record layer: the records of RFC 8448, both ends of a connection with
 * each other, and records that a peer must not send. */
#include "net/record.h"

#include <stdlib.h>

#include "net/record_slab.h"
#include "unit.h"

static const struct {
    const char         *name;
    enum record_version version;
    enum record_suite   suite;
    size_t              size;
} kinds[] = {
    {"1.2 AES-128-GCM", RECORD_TLS12, RECORD_AES128, 76},
    {"1.2 AES-256-GCM", RECORD_TLS12, RECORD_AES256, 108},
    {"1.2 ChaCha20", RECORD_TLS12, RECORD_CHACHA, 108},
    {"1.3 AES-128-GCM", RECORD_TLS13, RECORD_AES128, 140},
    {"1.3 AES-256-GCM", RECORD_TLS13, RECORD_AES256, 204},
    {"1.3 ChaCha20", RECORD_TLS13, RECORD_CHACHA, 172},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static _Alignas(struct record) uint8_t memory[2][RECORD_SIZE_MAX];
static struct record *const server = (struct record *)memory[0];
static struct record *const client = (struct record *)memory[1];
static uint8_t              wire[1 << 20], text[1 << 20];

static size_t
unhex(const char *hex, uint8_t *out)
{
    size_t   n = 0;
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
        out[n++] = (uint8_t)byte;
        while (hex[2] == ' ')
            hex++;
    }
    return n;
}

/* Makes both ends of one connection. */
static void
begin(size_t kind)
{
    uint8_t a[48], b[48], random[2][32];

    UNIT_CASE(kinds[kind].name);
    for (int i = 0; i < 48; i++) {
        a[i] = (uint8_t)(3 * i);
        b[i] = (uint8_t)(5 * i + 1);
    }
    memset(random[0], 7, 32);
    memset(random[1], 9, 32);
    if (kinds[kind].version == RECORD_TLS13) {
        CHECK(record_begin13(server, kinds[kind].suite, a, b));
        CHECK(record_begin13(client, kinds[kind].suite, b, a));
    } else {
        CHECK(record_begin12(
            server, kinds[kind].suite, false, a, random[0], random[1]));
        CHECK(record_begin12(
            client, kinds[kind].suite, true, a, random[0], random[1]));
        server->read_seq = server->write_seq = 1;
        client->read_seq = client->write_seq = 1;
        if (record_explicit_nonce(server))
            record_set_nonce(server, 1, UINT64_MAX - 1);
    }
    client->flags |= RECORD_CLIENT;
}

/* Opens wire[0..n), which must be complete and contain want. */
static void
opens(struct record *r, size_t n, const char *want, size_t len)
{
    struct record_input in = record_open(r, wire, n);

    CHECK_EQ(in.end, RECORD_OPEN);
    CHECK_EQ(in.used, n);
    CHECK_EQ(in.len, len);
    CHECK(in.len == len && memcmp(wire, want, len) == 0);
}

static void
fails(struct record *r, size_t n, enum record_alert alert)
{
    struct record_input in = record_open(r, wire, n);

    CHECK_EQ(in.end, RECORD_FAILED);
    CHECK_EQ(in.alert, alert);
    CHECK_EQ(in.len, 0);
}

static void
test_rfc8448(void)
{
    uint8_t from_client[32], from_server[32], want[128], key[16], iv[12];
    char    data[50];

    UNIT_CASE("RFC 8448 section 3");
    for (int i = 0; i < 50; i++)
        data[i] = (char)i;
    unhex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
        from_client);
    unhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
        from_server);
    CHECK(record_begin13(server, RECORD_AES128, from_client, from_server));
    unhex("9f02283b6c9c07efc26bb9f2ac92e356", key);
    unhex("cf782b88dd83549aadf1e984", iv);
    CHECK(memcmp(record_key(server, true), key, 16) == 0);
    CHECK(memcmp(server->write_iv, iv, 12) == 0);
    unhex("17422dda596ed5d9acd890e3c63f5051", key);
    unhex("5b78923dee08579033e523d9", iv);
    CHECK(memcmp(record_key(server, false), key, 16) == 0);
    CHECK(memcmp(server->read_iv, iv, 12) == 0);

    /* Record 0 was the NewSessionTicket. */
    server->write_seq = 1;
    size_t n = unhex("1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914"
                     "aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6"
                     "292a2977014bd1e3deae63aeebb21694915e4",
        wire);
    opens(server, n, data, 50);
    size_t m = unhex("17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d0"
                     "5f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e"
                     "5f0a21c0047c2abf332540dd032e167c2955d",
        want);
    n = record_seal(server, RECORD_DATA, data, 50, wire);
    CHECK_EQ(n, m);
    CHECK(n == m && memcmp(wire, want, n) == 0);
    n = unhex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3", wire);
    CHECK_EQ(record_open(server, wire, n).end, RECORD_CLOSED);
    m = unhex("1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9", want);
    n = record_alert(server, ALERT_CLOSE_NOTIFY, wire);
    /* The alert in RFC 8448 has level 1, like that of this program. */
    CHECK_EQ(n, m);
    CHECK(n == m && memcmp(wire, want, n) == 0);
}

static void
test_sizes(void)
{
    for (size_t k = 0; k < KINDS; k++) {
        UNIT_CASE(kinds[k].name);
        CHECK_EQ(record_size(kinds[k].version, kinds[k].suite), kinds[k].size);
        CHECK(kinds[k].size <= RECORD_SIZE_MAX);
    }
}

static void
test_both_ways(size_t k)
{
    begin(k);
    for (int i = 0; i < 3; i++) {
        opens(client, record_seal(server, RECORD_DATA, "to", 2, wire), "to", 2);
        opens(
            server, record_seal(client, RECORD_DATA, "fro", 3, wire), "fro", 3);
        opens(server, record_seal(client, RECORD_DATA, "", 0, wire), "", 0);
    }
    /* Several records in one read, followed by an incomplete one. */
    size_t n = record_seal(client, RECORD_DATA, "a", 1, wire);
    n += record_seal(client, RECORD_DATA, "bc", 2, wire + n);
    size_t m = record_seal(client, RECORD_DATA, "def", 3, wire + n);
    struct record_input in = record_open(server, wire, n + m - 1);
    CHECK_EQ(in.used, n);
    CHECK_EQ(in.len, 3);
    CHECK(memcmp(wire, "abc", 3) == 0);
    CHECK_EQ(record_wire_size(wire + n, m - 1), m);
    memmove(wire, wire + n, m);
    opens(server, m, "def", 3);
    CHECK_EQ(record_open(server, wire, 0).used, 0);
    CHECK_EQ(record_open(server, wire, 4).used, 0);
}

/* The number of the record for which the nonce is known does not matter. */
static void
test_explicit_nonces(size_t k)
{
    begin(k);
    for (uint64_t n = 0; record_explicit_nonce(server) && n < 3; n++) {
        record_set_nonce(server, n, 1000);
        CHECK_EQ(record_nonce(server, n), 1000);
        CHECK_EQ(record_nonce(server, n + 7), 1007);
        CHECK_EQ(record_nonce(server, 0), 1000 - n);
    }
}

/* The memory of a connection that has ended holds nothing of its keys, only the
 * index of the next free place. */
static void
test_slab(size_t k)
{
    static const uint8_t zeros[RECORD_SIZE_MAX];

    begin(k);
    size_t   size = record_size(server->version, server->suite);
    uint32_t n = record_slab_put(server);
    CHECK(n != 0);
    uint8_t *p = (uint8_t *)record_slab_at(n);
    CHECK(memcmp(p, server, size) == 0);
    record_slab_release(n);
    CHECK(memcmp(p + 4, zeros, size - 4) == 0);
    CHECK_EQ(record_slab_put(client), n);
    record_slab_release(n);
}

static void
test_fragments(size_t k)
{
    begin(k);
    for (size_t i = 0; i < 100000; i++)
        text[i] = (uint8_t)(i * 7 >> 3);
    for (size_t max = 512; max <= RECORD_TEXT; max *= 32) {
        client->max_text = (uint16_t)max;
        for (size_t len = 1; len < 100000; len += len < 16000 ? 1597 : 16384) {
            size_t n = record_seal(client, RECORD_DATA, text, len, wire);
            CHECK(n > len && n <= record_bound(client, len));
            CHECK(record_wire_size(wire, n) <= max + 29);
            opens(server, n, (char *)text, len);
        }
    }
}

static void
test_tampering(size_t k)
{
    begin(k);
    size_t n = record_seal(client, RECORD_DATA, "hello", 5, text);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        memcpy(wire, text, n);
        wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct record_input in = record_open(server, wire, n);
        /* With a greater length, the receiver waits for more bytes. */
        bool waits = in.end == RECORD_OPEN && in.used == 0;
        CHECK(in.end == RECORD_FAILED ||
            (waits && (bit / 8 == 3 || bit / 8 == 4)));
        CHECK_EQ(in.len, 0);
    }
    memcpy(wire, text, n);
    opens(server, n, "hello", 5);
    /* The same record again is a replay. */
    memcpy(wire, text, n);
    fails(server, n, ALERT_BAD_RECORD_MAC);
    memcpy(wire, "\x17\x03\x03\xff\xff", 5);
    fails(server, 5, ALERT_RECORD_OVERFLOW);
    memcpy(wire, "\x17\x03\x03\0\0", 5);
    fails(server, 5, ALERT_BAD_RECORD_MAC);
    memcpy(wire, "\x17\x03\x03\0\x10zzzzzzzzzzzzzzzz", 21);
    fails(server, 21, ALERT_BAD_RECORD_MAC);
}

static void
test_too_long(size_t k)
{
    begin(k);
    /* A peer puts one byte too many into a record. */
    client->max_text = RECORD_TEXT + 1;
    memset(text, 'x', RECORD_TEXT + 1);
    size_t n = record_seal(client, RECORD_DATA, text, RECORD_TEXT + 1, wire);
    fails(server, n, ALERT_RECORD_OVERFLOW);
}

static void
test_alerts(size_t k)
{
    begin(k);
    size_t n = record_alert(client, ALERT_CLOSE_NOTIFY, wire);
    CHECK_EQ(record_open(server, wire, n).end, RECORD_CLOSED);
    n = record_alert(client, ALERT_INTERNAL_ERROR, wire);
    struct record_input in = record_open(server, wire, n);
    CHECK_EQ(in.end, RECORD_ALERTED);
    CHECK_EQ(in.alert, ALERT_INTERNAL_ERROR);
    n = record_seal(client, RECORD_ALERT, "\1\132", 2, wire);
    opens(server, n, "", 0); /* user_canceled */
    n = record_seal(client, RECORD_ALERT, "\1", 1, wire);
    fails(server, n, ALERT_DECODE_ERROR);
    n = record_seal(client, RECORD_ALERT, "", 0, wire);
    fails(server, n, ALERT_UNEXPECTED_MESSAGE);
    /* Data before an alert in the same read is still delivered. */
    n = record_seal(client, RECORD_DATA, "last", 4, wire);
    n += record_alert(client, ALERT_CLOSE_NOTIFY, wire + n);
    in = record_open(server, wire, n);
    CHECK_EQ(in.end, RECORD_CLOSED);
    CHECK_EQ(in.len, 4);
}

static void
test_wrong_types(size_t k)
{
    begin(k);
    bool   tls13 = kinds[k].version == RECORD_TLS13;
    size_t n = record_seal(client, RECORD_CCS, "\1", 1, wire);
    fails(server, n, ALERT_UNEXPECTED_MESSAGE);
    n = record_seal(client, 99, "x", 1, wire);
    fails(server, n, ALERT_UNEXPECTED_MESSAGE);
    n = record_seal(client, RECORD_HANDSHAKE, "\1\0\0\0", 4, wire);
    fails(server, n, tls13 ? ALERT_UNEXPECTED_MESSAGE : ALERT_NO_RENEGOTIATION);
    n = record_seal(client, RECORD_HANDSHAKE, "", 0, wire);
    fails(server, n, ALERT_UNEXPECTED_MESSAGE);
    /* Only a client may receive a ticket. */
    n = record_seal(server, RECORD_HANDSHAKE, "\4\0\0\1x\4\0\0\0", 9, wire);
    if (tls13) {
        opens(client, n, "", 0);
        n = record_seal(client, RECORD_HANDSHAKE, "\4\0\0\1x", 5, wire);
        fails(server, n, ALERT_UNEXPECTED_MESSAGE);
        /* An alert in clear text, after the handshake. */
        memcpy(wire, "\x15\x03\x03\0\2\2\50", 7);
        fails(server, 7, ALERT_UNEXPECTED_MESSAGE);
        memcpy(wire, "\x14\x03\x03\0\1\1", 6);
        fails(server, 6, ALERT_UNEXPECTED_MESSAGE);
    }
}

static void
test_padding(void)
{
    begin(3);
    /* record_seal() reads the last zero of the padding as the type. */
    size_t n = record_seal(client, 0, "hi\x17\0\0\0", 6, wire);
    opens(server, n, "hi", 2);
    n = record_seal(client, 0, "\0\0\0", 3, wire);
    fails(server, n, ALERT_UNEXPECTED_MESSAGE);
    n = record_seal(client, 0, "\x16\0\0", 3, wire); /* an empty handshake */
    fails(server, n, ALERT_UNEXPECTED_MESSAGE);
    n = record_seal(client, 0, "\x15\0\0", 3, wire); /* an empty alert */
    fails(server, n, ALERT_UNEXPECTED_MESSAGE);
    /* The longest padding, and one byte more. */
    client->max_text = RECORD_TEXT + 1;
    memset(text, 0, RECORD_TEXT + 1);
    memcpy(text, "hi\x17", 3);
    n = record_seal(client, 0, text, RECORD_TEXT, wire);
    opens(server, n, "hi", 2);
    n = record_seal(client, 0, text, RECORD_TEXT + 1, wire);
    fails(server, n, ALERT_RECORD_OVERFLOW);
}

static void
test_key_update(size_t k)
{
    uint8_t key[32];

    begin(k);
    memcpy(
        key, record_key(client, true), record_parameters[kinds[k].suite].key);
    for (int i = 0; i < 5; i++) {
        size_t n = record_update(client, i % 2, wire);
        CHECK_EQ(client->write_seq, 0);
        n += record_seal(client, RECORD_DATA, "new", 3, wire + n);
        struct record_input in = record_open(server, wire, n);
        CHECK_EQ(in.updates, 1);
        CHECK_EQ(in.len, 3);
        CHECK_EQ(!!(server->flags & RECORD_OWES_UPDATE), i % 2);
        /* The answer to a KeyUpdate is sent before the next data, once. */
        n = record_seal(server, RECORD_DATA, "reply", 5, wire);
        CHECK(n <= record_bound(server, 5));
        CHECK_EQ(record_unseal(server), i % 2 == 0);
        if (i % 2 == 0)
            n = record_seal(server, RECORD_DATA, "reply", 5, wire);
        CHECK(!(server->flags & RECORD_OWES_UPDATE));
        in = record_open(client, wire, n);
        CHECK_EQ(in.end, RECORD_OPEN);
        CHECK_EQ(in.updates, i % 2);
        CHECK_EQ(in.len, 5);
    }
    CHECK(memcmp(key, record_key(client, true),
              record_parameters[kinds[k].suite].key) != 0);
    size_t n = record_seal(client, RECORD_HANDSHAKE, "\x18\0\0\1\2", 5, wire);
    fails(server, n, ALERT_ILLEGAL_PARAMETER);
    n = record_seal(
        client, RECORD_HANDSHAKE, "\x18\0\0\1\0\x18\0\0\1\0", 10, wire);
    fails(server, n, ALERT_UNEXPECTED_MESSAGE);
    n = record_seal(client, RECORD_HANDSHAKE, "\x18\0\0", 3, wire);
    fails(server, n, ALERT_UNEXPECTED_MESSAGE);
}

static void
test_idle(size_t k)
{
    bool tls13 = kinds[k].version == RECORD_TLS13;

    for (int updates = 0; updates <= tls13; updates++) {
        begin(k);
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < RECORD_IDLE_MAX; i++)
                opens(server,
                    updates ? record_update(client, false, wire)
                            : record_seal(client, RECORD_DATA, "", 0, wire),
                    "", 0);
            if (round == 0)
                opens(server, record_seal(client, RECORD_DATA, "x", 1, wire),
                    "x", 1);
        }
        fails(server,
            updates ? record_update(client, false, wire)
                    : record_seal(client, RECORD_DATA, "", 0, wire),
            ALERT_UNEXPECTED_MESSAGE);
    }
}

static void
test_take_back(size_t k)
{
    begin(k);
    CHECK(!record_unseal(server));
    size_t n = record_seal(server, RECORD_DATA, "ping", 4, wire);
    opens(client, n, "ping", 4);
    n = record_seal(server, RECORD_DATA, "skip", 4, wire);
    CHECK(record_unseal(server));
    CHECK(!record_unseal(server));
    n = record_seal(server, RECORD_DATA, "next", 4, wire);
    opens(client, n, "next", 4);
    memset(text, 0, RECORD_TEXT + 1);
    record_seal(server, RECORD_DATA, text, RECORD_TEXT + 1, wire);
    CHECK(!record_unseal(server));
}

static void
test_limit(size_t k)
{
    begin(k);
    server->write_seq = client->read_seq = RECORD_LIMIT - 5000;
    CHECK(!record_spent(server));
    server->write_seq = client->read_seq = RECORD_LIMIT - 1;
    opens(client, record_seal(server, RECORD_DATA, "x", 1, wire), "x", 1);
    size_t n = record_seal(server, RECORD_DATA, "y", 1, wire);
    if (kinds[k].version == RECORD_TLS12) {
        CHECK_EQ(n, 0);
        CHECK(record_spent(server));
    } else {
        CHECK(!record_spent(server));
        struct record_input in = record_open(client, wire, n);
        CHECK_EQ(in.updates, 1);
        CHECK_EQ(in.len, 1);
        CHECK_EQ(server->write_seq, 1);
    }
}

static void
test_wipe(size_t k)
{
    begin(k);
    record_wipe(server);
    for (size_t i = 0; i < kinds[k].size; i++)
        CHECK_EQ(memory[0][i], 0);
}

int
main(void)
{
    CHECK(record_init());
    CHECK(record_init());
    CHECK(record_slab_init(2));
    test_rfc8448();
    test_sizes();
    test_padding();
    for (size_t k = 0; k < KINDS; k++) {
        test_both_ways(k);
        test_explicit_nonces(k);
        test_slab(k);
        test_fragments(k);
        test_tampering(k);
        test_too_long(k);
        test_alerts(k);
        test_wrong_types(k);
        if (kinds[k].version == RECORD_TLS13)
            test_key_update(k);
        test_idle(k);
        test_take_back(k);
        test_limit(k);
        test_wipe(k);
    }
    return unit_done();
}
