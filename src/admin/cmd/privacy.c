/* The command that changes privacy lists (XEP-0016) on behalf of an account. */
#include "admin/command.h"

#include "core/config/config.h"
#include "mod/api/privacy.h"
#include "xml/stream.h"

/* COMPAT(ejabberd): the word that the tool prints. */
static int refused(struct cmd_call *c, const char *why)
{
    cmd_code_word(c, "false");
    cmd_reason(c, "%s", why ? why : "the query was refused");
    return 0;
}

static int privacy_set_(struct cmd_call *c) YIELDS;
static int privacy_set_(struct cmd_call *c)
{
    struct str host, user;
    struct privacy_answer a;
    const char *why = "";
    const struct vhost *h = arg_host(c, "host", &host) ? config_host(config_current(), host) : NULL;
    if (!h)
        return cmd_fail(c, ERR_INTERNAL, "host %.*s is not served", STR_ARG(arg_str(c, "host")));
    if (!arg_user(c, "user", &user))
        return refused(c, "this is no name of an account");
    struct xml_el *query = xml_parse(c->arena, arg_str(c, "xmlquery"), TOK_NONE, &why);
    if (!query)
        return refused(c, why);
    if (query->tok != TOK_query || query->ns != TOK_NS_PRIVACY)
        return cmd_fail(c, ERR_INTERNAL, "xmlquery is no query of privacy lists");
    struct jid owner = jid_join(c->arena, user, host, STR_NULL);
    if (privacy_change(h->index, owner, JID_NULL, query, &a)) {
        cmd_code(c, true);
        return 0;
    }
    return a.undecodable ? cmd_fail(c, ERR_INTERNAL, "%s", a.text) : refused(c, a.text);
}

ADMIN_CMD(privacy_set) = {
    .tags = "stanza", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .run = privacy_set_,
    .brief = "Change the privacy lists of an account, as its client would with an IQ of type set",
    SHAPES({ARGS(T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"),
                 T_BINARY("xmlquery", "XML of the query element")),
            RESULT(T_RESCODE("res")), EXAMPLE("user1", "myserver.com", "<query xmlns='jabber:iq:privacy'>...")}),
};
