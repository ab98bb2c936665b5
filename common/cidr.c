/* cidr: a range of addresses. See cidr.h. */
#include "cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define MAPPED_BITS 96

static void
clear_behind(struct cidr *c)
{
    uint8_t p[sizeof c->addr];

    memcpy(p, c->addr, sizeof p);
    for (unsigned i = 0; i < sizeof p; i++) {
        unsigned before = 8 * i;
        if (before >= c->bits)
            p[i] = 0;
        else if (c->bits - before < 8)
            p[i] &= (uint8_t)(0xff00 >> (c->bits - before));
    }
    memcpy(c->addr, p, sizeof p);
}

bool
cidr_parse(const char *text, struct cidr *out)
{
    char            host[INET6_ADDRSTRLEN];
    struct in6_addr six = IN6ADDR_ANY_INIT;
    size_t          n = strcspn(text, "/");
    unsigned        most = 128, bits = 0;

    if (n == 0 || n >= sizeof host)
        return false;
    memcpy(host, text, n);
    host[n] = '\0';
    bool four = strchr(host, ':') == NULL;
    if (four) {
        struct in_addr a;
        if (inet_pton(AF_INET, host, &a) != 1)
            return false;
        six.s6_addr[10] = six.s6_addr[11] = 0xff;
        memcpy(six.s6_addr + 12, &a, sizeof a);
        most = 32;
    } else if (inet_pton(AF_INET6, host, &six) != 1) {
        return false;
    }
    if (text[n] == '\0') {
        bits = most;
    } else {
        const char *p = text + n + 1;
        if (*p == '\0' || strlen(p) > 3)
            return false;
        for (; *p != '\0'; p++) {
            if (*p < '0' || *p > '9')
                return false;
            bits = 10 * bits + (unsigned)(*p - '0');
        }
        if (bits > most)
            return false;
    }
    memcpy(out->addr, &six, sizeof out->addr);
    out->bits = (uint8_t)(four ? bits + MAPPED_BITS : bits);
    clear_behind(out);
    return true;
}

bool
cidr_has(const struct cidr *c, const uint64_t addr[2])
{
    const uint8_t *a = (const uint8_t *)c->addr, *b = (const uint8_t *)addr;
    unsigned       whole = c->bits / 8, rest = c->bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (uint8_t)((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

struct cidr
cidr_around(const uint64_t addr[2], unsigned four, unsigned six)
{
    struct cidr c = {{addr[0], addr[1]},
        (uint8_t)(cidr_is_four(addr) ? four + MAPPED_BITS : six)};

    clear_behind(&c);
    return c;
}

bool
cidr_is_four(const uint64_t addr[2])
{
    struct in6_addr six;

    memcpy(&six, addr, sizeof six);
    return IN6_IS_ADDR_V4MAPPED(&six);
}

bool
cidr_is_loopback(const uint64_t addr[2])
{
    struct in6_addr six;

    memcpy(&six, addr, sizeof six);
    return IN6_IS_ADDR_LOOPBACK(&six) ||
        (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

void
cidr_text(const struct cidr *c, char out[CIDR_LEN])
{
    char     host[INET6_ADDRSTRLEN] = "";
    unsigned most = 128, bits = c->bits;

    if (bits >= MAPPED_BITS && cidr_is_four(c->addr)) {
        inet_ntop(AF_INET, (const uint8_t *)c->addr + 12, host, sizeof host);
        bits -= MAPPED_BITS;
        most = 32;
    } else {
        inet_ntop(AF_INET6, c->addr, host, sizeof host);
    }
    if (bits == most)
        snprintf(out, CIDR_LEN, "%s", host);
    else
        snprintf(out, CIDR_LEN, "%s/%u", host, bits);
}
