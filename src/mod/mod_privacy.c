/*
 * Privacy Lists, XEP-0016: the owner's lists, one of them the default of the account, one possibly active for a session; what
 * passes between the account and others is held against them, whoever is online. Filtering may suspend for the store. Which list
 * is active is a session's, and ends with it.
 */
#include "mod/api/privacy.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"
#include "core/account/turn.h"
#include "core/module/module.h"
#include "rt/mailbox.h"
#include "rt/shard.h"

#include <stdlib.h>

static const char not_found[] = "No privacy list with this name found";

/* --- active lists --- */

struct active {
    struct map_node node;
    size_t full_n, name_n;
    char text[]; /* full address, name of the list */
};

static _Thread_local struct map actives;

static bool active_eq(const struct map_node *node, const void *key)
{
    const struct active *a = CONTAINER_OF(node, const struct active, node);
    return str_eq(str_n(a->text, a->full_n), *(const struct str *)key);
}

static struct active *active_find(struct jid session)
{
    struct str full = jid_full(session);
    struct map_node *n = actives.count ? map_find(&actives, hash_str(full), active_eq, &full) : NULL;
    return n ? CONTAINER_OF(n, struct active, node) : NULL;
}

static struct str active_name(struct jid session)
{
    const struct active *a = active_find(session);
    return a ? str_n(a->text + a->full_n, a->name_n) : STR_NULL;
}

static void active_free(struct active *a)
{
    map_del(&actives, &a->node);
    free(a);
    if (!actives.count) {
        map_deinit(&actives);
        actives = (struct map){0};
    }
}

static void active_end(struct jid session)
{
    struct active *a = active_find(session);
    if (a)
        active_free(a);
}

static void active_set(struct jid session, struct str name)
{
    struct str full = jid_full(session);
    active_end(session);
    if (!name.p)
        return;
    if (!actives.buckets)
        map_init(&actives);
    struct active *a = mem_zalloc(sizeof *a + full.n + name.n);
    a->full_n = full.n;
    a->name_n = name.n;
    memcpy(a->text, full.p, full.n);
    if (name.n)
        memcpy(a->text + full.n, name.p, name.n);
    map_add(&actives, &a->node, hash_str(full));
}

static bool is_active_somewhere(struct jid owner, struct str name)
{
    struct account *a = account_find(jid_user(owner), jid_host(owner));
    if (!a)
        return false;
    LIST_EACH(it, &a->sessions) {
        struct str active = active_name(session_jid(LIST_ENTRY(it, struct session, link)));
        if (active.p && str_eq(active, name))
            return true;
    }
    return false;
}

static enum hook_verdict on_closed(struct session_event *e)
{
    active_end(session_jid(e->session));
    return HOOK_PASS;
}

/* An account that was removed: whoever is given its name later has no lists. */
struct removed {
    struct msg m;
    size_t n;
    char bare[];
};

static void on_removed(struct msg *m)
{
    struct removed *r = CONTAINER_OF(m, struct removed, m);
    const char *at = memchr(r->bare, '@', r->n);
    size_t user = at ? (size_t)(at - r->bare) : 0;
    privacy_forget((struct jid){r->bare, (uint16_t)user, (uint16_t)(r->n - user - (at != NULL)), 0});
    free(r);
}

static enum hook_verdict on_known(struct known_event *e) YIELDS;
static enum hook_verdict on_known(struct known_event *e)
{
    struct str bare = jid_bare(e->account);
    if (e->there)
        return HOOK_PASS;
    struct removed *r = mem_zalloc(sizeof *r + bare.n);
    *r = (struct removed){.m.fn = on_removed, .n = bare.n};
    memcpy(r->bare, bare.p, bare.n);
    mail_post(shard_of(jid_home_hash(e->account)), &r->m);
    return HOOK_PASS;
}

/* --- filtering --- */

