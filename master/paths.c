/* paths: the directories of a daemon. See paths.h. */
#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/master.h"
#include "clock.h"
#include "locks.h"
#include "log.h"
#include "user.h"

/* The directory part of a path, "." if it has none. */
static void
parent_of(const char *path, char out[CONF_TEXT_MAX])
{
    snprintf(out, CONF_TEXT_MAX, "%s", path);
    char *slash = strrchr(out, '/');
    if (slash == NULL)
        snprintf(out, CONF_TEXT_MAX, ".");
    else if (slash == out)
        slash[1] = '\0';
    else
        *slash = '\0';
}

/* Makes a directory, but not its parents, because a wrong path must not create
 * a whole tree. /run is empty after each boot, so the directory of the pid file
 * may have to be made. That directory belongs to the master's user (user ""),
 * because root sends signals to the process that the pid file names, so no
 * other user may write the file.
 */
static bool
make_directory(const char *knob, const char *path, mode_t mode,
    const char *user, struct buf *why)
{
    if (mkdir(path, mode) != 0) {
        if (errno == EEXIST)
            return true;
        buf_addf(why,
            "%s: cannot make the directory %s: %s; make it, or "
            "choose another place",
            knob, path, strerror(errno));
        return false;
    }
    uid_t uid;
    gid_t gid;
    user_owner(user, &uid, &gid);
    if (uid != (uid_t)-1 && chown(path, uid, gid) != 0) {
        buf_addf(why, "%s: cannot give the directory %s to %s: %s", knob, path,
            user, strerror(errno));
        return false;
    }
    return true;
}

/* Tests whether files can be made in a directory, by making one: access(2)
 * reports /proc and /sys as writable too. Changes errno. */
static bool
can_make_in(const char *dir)
{
    char path[CONF_TEXT_MAX + 24];

    if (access(dir, W_OK | X_OK) != 0)
        return false;
    snprintf(path, sizeof path, "%s/.ocppd-test-XXXXXX", dir);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            errno = EOPNOTSUPP; /* the directory exists, because access() found
                                 * it */
        return false;
    }
    unlink(path);
    close(fd);
    return true;
}

/* What a start opens in server.state_dir must be of its type, or missing.
 * Returns the name of what is of another type, or NULL. */
