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
#include "rt/fiber.h"
#include "rt/shard.h"
#include "xml/stream.h"
#include <stdlib.h>

#define BATCH 64 /* stanzas in one turn: others have theirs between */

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

static bool somebody_there(const struct stanza *s)
{
    struct account *a = account_find(jid_user(s->to), jid_host(s->to));
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

static void give_back_message(struct stanza **sp, uint32_t sent_s, enum resend resend)
{
    struct stanza *s = *sp;
    if (s->type == ST_ERROR || is_copy(s)) {
        stanza_end(sp);
    } else if (resend == RESEND || (resend == RESEND_IF_OFFLINE && !somebody_there(s))) {
        stamp_delay(s, sent_s);
        router_route(sp);
    } else {
        router_bounce(sp, ERR_NO_RECIPIENT, "User session terminated");
    }
}

static void give_back(const struct mgmt_rec *r, enum resend resend)
{
    struct stanza *s = parse(r);
    if (!s)
        return;
    if (s->kind == STANZA_MESSAGE)
        give_back_message(&s, r->sent_s, resend);
    else if (s->kind == STANZA_IQ && (s->type == ST_GET || s->type == ST_SET))
        router_bounce(&s, ERR_NO_RECIPIENT, "User session terminated");
    else
        stanza_end(&s); /* presence is of the moment; answers are for this session alone */
}

struct ending {
    struct mgmt *m;
    unsigned host;
};

static void end_fiber(void *arg) YIELDS;
static void end_fiber(void *arg)
{
    struct ending e = *(struct ending *)arg;
    enum resend resend = resend_of(e.host);
    unsigned n = 0;
    for (struct mgmt_rec *r = mgmt_first(e.m); r; r = mgmt_next(e.m, r)) {
        give_back(r, resend);
        if (++n % BATCH == 0)
            fiber_sleep(0);
    }
    mgmt_forget(e.m);
    mgmt_release(&e.m);
}

void mgmt_end(struct mgmt **mp, unsigned host)
{
    struct ending e = {*mp, host};
    *mp = NULL;
    timer_stop(&e.m->timer);
    e.m->answer = NULL;
    remember(e.m, host, jid_bare(session_jid(e.m->session)));
    e.m->session = NULL;
    mgmt_settle(e.m);
    if (e.m->n || e.m->kept)
        fiber_run(end_fiber, &e);
    else
        mgmt_release(&e.m);
}
