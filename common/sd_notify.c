/* sd_notify: reports the state of the daemon to the service manager. See
 * sd_notify.h. */
#include "sd_notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

static void
send_text(const char *text)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char        *name = getenv("NOTIFY_SOCKET");
    size_t             n = name != NULL ? strlen(name) : 0;

    if (n < 2 || n >= sizeof to.sun_path || (*name != '/' && *name != '@'))
        return;
    memcpy(to.sun_path, name, n + 1);
    if (*name == '@')
        to.sun_path[0] = '\0';
    /* The length marks the end of an abstract name, so it excludes the NUL. */
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL,
        (const struct sockaddr *)&to, size);
    close(fd);
}

void
sd_notify_ready(void)
{
    send_text("READY=1");
}

void
sd_notify_reloading(void)
{
    char text[64];

    /* The service manager matches READY=1 to this reload by the time. */
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
        (unsigned long long)(clock_mono_ns() / 1000));
    send_text(text);
}

void
sd_notify_stopping(void)
{
    send_text("STOPPING=1");
}

void
sd_notify_main_pid(int pid)
{
    char text[64];

    snprintf(text, sizeof text, "MAINPID=%d\nREADY=1", pid);
    send_text(text);
}
