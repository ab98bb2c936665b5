/*
 * shm: the one shared-memory segment of a daemon.
 *
 * The segment is a sealed memfd. The master makes it before it forks; all
 * workers map it for reading and writing, the admin process for reading only.
 * It holds what all processes share and what must outlive a worker: the
 * registry, the counters, the configuration, and the last message of a worker
 * that died. It holds no pointers, only offsets and indexes.
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

/* test/upgrade.py builds a program of "another version" with a member here,
 * which moves the members behind it. */
#ifndef SHM_OTHER_LAYOUT
#define SHM_OTHER_LAYOUT
#endif

#define SHM_HTTP_STATUSES 5

#define SHM_MAGIC UINT64_C(0x6470706364)
/* ms without a sweep after which health and `top` report that a worker hangs.
 * It is aborted after server.stuck_timeout. */
#define SHM_STALE_MS 2000
#define SHM_WORDS_MAX 256 /* bytes of a sentence for operators */
#define SHM_REFUSALS 64   /* refusals of requests, kept per worker */
#define SHM_SILENT 16     /* refusals of clients that sent no request */
#define SHM_PATH_MAX 96   /* bytes of these texts of a refusal, with NUL */
#define SHM_OFFERED_MAX 64
#define SHM_DETAIL_MAX 208

enum shm_worker_state {
    SHM_WORKER_DOWN,     /* no process; the master will start one */
    SHM_WORKER_STARTING, /* forked, not ready yet */
    SHM_WORKER_READY,
    SHM_WORKER_DRAINING,
    SHM_WORKER_FAILED, /* it exited with "do not respawn"; an operator restarts
                          it */
    SHM_WORKER_MOVED   /* the slot has moved to the new program */
};

/*
 * Refused handshakes with the same reason, address, identity and path, for
 * `ocppctl refused` and `show`. The worker writes; seq is odd while it does, so
 * a reader that sees an odd or a changed seq discards what it has read. seq is
 * 0 if the place was never written.
 */
struct shm_refusal {
    _Atomic uint64_t seq;
    uint64_t         wall_ms;  /* of the last one, Unix time */
    uint64_t         first_ms; /* of the first one, Unix time */
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

/* One worker slot. The master writes the members marked m, the worker the
 * others; all processes read. */
struct shm_worker {
    _Atomic int32_t  pid;         /* m: 0 if none */
    _Atomic int32_t  state;       /* m: enum shm_worker_state */
    _Atomic uint32_t incarnation; /* m: how many processes the slot has had */
    _Atomic uint64_t started_ms;  /* m: monotonic */
    _Atomic uint32_t recovered; /* the slot's journal has been read back once */
    /* 1: the sessions and drafts of the slot are in this segment. 0 before the
     * slot's first start, and until it has inherited from another program. */
    _Atomic uint32_t served;
    _Atomic uint64_t born;        /* m: shm.sequence before pid began: lower
                                     generations belong to dead processes */
    _Atomic uint64_t alive_ms;    /* monotonic; set in each sweep */
    _Atomic uint64_t config_seen; /* version of the configuration it uses */

    /* Every event of this worker with a lower number is durable, or was lost;
     * UINT64_MAX while no event waits for the journal. Stored (seq_cst) before
     * a number is drawn from shm.sequence. So a reader that loads the sequence
     * first and the floors of all workers afterwards knows that no event below
     * the smallest floor can still become durable. */
    _Atomic uint64_t journal_floor;
    /* Every event of this slot with a lower number is in Redis; UINT64_MAX
     * while all are. Lowered (seq_cst) before a number is drawn. It outlives
     * the worker, and its successor continues from it. */
    _Atomic uint64_t ship_floor;
    /* An event of this slot with a lower number may be in no journal, although
     * events of other slots name it as their former one (journal_line_after()):
     * the process of that time may have died before the event was durable, or
     * the event was refused. Stored before ship_floor passes such a number. */
    _Atomic uint64_t complete_from;
    _Atomic uint32_t journal_errno; /* of the last failure; 0 while it works */

