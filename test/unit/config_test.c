/* The settings of ocppd.conf, and how its errors are reported. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_fix.h"
#include "config_put.h"
#include "knob.h"

static void
defaults_are_a_configuration(void)
{
    CHECK(reads(""));
    CHECK_STR(c.server_listen, "127.0.0.1:8080");
    CHECK_EQ(c.server_workers, 0);
    CHECK_EQ(c.websocket_ping_interval, 45000);
    CHECK_EQ(c.websocket_max_message_size, 1u << 20);
    CHECK(c.websocket_accept_missing_subprotocol);
    CHECK_EQ(c.ocpp_validation, CONF_ocpp_validation_lenient);
    CHECK_EQ(c.origin[CONF_KNOB_server_listen], 0);
}

static void
values_of_each_type(void)
{
    CHECK(reads("[server]\nworkers = 7\n[websocket]\nping_interval=90s\n"
                "max_message_size = 1KiB\naccept_missing_subprotocol = no\n"
                "[ocpp]\nvalidation = strict\n"));
    CHECK_EQ(c.server_workers, 7);
    CHECK_EQ(c.websocket_ping_interval, 90000);
    CHECK_EQ(c.websocket_max_message_size, 1024);
    CHECK(!c.websocket_accept_missing_subprotocol);
    CHECK_EQ(c.ocpp_validation, CONF_ocpp_validation_strict);
    CHECK_STR(knob_choice_name(c.ocpp_validation), "strict");
    CHECK_EQ(c.origin[CONF_KNOB_server_workers], 2);
    CHECK_EQ(c.origin[CONF_KNOB_websocket_max_message_size], 5);

    CHECK(takes("websocket.handshake_timeout=250ms"));
    CHECK_EQ(c.websocket_handshake_timeout, 250);
    CHECK(takes("websocket.ping_interval = 3m"));
    CHECK_EQ(c.websocket_ping_interval, 180000);
    CHECK_EQ(c.origin[CONF_KNOB_websocket_ping_interval], -1);
    CHECK(takes("websocket.idle_timeout=1h"));
    CHECK_EQ(c.websocket_idle_timeout, 3600000);
    CHECK(takes("journal.retention=7d"));
    CHECK_EQ(c.journal_retention, 7ull * 86400000);
    CHECK(takes("journal.segment_size=4GiB"));
    CHECK_EQ(c.journal_segment_size, 1ull << 32);
    CHECK(takes("journal.segment_size=1MiB"));
    CHECK_EQ(c.journal_segment_size, 1 << 20);
    CHECK(takes("ocpp.violation_frame=512"));
    CHECK_EQ(c.ocpp_violation_frame, 512);
    CHECK(takes("server.drain_time=0"));
    CHECK_EQ(c.server_drain_time, 0);
    CHECK(takes("server.workers=auto"));
    CHECK_EQ(c.server_workers, 0);
    CHECK(takes("server.user="));
    CHECK_STR(c.server_user, "");
    CHECK(takes("server.listen=  *:80\t[::1]:80   10.0.0.1:65535 "));
    CHECK_STR(c.server_listen, "*:80 [::1]:80 10.0.0.1:65535");
}

static void
wrong_values_are_explained(void)
{
    CHECK_STR(says_of("server.workers=201"),
        "-o: server.workers = 201: is too large; write auto or a number "
        "from 1 to 200\n");
    CHECK_STR(says_of("server.max_connections=0"),
        "-o: server.max_connections = 0: is too small; write a number from "
        "1 to 4000000\n");
    CHECK_STR(says_of("server.max_connections=1e3"),
        "-o: server.max_connections = 1e3: is not a whole number; write a "
        "number from 1 to 4000000\n");
    CHECK_STR(says_of("server.max_connections=-1"),
        "-o: server.max_connections = -1: is not a number; write a number "
        "from 1 to 4000000\n");
    CHECK_STR(says_of("server.max_connections=auto"),
        "-o: server.max_connections = auto: is not a number; write a number "
        "from 1 to 4000000\n");
    CHECK_STR(says_of("server.max_connections=18446744073709551617"),
        "-o: server.max_connections = 18446744073709551617: is too large; "
        "write a number from 1 to 4000000\n");
    CHECK_STR(says_of("websocket.ping_interval=60"),
        "-o: websocket.ping_interval = 60: has no unit; write a number with "
        "ms, s, m, h or d, from 1s to 1h\n");
    CHECK_STR(says_of("websocket.ping_interval=213503982335d"),
        "-o: websocket.ping_interval = 213503982335d: is too large; write a "
        "number with ms, s, m, h or d, from 1s to 1h\n");
    CHECK_STR(says_of("websocket.ping_interval=1h30m"),
        "-o: websocket.ping_interval = 1h30m: has an unknown unit; write a "
        "number with ms, s, m, h or d, from 1s to 1h\n");
    CHECK_STR(says_of("websocket.max_message_size=64k"),
        "-o: websocket.max_message_size = 64k: has an unknown unit; write a "
        "number of bytes or with KiB, MiB or GiB, from 1KiB to 16MiB\n");
    CHECK_STR(says_of("ocpp.heartbeat_events=true"),
        "-o: ocpp.heartbeat_events = true: is neither yes nor no; write "
        "yes\n");
    CHECK_STR(says_of("ocpp.heartbeat_events=maybe"),
        "-o: ocpp.heartbeat_events = maybe: is neither yes nor no; write "
        "yes or no\n");
    CHECK_STR(says_of("ocpp.validation=stict"),
        "-o: ocpp.validation = stict: is not known here; write lenient, "
        "strict or off (did you mean strict?)\n");
    CHECK_STR(says_of("ocpp.validation="),
        "-o: ocpp.validation = : has no value; the default is lenient\n");
    CHECK_STR(says_of("server.path=\"/ocpp\""),
        "-o: server.path = \"/ocpp\": is quoted; write it without the "
        "quotes\n");
    CHECK_STR(says_of("server.state_dir=/a\033[2J"),
        "-o: server.state_dir = /a?[2J: holds the control character 0x1b; "
        "remove it\n");
    CHECK_STR(says_of("server.state_dir=/a #b"),
        "-o: server.state_dir = /a #b: has a # that begins a comment; remove "
        "it\n");
    CHECK_STR(says_of("server.listen=*:80,*:81"),
        "-o: server.listen = *:80,*:81: has a comma; separate the items by "
        "blanks\n");

    char longest[200];
    snprintf(longest, sizeof longest, "server.state_dir=/%0126d", 1);
    CHECK(takes(longest));
    CHECK_EQ(strlen(c.server_state_dir), CONF_TEXT_MAX - 1);
    snprintf(longest, sizeof longest, "server.state_dir=/%0127d", 1);
    CHECK(!takes(longest));
    CHECK(strstr(buf_cstr(&errors), "at most 127 bytes") != NULL);
}

static void
wrong_names_are_guessed(void)
{
    CHECK_STR(says("[sevrer]\nany = thing\nat all\n[log]\nlevel = warn\n"),
        "f:1: [sevrer]: there is no such section; did you mean [server]?\n");
    CHECK(strstr(says("[mysql]\n"), "there are [server] [tls] [websocket]"));
    CHECK_STR(says("[server]\nLISTEN = *:1\n"),
        "f:2: server.LISTEN = *:1: there is no such key; did you mean "
        "listen?\n");
    CHECK_STR(says("[server]\nping_interval = 60s\n"),
        "f:2: server.ping_interval = 60s: there is no such key; "
        "ping_interval belongs in section [websocket]\n");
    CHECK_STR(says("[server]\ncolour = red\n"),
        "f:2: server.colour = red: there is no such key; ocppd.conf(5) "
        "lists the keys of [server]\n");
    CHECK_STR(says("path = /ocpp\n"),
        "f:1: path = /ocpp: stands before the first section; path belongs "
        "in section [server]\n");
    CHECK_STR(says_of("server"),
        "-o: server: is not a setting; write section.key=value, such as "
        "server.listen=127.0.0.1:8080\n");
    CHECK_STR(says_of("log.lvel=info"),
        "-o: log.lvel = info: there is no such key; did you mean level?\n");
    CHECK_STR(says_of("lgo.level=info"),
        "-o: [lgo]: there is no such section; did you mean [log]?\n");
}

static void
lines(void)
{
    /* Blanks, comments, CR LF, a byte order mark, a last line without a line
     * feed. */
    CHECK(reads("\xef\xbb\xbf# first\r\n; second\r\n\r\n  [server] # here\r\n"
                "\tpath\t=\t/a ; not part of it\r\n  workers=2"));
    /* "#" within a word is a part of the word, so the check of the path refuses
     * it. */
    CHECK(!reads("[server]\npath = /a#b\n"));
    CHECK(reads("[server]\npath = /a #b\n  workers = 2"));
    CHECK_STR(c.server_path, "/a");
    CHECK_EQ(c.server_workers, 2);
    /* A section may be opened again. */
    CHECK(reads("[log]\n[server]\nworkers=2\n[log]\nlevel=warn\n"));

    CHECK_STR(says("[server]\nlisten = *:80\n  *:81\n"),
        "f:3: *:81: has no =; write key = value, the whole value on one "
        "line\n");
    CHECK_STR(says("[server\nworkers = 2\n"),
        "f:1: [server: is not a section; write its name in brackets and "
        "nothing else, as [server]\n");
    CHECK_STR(says("[server] workers = 2\n"),
        "f:1: [server] workers = 2: is not a section; write its name in "
        "brackets and nothing else, as [server]\n");
    CHECK_STR(says("[server]\npath: /x=y\n"),
        "f:2: path: /x=y: does not begin with the name of a key; write key = "
        "value\n");
    CHECK_STR(says("[server]\nworkers = 2\nworkers = 3\n"),
        "f:3: server.workers = 3: is already set in line 2; remove one of "
        "the two\n");

    char text[600];
    buf_clear(&errors);
    CHECK(!config_read_text(
        &c, "f", "[log]\n\0level = warn\n", 20, NULL, 0, &errors));
    CHECK_STR(buf_cstr(&errors),
        "f:2: ?level = warn: holds a NUL byte; the "
        "file must be plain text\n");

    /* Lines that inih would cut, because they are too long, and whose rest it
     * would read as another line. */
    snprintf(text, sizeof text, "[server]\nstate_dir = /%0300d\nworkers=3", 1);
    CHECK(!reads(text));
    CHECK(strstr(buf_cstr(&errors), "f:2: state_dir = /0") != NULL);
    CHECK(strstr(buf_cstr(&errors), "is too long; key and value may have ") !=
        NULL);
    snprintf(text, sizeof text, "[server]\n%0300d\n", 1);
    CHECK(!reads(text));
    snprintf(text, sizeof text, "[%0300d]\n", 1);
    CHECK(!reads(text));
    snprintf(text, sizeof text, "[server]\n%0300d = 1\n", 1);
    CHECK(!reads(text));
    /* A comment may be long. */
    snprintf(text, sizeof text, "[server]\nworkers = 3 # %0400d\n", 1);
    CHECK(reads(text));
    CHECK_EQ(c.server_workers, 3);
    /* A line of the greatest length is read completely. */
    snprintf(text, sizeof text, "[server]\nlisten  =  %0190d\n", 1);
    CHECK(!reads(text));
    CHECK(strstr(buf_cstr(&errors), "00001 is not an address") != NULL);
}

