/* Views of shared roster groups, see the header. Any thread; nothing suspends. */
#include "mod/api/srg_view.h"

#include "base/hash.h"
#include <stdlib.h>

/* --- building --- */

struct membership {
    struct str jid;
    uint32_t group;
};

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int by_jid(const void *a, const void *b)
{
    const struct membership *x = a, *y = b;
    int d = str_cmp(x->jid, y->jid);
    return d ? d : x->group < y->group ? -1 : x->group > y->group;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool flag(const struct srg_group *g, const char *name)
{
    const struct srg_opt *o = srg_opts_find(&g->opts, str_of(name), SRG_FLAG);
    const struct srg_opt *word = srg_opts_find(&g->opts, str_of(name), SRG_TEXT); /* srg_set_info of ejabberd writes it so */
    return (o && o->on) || (word && str_eq(word->text, S("true")));
}

bool srg_needs_accounts(const struct srg_group *groups, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (flag(&groups[i], "all_users") || flag(&groups[i], "online_users"))
            return true;
    return false;
}

static void name_group(struct srg_view *v, struct srg_node *to, const struct srg_group *g)
{
    const struct srg_opt *label = srg_opts_find(&g->opts, S("label"), SRG_TEXT);
    to->name = arena_str(v->arena, g->name);
    to->label = label && label->text.n ? arena_str(v->arena, label->text) : to->name; /* RFC 6121 §2.1.2.6: not empty */
    if (flag(g, "disabled"))
        return;
    to->all = flag(g, "all_users");
    to->online = flag(g, "online_users");
    v->everybody |= to->all || to->online;
    v->online |= to->online;
}

static const struct srg_group *find_group(const struct srg_group *groups, size_t n, struct str name, uint32_t *at_out)
{
    for (size_t lo = 0, hi = n; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        int d = str_cmp(name, groups[mid].name);
        if (d == 0) {
            *at_out = (uint32_t)mid;
            return &groups[mid];
        }
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* Which groups a group displays; those that do not exist or are disabled are left out. */
static void connect(struct srg_view *v, const struct srg_group *groups, size_t n, uint32_t g)
{
    const struct srg_opt *d = srg_opts_find(&groups[g].opts, S("displayed_groups"), SRG_LIST);
    struct srg_node *node = &v->groups[g];
    uint32_t *shows, count = 0, at;
    if (!d || flag(&groups[g], "disabled"))
        return;
    shows = ARENA_ARRAY(v->arena, uint32_t, d->n + 1);
    for (size_t i = 0; i < d->n; i++) {
        const struct srg_group *other = find_group(groups, n, d->items[i], &at);
        if (other && !flag(other, "disabled"))
            shows[count++] = at;
    }
    qsort(shows, count, sizeof *shows, by_number);
    for (uint32_t i = 0; i < count; i++)
        if (!i || shows[i] != shows[i - 1])
            shows[node->n_shows++] = shows[i];
    node->shows = shows;
}

static void connect_back(struct srg_view *v)
{
    uint32_t **back = ARENA_ARRAY(v->arena, uint32_t *, v->n_groups + 1);
    for (size_t g = 0; g < v->n_groups; g++)
        for (uint32_t i = 0; i < v->groups[g].n_shows; i++)
            v->groups[v->groups[g].shows[i]].n_shown_to++;
    for (size_t g = 0; g < v->n_groups; g++) {
        v->groups[g].shown_to = back[g] = ARENA_ARRAY(v->arena, uint32_t, v->groups[g].n_shown_to + 1);
        v->groups[g].n_shown_to = 0;
    }
    for (uint32_t g = 0; g < v->n_groups; g++)
        for (uint32_t i = 0; i < v->groups[g].n_shows; i++) {
            uint32_t other = v->groups[g].shows[i];
            back[other][v->groups[other].n_shown_to++] = g;
        }
}

/* Every membership, by address and group. */
static struct membership *memberships(struct srg_view *v, struct arena *scratch, const struct srg_group *groups,
                                      const struct srg_members *members, size_t *n_out)
{
    size_t room = 0, n = 0;
    for (size_t g = 0; g < v->n_groups; g++)
        room += members[g].n;
    struct membership *all = ARENA_ARRAY(scratch, struct membership, room + 1);
    for (uint32_t g = 0; g < v->n_groups; g++)
        for (size_t i = 0; i < members[g].n && !flag(&groups[g], "disabled"); i++) {
            struct jid j;
            if (jid_parse(scratch, members[g].jids[i], &j))
                all[n++] = (struct membership){jid_bare(j), g};
        }
    qsort(all, n, sizeof *all, by_jid);
    *n_out = n;
    return all;
}

/* Merges accounts and members; takes each address once. */
static void collect(struct srg_view *v, const struct membership *m, size_t n, const struct str *accounts, size_t n_accounts)
{
    uint32_t *groups = ARENA_ARRAY(v->arena, uint32_t, n + 1);
    v->addresses = ARENA_ARRAY(v->arena, struct srg_address, n + n_accounts + 1);
    for (size_t i = 0, k = 0; i < n || k < n_accounts;) {
        struct srg_address *to = &v->addresses[v->n_addresses++];
        int d = i == n ? 1 : k == n_accounts ? -1 : str_cmp(m[i].jid, accounts[k]);
        struct str jid = d <= 0 ? m[i].jid : accounts[k];
        *to = (struct srg_address){.jid = arena_str(v->arena, jid), .groups = groups, .account = d >= 0};
        while (k < n_accounts && str_eq(accounts[k], jid))
            k++;
        for (; i < n && str_eq(m[i].jid, jid); i++)
            if (!to->n_groups || groups[-1] != m[i].group) {
                *groups++ = m[i].group;
                to->n_groups++;
            }
    }
}

static void list_members(struct srg_view *v)
{
    uint32_t **lists = ARENA_ARRAY(v->arena, uint32_t *, v->n_groups + 1);
    for (size_t i = 0; i < v->n_addresses; i++)
        for (uint32_t g = 0; g < v->addresses[i].n_groups; g++)
            v->groups[v->addresses[i].groups[g]].n_members++;
    for (size_t g = 0; g < v->n_groups; g++) {
        v->groups[g].members = lists[g] = ARENA_ARRAY(v->arena, uint32_t, v->groups[g].n_members + 1);
        v->groups[g].n_members = 0;
    }
    for (uint32_t i = 0; i < v->n_addresses; i++)
        for (uint32_t k = 0; k < v->addresses[i].n_groups; k++) {
            uint32_t g = v->addresses[i].groups[k];
            lists[g][v->groups[g].n_members++] = i;
        }
}

struct srg_view *srg_view_new(const struct srg_group *groups, const struct srg_members *members, size_t n,
                              const struct str *accounts, size_t n_accounts)
{
    struct arena *a = arena_new(), *scratch = arena_new();
    struct srg_view *v = ARENA_NEW(a, struct srg_view);
    struct str *sorted = ARENA_ARRAY(scratch, struct str, n_accounts + 1);
    size_t n_all;
    v->arena = a;
    v->n_groups = n;
    v->groups = ARENA_ARRAY(a, struct srg_node, n + 1);
    for (uint32_t g = 0; g < n; g++) {
        name_group(v, &v->groups[g], &groups[g]);
        connect(v, groups, n, g);
    }
    connect_back(v);
    struct membership *all = memberships(v, scratch, groups, members, &n_all);
    if (n_accounts)
        memcpy(sorted, accounts, n_accounts * sizeof *sorted);
    qsort(sorted, n_accounts, sizeof *sorted, by_text);
    collect(v, all, n_all, sorted, n_accounts);
    list_members(v);
    arena_release(&scratch);
    return v;
}

static bool same_numbers(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b)
{
    return n_a == n_b && (!n_a || memcmp(a, b, n_a * sizeof *a) == 0);
}

static bool same_groups(const struct srg_view *a, const struct srg_view *b)
{
    if (a->n_groups != b->n_groups)
        return false;
    for (size_t i = 0; i < a->n_groups; i++) {
        const struct srg_node *x = &a->groups[i], *y = &b->groups[i];
        if (!str_eq(x->name, y->name) || !str_eq(x->label, y->label) || x->all != y->all || x->online != y->online ||
            !same_numbers(x->shows, x->n_shows, y->shows, y->n_shows))
            return false;
    }
    return true;
}

enum srg_difference srg_view_difference(const struct srg_view *a, const struct srg_view *b, struct str *who_out)
{
    size_t different = 0;
    if (!same_groups(a, b))
        return SRG_ANY;
    for (size_t i = 0, k = 0; different < 2 && (i < a->n_addresses || k < b->n_addresses);) {
        const struct srg_address *x = &a->addresses[i], *y = &b->addresses[k];
        int d = i == a->n_addresses ? 1 : k == b->n_addresses ? -1 : str_cmp(x->jid, y->jid);
        if (d != 0 || x->account != y->account || !same_numbers(x->groups, x->n_groups, y->groups, y->n_groups)) {
            *who_out = d <= 0 ? x->jid : y->jid;
            different++;
        }
        i += d <= 0;
        k += d >= 0;
    }
    return different == 0 ? SRG_ALIKE : different == 1 ? SRG_ONE : SRG_ANY;
}

struct srg_view *srg_view_hold(struct srg_view *v)
{
    arena_hold(v->arena);
    return v;
}

void srg_view_release(struct srg_view **v)
{
    struct arena *a = *v ? (*v)->arena : NULL;
    *v = NULL;
    arena_release(&a);
}

struct jid srg_jid(struct str bare)
{
    ptrdiff_t at = str_find(bare, '@');
    size_t user = at < 0 ? 0 : (size_t)at;
    return (struct jid){bare.p, (uint16_t)user, (uint16_t)(bare.n - (at < 0 ? 0 : user + 1)), 0};
}

/* --- looking --- */

static const struct srg_address *find_address(const struct srg_view *v, struct str jid)
{
    for (size_t lo = 0, hi = v->n_addresses; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        int d = str_cmp(jid, v->addresses[mid].jid);
        if (d == 0)
            return &v->addresses[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

bool srg_view_has_member(const struct srg_view *v, struct str jid)
{
    const struct srg_address *a = find_address(v, jid);
    return a && a->n_groups;
}

static const struct srg_node *find_node(const struct srg_view *v, struct str name, uint32_t *at_out)
{
    for (size_t lo = 0, hi = v->n_groups; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        int d = str_cmp(name, v->groups[mid].name);
        *at_out = (uint32_t)mid;
        if (d == 0)
            return &v->groups[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

enum srg_belongs srg_view_belongs(const struct srg_view *v, struct str group, struct jid who, bool of_host, bool online)
{
    uint32_t at;
    const struct srg_node *g = find_node(v, group, &at);
    const struct srg_address *a = g ? find_address(v, jid_bare(who)) : NULL;
    for (uint32_t i = 0; a && i < a->n_groups; i++)
        if (a->groups[i] == at)
            return SRG_INSIDE;
    if (a && a->account && (g->all || (g->online && online)))
        return SRG_INSIDE;
    return g && g->all && of_host && !(a && a->account) ? SRG_STRANGER : SRG_OUTSIDE;
}

/* The account is in this group. */
static void enter(struct srg_eye *e, const struct srg_node *g)
{
    for (uint32_t i = 0; i < g->n_shows; i++)
        e->to[g->shows[i]] = 1;
    for (uint32_t i = 0; i < g->n_shown_to; i++)
        e->from[g->shown_to[i]] = 1;
}

static void note_lists(struct srg_eye *e)
{
    for (uint32_t g = 0; g < e->v->n_groups; g++) {
        const struct srg_node *node = &e->v->groups[g];
        if (!e->to[g] && !e->from[g])
            continue;
        e->lists[e->n_lists++] = g;
        e->everybody_to |= node->all && e->to[g];
        e->everybody_from |= node->all && e->from[g];
        e->online_to |= node->online && e->to[g];
        e->online_from |= node->online && e->from[g];
        e->walks_everybody |= node->all || node->online;
    }
}

void srg_eye_open(struct srg_eye *e, const struct srg_view *v, struct arena *scratch, struct str self,
                  bool (*online)(struct str jid), bool self_online)
{
    const struct srg_address *me = find_address(v, self);
    *e = (struct srg_eye){.v = v, .self = self, .online = online};
    e->to = ARENA_ARRAY(scratch, uint8_t, v->n_groups + 1);
    e->from = ARENA_ARRAY(scratch, uint8_t, v->n_groups + 1);
    for (size_t g = 0; me && v->everybody && g < v->n_groups; g++)
        if ((v->groups[g].all && me->account) || (v->groups[g].online && me->account && self_online))
            enter(e, &v->groups[g]);
    for (uint32_t i = 0; me && i < me->n_groups; i++)
        enter(e, &v->groups[me->groups[i]]);
    e->lists = ARENA_ARRAY(scratch, uint32_t, v->n_groups + 1);
    e->at = ARENA_ARRAY(scratch, uint32_t, v->n_groups + 1);
    e->labels = ARENA_ARRAY(scratch, struct str, v->n_groups + 1);
    note_lists(e);
}

static void add_label(struct srg_eye *e, struct srg_item *out, struct str label)
{
    for (size_t i = 0; i < out->n_labels; i++)
        if (str_eq(e->labels[i], label))
            return;
    e->labels[out->n_labels++] = label;
}

static bool describe(struct srg_eye *e, const struct srg_address *a, struct srg_item *out)
{
    bool online = (e->online_to || e->online_from) && a->account && e->online && e->online(a->jid);
    *out = (struct srg_item){.jid = a->jid, .labels = e->labels};
    if (str_eq(a->jid, e->self))
        return false;
    for (uint32_t i = 0; i < a->n_groups; i++) {
        if (e->to[a->groups[i]])
            add_label(e, out, e->v->groups[a->groups[i]].label);
        out->from |= e->from[a->groups[i]];
    }
    out->from |= (e->everybody_from && a->account) || (e->online_from && online);
    if ((e->everybody_to && a->account) || (e->online_to && online))
        for (uint32_t i = 0; i < e->n_lists; i++) {
            const struct srg_node *g = &e->v->groups[e->lists[i]];
            if (e->to[e->lists[i]] && (g->all || (g->online && online)))
                add_label(e, out, g->label);
        }
    out->to = out->n_labels > 0;
    return out->to || out->from;
}

/* The lowest of what the lists have next; each list that stands there goes on. */
static bool next_listed(struct srg_eye *e, uint32_t *index_out)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < e->n_lists; i++) {
        const struct srg_node *g = &e->v->groups[e->lists[i]];
        if (e->at[i] < g->n_members && g->members[e->at[i]] < best)
            best = g->members[e->at[i]];
    }
    for (uint32_t i = 0; i < e->n_lists; i++) {
        const struct srg_node *g = &e->v->groups[e->lists[i]];
        if (e->at[i] < g->n_members && g->members[e->at[i]] == best)
            e->at[i]++;
    }
    *index_out = best;
    return best != UINT32_MAX;
}

bool srg_eye_next(struct srg_eye *e, struct srg_item *out)
{
    uint32_t i;
    while (e->walks_everybody ? (i = e->everybody_at++) < e->v->n_addresses : next_listed(e, &i))
        if (describe(e, &e->v->addresses[i], out))
            return true;
    return false;
}

bool srg_eye_look(struct srg_eye *e, struct str jid, struct srg_item *out)
{
    const struct srg_address *a = e->n_lists ? find_address(e->v, jid) : NULL;
    return a && describe(e, a, out);
}

uint64_t srg_item_hash(const struct srg_item *i)
{
    uint64_t h = hash_stable(i->jid.p, i->jid.n) * 4 + (i->to ? 2 : 0) + (i->from ? 1 : 0);
    for (size_t k = 0; i->to && k < i->n_labels; k++)
        h = (h ^ hash_stable(i->labels[k].p, i->labels[k].n)) * 0x9e3779b97f4a7c15u;
    return i->to ? h : 0;
}
