/* hex: hexadecimal digits. */
#ifndef COMMON_HEX_H
#define COMMON_HEX_H

/* The value of a digit, upper or lower case; -1 for any other byte. */
static inline int
hex_digit(unsigned char c)
{
    return c >= '0' && c <= '9' ? c - '0'
        : c >= 'a' && c <= 'f'  ? c - 'a' + 10
        : c >= 'A' && c <= 'F'  ? c - 'A' + 10
                                : -1;
}

#endif
