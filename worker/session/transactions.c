/* transactions: transaction ids, and how a StartTransaction is recognised. See
 * transactions.h. */
#include "session/transactions.h"

#include <string.h>

#include "base/self.h"
#include "fleet/transaction_ids.h"

bool
transactions_new_id(int32_t *id)
{
    return transaction_ids_next(id);
}

void
transactions_fingerprint(
    const struct json *tape, uint32_t payload, uint64_t fingerprint[2])
{
    static const char *const members[] = {
        "connectorId", "idTag", "timestamp", "meterStart"};

    fingerprint[0] = 1;
    fingerprint[1] = 2;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        uint32_t m = json_member(tape, payload, members[i], strlen(members[i]));
        size_t   n = 0;
        const char *raw = m ? json_raw(tape, m, &n) : "";
        fingerprint[0] = registry_hash(raw, n, fingerprint[0]);
        fingerprint[1] = registry_hash(raw, n, fingerprint[1]);
    }
    fingerprint[1] |= UINT64_C(1) << 63; /* never all zero */
}
