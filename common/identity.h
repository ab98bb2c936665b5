/*
 * identity: the name of a charge point, the last segment of the path to which
 * it connects.
 *
 * 1 to IDENTITY_MAX bytes of UTF-8 without control characters; not "." or
 * "..", and no slash. The percent signs of the path are decoded, and what
 * remains is compared byte by byte. http_identity() (worker/net/http.h) is
 * where the handshake checks all that.
 */
#ifndef COMMON_IDENTITY_H
#define COMMON_IDENTITY_H

#define IDENTITY_MAX 48 /* bytes; OCPP 2.0.1 and 2.1 allow 48 characters */

#endif
