/* crc32c: the checksum of the journal's lines. See crc32c.h.
 *
 * A checksum is computed for each event, so the processor's instruction is used
 * if there is one: it takes a tenth of the time of the table. */
#include "crc32c.h"

#include <endian.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL UINT32_C(0x82f63b78) /* reflected */

/* --- by table ------------------------------------------------------------ */

/* table[k][b]: the remainder of byte b followed by k zero bytes, so that eight
 * bytes need eight look-ups that do not depend on each other. */
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
crc32c_by_table(const void *data, size_t n)
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

/* --- by instruction ------------------------------------------------------ */

#if defined(__x86_64__)
#include <nmmintrin.h>
#define TARGET __attribute__((target("sse4.2")))
#define STEP8(r, x) ((uint32_t)_mm_crc32_u64(r, x))
#define STEP1(r, x) _mm_crc32_u8(r, x)
#define HAS_INSTRUCTION() __builtin_cpu_supports("sse4.2")
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#define TARGET __attribute__((target("+crc")))
#define STEP8(r, x) __crc32cd(r, x)
#define STEP1(r, x) __crc32cb(r, x)
#define HAS_INSTRUCTION() ((getauxval(AT_HWCAP) & (1 << 7)) != 0) /* CRC32 */
#endif

#ifdef TARGET
static uint32_t TARGET
by_instruction(const uint8_t *p, size_t n)
{
    uint32_t r = UINT32_MAX;

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        r = STEP8(r, le64toh(x));
    }
    while (n-- > 0)
        r = STEP1(r, *p++);
    return ~r;
}
#endif

uint32_t
crc32c(const void *p, size_t n)
{
#ifdef TARGET
    if (HAS_INSTRUCTION())
        return by_instruction(p, n);
#endif
    return crc32c_by_table(p, n);
}
