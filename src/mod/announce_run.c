/*
 * Announcements one after the other: a queue on shard 0, worked on by one fiber, so that however many are asked for, one is sent.
 * A message of the day is written before it is queued: whoever asked knows that it is kept. A restart forgets what is queued;
 * messages of the day are then shown at the next login.
 */
#include "mod/api/announce.h"

#include "base/list.h"
#include "base/log.h"
#include "core/config/config.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "xml/writer.h"

#define QUEUE_MAX 32
#define QUEUE_MS 10000

struct job {
    struct list link;
    struct arena *arena; /* owns it */
    enum announce_what what;
    struct str text;
    struct str *hosts;
    size_t n;
};

static unsigned places; /* taken; any thread */
/* Of shard 0. */
static struct list queue;
static bool working;

static int send_to(const struct job *j, struct str host, struct error *err) YIELDS;
static int send_to(const struct job *j, struct str host, struct error *err)
{
    switch (j->what) {
    case ANNOUNCE_ALL: return announce_to_accounts(host, j->text, err);
    case ANNOUNCE_ONLINE: return announce_to_sessions(host, j->text, err);
    default: return motd_show_online(host, err);
    }
}

static void run_job(const struct job *j) YIELDS;
static void run_job(const struct job *j)
{
    for (size_t i = 0; i < j->n && !rt_stopping(); i++) {
        struct error err = ERROR_INIT;
        if (config_host(config_current(), j->hosts[i]) && send_to(j, j->hosts[i], &err) < 0)
            LOG(ERROR, "announce", NULL, "an announcement did not reach everybody of %.*s: %s", STR_ARG(j->hosts[i]), err.text);
    }
}

static void worker(void *arg) YIELDS;
static void worker(void *arg)
{
    (void)arg;
    working = true;
    while (!list_empty(&queue)) {
        struct job *j = LIST_ENTRY(queue.next, struct job, link);
        struct arena *a = j->arena;
        list_del(&j->link);
        run_job(j);
        __atomic_sub_fetch(&places, 1, __ATOMIC_RELAXED);
        arena_release(&a);
    }
    working = false;
}

/* Room is asked for first, so that nothing is stored that is not shown then. */
static int take_place(struct error *err)
{
    if (__atomic_add_fetch(&places, 1, __ATOMIC_RELAXED) <= QUEUE_MAX)
        return 0;
    __atomic_sub_fetch(&places, 1, __ATOMIC_RELAXED);
    return err_set(err, ERR_TOO_OFTEN, "Too many announcements are waiting");
}

static int enqueue(void *arg, struct error *err)
{
    struct job *j = arg;
    (void)err;
    arena_hold(j->arena);
    if (!queue.next)
        list_init(&queue);
    list_push(&queue, &j->link);
    if (!working)
        fiber_run(worker, NULL);
    return 0;
}

static struct job *job_new(enum announce_what what, bool all_hosts, unsigned host, const struct stanza *message)
{
    const struct config *c = config_current();
    struct arena *a = arena_new();
    struct job *j = ARENA_NEW(a, struct job);
    struct buf text = BUF_INIT;
    j->arena = a;
    j->what = what;
    j->hosts = ARENA_ARRAY(a, struct str, c->host_count + 1);
    for (unsigned h = 0; h < c->host_count; h++)
        if (all_hosts || h == host)
            j->hosts[j->n++] = arena_str(a, c->hosts[h].name);
    if (message)
        xml_write_addressed(&text, message->el, TOK_NS_CLIENT, STR_NULL, STR_NULL);
    j->text = arena_str(a, buf_str(&text)); /* without addresses: they are each recipient's */
    buf_deinit(&text);
    return j;
}

static int change_motd(const struct job *j, struct error *err) YIELDS;
static int change_motd(const struct job *j, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; i < j->n && rc == 0; i++)
        rc = j->what == ANNOUNCE_MOTD_DELETE ? motd_drop(j->hosts[i], err) : motd_change(j->hosts[i], j->text, err);
    return rc;
}

static bool is_stored(enum announce_what what)
{
    return what != ANNOUNCE_ALL && what != ANNOUNCE_ONLINE;
}

static bool is_sent(enum announce_what what)
{
    return what != ANNOUNCE_MOTD_UPDATE && what != ANNOUNCE_MOTD_DELETE;
}

static int send_later(struct job *j, struct error *err) YIELDS;
static int send_later(struct job *j, struct error *err)
{
    if (take_place(err) != 0)
        return -1;
    if (!is_stored(j->what) || change_motd(j, err) == 0)
        return mail_call(0, enqueue, j, j->arena, QUEUE_MS, err);
    __atomic_sub_fetch(&places, 1, __ATOMIC_RELAXED);
    return -1;
}

int announce_begin(enum announce_what what, bool all_hosts, unsigned host, const struct stanza *message, struct error *err)
{
    struct job *j = job_new(what, all_hosts, host, message);
    struct arena *a = j->arena;
    int rc = is_sent(what) ? send_later(j, err) : change_motd(j, err);
    arena_release(&a);
    return rc;
}
