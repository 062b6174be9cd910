/*
 * vCards that are made of entries of a directory (mod_vcard with db_type ldap): which attribute is which field says
 * ldap_vcard_map, what people search by ldap_search_fields, what they are shown of it ldap_search_reported. An entry is the vCard
 * of an account that exists. Suspends for the directory and for the accounts. Only reads: a directory is changed elsewhere.
 */
#include "base/base64.h"
#include "core/auth/auth.h"
#include "core/auth/directory.h"
#include "core/config/config.h"
#include "mod/api/vcard.h"
#include "xmpp/dataform.h"

#define FIELDS_MAX 64 /* of a map in the configuration; more are not looked at */
#define FROM_MAX 8
#define MATCHES_MAX 1000 /* also when option matches is infinite: each is an account that is asked for */
#define VALUE_MAX 1023   /* bytes of what is searched for */

/* --- what the options say --- */

/* Pattern: %u user, %d host, %s the attributes one after the other. */
struct field {
    struct str name, pattern, attrs[FROM_MAX];
    size_t attr_count;
};

struct pair {
    struct str label, what;
};

#define TEXT(s) {"" s, sizeof(s) - 1}
#define FROM(name, attr) {TEXT(name), TEXT("%s"), {TEXT(attr)}, 1}
static const struct field usual_map[] = {
    {TEXT("NICKNAME"), TEXT("%u"), {{0}}, 0}, FROM("FN", "displayName"), FROM("FAMILY", "sn"), FROM("GIVEN", "givenName"),
    FROM("MIDDLE", "initials"), FROM("ORGNAME", "o"), FROM("ORGUNIT", "ou"), FROM("CTRY", "c"), FROM("LOCALITY", "l"),
    FROM("STREET", "street"), FROM("REGION", "st"), FROM("PCODE", "postalCode"), FROM("TITLE", "title"), FROM("URL", "labeleduri"),
    FROM("DESC", "description"), FROM("TEL", "telephoneNumber"), FROM("EMAIL", "mail"), FROM("BDAY", "birthDay"),
    FROM("ROLE", "employeeType"), FROM("PHOTO", "jpegPhoto")};
static const struct pair usual_search[] = {
    {TEXT("User"), TEXT("%u")}, {TEXT("Full Name"), TEXT("displayName")}, {TEXT("Given Name"), TEXT("givenName")},
    {TEXT("Middle Name"), TEXT("initials")}, {TEXT("Family Name"), TEXT("sn")}, {TEXT("Nickname"), TEXT("%u")},
    {TEXT("Birthday"), TEXT("birthDay")}, {TEXT("Country"), TEXT("c")}, {TEXT("City"), TEXT("l")}, {TEXT("Email"), TEXT("mail")},
    {TEXT("Organization Name"), TEXT("o")}, {TEXT("Organization Unit"), TEXT("ou")}};
static const struct pair usual_report[] = {
    {TEXT("Full Name"), TEXT("FN")}, {TEXT("Given Name"), TEXT("FIRST")}, {TEXT("Middle Name"), TEXT("MIDDLE")},
    {TEXT("Family Name"), TEXT("LAST")}, {TEXT("Nickname"), TEXT("NICK")}, {TEXT("Birthday"), TEXT("BDAY")},
    {TEXT("Country"), TEXT("CTRY")}, {TEXT("City"), TEXT("LOCALITY")}, {TEXT("Email"), TEXT("EMAIL")},
    {TEXT("Organization Name"), TEXT("ORGNAME")}, {TEXT("Organization Unit"), TEXT("ORGUNIT")}};

/* Of one request; the configuration is held, everything lives with it or in the arena. */
struct card {
    struct arena *a;
    struct config *config;
    const struct vhost *host;
    const struct options *o;
    struct directory *dir;
    struct field fields[FIELDS_MAX];
    size_t field_count;
    struct str attrs[DIRECTORY_ATTRS_MAX]; /* asked for */
    size_t attr_count;
};

