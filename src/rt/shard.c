/*
 * Shards: threads, loops, and the order of a loop turn (rt/inner.h). Shard 0 is the main thread. Suspends never.
 */
#include "rt/inner.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#if defined(RT_ASAN) || defined(RT_TSAN)
#define STACK_DEFAULT (256 * 1024)
#else
#define STACK_DEFAULT (64 * 1024)
#endif
#define STACK_MIN (16 * 1024)

/* Rounds of local work before the loop looks at its descriptors again. */
#define TURN_ROUNDS 16

_Thread_local struct shard *rt_me;
struct shard *rt_shards[SHARD_MAX];

static struct {
    unsigned count;
    size_t stack_size;
    void (*on_start)(unsigned shard), (*on_stop)(unsigned shard);
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum { GATE_WAIT, GATE_GO, GATE_GIVE_UP } gate;
    unsigned ready;
    pthread_barrier_t halted;
    uint64_t ticks0, us0;
} rt = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void rt_die(const char *words)
{
    dprintf(STDERR_FILENO, "fatal: %s\n", words);
    abort();
}

uint64_t rt_ticks_to_ms(uint64_t ticks)
{
    uint64_t us = clock_mono_us() - rt.us0, passed = rt_ticks() - rt.ticks0;
    if (us < 1000 || passed < 1000)
        return 0;
    return (uint64_t)((double)ticks * (double)us / (double)passed / 1000.0);
}

unsigned shard_count(void)
{
    return rt.count;
}

unsigned shard_self(void)
{
    return rt_me->n;
}

uv_loop_t *shard_loop(void)
{
    return &rt_me->loop;
}

uint64_t shard_now_ms(void)
{
    return uv_now(&rt_me->loop);
}

unsigned shard_of(uint64_t stable_hash)
{
    return (unsigned)((unsigned __int128)stable_hash * rt.count >> 64);
}

/* --- turn-end tasks --------------------------------------------------------------------------------------------- */

void shard_at_turn_end(struct shard_task *t)
{
    struct shard *s = rt_me;
    if (t->queued)
        return;
    mailbox_awake(s);
    t->queued = true;
    t->next = NULL;
    *s->tasks_tail = t;
    s->tasks_tail = &t->next;
}

void shard_task_cancel(struct shard_task *t)
{
    struct shard *s = rt_me;
    if (!t->queued)
        return;
    t->queued = false;
    for (struct shard_task **at = &s->tasks_head; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            if (!*at)
                s->tasks_tail = at;
            return;
        }
}

/* What they queue anew is for the next round; the list stays in place so that one may cancel another. */
static void run_tasks(struct shard *s)
{
    static _Thread_local struct shard_task stop_here;
    if (!s->tasks_head)
        return;
    stop_here.queued = false;
    shard_at_turn_end(&stop_here);
    for (struct shard_task *t; (t = s->tasks_head) != NULL;) {
        s->tasks_head = t->next;
        if (!s->tasks_head)
            s->tasks_tail = &s->tasks_head;
        t->queued = false;
        if (t == &stop_here)
            return;
        t->fn(t);
    }
}

/* --- the turn --------------------------------------------------------------------------------------------------- */

static inline bool has_work(const struct shard *s)
{
    return s->posts_head || s->fibers.ready_head;
}

static void on_idle(uv_idle_t *h)
{
}

/* With an idle handle active libuv polls without blocking. */
static void set_keep_going(struct shard *s, bool on)
{
    if (s->keep_going == on)
        return;
    s->keep_going = on;
    if (on)
        uv_idle_start(&s->idle, on_idle);
    else
        uv_idle_stop(&s->idle);
}

/*
 * Before the first sleep after work the processor is offered to others: on a busy machine they produce meanwhile what would
 * otherwise wake this shard one event at a time (a fifth of the CPU of request and answer, a quarter of logins); on an idle
 * one it costs two short system calls.
 */
static bool rest_first(struct shard *s, bool worked)
{
    s->rested = worked && !s->rested;
    if (s->rested)
        sched_yield();
    return s->rested;
}

static void on_prepare(uv_prepare_t *h)
{
    struct shard *s = h->data;
    mailbox_awake(s);
    mailbox_take(s);
    bool worked = has_work(s) || s->tasks_head;
    for (unsigned round = 0; round < TURN_ROUNDS; round++) {
        mailbox_run(s);
        fibers_run_ready(s);
        if (has_work(s))
            continue;
        /* Before the tasks write to sockets: the other shards can begin meanwhile. */
        mailbox_flush(s);
        run_tasks(s);
        if (!has_work(s) && !s->tasks_head)
            break;
    }
    mailbox_flush(s);
    wheel_settle(s);
    /* Mail that came meanwhile waits for one look at the descriptors: fair, and batches grow under load. */
    set_keep_going(s, has_work(s) || s->tasks_head || rest_first(s, worked) || !mailbox_sleep(s));
}

/*
 * Own eventfd instead of uv_async_t: there the woken thread spins until the sender has left its system call, which on a busy
 * machine is a twentieth of all CPU time under load.
 */
