/*
 * shm: the one shared-memory segment of a daemon.
 *
 * A sealed memfd, made by the master before it forks, mapped by all workers
 * (read and write) and by the admin process (read only). It holds what must
 * be common or must outlive a worker: the registry, the counters, the
 * configuration, last words. No pointers; everything by offset and index.
 *
 *   struct shm | struct shm_worker[slots] | struct registry ...
 */
#ifndef COMMON_SHM_H
#define COMMON_SHM_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "address.h"
#include "address_count.h"
#include "close.h"
#include "config.h"
#include "identity.h"
#include "penalty.h"
#include "registry.h"
#include "stats.h"
#include "ticket.h"

/* A member that moves the others, in the program that stands for another
 * version in test/upgrade.py. */
#ifndef SHM_OTHER_LAYOUT
#define SHM_OTHER_LAYOUT
#endif

#define SHM_HTTP_STATUSES 5

#define SHM_MAGIC UINT64_C(0x6470706364)
#define SHM_STALE_MS 2000 /* without progress so long, a worker hangs */
#define SHM_WORDS_MAX 256
#define SHM_REFUSALS 64 /* remembered per worker */
#define SHM_SILENT 16   /* ... and of clients that sent nothing */
#define SHM_PATH_MAX 96
#define SHM_OFFERED_MAX 64
#define SHM_DETAIL_MAX 208

enum shm_worker_state {
    SHM_WORKER_DOWN,     /* no process; the master will start one */
    SHM_WORKER_STARTING, /* forked, not ready yet */
    SHM_WORKER_READY,
    SHM_WORKER_DRAINING,
    SHM_WORKER_FAILED, /* it exited with "do not respawn"; an operator restarts
                          it */
    SHM_WORKER_MOVED   /* the new program has it, an upgrade is under way */
};

/*
 * Refused handshakes that are alike, for `ocppctl refused` and `show`: same
 * reason, address, identity and path. Written by the worker: seq is odd while
 * it does, so that a reader can recognise a torn one; 0 was never written.
 */
struct shm_refusal {
    _Atomic uint64_t seq;
    uint64_t         wall_ms; /* of the last one */
    uint64_t         first_ms;
    uint64_t         addr[2];
    uint32_t         count;
    uint16_t         port;   /* of the last one */
    uint16_t         status; /* of HTTP, as sent; 0: nothing was sent */
    uint8_t          reason; /* enum refuse_reason */
    uint8_t          name_len;
    char             name[IDENTITY_MAX];
    /* NUL-terminated, printable (printable.h); "" if nothing came. */
    char path[SHM_PATH_MAX];       /* as sent, without the query */
    char offered[SHM_OFFERED_MAX]; /* Sec-WebSocket-Protocol as sent */
    char detail[SHM_DETAIL_MAX];
};

/* One worker slot. The master writes what is marked m, the worker the rest;
 * all processes read. */
struct shm_worker {
    _Atomic int32_t  pid;         /* m: 0 if none */
    _Atomic int32_t  state;       /* m: enum shm_worker_state */
    _Atomic uint32_t incarnation; /* m: how many processes the slot has had */
    _Atomic uint64_t started_ms;  /* m: monotonic */
    _Atomic uint32_t recovered; /* the slot's journal has been read back once */
    /* The sessions and drafts of the slot are in this segment: before its first
     * start, and until it has inherited from another program, they are not. */
    _Atomic uint32_t served;
    _Atomic uint64_t born;        /* m: shm.sequence before pid began: lower
                                     generations are those of dead ones */
    _Atomic uint64_t alive_ms;    /* monotonic; each tick of the sweep */
    _Atomic uint64_t config_seen; /* version of the configuration it uses */

