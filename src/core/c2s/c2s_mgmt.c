/*
 * Stream management on client streams (XEP-0198): the elements enable, resume, r and a, and asking for acknowledgements. What
 * outlives the stream is in core/c2s/mgmt.h. Only resume suspends: for the stanza that the former stream is still busy with.
 */
#include "base/clock.h"
#include "core/c2s/c2s_stream.h"
#include "core/c2s/mgmt.h"
#include "core/module/module.h"
#include "rt/fiber.h"
#include "xml/writer.h"
#include <inttypes.h>
#include <stdio.h>

#define BUSY_WAIT_MS 10
#define BUSY_TRIES 1000

static const char *ns_of(bool old)
{
    return old ? "urn:xmpp:sm:2" : "urn:xmpp:sm:3";
}

const struct options *c2s_mgmt_options(const struct c2s *c)
{
    const struct vhost *h = c2s_vhost(c);
    const struct module *m = module_find(S("mod_stream_mgmt"));
    return h && m && module_loaded(h->index, m) ? module_options(h->index, m) : NULL;
}

/* --- answers --- */

static void write_failed(struct buf *b, bool old, const char *condition, const char *text, const uint32_t *h)
{
    buf_printf(b, "<failed xmlns='%s'", ns_of(old));
    if (h)
        buf_printf(b, " h='%" PRIu32 "'", *h);
    buf_printf(b, "><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xml:lang='en' "
               "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>", condition);
    xml_escape_attr(b, str_of(text));
    buf_add_str(b, S("</text></failed>"));
}

static void failed(struct c2s *c, bool old, const char *condition, const char *text)
{
    write_failed(conn_out_begin(c->conn), old, condition, text, NULL);
    conn_out_end(c->conn);
}

/* XEP-0198 §5: the stream error carries the two counts. */
static void count_too_high(struct c2s *c, bool old, uint32_t h, uint32_t sent)
{
    struct buf *b = conn_out_begin(c->conn);
    buf_printf(b, "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xml:lang='en' "
               "xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Client acknowledged more stanzas than sent by server</text>"
               "<handled-count-too-high xmlns='%s' h='%" PRIu32 "' send-count='%" PRIu32 "'/></stream:error></stream:stream>",
               ns_of(old), h, sent);
    conn_out_end(c->conn);
    c2s_finish(c, "Stream closed by local host: Client acknowledged more stanzas than sent by server (undefined-condition)");
}

