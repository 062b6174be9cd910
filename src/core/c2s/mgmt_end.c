/*
 * What becomes of a session with stream management that ends: its unacknowledged stanzas (XEP-0198 §4: another resource, offline
 * storage, or an error to the sender), and the memory of how far its client's stanzas were dealt with. Home shard; the giving
 * back runs on a fiber of its own and suspends only for the store.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/account/session.h"
#include "core/c2s/mgmt.h"
#include "core/module/module.h"
#include "core/router.h"
#include "rt/fault.h"
#include "rt/fiber.h"
#include "rt/shard.h"
#include "store/ledger.h"
#include "xml/stream.h"
#include <stdlib.h>

#define BATCH 64 /* stanzas in one turn: others have theirs between */
#define WAIT_MS 10
#define SAVE_MS 2

/* --- timed-out sessions --- */

/* A ring: what is older than its size or the life time is forgotten (options cache_size, cache_life_time). */
#define GONE_MAX 1024
struct gone {
    char id[MGMT_ID_LEN + 1];
    uint32_t handled;
    uint64_t bare_hash, until_ms;
};
static _Thread_local struct gone *gone;
static _Thread_local unsigned gone_at;

static const struct options *options_of(unsigned host)
{
    const struct module *mod = module_find(S("mod_stream_mgmt"));
    return mod && host != HOST_NONE && module_loaded(host, mod) ? module_options(host, mod) : NULL;
}

static void remember(const struct mgmt *m, unsigned host, struct str bare)
{
    const struct options *o = options_of(host);
    int64_t life = o ? opt_int(o, "cache_life_time") : 0;
    int64_t size = o ? opt_int(o, "cache_size") : 0;
    if (!life || !m->resumable)
        return;
    if (!gone)
        gone = mem_zalloc(GONE_MAX * sizeof *gone);
    if (gone_at >= GONE_MAX || (int64_t)gone_at >= size)
        gone_at = 0;
    struct gone *g = &gone[gone_at++];
    memcpy(g->id, m->id, sizeof g->id);
    g->handled = m->in;
    g->bare_hash = hash_str(bare);
    g->until_ms = life == OPT_INFINITY ? UINT64_MAX : clock_mono_ms() + (uint64_t)life;
}

bool mgmt_remembered(struct str id, struct str bare, uint32_t *handled_out)
{
    uint64_t hash = hash_str(bare), now = clock_mono_ms();
    for (unsigned i = 0; gone && i < GONE_MAX; i++)
        if (gone[i].until_ms > now && gone[i].bare_hash == hash && str_eq(str_of(gone[i].id), id)) {
            *handled_out = gone[i].handled;
            return true;
        }
    return false;
}

void mgmt_end_shard_stop(void)
{
    free(gone);
    gone = NULL;
}

/* --- giving back --- */

enum resend { RESEND_NOT, RESEND_IF_OFFLINE, RESEND };

static enum resend resend_of(unsigned host)
{
    const struct options *o = options_of(host);
    struct str how = o ? opt_str(o, "resend_on_timeout") : S("if_offline");
    return str_eq(how, S("true")) ? RESEND : str_eq(how, S("if_offline")) ? RESEND_IF_OFFLINE : RESEND_NOT;
}

/* A carbon copy (XEP-0280) is one of several: the message itself went its own way. */
static bool is_copy(const struct stanza *s)
{
    return xml_child(s->el, TOK_received, TOK_NS_CARBONS) || xml_child(s->el, TOK_sent, TOK_NS_CARBONS);
}

static bool somebody_there(struct jid who)
{
    struct account *a = account_find(jid_user(who), jid_host(who));
    if (a)
        LIST_EACH(it, &a->sessions)
            if (session_available(LIST_ENTRY(it, struct session, link)))
                return true;
    return false;
}

