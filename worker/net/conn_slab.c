/* conn_slab: the memory of the connections. See conn_slab.h. */
#include "net/conn_slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/self.h"
#include "ensure.h"
#include "net/tls_queue.h"
#include "net/transport.h"

#define NO_CONN UINT32_MAX

static struct conn *slab;
static uint32_t     capacity, high;
static uint32_t     free_head = NO_CONN, dead_head = NO_CONN;
static ev_prepare   bury;
static bool         inheriting; /* some indexes below high may be free without
                                   being in the free list */

/* --- the busy part ------------------------------------------------------- */

struct busy *
conn_busy(struct conn *c)
{
    if (c->busy == NULL) {
        c->busy = calloc(1, sizeof *c->busy);
        if (c->busy == NULL)
            return NULL;
        c->busy->handshake.in.max = self.conf.websocket_max_handshake_size;
        c->busy->out.max = self.conf.websocket_max_output_size;
    }
    return c->busy;
}

void
conn_slab_free_busy(struct conn *c)
{
    if (c->busy == NULL)
        return;
    tls_queue_drop(c);
    buf_free(&c->busy->tail);
    buf_free(&c->busy->handshake.in);
    buf_free(&c->busy->out);
    free(c->busy);
    c->busy = NULL;
}

/* --- the end of a connection --------------------------------------------- */

static void
bury_cb(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop, (void)w, (void)revents;
    while (dead_head != NO_CONN) {
        struct conn *c = &slab[dead_head];
        dead_head = c->next;
        if (c->ws != NULL)
            ws_return(c->ws);
        conn_slab_free_busy(c);
        transport_of(c)->free(c);
        if (c->io.fd >= 0)
            close(c->io.fd);
        memset(c, 0, sizeof *c);
        c->next = free_head;
        free_head = conn_index(c);
    }
}

void
conn_slab_bury(struct conn *c)
{
    c->state = CONN_DEAD;
    c->next = dead_head;
    dead_head = conn_index(c);
}

/* --- the slab ------------------------------------------------------------ */

bool
conn_init(uint32_t n)
{
    /* Only addresses are reserved; memory is used as connections come. */
    capacity = n < CREF_INDEXES ? n : CREF_INDEXES;
    slab = mmap(NULL, capacity * sizeof *slab, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab == MAP_FAILED)
        return false;
    ev_prepare_init(&bury, bury_cb);
    ev_prepare_start(self.loop, &bury);
    return true;
}

uint32_t
conn_capacity(void)
{
    return capacity;
}

uint32_t
conn_index(const struct conn *c)
{
    return (uint32_t)(c - slab);
}

struct conn *
conn_at(uint32_t index)
{
    ensure(index < high);
    return &slab[index];
}

uint32_t
conn_high(void)
{
    return high;
}

struct conn *
conn_find(cref name)
{
    uint32_t i = cref_index(name);

    if (name == 0 || cref_slot(name) != self.slot || i >= high ||
        slab[i].self != name || slab[i].state != CONN_OPEN)
        return NULL;
    return &slab[i];
}

struct conn *
conn_slab_take(void)
{
    uint32_t i = free_head;

    if (i == NO_CONN)
        return high == capacity ? NULL : &slab[high++];
    free_head = slab[i].next;
    slab[i].next = 0;
    return &slab[i];
}

void
conn_slab_put(struct conn *c)
{
    c->next = free_head;
    free_head = conn_index(c);
}

/* --- a slot that is inherited -------------------------------------------- */

void
conn_inherit(void)
{
    inheriting = true;
}

void
conn_inherited(void)
{
    inheriting = false;
    free_head = NO_CONN;
    for (uint32_t i = high; i-- > 0;)
        if (slab[i].state == CONN_FREE) {
            slab[i].next = free_head;
            free_head = i;
        }
}

struct conn *
conn_slab_take_at(uint32_t index)
{
    bool wished = inheriting && index < capacity &&
        (index >= high || slab[index].state == CONN_FREE);
    uint32_t i = wished                      ? index
        : inheriting || free_head == NO_CONN ? high
                                             : free_head;

    /* This slab may be smaller than that of the former process. */
    for (uint32_t k = 0; i >= capacity && inheriting && k < capacity; k++)
        if (slab[k].state == CONN_FREE)
            i = k;
    if (i >= capacity)
        return NULL;
    if (!inheriting && i == free_head)
        free_head = slab[i].next;
    if (i >= high)
        high = i + 1;
    slab[i].next = 0;
    return &slab[i];
}
