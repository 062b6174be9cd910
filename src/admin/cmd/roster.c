/*
 * Commands of the tag roster that concern one account. They change the side of a local account only and tell its connected
 * clients; the other side is not asked and has no say. Those for many accounts are in roster_many.c. All wait for the store.
 */
#include "admin/command.h"

#include "core/account/subscribe.h"
#include "core/config/config.h"
#include "xml/writer.h"

#include <stdlib.h>

#define LOCAL T_BINARY("localuser", "Name of the account that the roster belongs to"), T_BINARY("localhost", "Its virtual host")
#define CONTACT T_BINARY("user", "Name of the contact"), T_BINARY("host", "Host of the contact")
#define OWNER T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")
#define NICK T_BINARY("nick", "What the contact is called in this roster")
#define SUBS T_BINARY("subs", "Subscription: `none`, `from`, `to` or `both`; `remove` takes the contact out")
#define OLD_HOSTS RENAMES({"localserver", "localhost"}, {"server", "host"})

/* --- whose --- */

/* The account that the call is about, pinned; NULL with a failure set. COMPAT(ejabberd): it need not exist. */
static struct account *owner_of(struct cmd_call *c, const char *user_arg, const char *host_arg, const char *words)
{
    struct str user, host;
    if (!arg_user(c, user_arg, &user) || !arg_host(c, host_arg, &host)) {
        cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_THROWN, QUOTE_TEXT, "error", "Invalid %s", words);
        return NULL;
    }
    const struct vhost *h = config_host(config_current(), host);
    if (!h || !roster_on(h->index)) {
        cmd_fail(c, ERR_INTERNAL, h ? "mod_roster is not loaded on %.*s" : "host %.*s is not served", STR_ARG(host));
        return NULL;
    }
    return account_pin(h->index, jid_join(c->arena, user, host, STR_NULL));
}

static bool contact_of(struct cmd_call *c, struct jid *out)
{
    struct str user, host;
    if (arg_user(c, "user", &user) && arg_host(c, "host", &host) && jid_make(c->arena, user, host, STR_NULL, out))
        return true;
    cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_THROWN, QUOTE_TEXT, "error", "Invalid 'user'/'server'");
    return false;
}

static int finish(struct cmd_call *c, enum store_rc rc)
{
    struct error err = ERROR_INIT;
    if (rc == STORE_OK || rc == STORE_NONE)
        return 0;
    if (rc == STORE_REFUSED || rc == STORE_LIMIT) {
        cmd_code(c, false);
        cmd_reason(c, rc == STORE_LIMIT ? "the roster is full" : "the texts cannot be stored");
        return 0;
    }
    store_error(rc, "roster", &err);
    return cmd_fail_error(c, &err);
}

/* --- one item --- */

static struct str *group_list(struct cmd_call *c, size_t *n_out)
{
    const struct value *v = arg_value(c, "groups");
    struct str *groups = ARENA_ARRAY(c->arena, struct str, v->n + 1);
    for (size_t i = 0; i < v->n; i++)
        groups[i] = v->items[i].s;
    *n_out = v->n;
    return groups;
}

static bool fits(struct cmd_call *c, const struct roster_item *i)
{
    bool ok = i->nick.n <= ROSTER_TEXT_MAX && i->n_groups <= ROSTER_GROUPS_MAX, sayable = xml_text_ok(i->nick);
    for (size_t g = 0; g < i->n_groups && g < ROSTER_GROUPS_MAX; g++) {
        ok = ok && i->groups[g].n <= ROSTER_TEXT_MAX;
        sayable = sayable && xml_text_ok(i->groups[g]);
    }
    if (ok && sayable)
        return true;
    cmd_code(c, false);
    if (ok)
        cmd_reason(c, "the nick or a group has characters that XML does not allow");
    else
        cmd_reason(c, "at most %d groups, and %d bytes for the nick and each of them", ROSTER_GROUPS_MAX, ROSTER_TEXT_MAX);
    return false;
}