static const char *
misplaced_in(const char *dir)
{
    char        path[CONF_TEXT_MAX + 24];
    struct stat st;

    snprintf(path, sizeof path, "%s/lock", dir); /* opened with O_NOFOLLOW */
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return "lock in it is not a regular file";
    snprintf(path, sizeof path, "%s/transaction-ids", dir);
    if (stat(path, &st) == 0 ? !S_ISREG(st.st_mode) : errno != ENOENT)
        return "transaction-ids in it is not a regular file";
    snprintf(path, sizeof path, "%s/journal", dir);
    if (lstat(path, &st) == 0 && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
        return "journal in it is not a directory";
    return NULL;
}

/* Tests in a separate process, as server.user, whether the directory is
   writable. */
static bool
writable(const char *path, const char *user, struct buf *why)
{
    char text[1024] = "";
    int  ends[2], status;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return true; /* the worker will report it */
    pid_t pid = fork();
    if (pid == 0) {
        const char *why_not;
        struct stat st;
        if (user_become(user, text, sizeof text)) {
            if (stat(path, &st) != 0)
                snprintf(text, sizeof text,
                    "%s; `install -d -o USER -m 750 %s` makes it, with the "
                    "user that ocppd runs as",
                    strerror(errno), path);
            else if (!S_ISDIR(st.st_mode))
                snprintf(text, sizeof text,
                    "it is not a directory; choose another path");
            else if (access(path, R_OK) != 0 || !can_make_in(path))
                snprintf(text, sizeof text,
                    "user %s cannot write there: %s; `install -d -o USER -m "
                    "750 %s` makes it, with the user that ocppd runs as",
                    user[0] ? user : "(the one that starts ocppd)",
                    strerror(errno), path);
            else if ((why_not = misplaced_in(path)) != NULL)
                snprintf(text, sizeof text,
                    "%s; remove it, or choose another directory", why_not);
        }
        (void)!write(ends[1], text, strlen(text));
        _exit(0);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (n <= 0)
        return true;
    text[n] = '\0';
    /* The text of user_become() names its knob already. */
    if (strncmp(text, "server.user", 11) == 0)
        buf_adds(why, text);
    else
        buf_addf(why, "server.state_dir = %s: %s", path, text);
    return false;
}

/* Members of server.control_group may read the journal, as `ocppctl events`
 * does: files get the group of their directory. */
static bool
share_journal(const struct config *c, struct buf *why)
{
    char  path[CONF_TEXT_MAX + 16];
    uid_t uid;
    gid_t gid;

    if (c->server_control_group[0] == '\0')
        return true;
    struct group *g = getgrnam(c->server_control_group);
    if (g == NULL)
        return true; /* opening the control socket reports it */
    user_owner(c->server_user, &uid, &gid);
    snprintf(path, sizeof path, "%s/journal", c->server_state_dir);
    if ((mkdir(path, 0750) == 0 || errno == EEXIST) &&
        chown(c->server_state_dir, (uid_t)-1, g->gr_gid) == 0 &&
        chown(path, uid, g->gr_gid) == 0 && chmod(path, 02750) == 0)
        return true;
    buf_addf(why,
        "server.control_group = %s: cannot let it read %s: %s; the daemon must "
        "be root or a member of the group",
        c->server_control_group, path, strerror(errno));
    return false;
}

bool
paths_prepare(const struct config *c, struct buf *why)
{
    char dir[CONF_TEXT_MAX];

    if (c->server_pidfile[0] != '\0') {
        parent_of(c->server_pidfile, dir);
        if (!make_directory("server.pidfile", dir, 0755, "", why))
            return false;
    }
    if (c->server_control[0] != '\0') {
        parent_of(c->server_control, dir);
        if (!make_directory("server.control", dir, 0755, "", why))
            return false;
    }
    return share_journal(c, why) &&
        writable(c->server_state_dir, c->server_user, why);
}

bool
paths_take(const struct config *c, struct buf *why)
{
    char dir[CONF_TEXT_MAX];

    if (c->server_pidfile[0] != '\0') {
        parent_of(c->server_pidfile, dir);
        if (!make_directory("server.pidfile", dir, 0755, "", why) ||
            !locks_take_pidfile(c->server_pidfile, why))
            return false;
        locks_next_pid(0);
    }
    if (c->server_control[0] != '\0') {
        parent_of(c->server_control, dir);
        if (!make_directory("server.control", dir, 0755, "", why))
            return false;
    }
    return make_directory("server.state_dir", c->server_state_dir, 0750,
               c->server_user, why) &&
        share_journal(c, why) &&
        writable(c->server_state_dir, c->server_user, why) &&
        locks_take_state_dir(c, why);
}

/* Tests whether a start could make a file in this directory. A start makes the
 * directory if it is missing, but not its parent. *at is set to the directory
 * in which it would write. */
static bool
has_place(const char *dir, char at[CONF_TEXT_MAX])
{
    struct stat st;

    if (lstat(dir, &st) != 0 && errno == ENOENT)
        parent_of(dir, at);
    else
        snprintf(at, CONF_TEXT_MAX, "%s", dir);
    return can_make_in(at);
}

/* Tests whether a start would find the directory of this file or could make
   it. */
static bool
has_directory(const char *knob, const char *path, struct buf *why)
{
    char dir[CONF_TEXT_MAX], at[CONF_TEXT_MAX];

    if (path[0] == '\0')
        return true;
    parent_of(path, dir);
    if (has_place(dir, at))
        return true;
    buf_addf(why, "%s = %s: cannot write in %s: %s; choose another place", knob,
        path, at, strerror(errno));
    return false;
}

/* A file that exists already must be of that type; a start follows no link. */
static bool
is_free_for(const char *knob, const char *path, mode_t type, const char *what,
    struct buf *why)
{
    struct stat st;

    if (path[0] == '\0' || lstat(path, &st) != 0 ||
        (st.st_mode & S_IFMT) == type)
        return true;
    buf_addf(why,
        "%s = %s: exists and is not a %s; remove it or choose another "
        "path",
        knob, path, what);
    return false;
}

bool
paths_test(const struct config *c, struct buf *why)
{
    char        at[CONF_TEXT_MAX], text[512];
    struct stat st;

    if (!has_directory("server.control", c->server_control, why) ||
        !has_directory("server.pidfile", c->server_pidfile, why) ||
        !is_free_for(
            "server.control", c->server_control, S_IFSOCK, "socket", why) ||
        !is_free_for(
            "server.pidfile", c->server_pidfile, S_IFREG, "regular file", why))
        return false;
    if (!user_check(c->server_user, text, sizeof text)) {
        buf_adds(why, text);
        return false;
    }
    if (lstat(c->server_state_dir, &st) == 0)
        return writable(c->server_state_dir, c->server_user, why);
    /* A start would make this directory. */
    if (has_place(c->server_state_dir, at))
        return true;
    buf_addf(why,
        "server.state_dir = %s: it does not exist, and cannot be "
        "made in %s: %s; make it for the user that ocppd runs as",
        c->server_state_dir, at, strerror(errno));
    return false;
}

bool
paths_log(const char *target, bool make, struct buf *why)
{
    char        dir[CONF_TEXT_MAX], at[CONF_TEXT_MAX];
    const char *what = target;
    struct stat st;

    if (strcmp(target, "stderr") == 0 || strcmp(target, "syslog") == 0)
        return true;
    parent_of(target, dir);
    if (access(dir, F_OK) != 0 && make) {
        char knob[CONF_TEXT_MAX + 16];
        snprintf(knob, sizeof knob, "log.target = %s", target);
        return make_directory(knob, dir, 0755, "", why);
    }
    if (lstat(target, &st) == 0) {
        /* With O_NONBLOCK a pipe without a reader does not block this
         * process. */
        int fd = open(
            target, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            return true;
        }
    } else {
        if (has_place(dir, at))
            return true;
        what = at;
    }
    buf_addf(why,
        "log.target = %s: cannot write %s: %s; the user that starts ocppd must "
        "be able to write it",
        target, what, strerror(errno));
    return false;
}