/* XEP-0203: when it was sent the first time, unless an earlier delay says so already. */
static void stamp_delay(struct stanza *s, uint32_t sent_s)
{
    if (xml_child(s->el, TOK_delay, TOK_NS_DELAY))
        return;
    struct xml_el *d = xml_add(s->arena, s->el, TOK_delay, TOK_NS_DELAY);
    xml_attr_set(s->arena, d, TOK_from, arena_str(s->arena, jid_host(s->to)));
    xml_attr_set(s->arena, d, TOK_stamp, clock_format(s->arena, (uint64_t)sent_s * 1000000, false));
}

static struct stanza *parse(const struct mgmt_rec *r)
{
    const char *why;
    struct arena *a = arena_new();
    struct xml_el *el = xml_parse(a, mgmt_bytes(r), TOK_NS_CLIENT, &why);
    struct stanza *s = el ? stanza_of(a, el) : NULL;
    if (s && jid_parse(a, xml_attr_get(el, TOK_to), &s->to) && jid_parse(a, xml_attr_get(el, TOK_from), &s->from))
        return s;
    arena_release(&a);
    return NULL;
}

static void give_back_message(struct account *a, struct stanza **sp, uint32_t sent_s, enum resend resend, bool offline) YIELDS;
static void give_back_message(struct account *a, struct stanza **sp, uint32_t sent_s, enum resend resend, bool offline)
{
    struct stanza *s = *sp;
    if (s->type == ST_ERROR || is_copy(s)) {
        stanza_end(sp);
    } else if (resend == RESEND || (resend == RESEND_IF_OFFLINE && offline)) {
        stamp_delay(s, sent_s);
        if (a && resend == RESEND_IF_OFFLINE)
            account_keep_now(a, sp);
        else if (a)
            account_receive_now(a, sp);
        else
            router_route(sp);
    } else {
        router_bounce(sp, ERR_NO_RECIPIENT, "User session terminated");
    }
}

/* Lives in its arena, which what was given back holds. */
struct ending {
    struct arena *arena;
    struct mgmt *m;
    struct jid who;
    unsigned host;
    bool saved;    /* may be given back */
    bool offline;  /* it was the last one: whoever comes while its queue is being given back may have that */
    unsigned left; /* given back and not safe yet; atomic */
    struct cause cause;
    struct list link; /* until all sessions of before are there */
};

static void on_safe(void *arg)
{
    struct ending *e = arg;
    struct arena *a = e->arena;
    __atomic_sub_fetch(&e->left, 1, __ATOMIC_ACQ_REL);
    arena_release(&a);
}

/* Done again after a crash, it is recognised. */
static void watch(struct ending *e, struct stanza *s, uint32_t h)
{
    s->cause = &e->cause;
    s->cause_n = CAUSE_GIVEN_BACK | h;
    __atomic_add_fetch(&e->left, 1, __ATOMIC_RELAXED);
    arena_hold(e->arena);
    arena_on_release(s->arena, on_safe, e);
}

static void give_back(struct ending *e, struct account *a, const struct mgmt_rec *r, enum resend resend) YIELDS;
static void give_back(struct ending *e, struct account *a, const struct mgmt_rec *r, enum resend resend)
{
    struct stanza *s = parse(r);
    if (!s)
        return;
    if (s->kind == STANZA_MESSAGE) {
        if (e->m->kept)
            watch(e, s, r->h);
        give_back_message(a, &s, r->sent_s, resend, e->offline);
        fault_die(FAULT_die_given_back);
    } else if (s->kind == STANZA_IQ && (s->type == ST_GET || s->type == ST_SET)) {
        router_bounce(&s, ERR_NO_RECIPIENT, "User session terminated");
    } else {
        stanza_end(&s); /* presence is of the moment; answers are for this session alone */
    }
}

static bool has_message(struct mgmt *m)
{
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r))
        if (r->kind == STANZA_MESSAGE)
            return true;
    return false;
}

/* The queue cannot change any more: the session is out of the tables. */
static void give_back_all(struct ending *e, struct account *a) YIELDS;
static void give_back_all(struct ending *e, struct account *a)
{
    enum resend resend = resend_of(e->host);
    unsigned n = 0;
    for (struct mgmt_rec *r = mgmt_first(e->m); r; r = mgmt_next(e->m, r)) {
        give_back(e, a, r, resend);
        if (++n % BATCH == 0)
            fiber_sleep(0);
    }
}

