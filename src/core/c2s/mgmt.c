/*
 * Stream management of a session: counters and queue. Home shard; nothing suspends.
 *
 * What a client of a session that is kept in the store gets as `h` is what survives the end of the process: a stanza counts when
 * its arena has died, and a message in another such session's queue keeps its arena alive until it is on disk or acknowledged. So
 * an <a/> says that the message is where it cannot be lost, and costs no disk at all when the receiver acknowledges quickly.
 */
#include "core/c2s/mgmt.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "core/account/session.h"
#include "core/c2s/c2s.h"
#include "rt/fault.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "store/ledger.h"
#include "xml/writer.h"
#include <stdlib.h>

#define COMPACT_AT 4096

static size_t rec_size(size_t n)
{
    return sizeof(struct mgmt_rec) + ((n + 7) & ~(size_t)7);
}

struct mgmt *mgmt_new(struct session *s)
{
    struct mgmt *m = MEM_NEW(struct mgmt);
    m->session = s;
    m->refs = 1;
    list_init(&m->windows);
    list_init(&m->earlier);
    list_init(&m->dirty);
    timer_setup(&m->timer, NULL);
    rand_token(m->id, MGMT_ID_LEN);
    return m;
}

static uint32_t to_u32(int64_t v)
{
    return v >= UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

void mgmt_limits(struct mgmt *m, const struct options *o)
{
    int64_t ack = o ? opt_int(o, "ack_timeout") : 60000;
    m->max_n = o ? to_u32(opt_int(o, "max_ack_queue")) : 5000;
    m->max_bytes = o ? to_u32(opt_int(o, "max_ack_queue_bytes")) : 8u << 20;
    m->ack_ms = ack == OPT_INFINITY ? 0 : to_u32(ack);
}

void mgmt_hold(struct mgmt *m)
{
    m->refs++;
}

static void drop_holds(struct mgmt *m)
{
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r))
        arena_release(&r->hold);
}

void mgmt_release(struct mgmt **mp)
{
    struct mgmt *m = *mp;
    *mp = NULL;
    if (--m->refs)
        return;
    timer_stop(&m->timer);
    list_del(&m->dirty);
    mgmt_earlier_drop(m);
    drop_holds(m);
    buf_deinit(&m->queue);
    free(m->peer);
    free(m);
}

void mgmt_drop(struct mgmt **mp)
{
    (*mp)->session = NULL;
    (*mp)->answer = NULL;
    timer_stop(&(*mp)->timer);
    mgmt_release(mp);
}

/* --- queue --- */

struct mgmt_rec *mgmt_first(struct mgmt *m)
{
    return m->n ? (struct mgmt_rec *)(void *)(m->queue.p + m->at) : NULL;
}

struct mgmt_rec *mgmt_next(struct mgmt *m, struct mgmt_rec *r)
{
    char *p = (char *)r + rec_size(r->n);
    return p < m->queue.p + m->queue.n ? (struct mgmt_rec *)(void *)p : NULL;
}

struct mgmt_rec *mgmt_numbered(struct mgmt *m, uint32_t h)
{
    struct mgmt_rec *r = mgmt_first(m);
    while (r && r->h != h)
        r = mgmt_next(m, r);
    return r;
}

static void fill(struct mgmt *m, struct mgmt_rec *r, struct mgmt_rec what, struct str bytes, const struct stanza *st)
{
    *r = what;
    if (m->kept && st && what.kind == STANZA_MESSAGE)
        r->hold = arena_hold(st->arena);
    memcpy(r + 1, bytes.p, bytes.n);
}

/* What the client does again after a crash, it must not get again; presence says the same a second time. */
static void note_effect(struct mgmt *m, const struct stanza *st, uint32_t h)
{
    if (m->cell && st && st->cause && st->kind != STANZA_PRESENCE)
        ledger_push(&st->cause->effects,
                    ledger_effect(m->key, jid_home_hash(session_jid(m->session)), st->cause->key, st->cause_n, h));
}

