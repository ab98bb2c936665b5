/* address: IP addresses as two words. See address.h. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

void
address_pack(
    const struct sockaddr_storage *ss, uint64_t addr[2], uint16_t *port)
{
    struct in6_addr a6 = IN6ADDR_ANY_INIT;

    if (ss->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
        a6 = in6->sin6_addr;
        *port = ntohs(in6->sin6_port);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
        a6.s6_addr[10] = a6.s6_addr[11] = 0xff;
        memcpy(a6.s6_addr + 12, &in->sin_addr, 4);
        *port = ntohs(in->sin_port);
    }
    memcpy(addr, &a6, sizeof a6);
}

void
address_text(char out[ADDRESS_LEN], const uint64_t addr[2], uint16_t port)
{
    struct in6_addr a6;
    char            text[INET6_ADDRSTRLEN];

    memcpy(&a6, addr, sizeof a6);
    if (IN6_IS_ADDR_V4MAPPED(&a6)) {
        inet_ntop(AF_INET, a6.s6_addr + 12, text, sizeof text);
        snprintf(out, ADDRESS_LEN, port != 0 ? "%s:%u" : "%s", text, port);
    } else {
        inet_ntop(AF_INET6, &a6, text, sizeof text);
        snprintf(out, ADDRESS_LEN, port != 0 ? "[%s]:%u" : "[%s]", text, port);
    }
}
