/*
 * Commands of the tag shared_roster_group: groups of accounts that appear in one another's rosters. A group is named by its
 * identifier and a virtual host.
 */
#include "admin/command.h"

#include "core/account/roster.h"
#include "core/config/config.h"
#include "mod/api/shared_roster.h"
#include "store/srg.h"
#include "xml/writer.h"
#include "xmpp/jid.h"

#define GROUP T_BINARY("group", "Identifier of the group")
#define HOST T_BINARY("host", "Virtual host of the group")
#define LABEL T_BINARY("label", "Name that rosters show")
#define DESCRIPTION T_BINARY("description", "What the group is for; rosters do not show it")
#define DISPLAY_HELP "Identifiers of the groups that the members see in their rosters"
#define SRG .tags = "shared_roster_group", .module = "mod_admin_extra", .where = RUNS_HERE

/* --- what they have in common --- */

/* COMPAT(ejabberd): no host of this server is an internal error. */
static int served(struct cmd_call *c, const char *name, struct str *host_out)
{
    if (arg_host(c, name, host_out) && config_host(config_current(), *host_out))
        return 0;
    return cmd_fail_as(c, ERR_INTERNAL, FAIL_CRASH, QUOTE_NONE, "error", "%s: no virtual host of this server: %.*s", name,
                       STR_ARG(arg_str(c, name)));
}

static int store_failed(struct cmd_call *c, enum store_rc rc)
{
    struct error err = ERROR_INIT;
    store_error(rc, "shared roster groups", &err);
    return cmd_fail_error(c, &err);
}

enum verdict { DONE, UNKNOWN_GROUP, NOT_DISPLAYED };

/* One change of the tables. Lives in an arena of its own, because it may outlast the call. */
struct change {
    struct arena *arena;
    struct str host, group, text; /* text: another group, a member, or what `name` is set to */
    const char *name;             /* of an option */
    struct srg_opts opts;
    struct str *list;
    size_t n_list;
    bool on;
    enum verdict verdict;         /* out: not DONE: nothing was changed, and `text` says which */
};

static struct change *change_new(struct cmd_call *c, struct str host)
{
    struct arena *a = arena_new();
    struct change *x = ARENA_NEW(a, struct change);
    *x = (struct change){.arena = a, .host = arena_str(a, host), .group = arena_str(a, arg_str(c, "group"))};
    return x;
}

/* Runs it; -1: the call has failed. STORE_NONE is no failure here. The change lives until change_end. */
static int change_run(struct cmd_call *c, struct change *x, enum store_rc (*edit)(void *arg) YIELDS) YIELDS;
static int change_run(struct cmd_call *c, struct change *x, enum store_rc (*edit)(void *arg))
{
    struct error err = ERROR_INIT;
    enum store_rc rc;
    if (shared_roster_edit(x->host, edit, x, x->arena, &rc, &err) != 0)
        return cmd_fail_error(c, &err);
    if (rc == STORE_REFUSED)
        return cmd_fail(c, ERR_BAD_ARGUMENT, "group: no identifier: \"%.*s\"", STR_ARG(x->group));
    return rc == STORE_OK || rc == STORE_NONE || rc == STORE_CONFLICT ? 0 : store_failed(c, rc);
}

static void change_end(struct change *x)
{
    struct arena *a = x->arena;
    arena_release(&a);
}

/* Runs it and ends it; the result is 0. */
static int change_done(struct cmd_call *c, struct change *x, enum store_rc (*edit)(void *arg) YIELDS) YIELDS;
static int change_done(struct cmd_call *c, struct change *x, enum store_rc (*edit)(void *arg))
{
    int rc = change_run(c, x, edit);
    if (rc == 0)
        cmd_code(c, true);
    change_end(x);
    return rc;
}

static void put_text(struct change *x, const char *name, struct str text)
{
    srg_opts_put(x->arena, &x->opts, &(struct srg_opt){.name = str_of(name), .kind = SRG_TEXT, .text = text});
}

