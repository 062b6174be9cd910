/* Commands of the tag oauth: tokens and the clients that may ask for them (core/auth/oauth.h, store/oauth.h). */
#include "admin/command.h"

#include "admin/scopes.h"
#include "base/clock.h"
#include "core/auth/oauth.h"
#include "store/oauth.h"

#define LIST_PAGE 1000

/* --- tokens --- */

/* Seconds as the API writes them. */
static struct str seconds(struct arena *a, int64_t n)
{
    return arena_printf(a, "%lld seconds", (long long)n);
}

static bool scopes_of(struct cmd_call *c, const struct value *list, struct str *text, const struct str **v, size_t *n)
{
    struct str *words = ARENA_ARRAY(c->arena, struct str, list->n + 1);
    for (size_t i = 0; i < list->n; i++)
        words[i] = list->items[i].s;
    return scopes_check(c->arena, words, list->n, text, v, n);
}

static int oauth_issue_token(struct cmd_call *c) YIELDS;
static int oauth_issue_token(struct cmd_call *c)
{
    struct jid jid;
    struct str scopes, token;
    const struct str *v;
    size_t n;
    int64_t ttl = arg_int(c, "ttl");
    struct error err = ERROR_INIT;
    if (!jid_parse(c->arena, arg_str(c, "jid"), &jid))
        return cmd_fail(c, ERR_JID_MALFORMED, "Invalid JID: %.*s", STR_ARG(arg_str(c, "jid")));
    if (!scopes_of(c, arg_value(c, "scopes"), &scopes, &v, &n))
        return cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_REASON, QUOTE_NONE, "error", "invalid_scope");
    if (oauth_issue(c->arena, jid_to_bare(jid), scopes, ttl, &token, &err) < 0)
        return cmd_fail_error(c, &err);
    struct value *f = cmd_fields(c);
    f[0] = value_str(token);
    f[1].items = ARENA_ARRAY(c->arena, struct value, n);
    f[1].n = n;
    for (size_t i = 0; i < n; i++)
        f[1].items[i] = value_str(v[i]);
    if (!str_eq(c->frontend, S("ejabberd_ctl"))) /* COMPAT(ejabberd): the tool shows them as they were given */
        value_sort(c->cmd->d->shapes[0].result->of[1].of, f[1].items, n);
    f[2] = value_str(seconds(c->arena, ttl));
    return 0;
}

/* Version 0 has its scopes in one text, with semicolons. */
static void issue_v0_args(struct cmd_call *c, const struct value *in, struct value *out)
{
    struct str rest = in[2].s, word;
    size_t room = 1;
    for (size_t i = 0; i < rest.n; i++)
        room += rest.p[i] == ';';
    out[0] = in[0];
    out[1] = in[1];
    out[2] = (struct value){.items = ARENA_ARRAY(c->arena, struct value, room)};
    while (str_split(&rest, ';', &word))
        out[2].items[out[2].n++] = value_str(word);
}

static struct value issue_v0_result(struct cmd_call *c, const struct value *v)
{
    struct value *f = ARENA_ARRAY(c->arena, struct value, 3);
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < v->items[1].n; i++)
        buf_printf(&b, "%s%.*s", i ? ";" : "", STR_ARG(v->items[1].items[i].s));
    f[0] = v->items[0];
    f[1] = value_str(arena_str(c->arena, buf_str(&b)));
    f[2] = v->items[2];
    buf_deinit(&b);
    return (struct value){.items = f, .n = 3};
}

