/*
 * control_socket: the unix socket of server.control, which accepts the clients.
 *
 * Its file has the mode 0660 from its first moment, and the group of
 * server.control_group. The socket that a killed daemon left is replaced; one
 * that another daemon answers, and a file of another kind, is an error. Each
 * client goes to control_accepted(). After a failure such as too few
 * descriptors, accepting pauses for a moment.
 */
#ifndef MASTER_CONTROL_CONTROL_SOCKET_H
#define MASTER_CONTROL_CONTROL_SOCKET_H

#include <stdbool.h>

#include "buf.h"

/* Does the group exist? False with a sentence. */
bool control_socket_check(const char *group, struct buf *why);

/* False with a sentence. path "" means no socket. */
bool control_socket_open(const char *path, const char *group, struct buf *why);
/* Removes the file too. */
void control_socket_close(void);

/* For an upgrade: the descriptor, -1 without a socket; the same in the new
 * program; whether clients are accepted. */
int  control_socket_fd(void);
void control_socket_adopt(const char *path, int fd);
void control_socket_accept(bool on);

#endif
