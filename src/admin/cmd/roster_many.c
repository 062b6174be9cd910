/*
 * Commands of the tag roster that go over many rosters, or fill them from a file. Each roster is changed at its account's home,
 * whole or not at all: what was done when something fails stays done. Everything here waits.
 */
#include "admin/command.h"

#include "core/account/subscribe.h"
#include "core/auth/auth.h"
#include "core/config/config.h"
#include "core/config/erlang_term.h"
#include "rt/fiber_each.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include "xml/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_HELP "Full path of the file with contacts"
#define OWNER T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")
#define HOME_DEADLINE_MS 60000
#define DUE_ROSTERS 64    /* changed at once */
#define DUE_CONTACTS 4096 /* with more than these in all no further roster joins them */
#define LOOK_AT_ROWS 2048 /* of all hosts together, if there are not too many hosts */
#define LOOK_AT_LEAST 64
#define WORDS_MAX 64 /* alternatives of one argument */

/* --- at an account's home --- */

struct home_job {
    struct str user, host;
    const struct roster_item *items; /* NULL: remove */
    const struct jid *who;
    size_t n;
    enum store_rc rc;
};

static int run_at_home(void *arg, struct error *err) YIELDS;
static int run_at_home(void *arg, struct error *err)
{
    struct home_job *j = arg;
    const struct vhost *h = config_host(config_current(), j->host);
    if (!h || !roster_on(h->index))
        return err_set(err, ERR_INTERNAL, "mod_roster is not loaded on %.*s", STR_ARG(j->host));
    struct arena *arena = arena_new();
    struct account *a = account_pin(h->index, jid_join(arena, j->user, j->host, STR_NULL));
    j->rc = j->items ? subscribe_impose(a, j->items, j->who, j->n) : subscribe_impose_removal(a, j->who, j->n);
    account_unpin(a);
    arena_release(&arena);
    if (j->rc == STORE_LIMIT)
        return err_set(err, ERR_NOT_ACCEPTABLE, "the roster of %.*s is full", STR_ARG(j->user));
    return j->rc == STORE_OK || j->rc == STORE_NONE ? 0 : store_error(j->rc, "roster", err);
}

/* The job and all it names live in `arena`. */
static int run_home(struct arena *arena, struct home_job *j, struct error *err) YIELDS;
static int run_home(struct arena *arena, struct home_job *j, struct error *err)
{
    return mail_call(shard_of(jid_home_hash_parts(j->user, j->host)), run_at_home, j, arena, HOME_DEADLINE_MS, err);
}

static int go_home(struct cmd_call *c, struct arena *arena, struct home_job *j) YIELDS;
static int go_home(struct cmd_call *c, struct arena *arena, struct home_job *j)
{
    struct error err = ERROR_INIT;
    return run_home(arena, j, &err) == 0 ? 0 : cmd_fail_error(c, &err);
}

/* --- process_rosteritems --- */

struct patterns {
    struct pattern items[WORDS_MAX];
    size_t n; /* 0: any */
};

/* What is to be removed from one roster: all or none. */
struct due {
    struct arena *arena; /* owns it */
    struct due *next;
    struct home_job job;
    struct jid *who;
    struct error err;
};

/* Contacts of one host; `m` is the next one, `owner` her owner's address. */
struct source {
    const struct vhost *host;
    struct roster_scan *scan;
    const struct roster_match *m;
    struct buf owner;
};

struct process {
    struct cmd_call *c;
    struct patterns users, contacts;
    char subs[WORDS_MAX + 1], asks[WORDS_MAX + 1];
    bool any_subs, any_asks, remove;
    struct source *sources;
    size_t n_sources;
    struct due *due[DUE_ROSTERS];
    size_t n_due, n_contacts; /* contacts in all of them */
};

static bool too_many(struct cmd_call *c, const char *arg)
{
    cmd_fail(c, ERR_BAD_ARGUMENT, "%s: at most %d words", arg, WORDS_MAX);
    return false;
}

