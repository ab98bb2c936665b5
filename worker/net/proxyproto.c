/* proxyproto: the PROXY protocol, versions 1 and 2. See proxyproto.h. */
#include "net/proxyproto.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#define V1_MAX 107
#define V2_HEAD 16

static const uint8_t v2_signature[12] = {
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static enum proxyproto_result
fail(struct proxyproto *out, const char *why)
{
    out->why = why;
    return PROXYPROTO_ERROR;
}

static void
set_four(struct proxyproto *out, const void *four)
{
    struct in6_addr six = IN6ADDR_ANY_INIT;

    six.s6_addr[10] = six.s6_addr[11] = 0xff;
    memcpy(six.s6_addr + 12, four, 4);
    memcpy(out->addr, &six, sizeof out->addr);
}

/* --- version 1: a line of text ------------------------------------------- */

/* Takes the next word; one blank or the end must follow it. */
static bool
word(const char **p, const char *end, char *out, size_t size)
{
    const char *blank = memchr(*p, ' ', (size_t)(end - *p));
    size_t      n = (size_t)((blank ? blank : end) - *p);

    if (n == 0 || n >= size)
        return false;
    memcpy(out, *p, n);
    out[n] = '\0';
    *p += n + (blank != NULL);
    return true;
}

static bool
port(const char *text, uint16_t *out)
{
    unsigned v = 0;
    size_t   n = strlen(text);

    if (n == 0 || n > 5 || (n > 1 && text[0] == '0'))
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        v = 10 * v + (unsigned)(*text - '0');
    }
    *out = (uint16_t)v;
    return v <= 65535;
}

static enum proxyproto_result
parse_v1(const uint8_t *bytes, size_t n, struct proxyproto *out)
{
    const char *p = (const char *)bytes;
    size_t      looked = n < V1_MAX ? n : V1_MAX;
    const char *lf = memchr(p, '\n', looked);
    char        family[8], source[INET6_ADDRSTRLEN], target[INET6_ADDRSTRLEN];
    char        sport[6], dport[6];
    uint16_t    there;

    if (lf == NULL)
        return n < V1_MAX
            ? PROXYPROTO_INCOMPLETE
            : fail(out, "the PROXY line is longer than 107 bytes");
    if (lf[-1] != '\r')
        return fail(out, "the PROXY line does not end with CR LF");
    const char *end = lf - 1;
    if (memchr(p, '\0', (size_t)(end - p)) != NULL)
        return fail(out, "the PROXY line has a NUL byte");
    out->consumed = (size_t)(lf + 1 - p);
    p += 6; /* "PROXY " */
    if (p > end || !word(&p, end, family, sizeof family))
        return fail(out, "the PROXY line does not name a protocol");
    if (strcmp(family, "UNKNOWN") == 0)
        return PROXYPROTO_LOCAL;
    bool four = strcmp(family, "TCP4") == 0;
    if (!four && strcmp(family, "TCP6") != 0)
        return fail(
            out, "the protocol of the PROXY line is not TCP4, TCP6 or UNKNOWN");
    if (!word(&p, end, source, sizeof source) ||
        !word(&p, end, target, sizeof target) ||
        !word(&p, end, sport, sizeof sport) ||
        !word(&p, end, dport, sizeof dport) || p != end || end[-1] == ' ')
        return fail(
            out, "the PROXY line does not have two addresses and two ports");
    struct in6_addr a, b;
    int             af = four ? AF_INET : AF_INET6;
    if (inet_pton(af, source, &a) != 1 || inet_pton(af, target, &b) != 1)
        return fail(out, "an address in the PROXY line is not valid");
    if (!port(sport, &out->port) || !port(dport, &there))
        return fail(out, "a port in the PROXY line is not valid");
    if (four)
        set_four(out, &a);
    else
        memcpy(out->addr, &a, sizeof out->addr);
    return PROXYPROTO_PEER;
}

/* --- version 2: binary --------------------------------------------------- */

/* Takes the next value (type, length, bytes) at *p (section 2.2). False at the
 * end; *good is false if bytes are left that form no value. */
static bool
next_value(const uint8_t **p, size_t *n, uint8_t *type, const uint8_t **value,
    size_t *len, bool *good)
{
    if (*n == 0)
        return false;
    if (*n < 3 || ((size_t)(*p)[1] << 8 | (*p)[2]) > *n - 3) {
        *good = false;
        return false;
    }
    *type = (*p)[0];
    *len = (size_t)(*p)[1] << 8 | (*p)[2];
    *value = *p + 3;
    *p += 3 + *len;
    *n -= 3 + *len;
    return true;
}

/* Checks the CRC32C (section 2.2.3, RFC 4960 appendix B) of the header, in
 * which its own four bytes count as zero. */