static void
hosts_are_names_or_addresses(void)
{
    static const char *const good[] = {"h", "redis", "redis.example.org",
        "redis.example.org.", "a_b-c.d", "192.0.2.1", "::1", "2001:db8::1",
        "fe80::1%eth0", "1.2.3.4.example", "xn--bcher-kva.example"};
    static const char *const bad[] = {"h h", "h:6379", "[::1]", "redis://h",
        "h/0", "-h", "h-", "a..b", ".a", "1.2.3", "1.2.3.4.5", "300.1.1.1",
        "12", "a-.b", "::1::", "fe80::1%", "h@x", "u:p@h", "b\xc3\xbc.de",
        "h,g", "*", "h=h"};
    char                     text[512];

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK(config_host(good[i]));
        snprintf(text, sizeof text, "[redis]\nhost = %s\n", good[i]);
        CHECK_STR(says(text), "no error");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(!config_host(bad[i]));
        snprintf(text, sizeof text, "[redis]\nhost = %s\n", bad[i]);
        CHECK(strstr(says(text), "f:2: redis.host = ") != NULL);
        CHECK(strstr(buf_cstr(&errors), "is not a name or address of a host") !=
            NULL);
    }
    snprintf(text, sizeof text, "%064d", 0);
    text[0] = 'a';
    CHECK(!config_host(text));             /* a label of 64 bytes */
    CHECK(config_host(text + 1) == false); /* digits alone are not an address */
    CHECK(strstr(says("[redis]\nsocket = redis.sock\n"),
              "f:2: redis.socket = redis.sock: is not the path of a socket") !=
        NULL);
    CHECK(strstr(says("[admin]\nhosts = ok.example https://g\n"),
              "https://g is not the name of a host") != NULL);
    CHECK(strstr(says("[admin]\nhosts = a a\n"), "a occurs twice") != NULL);
}