/* Before the bytes are: whatever the client says it has, its number was not free for another stanza. */
static void note_sent(struct mgmt *m)
{
    m->sent = m->out;
    if (m->cell)
        m->cell->h = m->sent;
}

void mgmt_attached(struct mgmt *m)
{
    note_sent(m);
}

void mgmt_enter(struct mgmt *m)
{
    m->key = ledger_key(str_of(m->id));
    m->cell = ledger_session(m->key, m->sent, m->acked);
}

static void look_full(struct mgmt *m)
{
    if ((m->n > m->max_n || m->queue.n - m->at > m->max_bytes) && !m->full) {
        m->full = true; /* who sends may be walking the account's sessions: the end comes from the loop */
        timer_arm(&m->timer, 0);
    }
}

void mgmt_append(struct mgmt *m, enum stanza_kind kind, struct str bytes, uint32_t sent_s, const struct stanza *st)
{
    size_t size = rec_size(bytes.n);
    struct mgmt_rec *r = (struct mgmt_rec *)(void *)buf_reserve(&m->queue, size);
    m->out++;
    fill(m, r, (struct mgmt_rec){.n = (uint32_t)bytes.n, .kind = kind, .sent_s = sent_s, .h = m->out}, bytes, st);
    m->queue.n += size;
    m->n++;
    if (m->session && m->session->owner)
        note_sent(m);
    note_effect(m, st, m->out);
    if (st && st->cause && st->kind == STANZA_MESSAGE)
        fault_die(FAULT_die_cell);
    if (m->kept)
        mgmt_changed(m);
    look_full(m);
}

/* Rare: the bytes behind it move. */
void mgmt_insert(struct mgmt *m, enum stanza_kind kind, struct str bytes, uint32_t sent_s, uint32_t h, const struct stanza *st)
{
    size_t size = rec_size(bytes.n);
    struct mgmt_rec *r = mgmt_first(m);
    while (r && (int32_t)(r->h - h) < 0)
        r = mgmt_next(m, r);
    size_t at = r ? (size_t)((char *)r - m->queue.p) : m->queue.n;
    buf_reserve(&m->queue, size);
    char *p = m->queue.p + at;
    memmove(p + size, p, m->queue.n - at);
    fill(m, (struct mgmt_rec *)(void *)p, (struct mgmt_rec){.n = (uint32_t)bytes.n, .kind = kind, .sent_s = sent_s, .h = h}, bytes,
         st);
    m->queue.n += size;
    m->n++;
    if (m->kept)
        mgmt_changed(m);
}

static void drop_first(struct mgmt *m)
{
    struct mgmt_rec *r = mgmt_first(m);
    arena_release(&r->hold);
    m->acked_due |= r->stored;
    m->at += (uint32_t)rec_size(r->n);
    m->n--;
}

static void tidy(struct mgmt *m)
{
    if (!m->n) {
        buf_deinit(&m->queue);
        m->queue = BUF_INIT;
        m->at = 0;
    } else if (m->at > COMPACT_AT && m->at > m->queue.n / 2) {
        buf_drop(&m->queue, m->at);
        m->at = 0;
    }
}

bool mgmt_take_ack(struct mgmt *m, uint32_t h)
{
    uint32_t more = h - m->acked; /* modulo 2^32: XEP-0198 §4 */
    if (more > m->out - m->acked)
        return false;
    /* In the ledger first: letting the stanzas go tells their senders that they arrived. */
    m->acked = h;
    if (m->cell)
        m->cell->acked = h;
    if (more)
        fault_die(FAULT_die_acked);
    while (m->n && (int32_t)(mgmt_first(m)->h - h) <= 0)
        drop_first(m);
    tidy(m);
    if (more && m->kept)
        mgmt_changed(m);
    return true;
}

/*
 * The client has more than we knew to have sent: a power cut took the ledger. What came since then and never had a socket follows
 * under new numbers.
 */