/* The old search has names of its own for some fields (XEP-0055 §2.1), and ldap_search_reported uses them. */
static struct str field_name(struct str name)
{
    return str_eq(name, S("FIRST"))  ? S("GIVEN")
           : str_eq(name, S("LAST")) ? S("FAMILY")
           : str_eq(name, S("NICK")) ? S("NICKNAME")
                                     : name;
}

static void add_field(struct card *k, struct str name, struct str pattern, const struct yaml *attrs)
{
    if (k->field_count == FIELDS_MAX)
        return;
    struct field *f = &k->fields[k->field_count++];
    *f = (struct field){.name = field_name(name), .pattern = pattern};
    if (attrs->kind == YAML_SCALAR && attrs->text.n)
        f->attrs[f->attr_count++] = attrs->text;
    for (size_t i = 0; i < attrs->n && f->attr_count < FROM_MAX; i++)
        f->attrs[f->attr_count++] = attrs->items[i]->text;
}

static void read_map(struct card *k)
{
    const struct yaml *y = opt_node(k->o, "ldap_vcard_map");
    k->field_count = 0;
    if (!y) {
        memcpy(k->fields, usual_map, sizeof usual_map);
        k->field_count = ARRAY_LEN(usual_map);
    }
    for (size_t i = 0; y && i < y->n; i++)
        for (size_t j = 0; j < y->items[i]->n; j++)
            add_field(k, y->keys[i], y->items[i]->keys[j], y->items[i]->items[j]);
}

static size_t read_pairs(const struct card *k, const char *option, const struct pair *usual, size_t usual_count,
                         struct pair out[FIELDS_MAX])
{
    const struct yaml *y = opt_node(k->o, option);
    size_t n = y ? (y->n < FIELDS_MAX ? y->n : FIELDS_MAX) : usual_count;
    for (size_t i = 0; i < n; i++)
        out[i] = y ? (struct pair){y->keys[i], y->items[i]->text} : usual[i];
    return n;
}

static size_t asked_for(struct card *k, struct str attr)
{
    size_t i = 0;
    while (i < k->attr_count && !str_ieq_ascii(k->attrs[i], attr))
        i++;
    if (i == k->attr_count && i < DIRECTORY_ATTRS_MAX)
        k->attrs[k->attr_count++] = attr;
    return i;
}

static void ask_for_field(struct card *k, const struct field *f)
{
    for (size_t i = 0; i < f->attr_count; i++)
        asked_for(k, f->attrs[i]);
}

bool vcard_in_directory(unsigned host)
{
    return directory_of(config_current(), host) != NULL;
}

/* NULL: the host's vCards are not in a directory (any more). In the arena: it is too large for a fiber's stack. */
static struct card *card_begin(struct arena *a, unsigned host)
{
    if (!vcard_in_directory(host))
        return NULL;
    struct card *k = ARENA_NEW(a, struct card);
    k->a = a;
    k->config = config_hold(config_current());
    k->dir = directory_of(k->config, host);
    k->host = &k->config->hosts[host];
    k->o = config_module(k->host, S("mod_vcard"));
    read_map(k);
    return k;
}

/* --- an entry's values --- */

static struct str first_value(struct card *k, const struct directory_values *row, struct str attr)
{
    size_t i = asked_for(k, attr);
    return i < k->attr_count && row[i].n ? row[i].v[0] : STR_NULL;
}

/* Absent: the entry has none of the attributes. */
static struct str value_of(struct card *k, const struct field *f, const struct directory_values *row, struct str user)
{
    struct buf b = BUF_INIT;
    size_t next = 0;
    bool any = f->attr_count == 0;
    for (size_t i = 0; i < f->pattern.n; i++) {
        char what = f->pattern.p[i] == '%' && i + 1 < f->pattern.n ? f->pattern.p[i + 1] : '\0';
        struct str v = what == 'u' ? user : what == 'd' ? k->host->name : str_n(f->pattern.p + i, 1);
        if (what == 's') {
            v = next < f->attr_count ? first_value(k, row, f->attrs[next++]) : STR_NULL;
            any = any || v.n;
        }
        buf_add_str(&b, v);
        i += what == 'u' || what == 'd' || what == 's';
    }
    struct str out = any ? arena_str(k->a, buf_str(&b)) : STR_NULL;
    buf_deinit(&b);
    return out;
}

