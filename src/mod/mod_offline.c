/*
 * Offline messages, XEP-0160: keeps what no session took and delivers it, in order, to the session that next sends available
 * presence of non-negative priority. Both happen on the account's fiber, one after the other with its live messages, so that none
 * is overtaken or left behind. A message counts as delivered only after the socket has taken it, or, with stream management, when
 * the session's own copy is in the store or acknowledged: a crash in between repeats at most the last BATCH of them, with the same
 * id and stamp, and loses none. From then on nobody sees it, and its row goes soon. What is kept is in mod/offline_rules.c,
 * fetching one by one (XEP-0013) in mod/offline_retrieval.c, cleaning up in mod/offline_purge.c. Runs on the account's home.
 */
#include "mod/api/offline_parts.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/auth/auth.h"
#include "core/c2s/mgmt.h"
#include "core/config/access.h"
#include "mod/api/offline_rules.h"
#include "rt/fiber.h"
#include "store/ledger.h"
#include "store/spool.h"

#define BATCH 64                 /* messages between two removals */
#define BATCH_BYTES (256 * 1024) /* a client that reads slowly holds this much, not its whole queue */
#define LOOK_MS 10
#define SAFE_WAIT_MS 10000 /* the writer of the sessions' queues is never that far behind */
#define STUCK_MS 60000     /* the others of the account do not wait for ever for one that does not acknowledge */
#define ACK_WAIT_MS 5000   /* a client that acknowledges late is not waited for longer, as long as its queue has room */

static const char no_session[] = "User session not found"; /* COMPAT(ejabberd): what is not kept is answered so */

static const struct options *options_of(unsigned host)
{
    return config_module(&config_current()->hosts[host], S("mod_offline"));
}

/* --- storing --- */

static enum hook_verdict refuse(struct stanza_event *e, enum err_code code, const char *text)
{
    e->reject = code;
    e->reject_text = text;
    return HOOK_REJECT;
}

static enum offline_empty empty_policy(const struct options *o)
{
    struct str word = opt_str(o, "store_empty_body");
    return str_eq(word, S("true")) ? OFFLINE_EMPTY_ALWAYS : str_eq(word, S("false")) ? OFFLINE_EMPTY_NEVER
                                                                                    : OFFLINE_EMPTY_UNLESS_CHAT_STATE;
}

/* How many may wait; UINT64_MAX: no bound. COMPAT(ejabberd): a rule that does not exist or match sets none. */
static uint64_t limit(unsigned host, struct jid owner)
{
    const struct vhost *h = &config_current()->hosts[host];
    struct access_subject who = {.jid = owner};
    struct str value = shaper_rule_match_node(h, opt_node(options_of(host), "access_max_user_messages"), &who);
    int64_t n;
    if (!value.n || !str_to_i64(value, &n))
        return UINT64_MAX;
    return n > 0 ? (uint64_t)n : 0;
}

static enum store_rc add(const struct stanza *s, uint64_t max) YIELDS;
static enum store_rc add(const struct stanza *s, uint64_t max)
{
    uint64_t now = clock_wall_us();
    struct buf text = BUF_INIT;
    if (max == 0)
        return STORE_LIMIT;
    offline_write(&text, s, jid_host(s->to), now);
    if (max == UINT64_MAX)
        max = 0;
    bool once = s->cause && s->cause->id;
    enum store_rc rc = once ? spool_add_once(jid_host(s->to), jid_user(s->to), buf_str(&text), (int64_t)(now / 1000000), max,
                                             str_of(s->cause->id), (int64_t)s->cause_n)
                            : spool_add(jid_host(s->to), jid_user(s->to), buf_str(&text), (int64_t)(now / 1000000), max);
    if (once)
        __atomic_store_n(&s->cause->spooled, true, __ATOMIC_RELAXED);
    buf_deinit(&text);
    return rc;
}

/* Rooms that send to many who are gone would get as many errors. */
static bool silent_when_full(const struct stanza *s, unsigned host)
{
    const struct options *o = options_of(host);
    return s->type == ST_GROUPCHAT && o && !opt_bool(o, "bounce_groupchat");
}

