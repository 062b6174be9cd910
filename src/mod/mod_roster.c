/*
 * Rosters for clients: jabber:iq:roster (RFC 6121 §2) with versions (XEP-0237), on top of core/account/roster.h and
 * core/account/subscribe.h, which keep rosters and subscriptions while this module is loaded on a host. Runs at the account's
 * home; waits for the store. COMPAT(ejabberd): words and conditions of errors; a contact who is not there can be removed;
 * one's own address, and full ones, can be put into the roster.
 */
#include "base/log.h"
#include "core/account/subscribe.h"
#include "core/c2s/mgmt.h"
#include "core/config/access.h"
#include "core/config/option.h"
#include "core/module/module.h"

static struct module mod_roster;

static void fail(struct iq *iq, enum store_rc rc)
{
    if (rc == STORE_LIMIT)
        iq_error(iq, ERR_NOT_ALLOWED, "Too many contacts");
    else if (rc == STORE_REFUSED)
        iq_error(iq, ERR_NOT_ACCEPTABLE, "A name or group has characters that cannot be stored");
    else
        iq_error(iq, ERR_UNAVAILABLE, "Database failure");
}

/* --- get --- */

static void answer_items(struct iq *iq, const struct roster *items, struct str ver)
{
    struct stanza *r = iq_result_new(iq);
    struct xml_el *query = xml_add(r->arena, r->el, TOK_query, TOK_NS_ROSTER);
    if (ver.n)
        xml_attr_set(r->arena, query, TOK_ver, arena_str(r->arena, ver));
    for (size_t i = 0; i < items->n; i++)
        if (!roster_item_hidden(&items->items[i]))
            roster_item_write(r->arena, query, &items->items[i]);
    iq_result(iq, r);
}

static void mark_interested(struct account *a, struct jid who)
{
    struct session *s = session_find(a, jid_res(who));
    if (!s || s->interested)
        return;
    s->interested = true;
    if (s->mgmt)
        mgmt_row_changed(s->mgmt); /* a resumed session goes on getting pushes */
}

static void get(struct iq *iq, struct account *a) YIELDS;
static void get(struct iq *iq, struct account *a)
{
    struct str known = xml_attr_get(iq->child, TOK_ver), ver;
    struct roster items;
    bool versioning = opt_bool(module_options(iq->host, &mod_roster), "versioning") && known.p;
    if (xml_first(iq->child)) {
        iq_error(iq, ERR_BAD_REQUEST, "The query must not contain <item/> elements");
        return;
    }
    enum store_rc rc = account_roster_read(a, iq->arena, versioning ? known : STR_NULL, &items, &ver);
    if (rc != STORE_OK && rc != STORE_NONE) {
        fail(iq, rc);
        return;
    }
    mark_interested(a, iq->stanza->from);
    if (rc == STORE_NONE)
        iq_result_empty(iq); /* XEP-0237 §4.2: what it has is current */
    else
        answer_items(iq, &items, versioning ? ver : STR_NULL);
    account_roster_unlock(a);
}

/* --- set --- */

struct edit {
    struct jid who;
    struct str nick, *groups;
    size_t n_groups;
    bool remove;
};

#define OF_ITEM " in tag <item/> qualified by namespace 'jabber:iq:roster'"

static bool read_groups(struct iq *iq, struct xml_el *item, struct edit *e)
{
    e->groups = ARENA_ARRAY(iq->arena, struct str, ROSTER_GROUPS_MAX);
    for (struct xml_el *g = xml_first(item); g; g = xml_next(g)) {
        struct str text = xml_text_of(iq->arena, g);
        if (g->tok != TOK_group || g->ns != TOK_NS_ROSTER)
            continue;
        if (!text.n)
            iq_error(iq, ERR_BAD_REQUEST, "Missing cdata in tag <group/> qualified by namespace 'jabber:iq:roster'");
        else if (text.n > ROSTER_TEXT_MAX || e->n_groups == ROSTER_GROUPS_MAX)
            iq_error(iq, ERR_NOT_ACCEPTABLE, "Too many groups, or too long a name of one");
        for (size_t i = 0; i < e->n_groups && !iq->answered; i++)
            if (str_eq(e->groups[i], text))
                iq_error(iq, ERR_BAD_REQUEST, "Duplicated groups are not allowed by RFC6121");
        if (iq->answered)
            return false;
        e->groups[e->n_groups++] = text;
    }
    return true;
}

