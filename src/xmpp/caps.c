/* Digests of disco#info. See caps.h. */
#include "xmpp/caps.h"

#include "base/base64.h"
#include "base/buf.h"

#include <openssl/evp.h>
#include <stdlib.h>

#define FEATURE_TEXT_MAX 1023

struct words {
    struct str *v;
    size_t n;
};

static const EVP_MD *digest_of(struct str name)
{
    if (str_eq(name, S("sha-1")))
        return EVP_sha1();
    if (str_eq(name, S("sha-256")))
        return EVP_sha256();
    if (str_eq(name, S("sha-512")))
        return EVP_sha512();
    return str_eq(name, S("sha3-256")) ? EVP_sha3_256() : NULL;
}

bool caps_hash_known(struct str name)
{
    return digest_of(name) != NULL;
}

static bool digest(struct arena *a, struct str hash, const struct buf *text, struct str *out)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const EVP_MD *type = digest_of(hash);
    bool ok = type && EVP_Digest(buf_str(text).p, text->n, md, &n, type, NULL);
    if (ok)
        *out = base64_encode(a, str_n((const char *)md, n));
    return ok;
}

/* --- octets in order (i;octet, RFC 4790 §9.3) --- */

static int by_octets(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    size_t n = a->n < b->n ? a->n : b->n;
    int d = n ? memcmp(a->p, b->p, n) : 0;
    return d ? d : (a->n > b->n) - (a->n < b->n);
}

static void sort(struct words *w)
{
    if (w->n > 1)
        qsort(w->v, w->n, sizeof(*w->v), by_octets);
}

static bool has_twice(const struct words *sorted)
{
    for (size_t i = 1; i < sorted->n; i++)
        if (str_eq(sorted->v[i - 1], sorted->v[i]))
            return true;
    return false;
}

/*
 * XEP-0115 sorts by parts, then writes separators that are not below all letters: until everything is in order, NUL, which no XML
 * contains, stands for them.
 */
#define PART '\0'

static void add_parts(struct buf *b, struct str text, char separator)
{
    for (size_t i = 0; i < text.n; i++)
        buf_add_c(b, text.p[i] == PART ? separator : text.p[i]);
}

static void add_all(struct buf *b, const struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        buf_add_str(b, w->v[i]);
}

static struct str joined(struct arena *a, const struct buf *b)
{
    return arena_str(a, buf_str(b));
}

static size_t count(const struct xml_el *parent, enum token tok, enum token ns)
{
    size_t n = 0;
    for (const struct xml_el *el = xml_first(parent); el; el = xml_next(el))
        n += el->tok == tok && el->ns == ns;
    return n;
}

static bool is(const struct xml_el *el, enum token tok, enum token ns) { return el->tok == tok && el->ns == ns; }

/* --- XEP-0115 --- */

static bool holds_separator(struct str s) { return s.n && memchr(s.p, '<', s.n); }

static const char *features_of(struct arena *a, const struct xml_el *query, struct words *out)
{
    size_t max = count(query, TOK_feature, TOK_NS_DISCO_INFO);
    if (max > CAPS_FEATURES_MAX)
        return "too many features";
    *out = (struct words){ARENA_ARRAY(a, struct str, max + 1), 0};
    for (struct xml_el *el = xml_first(query); el; el = xml_next(el)) {
        if (!is(el, TOK_feature, TOK_NS_DISCO_INFO))
            continue;
        struct str var = xml_attr_get(el, TOK_var);
        if (!var.n || var.n > FEATURE_TEXT_MAX)
            return "a feature without a name, or with a very long one";
        out->v[out->n++] = var;
    }
    sort(out);
    return has_twice(out) ? "the same feature twice" : NULL;
}

const char *caps_features(struct arena *a, const struct xml_el *query, struct str **out, size_t *n_out)
{
    struct words w;
    const char *why = features_of(a, query, &w);
    *out = w.v;
    *n_out = why ? 0 : w.n;
    return why;
}

/* Category, type, language, name. */
static struct str identity_text(struct arena *a, const struct xml_el *el, struct str lang, bool two)
{
    struct str own = xml_attr_get_ns(el, TOK_NS_XML, TOK_lang);
    struct str parts[] = {xml_attr_get(el, TOK_category), xml_attr_get(el, TOK_type), own.p ? own : lang,
                          xml_attr_get(el, TOK_name)};
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        buf_add_str(&b, parts[i]);
        if (two)
            buf_add_c(&b, '\x1f');
        else if (i + 1 < ARRAY_LEN(parts))
            buf_add_c(&b, PART);
    }
    if (two)
        buf_add_c(&b, '\x1e');
    struct str text = joined(a, &b);
    buf_deinit(&b);
    return text;
}