static void
settings_must_agree(void)
{
    CHECK_STR(says("[websocket]\nping_interval = 5m\n"),
        "f:2: websocket.ping_interval = 5m: is more than idle_timeout (190s, "
        "the default), so quiet connections would be closed before their "
        "first ping; lower it or raise idle_timeout\n");
    CHECK_STR(says("[websocket]\nping_interval = 5m\nidle_timeout = 4m\n"),
        "f:3: websocket.idle_timeout = 4m: is less than ping_interval (5m), "
        "so quiet connections would be closed before their first ping; raise "
        "it or lower ping_interval\n");
    CHECK(reads("[websocket]\nping_interval = 5m\nidle_timeout = 5m\n"));
    /* A value that cannot be read is not checked further, so there is only one
     * error. */
    CHECK_STR(says("[websocket]\nping_interval = 5m\nidle_timeout = 4\n"),
        "f:3: websocket.idle_timeout = 4: has no unit; write a number with "
        "ms, s, m, h or d, from 3s to 24h\n");
    CHECK(!takes("server.max_identities=10"));
    CHECK(takes("server.max_identities=100000"));

    CHECK_STR(says_of("server.listen="),
        "-o: server.listen = : is empty; write at least one address, such as "
        "127.0.0.1:8080\n");
    CHECK(!takes("server.listen=localhost:80"));
    CHECK(!takes("server.listen=*:80 *:80"));
    CHECK(takes("admin.listen="));
    CHECK(takes("admin.listen=[::1]:9180"));
    CHECK(!takes("admin.listen=127.0.0.1:8080"));

    CHECK(takes("server.node=gw-1.example_2"));
    CHECK(!takes("server.node="));
    CHECK(!takes("server.node=a b"));
    CHECK(!takes("server.node=abcdefghijabcdefghijabcdefghijabc"));
    CHECK(takes("server.node=abcdefghijabcdefghijabcdefghijab"));
    CHECK(takes("server.path=/"));
    CHECK(takes("server.path=/a/b-c"));
    CHECK(!takes("server.path=ocpp"));
    CHECK(!takes("server.path=/ocpp/"));
    CHECK(!takes("server.path=/a//b"));
    CHECK(!takes("server.path=/a?b"));
    CHECK(!takes("server.path="));
    CHECK(!takes("server.state_dir="));
    CHECK(takes("log.target=syslog"));
    CHECK(takes("log.target=./x.log"));
    CHECK(!takes("log.target=stdout"));
    CHECK_STR(says_of("ocpp.versions=ocpp1.5"),
        "-o: ocpp.versions = ocpp1.5: ocpp1.5 is not known here; this ocppd "
        "knows ocpp1.6, ocpp2.0.1 and ocpp2.1\n");
    CHECK(takes("ocpp.version_rules=ABC-*=ocpp1.6 *=x=ocpp2.1"));
    CHECK(!takes("ocpp.version_rules=ABC-*"));
    CHECK(!takes("ocpp.version_rules==ocpp1.6"));
    CHECK(!takes("ocpp.version_rules=ABC-*=ocpp1.5"));
    CHECK(!takes("ocpp.versions="));
    CHECK(!takes("ocpp.versions=ocpp1.6 ocpp1.6"));
}