    /* Every event of this worker with a lower number is durable, or will
     * never be; UINT64_MAX while nothing waits. Stored (seq_cst) before the
     * number is drawn from shm.sequence, so that a reader which loads the
     * sequence first and then all floors may take the smallest as final. */
    _Atomic uint64_t journal_floor;
    /* Every event of this slot with a lower number is in Redis; UINT64_MAX
     * while all are. Lowered (seq_cst) before a number is drawn. It outlives
     * the worker: a successor goes on from it. */
    _Atomic uint64_t ship_floor;
    _Atomic uint32_t journal_errno; /* of the last failure; 0 while it works */

    SHM_OTHER_LAYOUT
    char words[SHM_WORDS_MAX]; /* last words (ensure.h) */

    /* m: the last unexpected death of a process of this slot. */
    _Atomic uint32_t deaths;
    _Atomic uint64_t died_wall_ms;         /* 0: never */
    char             death[SHM_WORDS_MAX]; /* how, and its last words */

    /* Its connection to Redis: a word ("ready", "down", "auth" ...; empty
     * without [redis]) and a sentence for people. Torn reads are harmless. */
    char redis_word[16];
    char redis_words[SHM_WORDS_MAX];
    /* By SHM_REFUSALS those with a request, then those without: clients that
     * connect and send nothing never take the place of the others. */
    struct shm_refusal refusal[SHM_REFUSALS + SHM_SILENT];
    /* Monotonic seconds of the last refusal, by reason; 0 never. */
    _Atomic uint32_t refused_s[REFUSE_REASONS];
    struct stats     stats;
};

/* One certificate or revocation list. */
#define SHM_TLS_FILES 64
struct shm_tls_file {
    char    file[CONF_TEXT_MAX];
    char    name[65]; /* CN */
    char    serial[43];
    char    type[12];  /* RSA, ECDSA, authority, CRL */
    int64_t not_after; /* Unix seconds; of a list: the next update */
};

struct shm {
    uint64_t magic;
    uint64_t layout; /* shm_layout() of the program that made it */
    uint32_t slots;
    uint64_t size;
    uint64_t registry_offset;
    uint64_t address_count_offset;
    uint64_t penalty_offset;
    uint64_t latest_offset;
    uint64_t started_wall_ms;
    uint64_t started_mono_ms;
    int32_t  master_pid;
    char     node[40];
    char     version[24];

    SHM_OTHER_LAYOUT
    /* Generations and event numbers. Seeded with the wall clock in
     * microseconds, raised by each worker above what its journal holds; so
     * they grow over restarts too. fetch_add, relaxed but for the rule at
     * journal_floor. */
    _Atomic uint64_t sequence;
    /* All events from before this start of the daemon have lower numbers.
     * Stored once, by the worker that is first to have read its journal back.
     */
    _Atomic uint64_t life;
    /* As shm_worker.ship_floor, of the slots that have no worker any more;
     * worker 0 stores it. */
    _Atomic uint64_t orphans_floor;
    _Atomic int      log_level;
    _Atomic uint32_t draining; /* 1: no new connections anywhere */

    /* Raised by the master when the file changed; workers read it then. */
    _Atomic uint64_t auth_version;
    _Atomic uint64_t deny_version;

    /* The configuration, twice: version v lies in copy v & 1. The master
     * writes the other copy, then stores the version (release). A reader
     * copies and looks at the version again; the copy it read can only have
     * been overwritten if the version moved. The sum is of the copy and its
     * version, so that a reader rejects a copy that a stray store damaged. */
    _Atomic uint64_t config_version;
    uint64_t         config_sum[2];
    struct config    config[2];

    /* Keys of TLS session tickets. Master only; see ticket.h. */
    struct ticket_keys tickets;

    /* The certificates in force, for `ocppctl tls` and metrics. Master only;
     * a torn read shows a wrong line once. */
    uint32_t            tls_files_n;
    uint64_t            tls_loaded_ms; /* wall clock; 0 without TLS */
    struct shm_tls_file tls_files[SHM_TLS_FILES];

    /* What former programs of this service counted, before an upgrade. Master
     * only. */
    struct stats before;

