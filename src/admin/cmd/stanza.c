/* Commands of the tag stanza: messages and stanzas made by an administrator, routed like any other. */
#include "admin/command.h"

#include "base/rand.h"
#include "core/account/account.h"
#include "core/router.h"
#include "xml/stream.h"
#include "xml/writer.h"

#define ID_CHARS 16
#define KEPT_MS 20000 /* the store's own deadlines are shorter */

/* The answer means that the message is not lost any more, whatever happens to the server. */
static int vouch(struct cmd_call *c, struct stanza **s) YIELDS;
static int vouch(struct cmd_call *c, struct stanza **s)
{
    struct error err = ERROR_INIT;
    return router_route_kept(s, KEPT_MS, &err) == 0 ? 0 : cmd_fail_error(c, &err);
}

/* --- send_message --- */

static enum stanza_type message_type(struct str word)
{
    static const struct {
        struct str word;
        enum stanza_type type;
    } types[] = {
        {{"chat", 4}, ST_CHAT}, {{"groupchat", 9}, ST_GROUPCHAT}, {{"headline", 8}, ST_HEADLINE}, {{"error", 5}, ST_ERROR}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq(types[i].word, word))
            return types[i].type;
    return ST_NORMAL;
}

static int bad_address(struct cmd_call *c, const char *attr)
{
    return cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_REASON, QUOTE_BINARY, "error",
                       "Bad value of attribute '%s' in tag <message/> qualified by namespace 'jabber:client'", attr);
}

static int send_message(struct cmd_call *c) YIELDS;
static int send_message(struct cmd_call *c)
{
    struct str subject = arg_str(c, "subject"), body = arg_str(c, "body");
    struct jid from, to;
    char id[ID_CHARS + 1];
    if (!jid_parse(c->arena, arg_str(c, "from"), &from))
        return bad_address(c, "from");
    if (!jid_parse(c->arena, arg_str(c, "to"), &to))
        return bad_address(c, "to");
    if (!xml_text_ok(subject) || !xml_text_ok(body))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "The text has characters that XML does not allow");
    struct stanza *s = stanza_new(STANZA_MESSAGE, message_type(arg_str(c, "type")), from, to);
    rand_token(id, ID_CHARS);
    s->id = arena_str(s->arena, str_n(id, ID_CHARS));
    xml_attr_set(s->arena, s->el, TOK_id, s->id);
    xml_add_leaf(s->arena, s->el, TOK_body, arena_str(s->arena, body));
    if (subject.n)
        xml_add_leaf(s->arena, s->el, TOK_subject, arena_str(s->arena, subject));
    return vouch(c, &s);
}

ADMIN_CMD(send_message) = {
    .tags = "stanza", .module = "mod_admin_extra", .where = RUNS_HERE, .secret = "subject body", .run = send_message,
    .brief = "Send a message to a bare or full JID, local or remote",
    .text = "A groupchat message for a room needs a sender that may speak there: the full JID of an occupant, or the bare JID of "
            "a subscriber or of an administrator of the service.",
    SHAPES({ARGS(T_BINARY("type", "`normal`, `chat`, `headline` or `groupchat`"), T_BINARY("from", "JID of the sender"),
                 T_BINARY("to", "JID of the receiver"), T_BINARY("subject", "Subject, may be empty"), T_BINARY("body", "Text")),
            RESULT(T_RESCODE("res")), EXAMPLE("headline", "admin@localhost", "user1@localhost", "Restart", "In 5 minutes")}),
};

/* --- whole stanzas --- */

/* Failed: the tool gets the reason as a term, the API no reason at all. COMPAT(ejabberd). */
static int not_a_stanza(struct cmd_call *c, const struct xml_el *el)
{
    struct failure *f = &c->failure;
    cmd_fail_as(c, ERR_INTERNAL, FAIL_REASON, QUOTE_NONE, "error", "{unknown_tag,<<\"%.*s\">>,<<\"%.*s\">>}", STR_ARG(el->name),
                STR_ARG(el->ns_uri));
    f->note = arena_printf(c->arena, "incorrect stanza: Unknown tag <%.*s/> qualified by namespace '%.*s'\n", STR_ARG(el->name),
                           STR_ARG(el->ns_uri));
    return -1;
}

/* COMPAT(ejabberd): the tool shows what is missing as a term. */
static int not_complete(struct cmd_call *c, const struct stanza *s, struct str why)
{
    if (s->kind != STANZA_IQ || s->id.p)
        return cmd_fail(c, ERR_INTERNAL, "%.*s", STR_ARG(why));
    return cmd_fail_as(c, ERR_INTERNAL, FAIL_REASON, QUOTE_NONE, "error",
                       "{missing_attr,<<\"id\">>,<<\"%.*s\">>,<<\"jabber:client\">>}", STR_ARG(s->el->name));
}

