/* See the header. Runs on the request's fiber, suspends never; only for callers who were let in by their host's own rules. */
#include "admin/host_args.h"

#include "core/config/access.h"

enum arg_class { ARG_OTHER, ARG_DOMAIN, ARG_ADDRESS, ARG_FILE };

static const struct {
    const char *name;
    enum arg_class is;
} classes[] = {
    {"host", ARG_DOMAIN},     {"localhost", ARG_DOMAIN}, {"serverhost", ARG_DOMAIN}, {"grouphost", ARG_DOMAIN},
    {"server", ARG_DOMAIN},   {"service", ARG_DOMAIN},   {"vhost", ARG_DOMAIN},      {"jid", ARG_ADDRESS},
    {"from", ARG_ADDRESS},    {"file", ARG_FILE},        {"dir", ARG_FILE},          {"path", ARG_FILE},
    {"in", ARG_FILE},         {"out", ARG_FILE},
};

/* The user's name that goes with a domain. */
static const char *const user_of[][2] = {{"host", "user"}, {"localhost", "localuser"}};

static enum arg_class class_of(const struct admin_cmd *d, const struct type *t)
{
    struct str rest = str_of(d->elsewhere), word;
    while (d->elsewhere && str_split(&rest, ' ', &word))
        if (str_eq(word, str_of(t->name)))
            return ARG_OTHER;
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (!strcmp(classes[i].name, t->name))
            return classes[i].is;
    return ARG_OTHER;
}

/* The most telling class of an argument and what is inside. */
static enum arg_class class_within(const struct admin_cmd *d, const struct type *t)
{
    enum arg_class c = class_of(d, t);
    for (unsigned i = 0; c == ARG_OTHER && i < t->count; i++)
        c = class_within(d, &t->of[i]);
    return c;
}

bool host_arg_names(const struct command *cmd, const struct type *arg)
{
    enum arg_class c = class_within(cmd->d, arg);
    return c == ARG_DOMAIN || c == ARG_ADDRESS;
}

bool host_args_possible(const struct command *cmd)
{
    const struct cmd_shape *s = &cmd->d->shapes[0];
    bool any = false;
    for (unsigned i = 0; i < s->arg_count; i++) {
        if (class_within(cmd->d, &s->args[i]) == ARG_FILE)
            return false;
        any = any || host_arg_names(cmd, &s->args[i]);
    }
    return any;
}

struct check {
    struct cmd_call *c;
    const struct config *config;
    const struct vhost *host;
    const struct api_caller *caller;
    unsigned named;
};

static bool refuse(struct check *k, const char *arg, const char *why)
{
    cmd_fail(k->c, ERR_FORBIDDEN, NULL);
    cmd_reason(k->c, "%s%s%san administrator of %.*s %s", arg ? "argument " : "", arg ? arg : "", arg ? ": " : "",
               STR_ARG(k->host->name), why);
    return false;
}

static bool domain_fits(struct check *k, const struct type *t, struct str domain)
{
    struct str name;
    k->named++;
    if (jid_nameprep(k->c->arena, domain, &name) && api_domain_owner(k->config, name) == k->host)
        return true;
    return refuse(k, t->name, "has no rights on this domain");
}

static bool account_fits(struct check *k, const struct type *t, struct jid account)
{
    if (!api_account_above(k->config, account, k->caller))
        return true;
    return refuse(k, t->name, "has no rights on an account that has more rights");
}

static bool address_fits(struct check *k, const struct type *t, struct str text)
{
    struct jid j;
    if (!jid_parse(k->c->arena, text, &j))
        return refuse(k, t->name, "must name an address there");
    return domain_fits(k, t, jid_host(j)) && account_fits(k, t, jid_to_bare(j));
}

static const struct value *beside(const struct type *types, const struct value *values, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(types[i].name, name))
            return &values[i];
    return NULL;
}

/* The account that this domain and the user's name beside it make. */
static bool pair_fits(struct check *k, const struct type *types, const struct value *values, unsigned n, unsigned at)
{
    for (size_t i = 0; i < ARRAY_LEN(user_of); i++) {
        const struct value *user = strcmp(types[at].name, user_of[i][0]) ? NULL : beside(types, values, n, user_of[i][1]);
        struct str name, host;
        if (user && jid_nodeprep(k->c->arena, user->s, &name) && jid_nameprep(k->c->arena, values[at].s, &host) &&
            !account_fits(k, &types[at], jid_join(k->c->arena, name, host, STR_NULL)))
            return false;
    }
    return true;
}

static bool values_fit(struct check *k, const struct type *types, const struct value *values, unsigned n);

static bool inside_fits(struct check *k, const struct type *t, const struct value *v)
{
    if (t->kind == V_TUPLE)
        return values_fit(k, t->of, v->items, t->count);
    for (size_t i = 0; t->kind == V_LIST && i < v->n; i++)
        if (!values_fit(k, t->of, &v->items[i], 1))
            return false;
    return true;
}

static bool values_fit(struct check *k, const struct type *types, const struct value *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct type *t = &types[i];
        switch (class_of(k->c->cmd->d, t)) {
        case ARG_FILE:
            return refuse(k, t->name, "cannot name files of this machine");
        case ARG_DOMAIN:
            if (!domain_fits(k, t, values[i].s) || !pair_fits(k, types, values, n, i))
                return false;
            break;
        case ARG_ADDRESS:
            if (!address_fits(k, t, values[i].s))
                return false;
            break;
        case ARG_OTHER:
            if (!inside_fits(k, t, &values[i]))
                return false;
            break;
        }
    }
    return true;
}

/* Older shapes hide hosts in other places: the newest one is looked at. NULL: there is none, the failure says why. */
static const struct value *newest_args(struct cmd_call *c)
{
    unsigned n = c->cmd->d->shapes[0].arg_count;
    if (!c->shape->to_newest)
        return c->args;
    struct value *v = ARENA_ARRAY(c->arena, struct value, n + 1u);
    c->shape->to_newest(c, c->args, v);
    return c->failure.code == ERR_NONE ? v : NULL;
}

bool host_args_fit(struct cmd_call *c, const struct vhost *h, const struct api_caller *caller)
{
    const struct cmd_shape *s = &c->cmd->d->shapes[0];
    struct check k = {.c = c, .config = config_current(), .host = h, .caller = caller};
    const struct value *args = c->args ? newest_args(c) : NULL;
    if (args && !values_fit(&k, s->args, args, s->arg_count))
        return false;
    if (k.named)
        return true;
    if (c->failure.code == ERR_NONE)
        refuse(&k, NULL, "can only run commands that name this host");
    return false;
}
