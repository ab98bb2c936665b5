/*
 * sd_notify: reports the state of the daemon to the service manager.
 *
 * The protocol is sd_notify(3)'s: one datagram of KEY=value lines to the unix
 * socket that NOTIFY_SOCKET names ("@..." is an abstract one). Without
 * NOTIFY_SOCKET these functions do nothing. A failure does not affect the
 * daemon: a datagram that cannot be sent at once is dropped, and the time
 * limits of the manager apply.
 */
#ifndef COMMON_SD_NOTIFY_H
#define COMMON_SD_NOTIFY_H

void sd_notify_ready(void); /* started, or a reload is done */
void sd_notify_reloading(
    void); /* sd_notify_ready() must follow, whatever the result is */
void sd_notify_stopping(void);
/* Reports that another process is now the main process of the service. */
void sd_notify_main_pid(int pid);

#endif
