/*
 * The records that a new program reads from the old one on the link of the
 * masters (upgrade/peer_link.h). They become the state of the new segment and
 * entries of its registry (shm_state.h). The fuzzer checks that an entry that
 * was read, written and read again in another segment is the same.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/master.h"
#include "config.h"
#include "config_read.h"
#include "ensure.h"
#include "registry.h"
#include "shm_state.h"
#include "upgrade/peer_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define DESCRIPTORS 3 /* that are sent with the first byte */

struct master master;

static struct shm      *shm, *second;
static struct peer_link peer_link = {.fd = -1};
static bool             over;

static void
clear(struct shm *s)
{
    uint32_t capacity = shm_capacity(s);

    memset(shm_registry(s), 0, registry_size(capacity));
    registry_init(shm_registry(s), capacity);
}

static void
read_again(uint32_t entry)
{
    static struct fields f;
    struct buf           one = BUF_INIT(1 << 20), two = BUF_INIT(1 << 20);
    uint32_t             other;

    clear(second);
    if (shm_state_write_entry(shm, entry, &one)) {
        buf_add(&two, one.p, one.len);
        buf_reserve(&two, 1);
        ensure(fields_parse(&f, two.p, two.len));
        ensure(shm_state_read_entry(second, &f, &other) == REGISTRY_OK);
        ensure(f.bad == NULL);
        buf_clear(&two);
        ensure(shm_state_write_entry(second, other, &two));
        ensure(one.len == two.len && memcmp(one.p, two.p, one.len) == 0);
    }
    buf_free(&one);
    buf_free(&two);
}

static void
record(struct fields *f, int passed)
{
    uint32_t entry;

    if (passed >= 0)
        close(passed);
    if (strcmp(f->word, "entry") == 0) {
        if (shm_state_read_entry(shm, f, &entry) == REGISTRY_OK)
            read_again(entry);
    } else if (!shm_state_read(shm, f)) {
        shm_state_read_counters(shm, f);
    }
}

static void
ended(void)
{
    over = true;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char text[] =
        "[server]\nmax_connections = 16\nmax_identities = 64\n"
        "state_dir = /tmp\n[log]\nlevel = error\n";
    static struct config conf;
    struct buf           errors = {.max = 4096};
    int                  fd;

    (void)argc, (void)argv;
    ensure(config_read_text(
        &conf, "fuzz", text, sizeof text - 1, NULL, 0, &errors));
    shm = shm_make(&conf, 2, "fuzz", &fd);
    second = shm_make(&conf, 3, "fuzz", &fd);
    ensure(shm != NULL && second != NULL);
    master.loop = ev_loop_new(EVFLAG_NOENV);
    peer_link.record = record;
    peer_link.ended = ended;
    return 0;
}

static void
send_first(int fd, const uint8_t *data, size_t size)
{
    union {
        struct cmsghdr head;
        char           room[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
    } control = {0};
    int           fds[DESCRIPTORS] = {fd, fd, fd};
    struct iovec  v = {(void *)data, size};
    struct msghdr m = {.msg_iov = &v,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control.room};

    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    ensure(sendmsg(fd, &m, 0) == (ssize_t)size);
}

/* The first byte: where the input is cut into two writes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int ends[2];

    if (size < 3 || size > 32768)
        return 0;
    size_t cut = 1 + data[0] * (size - 2) / 255;
    data++;
    size--;
    if (cut > size)
        cut = size;
    clear(shm);
    over = false;
    ensure(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    peer_link_open(&peer_link, ends[0]);
    send_first(ends[1], data, cut);
    ev_run(master.loop, EVRUN_NOWAIT);
    if (cut < size && !over)
        ensure(send(ends[1], data + cut, size - cut, MSG_NOSIGNAL) > 0);
    close(ends[1]);
    for (int i = 0; i < 20 && !over; i++)
        ev_run(master.loop, EVRUN_NOWAIT);
    peer_link_close(&peer_link);
    return 0;
}
