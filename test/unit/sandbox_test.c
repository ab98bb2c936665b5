/* The actions that a process in the sandbox may do, and those that end it. Each
 * is tried in a process of its own. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config_read.h"
#include "ensure.h"
#include "unit.h"

static struct config conf;
static char         *words; /* shared memory */

/* Returns the exit status of try() in the sandbox, or -N if signal N ended
 * it. */
static int
in_sandbox(int (*try)(void))
{
    int   status;
    pid_t pid = fork();

    if (pid == 0) {
        struct buf why = BUF_INIT(1024);
        ensure_words(words, 256);
        if (freopen("/dev/null", "w", stderr) == NULL ||
            !sandbox_enter(&conf, &why))
            _exit(99);
        _exit(try());
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void *
thread(void *arg)
{
    return arg;
}

/* Returns the result of a look-up outside the sandbox, because a small system
 * may not know the name. */
static int looked_up;

static int
look_up(void)
{
    struct addrinfo *a, hints = {.ai_socktype = SOCK_STREAM};
    int              result = getaddrinfo("localhost", "80", &hints, &a);

    if (result == 0)
        freeaddrinfo(a);
    return result;
}

static int
daily_work(void)
{
    char      name[] = "/tmp/ocppd-sandbox-XXXXXX";
    pthread_t t;
    void     *got;
    int       fd = mkstemp(name);

    if (fd < 0 || write(fd, "x", 1) != 1 || fdatasync(fd) != 0 ||
        unlink(name) != 0)
        return 1;
    if (pthread_create(&t, NULL, thread, name) != 0 ||
        pthread_join(t, &got) != 0 || got != name)
        return 2;
    if (socket(AF_INET, SOCK_STREAM, 0) < 0 ||
        socket(AF_UNIX, SOCK_DGRAM, 0) < 0)
        return 3;
    free(malloc(10 << 20));
    prctl(PR_SET_NAME, "x", 0, 0, 0);
    return look_up() == looked_up ? 0 : 4;
}

static int
try_exec(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return 1;
}

/* fork(3) of glibc 2.41 blocks all signals, so the handler of SIGSYS does not
 * run and the signal ends the process. This is not tested here. */
static int
try_fork(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (pid == 0)
        _exit(0);
    return 1;
}

static int
try_ptrace(void)
{
    return (int)ptrace(PTRACE_TRACEME, 0, 0, 0) + 1;
}

static int
try_kill(void)
{
    return kill(getppid(), 0) + 1;
}

static int
try_setuid(void)
{
    return setuid(0) + 1;
}

static int
try_packets(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == ENOSYS ? 0 : 1;
}

static int
try_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *q = mmap(
        NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED && q != MAP_FAILED &&
            mprotect(q, 4096, PROT_READ | PROT_EXEC) != 0
        ? 0
        : 1;
}

static int
try_limits(void)
{
    struct rlimit l = {1, 1};

    return getrlimit(RLIMIT_NOFILE, &l) == 0 &&
            setrlimit(RLIMIT_NOFILE, &l) != 0
        ? 0
        : 1;
}

static int
try_unknown(void)
{
    return syscall(4000) == -1 && errno == ENOSYS ? 0 : 1;
}

static int
try_abort(void)
{
    abort();
}

static int
privileges(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 1;
}

static int
dumpable(void)
{
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static void
deadly(int (*try)(void), const char *call)
{
    UNIT_CASE(call);
    memset(words, 0, 256);
    CHECK_EQ(in_sandbox(try), 1);
    CHECK(strstr(words, call) != NULL);
    UNIT_CASE("");
}

int
main(void)
{
    struct buf errors = BUF_INIT(4096);

    words = mmap(
        NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(config_read_text(&conf, "f", "", 0, NULL, 0, &errors));
    looked_up = look_up();
    CHECK_EQ(in_sandbox(privileges), 0);
    CHECK_EQ(in_sandbox(dumpable), 1);
    conf.auth_mode = CONF_auth_mode_file;
    CHECK_EQ(in_sandbox(dumpable), 0);
    CHECK_EQ(in_sandbox(daily_work), 0);
    if (sandbox_possible()) {
        deadly(try_exec, "execve");
        deadly(try_fork, "clone");
        deadly(try_ptrace, "ptrace");
        deadly(try_kill, "kill");
        deadly(try_setuid, "setuid");
        CHECK_EQ(in_sandbox(try_packets), 0);
        CHECK_EQ(in_sandbox(try_code), 0);
        CHECK_EQ(in_sandbox(try_limits), 0);
        CHECK_EQ(in_sandbox(try_unknown), 0);
        CHECK_EQ(in_sandbox(try_abort), -SIGABRT);
    }
    conf.server_seccomp = false;
    CHECK_EQ(in_sandbox(try_fork), 1);
    return unit_done();
}
