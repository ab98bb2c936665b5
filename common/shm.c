/* shm: the one shared-memory segment of a daemon. See shm.h. */
#include "shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "ensure.h"
#include "knob.h"
#include "registry_blocks.h"
#include "version.h"

/* The offsets in the segment, in private memory, which other processes cannot
 * write. A process has them since before the fork, and never reads them from
 * the segment. */
struct geometry {
    const struct shm *of;
    unsigned          slots;
    uint64_t          size, registry, crowd, penalty;
    uint32_t          capacity;
};

static struct geometry known_place;

static size_t
round4k(size_t n)
{
    return (n + 4095) & ~(size_t)4095;
}

static uint64_t
mix_word(uint64_t h, const char *word)
{
    return hash_sum(word, strlen(word), h);
}

uint64_t
shm_layout(void)
{
    const uint64_t sizes[] = {sizeof(struct shm), sizeof(struct shm_worker),
        sizeof(struct shm_refusal), sizeof(struct config),
        sizeof(struct registry), sizeof(struct registry_entry),
        sizeof(struct registry_starts), sizeof(struct registry_proof),
        sizeof(struct registry_answers), sizeof(union registry_block_page),
        sizeof(struct registry_remotes), sizeof(struct registry_model),
        REGISTRY_STARTS_FORMAT, sizeof(struct stats),
        offsetof(struct shm, sequence), offsetof(struct shm, config),
        offsetof(struct shm_worker, stats), address_count_size(1, 1),
        penalty_size(1), registry_size(1)};
    uint64_t       h = hash_sum(sizes, sizeof sizes, 0);

    for (size_t i = 0; i < stat_info_count; i++) {
        h = mix_word(h, stat_info[i].name);
        for (unsigned r = 0; stat_info[i].label && r < stat_info[i].rows; r++)
            h = mix_word(h, stat_info[i].row_name(r));
    }
    for (unsigned k = 0; k < CONF_KNOBS; k++)
        h = mix_word(mix_word(h, knobs[k].section), knobs[k].key);
    for (unsigned i = 0; i < CONF_CHOICES; i++)
        h = mix_word(h, knob_choices[i].word);
    return h;
}

/* Ticket keys and the configuration's passwords must not be in core files.
 * Children inherit this setting. */
static void
hide(const struct shm *s)
{
    madvise((void *)s, round4k(sizeof *s), MADV_DONTDUMP);
}

const unsigned shm_http_status[SHM_HTTP_STATUSES] = {401, 403, 413, 503, 0};