const struct privacy_list *privacy_list_for(const struct privacy_lists *l, struct jid session)
{
    struct str name = jid_is_bare(session) ? STR_NULL : active_name(session);
    const struct privacy_named *n = name.p ? privacy_find(l, name) : NULL;
    return n ? &n->list : l->by_default;
}

static bool may_pass(const struct account *a, const struct privacy_lists *l, struct jid session, enum privacy_way way,
                     const struct stanza *s, struct jid peer)
{
    struct privacy_view v = {a, l, privacy_list_for(l, session)};
    return privacy_allows(&v, way, s->kind, s->type, peer);
}

/* The account itself, and its server, cannot be shut out: who would lift it then? */
static bool is_own(const struct account *a, struct jid peer)
{
    struct jid own = account_jid(a);
    return !jid_present(peer) || jid_bare_eq(peer, own) || (!peer.user_len && str_eq(jid_host(peer), jid_host(own)));
}

static bool expects_answer(const struct stanza *s)
{
    return s->kind == STANZA_IQ ? s->type == ST_GET || s->type == ST_SET
                                : s->kind == STANZA_MESSAGE && s->type != ST_ERROR && s->type != ST_HEADLINE;
}

/* What goes to the bare JID reaches no session whose list refuses it (§2.2: the list of the session it is delivered to). */
static bool some_session_hears(struct account *a, const struct privacy_lists *l, const struct stanza *s)
{
    bool any = false, heard = false;
    LIST_EACH(it, &a->sessions) {
        struct session *x = LIST_ENTRY(it, struct session, link);
        if (!session_available(x))
            continue;
        any = true;
        x->deaf = !may_pass(a, l, session_jid(x), PRIVACY_IN, s, s->from);
        a->some_deaf |= x->deaf;
        heard |= !x->deaf;
    }
    return any ? heard : may_pass(a, l, account_jid(a), PRIVACY_IN, s, s->from);
}

static bool passes_in(struct account *a, const struct privacy_lists *l, const struct stanza *s)
{
    if (!l->n)
        return true;
    bool broadcast = s->kind == STANZA_PRESENCE && (s->type == ST_AVAILABLE || s->type == ST_UNAVAILABLE);
    if (jid_is_bare(s->to) && (s->kind == STANZA_MESSAGE || broadcast))
        return some_session_hears(a, l, s);
    return may_pass(a, l, s->to, PRIVACY_IN, s, s->from);
}

/* §2.14: presence is ignored, of the rest the sender learns no more than of an account that is not there. */
static enum hook_verdict on_received(struct stanza_event *e) YIELDS;
static enum hook_verdict on_received(struct stanza_event *e)
{
    const struct stanza *s = e->stanza;
    if (is_own(e->account, s->from))
        return HOOK_PASS;
    struct privacy_lists *l = privacy_hold(e->account->host, account_jid(e->account));
    if (!l) {
        e->reject = ERR_UNAVAILABLE;
        return HOOK_REJECT; /* letting it through could be what was forbidden */
    }
    bool pass = passes_in(e->account, l, s);
    privacy_release(&l);
    if (pass)
        return HOOK_PASS;
    e->reject = ERR_NO_RECIPIENT;
    return expects_answer(s) ? HOOK_REJECT : HOOK_STOP;
}

/* §2.14, XEP-0191 §3.4: all of one's own that are not answers or errors. */
static bool is_told(const struct stanza *s)
{
    return s->kind == STANZA_IQ ? s->type == ST_GET || s->type == ST_SET : s->type != ST_ERROR;
}

/*
 * XEP-0191 §3.4: the client is told that it is its own block. Straight to its stream: on the way of other stanzas the answer, which
 * names the blocked contact as its sender, would meet the same list.
 */
