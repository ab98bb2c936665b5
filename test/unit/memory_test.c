/* Memory that is not needed is released, and memory in use is not. */
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/certificate.h"
#include "base/loop_memory.h"
#include "base/self.h"
#include "ensure.h"
#include "fields.h"
#include "heap.h"
#include "net/conn.h"
#include "unit.h"

#define PAGE 4096
#define CONNECTIONS 600

/* Returns the number of pages of p[0..n) that take memory. */
static unsigned
pages(void *p, size_t n)
{
    unsigned char in[64];
    unsigned      sum = 0;

    ensure(n <= sizeof in * PAGE && mincore(p, n, in) == 0);
    for (size_t i = 0; i < n / PAGE; i++)
        sum += in[i] & 1;
    return sum;
}

static void
drop_zeros(void)
{
    size_t   n = 16 * PAGE;
    uint8_t *p = mmap(
        NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ensure(p != MAP_FAILED);
    memset(p, 1, n);
    CHECK_EQ(heap_drop_zeros(p, n), 0);
    memset(p, 0, n);
    p[3 * PAGE] = 1;
    p[8 * PAGE - 1] = 2;
    CHECK_EQ(pages(p, n), 16);
    /* Pages 1, 2, 4 to 6 and 8 to 14. Parts of the first and the last page
           belong to other data. */
    CHECK_EQ(heap_drop_zeros(p + 1, n - 2), 12);
    CHECK_EQ(pages(p, n), 4);
    CHECK_EQ(p[3 * PAGE], 1);
    CHECK_EQ(p[8 * PAGE - 1], 2);
    CHECK_EQ(p[5 * PAGE], 0);
    CHECK_EQ(heap_drop_zeros(p, 0), 0);
    CHECK_EQ(heap_drop_zeros(p + 1, 10), 0);
    munmap(p, n);
}

static unsigned called;

static void
count_cb(struct ev_loop *loop, ev_io *w, int revents)
{
    char byte;

    (void)loop, (void)revents;
    called++;
    CHECK_EQ(read(w->fd, &byte, 1), 1);
}

static void
loop_memory(void)
{
    ev_io high, low;
    int   fds[2];

    ensure(pipe(fds) == 0);
    /* Rows for 1,024 descriptors fill four pages, of which few are used. */
    ensure(dup2(fds[0], 520) == 520);
    CHECK_EQ(loop_memory_trim(), 0);
    ev_io_init(&high, count_cb, 520, EV_READ);
    ev_io_start(self.loop, &high);
    CHECK(loop_memory_trim() >= 2);
    CHECK_EQ(loop_memory_trim(), 0);
    ensure(write(fds[1], "x", 1) == 1);
    ev_run(self.loop, EVRUN_NOWAIT);
    CHECK_EQ(called, 1);
    /* The rows of pages that were released can be used again. */
    ensure(dup2(fds[0], 1000) == 1000);
    ev_io_init(&low, count_cb, 1000, EV_READ);
    ev_io_stop(self.loop, &high);
    ev_io_start(self.loop, &low);
    ensure(write(fds[1], "x", 1) == 1);
    ev_run(self.loop, EVRUN_NOWAIT);
    CHECK_EQ(called, 2);
    ev_io_stop(self.loop, &low);
    close(520);
    close(1000);
    close(fds[0]);
    close(fds[1]);
}

static void
await(struct conn *c, unsigned i)
{
    char          line[128];
    struct buf    text = BUF_INIT(128);
    struct fields f;

    fields_begin(&text, "x");
    fields_put_bytes(&text, "boot_name", "0123456789abcde", 15);
    fields_put_u64(&text, "n", i);
    fields_end(&text);
    memcpy(line, text.p, text.len);
    ensure(fields_parse(&f, line, text.len));
    CHECK(!certificate_read(c, &f)); /* a digest has 16 bytes */
    buf_clear(&text);
    fields_begin(&text, "x");
    fields_put_bytes(&text, "boot_name", "0123456789abcdef", 16);
    fields_end(&text);
    memcpy(line, text.p, text.len);
    ensure(fields_parse(&f, line, text.len));
    CHECK(certificate_read(c, &f));
    buf_free(&text);
}

static bool
awaits(const struct conn *c)
{
    struct buf out = BUF_INIT(128);

    certificate_write(c, &out);
    bool good = out.len > 0 && strstr(buf_cstr(&out), "0123456789abcdef");
    buf_free(&out);
    return good;
}

/* tls.client_name = serial: a digest is stored only until the boot. */
static void
digests(void)
{
    static struct conn *c[CONNECTIONS];
    const uint64_t      addr[2] = {0, 0};

    ensure(conn_init(CONNECTIONS));
    certificate_open(CONNECTIONS);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        int fd = open("/dev/null", O_RDONLY);
        c[i] = conn_new(fd, LISTENER_PLAIN, addr, 0, false);
        ensure(c[i] != NULL);
        c[i]->state = CONN_OPEN;
        await(c[i], i);
    }
    CHECK_EQ(certificate_trim(), 0);
    for (unsigned i = 1; i < CONNECTIONS; i++)
        certificate_forget(c[i]);
    CHECK(awaits(c[0]));
    CHECK(!awaits(c[1]));
    /* 600 digests take two whole pages and a part; the first digest is in use.
     */
    CHECK_EQ(certificate_trim(), 1);
    CHECK_EQ(certificate_trim(), 0);
    CHECK(awaits(c[0]));
    certificate_forget(c[0]);
    CHECK_EQ(certificate_trim(), 2);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        conn_forget(c[i]);
    ev_run(self.loop, EVRUN_NOWAIT);
    CHECK_EQ(conn_at(0)->state, CONN_FREE);
}

int
main(void)
{
    drop_zeros();
    loop_memory_open();
    self.loop = ev_loop_new(EVFLAG_NOENV);
    ensure(self.loop != NULL);
    loop_memory();
    digests();
    return unit_done();
}
