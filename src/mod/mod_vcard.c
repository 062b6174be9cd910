/*
 * vcard-temp, XEP-0054: anybody may read the vCard of an account, its owner may change it; the server has one of its own. Keeps
 * the XML as the client sent it, and the fields of a search (XEP-0055) beside it. Handlers suspend for the store, at the
 * account's home. The search is in vcard_search.c.
 */
#include "mod/api/vcard.h"

#include "base/base64.h"
#include "core/account/turn.h"
#include "core/module/module.h"
#include "xml/stream.h"
#include "xml/writer.h"

struct xml_el *vcard_child(const struct xml_el *el, struct str name)
{
    struct xml_el *child = el ? xml_first(el) : NULL;
    while (child && !str_eq(child->name, name))
        child = xml_next(child);
    return child;
}

enum store_rc vcard_load(struct arena *a, struct str host, struct str user, struct xml_el **out)
{
    struct str text;
    const char *why;
    const struct vhost *h = config_host(config_current(), host);
    if (h && vcard_in_directory(h->index))
        return vcard_directory_load(a, h->index, user, out);
    enum store_rc rc = vcard_get(a, host, user, &text);
    *out = rc == STORE_OK ? xml_parse(a, text, TOK_NS_CLIENT, &why) : NULL;
    return rc == STORE_OK && !*out ? STORE_UNAVAILABLE : rc;
}

/* --- what people search by --- */

static const struct {
    enum vcard_field field;
    const char *name, *part;
} searched[] = {{VCARD_fn, "FN", NULL},           {VCARD_family, "N", "FAMILY"},       {VCARD_given, "N", "GIVEN"},
                {VCARD_middle, "N", "MIDDLE"},    {VCARD_nickname, "NICKNAME", NULL},  {VCARD_bday, "BDAY", NULL},
                {VCARD_ctry, "ADR", "CTRY"},      {VCARD_locality, "ADR", "LOCALITY"}, {VCARD_email, "EMAIL", "USERID"},
                {VCARD_orgname, "ORG", "ORGNAME"}, {VCARD_orgunit, "ORG", "ORGUNIT"}};

static void read_fields(struct arena *a, const struct xml_el *vcard, struct str out[VCARD_FIELD_COUNT])
{
    for (size_t i = 0; i < ARRAY_LEN(searched); i++) {
        const struct xml_el *el = vcard_child(vcard, str_of(searched[i].name));
        if (el && searched[i].part)
            el = vcard_child(el, str_of(searched[i].part));
        out[searched[i].field] = el ? xml_text_of(a, el) : STR_NULL;
    }
}

enum store_rc vcard_save(unsigned host, struct jid owner, const struct xml_el *vcard)
{
    struct arena *a = arena_new();
    struct buf text = BUF_INIT;
    struct str fields[VCARD_FIELD_COUNT] = {{0}};
    read_fields(a, vcard, fields);
    xml_write(&text, vcard, TOK_NS_CLIENT);
    enum store_rc rc = vcard_set(jid_host(owner), jid_user(owner), buf_str(&text), fields);
    if (rc == STORE_OK || rc == STORE_UNCERTAIN)
        vcard_photo_changed(host, owner, vcard);
    buf_deinit(&text);
    arena_release(&a);
    return rc;
}

/* --- photos --- */

