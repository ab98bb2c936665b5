/*
 * verdicts: the platform's last verdict on a token (idTag) that a charge point
 * presented.
 *
 * With Authorize = platform the gateway does not judge tokens. A
 * StartTransaction that follows is answered with the platform's verdict on the
 * same token, if it is not older than answers.verdict_time and has not expired;
 * otherwise the platform is asked again.
 *
 * The table has a fixed size and belongs to this worker. If a verdict was
 * displaced, the platform is asked once more.
 */
#ifndef WORKER_SESSION_VERDICTS_H
#define WORKER_SESSION_VERDICTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fields.h"

#define VERDICT_MAX 160 /* bytes of an idTagInfo that is kept */

struct verdict {
    uint64_t key[2];
    uint32_t at;                /* self.now_us of its arrival, in units of 100
                                   ms */
    uint16_t len;               /* 0: the place is free */
    char     info[VERDICT_MAX]; /* the JSON object, as the platform sent it */
};

/* Stores a verdict, in the place of the former one on the same token. identity
 * and token: their values. info: a JSON object; one longer than VERDICT_MAX is
 * not kept, and the former verdict is forgotten. */
void verdicts_put(const char *identity, size_t identity_len, const char *token,
    size_t token_len, const char *info, size_t info_len);

/* verdicts_write(): writes all verdicts as lines, for the process that inherits
 * the slot. verdicts_read(): reads one of them; false if the line is not one.
 * The keys are valid within one registry. */
void verdicts_write(struct buf *out);
bool verdicts_read(struct fields *f);

/* The verdict on a token; NULL if there is none or it is too old. Valid until
 * the next verdicts_put(). The caller checks the expiry date. */
const struct verdict *verdicts_get(const char *identity, size_t identity_len,
    const char *token, size_t token_len);

#endif