static void tell_blocked(const struct stanza *s, struct jid sender)
{
    struct account *a = account_find(jid_user(sender), jid_host(sender));
    struct session *session = a ? session_find(a, jid_res(sender)) : NULL;
    struct stanza *err = stanza_error(s, ERR_NOT_ACCEPTABLE, S("Your active privacy list has denied the routing of this stanza."));
    struct xml_el *error = err ? xml_child(err->el, TOK_error, TOK_NS_CLIENT) : NULL;
    if (error)
        xml_append(error, xml_new_text(err->arena, S("blocked"), S("urn:xmpp:blocking:errors")));
    if (err && session)
        session_send(session, err);
    if (err)
        stanza_end(&err);
}

static enum hook_verdict on_sent(struct stanza_event *e) YIELDS;
static enum hook_verdict on_sent(struct stanza_event *e)
{
    const struct stanza *s = e->stanza;
    /* Subscriptions bear the bare address, the list is the session's all the same. It may be gone when this has waited. */
    struct jid sender = e->session ? jid_copy(s->arena, session_jid(e->session)) : s->from;
    bool broadcast = s->kind == STANZA_PRESENCE && !jid_present(s->to); /* its copies are looked at without waiting */
    if (is_own(e->account, s->to) && !broadcast)
        return HOOK_PASS;
    struct privacy_lists *l = privacy_hold(e->account->host, account_jid(e->account));
    if (!l) {
        e->reject = ERR_UNAVAILABLE;
        return broadcast ? HOOK_STOP : HOOK_REJECT;
    }
    bool pass = broadcast || !l->n || may_pass(e->account, l, sender, PRIVACY_OUT, s, s->to);
    privacy_release(&l);
    if (pass)
        return HOOK_PASS;
    if (is_told(s))
        tell_blocked(s, sender);
    return HOOK_STOP;
}

static enum hook_verdict on_presence_out(struct presence_out_event *e)
{
    const struct privacy_lists *l = privacy_peek(account_jid(e->account));
    struct jid from = e->session ? session_jid(e->session) : account_jid(e->account);
    struct privacy_view v = {e->account, l, l ? privacy_list_for(l, from) : NULL};
    return privacy_allows(&v, PRIVACY_OUT, STANZA_PRESENCE, e->type, e->to) ? HOOK_PASS : HOOK_STOP;
}

/* --- pushes --- */

void privacy_push(struct jid owner, const struct xml_el *child)
{
    struct account *a = account_find(jid_user(owner), jid_host(owner));
    char id[24] = "push";
    if (!a)
        return;
    LIST_EACH_SAFE(it, &a->sessions) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        struct stanza *iq = stanza_new(STANZA_IQ, ST_SET, owner, session_jid(s));
        rand_token(id + 4, 16);
        xml_attr_set(iq->arena, iq->el, TOK_id, arena_str(iq->arena, str_of(id)));
        iq->id = xml_attr_get(iq->el, TOK_id);
        xml_append(iq->el, xml_copy(iq->arena, child));
        stanza_stamp(iq);
        session_send(s, iq);
        stanza_end(&iq);
    }
}

void privacy_push_list(struct jid owner, struct str name)
{
    struct arena *a = arena_new();
    struct xml_el *query = xml_new(a, TOK_query, TOK_NS_PRIVACY);
    xml_attr_set(a, xml_add(a, query, TOK_list, TOK_NONE), TOK_name, arena_str(a, name));
    privacy_push(owner, query);
    arena_release(&a);
}

/* --- changing --- */

static bool refuse(struct privacy_answer *out, enum err_code code, const char *text)
{
    out->code = code;
    out->text = text;
    return false;
}

static bool malformed(struct privacy_answer *out, const char *text)
{
    out->undecodable = true;
    return refuse(out, ERR_BAD_REQUEST, text);
}

#define ATTR(how, attr) how " attribute '" attr "' in tag <item/> qualified by namespace 'jabber:iq:privacy'"