void shard_wake(struct shard *s)
{
    uint64_t one = 1;
    while (write(s->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void on_wake(uv_poll_t *h, int status, int events)
{
    struct shard *s = h->data;
    uint64_t n;
    (void)status;
    (void)events;
    (void)!read(s->wake_fd, &n, sizeof n);
    mailbox_awake(s);
}

static bool wake_init(struct shard *s)
{
    s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->wake.data = s;
    return s->wake_fd >= 0 && uv_poll_init(&s->loop, &s->wake, s->wake_fd) == 0 &&
           uv_poll_start(&s->wake, UV_READABLE, on_wake) == 0;
}

/* --- start ------------------------------------------------------------------------------------------------------ */

static struct shard *shard_new(unsigned n)
{
    struct shard *s = aligned_alloc(_Alignof(struct shard), sizeof(struct shard)); /* layercheck: its alignment */
    if (!s)
        rt_die("out of memory");
    memset(s, 0, sizeof(*s));
    s->n = n;
    s->tasks_tail = &s->tasks_head;
    if (uv_loop_init(&s->loop) != 0) {
        free(s);
        return NULL;
    }
    if (!wake_init(s)) {
        uv_loop_close(&s->loop);
        free(s);
        return NULL;
    }
    uv_prepare_init(&s->loop, &s->prepare);
    uv_idle_init(&s->loop, &s->idle);
    s->prepare.data = s;
    uv_prepare_start(&s->prepare, on_prepare);
    wheel_init(s);
    mailbox_init(s);
    fibers_init(s, rt.stack_size);
    return s;
}

static void close_handle(uv_handle_t *h, void *arg)
{
    if (!uv_is_closing(h))
        uv_close(h, NULL);
}

static void shard_delete(struct shard *s)
{
    fibers_deinit(s);
    uv_walk(&s->loop, close_handle, NULL);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_loop_close(&s->loop);
    close(s->wake_fd);
    mailbox_deinit(s);
    free(s);
}

static void serve(struct shard *s)
{
    uv_run(&s->loop, UV_RUN_DEFAULT);
    /* Nobody frees a mailbox while another shard may still post to it. */
    pthread_barrier_wait(&rt.halted);
    if (rt.on_stop && !stop_abandoned())
        rt.on_stop(s->n);
}

static void started(void)
{
    pthread_mutex_lock(&rt.lock);
    rt.ready++;
    pthread_cond_broadcast(&rt.changed);
    pthread_mutex_unlock(&rt.lock);
}

static void *shard_thread(void *arg)
{
    struct shard *s = arg;
    char name[16];
    snprintf(name, sizeof(name), "shard/%u", s->n);
    pthread_setname_np(pthread_self(), name);
    pthread_mutex_lock(&rt.lock);
    while (rt.gate == GATE_WAIT)
        pthread_cond_wait(&rt.changed, &rt.lock);
    bool go = rt.gate == GATE_GO;
    pthread_mutex_unlock(&rt.lock);
    if (!go)
        return NULL;
    rt_me = s;
    uv_update_time(&s->loop);
    s->mark = rt_ticks();
    if (rt.on_start)
        rt.on_start(s->n);
    started();
    serve(s);
    return NULL;
}

static void open_gate(bool go)
{
    pthread_mutex_lock(&rt.lock);
    rt.gate = go ? GATE_GO : GATE_GIVE_UP;
    pthread_cond_broadcast(&rt.changed);
    pthread_mutex_unlock(&rt.lock);
}

static unsigned usable_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    return 1;
}

/* Signals go to the main thread. The number of threads that could be started. */
static unsigned start_threads(void)
{
    sigset_t all, old;
    unsigned n = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (n < rt.count && pthread_create(&rt_shards[n]->thread, NULL, shard_thread, rt_shards[n]) == 0)
        n++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return n;
}

static void delete_shards(unsigned made)
{
    for (unsigned i = 0; i < made; i++) {
        rt_me = rt_shards[i];
        shard_delete(rt_shards[i]);
        rt_shards[i] = NULL;
    }
    rt_me = NULL;
}

static int make_shards(struct error *err)
{
    for (unsigned i = 0; i < rt.count; i++) {
        rt_shards[i] = shard_new(i);
        if (rt_shards[i])
            continue;
        delete_shards(i);
        return err_set(err, ERR_INTERNAL, "cannot make the event loop of shard %u (open files limit?)", i);
    }
    unsigned running = start_threads();
    if (running == rt.count)
        return 0;
    open_gate(false);
    for (unsigned i = 1; i < running; i++)
        pthread_join(rt_shards[i]->thread, NULL);
    delete_shards(rt.count);
    return err_set(err, ERR_INTERNAL, "cannot start the thread of shard %u", running);
}

int rt_start(const struct rt_config *cfg, void (*on_start)(unsigned shard), struct error *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), stack = cfg->stack_size ? cfg->stack_size : STACK_DEFAULT;
    rt.count = cfg->shards ? cfg->shards : usable_cpus();
    if (rt.count > SHARD_MAX)
        rt.count = SHARD_MAX;
    rt.stack_size = ((stack < STACK_MIN ? STACK_MIN : stack) + page - 1) & ~(page - 1);
    rt.on_start = on_start;
    rt.on_stop = cfg->on_stop;
    rt.gate = GATE_WAIT;
    rt.ready = 0;
    rt.us0 = clock_mono_us();
    rt.ticks0 = rt_ticks();
    stop_init();
    if (make_shards(err) < 0)
        return -1;
    pthread_barrier_init(&rt.halted, NULL, rt.count);
    rt_pool_make_general(cfg->pool_threads);

    rt_me = rt_shards[0];
    rt_me->mark = rt_ticks();
    open_gate(true);
    if (on_start)
        on_start(0);
    pthread_mutex_lock(&rt.lock);
    while (rt.ready < rt.count - 1)
        pthread_cond_wait(&rt.changed, &rt.lock);
    pthread_mutex_unlock(&rt.lock);
    return 0;
}

void rt_run(void)
{
    uv_update_time(&rt_me->loop);
    serve(rt_me);
    for (unsigned i = 1; i < rt.count; i++)
        pthread_join(rt_shards[i]->thread, NULL);
    /* Somebody may still work for a fiber that was left behind; the process is about to end anyway. */
    if (!stop_abandoned()) {
        rt_pool_end_general();
        delete_shards(rt.count);
        pthread_barrier_destroy(&rt.halted);
    }
    rt_me = NULL;
}
