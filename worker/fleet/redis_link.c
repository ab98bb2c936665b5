/* redis_link: one server that redis.c talks to. See redis_link.h. */
#include "fleet/redis_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/adapters/libev.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/self.h"
#include "base/up.h"
#include "helper.h"
#include "log.h"

#define BACKOFF_MS 100 /* ms of the first pause between connection attempts */
#define BACKOFF_MAX_MS 2000

struct link links[LINKS];
unsigned    links_n;

static const struct link_calls *calls;

void
link_watch(const struct link_calls *to)
{
    calls = to;
}

struct link *
link_find(const char *host, unsigned port)
{
    for (unsigned i = 0; i < links_n; i++)
        if (links[i].port == port && strcmp(links[i].host, host) == 0)
            return &links[i];
    if (links_n == LINKS)
        return NULL;
    struct link *l = &links[links_n++];
    snprintf(l->host, sizeof l->host, "%s", host);
    l->port = port;
    l->state = LINK_PAUSE;
    l->since_ms = self.now_ms;
    l->new_server = true;
    return l;
}

/* --- the end of a connection --------------------------------------------- */

static uint32_t
jitter(uint32_t ms)
{
    uint32_t r = 0;

    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
        r = (uint32_t)self.now_us;
    return ms / 2 + r % (ms + 1);
}

/* May be called in callbacks of hiredis, which then defers the freeing. */
static void
drop(struct link *l)
{
    redisAsyncContext *ac = l->ac, *waiting = l->waiting;

    l->ac = l->waiting = NULL;
    l->waiting_ready = l->waits = false;
    l->state = LINK_PAUSE;
    l->since_ms = self.now_ms;
    l->pending = 0;
    calls->down(l);
    if (ac != NULL)
        redisAsyncFree(ac);
    if (waiting != NULL)
        redisAsyncFree(waiting);
}

void
link_give_up(struct link *l, const char *word, const char *fmt, ...)
{
    char    why[SHM_WORDS_MAX];
    va_list ap;

    if (l->state == LINK_PAUSE)
        return;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    unsigned doublings = l->fails < 7 ? l->fails : 7;
    l->pause_ms = l->fails == 0 ? jitter(BACKOFF_MS / 2)
                                : jitter(BACKOFF_MS << doublings);
    if (l->pause_ms > BACKOFF_MAX_MS)
        l->pause_ms = BACKOFF_MAX_MS;
    STAT_INC(self.st, redis_failures);
    l->tries++;
    /* Log each kind of failure once, until the connection works again. */
    if (l->fails++ == 0 || strcmp(word, l->word) != 0)
        log_error("redis %s:%u: %s; trying again, events wait in the journal",
            l->host, l->port, why);
    snprintf(l->word, sizeof l->word, "%s", word);
    redis_set_status(word, "%s", why);
    drop(l);
}

void
link_close(struct link *l)
{
    drop(l);
    l->pause_ms = UINT32_MAX;
}

/* Called for both connections. After redisAsyncFree() a connection belongs to
   no link. */
static void
disconnected_cb(const redisAsyncContext *ac, int status)
{
    struct link *l = ac->data;

    (void)status;
    if (l == NULL || (l->ac != ac && l->waiting != ac))
        return;
    /* hiredis frees it itself after this. */
    if (l->ac == ac)
        l->ac = NULL;
    else
        l->waiting = NULL;
    link_give_up(l, "down", "the connection broke: %s",
        ac->errstr && ac->errstr[0] ? ac->errstr : "closed by the server");
}

struct link *
link_awaiting(redisAsyncContext *ac, const void *reply)
{
    struct link *l = ac->data;

    return reply != NULL && l != NULL && (l->ac == ac || l->waiting == ac)
        ? l
        : NULL;
}

static void open_waiting(struct link *l);

void
link_ready(struct link *l)
{
    l->state = LINK_READY;
    l->since_ms = l->answer_ms = self.now_ms;
    l->pending = 0;
    if (l->fails > 0)
        log_warn("redis %s:%u: works again", l->host, l->port);
    l->fails = 0;
    STAT_INC(self.st, redis_connects);
    redis_set_status("ready", "connected to %s:%u", l->host, l->port);
    if (l == &links[0] && !l->cluster)
        open_waiting(l);
    if (l->state == LINK_READY)
        calls->up(l);
}

/* --- preparing ----------------------------------------------------------- */

