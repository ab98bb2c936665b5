/* The files of a configuration: included files, variables, and the files of
 * conf/. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_fix.h"
#include "config_put.h"
#include "knob.h"

static void
files(void)
{
    char  name[] = "/tmp/config_test.XXXXXX";
    int   fd = mkstemp(name);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    CHECK(f != NULL);
    if (f == NULL)
        return;
    fputs("[server]\nworkers = 3\n", f);
    fflush(f);
    struct config_override o[] = {{"server.workers=4"}, {"server.workers=5"}};
    buf_clear(&errors);
    CHECK(config_read(&c, name, NULL, 0, &errors));
    CHECK_EQ(c.server_workers, 3);
    CHECK(config_read(&c, name, o, 2, &errors));
    CHECK_EQ(c.server_workers, 5);
    CHECK_EQ(errors.len, 0);
    for (int i = 0; i < (1 << 20) / 16; i++)
        fputs("# abcdefghijklm\n", f);
    fflush(f);
    CHECK(!config_read(&c, name, NULL, 0, &errors));
    CHECK(strstr(buf_cstr(&errors), "larger than 1MiB") != NULL);
    fclose(f);
    unlink(name);
    buf_clear(&errors);
    CHECK(!config_read(&c, name, NULL, 0, &errors));
    CHECK(strstr(buf_cstr(&errors), "No such file") != NULL);
    buf_clear(&errors);
    CHECK(!config_read(&c, "/", NULL, 0, &errors));
    CHECK(strstr(buf_cstr(&errors), "Is a directory") != NULL);
    CHECK(config_read(&c, NULL, NULL, 0, &errors));
}

/* Makes a folder with a main file and others. Returns the errors of reading
 * it. */
static char dir[] = "/tmp/config_test.XXXXXX";

static void
put(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    CHECK(f != NULL);
    if (f == NULL)
        return;
    fputs(text, f);
    fclose(f);
}

static const char *
reads_dir(void)
{
    char path[256];

    snprintf(path, sizeof path, "%s/main", dir);
    buf_clear(&errors);
    return config_read(&c, path, NULL, 0, &errors) ? "no error"
                                                   : buf_cstr(&errors);
}