static void put_list(struct change *x, struct str *items, size_t n)
{
    srg_opts_put(x->arena, &x->opts, &(struct srg_opt){.name = S("displayed_groups"), .kind = SRG_LIST, .items = items, .n = n});
}

/* Of the group as it is; none when there is no such group. */
static enum store_rc load_opts(struct change *x) YIELDS;
static enum store_rc load_opts(struct change *x)
{
    struct srg_group g;
    enum store_rc rc = srg_get(x->arena, x->host, x->group, &g);
    x->opts = rc == STORE_OK ? g.opts : (struct srg_opts){.n = 0};
    return rc;
}

static bool is_group(struct change *x, struct str name, enum store_rc *rc_out) YIELDS;
static bool is_group(struct change *x, struct str name, enum store_rc *rc_out)
{
    struct srg_group g;
    *rc_out = srg_get(x->arena, x->host, name, &g);
    return *rc_out == STORE_OK;
}

/* --- groups --- */

/* Of a long list: each goes out as it is found. */
struct sending {
    struct cmd_call *c;
    int rc;
};

static bool send_text(struct str text, void *arg) YIELDS;
static bool send_text(struct str text, void *arg)
{
    struct sending *s = arg;
    struct value row = value_str(text);
    if (cmd_stream_row(s->c, &row) < 0)
        s->rc = cmd_fail(s->c, ERR_INTERNAL, "nobody takes the rest of the list");
    return s->rc == 0;
}

static int list_groups(struct cmd_call *c) YIELDS;
static int list_groups(struct cmd_call *c)
{
    struct sending s = {.c = c};
    struct str host;
    if (served(c, "host", &host) != 0)
        return -1;
    enum store_rc rc = srg_each_name(host, c->page.after, send_text, &s);
    return rc == STORE_OK ? s.rc : store_failed(c, rc);
}

ADMIN_CMD(srg_list) = {
    SRG, .flags = CMD_READS | CMD_PAGES, .run = list_groups, .brief = "List the shared roster groups of a virtual host",
    SHAPES({ARGS(T_BINARY("host", "Virtual host of this server")),
            RESULT(T_LIST("groups", "Identifiers of the groups", T_STRING("id", NULL))), EXAMPLE("myserver.com"),
            SHOWS("group1", "group2")}),
};

/* Up to version 0 the groups were one text, with a backslash and the letter n between them. */
static void display_to_list(struct cmd_call *c, const struct value *in, struct value *out)
{
    struct str text = in[4].s;
    size_t start = 0;
    memcpy(out, in, 5 * sizeof(*out));
    out[4] = (struct value){.items = ARENA_ARRAY(c->arena, struct value, text.n / 2 + 1)};
    for (size_t i = 0; i <= text.n; i++) {
        bool cut = i + 1 < text.n && text.p[i] == '\\' && text.p[i + 1] == 'n';
        if (!cut && i < text.n)
            continue;
        if (i > start)
            out[4].items[out[4].n++].s = str_n(text.p + start, i - start);
        start = i + 2;
    }
}

static enum store_rc create_edit(void *arg) YIELDS;
static enum store_rc create_edit(void *arg)
{
    struct change *x = arg;
    enum store_rc rc = STORE_OK;
    for (size_t i = 0; i < x->n_list; i++)
        if (!str_eq(x->list[i], x->group) && !is_group(x, x->list[i], &rc)) {
            x->verdict = UNKNOWN_GROUP;
            x->text = x->list[i];
            return rc;
        }
    return srg_set(x->host, x->group, &x->opts);
}

/* COMPAT(ejabberd): the tool prints the term. */
static void refused(struct cmd_call *c, const struct change *x)
{
    bool unknown = x->verdict == UNKNOWN_GROUP;
    struct str word = arena_printf(c->arena, unknown ? "{wrong_displayed_groups,[<<\"%.*s\">>]}"
                                                     : "{inexistent_displayed_groups,<<\"%.*s\">>}", STR_ARG(x->text));
    cmd_code_word(c, word.p);
    cmd_reason(c, unknown ? "there is no group \"%.*s\"" : "the group \"%.*s\" was not displayed", STR_ARG(x->text));
}

