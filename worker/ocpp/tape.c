/* tape: lends the tapes that JSON texts are scanned onto. See tape.h. */
#include "ocpp/tape.h"

#include <sys/mman.h>

#include "ensure.h"

#define TAPES 6
#define EVENT_VALUES (2 * TAPE_VALUES + 256)
#define KEPT 8192 /* tokens whose pages are kept for the next text */

static struct json tapes[TAPES];
static unsigned    lent;

static struct json_token *
make(void)
{
    void *p = mmap(NULL, EVENT_VALUES * sizeof(struct json_token),
        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
        0);

    ensure(p != MAP_FAILED);
    return p;
}

struct json *
tape_borrow(enum tape_size size)
{
    ensure(lent < TAPES);
    struct json       *j = &tapes[lent++];
    struct json_token *tokens = j->tok != NULL ? j->tok : make();

    *j = JSON_INIT(tokens, size == TAPE_EVENT ? EVENT_VALUES : TAPE_VALUES);
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