/* A job for the helper, because looking up a name and reading a file may take
   any time. */
struct preparation {
    struct helper_job h;
    struct link      *link;
    char              host[CONF_TEXT_MAX]; /* host name to look up; "" for
                                              none */
    char password_file[CONF_TEXT_MAX];     /* path of the password
                                              file; "" for none */
    char        address[LINK_ADDRESSES][LINK_ADDRESS_LEN];
    unsigned    addresses;
    char        secret[CONF_TEXT_MAX];
    const char *word; /* word for the failure; NULL if there was none */
    char        why[SHM_WORDS_MAX];
};

/* A look-up waits for 30 s if no name server answers. */
static struct helper helper = HELPER_INIT(
    "ocppd-names", "the name server that is asked for redis.host", LINKS, 2000);

static void
look_up(struct preparation *p)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int             err = getaddrinfo(p->host, NULL, &hints, &list);

    if (err != 0) {
        p->word = "name";
        snprintf(p->why, sizeof p->why, "the look-up of its name failed: %s",
            err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
        return;
    }
    for (struct addrinfo *a = list; a != NULL && p->addresses < LINK_ADDRESSES;
         a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, p->address[p->addresses],
                LINK_ADDRESS_LEN, NULL, 0, NI_NUMERICHOST) == 0)
            p->addresses++;
    freeaddrinfo(list);
}

