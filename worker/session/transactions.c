/* transactions: recognizes a StartTransaction that is sent again. See
 * transactions.h. */
#include "session/transactions.h"

#include <string.h>

#include "base/self.h"
#include "clock.h"
#include "journal/journal.h"
#include "journal_line.h"
#include "ocpp/tape.h"
#include "ocpp/transaction.h"

/* --- starts that were seen before ---------------------------------------- */

/* True if every journal of this daemon has been read back. Before that, a start
 * that is not known yet may be in another journal. */
static bool
all_recovered(void)
{
    static bool all;

    for (unsigned i = 0; !all && i < self.shm->slots; i++)
        if (!shm_worker(self.shm, i)->recovered)
            return false;
    return all = true;
}

/* Judges a draft of another worker, or of the former process of this slot. */
static enum transactions_found
find_draft(const struct registry_start *start, uint64_t *resolved_ms)
{
    if (start->slot >= self.shm->slots)
        return TRANSACTION_NEW;
    struct shm_worker *w = shm_worker(self.shm, start->slot);
    if (start->slot == self.slot)
        return TRANSACTION_NEW; /* recovery did not find its event */
    /* The journal floor stays at or below the number until the event is
     * durable, or until the successor of a worker that died has read the
     * journal. The owner marks the start as known right after raising the
     * floor, in the same turn of its loop; alive_ms shows that this turn is
     * over. If the start is still a draft after it, its event was lost. */
    if (w->journal_floor <= start->number) {
        *resolved_ms = 0;
        return TRANSACTION_UNSURE;
    }
    uint64_t now_ms = clock_mono_ms();
    if (*resolved_ms == 0)
        *resolved_ms = now_ms;
    return w->alive_ms > *resolved_ms ? TRANSACTION_NEW : TRANSACTION_UNSURE;
}

enum transactions_found
transactions_find(uint32_t entry, const uint64_t fingerprint[2],
    struct registry_start *start, uint64_t *resolved_ms)
{
    struct shm_worker *w;

    switch (registry_start_find(self.registry, entry, fingerprint, start)) {
    case REGISTRY_START_KNOWN:
        return TRANSACTION_KNOWN;
    case REGISTRY_START_DRAFT:
        if (start->slot == self.slot && start->number >= self.mem->born)
            return start->number <= journal_committed() ? TRANSACTION_KNOWN
                                                        : TRANSACTION_WRITTEN;
        return find_draft(start, resolved_ms);
    case REGISTRY_START_ASKED:
        if (start->slot == self.slot)
            return start->number >= self.mem->born ? TRANSACTION_ASKED
                                                   : TRANSACTION_NEW;
        if (start->slot >= self.shm->slots)
            return TRANSACTION_NEW;
        w = shm_worker(self.shm, start->slot);
        return w->pid != 0 && w->born <= start->number ? TRANSACTION_UNSURE
                                                       : TRANSACTION_NEW;
    case REGISTRY_START_UNKNOWN:
        break;
    }
    return all_recovered() ? TRANSACTION_NEW : TRANSACTION_UNSURE;
}

/* --- recovery ------------------------------------------------------------ */

static bool
is_type(const char *line, size_t len, const char *type)
{
    const char *value;
    size_t      n;

    return journal_line_field(line, len, "eventType", &value, &n) &&
        n == strlen(type) + 2 && memcmp(value + 1, type, n - 2) == 0;
}

/* Reads a message whose answer is remembered. */
static void
recover_message(uint64_t number, uint32_t entry, enum registry_start_kind kind,
    const struct json *tape, uint32_t call, uint32_t answer, int32_t id)
{
    uint64_t    fingerprint[2];
    size_t      n;
    const char *text = json_raw(tape, answer, &n);

    transaction_fingerprint(kind, tape, call, fingerprint);
    registry_start_recover(self.registry, entry, kind, fingerprint, number, id,
        text, n, !self.mem->served);
}

/* The registry entry of the identity. If `add` is set, an entry is made for an
 * unknown identity. */
static uint32_t
entry_of(const struct json *tape, bool add)
{
    char     name[IDENTITY_MAX];
    bool     full = false;
    uint32_t station = json_member(tape, 0, "chargePointId", 13);
    size_t   n =
        station ? json_string(tape, station, name, sizeof name, &full) : 0;

    return full ? registry_find(self.registry, name, n, add) : REGISTRY_NONE;
}

/* True for a TransactionEvent of 2.x. */
static bool
is_event(const struct json *tape, uint32_t call)
{
    return json_member(tape, call, "transactionInfo", 15) != 0;
}

static void
recover(uint64_t number, const struct json *tape, bool started)
{
    /* Drafts are in the registry already if the daemon has been running. */
    bool     add = !self.mem->served;
    uint32_t call = json_member(tape, 0, "payload", 7);
    uint32_t answer = json_member(tape, 0, "answer", 6);
    int64_t  id = 0;

    if (call == 0 || answer == 0)
        return;
    uint32_t tx =
        json_member(tape, started ? answer : call, "transactionId", 13);
    bool good = tx != 0 && json_int64(tape, tx, &id) && id == (int32_t)id;
    if (is_event(tape, call)) {
        uint32_t entry = entry_of(tape, true);
        if (entry != REGISTRY_NONE)
            recover_message(
                number, entry, REGISTRY_START, tape, call, answer, 0);
        return;
    }
    if (started && !good)
        return;
    uint32_t entry = entry_of(tape, started || add);
    if (entry == REGISTRY_NONE)
        return;
    if (started) {
        recover_message(
            number, entry, REGISTRY_START, tape, call, answer, (int32_t)id);
        return;
    }
    if (good)
        registry_start_recover_stop(
            self.registry, entry, (int32_t)id, number, add);
    recover_message(number, entry, REGISTRY_START_STOP, tape, call, answer,
        good ? (int32_t)id : 0);
}

void
transactions_recover(uint64_t number, const char *line, size_t len)
{
    bool started = is_type(line, len, "transaction.started");

    if (!started && !is_type(line, len, "transaction.stopped") &&
        !is_type(line, len, "transaction.updated"))
        return;
    struct json *tape = tape_borrow(TAPE_EVENT);
    if (json_scan(tape, line, len))
        recover(number, tape, started);
    tape_return(tape);
}

/* --- memory -------------------------------------------------------------- */

#define WALK_S 60 /* the longest time of a walk over all pages */

/* Looks at the pages that are due this second. */
void
transactions_tick(void)
{
    static uint32_t next;
    uint32_t        pages = registry_starts_pages(self.registry);
    uint32_t        window = (uint32_t)(self.conf.ocpp_resend_time / 1000);
    uint32_t        walk = window < WALK_S ? window : WALK_S;
    uint32_t        end;

    if (next >= pages)
        next = 0;
    end = next + pages / walk + 1;
    registry_starts_tidy(self.registry, next, end < pages ? end : pages,
        self.slot, self.shm->slots, (uint32_t)(self.now_us / 1000000), window);
    next = end;
}