bool vcard_binval(struct arena *a, struct str text, struct str *out)
{
    char *p = arena_alloc(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        if (!strchr(" \t\r\n", text.p[i]) || !text.p[i])
            p[n++] = text.p[i];
    return base64_decode(a, str_n(p, n), out);
}

bool vcard_is_binary(struct str name)
{
    return str_eq(name, S("PHOTO")) || str_eq(name, S("LOGO")) || str_eq(name, S("SOUND"));
}

/* A broken picture would go to everybody who looks (XEP-0054 §3.3.1: base64). */
static bool binvals_ok(struct arena *a, const struct xml_el *vcard)
{
    struct str bytes;
    for (struct xml_el *el = xml_first(vcard); el; el = xml_next(el)) {
        struct xml_el *val = vcard_is_binary(el->name) ? vcard_child(el, S("BINVAL")) : NULL;
        if (val && !vcard_binval(a, xml_text_of(a, val), &bytes))
            return false;
    }
    return true;
}

/* --- requests --- */

static void answer(struct iq *iq) YIELDS;
static void answer(struct iq *iq)
{
    struct stanza *r = iq_result_new(iq);
    struct xml_el *vcard;
    switch (vcard_load(r->arena, jid_host(iq->stanza->to), jid_user(iq->stanza->to), &vcard)) {
    case STORE_OK: xml_append(r->el, vcard); break;
    case STORE_NONE: xml_add(r->arena, r->el, TOK_vCard, TOK_NS_VCARD); break; /* XEP-0054 §3.1: empty */
    default:
        stanza_end(&r);
        iq_error(iq, ERR_UNAVAILABLE, "Database failure");
        return;
    }
    iq_result(iq, r);
}

static void change(struct iq *iq) YIELDS;
static void change(struct iq *iq)
{
    if (!jid_bare_eq(iq->stanza->from, iq->stanza->to)) {
        iq_error(iq, ERR_FORBIDDEN, "User not allowed to perform an IQ set on another user's vCard.");
        return;
    }
    if (iq->child->tok != TOK_vCard) {
        iq_error(iq, ERR_BAD_REQUEST, NULL);
        return;
    }
    if (vcard_in_directory(iq->host)) {
        iq_error(iq, ERR_NOT_ALLOWED, "vCards of this host are kept in a directory and changed there");
        return;
    }
    if (!binvals_ok(iq->arena, iq->child)) {
        iq_error(iq, ERR_BAD_REQUEST, "Bad value of cdata in tag <BINVAL/> qualified by namespace 'vcard-temp'");
        return;
    }
    struct account_turn turn; /* a command that has read the old one writes before this, or reads the new one */
    struct jid owner = jid_to_bare(iq->stanza->to);
    account_turn_begin(&turn, TURN_VCARD, owner);
    enum store_rc rc = vcard_save(iq->host, owner, iq->child);
    account_turn_end(&turn);
    if (rc == STORE_OK)
        iq_result_empty(iq);
    else
        iq_error(iq, ERR_UNAVAILABLE, "Database failure");
}

static void on_account(struct iq *iq) YIELDS;
static void on_account(struct iq *iq)
{
    if (iq->stanza->type == ST_SET)
        change(iq);
    else
        answer(iq);
}

void vcard_add_text(struct arena *a, struct xml_el *vcard, struct str name, struct str text)
{
    struct xml_el *el = xml_new_text(a, name, token_str(TOK_NS_VCARD));
    xml_append_text(a, el, text);
    xml_append(vcard, el);
}

static void on_server(struct iq *iq)
{
    if (iq->stanza->type == ST_SET) {
        iq_error(iq, ERR_NOT_ALLOWED, "Value 'set' of 'type' attribute is not allowed");
        return;
    }
    struct stanza *r = iq_result_new(iq);
    struct xml_el *vcard = xml_add(r->arena, r->el, TOK_vCard, TOK_NS_VCARD);
    vcard_add_text(r->arena, vcard, S("FN"), S("cjabberd"));
    vcard_add_text(r->arena, vcard, S("DESC"), S("XMPP server"));
    iq_result(iq, r);
}

static const char *const features[] = {"vcard-temp", NULL};
static const struct iq_entry iqs[] = {
    {IQ_TO_SERVER, TOK_NS_VCARD, false, on_server}, {IQ_TO_ACCOUNT, TOK_NS_VCARD, true, on_account}, {0}};

MODULE(mod_vcard) = {.name = "mod_vcard", .xep = "XEP-0054 1.2", .features = features, .account_features = features, .iqs = iqs,
                     .service = &vcard_search_service};