static bool read_h(struct xml_el *el, uint32_t *out)
{
    int64_t v;
    if (!str_to_i64(str_trim(xml_attr_get(el, TOK_h)), &v) || v < 0 || v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

static void bad_h(struct buf *b, bool old, const char *tag)
{
    char text[128];
    snprintf(text, sizeof text, "Bad or missing attribute 'h' in tag <%s/> qualified by namespace '%s'", tag, ns_of(old));
    write_failed(b, old, "bad-request", text, NULL);
}

/* --- acknowledgements --- */

static void send_a(struct mgmt *m)
{
    struct c2s *c = m->session->owner;
    m->answer_due = false;
    struct buf *b = conn_out_begin(c->conn);
    buf_printf(b, "<a xmlns='%s' h='%" PRIu32 "'/>", ns_of(m->old_ns), m->kept ? m->safe : m->in);
    conn_out_end(c->conn);
}

/*
 * With a copy in the store only what is safe there counts, so the answer may have to wait for a moment; somebody who asks again
 * meanwhile is told what is known.
 */
static void on_r(struct mgmt *m)
{
    if (!m->kept || m->safe == m->in || m->answer_due) {
        send_a(m);
        if (!m->kept || m->safe == m->in)
            return;
    }
    m->answer_due = true;
    m->want = m->in;
    mgmt_settle(m);
    mgmt_changed(m);
}

static void ask(struct mgmt *m, struct buf *b)
{
    buf_printf(b, "<r xmlns='%s'/>", ns_of(m->old_ns));
    m->asked = true;
    m->sent_since = false;
    if (m->ack_ms && !m->full)
        timer_arm(&m->timer, m->ack_ms);
}

static void on_a(struct c2s *c, struct mgmt *m, struct xml_el *el)
{
    uint32_t h;
    if (!read_h(el, &h)) {
        bad_h(conn_out_begin(c->conn), m->old_ns, "a");
        conn_out_end(c->conn);
        return;
    }
    if (!mgmt_take_ack(m, h)) {
        count_too_high(c, m->old_ns, h, m->out);
        return;
    }
    m->asked = false;
    if (!m->full)
        timer_stop(&m->timer);
    /* Sent after the request: these want one too. Not others: there are clients that never count some stanzas (xmpp.js). */
    if (m->n && m->sent_since) {
        ask(m, conn_out_begin(c->conn));
        conn_out_end(c->conn);
    }
}

static void on_ack_due(struct timer *t)
{
    struct mgmt *m = CONTAINER_OF(t, struct mgmt, timer);
    struct c2s *c = m->session ? m->session->owner : NULL;
    if (!c || mgmt_end_full(m))
        return;
    c2s_lost(c, "Timed out waiting for stream management acknowledgement");
    conn_abort(c->conn, "no acknowledgement");
}

void c2s_mgmt_sent(struct c2s *c, enum stanza_kind kind, const struct stanza *st, struct buf *b, size_t at)
{
    struct mgmt *m = c->session->mgmt;
    mgmt_append(m, kind, str_n(b->p + at, b->n - at), (uint32_t)clock_wall_s(), st);
    if (m->asked)
        m->sent_since = true;
    else
        ask(m, b);
}

/* --- enable --- */

static bool wants_resume(struct xml_el *el)
{
    struct str v = xml_attr_get(el, TOK_resume);
    return str_eq(v, S("true")) || str_eq(v, S("1"));
}

/* What the client asks for, at most max_resume_timeout; else resume_timeout. */
static uint32_t resume_seconds(const struct options *o, struct xml_el *el)
{
    int64_t usual = opt_int(o, "resume_timeout") / 1000, most = opt_int(o, "max_resume_timeout") / 1000, v;
    if (!opt_is_set(o, "max_resume_timeout") || most < usual)
        most = usual;
    if (!wants_resume(el) || !most)
        return 0;
    if (str_to_i64(xml_attr_get(el, TOK_max), &v) && v > 0)
        usual = v < most ? v : most;
    return (uint32_t)usual;
}

static void begin(struct c2s *c, const struct options *o, bool old, uint32_t resume_s)
{
    struct mgmt *m = c->session->mgmt = mgmt_new(c->session);
    mgmt_limits(m, o);
    m->old_ns = old;
    m->resume_s = resume_s;
    m->resumable = resume_s > 0;
    m->kept = m->resumable && opt_bool(o, "survive_restart");
    if (m->kept)
        mgmt_enter(m);
    timer_setup(&m->timer, on_ack_due);
    m->answer = send_a;
    mgmt_changed(m);
}

static void enable(struct c2s *c, const struct options *o, struct xml_el *el, bool old, struct buf *b)
{
    begin(c, o, old, resume_seconds(o, el));
    struct mgmt *m = c->session->mgmt;
    if (m->resumable)
        buf_printf(b, "<enabled xmlns='%s' id='%s' resume='true' max='%" PRIu32 "'/>", ns_of(old), m->id, m->resume_s);
    else
        buf_printf(b, "<enabled xmlns='%s'/>", ns_of(old));
}

static void on_enable(struct c2s *c, struct xml_el *el, bool old)
{
    const struct options *o = c2s_mgmt_options(c);
    if (!o)
        return; /* COMPAT(ejabberd): elements without meaning here are passed over */
    if (c->session->mgmt) {
        failed(c, old, "unexpected-request", "Stream management is already enabled");
        return;
    }
    enable(c, o, el, old, conn_out_begin(c->conn));
    conn_out_end(c->conn);
}

void c2s_mgmt_enable_inline(struct c2s *c, struct xml_el *el, struct buf *out)
{
    const struct options *o = c2s_mgmt_options(c);
    if (o)
        enable(c, o, el, false, out);
}
/* --- resume --- */

static struct session *find_former(struct c2s *c, struct str id)
{
    struct account *a = account_find(c->login->user, c2s_vhost(c)->name);
    return a ? mgmt_find(a, id) : NULL;
}

/*
 * What <resumed/> counts the client forgets, so it has to be where it survives the end of the process. Almost always it is: the
 * last stanzas came before the connection was lost.
 */
static bool is_unsettled(const struct session *s)
{
    const struct mgmt *m = s->mgmt;
    return (s->owner && s->owner->working) || (m->kept && m->safe != m->in);
}

/*
 * The former stream may be in the middle of a stanza: it is finished there, or it would be counted and lost. After that nothing
 * more is read from it.
 */
static struct session *take_over(struct c2s *c, struct str id) YIELDS;
static struct session *take_over(struct c2s *c, struct str id)
{
    struct session *s = find_former(c, id);
    for (unsigned i = 0; s && is_unsettled(s) && i < BUSY_TRIES && c->state == C2S_BIND; i++) {
        if (s->owner)
            s->owner->leaving = true;
        mgmt_settle(s->mgmt);
        mgmt_changed(s->mgmt);
        fiber_sleep(BUSY_WAIT_MS);
        s = c->state == C2S_BIND ? find_former(c, id) : NULL;
    }
    return c->state == C2S_BIND ? s : NULL;
}

static void cut_former(struct session *s)
{
    struct c2s *old = s->owner;
    if (!old)
        return;
    c2s_csi_to_mgmt(old, s->mgmt);
    old->session = NULL;
    mgmt_detach(s);
    c2s_end(old, "conflict", S("Stream resumed by another connection"));
}

/* Bytes as they were sent the first time: the client knows them by their order. */
static void resend(struct mgmt *m, struct c2s *c)
{
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r))
        c2s_write(c, mgmt_bytes(r));
    if (m->n) {
        ask(m, conn_out_begin(c->conn));
        conn_out_end(c->conn);
    }
}