static bool read_subs(struct cmd_call *c, struct process *p)
{
    struct str rest = arg_str(c, "subs"), word;
    size_t n = 0;
    enum roster_subscription s;
    p->any_subs = str_eq(rest, S("any"));
    while (!p->any_subs && str_split(&rest, ':', &word)) {
        if (!subscription_parse(word, &s))
            return cmd_fail(c, ERR_BAD_ARGUMENT, "subs: expected any, or none, from, to and both with colons between") == 0;
        if (n == WORDS_MAX)
            return too_many(c, "subs");
        p->subs[n++] = (char)s;
    }
    return true;
}

static bool read_asks(struct cmd_call *c, struct process *p)
{
    static const struct {
        const char *word;
        enum roster_ask ask;
    } words[] = {{"none", ROSTER_ASK_NONE}, {"out", ROSTER_ASK_OUT}, {"in", ROSTER_ASK_IN}, {"both", ROSTER_ASK_BOTH}};
    struct str rest = arg_str(c, "asks"), word;
    size_t n = 0, w;
    p->any_asks = str_eq(rest, S("any"));
    while (!p->any_asks && str_split(&rest, ':', &word)) {
        for (w = 0; w < ARRAY_LEN(words) && !str_eq(word, str_of(words[w].word)); w++)
            ;
        if (w == ARRAY_LEN(words))
            return cmd_fail(c, ERR_BAD_ARGUMENT, "asks: expected any, or none, out, in and both with colons between") == 0;
        if (n == WORDS_MAX)
            return too_many(c, "asks");
        p->asks[n++] = (char)words[w].ask;
    }
    return true;
}

static bool read_patterns(struct cmd_call *c, const char *arg, struct patterns *out)
{
    struct str rest = arg_str(c, arg), word;
    if (str_eq(rest, S("any")))
        return true;
    while (str_split(&rest, ':', &word)) {
        if (out->n == WORDS_MAX)
            return too_many(c, arg);
        out->items[out->n++] = (struct pattern){str_find(word, '%') >= 0 ? PATTERN_LIKE : PATTERN_GLOB, word};
    }
    return true;
}

/* Owners without a host: SQL names them so, and so may whoever means one account. A pattern of hosts has no owners. */
static void name_owners(struct arena *a, struct patterns *u)
{
    for (size_t i = 0; i < u->n; i++) {
        struct pattern *p = &u->items[i];
        if (str_find(p->text, '@') >= 0)
            continue;
        if (p->kind == PATTERN_LIKE)
            p->text = arena_printf(a, "%.*s@%%", STR_ARG(p->text));
        else if (pattern_is_plain(p))
            p->text = arena_printf(a, "%.*s@*", STR_ARG(p->text));
    }
}

/* COMPAT(ejabberd): a glob without "@" is one of hosts. Otherwise "icq*" would delete people whose names begin so. */
static bool is_meant(const struct patterns *p, struct str address)
{
    bool user = str_find(address, '@') >= 0;
    for (size_t i = 0; i < p->n; i++)
        if ((!user || p->items[i].kind == PATTERN_LIKE || str_find(p->items[i].text, '@') >= 0) &&
            pattern_match(&p->items[i], address))
            return true;
    return p->n == 0;
}

/* --- removing --- */

static void remove_one(size_t i, void *arg) YIELDS;
static void remove_one(size_t i, void *arg)
{
    struct due *d = ((struct process *)arg)->due[i];
    d->job.who = d->who;
    if (d->job.n)
        run_home(d->arena, &d->job, &d->err);
}

/* Several rosters at once, so that their commits are one. */
static int remove_due(struct process *p) YIELDS;
static int remove_due(struct process *p)
{
    int rc = 0;
    fiber_each(p->n_due, DUE_ROSTERS, remove_one, p);
    for (size_t i = 0; i < p->n_due; i++) {
        struct arena *a = p->due[i]->arena;
        if (rc == 0 && p->due[i]->err.code != ERR_NONE)
            rc = cmd_fail_error(p->c, &p->due[i]->err);
        arena_release(&a);
    }
    p->n_due = p->n_contacts = 0;
    return rc;
}

