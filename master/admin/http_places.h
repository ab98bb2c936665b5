/*
 * http_places: limits the number and the time of connections of the admin port.
 *
 * Each connection takes one of HTTP_PLACES. When few are left, the oldest
 * connection without a request is closed. If an address has too many
 * connections, its oldest one without a request is closed, or else the new
 * one. A client that sends its request or reads its
 * answer too slowly is disconnected. In the admin process only; any thread. The
 * functions are called with the connection that they are about.
 */
#ifndef MASTER_ADMIN_HTTP_PLACES_H
#define MASTER_ADMIN_HTTP_PLACES_H

#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_PLACES 256u
#define HTTP_PLACES_READ_MS 15000 /* for a request, or without one */
/* ms for an answer, and a second for every 32 KiB */
#define HTTP_PLACES_SEND_MS 30000

/* per_address: connections of one address; 0: any number. */
void http_places_begin(uint64_t per_address);

/* The callback of MHD_OPTION_NOTIFY_CONNECTION. */
void http_places_cb(void *arg, struct MHD_Connection *c, void **state,
    enum MHD_ConnectionNotificationCode what);

/* Its request is answered with a status of 400 or above: it is counted
   (http_refused.h). */
void http_places_refused(struct MHD_Connection *c, unsigned status);
/* A request came: its handler may take as long as it needs. */
void http_places_working(struct MHD_Connection *c);
/* An answer of so many bytes was queued. */
void http_places_sending(struct MHD_Connection *c, size_t bytes);
/* A stream has begun, which has other limits. */
void http_places_streaming(struct MHD_Connection *c);
/* The answer was sent. */
void http_places_reading(struct MHD_Connection *c);

#endif
