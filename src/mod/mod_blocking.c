/*
 * Blocking Command, XEP-0191, with the reasons of XEP-0377: the blocked are what the account's default privacy list denies by
 * address and wholly; mod_privacy does the shutting out. Handlers suspend for the store, at the account's home.
 */
#include "mod/api/privacy.h"

#include "base/log.h"
#include "core/account/turn.h"
#include "core/module/module.h"

#define LIST_NAME "Blocked contacts" /* COMPAT(ejabberd): made when there is no default list */

#define TARGETS_MAX 1000 /* of one request: each is looked for among the others */

static bool refused(struct iq *iq)
{
    const struct module *privacy = module_find(S("mod_privacy"));
    if (!jid_bare_eq(iq->stanza->from, iq->stanza->to))
        iq_error(iq, ERR_FORBIDDEN, "Query to another users is forbidden");
    else if (!privacy || !module_loaded(iq->host, privacy))
        iq_error(iq, ERR_NO_SERVICE, "Blocking needs mod_privacy");
    return iq->answered;
}

static bool is_block(const struct privacy_item *i)
{
    return i->type == PRIVACY_JID && !i->allow && i->match_all;
}

/* --- addresses of a request --- */

struct targets {
    struct jid *jids;
    size_t n;
};

static bool has(const struct targets *t, struct str address)
{
    for (size_t i = 0; i < t->n; i++)
        if (str_eq(jid_full(t->jids[i]), address))
            return true;
    return false;
}

static bool read_targets(struct iq *iq, struct targets *out)
{
    size_t n = 0;
    for (const struct xml_el *el = xml_first(iq->child); el; el = xml_next(el))
        n++;
    if (n > TARGETS_MAX) {
        iq_error(iq, ERR_NOT_ACCEPTABLE, "Too many items");
        return false;
    }
    out->jids = ARENA_ARRAY(iq->arena, struct jid, n + 1);
    for (const struct xml_el *el = xml_first(iq->child); el; el = xml_next(el))
        if (el->tok == TOK_item && !jid_parse(iq->arena, xml_attr_get(el, TOK_jid), &out->jids[out->n++])) {
            iq_error(iq, ERR_BAD_REQUEST, "Bad value of attribute 'jid' in tag <item/> qualified by namespace 'urn:xmpp:blocking'");
            return false;
        }
    return true;
}

/* XEP-0377 §3: for the administrator's eyes. */
static void note_reports(const struct iq *iq)
{
    for (const struct xml_el *el = xml_first(iq->child); el; el = xml_next(el)) {
        const struct xml_el *report = xml_first(el);
        while (report && report->ns != TOK_NS_REPORTING)
            report = xml_next(report);
        if (!report)
            continue;
        const struct xml_el *text = xml_child(report, TOK_text, TOK_NS_REPORTING);
        struct str words = text ? xml_text_of(iq->arena, text) : STR_NULL;
        struct str reason = xml_attr_get_text(report, S("reason")), jid = xml_attr_get(el, TOK_jid);
        words.n = words.n > 200 ? 200 : words.n;
        reason.n = reason.n > 100 ? 100 : reason.n;
        LOG_LIMITED(NOTICE, "blocking", NULL, "%.*s reports %.*s (%.*s): %.*s", STR_ARG(jid_bare(iq->stanza->from)), STR_ARG(jid),
                    STR_ARG(reason), STR_ARG(words));
    }
}

/* --- the list --- */

/* The default list with the blocked in front of everything else, numbered anew. */
static void rebuild(struct arena *a, const struct privacy_list *old, const struct targets *add, const struct targets *remove,
                    bool remove_all, struct privacy_list *out)
{
    size_t old_n = old ? old->n : 0;
    out->items = ARENA_ARRAY(a, struct privacy_item, old_n + (add ? add->n : 0) + 1);
    for (size_t i = 0; add && i < add->n; i++)
        out->items[out->n++] = (struct privacy_item){.type = PRIVACY_JID, .value = jid_full(add->jids[i]), .match_all = true};
    for (size_t i = 0; i < old_n; i++) {
        const struct privacy_item *item = &old->items[i];
        bool again = is_block(item) && ((add && has(add, item->value)) || remove_all || (remove && has(remove, item->value)));
        if (!again)
            out->items[out->n++] = *item;
    }
    for (size_t i = 0; i < out->n; i++)
        out->items[i].order = (int64_t)i + 1;
}

static void drop_repeated(struct targets *t)
{
    struct targets once = {.jids = t->jids};
    for (size_t i = 0; i < t->n; i++)
        if (!has(&once, jid_full(t->jids[i])))
            once.jids[once.n++] = t->jids[i];
    *t = once;
}

static void push(struct iq *iq, enum token what, const struct targets *t, struct str list)
{
    struct jid owner = jid_to_bare(iq->stanza->to);
    struct xml_el *el = xml_new(iq->arena, what, TOK_NS_BLOCKING);
    for (size_t i = 0; i < t->n; i++)
        xml_attr_set(iq->arena, xml_add(iq->arena, el, TOK_item, TOK_NONE), TOK_jid, jid_full(t->jids[i]));
    privacy_push_list(owner, list);
    privacy_push(owner, el);
}