static struct due *due_new(struct str user, struct str host)
{
    struct arena *a = arena_new();
    struct due *d = ARENA_NEW(a, struct due);
    d->arena = a;
    d->job = (struct home_job){.user = arena_str(a, user), .host = arena_str(a, host)};
    return d;
}

static int remove_later(struct process *p, const struct source *s) YIELDS;
static int remove_later(struct process *p, const struct source *s)
{
    struct due *d = p->n_due ? p->due[p->n_due - 1] : NULL;
    if (!d || !str_eq(d->job.user, s->m->user) || !str_eq(d->job.host, s->host->name)) {
        if ((p->n_due == DUE_ROSTERS || p->n_contacts >= DUE_CONTACTS) && remove_due(p) < 0)
            return -1;
        d = p->due[p->n_due++] = due_new(s->m->user, s->host->name);
    }
    struct jid who;
    if (jid_parse(d->arena, arena_str(d->arena, s->m->item.jid), &who)) {
        ARENA_MORE(d->arena, d->who, d->job.n);
        d->who[d->job.n++] = who;
    }
    p->n_contacts++;
    return 0;
}

/* --- one after the other --- */

/* A list goes out as it is found; what was deleted is told when it is known that all of it was. */
static int tell(struct process *p, const struct source *s) YIELDS;
static int tell(struct process *p, const struct source *s)
{
    struct cmd_call *c = p->c;
    struct value pair[] = {value_str(buf_str(&s->owner)), value_str(s->m->item.jid)};
    if (p->remove) {
        struct value *f = cmd_add_row(c)->items;
        f[0] = value_str(arena_str(c->arena, pair[0].s));
        f[1] = value_str(arena_str(c->arena, pair[1].s));
        return remove_later(p, s);
    }
    if (cmd_stream_row(c, &(struct value){.items = pair, .n = ARRAY_LEN(pair)}) < 0)
        return cmd_fail(c, ERR_INTERNAL, "nobody takes the rest of the list");
    return 0;
}

static void would_remove(struct process *p, const struct source *s)
{
    struct arena *a = arena_new();
    cmd_would(p->c, arena_printf(a, "contact %.*s of %.*s", STR_ARG(s->m->item.jid), STR_ARG(buf_str(&s->owner))));
    arena_release(&a);
}

static int process_one(struct process *p, const struct source *s) YIELDS;
static int process_one(struct process *p, const struct source *s)
{
    if (!is_meant(&p->contacts, s->m->item.jid) || !is_meant(&p->users, buf_str(&s->owner)))
        return 0;
    if (!p->c->dry_run)
        return tell(p, s);
    if (p->remove)
        would_remove(p, s);
    return 0;
}

/* *same_out: the owner is the one before. -1: the store has failed. */
static int step(struct process *p, struct source *s, bool *same_out) YIELDS;
static int step(struct process *p, struct source *s, bool *same_out)
{
    struct error err = ERROR_INIT;
    struct str user = str_n(s->owner.p, s->owner.n ? s->owner.n - s->host->name.n - 1 : 0);
    s->m = roster_scan_next(s->scan);
    *same_out = s->m && s->owner.n && str_eq(s->m->user, user);
    if (s->m && !*same_out) {
        buf_clear(&s->owner);
        buf_printf(&s->owner, "%.*s@%.*s", STR_ARG(s->m->user), STR_ARG(s->host->name));
    }
    enum store_rc rc = s->m ? STORE_OK : roster_scan_end(&s->scan);
    if (rc == STORE_OK || rc == STORE_NONE)
        return 0;
    store_error(rc, "roster", &err);
    return cmd_fail_error(p->c, &err);
}

static struct source *first_source(struct process *p)
{
    struct source *best = NULL;
    for (size_t i = 0; i < p->n_sources; i++) {
        struct source *s = &p->sources[i];
        if (s->m && (!best || str_cmp(buf_str(&s->owner), buf_str(&best->owner)) < 0))
            best = s;
    }
    return best;
}