static struct str named_value(struct card *k, struct str name, const struct directory_values *row, struct str user)
{
    struct str out = STR_NULL;
    for (size_t i = 0; i < k->field_count && !out.n; i++)
        if (str_eq(k->fields[i].name, field_name(name)))
            out = value_of(k, &k->fields[i], row, user);
    return out;
}

/* --- a vCard of them --- */

static const struct {
    const char *name, *parent; /* parent NULL: the field stands by itself */
    const char *tag;
} places[] = {
    {"FN", NULL, "FN"}, {"NICKNAME", NULL, "NICKNAME"}, {"BDAY", NULL, "BDAY"}, {"TITLE", NULL, "TITLE"}, {"ROLE", NULL, "ROLE"},
    {"DESC", NULL, "DESC"}, {"URL", NULL, "URL"}, {"JABBERID", NULL, "JABBERID"},
    {"FAMILY", "N", "FAMILY"}, {"GIVEN", "N", "GIVEN"}, {"MIDDLE", "N", "MIDDLE"}, {"PREFIX", "N", "PREFIX"},
    {"SUFFIX", "N", "SUFFIX"},
    {"STREET", "ADR", "STREET"}, {"EXTADD", "ADR", "EXTADD"}, {"POBOX", "ADR", "POBOX"}, {"LOCALITY", "ADR", "LOCALITY"},
    {"REGION", "ADR", "REGION"}, {"PCODE", "ADR", "PCODE"}, {"CTRY", "ADR", "CTRY"},
    {"ORGNAME", "ORG", "ORGNAME"}, {"ORGUNIT", "ORG", "ORGUNIT"}, {"TEL", "TEL", "NUMBER"}, {"EMAIL", "EMAIL", "USERID"}};

static struct xml_el *add(struct arena *a, struct xml_el *parent, const char *name, struct str text)
{
    struct xml_el *el = xml_new_text(a, str_of(name), token_str(TOK_NS_VCARD));
    if (text.n)
        xml_append_text(a, el, dataform_clean(a, text));
    xml_append(parent, el);
    return el;
}

/* XEP-0054 §3.3.1: what kind of picture it is stands beside it. */
static void add_photo(struct arena *a, struct xml_el *vcard, struct str bytes)
{
    const char *type = bytes.n > 3 && !memcmp(bytes.p, "\x89PNG", 4) ? "image/png"
                       : bytes.n > 3 && !memcmp(bytes.p, "GIF8", 4)  ? "image/gif"
                                                                     : "image/jpeg";
    struct xml_el *photo = add(a, vcard, "PHOTO", STR_NULL);
    add(a, photo, "TYPE", str_of(type));
    add(a, photo, "BINVAL", base64_encode(a, bytes));
}

static void put_field(struct arena *a, struct xml_el *vcard, struct str name, struct str text)
{
    if (str_eq(name, S("PHOTO")) && !vcard_child(vcard, name)) {
        add_photo(a, vcard, text);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (!str_eq(name, str_of(places[i].name)))
            continue;
        struct xml_el *parent = places[i].parent ? vcard_child(vcard, str_of(places[i].parent)) : vcard;
        if (!parent)
            parent = add(a, vcard, places[i].parent, STR_NULL);
        if (!vcard_child(parent, str_of(places[i].tag)))
            add(a, parent, places[i].tag, text);
    }
}

static struct xml_el *make_vcard(struct card *k, const struct directory_values *row, struct str user)
{
    struct xml_el *vcard = xml_new(k->a, TOK_vCard, TOK_NS_VCARD);
    for (size_t i = 0; i < k->field_count; i++) {
        struct str text = value_of(k, &k->fields[i], row, user);
        if (text.n)
            put_field(k->a, vcard, k->fields[i].name, text);
    }
    return vcard;
}