void c2s_mgmt_resume(struct c2s *c, struct session *s, struct str before, struct str after)
{
    struct mgmt *m = s->mgmt;
    s->owner = c;
    c->session = s;
    timer_stop(&m->timer);
    timer_setup(&m->timer, on_ack_due);
    m->answer = send_a;
    mgmt_attached(m);
    struct buf *b = conn_out_begin(c->conn);
    buf_add_str(b, before);
    /* All the client ever sent is here, and what is in memory was dealt with: nothing is to be sent again. */
    buf_printf(b, "<resumed xmlns='%s' previd='%s' h='%" PRIu32 "'/>", ns_of(m->old_ns), m->id, m->in);
    buf_add_str(b, after);
    conn_out_end(c->conn);
    c2s_bound(c);
    resend(m, c);
    mgmt_is_back(m);
    hook_run_session_resumed(s->account->host, &(struct session_event){.session = s});
}

static void not_found(struct c2s *c, bool old, struct str id, struct buf *out)
{
    uint32_t h;
    struct jid who = jid_join(c->login->arena, c->login->user, c2s_vhost(c)->name, STR_NULL);
    if (mgmt_remembered(id, jid_bare(who), &h))
        write_failed(out, old, "item-not-found", "Previous session timed out", &h);
    else
        write_failed(out, old, "item-not-found", "Invalid 'previd' value", NULL);
}

struct session *c2s_mgmt_former(struct c2s *c, struct xml_el *el, struct buf *out)
{
    bool old = el->ns == TOK_NS_SM2;
    struct str id = xml_attr_get(el, TOK_previd);
    uint32_t h;
    struct session *s = NULL;
    if (!id.p)
        write_failed(out, old, "bad-request", "Missing attribute 'previd' in tag <resume/>", NULL);
    else if (!read_h(el, &h))
        bad_h(out, old, "resume");
    else {
        s = take_over(c, id);
        if (c->state != C2S_BIND)
            return NULL; /* the connection was lost, or the server wants it gone */
        if (!s)
            not_found(c, old, id, out);
    }
    if (s && !mgmt_take_resume(s->mgmt, h)) {
        count_too_high(c, old, h, s->mgmt->out);
        return NULL;
    }
    if (s) {
        cut_former(s);
        if (s->mgmt->old_ns != old)
            mgmt_row_changed(s->mgmt);
        s->mgmt->old_ns = old;
    }
    return s;
}

static void on_resume(struct c2s *c, struct xml_el *el) YIELDS;
static void on_resume(struct c2s *c, struct xml_el *el)
{
    struct buf out = BUF_INIT;
    struct session *s = c2s_mgmt_former(c, el, &out);
    if (s)
        c2s_mgmt_resume(c, s, STR_NULL, STR_NULL);
    else if (c->state == C2S_BIND)
        c2s_write(c, buf_str(&out));
    buf_deinit(&out);
}

/* --- elements --- */

static void bound_element(struct c2s *c, struct xml_el *el, bool old)
{
    struct mgmt *m = c->session->mgmt;
    if (el->tok == TOK_enable)
        on_enable(c, el, old);
    else if (el->tok == TOK_resume)
        failed(c, old, "unexpected-request", "Stream management is only resumed before binding");
    else if (!m)
        failed(c, old, "unexpected-request", "Stream management is not enabled");
    else if (el->tok == TOK_r)
        on_r(m);
    else if (el->tok == TOK_a)
        on_a(c, m, el);
}

void c2s_mgmt(struct c2s *c, struct xml_el *el)
{
    bool old = el->ns == TOK_NS_SM2;
    if (c->state == C2S_BOUND && c->session)
        bound_element(c, el, old);
    else if (c->state == C2S_BIND && el->tok == TOK_resume && c2s_mgmt_options(c))
        on_resume(c, el);
    else if (c->state == C2S_AUTH || c->state == C2S_BIND)
        failed(c, old, "not-authorized", "Unauthorized");
}

void c2s_mgmt_features(const struct c2s *c, struct buf *b)
{
    if (c2s_mgmt_options(c))
        buf_add_str(b, S("<sm xmlns='urn:xmpp:sm:2'/><sm xmlns='urn:xmpp:sm:3'/>"));
}
