/* See the header. Fibers wait for the pool; the rest runs on its threads, which own a program each. */
#include "core/auth/programs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "core/auth/extauth.h"
#include "rt/pool.h"
#include "rt/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MS 10000
#define LOOK_MS 100      /* how often a stopping server is noticed */
#define AGAIN_MS 1000    /* a program that failed so many times in a row is not started more often */
#define FAILURES_MAX 3
#define BACKLOG_MAX 4096 /* questions that wait; more are told at once that there is no answer */

extern char **environ;

struct programs {
    const char *what;
    char *const *argv;
    unsigned size;
    pthread_mutex_t lock;
    struct pool *pool; /* made by the first question */
};

/* A thread's program. */
struct program {
    const struct programs *all;
    pid_t pid; /* 0: none runs */
    int in, out;
    unsigned failures; /* in a row: it did not start, or ended without ever answering */
    bool answered;     /* since it was started */
    uint64_t failed_ms;
};

/* --- the program --- */

static void end(struct program *p)
{
    if (!p->pid)
        return;
    close(p->in);
    close(p->out);
    kill(-p->pid, SIGKILL);
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
}

static int prepare_files(posix_spawn_file_actions_t *fa, int in, int out)
{
    if (posix_spawn_file_actions_adddup2(fa, in, 0) || posix_spawn_file_actions_adddup2(fa, out, 1))
        return ENOMEM;
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
    if (posix_spawn_file_actions_addclosefrom_np(fa, 3))
        return ENOMEM;
#endif
#endif
    return 0;
}

/* In a process group of its own, so that its children go with it. 0 or an errno. */
static int spawn(struct program *p, int in, int out)
{
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int e;
    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&fa) != 0)
        return ENOMEM;
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    e = prepare_files(&fa, in, out);
    if (e == 0)
        e = posix_spawnp(&p->pid, p->all->argv[0], &fa, &attr, p->all->argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&fa);
    return e;
}

static void failed(struct program *p)
{
    p->failures++;
    p->failed_ms = clock_mono_ms();
}

static int start(struct program *p, struct error *err)
{
    int in[2], out[2], e;
    if (p->failures >= FAILURES_MAX && clock_mono_ms() - p->failed_ms < AGAIN_MS)
        return err_set(err, ERR_UNAVAILABLE, "the program that knows the accounts does not run");
    if (pipe2(in, O_CLOEXEC) != 0)
        return err_set(err, ERR_UNAVAILABLE, "no pipe: %s", strerror(errno));
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return err_set(err, ERR_UNAVAILABLE, "no pipe: %s", strerror(errno));
    }
    e = spawn(p, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    p->in = in[1];
    p->out = out[0];
    p->answered = false;
    if (e == 0) {
        fcntl(p->in, F_SETFL, O_NONBLOCK); /* one that does not read must not hold the thread */
        return 0;
    }
    p->pid = 0;
    close(in[1]);
    close(out[0]);
    failed(p);
    LOG_LIMITED(WARNING, "auth", NULL, "%s: cannot run '%s': %s", p->all->what, p->all->argv[0], strerror(e));
    return err_set(err, ERR_UNAVAILABLE, "the program that knows the accounts cannot be started");
}

/* Until fd is ready; 1, 0 when the time is over or the server stops. */
static int wait_for(int fd, short events, uint64_t until)
{
    struct pollfd f = {.fd = fd, .events = events};
    for (uint64_t now; (now = clock_mono_ms()) < until && !rt_stopping();) {
        uint64_t left = until - now;
        if (poll(&f, 1, left < LOOK_MS ? (int)left : LOOK_MS) > 0)
            return 1;
    }
    return 0;
}

static bool write_all(struct program *p, struct str bytes, uint64_t until)
{
    while (bytes.n) {
        ssize_t n = write(p->in, bytes.p, bytes.n);
        if (n < 0 && errno == EAGAIN && wait_for(p->in, POLLOUT, until))
            continue;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = str_n(bytes.p + n, bytes.n - (size_t)n);
    }
    return true;
}