static int process_sources(struct process *p) YIELDS;
static int process_sources(struct process *p)
{
    struct source *s;
    bool same;
    for (size_t i = 0; i < p->n_sources; i++)
        if (step(p, &p->sources[i], &same) < 0)
            return -1;
    while ((s = first_source(p)))
        do {
            if (process_one(p, s) < 0 || step(p, s, &same) < 0)
                return -1;
        } while (same);
    return remove_due(p);
}

static void open_sources(struct process *p, const struct config *cfg, const struct roster_filter *f)
{
    p->sources = ARENA_ARRAY(p->c->arena, struct source, cfg->host_count + 1);
    for (size_t i = 0; i < cfg->host_count; i++)
        if (config_module(&cfg->hosts[i], S("mod_roster")))
            p->sources[p->n_sources++].host = &cfg->hosts[i];
    size_t page = LOOK_AT_ROWS / (p->n_sources + !p->n_sources);
    for (size_t i = 0; i < p->n_sources; i++)
        p->sources[i].scan = roster_scan_new(p->sources[i].host->name, f, page < LOOK_AT_LEAST ? LOOK_AT_LEAST : page);
}

static void close_sources(struct process *p)
{
    for (size_t i = 0; i < p->n_sources; i++) {
        if (p->sources[i].scan)
            roster_scan_end(&p->sources[i].scan);
        buf_deinit(&p->sources[i].owner);
    }
    for (size_t i = 0; i < p->n_due; i++) {
        struct arena *a = p->due[i]->arena;
        arena_release(&a);
    }
}

static int process_hosts(struct process *p) YIELDS;
static int process_hosts(struct process *p)
{
    struct config *cfg = config_hold(config_current());
    struct roster_filter f = {.subscriptions = p->any_subs ? STR_NULL : str_of(p->subs),
                              .asks = p->any_asks ? STR_NULL : str_of(p->asks),
                              .users = p->users.items, .n_users = p->users.n,
                              .contacts = p->contacts.items, .n_contacts = p->contacts.n};
    open_sources(p, cfg, &f);
    int rc = process_sources(p);
    close_sources(p);
    config_release(&cfg);
    return rc;
}

static int process_rosteritems(struct cmd_call *c) YIELDS;
static int process_rosteritems(struct cmd_call *c)
{
    struct process *p = ARENA_NEW(c->arena, struct process);
    struct str action = arg_str(c, "action");
    p->c = c;
    p->remove = str_eq(action, S("delete"));
    if (!p->remove && !str_eq(action, S("list")))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "action: expected list or delete");
    if (!read_subs(c, p) || !read_asks(c, p) || !read_patterns(c, "users", &p->users) ||
        !read_patterns(c, "contacts", &p->contacts))
        return -1;
    name_owners(c->arena, &p->users);
    return process_hosts(p);
}

ADMIN_CMD(process_rosteritems) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_DRY_RUN, .run = process_rosteritems,
    .brief = "List or delete the contacts of all rosters that match a pattern",
    .text = "A contact has to match all of `subs`, `asks`, `users` and `contacts`; `any` matches everything.\n\n"
            "* `action`: `list` or `delete`\n"
            "* `subs`: `none`, `from`, `to`, `both`\n"
            "* `asks`: a request without an answer: `none`, `out`, `in`\n"
            "* `users`: bare JID of the roster's owner\n"
            "* `contacts`: bare JID of the contact\n\n"
            "Several words are separated by a colon. In JIDs `*` stands for any text, `?` for one character, `[ab]` for one of "
            "those named and `[!ab]` for any other; such a pattern without `@` means addresses that are only a host. A pattern "
            "with `%` is one of SQL: `%` and `_` stand for any text and one character, and owners are named without their host.\n\n"
            "All contacts at gateways whose name has icq in it, unless they are subscribed both ways, in the rosters of "
            "example.org:\n"
            "  `list none:from:to any *@example.org *@*icq*`",
    SHAPES({ARGS(T_STRING("action", "`list` or `delete`"), T_STRING("subs", "Subscriptions, or `any`"),
                 T_STRING("asks", "Pending requests, or `any`"), T_STRING("users", "Patterns of owners, or `any`"),
                 T_STRING("contacts", "Patterns of contacts, or `any`")),
            RESULT(T_LIST("response", NULL, T_TUPLE("pairs", T_STRING("user", NULL), T_STRING("contact", NULL))))}),
};

