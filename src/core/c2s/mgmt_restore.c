/*
 * Sessions of the process before (core/c2s/mgmt_store.c), read back before the server listens, together with what the ledger
 * (store/ledger.h) says was under way when that one ended: which numbers clients may have, what of the stanzas that
 * will be sent again has been dealt with. Begins on shard 0; each session on its home shard. Suspends.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/account/roster.h"
#include "core/account/session.h"
#include "core/auth/auth.h"
#include "core/c2s/mgmt.h"
#include "core/module/module.h"
#include "rt/fault.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "store/ledger.h"
#include "store/sm.h"
#include "store/spool.h"
#include "xml/stream.h"
#include <stdlib.h>

#define COME_BACK_S 60

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

static uint32_t later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0 ? a : b;
}

static const struct ledger_cell *session_cell(uint64_t key)
{
    size_t n;
    const struct ledger_cell *c = ledger_old(key, &n);
    for (size_t i = 0; i < n; i++)
        if (c[i].kind == LEDGER_SESSION)
            return &c[i];
    return NULL;
}

/* Numbers that were given away are not given again, though the stanzas may be gone. */
static void count_effects(struct mgmt *m)
{
    size_t n;
    const struct ledger_cell *c = ledger_old(m->key, &n);
    for (size_t i = 0; i < n; i++)
        if (c[i].kind == LEDGER_EFFECT)
            m->out = later(m->out, c[i].h);
}

static void fill_counts(struct mgmt *m, const struct returning *r, const struct ledger_cell *cell)
{
    /* Without the ledger, what was acknowledged before it was ever written is known by the number of what comes after it. */
    m->acked = r->first && !cell ? r->first->s.h - 1 : r->row.acked;
    m->in = m->handled = m->safe = r->row.handled;
    if (cell)
        m->acked = later(m->acked, cell->acked);
    m->out = m->acked;
}

static void fill_queue(struct mgmt *m, const struct returning *r, const struct ledger_cell *cell)
{
    fill_counts(m, r, cell);
    for (const struct returned_stanza *it = r->first; it; it = it->next)
        if ((int32_t)(it->s.h - m->acked) > 0) {
            mgmt_insert(m, kind_of(it->s.xml), it->s.xml, (uint32_t)it->s.sent_s, it->s.h, NULL);
            m->out = later(m->out, it->s.h);
        }
    for (struct mgmt_rec *rec = mgmt_first(m); rec; rec = mgmt_next(m, rec))
        rec->stored = 1;
    m->sent = cell ? later(cell->h, m->acked) : m->out; /* to be believed: what it does not know, it was told too late */
    m->out = later(m->out, m->sent);
    count_effects(m);
    m->returned = m->done_due = true;
}

