/*
 * Message Carbons, XEP-0280: sessions that asked for it get a copy of the conversations of the account's others, by the rules of
 * §6.1 in full. Which session got a message itself is known from delivery (session.took). Runs on the account's home; nothing
 * suspends.
 */
#include "base/clock.h"
#include "core/account/session.h"
#include "core/c2s/mgmt.h"
#include "core/module/module.h"

/* --- asking for it --- */

static struct session *asking(const struct stanza *s)
{
    struct account *a = account_find(jid_user(s->from), jid_host(s->from));
    return a ? session_find(a, jid_res(s->from)) : NULL;
}

static void on_iq(struct iq *iq)
{
    const struct stanza *s = iq->stanza;
    bool enable = iq->child->tok == TOK_enable;
    struct session *x;
    if (s->type != ST_SET)
        iq_error(iq, ERR_NOT_ALLOWED, "Value 'get' of 'type' attribute is not allowed");
    else if (!enable && iq->child->tok != TOK_disable)
        iq_error(iq, ERR_BAD_REQUEST, NULL);
    else if (!jid_bare_eq(s->from, s->to) || !(x = asking(s)))
        iq_error(iq, ERR_FORBIDDEN, NULL); /* §4: only one's own; ejabberd answers a result and does nothing */
    else {
        x->carbons = enable;
        if (x->mgmt)
            mgmt_row_changed(x->mgmt);
        iq_result_empty(iq);
    }
}

/* --- which messages: §6.1 --- */

static bool is_invitation(const struct stanza *s)
{
    const struct xml_el *x = xml_child(s->el, TOK_x, TOK_NS_MUC_USER);
    return xml_child(s->el, TOK_x, TOK_NS_X_CONFERENCE) || (x && xml_child(x, TOK_invite, TOK_NS_MUC_USER));
}

/* Receipts, chat states, markers. */
static bool has_im_payload(const struct stanza *s)
{
    for (const struct xml_el *el = xml_first(s->el); el; el = xml_next(el))
        if (el->ns == TOK_NS_RECEIPTS || el->ns == TOK_NS_CHATSTATES || el->ns == TOK_NS_MARKERS)
            return true;
    return false;
}

/* Not wanted by its sender, or a copy itself: copies of copies would go round for ever. */
static bool is_excluded(const struct stanza *s)
{
    return xml_child(s->el, TOK_private, TOK_NS_CARBONS) || xml_child(s->el, TOK_no_copy, TOK_NS_HINTS) ||
           xml_child(s->el, TOK_received, TOK_NS_CARBONS) || xml_child(s->el, TOK_sent, TOK_NS_CARBONS);
}

static bool is_eligible(const struct stanza *s)
{
    bool content = xml_child(s->el, TOK_body, TOK_NS_CLIENT) || has_im_payload(s);
    if (is_excluded(s) || s->type == ST_GROUPCHAT || s->type == ST_HEADLINE)
        return false;
    /* An error repeats what it is about (RFC 6120 §8.3.1): with it the answer to an eligible message is known. */
    return s->type == ST_CHAT || content || (s->type == ST_NORMAL && is_invitation(s));
}

/* A private message of a room's occupant: the room sends it to all the account's sessions that are in the room. */
static bool is_from_occupant(const struct stanza *s)
{
    return !jid_is_bare(s->from) && xml_child(s->el, TOK_x, TOK_NS_MUC_USER) && !is_invitation(s);
}

/* --- copies --- */

static bool anybody_wants(const struct account *a, const struct session *but)
{
    LIST_EACH(it, &a->sessions) {
        const struct session *x = LIST_ENTRY(it, struct session, link);
        if (x->carbons && x != but && !x->took && !x->deaf && !x->closing)
            return true;
    }
    return false;
}

/* The original inside, with its own namespace and both addresses (XEP-0297 §3.1). */
static struct stanza *wrap(const struct account *a, const struct stanza *s, enum token direction)
{
    struct stanza *w = stanza_new(STANZA_MESSAGE, s->type, account_jid(a), account_jid(a));
    struct xml_el *forwarded =
        xml_add(w->arena, xml_add(w->arena, w->el, direction, TOK_NS_CARBONS), TOK_forwarded, TOK_NS_FORWARD);
    struct xml_el *delay = xml_add(w->arena, forwarded, TOK_delay, TOK_NS_DELAY), *copy = xml_copy(w->arena, s->el);
    xml_attr_set(w->arena, delay, TOK_from, arena_str(w->arena, jid_host(account_jid(a))));
    xml_attr_set(w->arena, delay, TOK_stamp, clock_format(w->arena, clock_wall_us(), true));
    xml_attr_set(w->arena, copy, TOK_from, arena_str(w->arena, jid_full(s->from)));
    xml_attr_set(w->arena, copy, TOK_to, arena_str(w->arena, jid_full(s->to)));
    xml_append(forwarded, copy);
    return w;
}

static void send_copies(struct account *a, const struct stanza *s, enum token direction, const struct session *but)
{
    if (!anybody_wants(a, but))
        return;
    struct stanza *w = wrap(a, s, direction);
    stanza_follow(w, s);
    LIST_EACH(it, &a->sessions) {
        struct session *x = LIST_ENTRY(it, struct session, link);
        if (x->carbons && x != but && !x->took && !x->deaf && !x->closing) {
            w->to = session_jid(x);
            session_send(x, w);
        }
    }
    stanza_end(&w);
}

static enum hook_verdict on_sent(struct stanza_event *e)
{
    const struct stanza *s = e->stanza;
    /* What one sends to oneself comes in again (on_delivered): one copy is enough. */
    if (s->kind == STANZA_MESSAGE && e->session && !jid_bare_eq(s->to, account_jid(e->account)) && is_eligible(s))
        send_copies(e->account, s, TOK_sent, e->session);
    return HOOK_PASS;
}

static enum hook_verdict on_delivered(struct delivered_event *e)
{
    const struct stanza *s = e->stanza;
    bool own = jid_bare_eq(s->from, account_jid(e->account));
    if (is_eligible(s) && !is_from_occupant(s))
        send_copies(e->account, s, TOK_received, own ? session_find(e->account, jid_res(s->from)) : NULL);
    return HOOK_PASS;
}

static const char *const features[] = {"urn:xmpp:carbons:2", "urn:xmpp:carbons:rules:0", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_ACCOUNT, TOK_NS_CARBONS, false, on_iq}, {0}};
static const struct hook_entry hooks[] = {
    ON(stanza_sent, FANOUT, on_sent), ON(message_delivered, FANOUT, on_delivered), {0}};

MODULE(mod_carboncopy) = {
    .name = "mod_carboncopy", .xep = "XEP-0280 1.0.1", .features = features, .iqs = iqs, .hooks = hooks};