ADMIN_CMD(oauth_issue_token) = {
    .tags = "oauth", .where = RUNS_HERE, .run = oauth_issue_token,
    .brief = "Make an OAuth token for an account",
    .text = "The token stands for the account, as far as the scopes go, until it expires or is revoked. Scopes are "
            "`ejabberd:admin`, `ejabberd:user`, `sasl_auth` (login to XMPP), names of commands, and what `api_permissions` names.",
    SHAPES({.api = 1, .note = "updated in 24.02",
            ARGS(T_STRING("jid", "Account that the token stands for"), T_INTEGER("ttl", "Seconds until the token expires"),
                 T_LIST("scopes", "What the token is good for", T_BINARY("scope", NULL))),
            RESULT(T_TUPLE("result", T_STRING("token", NULL), T_LIST("scopes", NULL, T_STRING("scope", NULL)),
                           T_STRING("expires_in", NULL))),
            EXAMPLE("user@server.com", "3600", "connected_users_number,muc_online_rooms")},
           {ARGS(T_STRING("jid", "Account that the token stands for"), T_INTEGER("ttl", "Seconds until the token expires"),
                 T_STRING("scopes", "What the token is good for, separated by `;`")),
            RESULT(T_TUPLE("result", T_STRING("token", NULL), T_STRING("scopes", NULL), T_STRING("expires_in", NULL))),
            EXAMPLE("user@server.com", "3600", "connected_users_number;muc_online_rooms"),
            .to_newest = issue_v0_args, .from_newest = issue_v0_result}),
};

static int send_page(struct cmd_call *c, struct arena *page, int64_t now, struct str *after, size_t *n_out) YIELDS;
static int send_page(struct cmd_call *c, struct arena *page, int64_t now, struct str *after, size_t *n_out)
{
    struct oauth_token_row *rows;
    struct error err = ERROR_INIT;
    enum store_rc rc = oauth_token_list(page, *after, now, LIST_PAGE, &rows, n_out);
    if (rc != STORE_OK) {
        store_error(rc, "tokens", &err);
        return cmd_fail_error(c, &err);
    }
    for (size_t i = 0; i < *n_out; i++) {
        struct value fields[] = {value_str(rows[i].token), value_str(rows[i].owner), value_str(rows[i].scopes),
                                 value_str(seconds(page, rows[i].expires_s - now))};
        struct value row = {.items = fields, .n = ARRAY_LEN(fields)};
        if (cmd_stream_row(c, &row) < 0)
            return cmd_fail(c, ERR_INTERNAL, "the peer is gone");
    }
    if (*n_out)
        *after = arena_str(c->arena, rows[*n_out - 1].token);
    return 0;
}

static int oauth_list_tokens(struct cmd_call *c) YIELDS;
static int oauth_list_tokens(struct cmd_call *c)
{
    struct str after = STR_NULL;
    int64_t now = (int64_t)clock_wall_s();
    size_t n = LIST_PAGE;
    arena_mark_secret(c->arena);
    while (n == LIST_PAGE) {
        struct arena *page = arena_new();
        int rc = send_page(c, page, now, &after, &n);
        arena_release(&page);
        if (rc < 0)
            return -1;
    }
    return 0;
}

ADMIN_CMD(oauth_list_tokens) = {
    .tags = "oauth", .where = RUNS_HERE, .flags = CMD_READS, .run = oauth_list_tokens,
    .brief = "List the OAuth tokens that are valid now",
    .text = "With the account each one stands for, its scopes, and the seconds that are left. Works with every storage.",
    SHAPES({NO_ARGS, RESULT(T_LIST("tokens", NULL, T_TUPLE("token", T_STRING("token", NULL), T_STRING("user", NULL),
                                                            T_STRING("scope", NULL), T_STRING("expires_in", NULL))))}),
};

static int would_revoke(struct cmd_call *c) YIELDS;
static int would_revoke(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    struct oauth_token_row row;
    enum store_rc rc = oauth_token_get(c->arena, arg_str(c, "token"), &row);
    if (rc == STORE_OK)
        cmd_would(c, arena_printf(c->arena, "token of %.*s", STR_ARG(row.owner)));
    if (rc == STORE_OK || rc == STORE_NONE)
        return 0;
    store_error(rc, "token", &err);
    return cmd_fail_error(c, &err);
}

static int oauth_revoke_token(struct cmd_call *c) YIELDS;
static int oauth_revoke_token(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    cmd_text(c, S(""));
    if (c->dry_run)
        return would_revoke(c);
    return oauth_revoke(arg_str(c, "token"), &err) < 0 ? cmd_fail_error(c, &err) : 0;
}

