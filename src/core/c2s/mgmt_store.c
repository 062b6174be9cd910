/*
 * The copy of resumable sessions in the store (store/sm.h), so that they outlive the process. Each shard has a list of sessions
 * whose copy is behind; a little later (what the client acknowledges meanwhile is never written) fibers write them, several at
 * once so that the store commits them together. Home shard of the session; reading all back runs on shard 0 before listening.
 */
#include "base/clock.h"
#include "base/log.h"
#include "core/account/roster.h"
#include "core/account/session.h"
#include "core/auth/auth.h"
#include "core/c2s/mgmt.h"
#include "core/module/module.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "store/sm.h"
#include "xml/stream.h"
#include "xml/writer.h"

#define DELAY_MS 30   /* most acknowledgements come sooner */
#define RETRY_MS 1000
#define AWAY_MS 5000  /* who comes back sooner costs no write; a process that dies meanwhile gives it its whole time again */
#define WRITERS_MAX 64
#define COME_BACK_S 60
#define NEVER_S INT64_C(0x7fffffff0000) /* a session that has its stream does not expire */

static _Thread_local struct list dirty;
static _Thread_local struct list away;
static _Thread_local struct timer timer, away_timer;
static _Thread_local unsigned writers;
static _Thread_local bool ready, failing;

/* --- what is written --- */

/* What else a session is made of, as XML: one element, the last presence in it. */
static struct str describe(struct arena *a, const struct mgmt *m)
{
    const struct session *s = m->session;
    return arena_printf(a, "<session xmlns='jabber:client' ns='%d' wait='%u' had='%d' carbons='%d' keeps='%d' "
                        "takes='%d' roster='%d'>%.*s</session>", m->old_ns ? 2 : 3, m->resume_s, s->had_presence, s->carbons,
                        s->keeps_offline, s->takes_offline, s->interested, (int)s->presence_len, s->presence ? s->presence : "");
}

static int64_t expires(const struct mgmt *m)
{
    return m->session->owner || m->asleep ? NEVER_S : (int64_t)clock_wall_s() + m->resume_s;
}

static struct sm_session row_of(struct arena *a, const struct mgmt *m)
{
    struct jid j = jid_copy(a, session_jid(m->session));
    return (struct sm_session){.id = arena_str(a, str_of(m->id)), .host = jid_host(j), .user = jid_user(j), .resource = jid_res(j),
                               .handled = m->handled, .acked = mgmt_acked(m), .expires_s = expires(m), .data = describe(a, m)};
}

/* Copies: the queue may move while the write is under way. */
static struct sm_change change_of(struct arena *a, struct mgmt *m)
{
    struct sm_change c = {.has_handled = m->safe != m->handled, .handled = m->handled, .has_acked = m->acked_due,
                          .acked = mgmt_acked(m), .has_expiry = m->row_due, .expires_s = m->row_due ? expires(m) : 0};
    struct sm_stanza *list = ARENA_ARRAY(a, struct sm_stanza, m->n + 1);
    uint32_t h = mgmt_acked(m);
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r)) {
        h++;
        if (!r->stored)
            list[c.n_sent++] = (struct sm_stanza){h, r->sent_s, arena_str(a, mgmt_bytes(r))};
    }
    c.sent = list;
    if (m->row_due)
        c.data = describe(a, m);
    return c;
}

/* Up to that number of the client's count everything is on disk. Some may have been acknowledged while it was written. */
static void mark_stored(struct mgmt *m, uint32_t upto)
{
    uint32_t h = mgmt_acked(m);
    for (struct mgmt_rec *r = mgmt_first(m); r && (int32_t)(++h - upto) <= 0; r = mgmt_next(m, r)) {
        r->stored = 1;
        arena_release(&r->hold);
    }
}

static enum store_rc add_row(struct mgmt *m) YIELDS;
static enum store_rc add_row(struct mgmt *m)
{
    struct arena *a = arena_new();
    struct sm_session row = row_of(a, m);
    m->row_due = false;
    enum store_rc rc = sm_add(&row);
    if (rc == STORE_OK) {
        m->stored = true;
        m->safe = row.handled;
    }
    arena_release(&a);
    return rc;
}