    /* Upgrades, for `ocppctl status`. Master only. service_wall_ms: when the
     * first program of the service began; upgrades: successful ones since. The
     * rest is of the last attempt; upgrade_wall_ms is 0 if there was none. */
    uint64_t service_wall_ms;
    uint32_t upgrades;
    uint32_t upgrades_failed;
    uint64_t upgrade_wall_ms;
    uint64_t upgrade_took_ms;
    uint64_t upgrade_moved;  /* connections */
    uint64_t upgrade_closed; /* ... that could not be moved */
    bool     upgrade_failed;
    bool     upgrading; /* one is under way */
    char     upgrade_words[SHM_WORDS_MAX];

    /* The last reload, for `ocppctl status`. Master only. */
    uint64_t reload_wall_ms;
    uint64_t config_loaded_ms; /* wall clock: the configuration in force */
    uint32_t reloads;
    uint32_t reloads_failed;
    bool     reload_failed; /* the last one did */
    bool     master_waits;  /* a thread of the master, long, for a disk */
    char     reload_words[SHM_WORDS_MAX];

    /* What the admin port has refused, by shm_http_status[], and the last one.
     * Master only. */
    uint64_t http_refused[SHM_HTTP_STATUSES];
    uint64_t http_refused_wall_ms; /* 0: none */
    unsigned http_refused_status;
    char     http_refused_from[ADDRESS_LEN];
};

/* HTTP statuses of refusals; 0: a connection that was cut because of limits. */
extern const unsigned shm_http_status[SHM_HTTP_STATUSES];

/* Differs between two programs whose segments differ: made from the tables
 * and the sizes of the structs. */
uint64_t shm_layout(void);

/* Makes the segment for a configuration; *fd is the memfd. NULL with errno.
 * slots: workers. node: resolved name. */
struct shm *shm_make(
    const struct config *c, unsigned slots, const char *node, int *fd);
/* Maps it again, read only, in a child of the process that made it (admin). */
const struct shm *shm_map_readonly(int fd);

/* From private memory where this process has inherited it from the maker: no
 * other process can change it. capacity: entries of the registry. */
unsigned shm_slots(const struct shm *s);
uint64_t shm_size(const struct shm *s);
uint32_t shm_capacity(const struct shm *s);

/* With [redis]: the latest event of a registry entry's identity, its slot in
 * the bits above SHM_LATEST_SHIFT and its number below; 0 if there is none in
 * this life of the daemon. The worker that makes the event exchanges it. 8
 * bytes for each identity, so that its events reach Redis in order although
 * each worker ships its own journal. */
#define SHM_LATEST_SHIFT 53
_Atomic uint64_t *shm_latest(struct shm *s, uint32_t entry);

struct shm_worker    *shm_worker(const struct shm *s, unsigned slot);
struct registry      *shm_registry(const struct shm *s);
struct address_count *shm_crowd(const struct shm *s);
struct penalty       *shm_penalty(const struct shm *s);

void shm_config_publish(struct shm *s, const struct config *c);
/* Its version. While the shared copy is spoiled: the last good one that this
 * process, or the master before it forked, has seen. */
uint64_t shm_config_read(const struct shm *s, struct config *c);
/* Puts what was published last back in its place; true if it had to. */
bool shm_config_mend(struct shm *s);

/* Charge points that are here, in all workers: what max_connections bounds.
 * Workers that ask at the same moment may pass the bound by one each. */
uint64_t shm_sessions(const struct shm *s);

/* Connections in their opening handshake, of all workers. */
uint64_t shm_handshaking(const struct shm *s);

/* Connections counted at a place, of all workers that live. */
uint64_t shm_crowd_count(const struct shm *s, struct address_count_place p);

/* The values of all workers and of former programs, added up. */
void shm_sum(const struct shm *s, struct stats *sum);

/* "ready" and so on, of enum shm_worker_state; "unknown" of another value. */
const char *shm_state_word(int state);

#endif