static void
read_password(struct preparation *p)
{
    struct stat st;
    /* Opening a pipe without a writer must not block the thread. */
    int   fd = open(p->password_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool  plain = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    FILE *f = plain ? fdopen(fd, "r") : NULL;

    if (f == NULL || fgets(p->secret, (int)sizeof p->secret, f) == NULL) {
        p->word = "auth";
        snprintf(p->why, sizeof p->why,
            "redis.password_file = %s cannot be read: %s", p->password_file,
            fd < 0       ? strerror(errno)
                : !plain ? "it is not a regular file"
                         : "it is empty");
    }
    if (f != NULL)
        fclose(f);
    else if (fd >= 0)
        close(fd);
    p->secret[strcspn(p->secret, "\r\n")] = '\0';
}

static void
prepare_work(struct helper_job *h)
{
    struct preparation *p = (struct preparation *)h;

    if (p->host[0] != '\0')
        look_up(p);
    if (p->word == NULL && p->password_file[0] != '\0')
        read_password(p);
}

static void connect_link(struct link *l);

static void
prepared(struct helper_job *h)
{
    struct preparation *p = (struct preparation *)h;
    struct link        *l = p->link;

    l->asking = false;
    /* The result of a look-up that comes after its deadline is used by the next
       try. */
    if (p->word == NULL) {
        if (p->host[0] != '\0') {
            memcpy(l->address, p->address, sizeof l->address);
            l->addresses = p->addresses;
        }
        if (p->password_file[0] != '\0')
            memcpy(l->secret, p->secret, sizeof l->secret);
        l->prepared = true;
    }
    if (l->state == LINK_PREPARING) {
        if (p->word == NULL || (strcmp(p->word, "name") == 0 && l->prepared))
            connect_link(l);
        else
            link_give_up(l, p->word, "%s", p->why);
    }
    explicit_bzero(p, sizeof *p);
    free(p);
}

static bool
is_address(const char *host)
{
    uint8_t bytes[16];

    return inet_pton(AF_INET, host, bytes) == 1 ||
        inet_pton(AF_INET6, host, bytes) == 1;
}

/* True if a helper is needed before connect_link(). */
static bool
needs_preparation(const struct link *l)
{
    return (l->port != 0 && !is_address(l->host)) ||
        self.conf.redis_password_file[0] != '\0';
}

static void
prepare_link(struct link *l)
{
    l->since_ms = self.now_ms;
    if (!needs_preparation(l)) {
        snprintf(l->secret, sizeof l->secret, "%s", self.conf.redis_password);
        connect_link(l);
        return;
    }
    l->state = LINK_PREPARING;
    if (l->asking)
        return; /* the previous look-up has not ended yet */
    struct preparation *p = calloc(1, sizeof *p);
    if (p == NULL) {
        link_give_up(l, "memory", "no memory to look up its name");
        return;
    }
    p->h.work = prepare_work;
    p->h.done = prepared;
    p->link = l;
    if (l->port != 0 && !is_address(l->host))
        snprintf(p->host, sizeof p->host, "%s", l->host);
    if (self.conf.redis_password_file[0] != '\0')
        snprintf(p->password_file, sizeof p->password_file, "%s",
            self.conf.redis_password_file);
    else
        snprintf(l->secret, sizeof l->secret, "%s", self.conf.redis_password);
    l->asking = helper_submit(&helper, &p->h);
    if (!l->asking) {
        free(p);
        link_give_up(l, "name", "no thread can look up its name now");
    }
}

/* Called when a preparation has missed its deadline: tries the previous
   addresses and password. */
static void
late_preparation(struct link *l)
{
    STAT_INC(self.st, redis_timeouts);
    if (l->prepared) {
        connect_link(l);
        return;
    }
    link_give_up(l, "name",
        "its name was not looked up within redis.connect_timeout: the name "
        "server does not answer (/etc/resolv.conf); an address in redis.host "
        "needs none");
}

/* --- connecting ---------------------------------------------------------- */

static void
connected_cb(const redisAsyncContext *ac, int status)
{
    struct link *l = ac->data;

    if (l == NULL || (l->ac != ac && l->waiting != ac))
        return;
    if (status != REDIS_OK) {
        /* hiredis frees it itself after this. */
        char why[128];
        snprintf(why, sizeof why, "%s", ac->errstr);
        if (l->ac == ac)
            l->ac = NULL;
        else
            l->waiting = NULL;
        link_give_up(l, "down", "cannot connect: %s", why);
        return;
    }
    if (l->ac == ac)
        l->state = LINK_GREETING;
}

static redisAsyncContext *
dial(struct link *l)
{
    const char        *to = l->addresses > 0 && !is_address(l->host)
               ? l->address[l->tries % l->addresses]
               : l->host;
    redisAsyncContext *ac = l->port == 0
        ? redisAsyncConnectUnix(l->host)
        : redisAsyncConnect(to, (int)l->port); /* an address: no look-up */

    if (ac == NULL || ac->err != 0) {
        link_give_up(
            l, "down", "cannot connect: %s", ac ? ac->errstr : "no memory");
        if (ac != NULL)
            redisAsyncFree(ac);
        return NULL;
    }
    ac->data = l;
    redisLibevAttach(self.loop, ac);
    redisAsyncSetConnectCallback(ac, connected_cb);
    redisAsyncSetDisconnectCallback(ac, disconnected_cb);
    return ac;
}

static void
connect_link(struct link *l)
{
    l->state = LINK_CONNECTING;
    l->since_ms = self.now_ms;
    l->ac = dial(l);
    if (l->ac == NULL)
        return;
    calls->greet(l);
}

static void
waiting_ready_cb(redisAsyncContext *ac, void *reply, void *data)
{
    struct link *l = link_awaiting(ac, reply);

    (void)data;
    if (l == NULL || l->waiting != ac ||
        ((redisReply *)reply)->type == REDIS_REPLY_ERROR)
        return;
    l->waiting_ready = true;
    l->waits = false;
    up_redis_listen();
}

static void
open_waiting(struct link *l)
{
    l->waits = true; /* the greeting has a deadline too */
    l->waits_ms = self.now_ms + (uint32_t)self.conf.redis_connect_timeout;
    l->waiting = dial(l);
    if (l->waiting == NULL)
        return;
    calls->enter(l, l->waiting);
    redis_begin("PING");
    redis_issue(l->waiting, waiting_ready_cb, NULL);
}

void
link_tick(struct link *l)
{
    uint32_t age = self.now_ms - l->since_ms;

    switch (l->state) {
    case LINK_PAUSE:
        if (age >= l->pause_ms)
            prepare_link(l);
        break;
    case LINK_PREPARING:
        if (age >= self.conf.redis_connect_timeout)
            late_preparation(l);
        break;
    case LINK_CONNECTING:
    case LINK_GREETING:
        if (age >= self.conf.redis_connect_timeout) {
            STAT_INC(self.st, redis_timeouts);
            link_give_up(l, "slow", "no answer within redis.connect_timeout");
        }
        break;
    case LINK_READY:
        if ((l->pending > 0 &&
                self.now_ms - l->answer_ms >= self.conf.redis_timeout) ||
            (l->waits && (int32_t)(self.now_ms - l->waits_ms) >= 0)) {
            STAT_INC(self.st, redis_timeouts);
            link_give_up(l, "slow", "no answer within redis.timeout");
        }
        break;
    }
}
