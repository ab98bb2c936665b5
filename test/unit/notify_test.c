/* The messages to a service manager, on a named and on an abstract socket. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sd_notify.h"
#include "unit.h"

static char heard[512];

static int
listen_at(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int                fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    strcpy(a.sun_path, name);
    if (name[0] == '@')
        a.sun_path[0] = '\0';
    CHECK(bind(fd, (struct sockaddr *)&a,
              (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                  strlen(name))) == 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void
hear(int fd)
{
    ssize_t n = recv(fd, heard, sizeof heard - 1, 0);

    heard[n < 0 ? 0 : n] = '\0';
}

static void
names_everything(const char *name)
{
    int fd = listen_at(name);

    sd_notify_ready();
    hear(fd);
    CHECK_STR(heard, "READY=1");
    sd_notify_reloading();
    hear(fd);
    CHECK(strncmp(heard, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
    sd_notify_stopping();
    hear(fd);
    CHECK_STR(heard, "STOPPING=1");
    /* A service manager that does not read delays no process. */
    for (int i = 0; i < 2000; i++)
        sd_notify_ready();
    close(fd);
    sd_notify_ready();
    if (name[0] == '/')
        unlink(name);
}

int
main(void)
{
    char name[64];

    unsetenv("NOTIFY_SOCKET");
    sd_notify_ready();
    setenv("NOTIFY_SOCKET", "relative", 1);
    sd_notify_ready();
    snprintf(name, sizeof name, "/tmp/sd_notify_test.%d", (int)getpid());
    names_everything(name);
    snprintf(name, sizeof name, "@sd_notify_test.%d", (int)getpid());
    names_everything(name);
    return unit_done();
}