/* §2.1.2.5: only "remove" means anything here; the server says what the subscription is. */
static bool read_item(struct iq *iq, struct xml_el *item, struct edit *e)
{
    struct str jid = xml_attr_get(item, TOK_jid), subscription = xml_attr_get_text(item, S("subscription"));
    enum roster_subscription ignored;
    e->nick = xml_attr_get(item, TOK_name);
    e->remove = str_eq(subscription, S("remove"));
    if (!jid.p)
        iq_error(iq, ERR_BAD_REQUEST, "Missing attribute 'jid'" OF_ITEM);
    else if (!jid_parse(iq->arena, jid, &e->who))
        iq_error(iq, ERR_BAD_REQUEST, "Bad value of attribute 'jid'" OF_ITEM);
    else if (subscription.p && !e->remove && !subscription_parse(subscription, &ignored))
        iq_error(iq, ERR_BAD_REQUEST, "Bad value of attribute 'subscription'" OF_ITEM);
    else if (e->nick.n > ROSTER_TEXT_MAX)
        iq_error(iq, ERR_NOT_ACCEPTABLE, "Too long a name");
    else
        return read_groups(iq, item, e);
    return false;
}

static bool may_change(struct iq *iq)
{
    const struct vhost *h = &config_current()->hosts[iq->host];
    struct access_subject who = {.jid = iq->stanza->from};
    if (access_allowed(h, opt_node(module_options(iq->host, &mod_roster), "access"), &who))
        return true;
    iq_error(iq, ERR_NOT_ALLOWED, "Access denied by service policy");
    return false;
}

static void set(struct iq *iq, struct account *a) YIELDS;
static void set(struct iq *iq, struct account *a)
{
    struct xml_el *item = xml_child(iq->child, TOK_item, TOK_NS_ROSTER);
    struct edit e = {.n_groups = 0};
    enum store_rc rc;
    if (!item) {
        iq_error(iq, ERR_NO_SERVICE, "No module is handling this query");
        return;
    }
    if (xml_next(item)) {
        iq_error(iq, ERR_BAD_REQUEST, "Multiple <item/> elements are not allowed by RFC6121");
        return;
    }
    if (!read_item(iq, item, &e) || !may_change(iq))
        return;
    rc = e.remove ? subscribe_remove(a, e.who) : subscribe_edit(a, e.who, e.nick, e.groups, e.n_groups);
    if (rc == STORE_OK)
        iq_result_empty(iq);
    else
        fail(iq, rc);
}

static void on_roster(struct iq *iq) YIELDS;
static void on_roster(struct iq *iq)
{
    if (!jid_bare_eq(iq->stanza->from, iq->stanza->to)) {
        iq_error(iq, ERR_FORBIDDEN, "Query to another users is forbidden");
        return;
    }
    struct account *a = account_pin(iq->host, iq->stanza->to);
    if (iq->stanza->type == ST_GET)
        get(iq, a);
    else
        set(iq, a);
    account_unpin(a);
}

static const struct iq_entry iqs[] = {{IQ_TO_ACCOUNT, TOK_NS_ROSTER, true, on_roster}, {0}};

MODULE(mod_roster) = {
    .name = "mod_roster", .xep = "RFC 6121, XEP-0237 1.3", .iqs = iqs,
    .stop = rosters_stale}; /* somebody else may write to the tables while it is not loaded */
