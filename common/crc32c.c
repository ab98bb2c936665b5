/* crc32c: the checksum of the journal's lines. See crc32c.h. */
#include "crc32c.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

#define POLYNOMIAL UINT32_C(0x82f63b78) /* reflected */

/* table[k][b]: the remainder of byte b followed by k zero bytes, so that
 * eight bytes take eight look-ups that do not wait for each other. */
static uint32_t       table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t r = b;
        for (int i = 0; i < 8; i++)
            r = r & 1 ? r >> 1 ^ POLYNOMIAL : r >> 1;
        table[0][b] = r;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++)
            table[k][b] =
                table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

uint32_t
crc32c(const void *data, size_t n)
{
    const uint8_t *p = data;
    uint32_t       r = UINT32_MAX;

    pthread_once(&once, make_table);
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + 4, 4);
        a = r ^ le32toh(a);
        b = le32toh(b);
        r = table[7][a & 0xff] ^ table[6][a >> 8 & 0xff] ^
            table[5][a >> 16 & 0xff] ^ table[4][a >> 24] ^ table[3][b & 0xff] ^
            table[2][b >> 8 & 0xff] ^ table[1][b >> 16 & 0xff] ^
            table[0][b >> 24];
    }
    while (n-- > 0)
        r = r >> 8 ^ table[0][(r ^ *p++) & 0xff];
    return ~r;
}
