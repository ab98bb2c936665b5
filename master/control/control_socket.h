/*
 * control_socket: the unix socket of server.control, which accepts the clients.
 *
 * Its file has the mode 0660 from its first moment, and the group of
 * server.control_group. A socket that a killed daemon has left is replaced. It
 * is an error if another daemon answers at the socket, or if the file is of
 * another kind. Each client is passed to control_accepted(). After a failure
 * such as too few descriptors, accepting pauses for a moment.
 */
#ifndef MASTER_CONTROL_CONTROL_SOCKET_H
#define MASTER_CONTROL_CONTROL_SOCKET_H

#include <stdbool.h>

#include "buf.h"

/* True if the group exists; otherwise false with a sentence. */
bool control_socket_check(const char *group, struct buf *why);

/* Opens the socket. path "": no socket. False with a sentence. */
bool control_socket_open(const char *path, const char *group, struct buf *why);
/* Removes the file too. */
void control_socket_close(void);

/* For an upgrade. control_socket_fd(): the descriptor, -1 without a socket. The
 * others take the socket over in the new program, and stop or resume accepting.
 */
int  control_socket_fd(void);
void control_socket_adopt(const char *path, int fd);
void control_socket_accept(bool on);

#endif
