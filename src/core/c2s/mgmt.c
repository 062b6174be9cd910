/*
 * Stream management of a session: counters and queue. Home shard; nothing suspends.
 *
 * What a client of a session that is kept in the store gets as `h` is what survives the end of the process: a stanza counts when
 * its arena has died, and a message in another such session's queue keeps its arena alive until it is on disk or acknowledged. So
 * an <a/> says that the message is where it cannot be lost, and costs no disk at all when the receiver acknowledges quickly.
 */
#include "core/c2s/mgmt.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "core/account/session.h"
#include "core/c2s/c2s.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
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
    drop_holds(m);
    buf_deinit(&m->queue);
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

void mgmt_append(struct mgmt *m, enum stanza_kind kind, struct str bytes, uint32_t sent_s, struct arena *arena)
{
    size_t size = rec_size(bytes.n);
    struct mgmt_rec *r = (struct mgmt_rec *)(void *)buf_reserve(&m->queue, size);
    *r = (struct mgmt_rec){.n = (uint32_t)bytes.n, .kind = kind, .sent_s = sent_s,
                           .hold = m->kept && arena ? arena_hold(arena) : NULL};
    memcpy(r + 1, bytes.p, bytes.n);
    m->queue.n += size;
    m->n++;
    m->out++;
    if (m->kept)
        mgmt_changed(m);
    if ((m->n > m->max_n || m->queue.n - m->at > m->max_bytes) && !m->full) {
        m->full = true; /* who sends may be walking the account's sessions: the end comes from the loop */
        timer_arm(&m->timer, 0);
    }
}

static void drop_first(struct mgmt *m)
{
    struct mgmt_rec *r = mgmt_first(m);
    arena_release(&r->hold);
    m->acked_due |= r->stored;
    m->at += (uint32_t)rec_size(r->n);
    m->n--;
}

bool mgmt_take_ack(struct mgmt *m, uint32_t h)
{
    uint32_t more = h - mgmt_acked(m); /* modulo 2^32: XEP-0198 §4 */
    if (more > m->n)
        return false;
    for (uint32_t i = 0; i < more; i++)
        drop_first(m);
    if (!m->n) {
        buf_deinit(&m->queue);
        m->queue = BUF_INIT;
        m->at = 0;
    } else if (m->at > COMPACT_AT && m->at > m->queue.n / 2) {
        buf_drop(&m->queue, m->at);
        m->at = 0;
    }
    if (more && m->kept)
        mgmt_changed(m);
    return true;
}

/* The client has more than we knew of: what is queued since then comes after that, under new numbers. */
static void catch_up(struct mgmt *m, uint32_t h)
{
    mgmt_take_ack(m, mgmt_acked(m) + m->old_n);
    m->out = h + m->n;
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r))
        r->stored = 0;
    m->acked_due = true;
    mgmt_changed(m);
}

bool mgmt_take_resume(struct mgmt *m, uint32_t h)
{
    bool ahead = m->returned && (int32_t)(h - (mgmt_acked(m) + m->old_n)) > 0;
    if (ahead)
        catch_up(m, h);
    else if (!mgmt_take_ack(m, h))
        return false;
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
    bool done;
};

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
        m->handled = first->h;
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
    mgmt_hold(m);
    return w;
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
    mgmt_changed(m);
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
    mgmt_append(s->mgmt, st->kind, buf_str(&b), (uint32_t)clock_wall_s(), st->kind == STANZA_MESSAGE ? st->arena : NULL);
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
