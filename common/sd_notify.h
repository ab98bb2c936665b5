/*
 * sd_notify: reports the state of the daemon to the service manager.
 *
 * The protocol is sd_notify(3)'s: one datagram of KEY=value lines to the
 * unix socket that NOTIFY_SOCKET names ("@..." is an abstract one). Without
 * NOTIFY_SOCKET all of this does nothing. No failure here affects the daemon:
 * a datagram that cannot be sent at once is dropped, and the manager's own
 * time limits do the rest.
 */
#ifndef COMMON_SD_NOTIFY_H
#define COMMON_SD_NOTIFY_H

void sd_notify_ready(void); /* started, or a reload is done */
void sd_notify_reloading(
    void); /* sd_notify_ready() must follow, whatever came of it */
void sd_notify_stopping(void);
/* Another process is the main one of the service from now on. */
void sd_notify_main_pid(int pid);

#endif
