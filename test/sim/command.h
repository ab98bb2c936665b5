/*
 * command: one command of the central system, as it is being answered.
 *
 * command.c answers those of 1.6 and has what both share; command2.c answers
 * those of 2.x, command_any.c those that differ in the name of a member only.
 */
#ifndef SIM_COMMAND_H
#define SIM_COMMAND_H

#include <cjson/cJSON.h>

#include "common/writer.h"
#include "point.h"

#define COMMAND_RESET_S                                                        \
    1.0 /* between the answer to Reset and the power going */

struct command_call {
    struct point *p;
    const cJSON  *payload;
    struct writer w;     /* stands in the answer's payload object */
    const char   *error; /* code of a CALLERROR instead */
};

struct command {
    const char *name; /* NULL: the end */
    void (*answer)(struct command_call *c);
};
extern const struct command command2_all[];

const char *command_text(const struct command_call *c, const char *name);
int         command_number(
            const struct command_call *c, const char *name, int otherwise);
void command_status(struct command_call *c, const char *word);
/* Nothing happens: Accepted, Rejected and NotFound. */
void command_take(struct command_call *c);
void command_refuse(struct command_call *c);
void command_not_found(struct command_call *c);
/* Answers with a CALLERROR: a member that must be there is not. */
void command_lacks(struct command_call *c);

/* False, and a CALLERROR, if it is not there. */
static inline bool
command_needs(struct command_call *c, bool there)
{
    if (!there)
        command_lacks(c);
    return there;
}

/* member: the name of what the command is about, in its version. */
void command_availability(struct command_call *c, const char *member);
void command_reserve(struct command_call *c, const char *member);
void command_list(struct command_call *c, const char *member);
void command_list_version(struct command_call *c, const char *member);
void command_cancel(struct command_call *c);
void command_trigger(struct command_call *c);
/* May the token be used? */
bool command_plain(const char *token);
/* The power goes off and comes back. reason: a word of 1.6. */
void command_reset(struct point *p, const char *reason);

#endif