static bool
checksum_is_right(const uint8_t *head, size_t n, const uint8_t *sum)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        bool own = head + i >= sum && head + i < sum + 4;
        crc ^= own ? 0 : head[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    crc = ~crc;
    return crc ==
        ((uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 |
            (uint32_t)sum[2] << 8 | sum[3]);
}

/* Reads a PP2_TYPE_SSL value (section 2.2.6): flags, the result of the
 * verification, and nested values. HAProxy sends the result 0 also if there is
 * no certificate. */
static bool
take_tls(const uint8_t *p, size_t n, struct proxyproto *out)
{
    const uint8_t *value;
    uint8_t        type;
    size_t         len;
    bool           good = true, named = false;

    if (n < 5)
        return false;
    uint8_t  flags = p[0];
    uint32_t result = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 |
        (uint32_t)p[3] << 8 | p[4];
    out->tls = flags & 1;
    p += 5;
    n -= 5;
    while (next_value(&p, &n, &type, &value, &len, &good)) {
        if (type != 0x22)
            continue;
        if (named)
            return false;
        named = true;
        for (size_t i = 0; i < len; i++)
            if (value[i] < 0x20 || value[i] == 0x7f)
                return false;
        if ((flags & 1) && (flags & 6) && result == 0 && len < sizeof out->cn) {
            memcpy(out->cn, value, len);
            out->cn[len] = '\0';
        }
    }
    return good;
}

/* Reads the values after the addresses. head: the whole header. */
static bool
take_values(
    const uint8_t *head, const uint8_t *p, size_t n, struct proxyproto *out)
{
    const uint8_t *value;
    uint8_t        type;
    size_t         len;
    bool           good = true, seen = false;

    while (good && next_value(&p, &n, &type, &value, &len, &good)) {
        if (type == 0x03 &&
            (len != 4 || !checksum_is_right(head, out->consumed, value))) {
            out->why = "the checksum of the PROXY header is wrong";
            return false;
        }
        if (type != 0x20)
            continue;
        good = !seen && take_tls(value, len, out);
        seen = true;
    }
    if (!good)
        out->why =
            "the values after the addresses of the PROXY header are damaged";
    return good;
}

static enum proxyproto_result
parse_v2(const uint8_t *p, size_t n, struct proxyproto *out)
{
    if (n < V2_HEAD)
        return n > 12 && p[12] >> 4 != 2
            ? fail(out, "the PROXY header has another version than 1 and 2")
            : PROXYPROTO_INCOMPLETE;
    unsigned command = p[12] & 15, family = p[13] >> 4, transport = p[13] & 15;
    size_t   len = (size_t)p[14] << 8 | p[15];

    if (p[12] >> 4 != 2)
        return fail(out, "the PROXY header has another version than 1 and 2");
    if (command > 1)
        return fail(out, "the PROXY header has an unknown command");
    if (V2_HEAD + len > PROXYPROTO_MAX)
        return fail(out, "the PROXY header is longer than 4096 bytes");
    if (n < V2_HEAD + len)
        return PROXYPROTO_INCOMPLETE;
    out->consumed = V2_HEAD + len;
    if (command == 0)
        return PROXYPROTO_LOCAL;
    p += V2_HEAD;
    if (family == 0)
        return PROXYPROTO_LOCAL;
    if (transport != 1 || family > 2)
        return fail(out,
            "the protocol of the PROXY header is not TCP over IPv4 or IPv6");
    if (len < (family == 1 ? 12u : 36u))
        return fail(out, "the PROXY header is too short for its addresses");
    if (family == 1) {
        set_four(out, p);
        out->port = (uint16_t)(p[8] << 8 | p[9]);
    } else {
        memcpy(out->addr, p, 16);
        out->port = (uint16_t)(p[32] << 8 | p[33]);
    }
    size_t addresses = family == 1 ? 12 : 36;
    return take_values(p - V2_HEAD, p + addresses, len - addresses, out)
        ? PROXYPROTO_PEER
        : PROXYPROTO_ERROR;
}

enum proxyproto_result
proxyproto_parse(const uint8_t *p, size_t n, struct proxyproto *out)
{
    size_t six = n < 6 ? n : 6, twelve = n < 12 ? n : 12;

    memset(out, 0, sizeof *out);
    if (n == 0)
        return PROXYPROTO_INCOMPLETE;
    if (memcmp(p, "PROXY ", six) == 0)
        return n < 6 ? PROXYPROTO_INCOMPLETE : parse_v1(p, n, out);
    if (memcmp(p, v2_signature, twelve) == 0)
        return n < 12 ? PROXYPROTO_INCOMPLETE : parse_v2(p, n, out);
    if (p[0] != 'P' && p[0] != '\r')
        return PROXYPROTO_ABSENT;
    return fail(out,
        "there is no PROXY header, and server.proxy_from lists this address");
}
