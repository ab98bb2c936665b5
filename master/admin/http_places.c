/* http_places: the connections of the admin port. See http_places.h. */
#include "admin/http_places.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "address.h"
#include "admin/http_refused.h"
#include "clock.h"

/* If there are this many, the oldest connection without a request is closed. */
#define CROWDED 192
#define LOOK_MS 500
#define BYTES_PER_S (32u * 1024)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  some = PTHREAD_COND_INITIALIZER;
static uint64_t        share;
static unsigned        used;
static uint64_t        turns;

static struct place {
    int      fd; /* -1: free */
    uint64_t addr[2];
    uint64_t turn;     /* rises with each change of a state: the lowest has kept
                        * its state for longest */
    uint64_t until_ms; /* when it is closed; 0: never */
    bool     idle;     /* it has no request */
} places[HTTP_PLACES];

static int
fd_of(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

    return i != NULL ? i->connect_fd : -1;
}

static void
addr_of(struct MHD_Connection *c, uint64_t addr[2])
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct sockaddr_storage ss = {0};
    uint16_t                port;

    if (i == NULL || i->client_addr == NULL)
        return;
    memcpy(&ss, i->client_addr,
        i->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in));
    address_pack(&ss, addr, &port);
}

/* Shuts the socket down: the thread of the connection notices the end and
   closes it. */
static void
cut(struct place *p)
{
    shutdown(p->fd, SHUT_RDWR);
    p->until_ms = 0;
    p->idle = false;
}

static void
make_room(struct place *p)
{
    http_refused_count(0, p->addr);
    cut(p);
}

static void
arrived(int fd, const uint64_t addr[2])
{
    struct place *free_one = NULL, *oldest = NULL, *oldest_here = NULL;
    unsigned      n = 0, here = 0;
    uint64_t      now = clock_mono_ms();

    for (unsigned i = 0; i < HTTP_PLACES; i++) {
        struct place *p = &places[i];
        if (p->fd < 0) {
            free_one = p;
            continue;
        }
        bool same = p->addr[0] == addr[0] && p->addr[1] == addr[1];
        n++;
        here += same;
        if (p->idle && (oldest == NULL || p->turn < oldest->turn))
            oldest = p;
        if (p->idle && same &&
            (oldest_here == NULL || p->turn < oldest_here->turn))
            oldest_here = p;
    }
    if (free_one == NULL) {
        shutdown(fd, SHUT_RDWR);
        http_refused_count(0, addr);
        return;
    }
    *free_one = (struct place){.fd = fd,
        .addr = {addr[0], addr[1]},
        .turn = ++turns,
        .until_ms = now + HTTP_PLACES_READ_MS,
        .idle = true};
    used++;
    pthread_cond_signal(&some);
    if (share > 0 && here >= share)
        make_room(oldest_here != NULL ? oldest_here : free_one);
    else if (n >= CROWDED && oldest != NULL)
        make_room(oldest);
}

void
http_places_cb(void *arg, struct MHD_Connection *c, void **state,
    enum MHD_ConnectionNotificationCode what)
{
    int      fd = fd_of(c);
    uint64_t addr[2] = {0, 0};

    (void)arg;
    (void)state;
    addr_of(c, addr);
    pthread_mutex_lock(&lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        arrived(fd, addr);
    else
        for (unsigned i = 0; i < HTTP_PLACES; i++)
            if (places[i].fd == fd) {
                places[i].fd = -1;
                used--;
            }
    pthread_mutex_unlock(&lock);
}

static void
set(struct MHD_Connection *c, bool idle, uint64_t ms)
{
    int      fd = fd_of(c);
    uint64_t now = clock_mono_ms();

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < HTTP_PLACES; i++)
        if (places[i].fd == fd) {
            places[i].idle = idle;
            places[i].turn = ++turns;
            places[i].until_ms = ms > 0 ? now + ms : 0;
        }
    pthread_mutex_unlock(&lock);
}

void
http_places_refused(struct MHD_Connection *c, unsigned status)
{
    uint64_t addr[2] = {0, 0};

    addr_of(c, addr);
    http_refused_count(status, addr);
}

void
http_places_working(struct MHD_Connection *c)
{
    set(c, false, 0);
}

void
http_places_sending(struct MHD_Connection *c, size_t bytes)
{
    set(c, false, HTTP_PLACES_SEND_MS + (uint64_t)bytes * 1000 / BYTES_PER_S);
}

void
http_places_streaming(struct MHD_Connection *c)
{
    set(c, false, 0);
}

void
http_places_reading(struct MHD_Connection *c)
{
    set(c, true, HTTP_PLACES_READ_MS);
}

/* Sleeps while there are no connections. */
static void *
watch(void *arg)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        while (used == 0)
            pthread_cond_wait(&some, &lock);
        uint64_t now = clock_mono_ms();
        for (unsigned i = 0; i < HTTP_PLACES; i++)
            if (places[i].fd >= 0 && places[i].until_ms != 0 &&
                places[i].until_ms <= now)
                cut(&places[i]);
        pthread_mutex_unlock(&lock);
        nanosleep(&(struct timespec){0, LOOK_MS * 1000000L}, NULL);
    }
    return arg;
}

void
http_places_begin(uint64_t per_address)
{
    pthread_t thread;

    share = per_address;
    for (unsigned i = 0; i < HTTP_PLACES; i++)
        places[i].fd = -1;
    if (pthread_create(&thread, NULL, watch, NULL) == 0)
        pthread_detach(thread);
}
