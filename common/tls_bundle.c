/* tls_bundle: the contents of all TLS files in one memfd. See tls_bundle.h. */
#include "tls_bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

#define NAMES_MAX 1024
#define SNI_FILES_MAX 1000

struct head {
    uint32_t kind, name_len; /* name_len is the length of the name with its
                              * NUL */
    uint64_t len;
};

/* Calls each() for every file by kind; false if a directory cannot be read. */
typedef void each_file(
    void *ctx, enum tls_file kind, const char *knob, const char *name);

static int
is_pem(const struct dirent *d)
{
    size_t n = strlen(d->d_name);

    return d->d_name[0] != '.' && n > 4 &&
        strcmp(d->d_name + n - 4, ".pem") == 0;
}

static void
each_of_list(enum tls_file kind, const char *knob, const char *list,
    each_file *each, void *ctx)
{
    char item[CONF_LIST_MAX];

    while (config_list_next(&list, item, sizeof item))
        each(ctx, kind, knob, item);
}

static int
each_of_all(const struct config *c, each_file *each, void *ctx)
{
    struct dirent **found = NULL;
    char            name[NAMES_MAX];

    each_of_list(
        TLS_FILE_CERTIFICATE, "tls.certificate", c->tls_certificate, each, ctx);
    each_of_list(TLS_FILE_KEY, "tls.key", c->tls_key, each, ctx);
    if (c->tls_client_ca[0] != '\0')
        each(ctx, TLS_FILE_CLIENT_CA, "tls.client_ca", c->tls_client_ca);
    if (c->tls_crl[0] != '\0')
        each(ctx, TLS_FILE_CRL, "tls.crl", c->tls_crl);
    if (c->tls_ticket_key_file[0] != '\0')
        each(ctx, TLS_FILE_TICKET_KEYS, "tls.ticket_key_file",
            c->tls_ticket_key_file);
    if (c->tls_sni[0] == '\0')
        return 0;
    int n = scandir(c->tls_sni, &found, is_pem, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s/%s", c->tls_sni, found[i]->d_name);
        if (i < SNI_FILES_MAX)
            each(ctx, TLS_FILE_SNI, "tls.sni", name);
        free(found[i]);
    }
    free(found);
    return n;
}

struct making {
    struct buf  all;
    struct buf *errors;
    bool        failed;
};

static void
add_file(void *ctx, enum tls_file kind, const char *knob, const char *name)
{
    struct making   *m = ctx;
    struct buf       text = BUF_INIT(TLS_BUNDLE_MAX / 4), why = BUF_INIT(1024);
    enum file_result r = file_read(name, &text, &why);

    if (r == FILE_MISSING)
        buf_addf(m->errors,
            "%s = %s: there is no such file; name the PEM file\n", knob, name);
    else if (r == FILE_FAILED)
        buf_addf(m->errors, "%s = %s\n", knob, buf_cstr(&why));
    struct head head = {kind, (uint32_t)strlen(name) + 1, text.len};
    if (r != FILE_READ)
        m->failed = true;
    else if (!buf_add(&m->all, &head, sizeof head) ||
        !buf_add(&m->all, name, head.name_len) ||
        !buf_add(&m->all, text.p, text.len)) {
        buf_addf(m->errors,
            "%s = %s: all TLS files together are larger than %u MiB; remove "
            "some\n",
            knob, name, TLS_BUNDLE_MAX >> 20);
        m->failed = true;
    }
    tls_bundle_wipe(&text);
    buf_free(&why);
}

int
tls_bundle_make(const struct config *c, struct buf *errors)
{
    struct making m = {.all = BUF_INIT(TLS_BUNDLE_MAX), .errors = errors};

    int n = each_of_all(c, add_file, &m);
    if (n < 0) {
        buf_addf(errors, "tls.sni = %s: cannot be read: %s; name a directory\n",
            c->tls_sni, strerror(errno));
        m.failed = true;
    } else if (n > SNI_FILES_MAX) {
        buf_addf(errors,
            "tls.sni = %s: has more than %d files; remove some, or name "
            "another directory\n",
            c->tls_sni, SNI_FILES_MAX);
        m.failed = true;
    }
    int fd = -1;
    if (!m.failed) {
        fd = memfd_create("ocppd-tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0 || !file_write(fd, m.all.p, m.all.len) ||
            fcntl(fd, F_ADD_SEALS,
                F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) !=
                0) {
            buf_addf(errors, "tls: cannot keep the files in memory: %s\n",
                strerror(errno));
            if (fd >= 0)
                close(fd);
            fd = -1;
        }
    }
    tls_bundle_wipe(&m.all);
    return fd;
}

static void
stamp_file(void *ctx, enum tls_file kind, const char *knob, const char *name)
{
    uint64_t   *h = ctx;
    struct stat st;

    (void)knob;
    memset(&st, 0, sizeof st);
    if (stat(name, &st) != 0)
        st.st_size = -1;
    const uint64_t words[] = {kind, (uint64_t)st.st_ino, (uint64_t)st.st_size,
        (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        *h = (*h ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
    for (; *name != '\0'; name++)
        *h = (*h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
}

uint64_t
tls_bundle_stamp(const struct config *c)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    each_of_all(c, stamp_file, &h);
    return h;
}

bool
tls_bundle_read(int fd, struct buf *all)
{
    struct stat st;
    size_t      at = 0;

    all->max = TLS_BUNDLE_MAX;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < 0 ||
        !buf_reserve(all, (size_t)st.st_size + 1))
        return false;
    while (at < (size_t)st.st_size) {
        ssize_t r = pread(fd, all->p + at, (size_t)st.st_size - at, (off_t)at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        at += (size_t)r;
    }
    all->len = at;
    return true;
}

bool
tls_bundle_next(const struct buf *all, size_t *at, struct tls_item *item)
{
    struct head head;

    if (all->len - *at < sizeof head)
        return false;
    memcpy(&head, all->p + *at, sizeof head);
    *at += sizeof head;
    if (head.name_len == 0 || head.name_len > all->len - *at ||
        head.len > all->len - *at - head.name_len)
        return false;
    item->kind = (enum tls_file)head.kind;
    item->name = all->p + *at;
    item->data = all->p + *at + head.name_len;
    item->len = head.len;
    *at += head.name_len + head.len;
    return true;
}

void
tls_bundle_wipe(struct buf *all)
{
    if (all->p != NULL)
        explicit_bzero(all->p, all->cap);
    buf_free(all);
}