ADMIN_CMD(oauth_revoke_token) = {
    .tags = "oauth", .where = RUNS_HERE, .flags = CMD_DRY_RUN, .secret = "token", .run = oauth_revoke_token,
    .brief = "Make an OAuth token worthless",
    .text = "From now on the token is refused, on every connection. A token that does not exist is no error.",
    SHAPES({.note = "changed in 22.05", ARGS(T_BINARY("token", NULL)), RESULT(T_RESTUPLE("res"))}),
};

/* --- clients --- */

static int store_client(struct cmd_call *c, const struct oauth_client *client) YIELDS;
static int store_client(struct cmd_call *c, const struct oauth_client *client)
{
    struct error err = ERROR_INIT;
    enum store_rc rc = oauth_client_set(client);
    cmd_text(c, S(""));
    if (rc == STORE_OK)
        return 0;
    store_error(rc, "client", &err);
    return cmd_fail_error(c, &err);
}

static int oauth_add_client_password(struct cmd_call *c) YIELDS;
static int oauth_add_client_password(struct cmd_call *c)
{
    struct oauth_client client = {.id = arg_str(c, "client_id"), .name = arg_str(c, "client_name"),
                                  .grant = OAUTH_GRANT_PASSWORD, .secret = arg_str(c, "secret")};
    return store_client(c, &client);
}

ADMIN_CMD(oauth_add_client_password) = {
    .tags = "oauth", .where = RUNS_HERE, .secret = "secret", .run = oauth_add_client_password,
    .brief = "Let a program ask for tokens with a user's password",
    .text = "Registers a client of the password grant, or replaces the one of this id.",
    SHAPES({ARGS(T_BINARY("client_id", NULL), T_BINARY("client_name", NULL), T_BINARY("secret", NULL)),
            RESULT(T_RESTUPLE("res"))}),
};

static int oauth_add_client_implicit(struct cmd_call *c) YIELDS;
static int oauth_add_client_implicit(struct cmd_call *c)
{
    struct oauth_client client = {.id = arg_str(c, "client_id"), .name = arg_str(c, "client_name"),
                                  .grant = OAUTH_GRANT_IMPLICIT, .redirect_uri = arg_str(c, "redirect_uri")};
    return store_client(c, &client);
}

ADMIN_CMD(oauth_add_client_implicit) = {
    .tags = "oauth", .where = RUNS_HERE, .run = oauth_add_client_implicit,
    .brief = "Let a web site ask for tokens on the authorization page",
    .text = "Registers a client of the implicit grant, or replaces the one of this id. The page sends tokens to this address only.",
    SHAPES({ARGS(T_BINARY("client_id", NULL), T_BINARY("client_name", NULL), T_BINARY("redirect_uri", NULL)),
            RESULT(T_RESTUPLE("res"))}),
};

static int oauth_remove_client(struct cmd_call *c) YIELDS;
static int oauth_remove_client(struct cmd_call *c)
{
    struct error err = ERROR_INIT;
    struct oauth_client client;
    struct str id = arg_str(c, "client_id");
    enum store_rc rc = c->dry_run ? oauth_client_get(c->arena, id, &client) : oauth_client_remove(id);
    cmd_text(c, S(""));
    if (c->dry_run && rc == STORE_OK)
        cmd_would(c, arena_printf(c->arena, "client %.*s", STR_ARG(id)));
    if (rc == STORE_OK || rc == STORE_NONE)
        return 0;
    store_error(rc, "client", &err);
    return cmd_fail_error(c, &err);
}

ADMIN_CMD(oauth_remove_client) = {
    .tags = "oauth", .where = RUNS_HERE, .flags = CMD_DRY_RUN, .run = oauth_remove_client,
    .brief = "Forget an OAuth client",
    .text = "Tokens that were issued stay valid. A client that does not exist is no error.",
    SHAPES({ARGS(T_BINARY("client_id", NULL)), RESULT(T_RESTUPLE("res"))}),
};
