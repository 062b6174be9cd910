/* Commands of the tag private: XML that clients keep on the server (XEP-0049), and bookmarks on their way out of it. */
#include "admin/command.h"

#include "core/auth/ban.h"
#include "core/config/config.h"
#include "mod/api/private.h"
#include "xml/stream.h"
#include "xml/writer.h"

#define OWNER T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")
#define AT_HOME .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host"

static bool served(struct cmd_call *c, struct str *host_out)
{
    return arg_host(c, "host", host_out) && config_host(config_current(), *host_out);
}

static int store_failed(struct cmd_call *c, enum store_rc rc)
{
    struct error err = ERROR_INIT;
    store_error(rc, "private XML", &err);
    return cmd_fail_error(c, &err);
}

static void answer(struct cmd_call *c, struct xml_el *el)
{
    struct xml_el *query = xml_new(c->arena, TOK_query, TOK_NS_PRIVATE);
    struct buf text = BUF_INIT;
    if (el)
        xml_append(query, el);
    xml_write(&text, query, TOK_NS_CLIENT);
    cmd_text(c, arena_str(c->arena, buf_str(&text)));
    buf_deinit(&text);
}

/* Nothing stored: would the empty element in the answer be XML? */
static bool sayable(struct arena *a, const struct xml_el *el)
{
    const char *why;
    const struct xml_el *same = xml_parse(a, arena_printf(a, "<%.*s/>", STR_ARG(el->name)), TOK_NONE, &why);
    return same && str_eq(same->name, el->name);
}

/* An unserved host has nothing, not even what was asked for, COMPAT(ejabberd). */
static int private_get_(struct cmd_call *c) YIELDS;
static int private_get_(struct cmd_call *c)
{
    struct str host, user;
    struct xml_el *wanted = xml_new_text(c->arena, arg_str(c, "element"), arg_str(c, "ns")), *el = NULL;
    if (!served(c, &host)) {
        answer(c, NULL);
        return 0;
    }
    enum store_rc rc = STORE_OK;
    if (arg_user(c, "user", &user))
        rc = private_load(c->arena, host, user, wanted, &el);
    if (rc != STORE_OK)
        return store_failed(c, rc);
    if (!el)
        el = wanted;
    if (!xml_text_ok(arg_str(c, "ns")) || !sayable(c->arena, el))
        return cmd_fail(c, ERR_BAD_ARGUMENT, "element, ns: XML has no element of that name and namespace");
    answer(c, el);
    return 0;
}

ADMIN_CMD(private_get) = {
    .tags = "private", .module = "mod_admin_extra", AT_HOME, .flags = CMD_READS, .run = private_get_,
    .brief = "Show an element of the private storage of an account",
    .text = "When nothing is stored the answer holds the element that was asked for, empty, as a client would get it.",
    SHAPES({ARGS(OWNER, T_BINARY("element", "Name of the element"), T_BINARY("ns", "Its namespace")), RESULT(T_STRING("res", NULL)),
            EXAMPLE("user1", "myserver.com", "storage", "storage:rosternotes")}),
};

/* The tool's user sees what was wrong with the XML; the API only that it was. */
static int no_xml(struct cmd_call *c, const char *why) YIELDS;
static int no_xml(struct cmd_call *c, const char *why)
{
    if (c->sink && c->sink->say)
        c->sink->say(c->sink, c, arena_printf(c->arena, "Error found parsing the element:\n  <<\"%.*s\">>\nError: {5,<<\"%s\">>}\n",
                                              STR_ARG(arg_str(c, "element")), why));
    cmd_code_word(c, "error");
    cmd_reason(c, "the element is no XML: %s", why);
    return 0;
}

static int private_set_(struct cmd_call *c) YIELDS;
static int private_set_(struct cmd_call *c)
{
    struct str host, user;
    const char *why = "";
    struct xml_el *el = xml_parse(c->arena, arg_str(c, "element"), TOK_NONE, &why);
    if (!served(c, &host))
        return cmd_fail(c, ERR_INTERNAL, "host %.*s is not served", STR_ARG(arg_str(c, "host")));
    if (!arg_user(c, "user", &user))
        return cmd_fail(c, ERR_INTERNAL, "%.*s is no name of an account", STR_ARG(arg_str(c, "user")));
    if (!el)
        return no_xml(c, why);
    if (str_eq(el->ns_uri, S(BAN_NS))) { /* with it the old password would be gone for good */
        cmd_code(c, false);
        cmd_reason(c, "the record of a ban is changed by ban_account and unban_account only");
        return 0;
    }
    enum store_rc rc = private_save(host, user, &el, 1);
    if (rc != STORE_OK)
        return store_failed(c, rc);
    cmd_code(c, true);
    return 0;
}

ADMIN_CMD(private_set) = {
    .tags = "private", .module = "mod_admin_extra", AT_HOME, .secret = "element", .run = private_set_,
    .brief = "Store an element in the private storage of an account",
    .text = "What was stored under the same namespace is replaced.",
    SHAPES({ARGS(OWNER, T_BINARY("element", "XML of the element")), RESULT(T_RESCODE("res")),
            EXAMPLE("user1", "myserver.com", "<storage xmlns='storage:rosternotes'/>")}),
};

ADMIN_CMD(bookmarks_to_pep) = {
    .tags = "private", .module = "mod_private", AT_HOME,
    .brief = "Copy the bookmarks of an account from private storage to PEP, where newer clients look for them",
    RENAMES({"server", "host"}),
    SHAPES({ARGS(OWNER), RESULT(T_RESTUPLE("res")), EXAMPLE("bob", "example.com"), SHOWS("Bookmarks exported")}),
};