static bool save(struct iq *iq, struct str name, const struct privacy_list *list, bool make_default) YIELDS;
static bool save(struct iq *iq, struct str name, const struct privacy_list *list, bool make_default)
{
    struct jid owner = jid_to_bare(iq->stanza->to);
    enum store_rc rc = list->n > PRIVACY_ITEMS_MAX
                           ? STORE_LIMIT
                           : privacy_set(jid_host(owner), jid_user(owner), name, list, make_default);
    privacy_forget(owner);
    if (rc == STORE_OK)
        return true;
    if (rc == STORE_LIMIT)
        iq_error(iq, ERR_NOT_ACCEPTABLE, "Too many items");
    else
        iq_error(iq, ERR_UNAVAILABLE, "Database failure");
    return false;
}

static struct privacy_lists *hold(struct iq *iq) YIELDS;
static struct privacy_lists *hold(struct iq *iq)
{
    struct privacy_lists *l = privacy_hold(iq->host, jid_to_bare(iq->stanza->to));
    if (!l)
        iq_error(iq, ERR_UNAVAILABLE, "Database failure");
    return l;
}

static void block(struct iq *iq) YIELDS;
static void block(struct iq *iq)
{
    struct targets t = {0};
    struct privacy_list list = {0};
    if (!read_targets(iq, &t))
        return;
    if (!t.n) {
        iq_error(iq, ERR_BAD_REQUEST, "No items found in this query");
        return;
    }
    struct privacy_lists *l = hold(iq);
    if (!l)
        return;
    note_reports(iq);
    drop_repeated(&t);
    rebuild(iq->arena, l->by_default, &t, NULL, false, &list);
    struct str name = l->by_default ? arena_str(iq->arena, l->default_name) : S(LIST_NAME);
    bool ok = save(iq, name, &list, !l->by_default);
    if (ok)
        privacy_lists_changed(iq->host, jid_to_bare(iq->stanza->to), l); /* §3.3: contacts see the account leave */
    privacy_release(&l);
    if (!ok)
        return;
    push(iq, TOK_block, &t, name);
    iq_result_empty(iq);
}

static void unblock(struct iq *iq) YIELDS;
static void unblock(struct iq *iq)
{
    struct targets t = {0};
    struct privacy_list list = {0};
    if (!read_targets(iq, &t))
        return;
    struct privacy_lists *l = hold(iq);
    if (!l)
        return;
    const struct privacy_list *old = l->by_default;
    rebuild(iq->arena, old, NULL, &t, !t.n, &list);
    struct str name = old ? arena_str(iq->arena, l->default_name) : S(LIST_NAME);
    bool ok = !old || save(iq, name, &list, false);
    if (ok)
        privacy_lists_changed(iq->host, jid_to_bare(iq->stanza->to), l); /* §3.5: and come back */
    privacy_release(&l);
    if (!ok)
        return;
    push(iq, TOK_unblock, &t, name);
    iq_result_empty(iq);
}

static void list_blocked(struct iq *iq) YIELDS;
static void list_blocked(struct iq *iq)
{
    struct privacy_lists *l = hold(iq);
    if (!l)
        return;
    struct stanza *r = iq_result_new(iq);
    struct xml_el *el = xml_add(r->arena, r->el, TOK_blocklist, TOK_NS_BLOCKING);
    for (size_t i = 0; l->by_default && i < l->by_default->n; i++)
        if (is_block(&l->by_default->items[i]))
            xml_attr_set(r->arena, xml_add(r->arena, el, TOK_item, TOK_NONE), TOK_jid,
                         arena_str(r->arena, l->by_default->items[i].value));
    privacy_release(&l);
    iq_result(iq, r);
}

/* Two devices that block at once both mean what they say. */
static void change(struct iq *iq) YIELDS;
static void change(struct iq *iq)
{
    struct account_turn turn;
    account_turn_begin(&turn, TURN_PRIVACY, jid_to_bare(iq->stanza->to));
    if (iq->child->tok == TOK_block)
        block(iq);
    else
        unblock(iq);
    account_turn_end(&turn);
}

static void on_iq(struct iq *iq) YIELDS;
static void on_iq(struct iq *iq)
{
    if (refused(iq))
        return;
    bool set = iq->stanza->type == ST_SET;
    if (set && (iq->child->tok == TOK_block || iq->child->tok == TOK_unblock))
        change(iq);
    else if (!set && iq->child->tok == TOK_blocklist)
        list_blocked(iq);
    else
        iq_error(iq, ERR_BAD_REQUEST, NULL);
}

static const char *const features[] = {"urn:xmpp:blocking", "urn:xmpp:reporting:1", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_ACCOUNT, TOK_NS_BLOCKING, true, on_iq}, {0}};

MODULE(mod_blocking) = {.name = "mod_blocking", .xep = "XEP-0191 1.3, XEP-0377 0.3", .features = features, .iqs = iqs};