static enum store_rc find_entry(struct card *k, struct str user, struct xml_el **out) YIELDS;
static enum store_rc find_entry(struct card *k, struct str user, struct xml_el **out)
{
    struct buf filter = BUF_INIT;
    struct error err = ERROR_INIT;
    bool exists = false;
    if (auth_exists(k->host->name, user, &exists, &err) != 0)
        return STORE_UNAVAILABLE;
    if (!exists)
        return STORE_NONE;
    for (size_t i = 0; i < k->field_count; i++)
        ask_for_field(k, &k->fields[i]);
    directory_people(k->dir, &filter, &(struct ldap_words){.user = user, .host = k->host->name});
    struct directory_query q = {
        .a = k->a, .filter = arena_str(k->a, buf_str(&filter)), .attrs = k->attrs, .attr_count = k->attr_count, .limit = 2};
    buf_deinit(&filter);
    if (directory_search(k->dir, &q, &err) != 0)
        return STORE_UNAVAILABLE;
    if (q.n != 1)
        return STORE_NONE; /* one of two would be somebody else's */
    *out = make_vcard(k, q.rows[0], user);
    return STORE_OK;
}

enum store_rc vcard_directory_load(struct arena *a, unsigned host, struct str user, struct xml_el **out)
{
    struct card *k = card_begin(a, host);
    *out = NULL;
    enum store_rc rc = k ? find_entry(k, user, out) : STORE_NONE;
    if (k)
        config_release(&k->config);
    return rc;
}

/* --- the form of a search --- */

/* Two labels may stand for one attribute; a form has each name once (XEP-0004 §3.2). */
static bool named_before(const struct pair *p, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (str_eq(p[j].what, p[i].what))
            return true;
    return false;
}

static const struct {
    enum token legacy;
    const char *field;
} old_fields[] = {{TOK_first, "GIVEN"}, {TOK_last, "FAMILY"}, {TOK_nick, "NICKNAME"}, {TOK_email, "EMAIL"}};

static void show_form(struct iq *iq, struct card *k)
{
    struct pair p[FIELDS_MAX];
    struct stanza *r = iq_result_new(iq);
    struct arena *a = r->arena;
    struct xml_el *query = xml_add(a, r->el, TOK_query, TOK_NS_SEARCH);
    xml_add_leaf(a, query, TOK_instructions, S("You need an x:data capable client to search"));
    for (size_t i = 0; i < ARRAY_LEN(old_fields); i++)
        xml_add(a, query, old_fields[i].legacy, TOK_NONE);
    struct xml_el *x = dataform_new(a, query, DATAFORM_FORM);
    dataform_title(a, x, arena_printf(a, "Search users in %.*s", STR_ARG(jid_host(iq->stanza->to))));
    dataform_instructions(a, x, S("Fill in the form to search for any matching XMPP User (Add * to the end of field to match "
                                  "substring)"));
    dataform_form_type(a, x, token_str(TOK_NS_SEARCH));
    size_t n = read_pairs(k, "ldap_search_fields", usual_search, ARRAY_LEN(usual_search), p);
    for (size_t i = 0; i < n; i++)
        if (!named_before(p, i))
            dataform_add(a, x, S("text-single"), p[i].what, p[i].label);
    iq_result(iq, r);
}

/* --- what is looked for --- */

struct wish {
    struct buf filter;
    bool any, nobody;
};

/* A value is compared whole; "*" at its end stands for any text. A star in front would have every entry looked at. */
static void wish_for(struct wish *w, struct card *k, struct str attr, struct str value)
{
    value = str_trim(value);
    if (!value.n)
        return;
    w->any = true;
    w->nobody = w->nobody || (value.n > 1 && value.p[0] == '*') || value.n > VALUE_MAX;
    bool open = value.p[value.n - 1] == '*';
    value.n -= open;
    if (str_eq(attr, S("%u"))) {
        directory_names(k->dir, &w->filter, &(struct ldap_words){.user = value, .host = k->host->name, .open = open});
        return;
    }
    buf_printf(&w->filter, "(%.*s=", STR_ARG(attr));
    ldap_escape(&w->filter, value);
    buf_add_str(&w->filter, open ? S("*)") : S(")"));
}

