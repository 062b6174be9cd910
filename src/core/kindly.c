/*
 * Leaving with notice; see the header. The plan belongs to shard 0; what others may ask about it is behind a lock. Suspends:
 * the sequence itself. Leaves out: rooms (there are none in this process yet).
 */
#include "core/kindly.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/account/session_table.h"
#include "core/c2s/c2s.h"
#include "core/router.h"
#include "core/server.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#define TELL_MS 60000
#define TELL_AT_ONCE 256 /* sessions told before others of the shard get their turn */
#define GOODBYE_MS 3000
#define LOOK_MS 100

static struct {
    bool under_way, evacuated; /* of shard 0 */
    enum kindly_end end;
    unsigned delay_s;
    struct arena *arena;
    struct str text;
} plan;

static struct {
    pthread_mutex_t lock;
    uint64_t began_ms;
    struct kindly_step steps[KINDLY_STEPS];
} shown = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- what can be seen of it --- */

void kindly_step(unsigned number, struct kindly_step *out)
{
    pthread_mutex_lock(&shown.lock);
    *out = shown.steps[number - 1];
    pthread_mutex_unlock(&shown.lock);
}

static void clear_steps(void)
{
    pthread_mutex_lock(&shown.lock);
    shown.began_ms = clock_mono_ms();
    memset(shown.steps, 0, sizeof shown.steps);
    pthread_mutex_unlock(&shown.lock);
}

static void begin_step(unsigned number, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void begin_step(unsigned number, const char *fmt, ...)
{
    struct kindly_step *s = &shown.steps[number - 1];
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&shown.lock);
    vsnprintf(s->words, sizeof s->words, fmt, ap);
    s->at_s = (unsigned)((clock_mono_ms() - shown.began_ms) / 1000);
    s->begun = true;
    pthread_mutex_unlock(&shown.lock);
    va_end(ap);
    LOG(INFO, "server", NULL, "[%u/%d] %s", number, KINDLY_STEPS, s->words); /* this fiber alone writes it */
}

