/*
 * Commands that delete accounts nobody uses. They go through the accounts of a host page by page, in memory that does not grow with
 * it but by what was deleted. An account whose last activity is not known is kept: nothing says that nobody uses it. Each account
 * goes in a transaction of its own; several are under way at once, so that their commits are one. When one fails no other is begun,
 * and what was done stays done.
 */
#include "admin/command.h"

#include "base/clock.h"
#include "core/account/account.h"
#include "core/auth/auth.h"
#include "core/config/access.h"
#include "rt/fiber_each.h"
#include "store/last.h"

#define PAGE 256
#define AT_ONCE 64
#define TERM_COLUMNS 80

struct search {
    struct cmd_call *call;
    bool vhost_rule;  /* delete_old_users_vhost: another access rule */
    int64_t before;   /* seconds: older is old */
    struct buf list;  /* an Erlang list of the deleted, COMPAT(ejabberd) */
    struct buf broken; /* the same with a line each */
    uint64_t n;
};

/* Without the rule nobody is spared. */
static bool spared(const struct search *s, const struct vhost *h, struct jid who)
{
    struct str rule = s->vhost_rule ? S("delete_old_users") : S("protect_old_users");
    bool there = h->access_rules && yaml_get(h->access_rules, rule);
    bool allowed = there && access_allowed_name(h, rule, &(struct access_subject){.jid = who});
    return there && (s->vhost_rule ? !allowed : allowed);
}

static void add_binary(struct buf *b, struct str text)
{
    bool plain = true;
    for (size_t i = 0; i < text.n; i++)
        plain &= text.p[i] >= ' ' && text.p[i] <= '~' && text.p[i] != '"' && text.p[i] != '\\';
    buf_add_str(b, plain ? S("<<\"") : S("<<"));
    if (plain)
        buf_add_str(b, text);
    for (size_t i = 0; !plain && i < text.n; i++)
        buf_printf(b, i ? ",%u" : "%u", (unsigned char)text.p[i]);
    buf_add_str(b, plain ? S("\">>") : S(">>"));
}

static void note(struct search *s, struct str host, struct str user)
{
    struct buf *both[] = {&s->list, &s->broken};
    for (size_t i = s->list.n + 2 > TERM_COLUMNS; i < ARRAY_LEN(both); i++) { /* one of them will be shown */
        if (s->n)
            buf_add_str(both[i], i ? S(",\n") : S(","));
        if (i && s->n)
            buf_add_c(both[i], ' ');
        buf_add_c(both[i], '{');
        add_binary(both[i], user);
        buf_add_c(both[i], ',');
        add_binary(both[i], host);
        buf_add_c(both[i], '}');
    }
    s->n++;
}

/* One page of a host; what was found about each account waits for its neighbours, because the answer is in order of names. */
struct page {
    struct search *search;
    struct arena *arena;
    struct str host, *names;
    size_t n;
    bool *gone; /* deleted, or in a dry run: would be */
    bool failed;
    struct error err;
};

static bool is_old(const struct page *p, struct arena *a, struct str user, struct error *err) YIELDS;
static bool is_old(const struct page *p, struct arena *a, struct str user, struct error *err)
{
    const struct vhost *h = config_host(config_current(), p->host);
    struct str words;
    int64_t seconds;
    uint64_t sessions;
    if (!h || spared(p->search, h, jid_join(a, user, p->host, STR_NULL)))
        return false;
    enum store_rc rc = last_get(a, p->host, user, &seconds, &words);
    if (rc != STORE_OK && rc != STORE_NONE)
        store_error(rc, "last activity", err);
    if (rc != STORE_OK || seconds > p->search->before)
        return false;
    return account_count_user_sessions(user, p->host, &sessions, err) == 0 && sessions == 0;
}

/* With the sessions of who came since it was looked at. */
static bool delete_one(const struct page *p, struct str user, struct error *err) YIELDS;
static bool delete_one(const struct page *p, struct str user, struct error *err)
{
    unsigned kicked;
    if (auth_remove(p->host, user, err) != 0)
        return false;
    account_kick(user, p->host, STR_NULL, KICK_REMOVED, STR_NULL, &kicked, err);
    return true;
}

static void look_at(size_t i, void *arg) YIELDS;
static void look_at(size_t i, void *arg)
{
    struct page *p = arg;
    struct error err = ERROR_INIT;
    struct arena *a = arena_new();
    if (!p->failed && is_old(p, a, p->names[i], &err))
        p->gone[i] = p->search->call->dry_run || delete_one(p, p->names[i], &err);
    if (err.code != ERR_NONE && err.code != ERR_NOT_FOUND && !p->failed) {
        p->failed = true;
        p->err = err;
    }
    arena_release(&a);
}

static void tell_page(const struct page *p)
{
    struct search *s = p->search;
    for (size_t i = 0; i < p->n; i++) {
        if (!p->gone[i])
            continue;
        if (s->call->dry_run)
            cmd_would(s->call, arena_printf(p->arena, "account %.*s@%.*s", STR_ARG(p->names[i]), STR_ARG(p->host)));
        else
            note(s, p->host, p->names[i]);
    }
}

