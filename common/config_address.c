/*
 * config_address: where to listen, as it is written. See config.h.
 *
 * Only numeric addresses are accepted: the address of a host name could change
 * while the daemon runs.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

bool
config_address(
    const char *text, struct sockaddr_storage *address, socklen_t *size)
{
    char        host[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    unsigned    port = 0;

    if (colon == NULL || (size_t)(colon - text) >= sizeof host ||
        strlen(colon + 1) > 5)
        return false;
    for (const char *p = colon + 1; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return false;
        port = 10 * port + (unsigned)(*p - '0');
    }
    if (port == 0 || port > 65535)
        return false;
    size_t n = (size_t)(colon - text);
    memcpy(host, text, n);
    host[n] = '\0';
    memset(address, 0, sizeof *address);
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
        host[n - 1] = '\0';
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        *size = sizeof *six;
        return inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)port);
    *size = sizeof *four;
    if (strcmp(host, "*") == 0) {
        four->sin_addr.s_addr = htonl(INADDR_ANY);
        return true;
    }
    return inet_pton(AF_INET, host, &four->sin_addr) == 1;
}