static bool read_value(struct arena *a, struct privacy_item *i, struct str type, struct str value, struct privacy_answer *out)
{
    struct jid j;
    if (!type.p) {
        i->type = PRIVACY_ANY;
        i->value = S("");
        return true;
    }
    i->value = value;
    i->type = str_eq(type, S("jid")) ? PRIVACY_JID : str_eq(type, S("group")) ? PRIVACY_GROUP : PRIVACY_SUBSCRIPTION;
    if (i->type == PRIVACY_SUBSCRIPTION && !str_eq(type, S("subscription")))
        return malformed(out, ATTR("Bad value of", "type"));
    if (!value.p)
        return malformed(out, ATTR("Missing", "value"));
    if (i->type == PRIVACY_JID) {
        if (!jid_parse(a, value, &j))
            return malformed(out, ATTR("Bad value of", "value"));
        i->value = jid_full(j);
    }
    if (i->type == PRIVACY_SUBSCRIPTION && !str_eq(value, S("none")) && !str_eq(value, S("both")) && !str_eq(value, S("to")) &&
        !str_eq(value, S("from")))
        return refuse(out, ERR_BAD_REQUEST, ATTR("Bad value of", "value"));
    return true;
}

static void read_kinds(struct privacy_item *i, const struct xml_el *el)
{
    for (const struct xml_el *k = xml_first(el); k; k = xml_next(k)) {
        i->match_message |= str_eq(k->name, S("message"));
        i->match_iq |= str_eq(k->name, S("iq"));
        i->match_presence_in |= str_eq(k->name, S("presence-in"));
        i->match_presence_out |= str_eq(k->name, S("presence-out"));
    }
    i->match_all = !i->match_message && !i->match_iq && !i->match_presence_in && !i->match_presence_out;
}

static bool read_item(struct arena *a, struct privacy_item *i, const struct xml_el *el, struct privacy_answer *out)
{
    struct str action = xml_attr_get(el, TOK_action), order = xml_attr_get(el, TOK_order);
    if (!action.p)
        return malformed(out, ATTR("Missing", "action"));
    i->allow = str_eq(action, S("allow"));
    if (!i->allow && !str_eq(action, S("deny")))
        return malformed(out, ATTR("Bad value of", "action"));
    if (!order.p)
        return malformed(out, ATTR("Missing", "order"));
    if (!str_to_i64(order, &i->order) || i->order < 0 || i->order > UINT32_MAX)
        return malformed(out, ATTR("Bad value of", "order"));
    read_kinds(i, el);
    return read_value(a, i, xml_attr_get(el, TOK_type), xml_attr_get(el, TOK_value), out);
}

static int by_order(const void *a, const void *b)
{
    int64_t x = ((const struct privacy_item *)a)->order, y = ((const struct privacy_item *)b)->order;
    return x < y ? -1 : x > y;
}

static bool read_list(struct arena *a, const struct xml_el *el, struct privacy_list *out, struct privacy_answer *answer)
{
    size_t n = 0;
    for (const struct xml_el *item = xml_first(el); item; item = xml_next(item))
        n++;
    if (n > PRIVACY_ITEMS_MAX)
        return refuse(answer, ERR_NOT_ACCEPTABLE, "Too many items in a privacy list");
    out->items = ARENA_ARRAY(a, struct privacy_item, n + 1);
    for (const struct xml_el *item = xml_first(el); item; item = xml_next(item))
        if (item->tok == TOK_item && !read_item(a, &out->items[out->n++], item, answer))
            return false;
    qsort(out->items, out->n, sizeof *out->items, by_order);
    return true;
}

static bool stored(enum store_rc rc, struct privacy_answer *out)
{
    return rc == STORE_OK           ? true
           : rc == STORE_NONE       ? refuse(out, ERR_NOT_FOUND, not_found)
           : rc == STORE_CONFLICT   ? refuse(out, ERR_CONFLICT, "Cannot remove default list")
           : rc == STORE_REFUSED    ? refuse(out, ERR_BAD_REQUEST, "The list cannot be stored")
                                    : refuse(out, ERR_UNAVAILABLE, "Database failure");
}