/* --- push_alltoall --- */

struct contacts {
    struct arena *arena;
    struct roster_item *items;
    struct jid *who;
    size_t n;
};

static void add_one(struct contacts *l, struct jid who, struct str nick, struct str *groups, size_t n_groups)
{
    ARENA_MORE(l->arena, l->items, l->n);
    ARENA_MORE(l->arena, l->who, l->n);
    l->who[l->n] = who;
    l->items[l->n++] = (struct roster_item){.jid = jid_full(who), .nick = nick, .subscription = ROSTER_BOTH, .ask = ROSTER_ASK_NONE,
                                            .groups = groups, .n_groups = n_groups};
}

/* Into one roster; `self`: also the owner's own entry. */
static int give(struct cmd_call *c, const struct contacts *l, struct jid owner, bool self) YIELDS;
static int give(struct cmd_call *c, const struct contacts *l, struct jid owner, bool self)
{
    struct contacts own = {.arena = arena_new()};
    struct home_job *j = ARENA_NEW(own.arena, struct home_job);
    for (size_t i = 0; i < l->n; i++)
        if (self || !jid_eq(l->who[i], owner))
            add_one(&own, l->who[i], l->items[i].nick, l->items[i].groups, l->items[i].n_groups);
    *j = (struct home_job){.user = jid_user(owner), .host = jid_host(owner), .items = own.items, .who = own.who, .n = own.n};
    arena_on_release(own.arena, arena_drop, arena_hold(l->arena)); /* a home that answers too late still reads the texts */
    int rc = own.n ? go_home(c, own.arena, j) : 0;
    arena_release(&own.arena);
    return rc;
}

static int all_accounts(struct cmd_call *c, struct contacts *l, struct str host) YIELDS;
static int all_accounts(struct cmd_call *c, struct contacts *l, struct str host)
{
    struct error err = ERROR_INIT;
    struct str *names, group = arg_str(c, "group"), *groups = ARENA_NEW(l->arena, struct str);
    size_t n;
    if (auth_list(l->arena, host, STR_NULL, ROSTER_ITEMS_MAX + 2, &names, &n, &err) < 0)
        return cmd_fail_error(c, &err);
    if (n > ROSTER_ITEMS_MAX + 1)
        return cmd_fail(c, ERR_NOT_ACCEPTABLE, "rosters hold at most %d contacts: the host has more accounts", ROSTER_ITEMS_MAX);
    *groups = arena_str(l->arena, group);
    for (size_t i = 0; i < n; i++)
        add_one(l, jid_join(l->arena, names[i], host, STR_NULL), names[i], groups, group.n > 0);
    return 0;
}

static int push_alltoall(struct cmd_call *c) YIELDS;
static int push_alltoall(struct cmd_call *c)
{
    struct str host;
    if (!arg_host(c, "host", &host) || !config_host(config_current(), host)) {
        cmd_reason(c, "the host is not served: nobody has an account there");
        return 0; /* COMPAT(ejabberd): all of nobody were told */
    }
    struct str group = arg_str(c, "group");
    if (group.n > ROSTER_TEXT_MAX || !xml_text_ok(group)) {
        cmd_code(c, false);
        cmd_reason(c, "group: at most %d bytes of characters that XML allows", ROSTER_TEXT_MAX);
        return 0;
    }
    struct contacts l = {.arena = arena_new()};
    int rc = all_accounts(c, &l, arena_str(l.arena, host));
    for (size_t i = 0; rc == 0 && i < l.n; i++)
        rc = give(c, &l, l.who[i], false);
    arena_release(&l.arena);
    return rc;
}

ADMIN_CMD(push_alltoall) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_HERE, .run = push_alltoall,
    .brief = "Make all accounts of a virtual host contacts of one another",
    SHAPES({ARGS(T_BINARY("host", "Virtual host of this server"), T_BINARY("group", "Group of the rosters that shows them")),
            RESULT(T_RESCODE("res")), EXAMPLE("myserver.com", "Everybody")}),
};

