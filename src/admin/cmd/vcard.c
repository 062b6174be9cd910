/* Commands of the tag vcard: fields of the vCard of an account (XEP-0054), which is kept at the account's home. */
#include "admin/command.h"

#include "core/account/turn.h"
#include "core/config/config.h"
#include "mod/api/vcard.h"
#include "xml/writer.h"
#include "xmpp/dataform.h"

#define OWNER T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")
#define FIELD T_BINARY("name", "Name of the field, in capital letters")
#define SUBFIELD FIELD, T_BINARY("subname", "Name of the part of the field")
#define CONTENT T_BINARY("content", "The new text")
#define VCARD .tags = "vcard", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host"

#define ALL_FIELDS "\nAll fields are in [XEP-0054](https://xmpp.org/extensions/xep-0054.html)."
#define FIELDS_TEXT                                                                                               \
    "Fields that clients show:\n\n"                                                                               \
    "* FN - name\n* NICKNAME - nickname\n* BDAY - birthday\n* TITLE - position at work\n* ROLE - role at work\n"  \
    "* URL - web page\n* DESC - about the person\n" ALL_FIELDS
#define SUBFIELDS_TEXT                                                                                            \
    "Fields that have parts:\n\n"                                                                                 \
    "* N FAMILY, N GIVEN, N MIDDLE - parts of the name\n"                                                         \
    "* ADR CTRY, ADR LOCALITY - country and town\n"                                                               \
    "* TEL HOME, TEL WORK, TEL CELL, TEL VOICE - telephone number of that kind\n"                                 \
    "* EMAIL USERID - mail address\n"                                                                             \
    "* ORG ORGNAME, ORG ORGUNIT - company and department\n" ALL_FIELDS

/* --- reading --- */

static const struct vhost *served(struct cmd_call *c, struct str *host_out)
{
    return arg_host(c, "host", host_out) ? config_host(config_current(), *host_out) : NULL;
}

static int refuse(struct cmd_call *c, const char *word)
{
    return cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_BARE, QUOTE_NONE, word, "%s", word);
}

/* COMPAT(ejabberd): the words are what clients of the API look for. */
static int load(struct cmd_call *c, struct xml_el **out) YIELDS;
static int load(struct cmd_call *c, struct xml_el **out)
{
    struct str host, user;
    struct error err = ERROR_INIT;
    if (!served(c, &host))
        return refuse(c, "error_wrong_hostname");
    enum store_rc rc = arg_user(c, "user", &user) ? vcard_load(c->arena, host, user, out) : STORE_NONE;
    if (rc == STORE_NONE)
        return refuse(c, "error_no_vcard_found");
    if (rc == STORE_OK)
        return 0;
    store_error(rc, "vCard", &err);
    return cmd_fail_error(c, &err);
}

/* A telephone number is found by the mark of its kind, and stands in NUMBER (XEP-0054 §3.3.1). */
static bool is_telephone(struct str name)
{
    return str_eq(name, S("TEL"));
}

static struct xml_el *next_named(struct xml_el *el, struct str name)
{
    while (el && !str_eq(el->name, name))
        el = xml_next(el);
    return el;
}

/* All texts of a part, in every element of the name; the one to be shown first comes first. */
static int read_parts(struct cmd_call *c, struct str **out, size_t *n_out) YIELDS;
static int read_parts(struct cmd_call *c, struct str **out, size_t *n_out)
{
    struct str name = arg_str(c, "name"), part = arg_str(c, "subname");
    struct xml_el *vcard;
    size_t max = 0;
    if (load(c, &vcard) < 0)
        return -1;
    for (struct xml_el *el = xml_first(vcard); el; el = xml_next(el))
        for (struct xml_el *sub = xml_first(el); sub; sub = xml_next(sub))
            max++;
    *out = ARENA_ARRAY(c->arena, struct str, max + 1);
    *n_out = 0;
    for (struct xml_el *el = next_named(xml_first(vcard), name); el; el = next_named(xml_next(el), name)) {
        if (is_telephone(name) && !vcard_child(el, part))
            continue;
        struct str what = is_telephone(name) ? S("NUMBER") : part;
        for (struct xml_el *sub = next_named(xml_first(el), what); sub; sub = next_named(xml_next(sub), what))
            (*out)[(*n_out)++] = xml_text_of(c->arena, sub);
    }
    if (*n_out)
        return 0;
    if (is_telephone(name)) /* COMPAT(ejabberd) */
        return cmd_fail(c, ERR_INTERNAL, "the vCard has no telephone number of that kind");
    return refuse(c, "error_no_value_found_in_vcard");
}

