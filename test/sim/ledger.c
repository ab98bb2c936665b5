/* ledger: the messages that the gateway has acknowledged. See ledger.h. */
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/writer.h"
#include "fleet.h"

static int        fd = -1;
static struct buf lines = BUF_INIT(256u * 1024u * 1024u);
static uint64_t   counts[MESSAGE_COUNT];
static uint64_t   noted;
static bool       counted;

bool
ledger_open(const char *file, unsigned process)
{
    char path[4096];

    if (snprintf(path, sizeof path, "%s.%u", file, process) >=
        (int)sizeof path) {
        errno = ENAMETOOLONG;
        return false;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return fd >= 0;
}

bool
ledger_wanted(void)
{
    return fd >= 0;
}

void
ledger_note(const char *identity, enum message m, const char *message_id,
    const char *payload, size_t n, int32_t transaction)
{
    struct writer w = WRITER_INIT(&lines);
    char          now[CLOCK_RFC3339_LEN + 1];

    clock_rfc3339(now, clock_wall_ms());
    writer_open(&w, NULL, '{');
    writer_str(&w, "chargePointId", identity);
    writer_str(&w, "messageId", message_id);
    writer_str(&w, "action", message_name(m));
    if (transaction != 0)
        writer_i64(&w, "transactionId", transaction);
    writer_str(&w, "time", now);
    writer_raw(&w, "payload", payload, n);
    writer_close(&w);
    buf_addc(&lines, '\n');
    noted++;
}

void
ledger_count(enum message m)
{
    counts[m]++;
    counted = true;
}

bool
ledger_commit(void)
{
    struct tally *t = fleet.tally;

    if (!counted)
        return true;
    if (lines.len > 0) {
        if (lines.overflow) {
            errno = ENOMEM;
            return false;
        }
        if (!file_write(fd, lines.p, lines.len))
            return false;
        buf_clear(&lines);
        tally_add(t, ledgered, noted);
        noted = 0;
    }
#define ADD(word, name, counter)                                               \
    if (counts[MESSAGE_##word] > 0) {                                          \
        tally_add(t, acknowledged, counts[MESSAGE_##word]);                    \
        tally_add(t, counter, counts[MESSAGE_##word]);                         \
        counts[MESSAGE_##word] = 0;                                            \
    }
    MESSAGES(ADD)
#undef ADD
    counted = false;
    return true;
}
