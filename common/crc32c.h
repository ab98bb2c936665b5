/* crc32c: the checksum of the journal's lines (Castagnoli, as in RFC 3720
 * section 12.1; appendix B.4 has examples). It finds damage by accident; it is
 * not proof against forgery. */
#ifndef COMMON_CRC32C_H
#define COMMON_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of n bytes at p. */
uint32_t crc32c(const void *p, size_t n);

/* The same without the processor's instruction for it; for the test. */
uint32_t crc32c_by_table(const void *p, size_t n);

#endif
