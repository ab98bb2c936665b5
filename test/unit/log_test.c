/* The log is written by a thread, and waiting for it has an end. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log_writer.h"
#include "unit.h"

#define LINES 100
#define LINE 1000 /* all together more than a pipe holds */

static size_t
note(char *out, size_t size, uint64_t missing)
{
    (void)out, (void)size, (void)missing;
    CHECK(false); /* no line is dropped */
    return 0;
}

static void
a_flush_waits_for_its_time_only(void)
{
    int    ends[2];
    char   line[LINE], got[4096];
    size_t all = 0;

    UNIT_CASE("the reader of the log does not read");
    CHECK(pipe(ends) == 0);
    memset(line, 'a', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    log_writer_to(ends[1]);
    for (int i = 0; i < LINES; i++)
        log_writer_put(line, sizeof line, note);
    uint64_t began = clock_mono_ms();
    log_writer_flush(300);
    uint64_t took = clock_mono_ms() - began;
    CHECK(took >= 300);
    CHECK(took < 10000);

    UNIT_CASE("and then reads");
    struct pollfd w = {.fd = ends[0], .events = POLLIN};
    while (all < (size_t)LINES * LINE && poll(&w, 1, 10000) > 0) {
        ssize_t n = read(ends[0], got, sizeof got);
        all += n > 0 ? (size_t)n : 0;
    }
    CHECK_EQ(all, LINES * LINE);
    log_writer_flush(10000);
    CHECK(clock_mono_ms() < began + 10000);
    CHECK_EQ(log_writer_lost(), 0);
    log_writer_to(STDERR_FILENO);
    close(ends[0]);
}

int
main(void)
{
    a_flush_waits_for_its_time_only();
    return unit_done();
}