/* The argument as a stanza in an arena of its own; NULL with a failure set. */
static struct stanza *parse_stanza(struct cmd_call *c)
{
    struct arena *a = arena_new();
    const char *why = "";
    struct xml_el *el = xml_parse(a, arg_str(c, "stanza"), TOK_NS_CLIENT, &why);
    struct stanza *s = el ? stanza_of(a, el) : NULL;
    struct str flaw = s ? stanza_flaw(s) : STR_NULL;
    if (!el) {
        cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_REASON, QUOTE_BINARY, "error", "%s", why);
        c->failure.note = arena_printf(c->arena, "invalid xml: <<\"%s\">>\n", why);
    } else if (!s) {
        not_a_stanza(c, el);
    } else if (flaw.n) {
        not_complete(c, s, flaw);
    } else {
        return s;
    }
    arena_release(&a);
    return NULL;
}

static int malformed(struct cmd_call *c, const char *arg)
{
    cmd_fail_as(c, ERR_JID_MALFORMED, FAIL_REASON, QUOTE_TEXT, "error", "JID malformed");
    c->failure.note = arena_printf(c->arena, "malformed JID: %.*s\n", STR_ARG(arg_str(c, arg)));
    return -1;
}

static int send_stanza(struct cmd_call *c) YIELDS;
static int send_stanza(struct cmd_call *c)
{
    struct jid from, to;
    if (!jid_parse(c->arena, arg_str(c, "from"), &from))
        return malformed(c, "from");
    if (!jid_parse(c->arena, arg_str(c, "to"), &to))
        return malformed(c, "to");
    struct stanza *s = parse_stanza(c);
    if (!s)
        return -1;
    s->from = jid_copy(s->arena, from);
    s->to = jid_copy(s->arena, to);
    stanza_stamp(s);
    if (s->kind == STANZA_MESSAGE)
        return vouch(c, &s);
    router_route(&s);
    return 0;
}

ADMIN_CMD(send_stanza) = {
    .tags = "stanza", .module = "mod_admin_extra", .where = RUNS_HERE, .secret = "stanza", .run = send_stanza,
    .brief = "Send a stanza as it is, with the given sender and receiver",
    SHAPES({ARGS(T_BINARY("from", "JID of the sender"), T_BINARY("to", "JID of the receiver"),
                 T_BINARY("stanza", "XML of the stanza")),
            RESULT(T_RESCODE("res")),
            EXAMPLE("admin@localhost", "user1@localhost", "<message><ext attr='value'/></message>")}),
};

static int send_stanza_c2s(struct cmd_call *c) YIELDS;
static int send_stanza_c2s(struct cmd_call *c)
{
    struct str user, host, resource, to;
    struct error err = ERROR_INIT;
    if (!arg_user(c, "user", &user) || !arg_host(c, "host", &host) ||
        !jid_resourceprep(c->arena, arg_str(c, "resource"), &resource))
        return cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_REASON, QUOTE_NONE, "error", "no_session");
    struct stanza *s = parse_stanza(c);
    if (!s) {
        c->failure.code = ERR_INTERNAL;
        return -1;
    }
    to = xml_attr_get(s->el, TOK_to);
    if (to.p && !jid_parse(s->arena, to, &s->to)) {
        stanza_end(&s);
        return cmd_fail(c, ERR_INTERNAL, "the stanza's receiver is no address");
    }
    if (account_inject(user, host, resource, &s, &err) == 0)
        return 0;
    if (err.code == ERR_NOT_FOUND)
        return cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_REASON, QUOTE_NONE, "error", "no_session");
    return cmd_fail_error(c, &err);
}

ADMIN_CMD(send_stanza_c2s) = {
    .tags = "stanza", .module = "mod_admin_extra", .where = RUNS_HERE, .secret = "stanza", .run = send_stanza_c2s,
    .brief = "Send a stanza as if a connected client had sent it",
    .text = "The session must exist. To send without one there is _`send_stanza`_.",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"),
                 T_BINARY("resource", "Resource of the session"), T_BINARY("stanza", "XML of the stanza")),
            RESULT(T_RESCODE("res")),
            EXAMPLE("admin", "myserver.com", "bot", "<message to='user1@localhost'><ext attr='value'/></message>")}),
};