static const char *identities_of(struct arena *a, const struct xml_el *query, struct str lang, bool two, struct words *out)
{
    size_t max = count(query, TOK_identity, TOK_NS_DISCO_INFO);
    if (max > CAPS_IDENTITIES_MAX)
        return "too many identities";
    *out = (struct words){ARENA_ARRAY(a, struct str, max + 1), 0};
    for (struct xml_el *el = xml_first(query); el; el = xml_next(el))
        if (is(el, TOK_identity, TOK_NS_DISCO_INFO))
            out->v[out->n++] = identity_text(a, el, lang, two);
    sort(out);
    return has_twice(out) ? "the same identity twice" : NULL;
}

static const char *values_of(struct arena *a, const struct xml_el *field, struct words *out)
{
    size_t max = count(field, TOK_value, TOK_NS_DATA);
    if (max > CAPS_FIELDS_MAX)
        return "too many values";
    *out = (struct words){ARENA_ARRAY(a, struct str, max + 1), 0};
    for (struct xml_el *el = xml_first(field); el; el = xml_next(el))
        if (is(el, TOK_value, TOK_NS_DATA))
            out->v[out->n++] = xml_text_of(a, el);
    sort(out);
    return NULL;
}

/* NULL: the form has none, or it is not hidden. */
static struct xml_el *type_field(const struct xml_el *form)
{
    for (struct xml_el *el = xml_first(form); el; el = xml_next(el))
        if (is(el, TOK_field, TOK_NS_DATA) && str_eq(xml_attr_get(el, TOK_var), S("FORM_TYPE")))
            return str_eq(xml_attr_get(el, TOK_type), S("hidden")) ? el : NULL;
    return NULL;
}

/* What one field adds: its name, its values, each with what ends it. */
static const char *field_text(struct arena *a, const struct xml_el *field, char end, char last, struct str *out)
{
    struct words values;
    const char *why = values_of(a, field, &values);
    struct str var = xml_attr_get(field, TOK_var);
    struct buf b = BUF_INIT;
    buf_add_str(&b, var);
    buf_add_c(&b, end);
    for (size_t i = 0; !why && i < values.n; i++) {
        if (end == PART && holds_separator(values.v[i]))
            why = "a value with a separator in it";
        buf_add_str(&b, values.v[i]);
        buf_add_c(&b, end);
    }
    if (!why && end == PART && holds_separator(var))
        why = "a field with a separator in its name";
    if (last)
        buf_add_c(&b, last);
    *out = joined(a, &b);
    buf_deinit(&b);
    return why;
}

static const char *fields_of(struct arena *a, const struct xml_el *form, const struct xml_el *but, char end, char last,
                             struct words *out)
{
    size_t max = count(form, TOK_field, TOK_NS_DATA);
    if (max > CAPS_FIELDS_MAX)
        return "too many fields";
    *out = (struct words){ARENA_ARRAY(a, struct str, max + 1), 0};
    for (struct xml_el *el = xml_first(form); el; el = xml_next(el)) {
        if (!is(el, TOK_field, TOK_NS_DATA) || el == but)
            continue;
        const char *why = field_text(a, el, end, last, &out->v[out->n++]);
        if (why)
            return why;
    }
    sort(out);
    return NULL;
}

/* §5.4 no. 3.5: a type that says two things. */
static const char *form_type(struct arena *a, const struct xml_el *field, struct str *out)
{
    struct words values;
    const char *why = values_of(a, field, &values);
    *out = STR_NULL;
    if (why)
        return why;
    if (!values.n || holds_separator(values.v[0]) || !str_eq(values.v[0], values.v[values.n - 1]))
        return "a form of no type, or of several";
    *out = values.v[0];
    return NULL;
}

static const char *form_text(struct arena *a, const struct xml_el *form, const struct xml_el *type, struct str *name_out,
                             struct str *out)
{
    struct words fields;
    const char *why = form_type(a, type, name_out);
    if (!why)
        why = fields_of(a, form, type, PART, 0, &fields);
    if (why)
        return why;
    struct buf b = BUF_INIT;
    buf_add_str(&b, *name_out);
    buf_add_c(&b, PART);
    add_all(&b, &fields);
    *out = joined(a, &b);
    buf_deinit(&b);
    return NULL;
}