/* What is given back must be safe elsewhere before it is forgotten here; a server that ends first does it again when it starts. */
static bool wait_safe(struct ending *e) YIELDS;
static bool wait_safe(struct ending *e)
{
    while (__atomic_load_n(&e->left, __ATOMIC_ACQUIRE) && !rt_stopping())
        fiber_sleep(WAIT_MS);
    return __atomic_load_n(&e->left, __ATOMIC_ACQUIRE) == 0;
}

static void rest_fiber(void *arg) YIELDS;
static void rest_fiber(void *arg)
{
    struct ending *e = arg;
    struct arena *a = e->arena;
    while (!e->saved)
        fiber_sleep(SAVE_MS);
    if (wait_safe(e)) {
        fault_die(FAULT_die_end_safe);
        mgmt_forget(e->m);
        ledger_free_all(&e->cause.effects);
    }
    mgmt_release(&e->m);
    arena_release(&a);
}

/* Beside the account's turn: who delivers waiting messages there waits for them to be safe. */
static void save_fiber(void *arg) YIELDS;
static void save_fiber(void *arg)
{
    struct ending *e = arg;
    fault_die(FAULT_die_ended);
    if (e->m->kept && has_message(e->m))
        mgmt_save_end(e->m, e->who);
    fault_die(FAULT_die_end_saved);
    mgmt_earlier_unspool(e->m, e->who);
    e->saved = true;
}

/* In the account's turn and before all that waits: that is younger. */
static void end_turn(struct account *a, void *arg) YIELDS;
static void end_turn(struct account *a, void *arg)
{
    struct ending *e = arg;
    while (!e->saved)
        fiber_sleep(SAVE_MS);
    give_back_all(e, a);
    fiber_run(rest_fiber, e);
}

/* The host is gone, which the senders learn; or there is nothing to say. */
static void hostless_fiber(void *arg) YIELDS;
static void hostless_fiber(void *arg)
{
    end_turn(NULL, arg);
}

static void begin(struct ending *e)
{
    fiber_run(save_fiber, e);
    if (e->host == HOST_NONE || !e->m->n) {
        fiber_run(hostless_fiber, e);
        return;
    }
    struct account *a = account_pin(e->host, e->who);
    account_in_turn_first(a, end_turn, e);
    account_unpin(a);
}

static struct ending *ending_new(struct mgmt *m, struct jid who, unsigned host)
{
    struct arena *a = arena_new();
    struct ending *e = ARENA_NEW(a, struct ending);
    e->arena = a;
    e->m = m;
    e->who = jid_copy(a, who);
    e->host = host;
    e->offline = !somebody_there(who);
    e->cause = (struct cause){.key = m->key, .id = arena_cstr(a, str_of(m->id))};
    list_init(&e->link);
    return e;
}

void mgmt_end(struct mgmt **mp, unsigned host)
{
    struct mgmt *m = *mp;
    struct jid who = session_jid(m->session);
    *mp = NULL;
    timer_stop(&m->timer);
    m->answer = NULL;
    remember(m, host, jid_bare(who));
    mgmt_earlier_end(m);
    mgmt_settle(m);
    m->session = NULL;
    list_del(&m->dirty);
    if (m->n || m->kept)
        begin(ending_new(m, who, host));
    else
        mgmt_release(&m);
}

static _Thread_local struct list waiting;

void mgmt_end_again(struct mgmt **mp, struct jid who, unsigned host)
{
    struct ending *e = ending_new(*mp, who, host);
    *mp = NULL;
    if (!waiting.next)
        list_init(&waiting);
    list_push(&waiting, &e->link);
}

void mgmt_end_go(void)
{
    while (waiting.next && !list_empty(&waiting)) {
        struct ending *e = LIST_ENTRY(waiting.next, struct ending, link);
        list_del(&e->link);
        begin(e);
    }
}