/* Identity and queue. */
static void fill_stream(struct mgmt *m, const struct returning *r)
{
    size_t n = r->row.id.n < MGMT_ID_LEN ? r->row.id.n : MGMT_ID_LEN;
    memcpy(m->id, r->row.id.p, n);
    m->id[n] = 0;
    m->key = ledger_key(str_of(m->id));
    m->resumable = m->stored = true;
    fill_queue(m, r, session_cell(m->key));
    mgmt_enter(m);
    m->kept = true;
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
    m->old_ns = number(el, "ns") == 2;
    mgmt_limits(m, o);
    m->resume_s = (uint32_t)number(el, "wait");
    fill_stream(m, r);
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

/* The server may have ended while they were coming. */
static bool has_waiting(const struct returning *r) YIELDS;
static bool has_waiting(const struct returning *r)
{
    uint64_t n;
    return spool_count(r->row.host, r->row.user, &n) != STORE_OK || n > 0;
}

static void restore_presence(struct session *s, struct arena *a, const struct xml_el *el)
{
    struct xml_el *p = xml_child(el, TOK_presence, TOK_NS_CLIENT);
    struct stanza *st = p ? stanza_of(a, p) : NULL;
    if (st)
        session_restore_presence(s, st);
}

/* --- what was under way when the process before was killed --- */

/* The streams there are, by key; while they are read back. Written before other shards look. */
static struct known {
    uint64_t key;
    uint32_t handled;
} *known;
static size_t known_n, known_cap;

static int by_key(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static const struct known *known_find(uint64_t key)
{
    return known_n ? bsearch(&(struct known){key, 0}, known, known_n, sizeof *known, by_key) : NULL;
}

static bool note_known(const struct sm_session *s, void *arg) YIELDS;
static bool note_known(const struct sm_session *s, void *arg)
{
    (void)arg;
    if (known_n == known_cap) {
        known_cap = known_cap ? known_cap * 2 : 256;
        known = mem_realloc(known, known_cap * sizeof *known);
    }
    known[known_n++] = (struct known){ledger_key(s->id), s->handled};
    return true;
}

/* Whoever caused it can do it again. */
static bool may_come_again(const struct ledger_cell *c)
{
    const struct known *k = known_find(c->cause);
    if (c->cause == LEDGER_SPOOL)
        return true;
    return k && (c->n & CAUSE_GIVEN_BACK || (int32_t)((uint32_t)c->n - k->handled) > 0);
}

static bool in_hands(struct mgmt *m, const struct ledger_cell *c)
{
    return (int32_t)(c->h - m->acked) <= 0 || mgmt_numbered(m, c->h);
}

/* What the session has of the account's waiting messages is its own now. */
static bool take_from_spool(const struct returning *r, const struct ledger_cell *c) YIELDS;
static bool take_from_spool(const struct returning *r, const struct ledger_cell *c)
{
    uint64_t removed;
    int64_t id = (int64_t)c->n;
    enum store_rc rc = spool_remove(r->row.host, r->row.user, &id, 1, &removed);
    return rc == STORE_OK || rc == STORE_NONE;
}

/* ended: nobody will ask this stream any more, only its account. */
static void take_effects(struct mgmt *m, const struct returning *r, bool ended) YIELDS;
static void take_effects(struct mgmt *m, const struct returning *r, bool ended)
{
    size_t n;
    const struct ledger_cell *c = ledger_old(m->key, &n);
    for (size_t i = 0; i < n; i++) {
        if (c[i].kind != LEDGER_EFFECT || !may_come_again(&c[i]))
            continue;
        bool had = in_hands(m, &c[i]);
        if (c[i].cause == LEDGER_SPOOL && had && take_from_spool(r, &c[i])) {
            fault_die(FAULT_die_taken);
            continue;
        }
        if (!ended)
            mgmt_earlier(m, &c[i]);
        else if (had && c[i].cause != LEDGER_SPOOL)
            mgmt_earlier_gone(&c[i]);
    }
}

/* A stream that is no more, or that died with the process before it was ever written: then only what was acknowledged is done. */
static bool is_done(const struct ledger_cell *c)
{
    const struct ledger_cell *s = session_cell(c->stream);
    return !s || s->over || (int32_t)(c->h - s->acked) <= 0;
}

/* In a spool, or it was and has been delivered from there. */
static struct spooled {
    uint64_t account, cause, n;
} *spooled;
static size_t spooled_n, spooled_cap;

static bool note_spooled(const struct sm_done *d, void *arg) YIELDS;
static bool note_spooled(const struct sm_done *d, void *arg)
{
    (void)arg;
    if (spooled_n == spooled_cap) {
        spooled_cap = spooled_cap ? spooled_cap * 2 : 256;
        spooled = mem_realloc(spooled, spooled_cap * sizeof *spooled);
    }
    spooled[spooled_n++] = (struct spooled){jid_home_hash_parts(d->user, d->host), ledger_key(d->id), (uint64_t)d->n};
    return true;
}

static void take_spooled(void)
{
    for (size_t i = 0; i < spooled_n; i++)
        if (shard_of(spooled[i].account) == shard_self())
            mgmt_earlier_stored(spooled[i].account, spooled[i].cause, spooled[i].n);
}

static int take_gone(void *arg, void *slot, struct error *err) YIELDS;
static int take_gone(void *arg, void *slot, struct error *err)
{
    size_t n;
    const struct ledger_cell *c = ledger_old_all(&n);
    (void)arg;
    (void)slot;
    (void)err;
    for (size_t i = 0; i < n; i++)
        if (c[i].kind == LEDGER_EFFECT && shard_of(c[i].account) == shard_self() && c[i].cause != LEDGER_SPOOL &&
            !known_find(c[i].stream) && may_come_again(&c[i]) && is_done(&c[i]))
            mgmt_earlier_gone(&c[i]);
    take_spooled();
    fault_die(FAULT_die_restored);
    return 0;
}

static int begin_endings(void *arg, void *slot, struct error *err) YIELDS;
static int begin_endings(void *arg, void *slot, struct error *err)
{
    (void)arg;
    (void)slot;
    (void)err;
    mgmt_end_go();
    return 0;
}

/* The stream had ended: its queue is given back once all are there. */
static void end_again(const struct returning *r, struct jid full, unsigned host) YIELDS;
static void end_again(const struct returning *r, struct jid full, unsigned host)
{
    struct mgmt *m = mgmt_new(NULL);
    fill_stream(m, r);
    const struct ledger_cell *cell = session_cell(m->key);
    if (cell && cell->over)
        mgmt_take_ack(m, m->out); /* that was done too: only the row is left */
    take_effects(m, r, true);
    mgmt_end_again(&m, full, host);
}

static bool is_over(const struct returning *r)
{
    const struct ledger_cell *cell = session_cell(ledger_key(r->row.id));
    return r->row.expires_s == 0 || (cell && cell->over);
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
    if (h && exists && is_over(r)) {
        end_again(r, full, h->index);
        return 0;
    }
    if (!h || !exists || !el || (a && session_find(a, r->row.resource))) {
        sm_remove(r->row.id); /* the host or the account is gone, or the row is not ours to read */
        return 0;
    }
    struct session *s = session_open(h->index, full, NULL);
    fill_session(s, r, el);
    struct mgmt *m = s->mgmt;
    mgmt_hold(m);
    uint32_t whole = m->resume_s;
    m->saving = true; /* half a session must not take the place of its whole copy */
    mgmt_detach(s);
    timer_arm(&m->timer, (uint64_t)time_left(r, whole) * 1000);
    session_opened(s);
    if (m->session)
        take_effects(m, r, false);
    if (m->session)
        m->session->offline_due = m->session->takes_offline && has_waiting(r);
    if (m->session)
        account_roster_load(m->session->account); /* whoever is available has it: it says who is told of the end */
    if (m->session)
        restore_presence(m->session, r->arena, el);
    m->saving = false;
    if (m->row_due)
        mgmt_changed(m);
    mgmt_release(&m);
    fault_die(FAULT_die_returned);
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

/* Only what was noted of streams that are there is of use. */
static enum store_rc learn_known(void) YIELDS;
static enum store_rc learn_known(void)
{
    size_t n;
    ledger_old_all(&n);
    if (!n)
        return STORE_OK;
    enum store_rc rc = sm_each(note_known, NULL);
    if (known_n) /* no array: nothing that qsort would take */
        qsort(known, known_n, sizeof *known, by_key);
    return rc;
}

static int finish_restore(struct error *err) YIELDS;
static int finish_restore(struct error *err)
{
    struct arena *a = arena_new();
    int rc = mail_gather(take_gone, NULL, ARENA_ARRAY(a, void *, shard_count()), a, 60000, err);
    /* In this order: what comes of giving back is noted in the new ledger, which the next process has to find. */
    if (rc == 0)
        rc = ledger_commit(err);
    if (rc == 0)
        rc = mail_gather(begin_endings, NULL, ARENA_ARRAY(a, void *, shard_count()), a, 60000, err);
    arena_release(&a);
    free(known);
    known = NULL;
    known_n = known_cap = 0;
    free(spooled);
    spooled = NULL;
    spooled_n = spooled_cap = 0;
    return rc;
}

int mgmt_restore(const char *folder, struct error *err)
{
    unsigned n = 0;
    if (folder && ledger_open(folder, err) != 0)
        return -1;
    fault_die(FAULT_die_ledger_read);
    enum store_rc rc = spool_restore();
    if (rc == STORE_OK)
        rc = sm_sweep_done();
    if (rc == STORE_OK)
        rc = sm_each_done(note_spooled, NULL);
    if (rc == STORE_OK)
        rc = learn_known();
    if (rc == STORE_OK)
        rc = sm_each(return_one, &n);
    if (rc != STORE_OK)
        return store_error(rc, "resumable sessions", err);
    if (n)
        LOG(INFO, "c2s", NULL, "%u sessions of before wait for their clients", n);
    return finish_restore(err);
}