static void
addresses(void)
{
    static const char *const bad[] = {"", ":", ":80", "80", "1.2.3.4",
        "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:+1", "1.2.3:1",
        "::1:80", "[::1]", "[::1]:", "[]:80", "[::1:80", "::1]:80",
        "[1.2.3.4]:80", "**:80", "1.2.3.4:100000", "a:80"};
    struct sockaddr_storage  a;
    socklen_t                n;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!config_address(bad[i], &a, &n));
    CHECK(config_address("*:80", &a, &n));
    CHECK_EQ(a.ss_family, AF_INET);
    CHECK(config_address("[::ffff:255.255.255.255]:65535", &a, &n));
    CHECK_EQ(a.ss_family, AF_INET6);
    CHECK(!config_address(
        "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255x]:1", &a, &n));
}

static void
many_errors_end(void)
{
    struct buf text = BUF_INIT(1 << 20);
    size_t     count = 0;

    for (int i = 0; i < 1000; i++)
        buf_adds(&text, "x\n");
    CHECK(!reads(buf_cstr(&text)));
    for (size_t i = 0; i < errors.len; i++)
        count += errors.p[i] == '\n';
    CHECK_EQ(count, CONF_ERRORS + 1);
    CHECK(strstr(buf_cstr(&errors), "f:20: ") != NULL);
    CHECK(strstr(buf_cstr(&errors), "f:21: ") == NULL);
    CHECK(strstr(buf_cstr(&errors), "more errors") != NULL);
    buf_free(&text);
}