static void catch_up(struct mgmt *m, uint32_t h)
{
    uint32_t next = h;
    LOG_LIMITED(WARNING, "c2s", NULL, "a client has %u stanzas more than it is known to have been sent", (unsigned)(h - m->sent));
    mgmt_take_ack(m, m->sent);
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r)) {
        r->h = ++next;
        r->stored = r->writing = 0;
    }
    m->acked = h;
    m->out = next;
    if (m->cell)
        m->cell->acked = h;
    m->acked_due = true;
    mgmt_changed(m);
}

static void append_raw(struct mgmt *m, const struct mgmt_rec *r)
{
    size_t size = rec_size(r->n);
    memcpy(buf_reserve(&m->queue, size), r, size);
    m->queue.n += size;
}

static void append_filler(struct mgmt *m, uint32_t h, struct jid who)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "<iq type='result' id='gone-%u' from='%.*s' to='", (unsigned)h, STR_ARG(jid_host(who)));
    xml_escape_attr(&b, jid_full(who));
    buf_add_str(&b, S("'/>"));
    char *p = buf_reserve(&m->queue, rec_size(b.n));
    fill(m, (struct mgmt_rec *)(void *)p,
         (struct mgmt_rec){.n = (uint32_t)b.n, .kind = STANZA_IQ, .sent_s = (uint32_t)clock_wall_s(), .h = h}, buf_str(&b), NULL);
    m->queue.n += rec_size(b.n);
    m->n++;
    buf_deinit(&b);
}

/*
 * Numbers of a process that was killed whose stanzas are gone: presence, answers, and messages whose senders have not come back to
 * send them again. The client counts on, so each is filled: an answer to a question nobody asked is passed over (RFC 6120 §8.2.3).
 */
static void fill_gaps(struct mgmt *m)
{
    struct buf was = m->queue;
    char *p = was.n ? was.p + m->at : NULL, *end = was.n ? was.p + was.n : NULL;
    struct jid who = session_jid(m->session);
    uint32_t h = m->acked;
    m->queue = BUF_INIT;
    m->at = 0;
    for (; p < end; p += rec_size(((struct mgmt_rec *)(void *)p)->n)) {
        const struct mgmt_rec *r = (struct mgmt_rec *)(void *)p;
        for (h++; h != r->h; h++)
            append_filler(m, h, who);
        append_raw(m, r);
    }
    while (h != m->out)
        append_filler(m, ++h, who);
    buf_deinit(&was);
    mgmt_changed(m);
}

bool mgmt_take_resume(struct mgmt *m, uint32_t h)
{
    if (!m->returned)
        return mgmt_take_ack(m, h);
    if ((int32_t)(h - m->acked) < 0)
        return false;
    mgmt_earlier_settle(m, h);
    if ((int32_t)(h - m->sent) > 0)
        catch_up(m, h);
    else
        mgmt_take_ack(m, h);
    if (m->out - m->acked != m->n)
        fill_gaps(m);
    m->returned = false;
    return true;
}

bool mgmt_end_full(struct mgmt *m)
{
    struct session *s = m->session;
    if (!m->full || !s)
        return false;
    if (s->owner)
        c2s_end(s->owner, "policy-violation", S("Too many unacked stanzas"));
    else
        session_close(&s, "Too many unacked stanzas");
    return true;
}

/* --- stanzas of the client --- */

/* Stanzas between two acknowledgements. Each holds one count; the last of them to die posts it home. */
struct mgmt_window {
    struct msg msg;
    struct list link;
    struct mgmt *m;
    unsigned refs; /* atomic */
    unsigned shard;
    uint32_t h;
    struct cause cause;
    bool done;
};

/* Effects are recognised until the store knows the count (core/c2s/mgmt_store.c): only then nobody asks for them again. */
static void count_handled(struct mgmt *m, struct mgmt_window *w)
{
    m->handled = w->h;
    m->done_due |= w->cause.spooled;
    ledger_push_all(&m->effects, &w->cause.effects);
}