    SHM_OTHER_LAYOUT
    char words[SHM_WORDS_MAX]; /* the message of a failed ensure() */

    /* m: the last unexpected death of a process of this slot. */
    _Atomic uint32_t deaths;
    _Atomic uint64_t died_wall_ms;         /* 0: never */
    char             death[SHM_WORDS_MAX]; /* its cause, and `words` */

    /* The connection to Redis: a word ("ready", "down", "auth" ...; empty
     * without [redis]) and a sentence for operators. A torn read is only shown
     * once, so there is no lock. */
    char redis_word[16];
    char redis_words[SHM_WORDS_MAX];
    /* The first SHM_REFUSALS places are for clients that sent a request, the
     * rest for clients that sent nothing, so that a flood of the latter does
     * not displace the former. */
    struct shm_refusal refusal[SHM_REFUSALS + SHM_SILENT];
    /* Time of the last refusal of each reason, in monotonic seconds; 0: none.
     */
    _Atomic uint32_t refused_s[REFUSE_REASONS];
    struct stats     stats;
};

/* One certificate or revocation list. */
#define SHM_TLS_FILES 64
struct shm_tls_file {
    char file[CONF_TEXT_MAX];
    char name[65]; /* CN */
    char serial[43];
    char type[12];     /* RSA, ECDSA, other: of a server, by its key; chain:
                          an intermediate that is sent with it; authority; CRL */
    int64_t not_after; /* Unix seconds; of a CRL: its next update */
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
    /* The source of generations and event numbers, drawn by fetch_add (relaxed,
     * except for the rule at journal_floor). It starts at the wall clock in
     * microseconds, and each worker raises it above the numbers in its journal,
     * so that the numbers grow across restarts too. */
    _Atomic uint64_t sequence;
    /* All events from before this start of the daemon have lower numbers.
     * Stored once, by the first worker that has read its journal back. */
    _Atomic uint64_t life;
    /* The ship_floor of slots that have no worker any more, because there were
     * more workers before. Worker 0 stores it. */
    _Atomic uint64_t orphans_floor;
    _Atomic int      log_level;
    _Atomic uint32_t draining; /* 1: no new connections anywhere */

    /* Raised by the master when the file of credentials, or the deny list, has
     * changed; the workers then read the file again. */
    _Atomic uint64_t auth_version;
    _Atomic uint64_t deny_version;

    /* The configuration, twice: version v is in config[v & 1]. The master
     * writes the copy that is not in force, then stores the new version
     * (release). A reader copies config[v & 1] and loads the version again: its
     * copy is good if the version is still v. config_sum is a checksum of the
     * copy and its version: a reader rejects a copy that a stray store of
     * another process has damaged. */
    _Atomic uint64_t config_version;
    uint64_t         config_sum[2];
    struct config    config[2];

    /* Keys of TLS session tickets; see ticket.h. The master writes. */
    struct ticket_keys tickets;

    /* The certificates in force, for `ocppctl tls` and metrics. The master
     * writes; a torn read shows a wrong line once. */
    uint32_t            tls_files_n;
    uint64_t            tls_loaded_ms; /* wall clock; 0 without TLS */
    struct shm_tls_file tls_files[SHM_TLS_FILES];

    /* The counters of former programs of this service, before an upgrade. The
     * master writes. */
    struct stats before;

    /* Upgrades, for `ocppctl status`; the master writes. The members from
     * upgrade_wall_ms on are of the last attempt. */
    uint64_t service_wall_ms; /* start of the service's first program */
    bool     is_successor;    /* an upgrade has started this program; stored
                                 before the first worker starts */
    uint32_t upgrades;        /* since then, successful */
    uint32_t upgrades_failed;
    uint64_t upgrade_wall_ms; /* its begin; 0: there was none */
    uint64_t upgrade_took_ms;
    uint64_t upgrade_moved;  /* connections that have moved */
    uint64_t upgrade_closed; /* connections that could not be moved */
    bool     upgrade_failed;
    bool     upgrading; /* one is in progress */
    char     upgrade_words[SHM_WORDS_MAX];