/* last_out: the name the next page comes after, in `keep`. */
static int delete_page(struct search *s, struct arena *a, struct str host, struct str after, struct arena *keep,
                       struct str *last_out) YIELDS;
static int delete_page(struct search *s, struct arena *a, struct str host, struct str after, struct arena *keep,
                       struct str *last_out)
{
    struct page p = {.search = s, .arena = a, .host = host, .err = ERROR_INIT};
    *last_out = STR_NULL;
    if (auth_list(a, host, after, PAGE, &p.names, &p.n, &p.err) != 0)
        return cmd_fail_error(s->call, &p.err);
    p.gone = ARENA_ARRAY(a, bool, p.n + 1);
    fiber_each(p.n, AT_ONCE, look_at, &p);
    tell_page(&p);
    if (p.failed)
        return cmd_fail_error(s->call, &p.err);
    if (p.n == PAGE)
        *last_out = arena_str(keep, p.names[p.n - 1]);
    return 0;
}

static int delete_on(struct search *s, struct str host) YIELDS;
static int delete_on(struct search *s, struct str host)
{
    struct arena *keep = arena_new();
    struct str after = STR_NULL;
    int rc;
    do {
        struct arena *a = arena_new(), *next = arena_new();
        rc = delete_page(s, a, host, after, next, &after);
        arena_release(&a);
        arena_release(&keep);
        keep = next;
    } while (rc == 0 && after.p);
    arena_release(&keep);
    return rc;
}

static void begin(struct search *s, struct cmd_call *c, bool vhost_rule)
{
    int64_t days = arg_int(c, "days"), now = (int64_t)clock_wall_s();
    *s = (struct search){.call = c, .vhost_rule = vhost_rule};
    s->before = days > INT64_MAX / 86400 / 2 ? INT64_MIN : days < 0 ? now : now - days * 86400;
}

static void end(struct search *s, int rc)
{
    if (rc == 0 && s->list.n + 2 <= TERM_COLUMNS)
        cmd_textf(s->call, "Deleted %llu users: [%.*s]", (unsigned long long)s->n, STR_ARG(buf_str(&s->list)));
    else if (rc == 0)
        cmd_textf(s->call, "Deleted %llu users: [%.*s]", (unsigned long long)s->n, STR_ARG(buf_str(&s->broken)));
    buf_deinit(&s->list);
    buf_deinit(&s->broken);
}

static int delete_old_users(struct cmd_call *c) YIELDS;
static int delete_old_users(struct cmd_call *c)
{
    struct search s;
    const struct config *cfg = config_hold(config_current());
    int rc = 0;
    begin(&s, c, false);
    for (size_t i = 0; rc == 0 && i < cfg->host_count; i++)
        rc = delete_on(&s, cfg->hosts[i].name);
    end(&s, rc);
    struct config *held = (struct config *)cfg;
    config_release(&held);
    return rc;
}

static int delete_old_users_vhost(struct cmd_call *c) YIELDS;
static int delete_old_users_vhost(struct cmd_call *c)
{
    struct search s;
    struct str host;
    int rc = 0;
    begin(&s, c, true);
    if (arg_host(c, "host", &host) && config_host(config_current(), host))
        rc = delete_on(&s, host);
    end(&s, rc);
    return rc;
}

#define DAYS T_INTEGER("days", "How long an account must have been unused")
#define SHOWN SHOWS("Deleted 2 users: [\"oldman@myserver.com\", \"test@myserver.com\"]")
#define UNUSED_TEXT                                                                                                     \
    "An account is unused since its last session ended, or since it was made when there never was one. Whoever is connected "   \
    "stays. "

ADMIN_CMD(delete_old_users) = {
    .tags = "accounts purge", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_DRY_RUN, .run = delete_old_users,
    .brief = "Delete the unused accounts of all hosts",
    .text = UNUSED_TEXT "Accounts that the access rule `protect_old_users` allows are kept. To keep administrators:\n\n"
            "``` yaml\naccess_rules:\n  protect_old_users:\n    - allow: admin\n    - deny: all\n```",
    SHAPES({ARGS(DAYS), RESULT(T_RESTUPLE("res")), EXAMPLE("30"), SHOWN}),
};

ADMIN_CMD(delete_old_users_vhost) = {
    .tags = "accounts purge", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_DRY_RUN,
    .run = delete_old_users_vhost,
    .brief = "Delete the unused accounts of one virtual host",
    .text = UNUSED_TEXT "Only accounts that the access rule `delete_old_users` allows are deleted. To keep administrators:\n\n"
            "``` yaml\naccess_rules:\n  delete_old_users:\n    - deny: admin\n    - allow: all\n```",
    SHAPES({ARGS(T_BINARY("host", "Virtual host of this server"), DAYS), RESULT(T_RESTUPLE("res")), EXAMPLE("myserver.com", "30"),
            SHOWN}),
};