static void on_window_done(struct msg *msg)
{
    struct mgmt_window *w = CONTAINER_OF(msg, struct mgmt_window, msg);
    struct mgmt *m = w->m;
    w->done = true;
    while (!list_empty(&m->windows)) {
        struct mgmt_window *first = LIST_ENTRY(m->windows.next, struct mgmt_window, link);
        if (!first->done)
            break;
        list_del(&first->link);
        count_handled(m, first);
        free(first);
        m->refs--; /* ours below keeps it */
    }
    m->refs++;
    mgmt_changed(m);
    mgmt_release(&m);
}

static void window_drop(void *arg)
{
    struct mgmt_window *w = arg;
    if (__atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) == 0)
        mail_post(w->shard, &w->msg);
}

static struct mgmt_window *window_new(struct mgmt *m)
{
    struct mgmt_window *w = MEM_NEW(struct mgmt_window);
    w->msg.fn = on_window_done;
    w->m = m;
    w->refs = 1;
    w->shard = shard_self();
    w->cause = (struct cause){.key = m->key, .id = m->id};
    mgmt_hold(m);
    return w;
}

/*
 * Who sends again sends the same (XEP-0198 §5). There are clients that forget what they sent, count on, and use its number for
 * something else: that must not be taken for what is done. 30 bits of the id, which are 0 without one; positive in the store.
 */
static uint64_t numbered(uint32_t n, const struct stanza *s)
{
    uint64_t id = s->id.n ? hash_stable(s->id.p, s->id.n) >> 34 : 0;
    return id << CAUSE_ID_SHIFT | n;
}

void mgmt_received(struct mgmt *m, struct stanza *s)
{
    m->in++;
    if (!m->kept) {
        m->handled = m->in;
        return;
    }
    if (!m->window)
        m->window = window_new(m);
    __atomic_fetch_add(&m->window->refs, 1, __ATOMIC_RELAXED);
    arena_on_release(s->arena, window_drop, m->window);
    s->cause = &m->window->cause;
    s->cause_n = numbered(m->in, s);
    mgmt_changed(m);
    fault_die(FAULT_die_received);
}

void mgmt_settle(struct mgmt *m)
{
    struct mgmt_window *w = m->window;
    if (!w)
        return;
    m->window = NULL;
    w->h = m->in;
    list_push(&m->windows, &w->link);
    window_drop(w);
}

/* --- without a stream --- */

void mgmt_send_detached(struct session *s, const struct stanza *st)
{
    struct buf b = BUF_INIT;
    session_write(s, st, &b);
    mgmt_append(s->mgmt, st->kind, buf_str(&b), (uint32_t)clock_wall_s(), st);
    buf_deinit(&b);
}

static void on_resume_due(struct timer *t)
{
    struct mgmt *m = CONTAINER_OF(t, struct mgmt, timer);
    struct session *s = m->session;
    if (mgmt_end_full(m))
        return;
    session_close(&s, "Timed out waiting for stream resumption");
}

void mgmt_detach(struct session *s)
{
    struct mgmt *m = s->mgmt;
    s->owner = NULL;
    m->asked = m->answer_due = false;
    m->answer = NULL;
    mgmt_settle(m);
    timer_stop(&m->timer);
    timer_setup(&m->timer, on_resume_due);
    timer_arm(&m->timer, m->full ? 0 : (uint64_t)m->resume_s * 1000);
    mgmt_is_away(m);
}

void mgmt_sleep(struct mgmt *m)
{
    m->asleep = true;
    timer_stop(&m->timer);
    mgmt_row_changed(m);
}

struct session *mgmt_find(struct account *a, struct str id)
{
    struct session *found = NULL;
    LIST_EACH(it, &a->sessions) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        if (s->mgmt && s->mgmt->resumable && !s->closing && secret_eq(str_of(s->mgmt->id), id))
            found = s;
    }
    return found;
}
