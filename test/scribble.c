/*
 * scribble: writes random numbers into the shared memory of a running gateway,
 * as a stray store would, for tests.
 *
 *     scribble PID PLACE SEED [IDENTITY...]
 *
 * PID is that of the master; its user may open its descriptors, root is not
 * needed. It writes into a place of the layout (places[] below), without any
 * lock, and prints the identities whose entries it has changed. If identities
 * are given, it changes their entries.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm.h"

#define AT_ONCE 5 /* entries that are changed if no identity is given */

static struct shm      *shm;
static struct registry *reg;
static uint64_t         state;
static char           **names;
static int              names_n;

static uint64_t
chance(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void
noise(void *p, size_t n)
{
    unsigned char *b = p;

    for (size_t i = 0; i < n; i++)
        b[i] = (unsigned char)(chance() >> 24);
}

/* Returns the number of entries in use, at least 1. */
static uint32_t
used(void)
{
    uint32_t n = registry_used(reg);

    return n > 0 ? n : 1;
}

/* Returns an index that exists, or any number. */
static uint32_t
some_link(void)
{
    return chance() % 2 ? (uint32_t)chance()
                        : (uint32_t)(chance() % used()) + 1;
}

static uint32_t
entry_named(const char *name)
{
    size_t n = strlen(name);

    for (uint32_t i = 0; i < used(); i++) {
        struct registry_entry *e = registry_at(reg, i);
        if (e->name_len == n && memcmp(e->name, name, n) == 0)
            return i;
    }
    fprintf(stderr, "scribble: no entry has the name %s\n", name);
    exit(1);
}

static void
each_entry(void (*spoil)(struct registry_entry *e))
{
    int n = names_n > 0 ? names_n : AT_ONCE;

    for (int i = 0; i < n; i++) {
        uint32_t k =
            names_n > 0 ? entry_named(names[i]) : (uint32_t)(chance() % used());
        struct registry_entry *e = registry_at(reg, k);
        if (e->name_len > 0 && e->name_len <= IDENTITY_MAX)
            printf("%.*s\n", e->name_len, e->name);
        spoil(e);
    }
}

static void
spoil_owner(struct registry_entry *e)
{
    e->owner = chance();
}

static void
spoil_name(struct registry_entry *e)
{
    switch (chance() % 3) {
    case 0:
        e->name_len ^= (uint8_t)(chance() % 255 + 1);
        break;
    case 1:
        e->hash ^= (uint32_t)(chance() % UINT32_MAX + 1);
        break;
    case 2:
        noise(e->name, e->name_len);
        break;
    }
}

static void
owners(void)
{
    each_entry(spoil_owner);
}

static void
entry_names(void)
{
    each_entry(spoil_name);
}

/* Some of the chains leave the table, and some have no end. */
static void
chains(void)
{
    uint32_t *head =
        (uint32_t *)((char *)reg + ((sizeof *reg + 63) & ~(size_t)63));

    for (uint32_t i = 0; i < reg->heads; i++)
        if (chance() % 4 == 0)
            head[i] = some_link();
    for (uint32_t i = 0; i < used(); i++)
        if (chance() % 4 == 0)
            registry_at(reg, i)->next = chance() % 3 == 0 ? i + 1 : some_link();
}

static void
counts(void)
{
    reg->used =
        chance() % 2 ? (uint32_t)chance() : (uint32_t)(chance() % used());
    reg->hand = (uint32_t)chance();
}

static void
configuration(void)
{
    struct config *c = &shm->config[shm->config_version & 1];

    if (chance() % 4 == 0)
        shm->config_version = chance();
    for (int i = 0; i < 50; i++)
        noise((char *)c + chance() % (sizeof *c - 8), 8);
}

static void
workers(void)
{
    for (unsigned i = 0; i < shm->slots; i++) {
        struct shm_worker *w = shm_worker(shm, i);
        w->pid = (int32_t)chance();
        w->state = (int32_t)chance();
        w->incarnation = (uint32_t)chance() | 2;
        w->started_ms = chance();
        w->born = chance();
        w->alive_ms = chance();
        w->config_seen = chance();
        w->journal_floor = chance();
        w->journal_errno = (uint32_t)chance();
        noise(w->words, sizeof w->words);
        noise(w->redis_word, sizeof w->redis_word);
        noise(w->redis_words, sizeof w->redis_words);
    }
    shm->draining = (uint32_t)chance() | 1;
    shm->log_level = (int)chance();
    shm->auth_version = chance();
    shm->deny_version = chance();
}

static void
refusals(void)
{
    for (unsigned i = 0; i < shm->slots; i++) {
        struct shm_worker *w = shm_worker(shm, i);
        noise(w->refusal, sizeof w->refusal);
        noise((void *)w->refused_s, sizeof w->refused_s);
    }
}

/* Changes the gauges that are compared with limits. */
static void
gauges(void)
{
    for (unsigned i = 0; i < shm->slots; i++) {
        struct stats *st = &shm_worker(shm, i)->stats;
        stat_value *one[] = {&st->connections, &st->handshaking, &st->closing};
        stat_set(one[chance() % 3], chance());
    }
}

/* Changes all counters except gauges. */
static void
counters(void)
{
    for (size_t k = 0; k < stat_info_count; k++) {
        if (stat_info[k].kind == STAT_GAUGE)
            continue;
        for (unsigned i = 0; i < shm->slots; i++)
            noise((char *)&shm_worker(shm, i)->stats + stat_info[k].offset, 8);
    }
}

/* Sets the sequence back to a former value, or further back. */
static void
sequence(void)
{
    shm->sequence -= chance() % 1000000;
}

/* Changes the offsets, and the lock: a compromised worker would overwrite them
 * to mislead the master. */
static void
geometry(void)
{
    noise(&reg->lock, sizeof reg->lock);
    reg->capacity = (uint32_t)chance();
    reg->heads = (uint32_t)chance();
    shm->slots = (uint32_t)chance();
    noise(&shm->size, sizeof shm->size);
    noise(&shm->registry_offset, sizeof shm->registry_offset);
    noise(&shm->address_count_offset, sizeof shm->address_count_offset);
    noise(&shm->penalty_offset, sizeof shm->penalty_offset);
    memset(shm->node, 'n', sizeof shm->node);
    memset(shm->version, 'v', sizeof shm->version);
    memset(shm->reload_words, 'w', sizeof shm->reload_words);
}

/* Writes nothing, but holds the registry's lock until the input ends. */
static void
lock(void)
{
    char byte;

    if (pthread_mutex_lock(&reg->lock) != 0)
        exit(1);
    puts("locked");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    pthread_mutex_unlock(&reg->lock);
}

static const struct {
    const char *name;
    void (*spoil)(void);
} places[] = {{"owners", owners}, {"names", entry_names}, {"chains", chains},
    {"counts", counts}, {"config", configuration}, {"workers", workers},
    {"refusals", refusals}, {"gauges", gauges}, {"counters", counters},
    {"sequence", sequence}, {"geometry", geometry}, {"lock", lock}};

/* Finds the segment: it is a memfd, which has no name in any directory. */
static int
open_segment(const char *pid)
{
    char           dir[64], path[sizeof dir + 300], target[64];
    struct dirent *d;
    int            fd = -1;

    snprintf(dir, sizeof dir, "/proc/%s/fd", pid);
    DIR *all = opendir(dir);
    while (all != NULL && fd < 0 && (d = readdir(all)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        if (strncmp(target, "/memfd:ocppd", 12) == 0)
            fd = open(path, O_RDWR | O_CLOEXEC);
    }
    if (all != NULL)
        closedir(all);
    return fd;
}

int
main(int argc, char **argv)
{
    struct stat st;

    if (argc < 4) {
        fprintf(stderr, "usage: scribble PID PLACE SEED [IDENTITY...]\n");
        return 2;
    }
    int fd = open_segment(argv[1]);
    if (fd < 0 || fstat(fd, &st) != 0 ||
        (shm = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
             MAP_SHARED, fd, 0)) == MAP_FAILED) {
        perror("scribble");
        return 1;
    }
    if (shm->magic != SHM_MAGIC || shm->layout != shm_layout()) {
        fprintf(stderr, "scribble: the segment has another layout\n");
        return 1;
    }
    reg = shm_registry(shm);
    state = strtoull(argv[3], NULL, 10) * UINT64_C(0x9e3779b97f4a7c15) | 1;
    names = argv + 4;
    names_n = argc - 4;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strcmp(argv[2], places[i].name) == 0) {
            places[i].spoil();
            return 0;
        }
    fprintf(stderr, "scribble: there is no place %s\n", argv[2]);
    return 2;
}