static enum hook_verdict keep(struct stanza_event *e) YIELDS;
static enum hook_verdict keep(struct stanza_event *e)
{
    const struct stanza *s = e->stanza;
    enum store_rc rc = add(s, limit(e->account->host, jid_to_bare(s->to)));
    switch (rc) {
    case STORE_OK: return HOOK_STOP;
    case STORE_LIMIT:
        if (e->account->host != HOST_NONE && silent_when_full(s, e->account->host))
            return HOOK_STOP;
        return refuse(e, ERR_QUEUE_FULL, "Your contact offline message queue is full. The message has been discarded.");
    case STORE_REFUSED: return refuse(e, ERR_NOT_ACCEPTABLE, "The message cannot be stored");
    default: {
        struct log_ctx ctx = {.jid = jid_bare(s->to)};
        LOG_LIMITED(WARNING, "offline", &ctx, "a message could not be stored; its sender was told");
        return refuse(e, ERR_UNAVAILABLE, "Database failure");
    }
    }
}

/*
 * What would not be kept for anybody is refused before the account is looked for: such messages do not tell who exists (RFC 6120
 * §13.11).
 */
static enum hook_verdict on_undelivered(struct stanza_event *e) YIELDS;
static enum hook_verdict on_undelivered(struct stanza_event *e)
{
    const struct options *o = options_of(e->account->host);
    struct error err = ERROR_INIT;
    bool there;
    if (!offline_wants(e->stanza, empty_policy(o), opt_bool(o, "store_groupchat")))
        return refuse(e, ERR_NO_RECIPIENT, no_session);
    if (auth_exists(jid_host(e->stanza->to), jid_user(e->stanza->to), &there, &err) < 0)
        return refuse(e, ERR_UNAVAILABLE, "Database failure");
    if (!there || e->account->host == HOST_NONE || !options_of(e->account->host))
        return refuse(e, ERR_NO_RECIPIENT, NULL);
    return keep(e);
}

/* --- delivering --- */

void offline_receiver_init(struct offline_receiver *r, struct arena *a, const struct session *s)
{
    *r = (struct offline_receiver){.arena = a, .jid = jid_copy(a, session_jid(s)), .bound_ms = s->bound_ms};
}

struct session *offline_receiver_find(const struct offline_receiver *r)
{
    struct account *a = account_find(jid_user(r->jid), jid_host(r->jid));
    struct session *s = a ? session_find(a, jid_res(r->jid)) : NULL;
    return s && s->bound_ms == r->bound_ms && !s->closing ? s : NULL;
}

struct flood {
    struct offline_receiver to;
    int64_t last;    /* sent up to this one; */
    int64_t last_s;  /* when it was stored */
    uint64_t look;   /* spool_look */
    size_t n, bytes; /* since the last removal */
    unsigned unsafe; /* sent, and not in the store's copy of the session's queue yet */
    uint32_t out;    /* the session's count when the last was sent */
    bool managed, failed, stopped;
    struct mgmt *mgmt;  /* of a session that is kept in the store: it stays there as long as its share is in the spool too */
    struct cause cause; /* the spool: core/c2s/mgmt.h */
};

static struct session *receiver(const struct flood *f)
{
    struct session *s = offline_receiver_find(&f->to);
    return s && s->owner && session_available(s) && s->priority >= 0 ? s : NULL;
}

/* --- with stream management: the session answers for what it was given --- */

static void on_safe(void *arg)
{
    struct flood *f = arg;
    struct arena *a = f->to.arena;
    f->unsafe--;
    arena_release(&a);
}

static void send_managed(struct flood *f, struct session *s, struct stanza *st, int64_t id)
{
    f->managed = true;
    if (s->mgmt->kept && !f->mgmt) {
        f->mgmt = s->mgmt;
        f->mgmt->floods++;
        mgmt_hold(f->mgmt);
    }
    if (f->mgmt) {
        st->cause = &f->cause;
        st->cause_n = (uint64_t)id;
    }
    f->unsafe++;
    arena_hold(f->to.arena);
    arena_on_release(st->arena, on_safe, f); /* core/c2s/mgmt.h: the queue holds it until it is safe */
    session_send(s, st);
    f->out = s->mgmt->out;
}

/*
 * The session is over: what it had not acknowledged comes back through delivery (core/c2s/mgmt_end.c), and is not kept here as
 * well.
 */
static bool has_taken(const struct flood *f)
{
    const struct session *s = offline_receiver_find(&f->to);
    const struct mgmt *m = s ? s->mgmt : NULL;
    if (f->mgmt)
        return f->unsafe == 0;
    return !m || (int32_t)(mgmt_acked(m) - f->out) >= 0;
}