static void
a_reload_keeps_what_needs_a_restart(void)
{
    struct config running;
    struct buf    notes = BUF_INIT(1 << 16);

    CHECK(reads("[server]\nworkers = 2\n[log]\nlevel = warn\n"));
    running = c;
    CHECK(reads("\n[server]\nworkers = 3\nuser = x\n[log]\nlevel=debug\n"));
    config_keep_restart(&c, &running, &notes);
    CHECK_STR(buf_cstr(&notes),
        "server.workers = 3: takes effect at the next restart; until then it "
        "is 2\nserver.user = x: takes effect at the next restart; until then "
        "it is empty\n");
    CHECK_EQ(c.server_workers, 2);
    CHECK_EQ(c.origin[CONF_KNOB_server_workers], 2);
    CHECK_STR(c.server_user, "");
    CHECK_EQ(c.log_level, CONF_log_level_debug);
    buf_clear(&notes);
    config_keep_restart(&c, &running, &notes);
    CHECK_EQ(notes.len, 0);
    buf_free(&notes);
}

/* Where a setting comes from: its default, a line of the file, or -o. */
static void
origins(void)
{
    static const struct config_override override = {"server.user=x"};
    struct buf                          text = BUF_INIT(1 << 20);

    CHECK(reads("[server]\nworkers = 9\n"));
    config_put_text(&c, "f", &text);
    const char *at = strstr(buf_cstr(&text), "\nworkers ");
    CHECK(at != NULL && strncmp(strchr(at, '#'), "# line 2\n", 9) == 0);
    at = strstr(buf_cstr(&text), "\nuser ");
    CHECK(at != NULL && strncmp(strchr(at, '#'), "# default\n", 10) == 0);
    buf_clear(&text);
    CHECK(config_read(&c, NULL, &override, 1, &text));
    buf_clear(&text);
    config_put_text(&c, NULL, &text);
    at = strstr(buf_cstr(&text), "\nuser ");
    CHECK(at != NULL && strncmp(strchr(at, '#'), "# -o\n", 5) == 0);

    /* A sentence gets the place of the setting with which it begins. */
    CHECK(reads("[server]\nworkers = 9\n[log]\nlevel = warn\n"));
    buf_clear(&text);
    CHECK_EQ(config_put_places(&c, "f",
                 "server.workers = 9: a\nserver.workersx: b\n"
                 "log.level: c\nserver.user: default\nxserver.workers: d\n"
                 "server.worker: e\nserver,workers: f\nlog.level",
                 &text),
        2);
    CHECK_STR(buf_cstr(&text),
        "f:2: server.workers = 9: a\nserver.workersx: b\n"
        "f:4: log.level: c\nserver.user: default\nxserver.workers: d\n"
        "server.worker: e\nserver,workers: f\nlog.level\n");
    buf_free(&text);
}