void privacy_lists_changed(unsigned host, struct jid owner, const struct privacy_lists *was)
{
    struct privacy_lists *now = account_find(jid_user(owner), jid_host(owner)) ? privacy_hold(host, owner) : NULL;
    struct account *a = now ? account_find(jid_user(owner), jid_host(owner)) : NULL;
    if (a)
        privacy_took_effect(a, was, now, JID_NULL, NULL);
    privacy_release(&now);
}

static bool put_list(unsigned host, struct jid owner, const struct xml_el *el, struct privacy_answer *out) YIELDS;
static bool put_list(unsigned host, struct jid owner, const struct xml_el *el, struct privacy_answer *out)
{
    struct str name = xml_attr_get(el, TOK_name);
    struct arena *a = arena_new();
    struct privacy_list list = {0};
    bool ok = name.n <= PRIVACY_NAME_MAX ? read_list(a, el, &list, out) : refuse(out, ERR_NOT_ACCEPTABLE, "The name is too long");
    struct privacy_lists *now = ok ? privacy_hold(host, owner) : NULL;
    if (ok && !now)
        ok = refuse(out, ERR_UNAVAILABLE, "Database failure");
    if (ok && list.n && now->n >= PRIVACY_LISTS_MAX && !privacy_find(now, name))
        ok = refuse(out, ERR_NOT_ACCEPTABLE, "Too many privacy lists");
    if (ok && !list.n && !privacy_find(now, name))
        ok = refuse(out, ERR_NOT_FOUND, not_found);
    if (ok && !list.n && is_active_somewhere(owner, name)) /* §2.8 */
        ok = refuse(out, ERR_CONFLICT, "Cannot remove active list");
    if (ok)
        ok = stored(list.n ? privacy_set(jid_host(owner), jid_user(owner), name, &list, false)
                           : privacy_remove(jid_host(owner), jid_user(owner), name), out);
    privacy_forget(owner);
    if (ok)
        privacy_lists_changed(host, owner, now);
    privacy_release(&now);
    if (ok)
        privacy_push_list(owner, name);
    arena_release(&a);
    return ok;
}

static bool put_active(unsigned host, struct jid owner, struct jid session, struct str name, struct privacy_answer *out) YIELDS;
static bool put_active(unsigned host, struct jid owner, struct jid session, struct str name, struct privacy_answer *out)
{
    if (jid_is_bare(session))
        return refuse(out, ERR_NOT_ALLOWED, "Only a session has an active list");
    struct privacy_lists *l = privacy_hold(host, owner);
    bool there = l && (!name.p || privacy_find(l, name));
    struct account *a = account_find(jid_user(owner), jid_host(owner));
    if (there && a && session_find(a, jid_res(session))) {
        const struct privacy_list *was = privacy_list_for(l, session);
        active_set(session, name);
        privacy_took_effect(a, l, l, session, was);
    }
    if (!l)
        refuse(out, ERR_UNAVAILABLE, "Database failure");
    else if (!there)
        refuse(out, ERR_NOT_FOUND, not_found);
    privacy_release(&l);
    return there;
}

/* §2.5: somebody else goes by it. An administrator is nobody's resource. */
static bool default_in_use(const struct privacy_lists *l, struct jid owner, struct jid session, struct str name)
{
    struct account *a = account_find(jid_user(owner), jid_host(owner));
    if (!a || !l->by_default || !jid_present(session) || (name.p && str_eq(name, l->default_name)))
        return false;
    LIST_EACH(it, &a->sessions) {
        struct jid other = session_jid(LIST_ENTRY(it, const struct session, link));
        if (!jid_eq(other, session) && privacy_list_for(l, other) == l->by_default)
            return true;
    }
    return false;
}