static void read_form(struct wish *w, struct card *k, const struct dataform *form)
{
    struct pair p[FIELDS_MAX];
    size_t n = read_pairs(k, "ldap_search_fields", usual_search, ARRAY_LEN(usual_search), p);
    for (size_t i = 0; i < n; i++)
        if (!named_before(p, i))
            wish_for(w, k, p[i].what, dataform_value(form, p[i].what));
}

/* The attribute that an old field is made of; what several make up cannot be searched by. */
static void read_old(struct wish *w, struct card *k, struct iq *iq)
{
    for (size_t i = 0; i < ARRAY_LEN(old_fields); i++) {
        struct xml_el *el = xml_child(iq->child, old_fields[i].legacy, TOK_NS_SEARCH);
        for (size_t j = 0; el && j < k->field_count; j++) {
            const struct field *f = &k->fields[j];
            bool name = str_eq(f->pattern, S("%u")), one = f->attr_count == 1 && str_eq(f->pattern, S("%s"));
            if (!str_eq(f->name, str_of(old_fields[i].field)) || !(name || one))
                continue;
            wish_for(w, k, name ? S("%u") : f->attrs[0], xml_text_of(iq->arena, el));
            break;
        }
    }
}

/* --- what is found --- */

struct answer {
    struct xml_el *parent; /* of the items */
    struct arena *a;
    bool old;
    struct pair shown[FIELDS_MAX];
    size_t shown_count;
};

static void start_answer(struct answer *w, struct card *k, struct iq *iq, struct stanza *r)
{
    w->a = r->arena;
    w->parent = xml_add(w->a, r->el, TOK_query, TOK_NS_SEARCH);
    w->shown_count = read_pairs(k, "ldap_search_reported", usual_report, ARRAY_LEN(usual_report), w->shown);
    if (w->old)
        return;
    struct xml_el *x = w->parent = dataform_new(w->a, w->parent, DATAFORM_RESULT);
    dataform_title(w->a, x, arena_printf(w->a, "Search Results for %.*s", STR_ARG(jid_host(iq->stanza->to))));
    dataform_form_type(w->a, x, token_str(TOK_NS_SEARCH));
    struct xml_el *reported = xml_add(w->a, x, TOK_reported, TOK_NONE);
    dataform_add(w->a, reported, S("jid-single"), S("jid"), S("Jabber ID"));
    for (size_t i = 0; i < w->shown_count; i++)
        if (!named_before(w->shown, i))
            dataform_add(w->a, reported, S("text-single"), w->shown[i].what, w->shown[i].label);
}

static void add_value(struct arena *a, struct xml_el *item, struct str var, struct str text)
{
    dataform_add_value(a, dataform_add(a, item, STR_NULL, var, STR_NULL), text);
}

static void add_row(struct answer *w, struct card *k, const struct directory_values *row, struct str user)
{
    struct xml_el *item = xml_add(w->a, w->parent, TOK_item, TOK_NONE);
    struct str jid = arena_printf(w->a, "%.*s@%.*s", STR_ARG(user), STR_ARG(k->host->name));
    if (w->old)
        xml_attr_set(w->a, item, TOK_jid, dataform_clean(w->a, jid));
    else
        add_value(w->a, item, S("jid"), jid);
    for (size_t i = 0; !w->old && i < w->shown_count; i++)
        if (!named_before(w->shown, i))
            add_value(w->a, item, w->shown[i].what, named_value(k, w->shown[i].what, row, user));
    for (size_t i = 0; w->old && i < ARRAY_LEN(old_fields); i++)
        xml_add_leaf(w->a, item, old_fields[i].legacy,
                     dataform_clean(w->a, named_value(k, str_of(old_fields[i].field), row, user)));
}

/* Whose entry it is. */
static bool user_of(struct card *k, const struct directory_values *row, struct str *user_out)
{
    for (size_t i = 0; i < directory_uid_count(k->dir); i++) {
        size_t at = asked_for(k, directory_uid_attr(k->dir, i));
        for (size_t j = 0; at < k->attr_count && j < row[at].n; j++) {
            struct str user;
            if (directory_uid_user(k->dir, i, k->host->name, row[at].v[j], &user) && user.n <= JID_PART_MAX &&
                jid_nodeprep(k->a, user, user_out) && user_out->n)
                return true;
        }
    }
    return false;
}

