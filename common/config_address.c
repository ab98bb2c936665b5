/*
 * config_address: addresses and names of hosts, as they are written. See
 * config.h.
 *
 * An address to listen on must be written in numbers, because the address of a
 * host name could change while the daemon runs.
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

/* True for labels of letters, digits, - and _ with dots between them (RFC 1123
 * section 2.1, and _, which is in use), with or without a dot at the end. */
static bool
is_name(const char *text)
{
    size_t label = 0, n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        char ch = text[i];
        if (ch == '.') {
            if (label == 0 || text[i - 1] == '-')
                return false;
            label = 0;
            continue;
        }
        bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
            (ch >= '0' && ch <= '9') || ch == '_';
        if ((!letter && (ch != '-' || label == 0)) || ++label > 63)
            return false;
    }
    return n > 0 && n <= 253 && text[n - 1] != '-';
}

bool
config_host(const char *text)
{
    char    host[INET6_ADDRSTRLEN];
    uint8_t address[16];
    size_t  n = strcspn(text, "%"); /* a zone may follow: fe80::1%eth0 */

    if (strchr(text, ':') != NULL) {
        if (n >= sizeof host || (text[n] == '%' && !is_name(text + n + 1)))
            return false;
        memcpy(host, text, n);
        host[n] = '\0';
        return inet_pton(AF_INET6, host, address) == 1;
    }
    if (strspn(text, "0123456789.") == strlen(text))
        return inet_pton(AF_INET, text, address) == 1;
    return is_name(text);
}
