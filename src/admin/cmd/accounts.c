/*
 * Commands of the tag accounts: creating, checking and removing accounts. Work on an account is done at its home
 * (core/auth/auth.h).
 */
#include "admin/cmd/would.h"

#include "core/account/account.h"
#include "core/auth/auth.h"
#include "core/config/config.h"
#include "core/server.h"

#define LIST_PAGE 1000
#define NAME_MAX_BYTES 1023 /* a part of an address, RFC 7622 §3.1 */

/* Prepared host that is served. */
static bool served_host(struct cmd_call *c, struct str *host_out)
{
    return arg_host(c, "host", host_out) && config_host(config_current(), *host_out);
}

static int no_host(struct cmd_call *c)
{
    return cmd_fail(c, ERR_NO_HOST, NULL);
}

/* --- register --- */

static int cannot_register(struct cmd_call *c, const char *why)
{
    return cmd_fail_as(c, ERR_CANNOT_REGISTER, FAIL_CODED, QUOTE_NONE, "cannot_register",
                       "Can't register user %.*s@%.*s at node %s: %s", STR_ARG(arg_str(c, "user")), STR_ARG(arg_str(c, "host")),
                       server_node(), why);
}

static int register_failed(struct cmd_call *c, const struct error *err)
{
    switch (err->code) {
    case ERR_CONFLICT:
        return cmd_fail_as(c, ERR_CONFLICT, FAIL_CODED, QUOTE_NONE, "conflict", "User %.*s@%.*s already registered",
                           STR_ARG(arg_str(c, "user")), STR_ARG(arg_str(c, "host")));
    case ERR_NOT_ACCEPTABLE:
        return cannot_register(c, "The password contains unacceptable characters");
    case ERR_NO_HOST:
        return cmd_fail_as(c, ERR_CANNOT_REGISTER, FAIL_CODED, QUOTE_NONE, "cannot_register", "Unknown virtual host");
    default:
        return cmd_fail_error(c, err);
    }
}

static int register_account(struct cmd_call *c) YIELDS;
static int register_account(struct cmd_call *c)
{
    struct str user, host, password = arg_str(c, "password");
    struct error err = ERROR_INIT;
    if (!served_host(c, &host))
        err_set(&err, ERR_NO_HOST, NULL);
    else if (!arg_user(c, "user", &user))
        return cannot_register(c, "Malformed username");
    else if (str_empty(password))
        err_set(&err, ERR_NOT_ACCEPTABLE, NULL);
    else if (auth_register(host, user, password, &err) == 0) {
        cmd_textf(c, "User %.*s@%.*s successfully registered", STR_ARG(arg_str(c, "user")), STR_ARG(arg_str(c, "host")));
        return 0;
    }
    return register_failed(c, &err);
}

ADMIN_CMD(register) = {
    .tags = "accounts", .policy = POLICY_ADMIN, .where = RUNS_HERE, .secret = "password", .run = register_account,
    .brief = "Create an account",
    .text = "User and host are normalised as addresses are (RFC 7622); the password must be one that a client can type and is "
            "stored as `auth_password_format` says.",
    SHAPES({ARGS(T_BINARY("user", "Name of the new account"), T_BINARY("host", "Virtual host of this server"),
                 T_BINARY("password", "Its password")),
            RESULT(T_RESTUPLE("res")), EXAMPLE("bob", "example.com", "SomEPass44")}),
};

/* --- unregister --- */

static int would_unregister(struct cmd_call *c, struct str user, struct str host) YIELDS;
static int would_unregister(struct cmd_call *c, struct str user, struct str host)
{
    struct error err = ERROR_INIT;
    bool there;
    if (auth_exists(host, user, &there, &err) < 0)
        return cmd_fail_error(c, &err);
    if (there)
        cmd_would(c, arena_printf(c->arena, "account %.*s@%.*s", STR_ARG(user), STR_ARG(host)));
    else
        cmd_reason(c, "there is no such account");
    return would_kick(c, user, host, STR_NULL);
}

static int unregister(struct cmd_call *c) YIELDS;
static int unregister(struct cmd_call *c)
{
    struct str user, host;
    struct error err = ERROR_INIT;
    unsigned kicked;
    if (!served_host(c, &host))
        return no_host(c);
    cmd_text(c, S(""));
    if (!arg_user(c, "user", &user))
        return 0;
    if (c->dry_run)
        return would_unregister(c, user, host);
    /* the account goes first: whoever is kicked cannot come back */
    if (auth_remove(host, user, &err) < 0 && err.code != ERR_NOT_FOUND)
        return cmd_fail_error(c, &err);
    err = ERROR_INIT;
    if (account_kick(user, host, STR_NULL, KICK_REMOVED, STR_NULL, &kicked, &err) < 0)
        return cmd_fail_error(c, &err);
    return 0;
}

ADMIN_CMD(unregister) = {
    .tags = "accounts", .policy = POLICY_ADMIN, .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .flags = CMD_DRY_RUN, .run = unregister, .brief = "Remove an account",
    .text = "Removes the account with everything that belongs to it, and closes its sessions. An account that does not exist is "
            "no error.",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Virtual host of this server")),
            RESULT(T_RESTUPLE("res")), EXAMPLE("bob", "example.com")}),
};

/* --- registered_users --- */

/* Where a long list has come to, in memory that does not grow with it. */
struct listing {
    struct str host, after;
    char name[NAME_MAX_BYTES];
    size_t left;   /* rows of use; 0: all */
    size_t page, n; /* names asked for and got */
};

