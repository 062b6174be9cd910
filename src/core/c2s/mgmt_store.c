/*
 * The copy of resumable sessions in the store (store/sm.h), so that they outlive the process. Each shard has a list of sessions
 * whose copy is behind; a little later (what the client acknowledges meanwhile is never written) fibers write them, several at
 * once so that the store commits them together. Home shard of the session. Reading back is in core/c2s/mgmt_restore.c.
 */
#include "base/clock.h"
#include "base/log.h"
#include "core/account/session.h"
#include "core/c2s/mgmt.h"
#include "rt/fault.h"
#include "rt/fiber.h"
#include "rt/shard.h"
#include "store/ledger.h"
#include "store/sm.h"

#define DELAY_MS 30   /* most acknowledgements come sooner */
#define RETRY_MS 1000
#define AWAY_MS 5000  /* who comes back sooner costs no write; a process that dies meanwhile gives it its whole time again */
#define WRITERS_MAX 64
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
                          .has_done = m->done_due, .acked = mgmt_acked(m), .has_expiry = m->row_due,
                          .expires_s = m->row_due ? expires(m) : 0};
    struct sm_stanza *list = ARENA_ARRAY(a, struct sm_stanza, m->n + 1);
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r))
        if (!r->stored) {
            r->writing = 1;
            list[c.n_sent++] = (struct sm_stanza){r->h, r->sent_s, arena_str(a, mgmt_bytes(r))};
        }
    c.sent = list;
    if (m->row_due)
        c.data = describe(a, m);
    return c;
}

/* What was being written is on disk, or is not. Some may have been acknowledged meanwhile. */
static void written(struct mgmt *m, bool done)
{
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r)) {
        if (r->writing && done) {
            r->stored = 1;
            arena_release(&r->hold);
        }
        r->writing = 0;
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

/* sent: stanzas to the client were in it; handled: the count of those of the client. */
static void may_die(const struct sm_change *c, enum fault sent, enum fault handled)
{
    if (c->n_sent)
        fault_die(sent);
    if (c->has_handled)
        fault_die(handled);
}

static enum store_rc write_change(struct mgmt *m) YIELDS;
static enum store_rc write_change(struct mgmt *m)
{
    struct arena *a = arena_new();
    struct sm_change c = change_of(a, m);
    struct ledger_cell *effects = NULL;
    uint32_t acked = mgmt_acked(m);
    m->row_due = m->acked_due = false;
    if (c.has_handled) {
        m->done_due = false;
        ledger_push_all(&effects, &m->effects);
    }
    enum store_rc rc = STORE_OK;
    may_die(&c, FAULT_die_uncopied, FAULT_die_uncounted);
    if (c.n_sent && fault_hit(FAULT_copies_late))
        rc = STORE_UNAVAILABLE;
    else if (c.n_sent || c.has_acked || c.has_handled || c.has_expiry)
        rc = sm_save(arena_str(a, str_of(m->id)), &c);
    if (rc == STORE_OK) {
        may_die(&c, FAULT_die_copied, FAULT_die_counted);
        m->safe = c.handled;
        ledger_free_all(&effects);
        if (c.has_handled)
            fault_die(FAULT_die_let_go);
        /* Acknowledged while they were being written: their rows are there now. */
        m->acked_due |= c.n_sent && mgmt_acked(m) != acked;
    } else {
        m->row_due |= c.has_expiry;
        m->acked_due |= c.has_acked;
        m->done_due |= c.has_done;
        ledger_push_all(&m->effects, &effects);
    }
    written(m, rc == STORE_OK);
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
    while (writers < due && !list_empty(&dirty) && !failing) { /* a write may be refused without waiting, and is due again */
        writers++;
        fiber_run(writer_fiber, NULL);
    }
}

static void on_timer(struct timer *t)
{
    if (!fault_hit(FAULT_sessions_late))
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
    mgmt_earlier_shard_stop();
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

/* A row that says only what is left to do. */
static enum store_rc add_ended_row(struct arena *a, struct mgmt *m, struct jid who) YIELDS;
static enum store_rc add_ended_row(struct arena *a, struct mgmt *m, struct jid who)
{
    struct sm_session row = {.id = arena_str(a, str_of(m->id)), .host = jid_host(who), .user = jid_user(who),
                             .resource = jid_res(who), .handled = m->handled, .acked = mgmt_acked(m),
                             .data = S("<session xmlns='jabber:client'/>")};
    enum store_rc rc = sm_add(&row);
    m->stored = rc == STORE_OK;
    return rc;
}

bool mgmt_save_end(struct mgmt *m, struct jid who)
{
    struct arena *a = arena_new();
    while (m->saving)
        fiber_sleep(10);
    m->row_due = false;
    enum store_rc rc = m->stored ? STORE_OK : add_ended_row(a, m, who);
    if (rc == STORE_OK) {
        struct sm_change c = change_of(a, m);
        c.has_acked = c.has_expiry = true;
        rc = sm_save(arena_str(a, str_of(m->id)), &c);
        written(m, rc == STORE_OK);
    }
    if (rc != STORE_OK)
        complain(rc);
    arena_release(&a);
    return rc == STORE_OK;
}

void mgmt_forget(struct mgmt *m)
{
    enum store_rc rc = STORE_OK;
    while (m->saving || (m->floods && !rt_stopping()))
        fiber_sleep(10);
    if (m->floods)
        return;
    if (m->cell)
        m->cell->over = 1; /* before the row goes: a stream without one may also be one that never had any */
    fault_die(FAULT_die_over);
    if (m->stored)
        rc = sm_remove(str_of(m->id));
    fault_die(FAULT_die_forgotten);
    if (rc != STORE_OK && rc != STORE_NONE)
        complain(rc);
    else {
        ledger_free_all(&m->effects);
        ledger_free(&m->cell);
    }
}
