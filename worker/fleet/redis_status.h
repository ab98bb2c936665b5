/*
 * redis_status: the state of Redis for health and `status`.
 */
#ifndef WORKER_FLEET_REDIS_STATUS_H
#define WORKER_FLEET_REDIS_STATUS_H

/* Sets one word and a sentence in shm_worker. */
void redis_set_status(const char *word, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