static enum store_rc write_change(struct mgmt *m) YIELDS;
static enum store_rc write_change(struct mgmt *m)
{
    struct arena *a = arena_new();
    struct sm_change c = change_of(a, m);
    uint32_t sent = m->out, acked = mgmt_acked(m);
    m->row_due = m->acked_due = false;
    enum store_rc rc = STORE_OK;
    if (c.n_sent || c.has_acked || c.has_handled || c.has_expiry)
        rc = sm_save(arena_str(a, str_of(m->id)), &c);
    if (rc == STORE_OK) {
        m->safe = c.handled;
        /* Acknowledged while they were being written: their rows are there now. */
        m->acked_due |= c.n_sent && mgmt_acked(m) != acked;
        mark_stored(m, sent);
    } else {
        m->row_due |= c.has_expiry;
        m->acked_due |= c.has_acked;
    }
    arena_release(&a);
    return rc;
}

static bool behind(const struct mgmt *m)
{
    return m->session && (!m->stored || m->row_due || m->acked_due || m->safe != m->handled);
}

static bool unstored(struct mgmt *m)
{
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r))
        if (!r->stored)
            return true;
    return false;
}

static enum store_rc save(struct mgmt *m) YIELDS;
static enum store_rc save(struct mgmt *m)
{
    enum store_rc rc = m->stored ? STORE_OK : add_row(m);
    if (rc == STORE_OK && m->session)
        rc = write_change(m);
    return rc;
}

static void complain(enum store_rc rc)
{
    struct error err = ERROR_INIT;
    failing = true;
    store_error(rc, "resumable sessions", &err);
    LOG_LIMITED(ERROR, "c2s", NULL, "%s", err.text);
}

static void save_one(struct mgmt *m) YIELDS;
static void save_one(struct mgmt *m)
{
    mgmt_settle(m);
    m->saving = true;
    enum store_rc rc = save(m);
    m->saving = false;
    bool gone = rc == STORE_NONE && m->session && m->session->orphan; /* with the account; the session is about to go */
    if (rc != STORE_OK && m->session && !gone)
        complain(rc);
    if (m->session && m->answer_due && m->answer && (int32_t)(m->safe - m->want) >= 0)
        m->answer(m);
    if (m->session && (behind(m) || unstored(m)))
        mgmt_changed(m);
}

static void writer_fiber(void *arg) YIELDS;
static void writer_fiber(void *arg)
{
    (void)arg;
    while (!list_empty(&dirty) && !failing) {
        struct mgmt *m = LIST_ENTRY(dirty.next, struct mgmt, dirty);
        list_del(&m->dirty);
        mgmt_hold(m);
        save_one(m);
        mgmt_release(&m);
    }
    writers--;
}

static void start_writers(void)
{
    unsigned due = 0;
    LIST_EACH(it, &dirty)
        if (++due == WRITERS_MAX)
            break;
    failing = false;
    while (writers < due && !list_empty(&dirty)) {
        writers++;
        fiber_run(writer_fiber, NULL);
    }
}

static void on_timer(struct timer *t)
{
    start_writers();
    if (!list_empty(&dirty) && !timer_armed(t))
        timer_arm(t, failing ? RETRY_MS : DELAY_MS);
}

/* It is in no list then. */
static void tell_away(struct mgmt *m)
{
    list_del(&m->dirty);
    m->away = false;
    m->told_away = m->row_due = true;
}

void mgmt_changed(struct mgmt *m)
{
    if (!m->kept || !m->session || m->saving)
        return;
    if (m->away)
        tell_away(m);
    if (m->dirty.next != &m->dirty)
        return;
    list_push(&dirty, &m->dirty);
    if (!timer_armed(&timer))
        timer_arm(&timer, failing ? RETRY_MS : DELAY_MS);
}

void mgmt_row_changed(struct mgmt *m)
{
    m->row_due = true;
    mgmt_changed(m);
}

static void on_away(struct timer *t)
{
    (void)t;
    while (!list_empty(&away)) {
        struct mgmt *m = LIST_ENTRY(away.next, struct mgmt, dirty);
        tell_away(m);
        mgmt_changed(m);
    }
}

