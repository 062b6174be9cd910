/*
 * Pools of blocking threads. A thread is started when work comes and none is idle, up to the pool's size, so an idle
 * server has none. The job lives on the waiting fiber's stack. pool_run suspends.
 */
#include "rt/inner.h"
#include "base/log.h"
#include "base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* PAM and SQL client libraries are not frugal. */
#define THREAD_STACK (1024 * 1024)
#define GENERAL_THREADS 4

struct job {
    struct msg done;
    struct job *next;
    pool_fn fn;
    void *arg;
    struct fiber *fiber;
    unsigned home;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct job *head, **tail;
    unsigned waiting, idle, started, max;
    bool ending;
    void *(*thread_init)(void *ctx);
    void (*thread_exit)(void *state);
    void *ctx;
    char name[16];
    pthread_t threads[];
};

static struct pool *general;

static void on_done(struct msg *m)
{
    fiber_wake(CONTAINER_OF(m, struct job, done)->fiber);
}

/* Called with the lock held; NULL at the end of the pool. */
static struct job *next_job(struct pool *p)
{
    while (!p->head) {
        if (p->ending)
            return NULL;
        p->idle++;
        pthread_cond_wait(&p->work, &p->lock);
        p->idle--;
    }
    struct job *j = p->head;
    p->head = j->next;
    if (!p->head)
        p->tail = &p->head;
    p->waiting--;
    return j;
}

static void *pool_thread(void *arg)
{
    struct pool *p = arg;
    pthread_setname_np(pthread_self(), p->name);
    void *state = p->thread_init ? p->thread_init(p->ctx) : NULL;
    pthread_mutex_lock(&p->lock);
    for (struct job *j; (j = next_job(p));) {
        pthread_mutex_unlock(&p->lock);
        j->fn(j->arg, state);
        /* From here the job may be gone with its fiber. */
        mail_post_foreign(j->home, &j->done);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    if (p->thread_exit)
        p->thread_exit(state);
    return NULL;
}

/* Called with the lock held. Signals are the main thread's business. */
static void start_thread(struct pool *p)
{
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&p->threads[p->started], &attr, pool_thread, p) == 0)
        p->started++;
    else if (p->started == 0)
        rt_die("cannot start a pool thread");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
}

struct pool *pool_new(const char *name, unsigned threads, void *(*thread_init)(void *ctx),
                      void (*thread_exit)(void *state), void *ctx)
{
    struct pool *p = mem_zalloc(sizeof(*p) + threads * sizeof(p->threads[0]));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    p->tail = &p->head;
    p->max = threads;
    p->thread_init = thread_init;
    p->thread_exit = thread_exit;
    p->ctx = ctx;
    snprintf(p->name, sizeof(p->name), "pool/%s", name);
    return p;
}

void pool_delete(struct pool **pp)
{
    struct pool *p = *pp;
    if (!p)
        return;
    *pp = NULL;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->started; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void pool_run(struct pool *p, pool_fn fn, void *arg)
{
    struct job j = {.done.fn = on_done, .fn = fn, .arg = arg, .fiber = fiber_self(), .home = shard_self()};
    pthread_mutex_lock(&p->lock);
    *p->tail = &j;
    p->tail = &j.next;
    p->waiting++;
    bool wake = p->waiting <= p->idle || p->started == p->max;
    if (!wake)
        start_thread(p);
    pthread_mutex_unlock(&p->lock);
    if (wake) /* after the unlock: the woken thread would run into the lock at once */
        pthread_cond_signal(&p->work);
    fiber_suspend("pool");
}

unsigned pool_backlog(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    unsigned n = p->waiting;
    pthread_mutex_unlock(&p->lock);
    return n;
}

struct pool *pool_general(void)
{
    return general;
}

void rt_pool_make_general(unsigned threads)
{
    general = pool_new("general", threads ? threads : GENERAL_THREADS, NULL, NULL, NULL);
}

void rt_pool_end_general(void)
{
    pool_delete(&general);
}