static int add_rosteritem(struct cmd_call *c) YIELDS;
static int add_rosteritem(struct cmd_call *c)
{
    struct account *a = owner_of(c, "localuser", "localhost", "'localuser'/'localserver'");
    struct str subs = arg_str(c, "subs");
    struct roster_item i = {.nick = arg_str(c, "nick"), .ask = ROSTER_ASK_NONE};
    struct jid who;
    int rc = -1;
    if (!a)
        return -1;
    if (contact_of(c, &who)) {
        i.jid = jid_full(who);
        i.groups = group_list(c, &i.n_groups);
        rc = 0;
        if (str_eq(subs, S("remove")))
            rc = finish(c, subscribe_impose_removal(a, &who, 1));
        else if (subscription_parse(subs, &i.subscription)) {
            if (fits(c, &i))
                rc = finish(c, subscribe_impose(a, &i, &who, 1));
        } else {
            cmd_code(c, false);
            cmd_reason(c, "subs has to be one of none, from, to, both and remove");
        }
    }
    account_unpin(a);
    return rc;
}

static int delete_rosteritem(struct cmd_call *c) YIELDS;
static int delete_rosteritem(struct cmd_call *c)
{
    struct account *a = owner_of(c, "localuser", "localhost", "'localuser'/'localserver'");
    struct jid who;
    int rc = -1;
    if (!a)
        return -1;
    if (contact_of(c, &who)) {
        rc = 0;
        if (c->dry_run)
            cmd_would(c, arena_printf(c->arena, "contact %.*s of %.*s", STR_ARG(jid_full(who)), STR_ARG(jid_full(account_jid(a)))));
        else
            rc = finish(c, subscribe_impose_removal(a, &who, 1));
    }
    account_unpin(a);
    return rc;
}

/* Up to version 0 there was one group; the empty text is a group too, COMPAT(ejabberd). */
static void group_to_groups(struct cmd_call *c, const struct value *in, struct value *out)
{
    memcpy(out, in, 7 * sizeof(*out));
    out[5] = (struct value){.items = ARENA_NEW(c->arena, struct value), .n = 1};
    out[5].items[0] = in[5];
}

ADMIN_CMD(add_rosteritem) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "localuser", .home_host = "localhost",
    .elsewhere = "host", .run = add_rosteritem,
    .brief = "Put a contact into the roster of an account, or replace what is there",
    .text = "Connected clients of the account get a roster push. The contact's own roster stays as it is.", OLD_HOSTS,
    SHAPES({.api = 1, .note = "updated in 24.02", ARGS(LOCAL, CONTACT, NICK,
                 T_LIST("groups", "Groups of the roster that show the contact", T_BINARY("group", NULL)), SUBS),
            RESULT(T_RESCODE("res")),
            EXAMPLE("user1", "myserver.com", "user2", "myserver.com", "User 2", "Friends,Team 1", "both")},
           {ARGS(LOCAL, CONTACT, NICK, T_BINARY("group", "Group of the roster that shows the contact"), SUBS),
            RESULT(T_RESCODE("res")), .to_newest = group_to_groups,
            EXAMPLE("user1", "myserver.com", "user2", "myserver.com", "User 2", "Friends", "both")}),
};

ADMIN_CMD(delete_rosteritem) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "localuser", .home_host = "localhost",
    .elsewhere = "host", .flags = CMD_DRY_RUN, .run = delete_rosteritem,
    .brief = "Take a contact out of the roster of an account",
    .text = "Connected clients of the account get a roster push. The contact's own roster stays as it is.", OLD_HOSTS,
    SHAPES({ARGS(LOCAL, CONTACT), RESULT(T_RESCODE("res")), EXAMPLE("user1", "myserver.com", "user2", "myserver.com")}),
};

/* --- a roster --- */

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(((const struct value *)a)->s, ((const struct value *)b)->s);
}