static void
other_files_are_included(void)
{
    struct buf text = BUF_INIT(1 << 20);
    char       path[256], want[300];

    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/d", dir);
    CHECK(mkdir(path, 0755) == 0);
    put("main",
        "[server]\nworkers = 2\ninclude = d/*.conf\nuser = u\n"
        "[log]\nlevel = warn\n");
    CHECK_STR(reads_dir(), "no error");
    CHECK_EQ(c.server_workers, 2);
    /* Files are included in the order of their names. A later file replaces a
     * value, and the section of the main file continues. */
    put("d/20.conf", "[server]\nworkers = 4\n");
    put("d/10.conf",
        "# a comment\n\n[server]\nworkers = 3\n[ocpp]\n"
        "max_identity_length = 17\n");
    put("d/30.off", "[server]\nworkers = 9\n");
    CHECK_STR(reads_dir(), "no error");
    CHECK_EQ(c.server_workers, 4);
    CHECK_STR(c.server_user, "u");
    CHECK_EQ(c.ocpp_max_identity_length, 17);
    CHECK_EQ(c.log_level, CONF_log_level_warn);
    config_put_text(&c, "main", &text);
    snprintf(want, sizeof want, "# %s/d/20.conf line 2\n", dir);
    CHECK(strstr(buf_cstr(&text), want) != NULL);
    buf_clear(&text);
    config_put_json(&c, "main", &text);
    snprintf(want, sizeof want,
        "\"origin\":\"file\",\"line\":6,\"file\":\"%s/d/10.conf\"", dir);
    CHECK(strstr(buf_cstr(&text), want) != NULL);

    /* A setting in effect keeps its place, even if other files exist around
     * it. */
    struct config running = c;
    put("d/00.conf", "[log]\nlevel = info\n");
    CHECK_STR(reads_dir(), "no error");
    buf_clear(&text);
    config_keep_restart(&c, &running, &text);
    config_put_text(&c, "main", &text);
    snprintf(want, sizeof want, "# %s/d/20.conf line 2\n", dir);
    CHECK(strstr(buf_cstr(&text), want) != NULL);
    /* It keeps its place even if its file does not exist any more. */
    snprintf(path, sizeof path, "%s/d/20.conf", dir);
    CHECK(unlink(path) == 0);
    CHECK_STR(reads_dir(), "no error");
    CHECK_EQ(c.server_workers, 3);
    buf_clear(&text);
    config_keep_restart(&c, &running, &text);
    CHECK_EQ(c.server_workers, 4);
    buf_clear(&text);
    config_put_text(&c, "main", &text);
    CHECK(strstr(buf_cstr(&text), want) != NULL);

    put("d/00.conf", "[server]\n");
    put("d/10.conf", "[server]\nworkers = x\nworkers = 3\n");
    put("d/20.conf", "workers = 3\n");
    reads_dir();
    CHECK(strstr(buf_cstr(&errors),
              "d/10.conf:2: server.workers = x: is not a number;") != NULL);
    CHECK(strstr(buf_cstr(&errors),
              "d/10.conf:3: server.workers = 3: is already set in line 2") !=
        NULL);
    CHECK(strstr(buf_cstr(&errors),
              "d/20.conf:1: workers = 3: stands before the first section") !=
        NULL);

    put("d/10.conf", "include = x\n");
    put("d/20.conf", "");
    CHECK(
        strstr(reads_dir(), "d/10.conf:1: x: only the main file may") != NULL);
    put("d/10.conf", "");
    put("main", "\ninclude = d/none.conf\n");
    CHECK(strstr(reads_dir(),
              "main:2: d/none.conf: cannot be included: No such file") != NULL);
    put("main", "\ninclude = d\n");
    CHECK(strstr(reads_dir(), "main:2: ") != NULL);
    CHECK(strstr(buf_cstr(&errors), "/d: is not a regular file\n") != NULL);
    put("main", "include =\n");
    CHECK(strstr(reads_dir(), "main:1: : is not a pattern of files;") != NULL);
    put("main", "include = none/*.conf\n");
    CHECK_STR(reads_dir(), "no error");
    CHECK(strstr(says("include = x\n"), "f:1: x: only a file may") != NULL);
    /* An error between two settings names the file that set the value. */
    put("main", "include = d/10.conf\n");
    put("d/10.conf", "\n[redis]\nport = 1\nuser = u\n");
    CHECK(strstr(reads_dir(), "d/10.conf:") != NULL);
    buf_free(&text);
}

