/*
 * Search of vCards, XEP-0055 1.3: the service of mod_vcard, there with its option `search`. By data form, and by the four fields
 * of old clients. A value is compared whole and without regard to case; "*" at its end stands for any text. Runs where the
 * request came in; the reader threads look through rows that begin like the longest value (store/vcard.h), and the answer has
 * at most `matches` rows, so what a request can cost is bounded.
 */
#include "core/config/config.h"
#include "core/module/module.h"
#include "mod/api/vcard.h"
#include "xmpp/dataform.h"

#define MATCHES_MAX 5000 /* also when option matches is infinite: the answer is one stanza */

static const struct {
    enum vcard_field field;
    const char *var, *label;
    enum token legacy; /* TOK_NONE: only in the form */
} shown[] = {{VCARD_username, "user", "User", TOK_NONE},
             {VCARD_fn, "fn", "Full Name", TOK_NONE},
             {VCARD_given, "first", "Name", TOK_first},
             {VCARD_middle, "middle", "Middle Name", TOK_NONE},
             {VCARD_family, "last", "Family Name", TOK_last},
             {VCARD_nickname, "nick", "Nickname", TOK_nick},
             {VCARD_bday, "bday", "Birthday", TOK_NONE},
             {VCARD_ctry, "ctry", "Country", TOK_NONE},
             {VCARD_locality, "locality", "City", TOK_NONE},
             {VCARD_email, "email", "Email", TOK_email},
             {VCARD_orgname, "orgname", "Organization Name", TOK_NONE},
             {VCARD_orgunit, "orgunit", "Organization Unit", TOK_NONE}};

/* --- the form --- */

static void add_form(struct arena *a, struct xml_el *query, struct str host)
{
    struct xml_el *x = dataform_new(a, query, DATAFORM_FORM);
    dataform_title(a, x, arena_printf(a, "Search users in %.*s", STR_ARG(host)));
    dataform_instructions(a, x, S("Fill in the form to search for any matching XMPP User "
                                   "(Add * to the end of field to match substring)"));
    dataform_form_type(a, x, token_str(TOK_NS_SEARCH));
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        dataform_add(a, x, S("text-single"), str_of(shown[i].var), str_of(shown[i].label));
}

static void show_fields(struct iq *iq)
{
    struct stanza *r = iq_result_new(iq);
    struct xml_el *query = xml_add(r->arena, r->el, TOK_query, TOK_NS_SEARCH);
    xml_add_leaf(r->arena, query, TOK_instructions, S("You need an x:data capable client to search"));
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        if (shown[i].legacy != TOK_NONE)
            xml_add(r->arena, query, shown[i].legacy, TOK_NONE);
    add_form(r->arena, query, jid_host(iq->stanza->to));
    iq_result(iq, r);
}

/* --- what is looked for --- */

struct wish {
    struct str patterns[VCARD_SEARCH_COUNT];
    bool any;    /* something was filled in */
    bool nobody; /* it is nothing that anybody can have */
};

/* A star in front would have every row looked at; nobody's name begins with one. */
static void wish_for(struct wish *w, enum vcard_field f, struct str value)
{
    value = str_trim(value);
    w->patterns[f] = value;
    w->any = w->any || value.n > 0;
    w->nobody = w->nobody || (value.n > 1 && value.p[0] == '*');
}

static void read_form(struct wish *w, const struct dataform *form)
{
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        wish_for(w, shown[i].field, dataform_value(form, str_of(shown[i].var)));
}

static void read_legacy(struct wish *w, struct iq *iq)
{
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        struct xml_el *el = shown[i].legacy == TOK_NONE ? NULL : xml_child(iq->child, shown[i].legacy, TOK_NS_SEARCH);
        wish_for(w, shown[i].field, el ? xml_text_of(iq->arena, el) : STR_NULL);
    }
}

/* --- what is found --- */

struct answer {
    struct arena *a;
    struct xml_el *parent; /* of the items */
    struct str host;
    bool legacy;
    size_t left;
};

static struct str text_of(const struct vcard_found *v, enum vcard_field f)
{
    return f == VCARD_username ? v->user : v->field[f];
}

static void add_value(struct arena *a, struct xml_el *item, const char *var, struct str text)
{
    struct xml_el *field = dataform_add(a, item, STR_NULL, str_of(var), STR_NULL);
    dataform_add_value(a, field, text);
}

static bool on_found(const struct vcard_found *v, void *arg)
{
    struct answer *w = arg;
    struct xml_el *item = xml_add(w->a, w->parent, TOK_item, TOK_NONE);
    struct str jid = arena_printf(w->a, "%.*s@%.*s", STR_ARG(v->user), STR_ARG(w->host));
    if (w->legacy)
        xml_attr_set(w->a, item, TOK_jid, dataform_clean(w->a, jid));
    else
        add_value(w->a, item, "jid", jid);
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        if (!w->legacy && shown[i].field != VCARD_username)
            add_value(w->a, item, shown[i].var, text_of(v, shown[i].field));
        else if (w->legacy && shown[i].legacy != TOK_NONE)
            xml_add_leaf(w->a, item, shown[i].legacy, dataform_clean(w->a, text_of(v, shown[i].field)));
    return --w->left > 0;
}

/* COMPAT(ejabberd): Mnesia's search looks through all hosts unless it is told not to, SQL's through one. Not through hosts that
 * do not want to be searched. */
