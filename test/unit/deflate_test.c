/* The output of deflate_compress() can be inflated, with each window; and
 * inflating never exceeds its limit, whatever the input is. */
#include "net/deflate.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

static char  text[40000];
static char *want = text;

static void
fill(size_t n, unsigned seed, unsigned letters)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = (char)('a' + (seed >> 16) % letters);
    }
}

static void
there_and_back(size_t n, unsigned window)
{
    struct buf  out = {.max = 1 << 20};
    const char *got;
    size_t      len;

    if (deflate_compress(text, n, window, &out)) {
        CHECK(out.len < n);
        CHECK(deflate_inflate(out.p, out.len, n, &got, &len) == DEFLATE_OK);
        CHECK(len == n && memcmp(got, want, n) == 0);
        deflate_done();
        if (n > 0) {
            CHECK(deflate_inflate(out.p, out.len, n - 1, &got, &len) ==
                DEFLATE_TOO_BIG);
            deflate_done();
        }
    }
    buf_free(&out);
}

/* A message that is cut is an error, unless the cut is at the end of a block:
 * then the beginning of the message is read. */
static void
cut_anywhere(size_t n)
{
    struct buf  out = {.max = 1 << 20};
    const char *got;
    size_t      len, broken = 0;

    CHECK(deflate_compress(text, n, 15, &out));
    for (size_t cut = 1; cut < out.len; cut++) {
        if (deflate_inflate(out.p, cut, n, &got, &len) == DEFLATE_OK)
            CHECK(len <= n && memcmp(got, want, len) == 0);
        else
            broken++;
        deflate_done();
    }
    CHECK(broken > out.len / 2);
    buf_free(&out);
}

static void
noise(void)
{
    unsigned    seed = 99;
    const char *got;
    size_t      len;
    uint8_t     bytes[64];

    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)(round % (int)sizeof bytes);
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1103515245u + 12345u;
            bytes[i] = (uint8_t)(seed >> 16);
        }
        if (deflate_inflate(bytes, n, 1000, &got, &len) == DEFLATE_OK)
            CHECK(len <= 1000);
        deflate_done();
    }
}

int
main(void)
{
    struct buf out = {.max = 1 << 20};

    for (unsigned window = 9; window <= 15; window++)
        for (size_t n = 0; n <= sizeof text; n = n < 20 ? n + 1 : 3 * n) {
            fill(n, (unsigned)n + window, 4);
            there_and_back(n, window);
        }
    fill(2000, 1, 4);
    CHECK(deflate_compress(text, 2000, 15, &out));
    CHECK(!deflate_compress(text, 2000, 8, &out));
    CHECK(!deflate_compress("ab", 2, 15, &out)); /* it would become longer */
    cut_anywhere(2000);
    noise();
    buf_free(&out);
    return unit_done();
}
