/* journal_path: where the journal is. See journal_path.h. */
#include "ctl/journal_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "config_read.h"
#include "control_line.h"
#include "journal_line.h"

bool
journal_path_take(char *out, size_t size, const char *dir, bool given)
{
    struct stat st;

    if (strlen(dir) + sizeof "/" JOURNAL_DIR > size) {
        ctl_report("%s: the path has more than %zu bytes", dir,
            size - sizeof "/" JOURNAL_DIR);
        return false;
    }
    snprintf(out, size, "%s/%s", dir, JOURNAL_DIR);
    if (given && (stat(out, &st) != 0 || !S_ISDIR(st.st_mode)))
        snprintf(out, size, "%s", dir);
    return true;
}

/* A string member of the daemon's answer, without quotes and escapes. */
static bool
string_member(const struct buf *reply, const char *name, char *out, size_t size)
{
    const char *v;
    size_t      n, len = 0;

    if (!journal_line_field(reply->p, reply->len, name, &v, &n) || n < 2 ||
        v[0] != '"')
        return false;
    for (size_t i = 1; i + 1 < n && len + 1 < size; i++) {
        if (v[i] == '\\' && i + 2 < n)
            i++; /* only the escapes \" \\ and \/ occur in paths */
        out[len++] = v[i];
    }
    out[len] = '\0';
    return true;
}

int
journal_path_ask(const struct ctl *ctl, char *dir, size_t size, uint64_t *mark,
    struct buf *silent)
{
    const char *words[] = {"journal-mark"};
    struct buf  reply = BUF_INIT(CONTROL_REPLY_MAX);
    char        state[JOURNAL_PATH_MAX];
    const char *v;
    size_t      n;
    int         result = CTL_DONE;
    int         code = ctl_request(ctl, words, 1, &reply);

    if (code >= CONTROL_ERRORS) {
        fprintf(stderr, "ocppctl: %.*s", (int)reply.len, reply.p);
        result = CTL_REFUSED;
    } else if (code < 0) {
        buf_add(silent, reply.p, reply.len);
    } else if (!journal_line_field(reply.p, reply.len, "mark", &v, &n) ||
        !string_member(&reply, "dir", state, sizeof state)) {
        ctl_report("the daemon's answer to journal-mark cannot be read; "
                   "use the ocppctl of the daemon's version");
        result = CTL_REFUSED;
    } else {
        *mark = strtoull(v[0] == '"' ? v + 1 : v, NULL, 10);
        if (dir[0] == '\0' && !journal_path_take(dir, size, state, false))
            result = CTL_REFUSED;
    }
    buf_free(&reply);
    return result;
}

int
journal_path_configured(const struct ctl *ctl, char *dir, size_t size)
{
    static struct config c;
    struct buf           errors = BUF_INIT(65536);
    const char          *file = ctl->conf;

    if (file == NULL && access(CONFIG_FILE, R_OK) == 0)
        file = CONFIG_FILE;
    bool good = config_read_partial(&c, file, &errors);
    if (!good)
        fwrite(errors.p, 1, errors.len, stderr);
    buf_free(&errors);
    return good && journal_path_take(dir, size, c.server_state_dir, false)
        ? CTL_DONE
        : CTL_REFUSED;
}