/* --- contacts from a file --- */

struct reading {
    struct arena *arena;
    const char *path;
    struct contacts *out;
    struct error err;
};

static int read_fd(struct reading *r, int fd, struct str *out)
{
    struct stat st;
    size_t n = 0;
    ssize_t got;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(&r->err, ERR_IO, "%s: not a file", r->path);
    if (st.st_size > (off_t)ERLANG_MAX_BYTES)
        return err_set(&r->err, ERR_IO, "%s: longer than %u bytes", r->path, ERLANG_MAX_BYTES);
    char *p = arena_alloc(r->arena, (size_t)st.st_size + 1);
    while (n < (size_t)st.st_size && (got = read(fd, p + n, (size_t)st.st_size - n)) > 0)
        n += (size_t)got;
    *out = str_n(p, n);
    return n == (size_t)st.st_size ? 0 : err_set(&r->err, ERR_IO, "%s: %s", r->path, strerror(errno));
}

static int read_file(struct reading *r, struct str *out)
{
    int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(&r->err, ERR_IO, "%s: %s", r->path, strerror(errno));
    int rc = read_fd(r, fd, out);
    close(fd);
    return rc;
}

static bool is_text(const struct term *t)
{
    return t->kind == TERM_STRING || t->kind == TERM_BINARY || (t->kind == TERM_LIST && t->n == 0);
}

static int wrong(struct reading *r, const struct term *t)
{
    return err_set(&r->err, ERR_BAD_ARGUMENT, "%s: line %u: expected {\"name\", \"host\", \"group\", \"nickname\"}", r->path,
                   t->line);
}

static int read_groups(struct reading *r, const struct term *t, struct str **out, size_t *n_out)
{
    struct str *groups = ARENA_ARRAY(r->arena, struct str, ROSTER_GROUPS_MAX), text = t->text, part;
    size_t n = 0;
    while (str_split(&text, ';', &part)) {
        if (!part.n)
            continue;
        if (n == ROSTER_GROUPS_MAX || part.n > ROSTER_TEXT_MAX)
            return err_set(&r->err, ERR_BAD_ARGUMENT, "%s: line %u: at most %d groups of %d bytes", r->path, t->line,
                           ROSTER_GROUPS_MAX, ROSTER_TEXT_MAX);
        groups[n++] = part;
    }
    *out = groups;
    *n_out = n;
    return 0;
}

static int read_entry(struct reading *r, const struct term *t)
{
    struct jid who;
    struct str *groups = NULL;
    size_t n = 0;
    if (t->kind != TERM_TUPLE || t->n != 4)
        return wrong(r, t);
    for (size_t i = 0; i < 4; i++)
        if (!is_text(t->items[i]))
            return wrong(r, t);
        else if (!xml_text_ok(t->items[i]->text) || (i == 3 && t->items[i]->text.n > ROSTER_TEXT_MAX))
            return err_set(&r->err, ERR_BAD_ARGUMENT, "%s: line %u: a text is too long, or has characters that XML does not allow",
                           r->path, t->line);
    struct str user, host;
    if (!jid_nodeprep(r->arena, t->items[0]->text, &user) || !jid_nameprep(r->arena, t->items[1]->text, &host) ||
        !jid_make(r->arena, user, host, STR_NULL, &who))
        return err_set(&r->err, ERR_BAD_ARGUMENT, "%s: line %u: no address", r->path, t->line);
    if (read_groups(r, t->items[2], &groups, &n) < 0)
        return -1;
    add_one(r->out, who, t->items[3]->text, groups, n);
    return 0;
}

