/*
 * The vCard of a service as its option has it (XEP-0054 without attributes, so that a map says all): names of elements in lower
 * case, as ejabberd's documentation shows them. Pure; any thread.
 */
#include "core/config/yaml.h"
#include "core/config/option.h"
#include "core/module/service.h"
#include "xml/node.h"
#include "xml/writer.h"

#define DEPTH_MAX 4
#define NODES_MAX 1000
#define TEXT_MAX 65536

/* Elements of the DTD of XEP-0054 §4, and the two that ejabberd's maps call otherwise (org: name, units). */
static const char *const known[] = {
    "adr", "agent", "bday", "categories", "cell", "class", "confidential", "ctry", "desc", "dom", "email", "extadd", "extval",
    "family", "fax", "fn", "geo", "given", "home", "internet", "intl", "isdn", "jabberid", "key", "keyword", "label", "lat", "line",
    "locality", "logo", "lon", "mailer", "middle", "mobile", "modem", "msg", "n", "name", "nickname", "note", "number", "org",
    "orgname", "orgunit", "pager", "parcel", "pcode", "pcs", "phonetic", "photo", "pobox", "postal", "pref", "prefix", "private",
    "prodid", "public", "region", "rev", "role", "sort_string", "sound", "street", "suffix", "tel", "title", "type", "tz", "uid",
    "units", "url", "userid", "version", "video", "voice", "work", "x400", "bbs", "binval", "cred"};

static bool is_known(struct str key)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(key, str_of(known[i])))
            return true;
    return false;
}

static int check(const struct yaml *y, unsigned depth, size_t *left, struct error *err);

static int check_key(const struct yaml *key, struct error *err)
{
    char got[96];
    if (is_known(key->text))
        return 0;
    const char *near = str_near(key->text, known, ARRAY_LEN(known));
    return yaml_error(key, err, "%s is no element of a vCard (XEP-0054, names in lower case)%s%s%s", yaml_got(key, got),
                      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int check_items(const struct yaml *y, unsigned depth, size_t *left, struct error *err)
{
    for (size_t i = 0; i < y->n; i++)
        if ((y->kind == YAML_MAP && check_key(y->key_nodes[i], err) != 0) || check(y->items[i], depth + 1, left, err) != 0)
            return -1;
    return 0;
}

static int check(const struct yaml *y, unsigned depth, size_t *left, struct error *err)
{
    char got[96];
    if (depth > DEPTH_MAX || (*left)-- == 0)
        return yaml_error(y, err, "option 'vcard' is too large, or too deep");
    if (y->kind == YAML_SCALAR && (y->text.n > TEXT_MAX || !xml_text_ok(y->text)))
        return yaml_error(y, err, "option 'vcard': expected text that XML allows, got %s", yaml_got(y, got));
    return y->kind == YAML_MAP || y->kind == YAML_LIST ? check_items(y, depth, left, err) : 0;
}

int service_vcard_check(const struct yaml *y, struct error *err)
{
    size_t left = NODES_MAX;
    char got[96];
    if (!y || y->kind == YAML_NULL)
        return 0;
    if (y->kind != YAML_MAP)
        return yaml_error(y, err, "option 'vcard': expected a map of the elements of a vCard, got %s", yaml_got(y, got));
    return check(y, 0, &left, err);
}

/* --- rendering --- */

static struct str element_name(struct arena *a, struct str key, struct str parent)
{
    if (str_eq(key, S("sort_string")))
        return S("SORT-STRING");
    if (str_eq(parent, S("org")) && str_eq(key, S("name")))
        return S("ORGNAME");
    if (str_eq(key, S("units")))
        return S("ORGUNIT");
    char *p = arena_cstr(a, key);
    for (size_t i = 0; i < key.n; i++)
        p[i] = (char)(p[i] >= 'a' && p[i] <= 'z' ? p[i] - 32 : p[i]);
    return str_n(p, key.n);
}

static void fill(struct arena *a, struct xml_el *parent, const struct yaml *map, struct str of);

static void add(struct arena *a, struct xml_el *parent, struct str key, const struct yaml *v, struct str of)
{
    bool flag;
    if (v->kind == YAML_NULL || (yaml_bool(v, &flag) && !flag))
        return;
    struct xml_el *el = xml_new_text(a, element_name(a, key, of), token_str(TOK_NS_VCARD));
    if (v->kind == YAML_MAP)
        fill(a, el, v, key);
    else if (v->kind == YAML_SCALAR && !yaml_bool(v, &flag))
        xml_append_text(a, el, arena_str(a, v->text));
    xml_append(parent, el);
}

/* Words of <CATEGORIES/>, the one of <CLASS/>: below an element of their own. */
static struct str inner_of(struct str key)
{
    return str_eq(key, S("categories")) ? S("keyword") : str_eq(key, S("label")) ? S("line") : STR_NULL;
}

static void add_list(struct arena *a, struct xml_el *parent, struct str key, const struct yaml *v, struct str of)
{
    struct str inner = inner_of(key);
    if (inner.n && v->n && v->items[0]->kind == YAML_SCALAR) {
        struct xml_el *el = xml_new_text(a, element_name(a, key, of), token_str(TOK_NS_VCARD));
        for (size_t i = 0; i < v->n; i++)
            add(a, el, inner, v->items[i], key);
        xml_append(parent, el);
        return;
    }
    for (size_t i = 0; i < v->n; i++)
        add(a, parent, key, v->items[i], of);
}

/* <CLASS><PUBLIC/></CLASS> */
static void add_class(struct arena *a, struct xml_el *parent, struct str word)
{
    struct xml_el *el = xml_new_text(a, S("CLASS"), token_str(TOK_NS_VCARD));
    if (is_known(word))
        xml_append(el, xml_new_text(a, element_name(a, word, STR_NULL), token_str(TOK_NS_VCARD)));
    xml_append(parent, el);
}

static void fill(struct arena *a, struct xml_el *parent, const struct yaml *map, struct str of)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml *v = map->items[i];
        if (v->kind == YAML_LIST)
            add_list(a, parent, map->keys[i], v, of);
        else if (str_eq(map->keys[i], S("class")) && v->kind == YAML_SCALAR)
            add_class(a, parent, v->text);
        else
            add(a, parent, map->keys[i], v, of);
    }
}

void service_vcard_fill(struct arena *a, struct xml_el *vcard, const struct yaml *y)
{
    if (y && y->kind == YAML_MAP)
        fill(a, vcard, y, STR_NULL);
}
