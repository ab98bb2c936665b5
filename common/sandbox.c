/* sandbox: removes rights from a process. See sandbox.h. */
#include "sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ensure.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* malloc() labels its memory with it */
#endif

#define CALL(name) SCMP_SYS(name)
#define EQUAL(arg, value) SCMP_CMP(arg, SCMP_CMP_EQ, (scmp_datum_t)(value), 0)
#define MASKED(arg, mask, value)                                               \
    SCMP_CMP(                                                                  \
        arg, SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value))

/* System calls that are allowed with any arguments. Numbers below zero are
 * calls that this machine does not have; libseccomp skips them. */
static const int allowed[] = {
    /* reading and writing */
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(pwrite64),
    CALL(preadv),
    CALL(pwritev),
    CALL(recvfrom),
    CALL(sendto),
    CALL(recvmsg),
    CALL(sendmsg),
    CALL(recvmmsg),
    CALL(sendmmsg),
    CALL(recv),
    CALL(send),
    /* sockets; socket(2) itself is below */
    CALL(accept),
    CALL(accept4),
    CALL(connect),
    CALL(bind),
    CALL(getsockname),
    CALL(getpeername),
    CALL(setsockopt),
    CALL(getsockopt),
    CALL(shutdown),
    /* waiting */
    CALL(epoll_create),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(eventfd2),
    CALL(eventfd),
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect6),
    CALL(_newselect),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
    CALL(nanosleep),
    CALL(clock_nanosleep),
    CALL(restart_syscall),
    CALL(futex),
    CALL(futex_time64),
    CALL(sched_yield),
    CALL(pipe2),
    CALL(pipe),
    /* files */
    CALL(open),
    CALL(openat),
    CALL(openat2),
    CALL(creat),
    CALL(close),
    CALL(close_range),
    CALL(stat),
    CALL(fstat),
    CALL(lstat),
    CALL(newfstatat),
    CALL(statx),
    CALL(stat64),
    CALL(fstat64),
    CALL(lstat64),
    CALL(fstatat64),
    CALL(statfs),
    CALL(fstatfs),
    CALL(access),
    CALL(faccessat),
    CALL(faccessat2),
    CALL(lseek),
    CALL(_llseek),
    CALL(ftruncate),
    CALL(ftruncate64),
    CALL(fallocate),
    CALL(fsync),
    CALL(fdatasync),
    CALL(sync_file_range),
    CALL(fadvise64),
    CALL(rename),
    CALL(renameat),
    CALL(renameat2),
    CALL(unlink),
    CALL(unlinkat),
    CALL(mkdir),
    CALL(mkdirat),
    CALL(link),
    CALL(linkat),
    CALL(getdents),
    CALL(getdents64),
    CALL(fcntl),
    CALL(fcntl64),
    CALL(flock),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CALL(umask),
    CALL(fchmod),
    CALL(getcwd),
    CALL(readlink),
    CALL(readlinkat),
    CALL(utimensat),
    CALL(sendfile),
    CALL(sendfile64),
    /* memory; mmap(2) and mprotect(2) are below */
    CALL(munmap),
    CALL(mremap),
    CALL(brk),
    CALL(madvise),
    CALL(mincore),
    CALL(membarrier),
    /* the process and its threads */
    CALL(exit),
    CALL(exit_group),
    CALL(getpid),
    CALL(gettid),
    CALL(getppid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(getpgrp),
    CALL(getpgid),
    CALL(getgroups),
    CALL(getresuid),
    CALL(getresgid),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(rseq),
    CALL(set_tid_address),
    CALL(arch_prctl),
    CALL(sched_getaffinity),
    CALL(sched_setaffinity),
    CALL(sched_getparam),
    CALL(sched_getscheduler),
    CALL(getcpu),
    CALL(getrlimit),
    CALL(ugetrlimit),
    CALL(getrusage),
    CALL(uname),
    CALL(sysinfo),
    /* signals, to itself (tgkill is below) */
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(rt_sigpending),
    CALL(rt_sigtimedwait),
    CALL(sigaltstack),
    CALL(sigreturn),
    /* time and random numbers */
    CALL(clock_gettime),
    CALL(clock_gettime64),
    CALL(clock_getres),
    CALL(gettimeofday),
    CALL(time),
    CALL(getrandom),
};

/* System calls that no part of ocppd uses. */
static const int deadly[] = {
    CALL(execve),
    CALL(execveat),
    CALL(fork),
    CALL(vfork),
    CALL(ptrace),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(pidfd_open),
    CALL(pidfd_getfd),
    CALL(kcmp),
    CALL(kill),
    CALL(tkill),
    CALL(unshare),
    CALL(setns),
    CALL(chroot),
    CALL(pivot_root),
    CALL(mount),
    CALL(umount2),
    CALL(move_mount),
    CALL(fsopen),
    CALL(open_tree),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(kexec_file_load),
    CALL(bpf),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(keyctl),
    CALL(add_key),
    CALL(request_key),
    CALL(io_uring_setup),
    CALL(memfd_create),
    CALL(open_by_handle_at),
    CALL(name_to_handle_at),
    CALL(setuid),
    CALL(setgid),
    CALL(setreuid),
    CALL(setregid),
    CALL(setresuid),
    CALL(setresgid),
    CALL(setgroups),
    CALL(setfsuid),
    CALL(setfsgid),
    CALL(capset),
    CALL(personality),
    CALL(reboot),
    CALL(swapon),
    CALL(sethostname),
    CALL(settimeofday),
    CALL(clock_settime),
    CALL(adjtimex),
    CALL(iopl),
    CALL(ioperm),
    CALL(modify_ldt),
    CALL(chown),
    CALL(lchown),
    CALL(fchownat),
    CALL(mknod),
    CALL(mknodat),
    CALL(listen),
    CALL(splice),
    CALL(vmsplice),
    CALL(tee),
    CALL(symlink),
    CALL(symlinkat),
};