    /* The last reload, for `ocppctl status`; the master writes. */
    uint64_t reload_wall_ms;
    uint64_t config_loaded_ms; /* wall clock, of the configuration in force */
    uint32_t reloads;
    uint32_t reloads_failed;
    bool     reload_failed; /* the last reload failed */
    bool     master_waits;  /* a thread of the master waits long for a disk */
    char     reload_words[SHM_WORDS_MAX];

    /* Requests that the admin port has refused, counted by shm_http_status[],
     * and the last of them. The master writes. */
    uint64_t http_refused[SHM_HTTP_STATUSES];
    uint64_t http_refused_wall_ms; /* 0: none */
    unsigned http_refused_status;
    char     http_refused_from[ADDRESS_LEN];
};

/* HTTP statuses of refusals; 0: a connection that was closed because of a
 * limit. */
extern const unsigned shm_http_status[SHM_HTTP_STATUSES];

/* A checksum of the tables and the sizes of the structs: two programs whose
 * segments differ in form have different ones. */
uint64_t shm_layout(void);

/* Makes the segment for a configuration; *fd is the memfd. NULL with errno.
 * slots: number of workers. node: the name of this gateway, as resolved from
 * the configuration. */
struct shm *shm_make(
    const struct config *c, unsigned slots, const char *node, int *fd);
/* Maps the segment read only, in a child of the process that made it (the admin
 * process). NULL with errno. */
const struct shm *shm_map_readonly(int fd);

/* The geometry of the segment. In the master and its children it comes from
 * private memory, which no other process can change. capacity: entries of the
 * registry. */
unsigned shm_slots(const struct shm *s);
uint64_t shm_size(const struct shm *s);
uint32_t shm_capacity(const struct shm *s);

/* With [redis]: the latest event of the identity of a registry entry. The slot
 * of its worker is in the bits from SHM_LATEST_SHIFT up, its number in those
 * below; 0 if there was no event since the daemon started. The worker that
 * makes an event exchanges the word. The former value is the event that must
 * reach Redis before this one, and its slot: each worker ships only its own
 * journal. */
#define SHM_LATEST_SHIFT 53
_Atomic uint64_t *shm_latest(struct shm *s, uint32_t entry);

/* Parts of the segment. The slot must be below shm_slots(). */
struct shm_worker    *shm_worker(const struct shm *s, unsigned slot);
struct registry      *shm_registry(const struct shm *s);
struct address_count *shm_crowd(const struct shm *s);
struct penalty       *shm_penalty(const struct shm *s);

/* Puts a configuration in force, for all processes. Called by the master. */
void shm_config_publish(struct shm *s, const struct config *c);
/* Copies the configuration in force and returns its version. While the shared
 * copy is damaged, it is the last good one that this process, or the master
 * before it forked, has read. */
uint64_t shm_config_read(const struct shm *s, struct config *c);
/* Repairs a damaged shared copy from the one that was published last; true if
 * it was damaged. Called by the master. */
bool shm_config_mend(struct shm *s);

/* The number of connected charge points, in all workers; max_connections is its
 * limit. Workers that accept at the same moment may exceed the limit by one
 * each. */
uint64_t shm_sessions(const struct shm *s);

/* The number of connections in their opening handshake, in all workers. */
uint64_t shm_handshaking(const struct shm *s);

/* The number of connections counted at a place, in all live workers. */
uint64_t shm_crowd_count(const struct shm *s, struct address_count_place p);

/* Adds up the values of all workers and of former programs. */
void shm_sum(const struct shm *s, struct stats *sum);

/* The name of a state of enum shm_worker_state, such as "ready"; "unknown" for
 * any other value. */
const char *shm_state_word(int state);

#endif