static void
what_is_printed_can_be_read(void)
{
    struct buf    text = BUF_INIT(1 << 20);
    struct config before;

    CHECK(reads("[server]\nlisten = *:1 [::1]:2\nworkers = 9\n"
                "[websocket]\nping_interval=61s\n"));
    before = c;
    config_put_text(&c, "f", &text);
    CHECK(reads(buf_cstr(&text)));
    for (unsigned k = 0; k < CONF_KNOBS; k++)
        CHECK(knob_same((enum conf_knob)k, &before, &c));
    /* The width of the columns is that of the longest key. */
    const char *at = strstr(buf_cstr(&text), "\nworkers ");
    CHECK(at != NULL);
    CHECK(at != NULL && strstr(at, "= 9 ") != NULL &&
        strstr(at, "= 9 ") < strstr(at, "# line 3\n"));
    buf_clear(&text);
    config_put_json(&before, NULL, &text);
    CHECK(strstr(buf_cstr(&text),
              "\"ping_interval\":{\"value\":\"61s\","
              "\"milliseconds\":61000,\"origin\":\"file\",\"line\":5,"
              "\"reload\":\"live\"}") != NULL);
    buf_clear(&text);
    config_put_manual(&text);
    for (unsigned k = 0; k < CONF_KNOBS; k++) {
        char it[100];
        snprintf(it, sizeof it, "\n.It Cm %s No = ", knobs[k].key);
        CHECK(strstr(buf_cstr(&text), it) != NULL);
    }
    buf_free(&text);
}

static void
lists(void)
{
    const char *cursor = "one two";
    char        item[4];

    CHECK(config_list_next(&cursor, item, sizeof item));
    CHECK_STR(item, "one");
    CHECK(config_list_next(&cursor, item, sizeof item));
    CHECK_STR(item, "two");
    CHECK(!config_list_next(&cursor, item, sizeof item));
    cursor = "";
    CHECK(!config_list_next(&cursor, item, sizeof item));
}

int
main(void)
{
    defaults_are_a_configuration();
    values_of_each_type();
    wrong_values_are_explained();
    wrong_names_are_guessed();
    lines();
    hosts_are_names_or_addresses();
    settings_must_agree();
    addresses();
    many_errors_end();
    a_reload_keeps_what_needs_a_restart();
    origins();
    what_is_printed_can_be_read();
    lists();
    buf_free(&errors);
    return unit_done();
}
