/* The command of the tag session that speaks for a session. */
#include "admin/command.h"

#include "core/account/account.h"
#include "xml/writer.h"

/* Up to version 0 the priority was a text. */
static void priority_from_text(struct cmd_call *c, const struct value *in, struct value *out)
{
    struct str digits = in[6].s;
    memcpy(out, in, 7 * sizeof(*out));
    if (digits.n > 1 && digits.p[0] == '+')
        digits = str_n(digits.p + 1, digits.n - 1);
    out[6] = (struct value){.i = 0};
    if (!str_to_i64(digits, &out[6].i))
        cmd_fail(c, ERR_INTERNAL, "argument priority: unfit value");
}

static bool show_ok(struct str show)
{
    static const char *const words[] = {"", "away", "chat", "dnd", "xa"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(show, str_of(words[i])))
            return true;
    return false;
}

static bool arguments_ok(struct cmd_call *c)
{
    int64_t priority = arg_int(c, "priority");
    struct str type = arg_str(c, "type");
    if (!str_eq(type, S("available")) && !str_eq(type, S("unavailable")))
        cmd_fail(c, ERR_BAD_ARGUMENT, "type: expected available or unavailable");
    else if (!show_ok(arg_str(c, "show")))
        cmd_fail(c, ERR_BAD_ARGUMENT, "show: expected away, chat, dnd, xa or nothing");
    else if (priority < -128 || priority > 127)
        cmd_fail(c, ERR_BAD_ARGUMENT, "priority: expected a number from -128 to 127");
    else if (!xml_text_ok(arg_str(c, "status")))
        cmd_fail(c, ERR_BAD_ARGUMENT, "status: it has characters that XML does not allow");
    return c->failure.code == ERR_NONE;
}

static void add_text(struct stanza *s, enum token name, struct str text)
{
    if (text.n)
        xml_add_leaf(s->arena, s->el, name, arena_str(s->arena, text));
}

static struct stanza *presence_of(struct cmd_call *c)
{
    bool available = str_eq(arg_str(c, "type"), S("available"));
    struct stanza *s = stanza_new(STANZA_PRESENCE, available ? ST_AVAILABLE : ST_UNAVAILABLE, JID_NULL, JID_NULL);
    xml_add_leaf(s->arena, s->el, TOK_priority, arena_printf(s->arena, "%lld", (long long)arg_int(c, "priority")));
    add_text(s, TOK_show, arg_str(c, "show"));
    add_text(s, TOK_status, arg_str(c, "status"));
    return s;
}

static int no_session(struct cmd_call *c)
{
    return cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_REASON, QUOTE_TEXT, "error", "User session not found");
}

static int set_presence(struct cmd_call *c) YIELDS;
static int set_presence(struct cmd_call *c)
{
    struct str user, host, resource;
    struct error err = ERROR_INIT;
    if (!arguments_ok(c))
        return -1;
    if (!arg_user(c, "user", &user) || !arg_host(c, "host", &host) ||
        !jid_resourceprep(c->arena, arg_str(c, "resource"), &resource))
        return no_session(c);
    struct stanza *s = presence_of(c);
    if (account_inject(user, host, resource, &s, &err) == 0)
        return 0;
    return err.code == ERR_NOT_FOUND ? no_session(c) : cmd_fail_error(c, &err);
}

#define SESSION                                                                                                              \
    T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"), T_BINARY("resource", "Resource of the session")
#define PRESENCE                                                                                                        \
    T_BINARY("type", "`available` or `unavailable`"),                                        \
        T_BINARY("show", "`away`, `chat`, `dnd`, `xa`, or empty"), T_BINARY("status", "Text that contacts see, may be empty")
#define PRIORITY_HELP "Priority, from -128 to 127"
#define SET_EXAMPLE EXAMPLE("user1", "myserver.com", "tka1", "available", "away", "BB", "7")

ADMIN_CMD(set_presence) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .run = set_presence, .brief = "Change the presence of a session",
    .text = "It is as if the client had sent it: contacts are told. The session must exist.",
    SHAPES({.api = 1, .note = "updated in 24.02", ARGS(SESSION, PRESENCE, T_INTEGER("priority", PRIORITY_HELP)),
            RESULT(T_RESCODE("res")), SET_EXAMPLE},
           {ARGS(SESSION, PRESENCE, T_BINARY("priority", PRIORITY_HELP)), RESULT(T_RESCODE("res")),
            .to_newest = priority_from_text, SET_EXAMPLE}),
};