static void end_step(unsigned number, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void end_step(unsigned number, const char *fmt, ...)
{
    struct kindly_step *s = &shown.steps[number - 1];
    va_list ap;
    va_start(ap, fmt);
    pthread_mutex_lock(&shown.lock);
    vsnprintf(s->outcome, sizeof s->outcome, fmt, ap);
    s->done = true;
    pthread_mutex_unlock(&shown.lock);
    va_end(ap);
}

static void end_of(unsigned number, int rc, const struct error *err)
{
    if (rc == 0) {
        end_step(number, "done");
        return;
    }
    LOG(WARNING, "server", NULL, "%s: %s", shown.steps[number - 1].words, err->text);
    end_step(number, "%.40s", err->text);
}

/* --- telling --- */

struct telling {
    struct str subject, body;
};

/* The hint keeps it in the archive of a user who was away from the screen (XEP-0334 §4.4). */
static void tell_session(struct jid to, const struct telling *t)
{
    struct stanza *s = stanza_new(STANZA_MESSAGE, ST_HEADLINE, JID_NULL, JID_NULL);
    s->from = jid_join(s->arena, STR_NULL, jid_host(to), STR_NULL);
    s->to = jid_copy(s->arena, to);
    stanza_stamp(s);
    xml_append(s->el, xml_new_text(s->arena, S("store"), S("urn:xmpp:hints")));
    xml_add_leaf(s->arena, s->el, TOK_body, arena_str(s->arena, t->body));
    xml_add_leaf(s->arena, s->el, TOK_subject, arena_str(s->arena, t->subject));
    router_route(&s);
}

struct round {
    struct arena *arena;
    struct jid to[TELL_AT_ONCE];
    size_t n;
};

static bool take_one(struct order_node *node, void *arg)
{
    struct round *r = arg;
    r->to[r->n++] = jid_copy(r->arena, session_jid(CONTAINER_OF(node, struct session, all)));
    return r->n < TELL_AT_ONCE;
}

static int tell_each(void *arg, void *slot, struct error *err) YIELDS;
static int tell_each(void *arg, void *slot, struct error *err)
{
    struct session_table *table = session_table_self();
    struct arena *a = arena_new();
    struct str after = STR_NULL;
    size_t n = 0;
    bool more;
    (void)err;
    do {
        struct round r = {.arena = a};
        order_walk(&table->all, after, take_one, &r);
        for (size_t i = 0; i < r.n; i++)
            tell_session(r.to[i], arg);
        n += r.n;
        more = r.n == TELL_AT_ONCE;
        struct arena *next = arena_new(); /* of what was told only the place is kept */
        after = more ? arena_str(next, jid_full(r.to[r.n - 1])) : STR_NULL;
        arena_release(&a);
        a = next;
        fiber_sleep(0);
    } while (more);
    *(size_t *)slot = n;
    arena_release(&a);
    return 0;
}

static int tell_sessions(struct str subject, size_t *told_out, struct error *err) YIELDS;
static int tell_sessions(struct str subject, size_t *told_out, struct error *err)
{
    struct arena *a = arena_new();
    struct telling *t = ARENA_NEW(a, struct telling);
    void **slots = ARENA_ARRAY(a, void *, shard_count());
    t->subject = arena_str(a, subject);
    t->body = arena_str(a, plan.text);
    for (unsigned i = 0; i < shard_count(); i++)
        slots[i] = ARENA_NEW(a, size_t);
    int rc = mail_gather(tell_each, t, slots, a, TELL_MS, err);
    for (unsigned i = 0; rc == 0 && i < shard_count(); i++)
        *told_out += *(size_t *)slots[i];
    arena_release(&a);
    return rc;
}

static void announce(void) YIELDS;
static void announce(void)
{
    struct error err = ERROR_INIT;
    char subject[64];
    size_t told = 0;
    begin_step(2, "Telling the users who are online");
    snprintf(subject, sizeof subject, "Server stop in %u seconds!", plan.delay_s); /* COMPAT(ejabberd) */
    int rc = plan.text.n ? tell_sessions(str_of(subject), &told, &err) : 0;
    if (rc == 0)
        end_step(2, "%zu told", told);
    else
        end_of(2, rc, &err);
    begin_step(3, "Telling the rooms");
    end_step(3, "there are none");
}

/* --- waiting, ending --- */

static bool called_off(void)
{
    return rt_stopping() || server_end_asked();
}

static void wait_for_users(void) YIELDS;
static void wait_for_users(void)
{
    uint64_t until = clock_mono_ms() + plan.delay_s * 1000ull;
    begin_step(4, "Waiting %u seconds for users to leave", plan.delay_s);
    for (uint64_t now; !called_off() && (now = clock_mono_ms()) < until;)
        fiber_sleep(until - now < LOOK_MS ? (unsigned)(until - now) : LOOK_MS);
    end_step(4, "%s", called_off() ? "cut short" : "done");
}

static int goodbye_each(void *arg, void *slot, struct error *err)
{
    (void)arg;
    (void)err;
    *(unsigned *)slot = c2s_shutdown_all();
    return 0;
}

static unsigned say_goodbye(struct error *err) YIELDS;
static unsigned say_goodbye(struct error *err)
{
    struct arena *a = arena_new();
    void **slots = ARENA_ARRAY(a, void *, shard_count());
    unsigned left = 0;
    for (unsigned i = 0; i < shard_count(); i++)
        slots[i] = ARENA_NEW(a, unsigned);
    if (mail_gather(goodbye_each, NULL, slots, a, GOODBYE_MS, err) == 0)
        for (unsigned i = 0; i < shard_count(); i++)
            left += *(unsigned *)slots[i];
    arena_release(&a);
    return left;
}

static void end_sessions(void) YIELDS;
static void end_sessions(void)
{
    struct error err = ERROR_INIT;
    uint64_t until = clock_mono_ms() + GOODBYE_MS;
    begin_step(5, "Ending the sessions that are left");
    while (say_goodbye(&err) && clock_mono_ms() < until)
        fiber_sleep(20);
    end_of(5, err.code ? -1 : 0, &err);
}

static void leave(void *arg) YIELDS;
static void leave(void *arg)
{
    struct error err = ERROR_INIT;
    (void)arg;
    begin_step(1, "Stopping ejabberd port listeners"); /* COMPAT(ejabberd): scripts wait for these words */
    end_of(1, server_drain(&err), &err);
    announce();
    wait_for_users();
    if (!called_off())
        end_sessions();
    bool stops = plan.end == KINDLY_STOP && !called_off();
    begin_step(6, stops ? "Asking the server to stop" : "Leaving everything else as it is");
    if (stops)
        server_end(SERVER_STOP);
    end_step(6, "done");
    begin_step(7, stops ? "The process ends when all data is written" : "No login is possible until a restart");
    plan.evacuated = !stops;
    plan.under_way = false;
    arena_release(&plan.arena);
    end_step(7, "done");
}

/* --- beginning --- */

struct request {
    enum kindly_end end;
    unsigned delay_s;
    struct str text;
};

static int begin_on_main(void *arg, struct error *err) YIELDS;
static int begin_on_main(void *arg, struct error *err)
{
    const struct request *r = arg;
    if (plan.under_way)
        return err_set(err, ERR_CONFLICT, "the server is leaving already: %s is under way",
                       plan.end == KINDLY_STOP ? "stop_kindly" : "evacuate_kindly");
    if (server_end_asked())
        return err_set(err, ERR_CONFLICT, "the server is stopping already");
    if (plan.evacuated && r->end == KINDLY_EVACUATE)
        return err_set(err, ERR_CONFLICT, "the server is evacuated already; restart it to serve again");
    plan.under_way = true;
    plan.end = r->end;
    plan.delay_s = r->delay_s;
    plan.arena = arena_new();
    plan.text = arena_str(plan.arena, r->text);
    clear_steps();
    fiber_run(leave, NULL);
    return 0;
}

int kindly_begin(enum kindly_end end, unsigned delay_s, struct str announcement, struct error *err)
{
    struct arena *a = arena_new();
    struct request *r = ARENA_NEW(a, struct request);
    *r = (struct request){end, delay_s, arena_str(a, announcement)};
    int rc = mail_call(0, begin_on_main, r, a, 10000, err);
    arena_release(&a);
    return rc;
}