static int change_answer(struct cmd_call *c, struct change *x, enum store_rc (*edit)(void *arg) YIELDS) YIELDS;
static int change_answer(struct cmd_call *c, struct change *x, enum store_rc (*edit)(void *arg))
{
    int rc = change_run(c, x, edit);
    if (rc == 0 && x->verdict != DONE)
        refused(c, x);
    else if (rc == 0)
        cmd_code(c, true);
    change_end(x);
    return rc;
}

/* An identifier has to be the name of somebody, COMPAT(ejabberd). */
static int check_name(struct cmd_call *c, const char *name)
{
    struct str out;
    if (arg_user(c, name, &out) && out.n)
        return 0;
    return cmd_fail_as(c, ERR_INTERNAL, FAIL_CRASH, QUOTE_NONE, "error", "%s: no identifier: \"%.*s\"", name,
                       STR_ARG(arg_str(c, name)));
}

/* Clients see it as a group of their rosters: what add_rosteritem says of those holds here too. */
static bool is_label(struct str text)
{
    return text.n <= ROSTER_TEXT_MAX && xml_text_ok(text);
}

static int no_label(struct cmd_call *c)
{
    cmd_code(c, false);
    cmd_reason(c, "label: at most %d bytes of characters that XML allows", ROSTER_TEXT_MAX);
    return 0;
}

/* A group without a label is seen under its identifier. */
static int check_identifier(struct cmd_call *c)
{
    struct str group = arg_str(c, "group");
    if (group.n && is_label(group))
        return 0;
    return cmd_fail(c, ERR_BAD_ARGUMENT, "group: no identifier: \"%.*s\"", STR_ARG(group));
}

static int create_group(struct cmd_call *c) YIELDS;
static int create_group(struct cmd_call *c)
{
    const struct value *display = arg_value(c, "display");
    struct str host;
    if (served(c, "host", &host) != 0 || check_name(c, "group") != 0)
        return -1;
    if (!is_label(arg_str(c, "label")))
        return no_label(c);
    struct change *x = change_new(c, host);
    x->list = ARENA_ARRAY(x->arena, struct str, display->n + 1);
    for (size_t i = 0; i < display->n; i++)
        if (display->items[i].s.n)
            x->list[x->n_list++] = arena_str(x->arena, display->items[i].s);
    put_text(x, "description", arena_str(x->arena, arg_str(c, "description")));
    put_list(x, x->list, x->n_list);
    put_text(x, "label", arena_str(x->arena, arg_str(c, "label")));
    return change_answer(c, x, create_edit);
}