static bool put_default(unsigned host, struct jid owner, struct jid session, struct str name, struct privacy_answer *out) YIELDS;
static bool put_default(unsigned host, struct jid owner, struct jid session, struct str name, struct privacy_answer *out)
{
    struct privacy_lists *l = privacy_hold(host, owner);
    if (!l)
        return refuse(out, ERR_UNAVAILABLE, "Database failure");
    bool ok = !default_in_use(l, owner, session, name) ||
              refuse(out, ERR_CONFLICT, "The default list is in use by another resource");
    enum store_rc rc = !ok      ? STORE_CONFLICT
                       : name.p ? privacy_set_default(jid_host(owner), jid_user(owner), name)
                                : privacy_unset_default(jid_host(owner), jid_user(owner));
    privacy_forget(owner);
    ok = ok && stored(!name.p && rc == STORE_NONE ? STORE_OK : rc, out);
    if (ok)
        privacy_lists_changed(host, owner, l);
    privacy_release(&l);
    return ok;
}

static bool change(unsigned host, struct jid owner, struct jid session, const struct xml_el *query,
                   struct privacy_answer *out) YIELDS;
static bool change(unsigned host, struct jid owner, struct jid session, const struct xml_el *query, struct privacy_answer *out)
{
    const struct xml_el *el = xml_first(query);
    *out = (struct privacy_answer){0};
    if (!el || xml_next(el))
        return refuse(out, ERR_BAD_REQUEST, "The stanza must contain exactly one <active/>, <default/> or <list/> element");
    struct str name = xml_attr_get(el, TOK_name);
    if (el->tok == TOK_list && name.p)
        return put_list(host, owner, el, out);
    if (el->tok == TOK_active)
        return put_active(host, owner, jid_present(session) ? session : owner, name, out);
    if (el->tok == TOK_default_)
        return put_default(host, owner, session, name, out);
    return malformed(out, "Missing attribute 'name' in tag <list/> qualified by namespace 'jabber:iq:privacy'");
}

bool privacy_change(unsigned host, struct jid owner, struct jid session, const struct xml_el *query, struct privacy_answer *out)
{
    struct account_turn turn; /* mod_blocking writes whole lists */
    account_turn_begin(&turn, TURN_PRIVACY, owner);
    bool done = change(host, owner, session, query, out);
    account_turn_end(&turn);
    return done;
}

/* --- reading --- */

static void add_named(struct arena *a, struct xml_el *query, enum token what, struct str name)
{
    struct xml_el *el = xml_add(a, query, what, TOK_NONE);
    if (name.p)
        xml_attr_set(a, el, TOK_name, arena_str(a, name));
}

static const char *type_word(enum privacy_type t)
{
    return t == PRIVACY_JID ? "jid" : t == PRIVACY_GROUP ? "group" : "subscription";
}

static void add_item(struct arena *a, struct xml_el *list, const struct privacy_item *i)
{
    struct xml_el *el = xml_add(a, list, TOK_item, TOK_NONE);
    if (i->type != PRIVACY_ANY) {
        xml_attr_set(a, el, TOK_type, str_of(type_word(i->type)));
        xml_attr_set(a, el, TOK_value, arena_str(a, i->value));
    }
    xml_attr_set(a, el, TOK_action, i->allow ? S("allow") : S("deny"));
    xml_attr_set(a, el, TOK_order, arena_printf(a, "%lld", (long long)i->order));
    const struct { bool on; const char *name; } kinds[] = {{i->match_message, "message"}, {i->match_iq, "iq"},
        {i->match_presence_in, "presence-in"}, {i->match_presence_out, "presence-out"}};
    for (size_t k = 0; !i->match_all && k < ARRAY_LEN(kinds); k++)
        if (kinds[k].on)
            xml_append(el, xml_new_text(a, str_of(kinds[k].name), token_str(TOK_NS_PRIVACY)));
}

