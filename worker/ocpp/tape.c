/* tape: lends the tapes that JSON texts are scanned onto. See tape.h. */
#include "ocpp/tape.h"

#include <sys/mman.h>

#include "ensure.h"

#define TAPES 3
#define EVENT_VALUES (2 * TAPE_VALUES + 256)
#define KEPT 8192 /* tokens whose pages are kept for the next text */

static struct json tapes[TAPES];
static unsigned    lent;

bool
tape_open(void)
{
    const size_t bytes = EVENT_VALUES * sizeof(struct json_token);

    for (unsigned i = 0; i < TAPES; i++) {
        if (tapes[i].tok != NULL)
            continue;
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return false;
        tapes[i].tok = p;
    }
    return true;
}

struct json *
tape_borrow(enum tape_size size)
{
    ensure(lent < TAPES);
    struct json *j = &tapes[lent++];
    ensure(j->tok != NULL || tape_open()); /* a test may not have opened the
                                            * tapes */

    *j = JSON_INIT(j->tok, size == TAPE_EVENT ? EVENT_VALUES : TAPE_VALUES);
    return j;
}

void
tape_return(struct json *j)
{
    ensure(lent > 0 && j == &tapes[lent - 1]);
    lent--;
    /* After an error count is 0, although many tokens may have been written
       before. */
    if (j->count > KEPT || (j->count == 0 && j->len > KEPT))
        madvise(j->tok, EVENT_VALUES * sizeof *j->tok, MADV_DONTNEED);
}