ADMIN_CMD(srg_create) = {
    SRG, .run = create_group, .brief = "Create a shared roster group, or give one another name, description and display",
    .text = "The groups to display must exist, apart from the new one itself. Members of a group that is there already stay.",
    RENAMES({"name", "label"}),
    SHAPES({.api = 1, .note = "updated in 24.02",
            ARGS(GROUP, HOST, LABEL, DESCRIPTION, T_LIST("display", DISPLAY_HELP, T_BINARY("group", NULL))),
            RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com", "Group3", "Third group", "group1,group2")},
           {.note = "changed in 21.07",
            ARGS(GROUP, HOST, LABEL, DESCRIPTION, T_BINARY("display", DISPLAY_HELP ", separated by `\\n`")),
            RESULT(T_RESCODE("res")), .to_newest = display_to_list,
            EXAMPLE("group3", "myserver.com", "Group3", "Third group", "group1\\\\ngroup2")}),
};

/* A group that is there stays as it is. */
static enum store_rc add_edit(void *arg) YIELDS;
static enum store_rc add_edit(void *arg)
{
    struct change *x = arg;
    enum store_rc rc;
    if (is_group(x, x->group, &rc))
        return STORE_CONFLICT;
    return rc == STORE_NONE ? srg_set(x->host, x->group, &x->opts) : rc;
}

static int add_group(struct cmd_call *c) YIELDS;
static int add_group(struct cmd_call *c)
{
    struct str host;
    if (served(c, "host", &host) != 0 || check_name(c, "group") != 0)
        return -1;
    struct change *x = change_new(c, host);
    put_text(x, "description", S(""));
    put_list(x, NULL, 0);
    put_text(x, "label", S(""));
    return change_done(c, x, add_edit);
}

ADMIN_CMD(srg_add) = {
    SRG, .run = add_group, .brief = "Create a shared roster group that has an identifier and nothing else",
    SHAPES({.note = "added in 24.06", ARGS(GROUP, HOST), RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com")}),
};

static enum store_rc delete_edit(void *arg) YIELDS;
static enum store_rc delete_edit(void *arg)
{
    struct change *x = arg;
    return srg_remove(x->host, x->group);
}

static bool would_end(struct str member, void *arg)
{
    struct arena *a = arena_new();
    cmd_would(arg, arena_printf(a, "membership of %.*s", STR_ARG(member)));
    arena_release(&a);
    return true;
}

static int would_delete(struct cmd_call *c, struct str host) YIELDS;
static int would_delete(struct cmd_call *c, struct str host)
{
    struct str group = arg_str(c, "group");
    struct srg_group g;
    enum store_rc rc = srg_get(c->arena, host, group, &g);
    if (rc == STORE_OK) {
        cmd_would(c, arena_printf(c->arena, "shared roster group %.*s of %.*s", STR_ARG(group), STR_ARG(host)));
        rc = srg_each_member(host, group, STR_NULL, would_end, c);
    }
    if (rc != STORE_OK && rc != STORE_NONE)
        return store_failed(c, rc);
    cmd_code(c, true);
    return 0;
}

static int delete_group(struct cmd_call *c) YIELDS;
static int delete_group(struct cmd_call *c)
{
    struct str host;
    if (served(c, "host", &host) != 0)
        return -1;
    return c->dry_run ? would_delete(c, host) : change_done(c, change_new(c, host), delete_edit);
}

ADMIN_CMD(srg_delete) = {
    SRG, .flags = CMD_DRY_RUN, .run = delete_group,
    .brief = "Remove a shared roster group; its members' accounts stay",
    SHAPES({ARGS(GROUP, HOST), RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com")}),
};

/* --- what a group says of itself --- */

static struct str list_text(struct arena *a, const struct srg_opt *o)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < o->n; i++) {
        if (i)
            buf_add(&b, ", ", 2);
        buf_add(&b, o->items[i].p, o->items[i].n);
    }
    struct str out = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return out;
}

static struct str opt_text(struct arena *a, const struct srg_opt *o)
{
    switch (o->kind) {
    case SRG_LIST: return list_text(a, o);
    case SRG_FLAG: return o->on ? S("true") : S("false");
    default: return o->text;
    }
}

/* The settings of the group that is asked about; one that is not there has none. */
static int asked_opts(struct cmd_call *c, struct srg_opts *out) YIELDS;
static int asked_opts(struct cmd_call *c, struct srg_opts *out)
{
    struct str host;
    struct srg_group g;
    *out = (struct srg_opts){.n = 0};
    if (served(c, "host", &host) != 0)
        return -1;
    enum store_rc rc = srg_get(c->arena, host, arg_str(c, "group"), &g);
    if (rc == STORE_OK)
        *out = g.opts;
    return rc == STORE_OK || rc == STORE_NONE ? 0 : store_failed(c, rc);
}

static int get_info(struct cmd_call *c) YIELDS;
static int get_info(struct cmd_call *c)
{
    struct srg_opts o;
    if (asked_opts(c, &o) != 0)
        return -1;
    for (size_t i = 0; i < o.n; i++) {
        struct value *row = cmd_add_row(c);
        row->items[0].s = o.opts[i].name;
        row->items[1].s = opt_text(c->arena, &o.opts[i]);
    }
    return 0;
}

ADMIN_CMD(srg_get_info) = {
    SRG, .flags = CMD_READS, .run = get_info, .brief = "Show the settings of a shared roster group",
    SHAPES({ARGS(GROUP, HOST),
            RESULT(T_LIST("informations", "Names and values of the settings",
                          T_TUPLE("information", T_STRING("key", NULL), T_STRING("value", NULL)))),
            EXAMPLE("group3", "myserver.com"), SHOWS("name", "Group 3", "displayed_groups", "group1")}),
};

static void put_flag(struct change *x)
{
    if (x->on)
        srg_opts_put(x->arena, &x->opts, &(struct srg_opt){.name = str_of(x->name), .kind = SRG_FLAG, .on = true});
    else
        srg_opts_drop(&x->opts, str_of(x->name));
}

static enum store_rc text_edit(void *arg) YIELDS;
static enum store_rc text_edit(void *arg)
{
    struct change *x = arg;
    enum store_rc rc = load_opts(x);
    if (rc != STORE_OK)
        return rc;
    put_text(x, x->name, x->text);
    return srg_set(x->host, x->group, &x->opts);
}

static enum store_rc flag_edit(void *arg) YIELDS;
static enum store_rc flag_edit(void *arg)
{
    struct change *x = arg;
    enum store_rc rc = load_opts(x);
    if (rc != STORE_OK)
        return rc;
    put_flag(x);
    return srg_set(x->host, x->group, &x->opts);
}

/* 1 when there is no such group. */
static int change_option(struct cmd_call *c, struct change *x, enum store_rc (*edit)(void *arg) YIELDS) YIELDS;
static int change_option(struct cmd_call *c, struct change *x, enum store_rc (*edit)(void *arg))
{
    struct error err = ERROR_INIT;
    enum store_rc answer;
    int rc = shared_roster_edit(x->host, edit, x, x->arena, &answer, &err);
    if (rc != 0)
        cmd_fail_error(c, &err);
    else if (answer == STORE_NONE)
        cmd_reason(c, "there is no group \"%.*s\"", STR_ARG(x->group));
    if (rc == 0 && answer != STORE_OK && answer != STORE_NONE)
        rc = store_failed(c, answer);
    if (rc == 0)
        cmd_code(c, answer == STORE_OK);
    change_end(x);
    return rc;
}

/* A word that means nothing changes nothing, COMPAT(ejabberd). */
static int set_info(struct cmd_call *c) YIELDS;
static int set_info(struct cmd_call *c)
{
    static const char *const texts[] = {"label", "description"}, *const flags[] = {"all_users", "online_users", "disabled"};
    struct str host, key = arg_str(c, "key"), text = arg_str(c, "value");
    if (served(c, "host", &host) != 0)
        return -1;
    if (str_eq(key, S("label")) && !is_label(text))
        return no_label(c);
    struct change *x = change_new(c, host);
    x->text = arena_str(x->arena, text);
    x->on = str_eq(text, S("true"));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (str_eq(key, str_of(texts[i]))) {
            x->name = texts[i];
            return change_option(c, x, text_edit);
        }
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (str_eq(key, str_of(flags[i]))) {
            x->name = flags[i];
            return change_option(c, x, flag_edit);
        }
    change_end(x);
    cmd_code(c, true);
    cmd_reason(c, "nothing was changed: \"%.*s\" is neither label nor description", STR_ARG(key));
    return 0;
}

ADMIN_CMD(srg_set_info) = {
    SRG, .run = set_info, .brief = "Change the label or the description of a shared roster group",
    SHAPES({.note = "added in 24.06",
            ARGS(GROUP, HOST, T_BINARY("key", "`label` or `description`"), T_BINARY("value", "The new text")),
            RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com", "label", "Family")}),
};

/* --- which groups its members see --- */

static const struct srg_opt *displayed(const struct srg_opts *o)
{
    return srg_opts_find(o, S("displayed_groups"), SRG_LIST);
}

static int get_displayed(struct cmd_call *c) YIELDS;
static int get_displayed(struct cmd_call *c)
{
    struct srg_opts o;
    if (asked_opts(c, &o) != 0)
        return -1;
    const struct srg_opt *d = displayed(&o);
    for (size_t i = 0; d && i < d->n; i++)
        cmd_add_row(c)->s = d->items[i];
    return 0;
}

ADMIN_CMD(srg_get_displayed) = {
    SRG, .flags = CMD_READS, .run = get_displayed, .brief = "List the groups that the members of a shared roster group see",
    SHAPES({.note = "added in 24.06", ARGS(GROUP, HOST), RESULT(T_LIST("display", DISPLAY_HELP, T_BINARY("group", NULL))),
            EXAMPLE("group3", "myserver.com"), SHOWS("group1", "group2")}),
};

static enum store_rc show_edit(void *arg) YIELDS;
static enum store_rc show_edit(void *arg)
{
    struct change *x = arg;
    enum store_rc rc = load_opts(x);
    if (rc != STORE_OK && rc != STORE_NONE)
        return rc;
    if (!str_eq(x->text, x->group) && !is_group(x, x->text, &rc)) {
        x->verdict = UNKNOWN_GROUP;
        return rc;
    }
    const struct srg_opt *d = displayed(&x->opts);
    size_t n = d ? d->n : 0;
    struct str *items = ARENA_ARRAY(x->arena, struct str, n + 1);
    if (n)
        memcpy(items, d->items, n * sizeof *items);
    items[n] = x->text;
    put_list(x, items, n + 1);
    return srg_set(x->host, x->group, &x->opts);
}

static int change_displayed(struct cmd_call *c, const char *name, enum store_rc (*edit)(void *arg) YIELDS) YIELDS;
static int change_displayed(struct cmd_call *c, const char *name, enum store_rc (*edit)(void *arg))
{
    struct str host;
    if (served(c, "host", &host) != 0)
        return -1;
    struct change *x = change_new(c, host);
    x->text = arena_str(x->arena, arg_str(c, name));
    return change_answer(c, x, edit);
}

static int add_displayed(struct cmd_call *c) YIELDS;
static int add_displayed(struct cmd_call *c)
{
    struct str host;
    if (served(c, "host", &host) != 0 || check_identifier(c) != 0)
        return -1;
    return change_displayed(c, "add", show_edit);
}

ADMIN_CMD(srg_add_displayed) = {
    SRG, .run = add_displayed, .brief = "Let the members of a shared roster group see one more group",
    SHAPES({.note = "added in 24.06", ARGS(GROUP, HOST, T_BINARY("add", "Identifier of the group that they will see")),
            RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com", "group1")}),
};

static enum store_rc hide_edit(void *arg) YIELDS;
static enum store_rc hide_edit(void *arg)
{
    struct change *x = arg;
    enum store_rc rc = load_opts(x);
    const struct srg_opt *d = displayed(&x->opts);
    size_t n = d ? d->n : 0, kept = 0;
    struct str *items = ARENA_ARRAY(x->arena, struct str, n + 1);
    for (size_t i = 0; i < n; i++)
        if (!str_eq(d->items[i], x->text))
            items[kept++] = d->items[i];
    if (rc != STORE_OK || kept == n) {
        x->verdict = NOT_DISPLAYED;
        return rc == STORE_OK ? STORE_NONE : rc;
    }
    put_list(x, items, kept);
    return srg_set(x->host, x->group, &x->opts);
}

static int del_displayed(struct cmd_call *c) YIELDS;
static int del_displayed(struct cmd_call *c)
{
    return change_displayed(c, "del", hide_edit);
}

ADMIN_CMD(srg_del_displayed) = {
    SRG, .run = del_displayed, .brief = "Hide a group from the members of a shared roster group",
    SHAPES({.note = "added in 24.06", ARGS(GROUP, HOST, T_BINARY("del", "Identifier of the group that they will not see any more")),
            RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com", "group1")}),
};

/* --- members --- */

#define MEMBER T_BINARY("user", "Name of the account"), T_BINARY("host", "Virtual host of the account")
#define OF_GROUP GROUP, T_BINARY("grouphost", "Virtual host of the group")
#define MEMBER_EXAMPLE EXAMPLE("user1", "myserver.com", "group3", "myserver.com")

static int get_members(struct cmd_call *c) YIELDS;
static int get_members(struct cmd_call *c)
{
    struct sending s = {.c = c};
    struct str host;
    if (served(c, "host", &host) != 0)
        return -1;
    enum store_rc rc = srg_each_member(host, arg_str(c, "group"), c->page.after, send_text, &s);
    return rc == STORE_OK ? s.rc : store_failed(c, rc);
}

ADMIN_CMD(srg_get_members) = {
    SRG, .flags = CMD_READS | CMD_PAGES, .run = get_members, .brief = "List the members of a shared roster group",
    SHAPES({ARGS(GROUP, HOST), RESULT(T_LIST("members", "Bare JIDs of the members", T_STRING("member", NULL))),
            EXAMPLE("group3", "myserver.com"), SHOWS("user1@localhost", "user2@localhost")}),
};

static enum store_rc join_edit(void *arg) YIELDS;
static enum store_rc join_edit(void *arg)
{
    struct change *x = arg;
    return srg_add_member(x->host, x->group, x->text);
}

static enum store_rc leave_edit(void *arg) YIELDS;
static enum store_rc leave_edit(void *arg)
{
    struct change *x = arg;
    return srg_remove_member(x->host, x->group, x->text);
}

/* The names that stand for many. */
static const char *everybody(struct str user)
{
    return str_eq(user, S("@all@")) ? "all_users" : str_eq(user, S("@online@")) ? "online_users" : NULL;
}

static int change_member(struct cmd_call *c, bool on) YIELDS;
static int change_member(struct cmd_call *c, bool on)
{
    struct str grouphost, user, host;
    struct jid j;
    const char *flag = everybody(arg_str(c, "user"));
    if (served(c, "grouphost", &grouphost) != 0)
        return -1;
    if (!flag && (!arg_user(c, "user", &user) || !arg_host(c, "host", &host) || !user.n ||
                  !jid_make(c->arena, user, host, STR_NULL, &j)))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "user, host: no address: \"%.*s\" at \"%.*s\"", STR_ARG(arg_str(c, "user")),
                        STR_ARG(arg_str(c, "host")));
    if (on && check_identifier(c) != 0)
        return -1;
    struct change *x = change_new(c, grouphost);
    x->on = on;
    x->name = flag;
    if (flag)
        return change_option(c, x, flag_edit);
    x->text = arena_str(x->arena, jid_bare(j));
    return change_done(c, x, on ? join_edit : leave_edit);
}

static int user_add(struct cmd_call *c) YIELDS;
static int user_add(struct cmd_call *c)
{
    return change_member(c, true);
}

static int user_del(struct cmd_call *c) YIELDS;
static int user_del(struct cmd_call *c)
{
    return change_member(c, false);
}

ADMIN_CMD(srg_user_add) = {
    SRG, .run = user_add, .brief = "Make an account a member of a shared roster group",
    .text = "The names `@all@` and `@online@` stand for all accounts of the group's virtual host, and for those that are "
            "connected.",
    SHAPES({ARGS(MEMBER, OF_GROUP), RESULT(T_RESCODE("res")), MEMBER_EXAMPLE}),
};

ADMIN_CMD(srg_user_del) = {
    SRG, .run = user_del, .brief = "End the membership of an account in a shared roster group",
    SHAPES({ARGS(MEMBER, OF_GROUP), RESULT(T_RESCODE("res")), MEMBER_EXAMPLE}),
};
