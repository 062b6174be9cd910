/*
 * Shared roster groups (no XEP; tables and rules as ejabberd's mod_shared_roster): contacts that an administrator's groups put
 * into rosters, with presence both ways and nothing to ask for. Here: rosters and single contacts, answered from the view of the
 * shard, by the account's own fibers; a roster may wait for the first view. Shard 0 edits the tables and makes the views
 * (mod/srg_book.c), every shard holds the same one of each host (mod/srg_place.c), connected accounts learn what is different
 * (mod/srg_tell.c). Access rules ask here who is in a group. Not here: groups of an LDAP server; members of a group on another
 * virtual host see nothing of it, as on ejabberd.
 */
#include "core/account/roster.h"
#include "core/config/access.h"
#include "core/module/module.h"
#include "mod/api/srg_parts.h"

struct merge {
    struct arena *arena;
    struct roster_item *items;
    size_t n;
};

static struct roster_item *next_item(struct merge *m)
{
    ARENA_MORE(m->arena, m->items, m->n);
    return &m->items[m->n++];
}

static void add_item(struct merge *m, const struct roster_item *own, const struct srg_item *shared)
{
    struct roster_item *to = next_item(m);
    *to = own ? *own : (struct roster_item){.jid = shared->jid, .subscription = ROSTER_NONE, .ask = ROSTER_ASK_NONE};
    if (shared)
        roster_item_share(m->arena, to, &(struct contact_look){
            .to = shared->to, .from = shared->from, .labels = shared->labels, .n_labels = shared->n_labels});
}

static bool next_seen(struct srg_eye *e, struct srg_item *out, uint64_t *version)
{
    bool more = srg_eye_next(e, out);
    while (more && !out->to)
        more = srg_eye_next(e, out);
    if (more)
        *version += srg_item_hash(out);
    return more;
}

static void merge_roster(struct roster_event *e, struct srg_eye *eye)
{
    struct merge m = {.arena = e->arena};
    struct srg_item x;
    size_t i = 0, n = e->roster->n;
    bool more = next_seen(eye, &x, &e->version);
    if (!more)
        return;
    while (i < n || more) {
        int d = !more ? -1 : i == n ? 1 : str_cmp(e->roster->items[i].jid, x.jid);
        add_item(&m, d <= 0 ? &e->roster->items[i] : NULL, d >= 0 ? &x : NULL);
        if (d <= 0)
            i++;
        if (d >= 0)
            more = next_seen(eye, &x, &e->version);
    }
    e->roster->items = m.items;
    e->roster->n = m.n;
}

static enum hook_verdict on_roster(struct roster_event *e) YIELDS;
static enum hook_verdict on_roster(struct roster_event *e)
{
    struct jid j = account_jid(e->account);
    struct srg_eye eye;
    if (!srg_place_view(jid_host(j)))
        return HOOK_REJECT;
    struct srg_view *v = srg_place_view_now(jid_host(j), &e->generation);
    arena_on_release(e->arena, arena_drop, arena_hold(v->arena)); /* addresses and labels are the view's */
    srg_eye_open(&eye, v, e->arena, jid_bare(j), srg_place_online, srg_place_online(jid_bare(j)));
    merge_roster(e, &eye);
    return HOOK_PASS;
}

static struct srg_view *view_now(const struct account *a)
{
    struct srg_view *v = srg_place_view_now(jid_host(account_jid(a)), NULL);
    return v && v->n_groups ? v : NULL;
}

static enum hook_verdict on_look(struct contact_look *c)
{
    struct srg_view *v = view_now(c->account);
    struct srg_eye eye;
    struct srg_item x;
    if (!v)
        return HOOK_PASS;
    struct arena *scratch = arena_new();
    struct str self = jid_bare(account_jid(c->account));
    srg_eye_open(&eye, v, scratch, self, srg_place_online, srg_place_online(self));
    if (srg_eye_look(&eye, jid_bare(c->who), &x)) {
        c->to = x.to;
        c->from = x.from;
        c->labels = c->arena ? ARENA_ARRAY(c->arena, struct str, x.n_labels + 1) : NULL;
        for (size_t i = 0; c->arena && i < x.n_labels; i++)
            c->labels[c->n_labels++] = arena_str(c->arena, x.labels[i]);
    }
    arena_release(&scratch);
    return HOOK_PASS;
}

static enum hook_verdict on_walk(struct contact_walk *w)
{
    struct srg_view *v = view_now(w->account);
    struct srg_eye eye;
    struct srg_item x;
    if (!v)
        return HOOK_PASS;
    struct arena *scratch = arena_new();
    struct str self = jid_bare(account_jid(w->account));
    srg_eye_open(&eye, v, scratch, self, srg_place_online, srg_place_online(self));
    while (srg_eye_next(&eye, &x))
        w->each(w->arg, srg_jid(x.jid), x.to, x.from);
    arena_release(&scratch);
    return HOOK_PASS;
}

static enum hook_verdict on_known(struct known_event *e) YIELDS;
static enum hook_verdict on_known(struct known_event *e)
{
    if (!e->stranger)
        srg_book_account(e->account, e->there);
    return HOOK_PASS;
}

static enum hook_verdict on_opened(struct session_event *e)
{
    srg_place_session(e->session->account, true);
    return HOOK_PASS;
}

static enum hook_verdict on_closed(struct session_event *e)
{
    srg_place_session(e->session->account, false);
    return HOOK_PASS;
}

/* --- acl type shared_group: asked where nothing may wait, so the view is fetched before it is needed --- */

static struct module mod_shared_roster;

static enum group_answer in_group(struct str group, struct str host, struct jid who)
{
    const struct config *c = config_current();
    const struct vhost *h = c ? config_host(c, host) : NULL;
    if (!h || !module_loaded(h->index, &mod_shared_roster))
        return GROUP_UNKNOWN;
    const struct srg_view *v = srg_place_view_now(host, NULL);
    if (!v) {
        srg_place_fetch(host);
        return GROUP_UNKNOWN;
    }
    switch (srg_view_belongs(v, group, who, str_eq(jid_host(who), host), srg_place_online(jid_bare(who)))) {
    case SRG_INSIDE:
        return GROUP_IN;
    case SRG_STRANGER:
        return GROUP_UNKNOWN;
    default:
        return GROUP_OUT;
    }
}

static void start(unsigned host)
{
    const struct vhost *h = &config_current()->hosts[host];
    access_groups_from(in_group);
    if (h->groups_named)
        srg_place_fetch(h->name);
}

static const struct hook_entry hooks[] = {
    ON(roster_load, ADD, on_roster), ON(contact_look, ADD, on_look), ON(contact_walk, ADD, on_walk),
    ON(account_known, STATE, on_known), ON(session_opened, STATE, on_opened), ON(session_closed, STATE, on_closed), {0}};

MODULE(mod_shared_roster) = {.name = "mod_shared_roster", .hooks = hooks, .start = start};