/* §5.4 no. 3.6: a form without a hidden type is passed over. */
static const char *forms_of(struct arena *a, const struct xml_el *query, struct words *out)
{
    size_t max = count(query, TOK_x, TOK_NS_DATA);
    if (max > CAPS_FORMS_MAX)
        return "too many forms";
    struct words names = {ARENA_ARRAY(a, struct str, max + 1), 0};
    *out = (struct words){ARENA_ARRAY(a, struct str, max + 1), 0};
    for (struct xml_el *el = xml_first(query); el; el = xml_next(el)) {
        struct xml_el *type = is(el, TOK_x, TOK_NS_DATA) ? type_field(el) : NULL;
        const char *why = type ? form_text(a, el, type, &names.v[names.n], &out->v[out->n]) : NULL;
        if (why)
            return why;
        names.n += type != NULL;
        out->n += type != NULL;
    }
    sort(&names);
    sort(out);
    return has_twice(&names) ? "two forms of one type" : NULL;
}

static const char *add_ended(struct buf *b, const struct words *w)
{
    for (size_t i = 0; i < w->n; i++) {
        if (holds_separator(w->v[i]))
            return "a text with a separator in it";
        add_parts(b, w->v[i], '/');
        buf_add_c(b, '<');
    }
    return NULL;
}

const char *caps_ver(struct arena *a, const struct xml_el *query, struct str hash, struct str *out)
{
    struct words identities, features, forms;
    struct buf b = BUF_INIT;
    const char *why = identities_of(a, query, STR_NULL, false, &identities);
    *out = STR_NULL;
    if (!why)
        why = features_of(a, query, &features);
    if (!why)
        why = forms_of(a, query, &forms);
    if (!why)
        why = add_ended(&b, &identities);
    if (!why)
        why = add_ended(&b, &features);
    if (!why) {
        for (size_t i = 0; i < forms.n; i++)
            add_parts(&b, forms.v[i], '<');
        why = digest(a, hash, &b, out) ? NULL : "an unknown digest";
    }
    buf_deinit(&b);
    return why;
}

/* --- XEP-0390 --- */

/* §4.1: no elements but these, and forms that are results of a type. */
static const char *check_elements(const struct xml_el *query)
{
    for (struct xml_el *el = xml_first(query); el; el = xml_next(el)) {
        if (is(el, TOK_identity, TOK_NS_DISCO_INFO) || is(el, TOK_feature, TOK_NS_DISCO_INFO))
            continue;
        if (!is(el, TOK_x, TOK_NS_DATA))
            return "an element that does not belong there";
        if (!type_field(el))
            return "a form without a type";
        for (struct xml_el *part = xml_first(el); part; part = xml_next(part))
            if (part->ns == TOK_NS_DATA && (part->tok == TOK_reported || part->tok == TOK_item))
                return "a form with a table";
    }
    return NULL;
}

static const char *forms2_of(struct arena *a, const struct xml_el *query, struct words *out)
{
    size_t max = count(query, TOK_x, TOK_NS_DATA);
    if (max > CAPS_FORMS_MAX)
        return "too many forms";
    *out = (struct words){ARENA_ARRAY(a, struct str, max + 1), 0};
    for (struct xml_el *el = xml_first(query); el; el = xml_next(el)) {
        struct words fields;
        if (!is(el, TOK_x, TOK_NS_DATA))
            continue;
        const char *why = fields_of(a, el, NULL, '\x1f', '\x1e', &fields);
        if (why)
            return why;
        struct buf b = BUF_INIT;
        add_all(&b, &fields);
        buf_add_c(&b, '\x1d');
        out->v[out->n++] = joined(a, &b);
        buf_deinit(&b);
    }
    sort(out);
    return NULL;
}

const char *caps2_ver(struct arena *a, const struct xml_el *query, struct str lang, struct str hash, struct str *out)
{
    struct words identities, features, forms;
    struct buf b = BUF_INIT;
    const char *why = check_elements(query);
    *out = STR_NULL;
    if (!why)
        why = features_of(a, query, &features);
    if (!why)
        why = identities_of(a, query, lang, true, &identities);
    if (!why)
        why = forms2_of(a, query, &forms);
    for (size_t i = 0; !why && i < features.n; i++) {
        buf_add_str(&b, features.v[i]);
        buf_add_c(&b, '\x1f');
    }
    if (!why) {
        buf_add_c(&b, '\x1c');
        add_all(&b, &identities);
        buf_add_c(&b, '\x1c');
        add_all(&b, &forms);
        buf_add_c(&b, '\x1c');
        why = digest(a, hash, &b, out) ? NULL : "an unknown digest";
    }
    buf_deinit(&b);
    return why;
}
