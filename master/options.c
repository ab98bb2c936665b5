/* options: the arguments of the program. See options.h. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"
#include "access/tokens.h"
#include "admin/http.h"
#include "admin/metrics.h"
#include "base/master.h"
#include "config_put.h"
#include "config_read.h"
#include "control/command.h"
#include "control/control_socket.h"
#include "event.h"
#include "paths.h"
#include "upgrade/format.h"
#include "version.h"
#include "worker/worker.h"
#include "workers/listen.h"
#include "workers/tls_keeper.h"

#define OVERRIDES_MAX 256
#define ERRORS_MAX (256 * 1024)

static const char usage_text[] =
    "usage: ocppd [-dhtV] [-c file] [-o section.key=value]... "
    "[-x conf|stats|commands|events|http|redis|schema|upgrade]\n";

static const char help_text[] =
    "  -c file  the configuration; default: " CONFIG_FILE " if it exists\n"
    "  -d       run in the background\n"
    "  -o ...   a setting that overrides the configuration\n"
    "  -t       check the configuration and exit\n"
    "  -x name  print a table of the manual, the functions for Redis, or the\n"
    "           JSON Schema of events, or the format of an upgrade\n"
    "  -V       print the version\n"
    "ocppd(8) describes the program, ocppd.conf(5) the settings.\n";

static void
usage(void)
{
    fputs(usage_text, stderr);
    exit(MASTER_EXIT_USAGE);
}

static void
help(void)
{
    fputs(usage_text, stdout);
    fputs(help_text, stdout);
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static void
read_config(void)
{
    struct buf errors = BUF_INIT(ERRORS_MAX);

    if (!config_read(&master.config, master.conf_file, master.overrides,
            master.n_overrides, &errors)) {
        fwrite(errors.p, 1, errors.len, stderr);
        exit(MASTER_EXIT_CONFIG);
    }
    buf_free(&errors);
}

static void
print_table(const char *which)
{
    struct buf out = BUF_INIT(1 << 20);

    if (strcmp(which, "conf") == 0)
        config_put_manual(&out);
    else if (strcmp(which, "stats") == 0)
        metrics_put_manual(&out);
    else if (strcmp(which, "commands") == 0)
        command_put_manual(&out);
    else if (strcmp(which, "events") == 0)
        event_put_manual(&out);
    else if (strcmp(which, "schema") == 0)
        event_put_schema(&out);
    else if (strcmp(which, "http") == 0)
        http_put_manual(&out);
    else if (strcmp(which, "upgrade") == 0)
        buf_addf(
            &out, "format %d\nversion %s\n", UPGRADE_FORMAT, OCPPD_VERSION);
    else if (strcmp(which, "redis") == 0) {
        read_config(); /* with the options before this one */
        worker_put_library(&master.config, &out);
    } else
        usage();
    fwrite(out.p, 1, out.len, stdout);
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static void
test_config(void)
{
    const struct config *c = &master.config;
    struct buf           why = BUF_INIT(8192), notes = BUF_INIT(8192);
    struct buf           out = BUF_INIT(ERRORS_MAX);
    struct tokens       *tokens = NULL;

    if (!paths_log(master.config.log_target, false, &why) ||
        !paths_test(&master.config, &why) ||
        !control_socket_check(c->server_control_group, &why) ||
        !listen_check("server.listen", c->server_listen, &why) ||
        !listen_check("server.listen_tls", c->server_listen_tls, &why) ||
        !listen_check("admin.listen", c->admin_listen, &why) ||
        !listen_check("admin.listen_tls", c->admin_listen_tls, &why) ||
        !access_check(c, NULL, &why, &notes) ||
        (tokens = tokens_read(c->server_state_dir, &why)) == NULL ||
        !tls_keeper_check(&master.config, &why, &notes)) {
        unsigned placed =
            config_put_places(c, master.conf_file, buf_cstr(&why), &out);
        fprintf(stderr, "%s%s", placed ? "" : "ocppd: ", buf_cstr(&out));
        exit(MASTER_EXIT_CONFIG);
    }
    tokens_free(tokens);
    config_put_places(c, master.conf_file, buf_cstr(&notes), &out);
    for (const char *line = buf_cstr(&out), *end;
         (end = strchr(line, '\n')) != NULL; line = end + 1)
        fprintf(stderr, "warning: %.*s\n", (int)(end - line), line);
    printf("%s: the configuration is valid\n",
        master.conf_file ? master.conf_file : "built-in defaults");
    exit(0);
}

bool
options_read(int argc, char **argv)
{
    static const struct option    longs[] = {{"help", no_argument, NULL, 'h'},
           {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
    static struct config_override overrides[OVERRIDES_MAX];
    bool                          background = false, test = false;
    int                           option;

    master.overrides = overrides;
    master.argc = argc;
    master.argv = argv;
    ssize_t n =
        readlink("/proc/self/exe", master.program, sizeof master.program - 1);
    master.program[n > 0 ? n : 0] = '\0';
    while ((option = getopt_long(argc, argv, "c:o:dhtx:V", longs, NULL)) != -1)
        switch (option) {
        case 'c':
            master.conf_file = optarg;
            break;
        case 'o':
            if (master.n_overrides == OVERRIDES_MAX) {
                fprintf(
                    stderr, "ocppd: more than %d times -o\n", OVERRIDES_MAX);
                exit(MASTER_EXIT_USAGE);
            }
            overrides[master.n_overrides++].text = optarg;
            break;
        case 'd':
            background = true;
            break;
        case 't':
            test = true;
            break;
        case 'h':
            help();
            break;
        case 'x':
            print_table(optarg);
            break;
        case 'V':
            printf("ocppd %s\n", OCPPD_VERSION);
            exit(0);
        default:
            usage();
        }
    if (optind < argc)
        usage();
    if (master.conf_file == NULL && access(CONFIG_FILE, F_OK) == 0)
        master.conf_file = CONFIG_FILE;
    read_config();
    if (test)
        test_config();
    return background;
}