void mgmt_is_away(struct mgmt *m)
{
    if (!m->kept || m->told_away || m->away)
        return;
    if (m->dirty.next != &m->dirty) { /* it is about to be written anyway */
        m->told_away = m->row_due = true;
        return;
    }
    m->away = true;
    list_push(&away, &m->dirty);
    if (!timer_armed(&away_timer))
        timer_arm(&away_timer, AWAY_MS);
}

void mgmt_is_back(struct mgmt *m)
{
    if (m->away)
        list_del(&m->dirty);
    m->away = false;
    if (m->told_away)
        mgmt_row_changed(m);
    m->told_away = false;
}

void mgmt_shard_start(void)
{
    list_init(&away);
    timer_setup(&away_timer, on_away);
    list_init(&dirty);
    timer_setup(&timer, on_timer);
    ready = true;
}

void mgmt_shard_stop(void)
{
    mgmt_end_shard_stop();
    timer_stop(&away_timer);
    ready = false;
}

void mgmt_save_all(void)
{
    if (!ready)
        return;
    for (unsigned tries = 0; (!list_empty(&dirty) || writers) && tries < 300; tries++) {
        start_writers();
        fiber_sleep(10);
    }
}

void mgmt_forget(struct mgmt *m)
{
    while (m->saving)
        fiber_sleep(10);
    if (!m->stored)
        return;
    enum store_rc rc = sm_remove(str_of(m->id));
    if (rc != STORE_OK && rc != STORE_NONE)
        complain(rc);
}

/* --- reading back --- */

/* One session on its way home; everything lives in the arena. */
struct returning {
    struct arena *arena;
    struct sm_session row;
    struct returned_stanza {
        struct returned_stanza *next;
        struct sm_stanza s;
    } *first, **tail;
};

static int64_t number(const struct xml_el *el, const char *name)
{
    int64_t n = 0;
    return str_to_i64(xml_attr_get_text(el, str_of(name)), &n) ? n : 0;
}

static enum stanza_kind kind_of(struct str xml)
{
    return str_starts(xml, S("<m")) ? STANZA_MESSAGE : str_starts(xml, S("<p")) ? STANZA_PRESENCE : STANZA_IQ;
}

static void fill_queue(struct mgmt *m, const struct returning *r)
{
    /* What was acknowledged before it was ever written is known by the number of what comes after it. */
    m->out = r->first ? r->first->s.h - 1 : r->row.acked;
    for (const struct returned_stanza *it = r->first; it; it = it->next)
        mgmt_append(m, kind_of(it->s.xml), it->s.xml, (uint32_t)it->s.sent_s, NULL);
    for (struct mgmt_rec *rec = mgmt_first(m); rec; rec = mgmt_next(m, rec))
        rec->stored = 1;
    m->old_n = m->n;
    m->returned = true;
}

static void fill_session(struct session *s, const struct returning *r, const struct xml_el *el)
{
    struct mgmt *m = s->mgmt = mgmt_new(s);
    const struct module *mod = module_find(S("mod_stream_mgmt"));
    const struct options *o = mod && module_loaded(s->account->host, mod) ? module_options(s->account->host, mod) : NULL;
    s->had_presence = number(el, "had");
    s->interested = number(el, "roster");
    s->carbons = number(el, "carbons");
    s->keeps_offline = number(el, "keeps");
    s->takes_offline = number(el, "takes");
    s->offline_due = s->takes_offline; /* the server may have ended while they were coming */
    memcpy(m->id, r->row.id.p, r->row.id.n < MGMT_ID_LEN ? r->row.id.n : MGMT_ID_LEN);
    m->id[r->row.id.n < MGMT_ID_LEN ? r->row.id.n : MGMT_ID_LEN] = 0;
    m->in = m->handled = m->safe = r->row.handled;
    m->old_ns = number(el, "ns") == 2;
    m->resumable = m->kept = m->stored = true;
    mgmt_limits(m, o);
    m->resume_s = (uint32_t)number(el, "wait");
    fill_queue(m, r);
}

