/*
 * config: the settings of one daemon, ocppd.conf(5), as values in memory.
 *
 * struct config is plain memory without pointers, so that it can lie in
 * shared memory. Its fields are named section_key and made from conf.def:
 * FLAG is bool, COUNT uint64_t, TIME uint64_t milliseconds, SIZE uint64_t
 * bytes, WORD one of enum conf_choice, TEXT and LIST NUL-terminated strings
 * (a LIST has its items separated by single blanks).
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "buf.h"

#define CONF_FILE_MAX (1u << 20) /* bytes of a configuration file */
#define CONF_ERRORS 20           /* errors that one reading reports */
#define CONF_INCLUDED_MAX 48     /* files that one configuration may include */
#define CONF_PATH_MAX 192 /* bytes of an included file's path, with NUL */
#define CONF_TEXT_MAX 128 /* bytes of a TEXT, with its NUL */
#define CONF_LIST_MAX 512 /* bytes of a LIST, with its NUL */

/* All choices of all knobs: CONF_ocpp_validation_strict and so on. */
enum conf_choice {
#define CHOICE(s, k, word, doc) CONF_##s##_##k##_##word,
#include "conf.def"
    CONF_CHOICES
};

/* The knobs by number: CONF_KNOB_server_listen and so on. */
enum conf_knob {
#define KNOB(type, s, k, def, min, max, reload, doc) CONF_KNOB_##s##_##k,
#include "conf.def"
    CONF_KNOBS
};

struct config {
#define FLAG(s, k, def, reload, doc) bool s##_##k;
#define COUNT(s, k, def, min, max, reload, doc) uint64_t s##_##k;
#define TIME(s, k, def, min, max, reload, doc) uint64_t s##_##k;
#define SIZE(s, k, def, min, max, reload, doc) uint64_t s##_##k;
#define WORD(s, k, def, reload, doc) enum conf_choice s##_##k;
#define TEXT(s, k, def, reload, doc) char s##_##k[CONF_TEXT_MAX];
#define LIST(s, k, def, reload, doc) char s##_##k[CONF_LIST_MAX];
#include "conf.def"
    /* Where each knob's value came from: 0 the default, -1 the command
     * line (-o), else the line in the file. */
    int32_t origin[CONF_KNOBS];
    /* The file of that line: 0 is the main file, i + 1 is included[i]. The
     * first empty path ends that list. */
    uint8_t origin_file[CONF_KNOBS];
    /* The value was made by replacing a ${...}. */
    bool origin_expanded[CONF_KNOBS];
    char included[CONF_INCLUDED_MAX][CONF_PATH_MAX];
};

/* Next item of a LIST: copies it to item, cut to size - 1 bytes, and advances
 * *cursor; false at the end. Start with *cursor = the list. */
bool config_list_next(const char **cursor, char *item, size_t size);

/* Reads one address of a listen knob: 192.0.2.1:8080, [2001:db8::1]:8080, or
 * *:8080 for every IPv4 address. False if the text is not an address, or the
 * port is 0. */
bool config_address(
    const char *text, struct sockaddr_storage *address, socklen_t *size);

/* True if the text is the name of a host or a numeric address, without a
 * port. */
bool config_host(const char *text);

/* True if the configuration names a Redis server: redis.host or
   redis.socket. */
bool config_has_redis(const struct config *c);
/* The number of events in a stream from which on health reports that the stream
   is filling up. */
uint64_t config_stream_alarm(const struct config *c);

#endif