static size_t matches_of(const struct card *k, const struct wish *w)
{
    int64_t n = opt_int(k->o, "matches");
    if (w->nobody || (!w->any && !opt_bool(k->o, "allow_return_all")))
        return 0;
    return n > MATCHES_MAX ? MATCHES_MAX : (size_t)n;
}

/* Only the attributes that are shown: pictures stay where they are. */
static void ask_for_shown(struct card *k, const struct answer *w)
{
    for (size_t i = 0; i < directory_uid_count(k->dir); i++)
        asked_for(k, directory_uid_attr(k->dir, i));
    for (size_t i = 0; i < k->field_count; i++) {
        bool shown = false;
        for (size_t j = 0; !w->old && j < w->shown_count; j++)
            shown = shown || str_eq(field_name(w->shown[j].what), k->fields[i].name);
        for (size_t j = 0; w->old && j < ARRAY_LEN(old_fields); j++)
            shown = shown || str_eq(str_of(old_fields[j].field), k->fields[i].name);
        if (shown)
            ask_for_field(k, &k->fields[i]);
    }
}

static int run_search(struct card *k, struct wish *w, struct answer *answer, struct error *err) YIELDS;
static int run_search(struct card *k, struct wish *w, struct answer *answer, struct error *err)
{
    struct buf filter = BUF_INIT;
    struct str user;
    ask_for_shown(k, answer);
    buf_add_str(&filter, S("(&"));
    directory_people(k->dir, &filter, &(struct ldap_words){.host = k->host->name, .open = true});
    buf_printf(&filter, "%.*s)", (int)w->filter.n, w->filter.p ? w->filter.p : "");
    struct directory_query q = {.a = k->a, .filter = arena_str(k->a, buf_str(&filter)), .attrs = k->attrs,
                                .attr_count = k->attr_count, .limit = matches_of(k, w)};
    buf_deinit(&filter);
    if (directory_search(k->dir, &q, err) != 0)
        return -1;
    for (size_t i = 0; i < q.n; i++) {
        bool exists = false;
        if (!user_of(k, q.rows[i], &user))
            continue;
        if (auth_exists(k->host->name, user, &exists, err) != 0)
            return -1;
        if (exists)
            add_row(answer, k, q.rows[i], user);
    }
    return 0;
}

static void answer_search(struct iq *iq, struct card *k, struct wish *w, bool old) YIELDS;
static void answer_search(struct iq *iq, struct card *k, struct wish *w, bool old)
{
    struct error err = ERROR_INIT;
    struct answer *answer = ARENA_NEW(k->a, struct answer);
    struct stanza *r = iq_result_new(iq);
    answer->old = old;
    start_answer(answer, k, iq, r);
    if (run_search(k, w, answer, &err) == 0) {
        iq_result(iq, r);
        return;
    }
    stanza_end(&r);
    iq_error(iq, ERR_UNAVAILABLE, "The directory cannot be asked");
}

static void on_submit(struct iq *iq, struct card *k, const struct xml_el *x, struct wish *w) YIELDS;
static void on_submit(struct iq *iq, struct card *k, const struct xml_el *x, struct wish *w)
{
    struct dataform form;
    if (!vcard_search_form(iq, x, &form))
        return;
    read_form(w, k, &form);
    answer_search(iq, k, w, false);
}

void vcard_directory_search(struct iq *iq)
{
    const struct xml_el *x = xml_child(iq->child, TOK_x, TOK_NS_DATA);
    struct wish w = {.filter = BUF_INIT};
    struct card *k = card_begin(iq->arena, iq->host);
    if (!k) {
        iq_error(iq, ERR_NO_SERVICE, NULL);
        return;
    }
    if (iq->stanza->type == ST_GET) {
        show_form(iq, k);
    } else if (x) {
        on_submit(iq, k, x, &w);
    } else {
        read_old(&w, k, iq);
        answer_search(iq, k, &w, true);
    }
    buf_deinit(&w.filter);
    config_release(&k->config);
}