static void
variables_are_put_in(void)
{
    struct config          before;
    struct buf             text = BUF_INIT(1 << 20);
    struct config_override o = {"server.node=${OCPPD_TEST}"};
    char                   line[400];

    setenv("OCPPD_TEST", "seven", 1);
    setenv("OCPPD_EMPTY", "", 1);
    unsetenv("OCPPD_NONE");
    CHECK(reads("[server]\nnode = a-${OCPPD_TEST}-${OCPPD_NONE:-b}"
                "${OCPPD_EMPTY:-c}${OCPPD_EMPTY}\n"));
    CHECK_STR(c.server_node, "a-seven-bc");
    CHECK_EQ(c.origin_expanded[CONF_KNOB_server_node], true);
    config_put_text(&c, "f", &text);
    CHECK(strstr(buf_cstr(&text), "# line 2, with ${...}\n") != NULL);
    /* The value of a variable is not expanded again, and is escaped when it is
     * written. */
    setenv("OCPPD_TEST", "${OCPPD_NONE}", 1);
    CHECK(reads("[redis]\nuser = ${OCPPD_TEST}$${x}$$\nhost=h\npassword=p\n"));
    CHECK_STR(c.redis_user, "${OCPPD_NONE}${x}$$");
    before = c;
    buf_clear(&text);
    config_put_text(&c, "f", &text);
    CHECK(reads(buf_cstr(&text)));
    CHECK(knob_same(CONF_KNOB_redis_user, &before, &c));
    CHECK(config_read_text(&c, NULL, "", 0, &o, 1, &errors) == false);

    setenv("OCPPD_TEST", "seven", 1);
    CHECK_STR(says("[server]\nworkers = ${OCPPD_TEST}\n"),
        "f:2: server.workers = ${OCPPD_TEST} (seven): is not a number; write "
        "auto or a number from 1 to 200\n");
    CHECK_STR(says("\n[redis]\nhost = h\npassword = ${OCPPD_NONE}\n"),
        "f:4: redis.password = ***: the environment variable OCPPD_NONE is not set; set it "
        "for this process, or write ${OCPPD_NONE:-DEFAULT}\n");
    CHECK_STR(says("[server]\nnode = ${OCPPD\n"),
        "f:2: server.node = ${OCPPD: has a ${ without its }; write $${ for the "
        "characters themselves\n");
    CHECK(strstr(says("[server]\nnode = ${a b}\n"),
              "f:2: server.node = ${a b}: ${a b} is not a variable; write") !=
        NULL);
    CHECK_STR(says_of("server.node=${a\n\033b}"),
        "-o: server.node = ${a??b}: ${a??b} is not a variable; write ${NAME}, "
        "${NAME:-DEFAULT} or ${file:PATH}, or $${ for the characters "
        "${ themselves\n");
    CHECK(strstr(says("[server]\nnode = ${file:/dev/null}\n"),
              "names a file, which is possible only in configuration files") !=
        NULL);

    /* Only the first line of such a file is used. */
    put("secret", "s3cret\r\nsecond\n");
    snprintf(line, sizeof line,
        "[redis]\nhost = h\npassword = ${file:%s/secret}\n", dir);
    put("main", line);
    CHECK_STR(reads_dir(), "no error");
    CHECK_STR(c.redis_password, "s3cret");
    buf_clear(&text);
    config_put_text(&c, "f", &text);
    config_put_json(&c, "f", &text);
    CHECK(strstr(buf_cstr(&text), "s3cret") == NULL);
    CHECK(strstr(buf_cstr(&text), "\"expanded\":true") != NULL);
    put("secret", "\n");
    CHECK(strstr(reads_dir(), "main:3: redis.password = ***: /tmp/") != NULL);
    CHECK(strstr(buf_cstr(&errors), "the first line is empty") != NULL);
    put("main", "[redis]\nhost = h\npassword = ${file:/dev/zero}\n");
    CHECK(strstr(reads_dir(), "/dev/zero is not a regular file") != NULL);

    /* ocppctl finds the socket even if it may not read the secret. */
    put("main",
        "[server]\ncontrol = /run/x\n[redis]\nhost = h\npassword = "
        "${file:/none}\nuser = ${OCPPD_NONE}\n");
    CHECK(strstr(reads_dir(), "main:5: ") != NULL);
    CHECK(strstr(buf_cstr(&errors), "main:6: ") != NULL);
    snprintf(line, sizeof line, "%s/main", dir);
    buf_clear(&errors);
    CHECK(config_read_partial(&c, line, &errors));
    CHECK_STR(c.server_control, "/run/x");
    snprintf(line, sizeof line, "rm -r %s", dir);
    CHECK(system(line) == 0);
    buf_free(&text);
}

/* The files that belong to ocppd. Tests run in the top folder of the tree. */
static void
files_of_conf(void)
{
    static const char *const names[] = {"conf/ocppd.conf",
        "conf/development.conf", "conf/test.conf", "conf/production.conf"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        buf_clear(&errors);
        CHECK(config_read(&c, names[i], NULL, 0, &errors));
        CHECK_STR(buf_cstr(&errors), "");
    }
}

/* conf/ocppd.conf shows every knob: if the leading # of each line is removed,
 * all knobs are set, and those of commented lines have their defaults. */
static void
the_installed_file_is_complete(void)
{
    struct buf    text = BUF_INIT(1 << 20);
    struct config defaults, installed;
    char          line[256];
    FILE         *f = fopen("conf/ocppd.conf", "r");

    CHECK(f != NULL);
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "include", 7) != 0)
            buf_adds(&text, line + (line[0] == '#' && line[1] != ' '));
    if (f != NULL)
        fclose(f);
    CHECK(reads(""));
    defaults = c;
    CHECK(config_read(&installed, "conf/ocppd.conf", NULL, 0, &errors));
    CHECK_STR(says(buf_cstr(&text)), "no error");
    for (unsigned i = 0; i < CONF_KNOBS; i++) {
        enum conf_knob k = (enum conf_knob)i;
        if (c.origin[k] == 0)
            printf("conf/ocppd.conf does not show %s.%s\n", knobs[k].section,
                knobs[k].key);
        CHECK(c.origin[k] > 0);
        CHECK(installed.origin[k] != 0 || knob_same(k, &c, &defaults));
    }
    buf_free(&text);
}

int
main(void)
{
    files();
    other_files_are_included();
    variables_are_put_in();
    files_of_conf();
    the_installed_file_is_complete();
    buf_free(&errors);
    return unit_done();
}