bool
sandbox_possible(void)
{
    return !SANITIZED;
}

static void
died_cb(int signal_number, siginfo_t *info, void *context)
{
    char *name =
        seccomp_syscall_resolve_num_arch(info->si_arch, info->si_syscall);

    (void)signal_number, (void)context;
    ensure_say(
        "it made the system call %s, which ocppd never makes: an attacker may "
        "have taken it over, or this system needs server.seccomp = no",
        name != NULL ? name : "(unknown)");
    _exit(1);
}

static int
allow(scmp_filter_ctx f, int call)
{
    return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 0);
}

/* Adds the calls that are allowed with certain arguments only. */
static int
add_conditions(scmp_filter_ctx f)
{
    static const int           families[] = {AF_UNIX, AF_INET, AF_INET6,
                  AF_NETLINK /* the resolver asks for interfaces */};
    static const unsigned long ioctls[] = {
        FIONREAD, FIONBIO, 0x5401 /* TCGETS */};
    static const int options[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_DUMPABLE,
        PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_SET_VMA};
    int              r = 0;

    r |= seccomp_rule_add(
        f, SCMP_ACT_ALLOW, CALL(socketpair), 1, EQUAL(0, AF_UNIX));
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        r |= seccomp_rule_add(
            f, SCMP_ACT_ALLOW, CALL(socket), 1, EQUAL(0, families[i]));
    for (size_t i = 0; i < sizeof ioctls / sizeof *ioctls; i++)
        r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(ioctl), 1,
            MASKED(1, 0xffffffff, ioctls[i]));
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        r |= seccomp_rule_add(
            f, SCMP_ACT_ALLOW, CALL(prctl), 1, EQUAL(0, options[i]));
    /* No memory may become executable. */
    r |= seccomp_rule_add(
        f, SCMP_ACT_ALLOW, CALL(mmap), 1, MASKED(2, PROT_EXEC, 0));
    r |= seccomp_rule_add(
        f, SCMP_ACT_ALLOW, CALL(mprotect), 1, MASKED(2, PROT_EXEC, 0));
    /* Threads are allowed, processes are not. The flags of clone3(2) are in
     * memory, where a filter cannot see them, so the call fails with ENOSYS and
     * the libc uses clone(2) instead. */
    r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, CALL(clone), 1,
        MASKED(0, CLONE_THREAD, CLONE_THREAD));
    r |= seccomp_rule_add(
        f, SCMP_ACT_TRAP, CALL(clone), 1, MASKED(0, CLONE_THREAD, 0));
    /* abort(3). */
    r |= seccomp_rule_add(
        f, SCMP_ACT_ALLOW, CALL(tgkill), 1, EQUAL(0, getpid()));
    /* A process may read its limits, but not set them. */
    r |= seccomp_rule_add(
        f, SCMP_ACT_ALLOW, CALL(prlimit64), 2, EQUAL(0, 0), EQUAL(2, 0));
    return r;
}

static bool
filter(struct buf *why)
{
    struct sigaction trap = {.sa_sigaction = died_cb, .sa_flags = SA_SIGINFO};
    scmp_filter_ctx  f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int              r = f == NULL ? -ENOMEM : 0;

    for (size_t i = 0; r == 0 && i < sizeof allowed / sizeof *allowed; i++)
        r = allow(f, allowed[i]);
    for (size_t i = 0; r == 0 && i < sizeof deadly / sizeof *deadly; i++)
        r = seccomp_rule_add(f, SCMP_ACT_TRAP, deadly[i], 0);
    if (r == 0 && add_conditions(f) != 0)
        r = -EINVAL;
#ifdef SCMP_FLTATR_CTL_OPTIMIZE
    /* A binary tree instead of a list makes each call cheaper. */
    if (r == 0)
        seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
#endif
    if (r == 0) {
        sigaction(SIGSYS, &trap, NULL);
        r = seccomp_load(f);
    }
    if (f != NULL)
        seccomp_release(f);
    if (r != 0)
        buf_addf(why,
            "cannot set the filter of system calls: %s; "
            "server.seccomp = no runs without it",
            strerror(-r));
    return r == 0;
}

void
sandbox_hide(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool
sandbox_secrets(const struct config *c)
{
    return c->auth_mode == CONF_auth_mode_file ||
        c->auth_mode == CONF_auth_mode_redis || c->redis_password[0] != '\0' ||
        c->redis_password_file[0] != '\0' || c->tls_key[0] != '\0';
}

bool
sandbox_enter(const struct config *c, struct buf *why)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        buf_addf(why, "cannot renounce new privileges: %s", strerror(errno));
        return false;
    }
    if (sandbox_secrets(c))
        sandbox_hide();
    return !c->server_seccomp || !sandbox_possible() || filter(why);
}

bool
sandbox_master(void)
{
    static const unsigned kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,
        CAP_KILL, CAP_SETUID, CAP_SETGID, CAP_NET_BIND_SERVICE};
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct   data[2];
    uint64_t                        keep = 0;

    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        keep |= UINT64_C(1) << kept[i];
    /* This fails if the process is not root, but then it cannot regain them
     * either.
     */
    for (unsigned cap = 0; cap < 64; cap++)
        if (!(keep >> cap & 1))
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (syscall(SYS_capget, &head, data) != 0)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t mask = (uint32_t)(keep >> (32 * i));
        data[i].effective &= mask;
        data[i].permitted &= mask;
        data[i].inheritable &= mask;
    }
    return syscall(SYS_capset, &head, data) == 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}