static int read_list(struct reading *r)
{
    struct str text;
    struct terms terms;
    if (read_file(r, &text) < 0 || erlang_terms_parse(r->arena, text, &terms, &r->err) < 0)
        return -1;
    if (terms.n != 1 || terms.items[0]->kind != TERM_LIST)
        return err_set(&r->err, ERR_BAD_ARGUMENT, "%s: expected one list", r->path);
    for (size_t i = 0; i < terms.items[0]->n; i++)
        if (read_entry(r, terms.items[0]->items[i]) < 0)
            return -1;
    return terms.items[0]->n <= ROSTER_ITEMS_MAX ? 0 : err_set(&r->err, ERR_NOT_ACCEPTABLE, "%s: too many contacts", r->path);
}

static void read_on_pool(void *arg, void *thread_state)
{
    (void)thread_state;
    read_list(arg);
}

/* COMPAT(ejabberd): a file that cannot be read or understood is an internal error; the log says which and why. */
static int read_contacts(struct cmd_call *c, struct contacts *out) YIELDS;
static int read_contacts(struct cmd_call *c, struct contacts *out)
{
    struct str file = arg_str(c, "file");
    if (str_find(file, '\0') >= 0)
        return cmd_fail_as(c, ERR_INTERNAL, FAIL_CRASH, QUOTE_NONE, "error", "file: no path has a NUL in it");
    struct reading r = {.arena = out->arena, .path = arena_cstr(out->arena, file), .out = out, .err = ERROR_INIT};
    pool_run(pool_general(), read_on_pool, &r);
    return r.err.code == ERR_NONE ? 0 : cmd_fail_as(c, ERR_INTERNAL, FAIL_CRASH, QUOTE_NONE, "error", "%s", r.err.text);
}

static int push_roster(struct cmd_call *c) YIELDS;
static int push_roster(struct cmd_call *c)
{
    struct contacts l = {.arena = arena_new()};
    struct str user, host;
    int rc = read_contacts(c, &l);
    if (rc == 0 && (!arg_user(c, "user", &user) || !arg_host(c, "host", &host) || !config_host(config_current(), host)))
        rc = cmd_fail(c, ERR_INTERNAL, "no account of this server");
    if (rc == 0)
        rc = give(c, &l, jid_join(l.arena, user, host, STR_NULL), true);
    arena_release(&l.arena);
    return rc;
}

static int push_roster_all(struct cmd_call *c) YIELDS;
static int push_roster_all(struct cmd_call *c)
{
    struct contacts l = {.arena = arena_new()};
    int rc = read_contacts(c, &l);
    for (size_t i = 0; rc == 0 && i < l.n; i++)
        if (l.who[i].user_len && config_host(config_current(), jid_host(l.who[i])))
            rc = give(c, &l, l.who[i], false);
    arena_release(&l.arena);
    return rc;
}

#define FILE_TEXT                                                                                                         \
    "The file holds one list in the notation of Erlang, ended by a full stop. Each of its tuples has the name and host of a " \
    "contact, a group (several are separated by a semicolon) and a nickname:\n\n"                                        \
    "`[{\"user1\", \"localhost\", \"Workers\", \"User 1\"},\n {\"user2\", \"localhost\", \"Workers\", \"User 2\"}].`\n\n"

ADMIN_CMD(push_roster) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_HERE, .run = push_roster,
    .brief = "Put the contacts of a file into the roster of an account",
    .text = FILE_TEXT "Texts are UTF-8; `<<\"User 2\"/utf8>>` is understood as well. An account that the file names becomes its "
            "own contact, too.",
    SHAPES({ARGS(T_BINARY("file", FILE_HELP), OWNER), RESULT(T_RESCODE("res")),
            EXAMPLE("/home/ejabberd/roster.txt", "user1", "localhost")}),
};

ADMIN_CMD(push_roster_all) = {
    .tags = "roster", .module = "mod_admin_extra", .where = RUNS_HERE, .run = push_roster_all,
    .brief = "Put the contacts of a file into the rosters of all accounts that it names",
    .text = FILE_TEXT "Nobody becomes a contact of oneself, and who has no account on a host of "
            "this server is only a contact.",
    SHAPES({ARGS(T_BINARY("file", FILE_HELP)), RESULT(T_RESCODE("res")), EXAMPLE("/home/ejabberd/roster.txt")}),
};
