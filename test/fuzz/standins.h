/*
 * standins: a journal and transaction ids for a fuzzer of the whole worker.
 *
 * The journal has no files. Its events become durable by commit(), and are
 * refused while `refusing` is set; the input of the fuzzer chooses both. It
 * checks the form and the order of its events.
 */
#ifndef TEST_FUZZ_STANDINS_H
#define TEST_FUZZ_STANDINS_H

#include "base/up.h"
#include "ensure.h"
#include "fleet/transaction_ids.h"
#include "journal/journal.h"
#include "shm.h"

static struct shm *shm; /* its sequence gives the numbers of events */

/* --- replaces journal.c --------------------------------------------------- */

static uint64_t appended, committed;
static bool     refusing;

uint64_t
journal_begin(void)
{
    return shm->sequence++;
}

bool
journal_append(uint64_t number, const char *line, size_t len)
{
    ensure(len >= JOURNAL_LINE_MIN && line[0] == '{' && line[len - 1] == '}');
    if (refusing)
        return false;
    ensure(number > appended);
    appended = number;
    return true;
}

void
journal_abandon(uint64_t number)
{
    ensure(number > appended);
}
uint64_t
journal_committed(void)
{
    return committed;
}
uint64_t
journal_stalled_ms(void)
{
    return 0;
}

bool
journal_idle(void)
{
    return appended == committed;
}

bool
journal_failing(const char **words)
{
    (void)words;
    return refusing;
}
void
journal_tick(void)
{
}
void
journal_keep(unsigned slot, uint64_t number)
{
    (void)slot, (void)number;
}
void
journal_expect(bool event)
{
    (void)event;
}
void
journal_close(void)
{
}

bool
journal_open(const struct journal_env *env, struct buf *why)
{
    (void)env, (void)why;
    return true;
}

static void
commit(void)
{
    if (appended == committed)
        return;
    committed = appended;
    up_committed(committed);
}

/* --- replaces transaction_ids.c, whose ids come from a thread -------------- */

void
transaction_ids_open(void)
{
}

bool
transaction_ids_next(int32_t *id)
{
    static int32_t last;

    *id = ++last;
    return true;
}

void
transaction_ids_tick(void)
{
}

#endif
