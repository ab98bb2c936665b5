/* sha1: the digest of the WebSocket handshake. See sha1.h. */
#include "sha1.h"

#include <string.h>

static uint32_t
rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32u - n);
}

static void
block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80];

    for (unsigned t = 0; t < 16; t++)
        w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 |
            (uint32_t)p[4 * t + 2] << 8 | p[4 * t + 3];
    for (unsigned t = 16; t < 80; t++)
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);

    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (unsigned t = 0; t < 80; t++) {
        uint32_t f, k;
        if (t < 20) {
            f = (b & c) | (~b & d);
            k = 0x5a827999;
        } else if (t < 40) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        } else if (t < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        }
        uint32_t next = rotate(a, 5) + f + e + k + w[t];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void
sha1(uint8_t digest[20], const void *p, size_t n)
{
    uint32_t h[5] = {
        0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const uint8_t *in = p;
    uint8_t        last[128] = {0};
    size_t         left = n;

    for (; left >= 64; left -= 64, in += 64)
        block(h, in);
    memcpy(last, in, left);
    last[left] = 0x80;
    size_t size = left < 56 ? 64 : 128;
    for (unsigned i = 0; i < 8; i++)
        last[size - 1 - i] = (uint8_t)((uint64_t)n * 8u >> (8u * i));
    block(h, last);
    if (size == 128)
        block(h, last + 64);
    for (unsigned i = 0; i < 20; i++)
        digest[i] = (uint8_t)(h[i / 4] >> (24u - 8u * (i % 4)));
}

size_t
base64(char *out, const void *p, size_t n)
{
    static const char digit[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = p;
    char          *o = out;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16;
        if (i + 1 < n)
            v |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < n)
            v |= in[i + 2];
        *o++ = digit[v >> 18];
        *o++ = digit[v >> 12 & 63];
        *o++ = (char)(i + 1 < n ? digit[v >> 6 & 63] : '=');
        *o++ = (char)(i + 2 < n ? digit[v & 63] : '=');
    }
    *o = '\0';
    return (size_t)(o - out);
}