static void answer(struct iq *iq, const struct privacy_lists *l, const struct privacy_named *one)
{
    struct stanza *r = iq_result_new(iq);
    struct xml_el *query = xml_add(r->arena, r->el, TOK_query, TOK_NS_PRIVACY);
    if (one) {
        add_named(r->arena, query, TOK_list, one->name);
        for (size_t i = 0; i < one->list.n; i++)
            add_item(r->arena, xml_first(query), &one->list.items[i]);
    } else {
        add_named(r->arena, query, TOK_active, active_name(iq->stanza->from));
        add_named(r->arena, query, TOK_default_, l->default_name);
        for (size_t i = 0; i < l->n; i++)
            add_named(r->arena, query, TOK_list, l->lists[i].name);
    }
    iq_result(iq, r);
}

static void get(struct iq *iq) YIELDS;
static void get(struct iq *iq)
{
    const struct xml_el *el = xml_first(iq->child);
    for (const struct xml_el *other = el; other; other = xml_next(other))
        if (other->tok != TOK_list) {
            iq_error(iq, ERR_BAD_REQUEST, "Only <list/> element is allowed in this query");
            return;
        }
    if (el && xml_next(el)) {
        iq_error(iq, ERR_BAD_REQUEST, "Too many <list/> elements");
        return;
    }
    struct privacy_lists *l = privacy_hold(iq->host, jid_to_bare(iq->stanza->to));
    const struct privacy_named *one = l && el ? privacy_find(l, xml_attr_get(el, TOK_name)) : NULL;
    if (!l)
        iq_error(iq, ERR_UNAVAILABLE, "Database failure");
    else if (el && !one)
        iq_error(iq, ERR_NOT_FOUND, not_found);
    else
        answer(iq, l, one);
    privacy_release(&l);
}

static void on_iq(struct iq *iq) YIELDS;
static void on_iq(struct iq *iq)
{
    struct privacy_answer a;
    if (!jid_bare_eq(iq->stanza->from, iq->stanza->to))
        iq_error(iq, ERR_FORBIDDEN, "Query to another users is forbidden");
    else if (iq->stanza->type == ST_GET)
        get(iq);
    else if (privacy_change(iq->host, jid_to_bare(iq->stanza->to), iq->stanza->from, iq->child, &a))
        iq_result_empty(iq);
    else
        iq_error(iq, a.code, a.text);
}

static bool is_over(struct arena *arena, const struct active *a)
{
    struct jid session;
    if (!jid_parse(arena, str_n(a->text, a->full_n), &session))
        return true;
    struct account *owner = account_find(jid_user(session), jid_host(session));
    return !owner || !session_find(owner, jid_res(session));
}

/* Sessions that wait for the next process end without a word (core/c2s/mgmt_store.c). */
static void actives_sweep(void)
{
    struct arena *arena = arena_new();
    struct map_node *n = actives.count ? map_next(&actives, NULL) : NULL;
    while (n) {
        struct active *a = CONTAINER_OF(n, struct active, node);
        if (!is_over(arena, a)) {
            n = map_next(&actives, n);
            continue;
        }
        active_free(a);
        n = actives.count ? map_next(&actives, NULL) : NULL;
    }
    arena_drop(arena);
}

static void on_stop(unsigned host)
{
    (void)host;
    privacy_forget_all();
    actives_sweep();
}

static enum hook_verdict on_caches_cleared(struct caches_event *e)
{
    privacy_forget_all();
    return HOOK_PASS;
}

static const char *const features[] = {"jabber:iq:privacy", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_ACCOUNT, TOK_NS_PRIVACY, true, on_iq}, {0}};
static const struct hook_entry hooks[] = {
    ON(account_known, STATE, on_known), ON(caches_cleared, STATE, on_caches_cleared), ON(session_closed, STATE, on_closed),
    ON(stanza_sent, FILTER, on_sent), ON(stanza_received, FILTER, on_received), ON(presence_out, FILTER, on_presence_out), {0}};

MODULE(mod_privacy) = {
    .name = "mod_privacy", .xep = "XEP-0016 1.7", .features = features, .iqs = iqs, .hooks = hooks, .stop = on_stop};
