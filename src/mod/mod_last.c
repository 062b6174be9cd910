/*
 * Last Activity, XEP-0012: server uptime for the domain, idle time of accounts for their owner and for who may see their presence
 * (§8). Keeps when a session ended and its last words in the table `last` (also what the command get_last reads).
 */
#include "base/clock.h"
#include "core/account/roster.h"
#include "core/module/module.h"
#include "core/server.h"
#include "store/last.h"

static void answer(struct iq *iq, uint64_t seconds, struct str words)
{
    struct stanza *r = iq_result_new(iq);
    struct xml_el *q = xml_add(r->arena, r->el, TOK_query, TOK_NS_LAST);
    xml_attr_set(r->arena, q, TOK_seconds, arena_printf(r->arena, "%llu", (unsigned long long)seconds));
    if (words.n)
        xml_append_text(r->arena, q, arena_str(r->arena, words));
    iq_result(iq, r);
}

static void on_server(struct iq *iq)
{
    if (!iq_refuse_set(iq))
        answer(iq, server_uptime_s(), STR_NULL);
}

static void answer_offline(struct iq *iq) YIELDS;
static void answer_offline(struct iq *iq)
{
    int64_t seconds;
    struct str words;
    switch (last_get(iq->arena, jid_host(iq->stanza->to), jid_user(iq->stanza->to), &seconds, &words)) {
    case STORE_OK: {
        int64_t now = (int64_t)clock_wall_s();
        answer(iq, now > seconds ? (uint64_t)(now - seconds) : 0, words);
        break;
    }
    case STORE_NONE: iq_error(iq, ERR_NO_SERVICE, "No info about last activity found"); break;
    default: iq_error(iq, ERR_UNAVAILABLE, "Database failure");
    }
}

static bool is_available(const struct account *a, const struct session *but)
{
    LIST_EACH(it, &a->sessions) {
        const struct session *x = LIST_ENTRY(it, struct session, link);
        if (x != but && session_available(x))
            return true;
    }
    return false;
}

/* A session that shows itself to nobody is a secret (§6): its account was last seen when one that did went. */
static bool is_online(const struct account *a, struct jid asking)
{
    return is_available(a, NULL) || (!list_empty(&a->sessions) && jid_bare_eq(account_jid(a), asking));
}

static void on_account(struct iq *iq) YIELDS;
static void on_account(struct iq *iq)
{
    if (iq_refuse_set(iq))
        return;
    struct account *a = account_pin(iq->host, iq->stanza->to);
    if (!account_shows_presence_to(a, iq->stanza->from))
        iq_error(iq, ERR_SUBSCRIPTION_REQUIRED, "Not subscribed");
    else if (is_online(a, iq->stanza->from))
        answer(iq, 0, STR_NULL);
    else
        answer_offline(iq);
    account_unpin(a);
}

/* §4, §8: who may not see presence does not learn from a resource's answer, nor from who refuses, whether it is there. */
static enum hook_verdict on_received(struct stanza_event *e) YIELDS;
static enum hook_verdict on_received(struct stanza_event *e)
{
    const struct stanza *s = e->stanza;
    const struct xml_el *child = s->kind == STANZA_IQ && s->type == ST_GET && !jid_is_bare(s->to) ? xml_first(s->el) : NULL;
    if (!child || child->ns != TOK_NS_LAST || account_shows_presence_to(e->account, s->from))
        return HOOK_PASS;
    e->reject = ERR_FORBIDDEN;
    return HOOK_REJECT;
}

/*
 * Going offline, with the words of the unavailable presence (none when the server speaks for a lost session). Coming online, too:
 * after kill -9 or a power cut nobody goes offline, and an account that was in use all year must not look a year old to
 * delete_old_users; the hour between two such notes does not matter there.
 */
static enum hook_verdict on_presence(struct presence_event *e)
{
    struct jid j = session_jid(e->session);
    if (!e->was_available && e->available && !is_available(e->session->account, e->session))
        last_note_later(jid_host(j), jid_user(j), (int64_t)clock_wall_s());
    if (!e->was_available || e->available || e->session->orphan)
        return HOOK_PASS;
    struct xml_el *status = xml_child(e->presence->el, TOK_status, TOK_NS_CLIENT);
    last_set_later(jid_host(j), jid_user(j), (int64_t)clock_wall_s(),
                   status ? xml_text_of(e->presence->arena, status) : STR_NULL);
    return HOOK_PASS;
}

static const char *const features[] = {"jabber:iq:last", NULL};
static const struct iq_entry iqs[] = {
    {IQ_TO_SERVER, TOK_NS_LAST, false, on_server}, {IQ_TO_ACCOUNT, TOK_NS_LAST, true, on_account}, {0}};
static const struct hook_entry hooks[] = {
    ON(session_presence, STATE, on_presence), ON(stanza_received, FILTER, on_received), {0}};

MODULE(mod_last) = {
    .name = "mod_last", .xep = "XEP-0012 2.0", .features = features, .account_features = features, .iqs = iqs, .hooks = hooks};
