/* user: server.user. See user.h. */
#include "user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct passwd *
find(const char *user, char *why, size_t size)
{
    errno = 0;
    struct passwd *pw = getpwnam(user);
    if (pw == NULL)
        snprintf(why, size,
            "server.user = %s: there is no such user%s%s; create it or change "
            "the setting",
            user, errno ? ": " : "", errno ? strerror(errno) : "");
    return pw;
}

static bool
stays(const char *user)
{
    return user[0] == '\0' || geteuid() != 0;
}

bool
user_check(const char *user, char *why, size_t size)
{
    return stays(user) || find(user, why, size) != NULL;
}

bool
user_become(const char *user, char *why, size_t size)
{
    if (stays(user))
        return true;
    struct passwd *pw = find(user, why, size);
    if (pw == NULL)
        return false;
    if (initgroups(pw->pw_name, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 ||
        setuid(pw->pw_uid) != 0) {
        snprintf(why, size, "server.user = %s: cannot become this user: %s",
            user, strerror(errno));
        return false;
    }
    return true;
}

void
user_owner(const char *user, uid_t *uid, gid_t *gid)
{
    struct passwd *pw = user[0] && geteuid() == 0 ? getpwnam(user) : NULL;

    *uid = pw != NULL ? pw->pw_uid : (uid_t)-1;
    *gid = pw != NULL ? pw->pw_gid : (gid_t)-1;
}