/* Sorted, as SQL storage has them there. */
static struct value groups_value(struct arena *a, const struct roster_item *i)
{
    struct value v = {.items = ARENA_ARRAY(a, struct value, i->n_groups + 1), .n = i->n_groups};
    for (size_t g = 0; g < i->n_groups; g++)
        v.items[g] = value_str(i->groups[g]);
    qsort(v.items, v.n, sizeof *v.items, by_bytes);
    return v;
}

static void add_contact_row(struct cmd_call *c, const struct roster_item *i)
{
    struct value *f = cmd_add_row(c)->items;
    f[0] = value_str(i->jid);
    f[1] = value_str(i->nick);
    f[2] = value_cstr(subscription_name(i->subscription));
    f[3] = value_cstr(i->ask == ROSTER_ASK_OUT || i->ask == ROSTER_ASK_BOTH ? "subscribe" : "undefined");
    f[4] = groups_value(c->arena, i);
}

static int get_roster(struct cmd_call *c) YIELDS;
static int get_roster(struct cmd_call *c)
{
    struct account *a = owner_of(c, "user", "host", "'user'/'server'");
    struct roster items;
    struct str ver;
    if (!a)
        return -1;
    enum store_rc rc = account_roster_read(a, c->arena, STR_NULL, &items, &ver);
    if (rc == STORE_OK) {
        account_roster_unlock(a);
        for (size_t i = 0; i < items.n; i++)
            if (!roster_item_hidden(&items.items[i]))
                add_contact_row(c, &items.items[i]);
    }
    account_unpin(a);
    return finish(c, rc);
}

/* What is in memory is counted there, else by the store. With what modules add it has to be there. */
static int get_roster_count(struct cmd_call *c) YIELDS;
static int get_roster_count(struct cmd_call *c)
{
    struct account *a = owner_of(c, "user", "host", "'user'/'server'");
    uint64_t n = 0;
    if (!a)
        return -1;
    struct jid j = account_jid(a);
    enum store_rc rc = account_has_shared(a) ? account_roster_load(a) : STORE_OK;
    if (rc == STORE_OK && account_roster_is_loaded(a))
        n = account_contacts_visible(a) + account_contacts_shared(a);
    else if (rc == STORE_OK)
        rc = roster_count(jid_host(j), jid_user(j), &n);
    cmd_int(c, (int64_t)n);
    account_unpin(a);
    return finish(c, rc);
}

ADMIN_CMD(get_roster) = {
    .tags = "roster", .module = "mod_admin_extra", .policy = POLICY_USER, .where = RUNS_AT_HOME, .home_user = "user",
    .home_host = "host", .flags = CMD_READS, .run = get_roster, .brief = "List the contacts of an account",
    .text = "`subscription` is one of `none`, `from`, `to` and `both`.\n\n"
            "`pending` is `subscribe` while the contact has not answered a request, and `undefined` otherwise.",
    RENAMES({"server", "host"}),
    SHAPES({.note = "improved in 23.10", ARGS(OWNER),
            RESULT(T_LIST("contacts", NULL,
                          T_TUPLE("contact", T_STRING("jid", NULL), T_STRING("nick", NULL), T_STRING("subscription", NULL),
                                  T_STRING("pending", NULL), T_LIST("groups", NULL, T_STRING("group", NULL))))),
            SHOWS("user2@localhost", "User 2", "none", "subscribe", "Group1")}),
};

ADMIN_CMD(get_roster_count) = {
    .tags = "roster", .module = "mod_admin_extra", .policy = POLICY_USER, .where = RUNS_AT_HOME, .home_user = "user",
    .home_host = "host", .flags = CMD_READS, .run = get_roster_count, .brief = "Count the contacts of an account",
    RENAMES({"server", "host"}),
    SHAPES({.note = "added in 24.06", ARGS(OWNER), RESULT(T_INTEGER("value", "Number of contacts")), SHOWS("5")}),
};