struct shm *
shm_make(const struct config *c, unsigned slots, const char *node, int *fd)
{
    uint32_t capacity =
        (uint32_t)(c->server_max_identities ? c->server_max_identities
                                            : 2 * c->server_max_connections);
    size_t workers = round4k(sizeof(struct shm));
    size_t registry = round4k(workers + slots * sizeof(struct shm_worker));
    size_t crowd = round4k(registry + registry_size(capacity));
    size_t penalty =
        round4k(crowd + address_count_size(slots, c->server_max_connections));
    size_t latest = round4k(penalty + penalty_size(c->server_max_connections));
    size_t size = round4k(latest + capacity * sizeof(uint64_t));

    *fd = memfd_create("ocppd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0)
        return NULL;
    if (ftruncate(*fd, (off_t)size) != 0 ||
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        goto fail;
    struct shm *s =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (s == MAP_FAILED)
        goto fail;
    hide(s);

    s->magic = SHM_MAGIC;
    s->layout = shm_layout();
    s->slots = slots;
    s->size = size;
    s->registry_offset = registry;
    s->address_count_offset = crowd;
    s->penalty_offset = penalty;
    s->latest_offset = latest;
    known_place =
        (struct geometry){s, slots, size, registry, crowd, penalty, capacity};
    s->auth_version = s->deny_version = 1;
    s->started_wall_ms = clock_wall_ms();
    s->config_loaded_ms = s->started_wall_ms;
    s->started_mono_ms = clock_mono_ms();
    s->service_wall_ms = s->started_wall_ms;
    s->master_pid = getpid();
    s->sequence = clock_wall_us();
    snprintf(s->node, sizeof s->node, "%s", node);
    snprintf(s->version, sizeof s->version, "%s", OCPPD_VERSION);
    for (unsigned i = 0; i < slots; i++)
        shm_worker(s, i)->journal_floor = UINT64_MAX;
    registry_init(shm_registry(s), capacity);
    address_count_init(shm_crowd(s), slots, c->server_max_connections);
    penalty_init(shm_penalty(s), c->server_max_connections);
    shm_config_publish(s, c);
    return s;
fail:;
    int saved = errno;
    close(*fd);
    errno = saved;
    return NULL;
}

_Atomic uint64_t *
shm_latest(struct shm *s, uint32_t entry)
{
    ensure(entry < shm_registry(s)->capacity);
    return (_Atomic uint64_t *)((char *)s + s->latest_offset) + entry;
}

const struct shm *
shm_map_readonly(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return NULL;
    const struct shm *s =
        mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (s == MAP_FAILED)
        return NULL;
    hide(s);
    ensure(known_place.of != NULL && known_place.size == (uint64_t)st.st_size);
    known_place.of = s;
    registry_attach(shm_registry(s), known_place.capacity);
    return s;
}

/* The geometry in the segment, for a process that has not created the segment
 * (a tool, or a test with several segments). */
static struct geometry
place_of(const struct shm *s)
{
    if (s == known_place.of)
        return known_place;
    return (struct geometry){.of = s,
        .slots = s->slots,
        .size = s->size,
        .registry = s->registry_offset,
        .crowd = s->address_count_offset,
        .penalty = s->penalty_offset,
        .capacity =
            ((struct registry *)((char *)s + s->registry_offset))->capacity};
}

unsigned
shm_slots(const struct shm *s)
{
    return place_of(s).slots;
}

uint64_t
shm_size(const struct shm *s)
{
    return place_of(s).size;
}

uint32_t
shm_capacity(const struct shm *s)
{
    return place_of(s).capacity;
}

struct shm_worker *
shm_worker(const struct shm *s, unsigned slot)
{
    ensure(slot < shm_slots(s));
    return (struct shm_worker *)((char *)s + round4k(sizeof *s)) + slot;
}

struct registry *
shm_registry(const struct shm *s)
{
    return (struct registry *)((char *)s + place_of(s).registry);
}

struct address_count *
shm_crowd(const struct shm *s)
{
    return (struct address_count *)((char *)s + place_of(s).crowd);
}

struct penalty *
shm_penalty(const struct shm *s)
{
    return (struct penalty *)((char *)s + place_of(s).penalty);
}

/* The last good configuration, and the segment that it belongs to. */
static struct config     known;
static uint64_t          known_version;
static const struct shm *known_of;
static pid_t             publisher; /* the process that has published it */

static uint64_t
sum_of(const struct config *c, uint64_t version)
{
    return hash_sum(c, sizeof *c, version);
}

static void
put_config(struct shm *s)
{
    struct config *to = &s->config[known_version & 1];

    memcpy(to, &known, sizeof known); /* copies the padding too, because the
                                         checksum covers it */
    s->config_sum[known_version & 1] = sum_of(to, known_version);
    atomic_store_explicit(
        &s->config_version, known_version, memory_order_release);
}

void
shm_config_publish(struct shm *s, const struct config *c)
{
    known_version = known_of == s ? known_version + 1 : 1;
    known_of = s;
    publisher = getpid();
    memcpy(&known, c, sizeof known);
    put_config(s);
    atomic_store(&s->log_level, (int)(c->log_level - CONF_log_level_error));
}

/* False if the current copy was damaged. */
static bool
read_config(const struct shm *s, struct config *c, uint64_t *version)
{
    uint64_t v, sum;

    do {
        v = atomic_load_explicit(&s->config_version, memory_order_acquire);
        memcpy(c, &s->config[v & 1], sizeof *c);
        sum = s->config_sum[v & 1];
        atomic_thread_fence(memory_order_acquire);
    } while (
        v != atomic_load_explicit(&s->config_version, memory_order_relaxed));
    *version = v;
    return sum == sum_of(c, v);
}

uint64_t
shm_config_read(const struct shm *s, struct config *c)
{
    uint64_t v;

    if (known_of == s && publisher == getpid()) {
        memcpy(c, &known, sizeof known);
        return known_version;
    }
    if (read_config(s, c, &v)) {
        if (known_of != s || known_version != v) {
            memcpy(&known, c, sizeof known);
            known_version = v;
            known_of = s;
        }
        return v;
    }
    ensure(known_of == s);
    memcpy(c, &known, sizeof known);
    return known_version;
}

bool
shm_config_mend(struct shm *s)
{
    static struct config c;
    uint64_t             v;

    if (known_of != s || (read_config(s, &c, &v) && v == known_version))
        return false;
    put_config(s);
    return true;
}

static uint64_t
sum(const struct shm *s, size_t gauge)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < shm_slots(s); i++)
        n += stat_get(
            (const stat_value *)((const char *)&shm_worker(s, i)->stats +
                gauge));
    return n;
}

uint64_t
shm_sessions(const struct shm *s)
{
    return sum(s, offsetof(struct stats, connections));
}

uint64_t
shm_handshaking(const struct shm *s)
{
    return sum(s, offsetof(struct stats, handshaking));
}

uint64_t
shm_crowd_count(const struct shm *s, struct address_count_place p)
{
    uint64_t sum[ADDRESS_COUNT_ROWS] = {0};

    for (unsigned i = 0; i < shm_slots(s); i++)
        if (shm_worker(s, i)->pid != 0)
            address_count_add(shm_crowd(s), i, p, sum);
    return sum[0] < sum[1] ? sum[0] : sum[1];
}

void
shm_sum(const struct shm *s, struct stats *sum)
{
    memset(sum, 0, sizeof *sum);
    stats_sum(sum, &s->before);
    for (unsigned i = 0; i < shm_slots(s); i++)
        stats_sum(sum, &shm_worker(s, i)->stats);
}

const char *
shm_state_word(int state)
{
    static const char *const names[] = {
        "down", "starting", "ready", "draining", "failed", "moved"};

    return state >= 0 && state <= SHM_WORKER_MOVED ? names[state] : "unknown";
}
