/*
 * channel: datagrams between the master and a worker.
 *
 * One SOCK_SEQPACKET pair per worker. A datagram is a struct channel_msg
 * and up to CHANNEL_BODY_MAX bytes; it arrives whole or not at all, and the
 * ends never block. A body of several strings has each ended by NUL.
 */
#ifndef COMMON_CHANNEL_H
#define COMMON_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cref.h"

/* A command or its outcome of up to 128 KiB with the members around it. What is
 * longer, such as an answer of a charge point, is cut. */
#define CHANNEL_BODY_MAX (160u * 1024)

enum channel_type {
#define CHANNEL(word, sentence) CHANNEL_##word,
#include "channel.def"
#undef CHANNEL
    CHANNEL_TYPES
};

enum channel_key {
    CHANNEL_KEY_OFFERED,   /* it is being sent to the charge point */
    CHANNEL_KEY_WITHDRAWN, /* the charge point did not take it */
    CHANNEL_KEY_ACCEPTED,  /* the charge point took it */
    CHANNEL_KEY_USED       /* the charge point showed it */
};

/* Of CHANNEL_hand_over's arg. */
enum channel_hand_over {
    CHANNEL_MUST = 1, /* giving up is not allowed */
    /* The master that began may have died: another one goes on with what is
     * under way, and the descriptor is a copy of the same end. */
    CHANNEL_AGAIN = 2
};

struct channel_msg {
    uint32_t type; /* enum channel_type */
    uint32_t len;  /* of the body, bytes */
    uint64_t id;   /* of the request or tap, given by the master */
    cref     conn;
    uint64_t arg; /* as channel.def says */
};

/* A number for a request or tap of the master: never 0, never repeated. */
uint64_t channel_next_id(void);
/* Later ones are above this one as well. */
void channel_ids_above(uint64_t id);

/* Both ends non-blocking, close-on-exec, with buffers for many bodies. */
bool channel_pair(int fds[2]);

/* False with errno EAGAIN if the other end does not keep up, EPIPE or
 * ECONNRESET if it is gone. msg->len is set from n. */
bool channel_send(int fd, struct channel_msg *msg, const void *body, size_t n);

/* The same with a descriptor, which stays open here. */
bool channel_send_fd(int fd, struct channel_msg *msg, int passed);

/* 1: a datagram in *msg and body (room for CHANNEL_BODY_MAX + 1 bytes; a NUL
 * is put behind it). 0: nothing there. -1: the other end is gone. */
int channel_recv(int fd, struct channel_msg *msg, char *body);
/* The same where the other end is trusted to send descriptors: *passed is one
 * that is the caller's now, or -1. */
int channel_recv_fd(int fd, struct channel_msg *msg, char *body, int *passed);

/* The n-th string of a body, "" if it has fewer. */
const char *channel_string(const char *body, size_t len, unsigned n);

#endif
