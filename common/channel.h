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

/* Holds a command or an outcome of up to 128 KiB with the members around it. A
 * longer text, such as a large answer of a charge point, is cut. */
#define CHANNEL_BODY_MAX (160u * 1024)

enum channel_type {
#define CHANNEL(word, sentence) CHANNEL_##word,
#include "channel.def"
#undef CHANNEL
    CHANNEL_TYPES
};

enum channel_key {
    CHANNEL_KEY_OFFERED,   /* the key is being sent to the charge point */
    CHANNEL_KEY_WITHDRAWN, /* the charge point did not accept the key */
    CHANNEL_KEY_ACCEPTED,  /* the charge point accepted the key */
    CHANNEL_KEY_USED       /* the charge point authenticated with the key */
};

/* Bits of the `arg` of a CHANNEL_hand_over message. */
enum channel_hand_over {
    CHANNEL_MUST = 1, /* the worker must hand over; it may not refuse */
    /* The hand-over is already in progress, and the master that began it may
     * have died: another master continues it. The descriptor is a copy of the
     * same socket end. */
    CHANNEL_AGAIN = 2
};

struct channel_msg {
    uint32_t type; /* enum channel_type */
    uint32_t len;  /* bytes of the body */
    uint64_t id;   /* number of the request or tap, assigned by the master */
    cref     conn;
    uint64_t arg; /* its meaning for each type is in channel.def */
};

/* A number for a request or tap of the master: never 0, never repeated. */
uint64_t channel_next_id(void);
/* Makes all later numbers higher than this one. */
void channel_ids_above(uint64_t id);

/* Makes a pair of non-blocking, close-on-exec sockets with buffers for many
 * bodies. The caller closes them. False with errno. */
bool channel_pair(int fds[2]);

/* Sends a datagram with a body of n bytes; msg->len is set to n. False with
 * errno: EAGAIN if the buffer of the other end is full, so that the caller
 * tries again later; EPIPE or ECONNRESET if the other end is closed. */
bool channel_send(int fd, struct channel_msg *msg, const void *body, size_t n);

/* Sends a datagram without a body and with a descriptor, which the caller
 * keeps. False as channel_send(). */
bool channel_send_fd(int fd, struct channel_msg *msg, int passed);

/* Receives one datagram. body has room for CHANNEL_BODY_MAX + 1 bytes; a NUL is
 * put after the text. Returns 1 for a datagram, 0 if none is waiting, -1 if the
 * other end is closed or has sent a malformed datagram. After -1 the channel is
 * of no use any more. A descriptor in the datagram is closed. */
int channel_recv(int fd, struct channel_msg *msg, char *body);
/* The same, for an other end that is trusted to send descriptors. *passed is a
 * descriptor, which the caller must close, or -1. */
int channel_recv_fd(int fd, struct channel_msg *msg, char *body, int *passed);

/* The n-th string of a body, "" if it has fewer. */
const char *channel_string(const char *body, size_t len, unsigned n);

#endif