/* 1, 0; -1: silence, its end, or nonsense (why is set). */
static int read_answer(struct program *p, uint64_t until, const char **why)
{
    char bytes[EXTAUTH_ANSWER + 1];
    size_t have = 0;
    for (;;) {
        if (!wait_for(p->out, POLLIN, until)) {
            *why = "gave no answer in time";
            return -1;
        }
        ssize_t n = read(p->out, bytes + have, sizeof(bytes) - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            *why = "ended";
            return -1;
        }
        have += (size_t)n;
        int answer = extauth_answer(str_n(bytes, have));
        if (answer >= 0)
            return answer;
        if (answer == -2) {
            *why = "gave something that is no answer";
            return -1;
        }
    }
}

struct job {
    struct str request;
    bool writes;
    int rc; /* 1, 0, -1 */
    struct error err;
};

/* *sent_out: it may have done what it was asked for. */
static int ask_once(struct program *p, const struct job *j, bool *sent_out, struct error *err)
{
    uint64_t until = clock_mono_ms() + ANSWER_MS;
    const char *why = "does not read";
    int answer = -1;
    struct pollfd f = {.fd = p->out, .events = POLLIN};
    *sent_out = false;
    if (p->pid && poll(&f, 1, 0) != 0) /* it ended meanwhile, or said what nobody asked */
        end(p);
    if (!p->pid && start(p, err) != 0)
        return -1;
    if (write_all(p, j->request, until)) {
        *sent_out = true;
        answer = read_answer(p, until, &why);
    }
    if (answer >= 0) {
        p->failures = 0;
        p->answered = true;
        return answer;
    }
    end(p);
    if (!p->answered)
        failed(p);
    LOG_LIMITED(WARNING, "auth", NULL, "%s '%s' %s and is started again", p->all->what, p->all->argv[0], why);
    return err_set(err, ERR_UNAVAILABLE, "the program that knows the accounts %s", why);
}

/* A program that dies of a question is not given it twice. */
static void run(void *arg, void *thread)
{
    struct job *j = arg;
    bool sent;
    j->rc = ask_once(thread, j, &sent, &j->err);
    if (j->rc < 0 && sent && j->writes)
        j->err.code = ERR_UNCERTAIN;
}

static void *thread_init(void *ctx)
{
    struct program *p = MEM_NEW(struct program);
    p->all = ctx;
    return p;
}

static void thread_exit(void *arg)
{
    struct program *p = arg;
    end(p);
    free(p);
}

/* --- asking --- */

static struct pool *pool_of(struct programs *p)
{
    pthread_mutex_lock(&p->lock);
    if (!p->pool)
        p->pool = pool_new("extauth", p->size, thread_init, thread_exit, p);
    pthread_mutex_unlock(&p->lock);
    return p->pool;
}

int programs_ask(struct programs *p, const struct auth_ask *q, const char *operation, bool with_password, bool writes,
                 bool *yes_out, struct error *err)
{
    struct buf b = BUF_INIT;
    struct job j = {.writes = writes};
    struct pool *pool = pool_of(p);
    *yes_out = false;
    if (!extauth_request(&b, operation, q->user, q->host, with_password ? q->password : STR_NULL)) {
        buf_deinit(&b);
        return 0;
    }
    if (pool_backlog(pool) >= BACKLOG_MAX) {
        j.rc = err_set(&j.err, ERR_UNAVAILABLE, "too many questions wait for the program that knows the accounts");
    } else {
        j.request = buf_str(&b);
        pool_run(pool, run, &j);
    }
    secret_wipe(b.p, b.cap);
    buf_deinit(&b);
    *yes_out = j.rc == 1;
    return j.rc < 0 ? err_set(err, j.err.code, "%s", j.err.text) : 0;
}

struct programs *programs_new(const char *what, char *const *argv, unsigned size)
{
    struct programs *p = MEM_NEW(struct programs);
    p->what = what;
    p->argv = argv;
    p->size = size > PROGRAMS_MAX ? PROGRAMS_MAX : size;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void programs_delete(struct programs **pp)
{
    struct programs *p = *pp;
    *pp = NULL;
    if (!p)
        return;
    pool_delete(&p->pool);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