static bool wait_taken(struct flood *f) YIELDS;
static bool wait_taken(struct flood *f)
{
    for (unsigned ms = 0; ms < SAFE_WAIT_MS && !has_taken(f); ms += LOOK_MS)
        fiber_sleep(LOOK_MS);
    return has_taken(f);
}

/* A queue longer than the client is allowed to have would end its session. */
static bool is_behind(const struct flood *f, unsigned waited_ms)
{
    const struct session *s = offline_receiver_find(&f->to);
    const struct mgmt *m = s && s->owner ? s->mgmt : NULL;
    if (!m || m->n <= BATCH || waited_ms > STUCK_MS)
        return false;
    return waited_ms < ACK_WAIT_MS || m->n > m->max_n / 4 || m->queue.n - m->at > m->max_bytes / 4;
}

static void wait_acknowledged(struct flood *f) YIELDS;
static void wait_acknowledged(struct flood *f)
{
    for (unsigned ms = 0; is_behind(f, ms); ms += LOOK_MS)
        fiber_sleep(LOOK_MS);
}

/* --- */

static bool is_handed_over(struct flood *f) YIELDS;
static bool is_handed_over(struct flood *f)
{
    if (f->managed)
        return wait_taken(f);
    struct session *s = offline_receiver_find(&f->to);
    return s && session_drain(s, 0);
}

static bool settle(struct flood *f) YIELDS;
static bool settle(struct flood *f)
{
    if (f->n == 0)
        return true;
    if (!is_handed_over(f)) {
        f->failed = true;
        return false;
    }
    if (spool_delivered(jid_host(f->to.jid), jid_user(f->to.jid), f->last, f->last_s, &f->look) != STORE_OK) {
        struct log_ctx ctx = {.jid = jid_full(f->to.jid)};
        LOG(WARNING, "offline", &ctx, "delivered messages could not be taken out of the store: they will come again");
        f->failed = true;
        return false;
    }
    f->n = f->bytes = 0;
    ledger_free_all(&f->cause.effects);
    if (f->managed)
        wait_acknowledged(f);
    return true;
}

static void tell_broken(const struct flood *f, int64_t id)
{
    struct log_ctx ctx = {.jid = jid_bare(f->to.jid)};
    LOG_LIMITED(WARNING, "offline", &ctx, "row %lld of table spool is no message: dropped", (long long)id);
}

/* Whoever was shut out meanwhile is not heard (XEP-0191 §3.3), by the session that would get it. Takes it when not. */
static void drop_unwanted(const struct flood *f, struct session *s, struct stanza **st) YIELDS;
static void drop_unwanted(const struct flood *f, struct session *s, struct stanza **st)
{
    struct stanza_event ev = {.account = s->account, .stanza = *st};
    struct jid to = (*st)->to;
    (*st)->to = f->to.jid;
    bool wanted = hook_run_stanza_received(s->account->host, &ev) == HOOK_PASS;
    (*st)->to = to;
    if (!wanted)
        stanza_end(st);
}

static bool stop(struct flood *f)
{
    f->stopped = true;
    return false;
}

static bool deliver_one(const struct spool_message *m, void *arg) YIELDS;
static bool deliver_one(const struct spool_message *m, void *arg)
{
    struct flood *f = arg;
    bool broken;
    struct session *s = receiver(f);
    if (!s || s->account->host == HOST_NONE)
        return stop(f);
    struct stanza *st = offline_read(m, jid_to_bare(f->to.jid), (int64_t)clock_wall_s(), &broken);
    if (st)
        drop_unwanted(f, s, &st);
    if (!(s = receiver(f))) {
        if (st)
            stanza_end(&st);
        return stop(f);
    }
    if (st) {
        if (s->mgmt)
            send_managed(f, s, st, m->id);
        else
            session_send(s, st);
        stanza_end(&st);
    } else if (broken) {
        tell_broken(f, m->id);
    }
    f->last = m->id;
    f->last_s = m->stored_s;
    f->n++;
    f->bytes += m->xml.n;
    return (f->n < BATCH && f->bytes < BATCH_BYTES) || settle(f);
}

/* XEP-0013 §2.2: while one session manages the queue itself, no other is flooded with it. */
static bool managed(const struct account *a)
{
    LIST_EACH(it, &a->sessions)
        if (LIST_ENTRY(it, struct session, link)->keeps_offline)
            return true;
    return false;
}