/*
 * The time it waits is what was left, or all of it when its stream ended with the process; in any case enough to come back, which
 * was not possible while there was no server.
 */
static uint32_t time_left(const struct returning *r, uint32_t whole)
{
    int64_t left = r->row.expires_s - (int64_t)clock_wall_s();
    int64_t least = whole < COME_BACK_S ? whole : COME_BACK_S;
    return left >= (int64_t)whole ? whole : left < least ? (uint32_t)least : (uint32_t)left;
}

/* An account that cannot be asked for is taken to be there: it would be its owner's loss. */
static bool account_exists(const struct returning *r) YIELDS;
static bool account_exists(const struct returning *r)
{
    bool exists = true;
    struct error err = ERROR_INIT;
    return auth_exists(r->row.host, r->row.user, &exists, &err) != 0 || exists;
}

static void restore_presence(struct session *s, struct arena *a, const struct xml_el *el)
{
    struct xml_el *p = xml_child(el, TOK_presence, TOK_NS_CLIENT);
    struct stanza *st = p ? stanza_of(a, p) : NULL;
    if (st)
        session_restore_presence(s, st);
}

static int come_home(void *arg, struct error *err) YIELDS;
static int come_home(void *arg, struct error *err)
{
    struct returning *r = arg;
    const char *why;
    (void)err;
    bool exists = config_host(config_current(), r->row.host) && account_exists(r);
    const struct vhost *h = config_host(config_current(), r->row.host);
    struct xml_el *el = xml_parse(r->arena, r->row.data, TOK_NS_CLIENT, &why);
    struct jid full = jid_join(r->arena, r->row.user, r->row.host, r->row.resource);
    struct account *a = h ? account_find(r->row.user, r->row.host) : NULL;
    if (!h || !exists || !el || (a && session_find(a, r->row.resource))) {
        sm_remove(r->row.id); /* the host or the account is gone, or the row is not ours to read */
        return 0;
    }
    struct session *s = session_open(h->index, full, NULL);
    fill_session(s, r, el);
    struct mgmt *m = s->mgmt;
    mgmt_hold(m);
    uint32_t whole = m->resume_s;
    mgmt_detach(s);
    timer_arm(&m->timer, (uint64_t)time_left(r, whole) * 1000);
    session_opened(s);
    if (m->session)
        account_roster_load(m->session->account); /* whoever is available has it: it says who is told of the end */
    if (m->session)
        restore_presence(m->session, r->arena, el);
    mgmt_release(&m);
    return 0;
}

static bool keep_stanza(const struct sm_stanza *s, void *arg) YIELDS;
static bool keep_stanza(const struct sm_stanza *s, void *arg)
{
    struct returning *r = arg;
    struct returned_stanza *it = ARENA_NEW(r->arena, struct returned_stanza);
    it->s = (struct sm_stanza){s->h, s->sent_s, arena_str(r->arena, s->xml)};
    *r->tail = it;
    r->tail = &it->next;
    return true;
}

static bool return_one(const struct sm_session *s, void *arg) YIELDS;
static bool return_one(const struct sm_session *s, void *arg)
{
    struct arena *a = arena_new();
    struct returning *r = ARENA_NEW(a, struct returning);
    struct error err = ERROR_INIT;
    r->arena = a;
    r->row = (struct sm_session){arena_str(a, s->id), arena_str(a, s->host), arena_str(a, s->user), arena_str(a, s->resource),
                                 s->handled, s->acked, s->expires_s, arena_str(a, s->data)};
    r->tail = &r->first;
    if (sm_stanzas(r->row.id, keep_stanza, r) == STORE_OK &&
        mail_call(shard_of(jid_home_hash_parts(r->row.user, r->row.host)), come_home, r, a, 60000, &err) == 0)
        ++*(unsigned *)arg;
    arena_release(&a);
    return true;
}

int mgmt_restore(struct error *err)
{
    unsigned n = 0;
    enum store_rc rc = sm_each(return_one, &n);
    if (rc != STORE_OK)
        return store_error(rc, "resumable sessions", err);
    if (n)
        LOG(INFO, "c2s", NULL, "%u sessions of before wait for their clients", n);
    return 0;
}