static size_t hosts_to_search(struct arena *a, unsigned own, struct str **out)
{
    const struct config *c = config_current();
    const struct options *o = config_module(&c->hosts[own], S("mod_vcard"));
    const struct options *more = config_module(&c->hosts[own], S("mod_vcard_mnesia"));
    bool all = o && str_eq(opt_str(o, "db_type"), S("mnesia")) && opt_bool(o, "search_all_hosts") &&
               (!more || opt_bool(more, "search_all_hosts"));
    size_t n = 0;
    *out = ARENA_ARRAY(a, struct str, c->host_count);
    (*out)[n++] = arena_str(a, c->hosts[own].name);
    for (size_t i = 0; all && i < c->host_count; i++) {
        o = i == own ? NULL : config_module(&c->hosts[i], S("mod_vcard"));
        if (o && opt_bool(o, "search") && str_eq(opt_str(o, "db_type"), S("mnesia")))
            (*out)[n++] = arena_str(a, c->hosts[i].name);
    }
    return n;
}

static size_t matches_of(unsigned host, const struct wish *w)
{
    const struct options *o = config_module(&config_current()->hosts[host], S("mod_vcard"));
    if (!o || w->nobody || (!w->any && !opt_bool(o, "allow_return_all")))
        return 0;
    int64_t n = opt_int(o, "matches");
    return n > MATCHES_MAX ? MATCHES_MAX : (size_t)n;
}

static enum store_rc search(struct iq *iq, const struct wish *w, struct answer *answer) YIELDS;
static enum store_rc search(struct iq *iq, const struct wish *w, struct answer *answer)
{
    struct str *hosts;
    size_t n = hosts_to_search(iq->arena, iq->host, &hosts);
    enum store_rc rc = STORE_OK;
    answer->left = matches_of(iq->host, w);
    for (size_t i = 0; i < n && rc == STORE_OK && answer->left > 0; i++) {
        answer->host = hosts[i];
        rc = vcard_search(hosts[i], w->patterns, answer->left, on_found, answer);
    }
    return rc;
}

static struct xml_el *start_result(struct arena *a, struct xml_el *query, struct str host)
{
    struct xml_el *x = dataform_new(a, query, DATAFORM_RESULT);
    dataform_title(a, x, arena_printf(a, "Search Results for %.*s", STR_ARG(host)));
    dataform_form_type(a, x, token_str(TOK_NS_SEARCH));
    struct xml_el *reported = xml_add(a, x, TOK_reported, TOK_NONE);
    dataform_add(a, reported, S("jid-single"), S("jid"), S("Jabber ID"));
    for (size_t i = 0; i < ARRAY_LEN(shown); i++)
        if (shown[i].field != VCARD_username)
            dataform_add(a, reported, S("text-single"), str_of(shown[i].var), str_of(shown[i].label));
    return x;
}

static void answer_search(struct iq *iq, const struct wish *w, bool legacy) YIELDS;
static void answer_search(struct iq *iq, const struct wish *w, bool legacy)
{
    struct stanza *r = iq_result_new(iq);
    struct xml_el *query = xml_add(r->arena, r->el, TOK_query, TOK_NS_SEARCH);
    struct answer answer = {.a = r->arena, .legacy = legacy};
    answer.parent = legacy ? query : start_result(r->arena, query, jid_host(iq->stanza->to));
    if (search(iq, w, &answer) == STORE_OK) {
        iq_result(iq, r);
        return;
    }
    stanza_end(&r);
    iq_error(iq, ERR_UNAVAILABLE, "Database failure");
}

/* --- requests --- */

bool vcard_search_form(struct iq *iq, const struct xml_el *x, struct dataform *out)
{
    const char *why = dataform_read(iq->arena, x, out);
    if (why)
        iq_error(iq, ERR_BAD_REQUEST, why);
    else if (out->type == DATAFORM_CANCEL)
        iq_result_empty(iq);
    else if (out->type != DATAFORM_SUBMIT)
        iq_error(iq, ERR_BAD_REQUEST, "Incorrect data form");
    else
        return true;
    return false;
}

static void on_submit(struct iq *iq, const struct xml_el *x) YIELDS;
static void on_submit(struct iq *iq, const struct xml_el *x)
{
    struct dataform form;
    struct wish w = {0};
    if (!vcard_search_form(iq, x, &form))
        return;
    read_form(&w, &form);
    answer_search(iq, &w, false);
}

static void on_search(struct iq *iq) YIELDS;
static void on_search(struct iq *iq)
{
    const struct xml_el *x = xml_child(iq->child, TOK_x, TOK_NS_DATA);
    struct wish w = {0};
    if (vcard_in_directory(iq->host)) {
        vcard_directory_search(iq);
    } else if (iq->stanza->type == ST_GET) {
        show_fields(iq);
    } else if (x) {
        on_submit(iq, x);
    } else {
        read_legacy(&w, iq);
        answer_search(iq, &w, true);
    }
}

static const char *const features[] = {"jabber:iq:search", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_SERVICE, TOK_NS_SEARCH, true, on_search}, {0}};
const struct service vcard_search_service = {.category = "directory", .type = "user", .features = features, .iqs = iqs,
                                             .summary = "Searches vCards", .enabled_by = "search"};