static int get_vcard(struct cmd_call *c) YIELDS;
static int get_vcard(struct cmd_call *c)
{
    struct xml_el *vcard;
    if (load(c, &vcard) < 0)
        return -1;
    struct xml_el *el = vcard_child(vcard, arg_str(c, "name"));
    if (!el)
        return refuse(c, "error_no_value_found_in_vcard");
    cmd_text(c, xml_text_of(c->arena, el));
    return 0;
}

static int get_vcard2(struct cmd_call *c) YIELDS;
static int get_vcard2(struct cmd_call *c)
{
    struct str *texts;
    size_t n;
    if (read_parts(c, &texts, &n) < 0)
        return -1;
    cmd_text(c, texts[0]);
    return 0;
}

static int get_vcard2_multi(struct cmd_call *c) YIELDS;
static int get_vcard2_multi(struct cmd_call *c)
{
    struct str *texts;
    size_t n;
    if (read_parts(c, &texts, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        *cmd_add_row(c) = value_str(texts[i]);
    return 0;
}

ADMIN_CMD(get_vcard) = {
    VCARD, .flags = CMD_READS, .run = get_vcard, .brief = "Show a field of the vCard of an account", .text = FIELDS_TEXT,
    SHAPES({ARGS(OWNER, FIELD), RESULT(T_STRING("content", "Text of the field")), EXAMPLE("user1", "myserver.com", "NICKNAME"),
            SHOWS("User 1")}),
};

ADMIN_CMD(get_vcard2) = {
    VCARD, .flags = CMD_READS, .run = get_vcard2,
    .brief = "Show a part of a field of the vCard of an account", .text = SUBFIELDS_TEXT,
    SHAPES({ARGS(OWNER, SUBFIELD), RESULT(T_STRING("content", "Text of that part")),
            EXAMPLE("user1", "myserver.com", "N", "FAMILY"), SHOWS("Schubert")}),
};

ADMIN_CMD(get_vcard2_multi) = {
    VCARD, .flags = CMD_READS, .run = get_vcard2_multi,
    .brief = "Show a part of a field that stands in the vCard of an account more than once",
    .text = SUBFIELDS_TEXT,
    SHAPES({ARGS(OWNER, SUBFIELD), RESULT(T_LIST("contents", NULL, T_STRING("value", NULL)))}),
};

/* --- changing --- */

/* A name that XML can carry: anything else would make the whole vCard unreadable. */
static bool name_ok(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        bool letter = (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '_';
        if (!letter && (i == 0 || !((ch >= '0' && ch <= '9') || ch == '-' || ch == '.')))
            return false;
    }
    return name.n > 0 && name.n <= 64;
}

static struct xml_el *add_child(struct arena *a, struct xml_el *parent, struct str name)
{
    struct xml_el *el = xml_new_text(a, name, token_str(TOK_NS_VCARD));
    xml_append(parent, el);
    return el;
}

/* The element to be changed: made when there is none. Of a telephone number, the one of that kind. */
static struct xml_el *field_of(struct arena *a, struct xml_el *vcard, struct str name, struct str part)
{
    struct xml_el *el = next_named(xml_first(vcard), name);
    while (el && is_telephone(name) && part.p && !vcard_child(el, part))
        el = next_named(xml_next(el), name);
    if (el)
        return el;
    el = add_child(a, vcard, name);
    if (is_telephone(name) && part.p)
        add_child(a, el, part);
    return el;
}

static void put_texts(struct arena *a, struct xml_el *parent, struct str name, const struct str *texts, size_t n)
{
    for (struct xml_el *old; (old = vcard_child(parent, name));)
        xml_remove(parent, old);
    for (size_t i = 0; i < n; i++)
        xml_append_text(a, add_child(a, parent, name), dataform_clean(a, texts[i]));
}

/* What is to be written: texts of a field, or of a part of one. */
struct change {
    struct str name, part; /* part absent: of the field itself */
    const struct str *texts;
    size_t n;
    bool anew; /* nothing else is kept */
};

static int bad_name(struct cmd_call *c, const char *arg)
{
    return cmd_fail_as(c, ERR_BAD_ARGUMENT, FAIL_REASON, QUOTE_BINARY, "error", "%s: \"%.*s\" is no name of a vCard field", arg,
                       STR_ARG(arg_str(c, arg)));
}

/* The reference cannot store some of it either; replaced characters would be a lie. */
static int bad_text(struct cmd_call *c, const char *arg)
{
    return cmd_fail(c, ERR_INTERNAL, "%s: the text has characters that XML does not allow", arg);
}

/* A picture that is none would go to everybody who looks (XEP-0054 §3.3.1). */
static bool pictures_ok(struct arena *a, const struct change *ch)
{
    struct str bytes;
    bool binary = str_eq(ch->part, S("BINVAL")) && vcard_is_binary(ch->name);
    for (size_t i = 0; binary && i < ch->n; i++)
        if (!vcard_binval(a, ch->texts[i], &bytes))
            return false;
    return true;
}

static int check(struct cmd_call *c, const struct change *ch, const char *texts_arg)
{
    if (!ch->anew && !name_ok(ch->name))
        return bad_name(c, "name");
    if (ch->part.p && !name_ok(ch->part))
        return bad_name(c, "subname");
    for (size_t i = 0; i < ch->n; i++)
        if (!xml_text_ok(ch->texts[i]))
            return bad_text(c, texts_arg);
    return pictures_ok(c->arena, ch) ? 0 : cmd_fail(c, ERR_BAD_ARGUMENT, "%s: expected base64", texts_arg);
}

static void put(struct arena *a, struct xml_el *vcard, const struct change *ch)
{
    bool number = ch->part.p && is_telephone(ch->name);
    struct xml_el *parent = ch->part.p ? field_of(a, vcard, ch->name, ch->part) : vcard;
    put_texts(a, parent, number ? S("NUMBER") : ch->part.p ? ch->part : ch->name, ch->texts, ch->n);
}

/* In turn: of two changes at once none may undo the other. */
static enum store_rc rewrite(struct cmd_call *c, struct jid owner, const struct change *ch) YIELDS;
static enum store_rc rewrite(struct cmd_call *c, struct jid owner, const struct change *ch)
{
    struct account_turn turn;
    struct xml_el *vcard = NULL;
    account_turn_begin(&turn, TURN_VCARD, owner);
    enum store_rc rc = ch->anew ? STORE_NONE : vcard_load(c->arena, jid_host(owner), jid_user(owner), &vcard);
    const struct vhost *h = config_host(config_current(), jid_host(owner)); /* the store was waited for */
    if (rc == STORE_NONE)
        vcard = xml_new(c->arena, TOK_vCard, TOK_NS_VCARD);
    if (rc == STORE_NONE || rc == STORE_OK) {
        put(c->arena, vcard, ch);
        rc = h ? vcard_save(h->index, owner, vcard) : STORE_UNAVAILABLE;
    }
    account_turn_end(&turn);
    return rc;
}

static int change(struct cmd_call *c, const struct change *ch, const char *texts_arg) YIELDS;
static int change(struct cmd_call *c, const struct change *ch, const char *texts_arg)
{
    struct str host, user;
    struct error err = ERROR_INIT;
    const struct vhost *h = served(c, &host);
    if (!h)
        return cmd_fail(c, ERR_INTERNAL, "host %.*s is not served", STR_ARG(arg_str(c, "host")));
    if (vcard_in_directory(h->index))
        return cmd_fail(c, ERR_NOT_ALLOWED, "vCards of %.*s are kept in a directory and changed there", STR_ARG(host));
    if (!arg_user(c, "user", &user))
        return refuse(c, "badarg");
    if (check(c, ch, texts_arg) < 0)
        return -1;
    enum store_rc rc = rewrite(c, jid_join(c->arena, user, host, STR_NULL), ch);
    if (rc == STORE_OK)
        return 0;
    store_error(rc, "vCard", &err);
    return cmd_fail_error(c, &err);
}

static int set_vcard(struct cmd_call *c) YIELDS;
static int set_vcard(struct cmd_call *c)
{
    struct str text = arg_str(c, "content");
    return change(c, &(struct change){.name = arg_str(c, "name"), .texts = &text, .n = 1}, "content");
}

static int set_vcard2(struct cmd_call *c) YIELDS;
static int set_vcard2(struct cmd_call *c)
{
    struct str text = arg_str(c, "content");
    struct change ch = {.name = arg_str(c, "name"), .part = arg_str(c, "subname"), .texts = &text, .n = 1};
    return change(c, &ch, "content");
}

static int set_vcard2_multi(struct cmd_call *c) YIELDS;
static int set_vcard2_multi(struct cmd_call *c)
{
    const struct value *list = arg_value(c, "contents");
    struct str *texts = ARENA_ARRAY(c->arena, struct str, list->n + 1);
    if (!list->n)
        return cmd_fail(c, ERR_INTERNAL, "contents is empty");
    for (size_t i = 0; i < list->n; i++)
        texts[i] = list->items[i].s;
    struct change ch = {.name = arg_str(c, "name"), .part = arg_str(c, "subname"), .texts = texts, .n = list->n};
    return change(c, &ch, "contents");
}

static int set_nickname(struct cmd_call *c) YIELDS;
static int set_nickname(struct cmd_call *c)
{
    struct str nick = arg_str(c, "nickname");
    return change(c, &(struct change){.name = S("NICKNAME"), .texts = &nick, .n = 1, .anew = true}, "nickname");
}

ADMIN_CMD(set_vcard) = {
    VCARD, .run = set_vcard, .brief = "Change a field of the vCard of an account", .text = FIELDS_TEXT,
    SHAPES({ARGS(OWNER, FIELD, CONTENT), RESULT(T_RESCODE("res")), EXAMPLE("user1", "myserver.com", "URL", "www.example.com")}),
};

ADMIN_CMD(set_vcard2) = {
    VCARD, .run = set_vcard2, .brief = "Change a part of a field of the vCard of an account", .text = SUBFIELDS_TEXT,
    SHAPES({ARGS(OWNER, SUBFIELD, CONTENT), RESULT(T_RESCODE("res")),
            EXAMPLE("user1", "myserver.com", "TEL", "NUMBER", "123456")}),
};

ADMIN_CMD(set_vcard2_multi) = {
    VCARD, .run = set_vcard2_multi,
    .brief = "Give a part of a field of the vCard of an account several values", .text = SUBFIELDS_TEXT,
    SHAPES({ARGS(OWNER, SUBFIELD, T_LIST("contents", "The new texts", T_BINARY("value", NULL))), RESULT(T_RESCODE("res"))}),
};

ADMIN_CMD(set_nickname) = {
    VCARD, .run = set_nickname, .brief = "Give an account a vCard with a nickname and nothing else",
    .text = "Whatever else was in the vCard is lost; _`set_vcard`_ changes one field.",
    SHAPES({ARGS(OWNER, T_BINARY("nickname", "The nickname")), RESULT(T_RESCODE("res")),
            EXAMPLE("user1", "myserver.com", "User 1")}),
};