static int send_page(struct cmd_call *c, struct arena *page, struct listing *l) YIELDS;
static int send_page(struct cmd_call *c, struct arena *page, struct listing *l)
{
    struct error err = ERROR_INIT;
    struct str *names;
    if (auth_list(page, l->host, l->after, l->page, &names, &l->n, &err) < 0)
        return cmd_fail_error(c, &err);
    for (size_t i = 0; i < l->n; i++) {
        struct value row = value_str(names[i]);
        if (cmd_stream_row(c, &row) < 0)
            return cmd_fail(c, ERR_INTERNAL, "nobody takes the rest of the list");
    }
    if (!l->n)
        return 0;
    struct str last = names[l->n - 1];
    if (last.n > sizeof(l->name))
        return cmd_fail(c, ERR_INTERNAL, "an account in the store has a name longer than an address may be");
    memcpy(l->name, last.p, last.n);
    l->after = str_n(l->name, last.n);
    return 0;
}

static int registered_users(struct cmd_call *c) YIELDS;
static int registered_users(struct cmd_call *c)
{
    struct listing l = {.after = c->page.after, .left = c->page.limit};
    bool all = !l.left;
    if (!served_host(c, &l.host))
        return no_host(c);
    do {
        struct arena *page = arena_new();
        l.page = all || l.left > LIST_PAGE ? LIST_PAGE : l.left;
        int rc = send_page(c, page, &l);
        arena_release(&page);
        if (rc < 0)
            return -1;
        l.left -= all ? 0 : l.n;
    } while (l.n == l.page && (all || l.left));
    return 0;
}

ADMIN_CMD(registered_users) = {
    .tags = "accounts", .where = RUNS_HERE, .flags = CMD_READS | CMD_PAGES, .run = registered_users,
    .brief = "List the accounts of a virtual host", .text = "They come sorted by name and without their host.",
    SHAPES({ARGS(T_BINARY("host", "Virtual host of this server")),
            RESULT(T_LIST("users", "Names of the accounts", T_STRING("username", NULL))), EXAMPLE("example.com"),
            SHOWS("user1", "user2")}),
};

/* --- checks --- */

static int check_account(struct cmd_call *c) YIELDS;
static int check_account(struct cmd_call *c)
{
    struct str user, host;
    struct error err = ERROR_INIT;
    bool there = false;
    if (served_host(c, &host) && arg_user(c, "user", &user) && auth_exists(host, user, &there, &err) < 0)
        return cmd_fail_error(c, &err);
    cmd_code(c, there);
    if (!there)
        cmd_reason(c, "there is no such account");
    return 0;
}

ADMIN_CMD(check_account) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS, .run = check_account,
    .brief = "Tell whether an account exists",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")), RESULT(T_RESCODE("res")),
            EXAMPLE("peter", "myserver.com"), SHOWS("ok")}),
};

static int check_password(struct cmd_call *c) YIELDS;
static int check_password(struct cmd_call *c)
{
    struct str user, host;
    struct error err = ERROR_INIT;
    cmd_code(c, false);
    cmd_reason(c, "there is no such account, or the password is not its own"); /* which of them is for nobody to learn here */
    if (!served_host(c, &host) || !arg_user(c, "user", &user))
        return 0;
    if (auth_check_password(host, user, arg_str(c, "password"), &err) == 0) {
        cmd_code(c, true);
        c->reason = STR_NULL;
    } else if (err.code != ERR_NOT_FOUND && err.code != ERR_NOT_AUTHORIZED && err.code != ERR_NOT_ACCEPTABLE) {
        return cmd_fail_error(c, &err);
    }
    return 0;
}

ADMIN_CMD(check_password) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS, .secret = "password",
    .run = check_password, .brief = "Tell whether a password is the account's",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"),
                 T_BINARY("password", "Password to try")),
            RESULT(T_RESCODE("res")), EXAMPLE("peter", "myserver.com", "secret"), SHOWS("ok")}),
};

/* --- change_password --- */

static int change_password(struct cmd_call *c) YIELDS;
static int change_password(struct cmd_call *c)
{
    struct str user, host, password = arg_str(c, "newpass");
    struct error err = ERROR_INIT;
    bool there = false;
    if (served_host(c, &host) && arg_user(c, "user", &user) && auth_exists(host, user, &there, &err) < 0)
        return cmd_fail_error(c, &err);
    if (there && str_empty(password))
        err_set(&err, ERR_NOT_ACCEPTABLE, NULL);
    else if (there && auth_set_password(host, user, password, &err) == 0)
        return 0;
    if (!there || err.code == ERR_NOT_FOUND)
        return cmd_fail_as(c, ERR_NOT_FOUND, FAIL_THROWN, QUOTE_TEXT, "not_found", "unknown_user");
    if (err.code == ERR_NOT_ACCEPTABLE)
        return cmd_fail_as(c, ERR_NOT_ACCEPTABLE, FAIL_THROWN, QUOTE_NONE, "error", "invalid_password");
    return cmd_fail_error(c, &err);
}

ADMIN_CMD(change_password) = {
    .tags = "accounts", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .secret = "newpass", .run = change_password, .brief = "Give an account another password",
    .text = "Sessions that are open stay open.",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"),
                 T_BINARY("newpass", "The new password")),
            RESULT(T_RESCODE("res")), EXAMPLE("peter", "myserver.com", "blank"), SHOWS("ok")}),
};
