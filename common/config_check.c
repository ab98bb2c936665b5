/* config_check: rules for settings beyond the type of each. See
 * config_check.h. */
#include "config_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cidr.h"
#include "knob.h"
#include "tls_suite.h"

#define NODE_MAX_BYTES 32
#define PREFIX_MAX_BYTES 32
#define UNIX_PATH_MAX_BYTES 107 /* bytes of a socket's path, unix(7) */

/* The subprotocols that a dialect exists for. */
static const char *const versions_known[] = {
#define DIALECT(symbol, name) name,
#include "ocpp_dialects.def"
#undef DIALECT
};

struct checking {
    const struct config *c;
    bool                *bad; /* by knob */
    check_fault         *report;
    void                *arg;
};

static void __attribute__((format(printf, 3, 4)))
fault(struct checking *x, enum conf_knob k, const char *fmt, ...)
{
    char    text[CONF_LIST_MAX + 256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    x->bad[k] = true;
    x->report(x->arg, k, text);
}

/* The texts of a list are compared byte by byte. Two spellings of one address
 * are found later, when bind() fails. */
static bool
listed_before(const char *list, const char *upto, const char *item)
{
    char other[CONF_LIST_MAX];

    while (list < upto && config_list_next(&list, other, sizeof other))
        if (list < upto && strcmp(other, item) == 0)
            return true;
    return false;
}

/* Checks each item of a list; wrong: what is reported about one that is not
 * `right`. */
static void
check_items(struct checking *x, enum conf_knob k, const char *list,
    bool (*right)(const char *item), const char *wrong)
{
    char        item[CONF_LIST_MAX];
    const char *cursor = list;

    while (!x->bad[k] && config_list_next(&cursor, item, sizeof item)) {
        if (!right(item))
            fault(x, k, "%s %s", item, wrong);
        else if (listed_before(list, cursor, item))
            fault(x, k, "%s occurs twice; remove one", item);
    }
}

static bool
is_address(const char *item)
{
    struct sockaddr_storage address;
    socklen_t               size;

    return config_address(item, &address, &size);
}

static void
check_addresses(struct checking *x, enum conf_knob k, const char *list)
{
    check_items(x, k, list, is_address,
        "is not an address with a port; write it in numbers as 192.0.2.1:8080 "
        "or [2001:db8::1]:8080, or *:8080 for every IPv4 address");
}

static void
check_hosts(struct checking *x, enum conf_knob k, const char *list)
{
    check_items(x, k, list, config_host,
        "is not the name of a host; write it without scheme and port, as "
        "gateway.example.org");
}

static bool
is_in(const char *list, const char *item)
{
    return listed_before(list, list + strlen(list) + 1, item);
}

static void
check_admin(struct checking *x, enum conf_knob k, const char *list)
{
    const struct config *c = x->c;
    char                 item[CONF_LIST_MAX];

    while (!x->bad[k] && config_list_next(&list, item, sizeof item)) {
        if (is_in(c->server_listen, item) || is_in(c->server_listen_tls, item))
            fault(x, k,
                "charge points connect to %s as well; give one of the two "
                "another port",
                item);
        else if (k == CONF_KNOB_admin_listen_tls &&
            is_in(c->admin_listen, item))
            fault(x, k, "%s is in admin.listen, too; give one another port",
                item);
    }
}

static void
check_listen(struct checking *x)
{
    const struct config *c = x->c;
    char                 item[CONF_LIST_MAX];
    const char          *tls = c->server_listen_tls;

    if (c->server_listen[0] == '\0' && c->server_listen_tls[0] == '\0')
        fault(x, CONF_KNOB_server_listen,
            "is empty; write at least one address, such as %s",
            knobs[CONF_KNOB_server_listen].def);
    check_addresses(x, CONF_KNOB_server_listen, c->server_listen);
    check_addresses(x, CONF_KNOB_server_listen_tls, c->server_listen_tls);
    check_addresses(x, CONF_KNOB_admin_listen, c->admin_listen);
    check_addresses(x, CONF_KNOB_admin_listen_tls, c->admin_listen_tls);
    while (!x->bad[CONF_KNOB_server_listen_tls] &&
        config_list_next(&tls, item, sizeof item)) {
        if (is_in(c->server_listen, item))
            fault(x, CONF_KNOB_server_listen_tls,
                "%s is in server.listen, too; give one of the two another "
                "port",
                item);
    }
    check_admin(x, CONF_KNOB_admin_listen, c->admin_listen);
    check_admin(x, CONF_KNOB_admin_listen_tls, c->admin_listen_tls);
}

static bool
is_range(const char *item)
{
    struct cidr range;

    return cidr_parse(item, &range);
}

static void
check_ranges(struct checking *x, enum conf_knob k, const char *list)
{
    check_items(x, k, list, is_range,
        "is not a range of addresses; write it as 192.0.2.7, 10.0.0.0/8 or "
        "2001:db8::/32");
}

static void
check_path(struct checking *x)
{
    const char *path = x->c->server_path;
    size_t      n = strlen(path);
    size_t      good = strspn(path,
             "abcdefghijklmnopqrstuvwxyz"
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                  "-._~/");

    if (path[0] != '/')
        fault(x, CONF_KNOB_server_path,
            "does not begin with a slash; write it as /ocpp");
    else if (good < n)
        fault(x, CONF_KNOB_server_path,
            "'%c' cannot be in a path; use "
            "letters, digits and - . _ ~ /",
            path[good] > 0x20 && path[good] < 0x7f ? path[good] : '?');
    else if (n > 1 && path[n - 1] == '/')
        fault(x, CONF_KNOB_server_path,
            "ends with a slash; remove it, because a slash follows the path "
            "anyway");
    else if (strstr(path, "//") != NULL)
        fault(x, CONF_KNOB_server_path,
            "has an empty part; write single "
            "slashes");
}

static void
check_names(struct checking *x)
{
    const struct config *c = x->c;
    size_t               n = strlen(c->server_node);

    if (n == 0 || n > NODE_MAX_BYTES)
        fault(x, CONF_KNOB_server_node,
            "has %zu characters; write auto, or 1 to %d characters", n,
            NODE_MAX_BYTES);
    else if (strspn(c->server_node,
                 "abcdefghijklmnopqrstuvwxyz"
                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                 "-._") < n)
        fault(x, CONF_KNOB_server_node,
            "has a character that a node name cannot have; use letters, "
            "digits and - . _");
    if (c->server_state_dir[0] == '\0')
        fault(x, CONF_KNOB_server_state_dir,
            "is empty; name a directory, such as %s",
            knobs[CONF_KNOB_server_state_dir].def);
    if (strlen(c->server_control) > UNIX_PATH_MAX_BYTES)
        fault(x, CONF_KNOB_server_control,
            "is too long for a socket; shorten it to %d bytes",
            UNIX_PATH_MAX_BYTES);
    /* Only an absolute path is accepted, so that a misspelt word does not
       create a file in the working directory. */
    if (strcmp(c->log_target, "stderr") != 0 &&
        strcmp(c->log_target, "syslog") != 0 &&
        strchr(c->log_target, '/') == NULL)
        fault(x, CONF_KNOB_log_target,
            "is not a target; write stderr, syslog, or a file with its "
            "directory, such as /var/log/ocppd/ocppd.log");
}

static void
check_redis(struct checking *x)
{
    const struct config *c = x->c;
    size_t               n = strlen(c->redis_prefix);

    if (c->redis_host[0] != '\0' && !config_host(c->redis_host))
        fault(x, CONF_KNOB_redis_host,
            "is not a name or address of a host; write it as "
            "redis.example.org, 192.0.2.1 or 2001:db8::1, and the port as "
            "redis.port");
    if (c->redis_socket[0] != '\0' && c->redis_socket[0] != '/')
        fault(x, CONF_KNOB_redis_socket,
            "is not the path of a socket; write the whole path, such as "
            "/run/redis/redis.sock");
    if (c->redis_host[0] != '\0' && c->redis_socket[0] != '\0')
        fault(x, CONF_KNOB_redis_socket,
            "is set in addition to redis.host; remove one of the two");
    if (c->auth_mode == CONF_auth_mode_redis && !config_has_redis(c))
        fault(x, CONF_KNOB_auth_mode,
            "is redis, but neither redis.host nor redis.socket is set; set "
            "one");
    if (c->auth_mode == CONF_auth_mode_redis &&
        c->auth_timeout >= c->websocket_handshake_timeout)
        fault(x, CONF_KNOB_auth_timeout,
            "the whole handshake, including this time, must end within "
            "websocket.handshake_timeout = %llums; make it less",
            (unsigned long long)c->websocket_handshake_timeout);
    for (unsigned k = 0; k < CONF_KNOBS && !config_has_redis(c); k++) {
        if (strcmp(knobs[k].section, "answers") != 0 ||
            knobs[k].type != KNOB_WORD)
            continue;
        enum conf_choice v =
            *(const enum conf_choice *)((const char *)c + knobs[k].offset);
        if (strcmp(knob_choice_name(v), "platform") == 0)
            fault(x, (enum conf_knob)k,
                "asks the platform, which is reached through Redis, but "
                "neither redis.host nor redis.socket is set; set one");
    }
    if (c->redis_password[0] != '\0' && c->redis_password_file[0] != '\0')
        fault(x, CONF_KNOB_redis_password,
            "is set in addition to redis.password_file; remove one of the two");
    if (c->redis_user[0] != '\0' && c->redis_password[0] == '\0' &&
        c->redis_password_file[0] == '\0')
        fault(x, CONF_KNOB_redis_user,
            "has no password; set redis.password_file");
    if (strlen(c->redis_socket) > UNIX_PATH_MAX_BYTES)
        fault(x, CONF_KNOB_redis_socket,
            "is too long for a socket; shorten it to %d bytes",
            UNIX_PATH_MAX_BYTES);
    if (n == 0 || n > PREFIX_MAX_BYTES ||
        strspn(c->redis_prefix,
            "abcdefghijklmnopqrstuvwxyz"
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") < n)
        fault(x, CONF_KNOB_redis_prefix,
            "cannot begin a function's name; "
            "write 1 to %d letters, digits and _",
            PREFIX_MAX_BYTES);
}

static void
check_versions(struct checking *x)
{
    const size_t n = sizeof versions_known / sizeof versions_known[0];
    const char  *list = x->c->ocpp_versions, *cursor = list;
    char         item[CONF_LIST_MAX], all[256] = "";

    for (size_t i = 0; i < n; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s",
            i == 0           ? ""
                : i + 1 == n ? " and "
                             : ", ",
            versions_known[i]);
    if (list[0] == '\0')
        fault(x, CONF_KNOB_ocpp_versions, "is empty; write at least one of %s",
            all);
    while (!x->bad[CONF_KNOB_ocpp_versions] &&
        config_list_next(&cursor, item, sizeof item)) {
        bool known = false;
        for (size_t i = 0; i < n; i++)
            known |= strcmp(item, versions_known[i]) == 0;
        if (!known)
            fault(x, CONF_KNOB_ocpp_versions,
                "%s is not known here; this ocppd knows %s", item, all);
        else if (listed_before(list, cursor, item))
            fault(x, CONF_KNOB_ocpp_versions, "%s occurs twice; remove one",
                item);
    }
}

static unsigned
count_items(const char *list)
{
    char     item[CONF_LIST_MAX];
    unsigned n = 0;

    while (config_list_next(&list, item, sizeof item))
        n++;
    return n;
}

static void
check_suites(struct checking *x)
{
    const enum conf_knob k = CONF_KNOB_tls_suites;
    char                 item[CONF_LIST_MAX];
    const char          *list = x->c->tls_suites, *cursor = list;
    bool                 any = list[0] == '\0';

    while (!x->bad[k] && config_list_next(&cursor, item, sizeof item)) {
        enum tls_suite s = tls_suite_find(item);
        if (s == TLS_SUITES)
            fault(x, k,
                "%s is not supported: %s; ocppd.conf(5) lists those that are",
                item,
                strcasestr(item, "CBC") != NULL ||
                        (strcasestr(item, "GCM") == NULL &&
                            strcasestr(item, "POLY1305") == NULL &&
                            strcasestr(item, "SHA") != NULL)
                    ? "suites with CBC are not AEAD, and have been broken "
                      "repeatedly"
                    : "it is not a known AEAD suite");
        else if (listed_before(list, cursor, item))
            fault(x, k, "%s occurs twice; remove one", item);
        else
            any |= tls_suite_version(s) == 3 ||
                strcmp(x->c->tls_min_version, "1.3") != 0;
    }
    if (!x->bad[k] && !any)
        fault(x, k,
            "has no suite for TLS 1.3, but tls.min_version is 1.3; add "
            "TLS_AES_128_GCM_SHA256");
}

static void
check_tls(struct checking *x)
{
    const struct config *c = x->c;
    unsigned             certificates = count_items(c->tls_certificate),
             keys_n = count_items(c->tls_key);

    if (strcmp(c->tls_min_version, "1.2") != 0 &&
        strcmp(c->tls_min_version, "1.3") != 0)
        fault(x, CONF_KNOB_tls_min_version,
            "is not a supported version; write 1.2 or 1.3");
    else
        check_suites(x);
    if (certificates != keys_n)
        fault(x, CONF_KNOB_tls_key,
            "has %u files, but tls.certificate has %u; give each certificate "
            "its key, in the same order",
            keys_n, certificates);
    if (c->server_listen_tls[0] != '\0' && certificates == 0)
        fault(x, CONF_KNOB_server_listen_tls,
            "needs a certificate; set tls.certificate and tls.key");
    if (c->admin_listen_tls[0] != '\0' && certificates == 0)
        fault(x, CONF_KNOB_admin_listen_tls,
            "needs a certificate; set tls.certificate and tls.key");
    if (c->tls_client != CONF_tls_client_no && c->tls_client_ca[0] == '\0')
        fault(x, CONF_KNOB_tls_client,
            "needs the authorities that sign client certificates; set "
            "tls.client_ca");
    if (c->tls_client == CONF_tls_client_no && c->tls_crl[0] != '\0')
        fault(x, CONF_KNOB_tls_crl,
            "has no effect, because tls.client is no; set tls.client or "
            "remove this setting");
}

/* Each rule has the form PATTERN=VERSION, and its version must be enabled. */
static void
check_version_rules(struct checking *x)
{
    const enum conf_knob k = CONF_KNOB_ocpp_version_rules;
    const char          *cursor = x->c->ocpp_version_rules;
    const char          *versions = x->c->ocpp_versions;
    char                 item[CONF_LIST_MAX];

    while (!x->bad[k] && config_list_next(&cursor, item, sizeof item)) {
        const char *version = strrchr(item, '=');
        if (version == NULL || version == item)
            fault(x, k,
                "%s is not a rule; write it as PATTERN=VERSION, such as "
                "ABC-*=%s",
                item, versions_known[0]);
        else if (!listed_before(
                     versions, versions + strlen(versions) + 1, version + 1))
            fault(x, k,
                "%s names a version that is not in ocpp.versions (%s); add it "
                "there, or name one of these",
                item, versions);
    }
}

/* less <= more must hold. The error names the one of the two that was set. */
static void
check_order(struct checking *x, enum conf_knob less, uint64_t less_value,
    enum conf_knob more, uint64_t more_value, const char *means)
{
    struct buf a = BUF_INIT(64), b = BUF_INIT(64);

    if (x->bad[less] || x->bad[more] || less_value <= more_value)
        return;
    knob_print(less, x->c, &a);
    knob_print(more, x->c, &b);
    if (x->c->origin[more] != 0)
        fault(x, more, "is less than %s (%s), %s; raise it or lower %s",
            knobs[less].key, buf_cstr(&a), means, knobs[less].key);
    else
        fault(x, less,
            "is more than %s (%s, the default), %s; lower it or "
            "raise %s",
            knobs[more].key, buf_cstr(&b), means, knobs[more].key);
    buf_free(&a);
    buf_free(&b);
}

void
check_config(const struct config *c, bool bad[CONF_KNOBS], check_fault *report,
    void *arg)
{
    struct checking x = {c, bad, report, arg};

    check_listen(&x);
    check_ranges(&x, CONF_KNOB_server_proxy_from, c->server_proxy_from);
    check_ranges(&x, CONF_KNOB_tls_proxy_from, c->tls_proxy_from);
    check_hosts(&x, CONF_KNOB_admin_hosts, c->admin_hosts);
    check_tls(&x);
    check_path(&x);
    check_names(&x);
    check_versions(&x);
    check_version_rules(&x);
    check_redis(&x);
    check_order(&x, CONF_KNOB_websocket_ping_interval,
        c->websocket_ping_interval, CONF_KNOB_websocket_idle_timeout,
        c->websocket_idle_timeout,
        "so quiet connections would be closed before their first ping");
    if (c->server_max_identities != 0)
        check_order(&x, CONF_KNOB_server_max_connections,
            c->server_max_connections, CONF_KNOB_server_max_identities,
            c->server_max_identities,
            "so connected charge points would have no place");
}