/* All came, or what did not stays for the next presence; a resumed session sends none and gets the rest anyway. */
static void note_rest(const struct flood *f)
{
    struct session *s = offline_receiver_find(&f->to);
    if (s)
        s->offline_due = !s->owner;
}

static void let_go(struct flood *f)
{
    if (!f->failed)
        ledger_free_all(&f->cause.effects); /* otherwise both have it, which the next process must know */
    if (!f->mgmt)
        return;
    f->mgmt->floods--;
    mgmt_release(&f->mgmt);
}

static void read_and_deliver(struct flood *f) YIELDS;
static void read_and_deliver(struct flood *f)
{
    struct str host = jid_host(f->to.jid), user = jid_user(f->to.jid);
    f->look = spool_look(host, user);
    enum store_rc rc = spool_each(host, user, 0, deliver_one, f);
    bool whole = rc == STORE_OK && !f->stopped;
    if (rc != STORE_OK && rc != STORE_NONE) {
        struct log_ctx ctx = {.jid = jid_full(f->to.jid)};
        LOG(WARNING, "offline", &ctx, "waiting messages could not be read: they stay");
    }
    if (!f->failed && settle(f) && whole)
        spool_emptied(host, user, f->look);
}

static void deliver_all(struct account *a, void *arg) YIELDS;
static void deliver_all(struct account *a, void *arg)
{
    struct flood *f = arg;
    struct arena *mem = f->to.arena;
    if (!managed(a) && receiver(f))
        read_and_deliver(f);
    note_rest(f);
    let_go(f);
    arena_release(&mem);
}

static void start(struct session *s)
{
    struct arena *a = arena_new();
    struct flood *f = ARENA_NEW(a, struct flood);
    s->offline_due = true;
    offline_receiver_init(&f->to, a, s);
    f->cause.key = LEDGER_SPOOL;
    account_in_turn(s->account, deliver_all, f);
}

static enum hook_verdict on_presence(struct presence_event *e)
{
    struct session *s = e->session;
    bool takes = e->available && s->priority >= 0, took = s->takes_offline;
    s->takes_offline = takes;
    if (takes && !took && !s->keeps_offline)
        start(s);
    return HOOK_PASS;
}

/* What came between losing the stream and the end of its delivery, or, in a session of before a restart, before that. */
static enum hook_verdict on_resumed(struct session_event *e)
{
    struct session *s = e->session;
    bool due = s->offline_due || !s->takes_offline;
    if (!session_available(s) || s->priority < 0 || s->keeps_offline || !due)
        return HOOK_PASS;
    s->takes_offline = true;
    start(s);
    return HOOK_PASS;
}

/* --- forged delays --- */

static bool is_forged_delay(struct stanza *s, const struct xml_el *el)
{
    struct jid from;
    if (el->tok != TOK_delay || el->ns != TOK_NS_DELAY || !jid_parse(s->arena, xml_attr_get(el, TOK_from), &from))
        return false;
    return !from.user_len && config_host(config_current(), jid_host(from));
}

/* Only this server says what it delayed, and one that comes back (core/c2s/mgmt_end.c) keeps what it said (XEP-0203 §5). */
static enum hook_verdict on_sent(struct stanza_event *e)
{
    if (e->stanza->kind != STANZA_MESSAGE)
        return HOOK_PASS;
    for (struct xml_el *el = xml_first(e->stanza->el), *next; el; el = next) {
        next = xml_next(el);
        if (is_forged_delay(e->stanza, el))
            xml_remove(e->stanza->el, el);
    }
    return HOOK_PASS;
}

/* --- the table --- */

static const char *const features[] = {"msgoffline", "http://jabber.org/protocol/offline", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_ACCOUNT, TOK_NS_OFFLINE, true, offline_on_iq}, {0}};
static const struct hook_entry hooks[] = {
    ON(stanza_sent, FILTER, on_sent), ON(message_undelivered, STORE, on_undelivered), ON(session_presence, STATE, on_presence),
    ON(session_resumed, STATE, on_resumed), {0}};

MODULE(mod_offline) = {
    .name = "mod_offline", .xep = "XEP-0160 1.0.1", .features = features, .account_features = features, .iqs = iqs,
    .hooks = hooks, .start = offline_purge_start};
