/*
 * The element tree: looking and editing. Everything lives in arenas; any thread that owns the arena; suspends never.
 */
#include "xml/node.h"

/* The bytes no longer say what the tree says: forgotten here and in everything around. */
static void forget_around(struct xml_el *el)
{
    for (el = el->parent; el; el = el->parent)
        el->raw = el->raw_inner = STR_NULL;
}

static void tag_changed(struct xml_el *el)
{
    el->raw = STR_NULL;
    forget_around(el);
}

static void content_changed(struct xml_el *el)
{
    el->raw = el->raw_inner = STR_NULL;
    forget_around(el);
}

/* ---- attributes ---- */

static bool ns_is(uint16_t have, struct str have_uri, enum token ns)
{
    return ns == TOK_NONE ? have_uri.n == 0 : have == ns;
}

static struct xml_attr *find_attr(const struct xml_el *el, enum token ns, enum token name)
{
    struct xml_attr *a = el->attrs;
    while (a && !(a->tok == name && ns_is(a->ns, a->ns_uri, ns)))
        a = a->next;
    return a;
}

static struct xml_attr *find_attr_text(const struct xml_el *el, struct str name)
{
    struct xml_attr *a = el->attrs;
    while (a && !(a->ns_uri.n == 0 && str_eq(a->name, name)))
        a = a->next;
    return a;
}

struct str xml_attr_get(const struct xml_el *el, enum token name)
{
    return xml_attr_get_ns(el, TOK_NONE, name);
}

struct str xml_attr_get_ns(const struct xml_el *el, enum token ns, enum token name)
{
    const struct xml_attr *a = find_attr(el, ns, name);
    return a ? a->value : STR_NULL;
}

struct str xml_attr_get_text(const struct xml_el *el, struct str name)
{
    const struct xml_attr *a = find_attr_text(el, name);
    return a ? a->value : STR_NULL;
}

static void remove_attr(struct xml_el *el, struct xml_attr *a)
{
    struct xml_attr **at = &el->attrs;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
}

static void add_attr(struct arena *a, struct xml_el *el, struct xml_attr attr)
{
    struct xml_attr **at = &el->attrs, *new_attr = ARENA_NEW(a, struct xml_attr);
    while (*at)
        at = &(*at)->next;
    *new_attr = attr;
    *at = new_attr;
}

/* `found` is the present one or NULL, `attr` what is wanted. */
static void put_attr(struct arena *a, struct xml_el *el, struct xml_attr *found, struct xml_attr attr)
{
    if (!found && !attr.value.p)
        return;
    tag_changed(el);
    if (!attr.value.p)
        remove_attr(el, found);
    else if (found)
        found->value = attr.value;
    else
        add_attr(a, el, attr);
}

void xml_attr_set(struct arena *a, struct xml_el *el, enum token name, struct str value)
{
    xml_attr_set_ns(a, el, TOK_NONE, name, value);
}

void xml_attr_set_ns(struct arena *a, struct xml_el *el, enum token ns, enum token name, struct str value)
{
    struct xml_attr attr = {.name = token_str(name), .value = value, .tok = (uint16_t)name, .ns = (uint16_t)ns,
                            .ns_uri = ns ? token_str(ns) : STR_NULL};
    put_attr(a, el, find_attr(el, ns, name), attr);
}

void xml_attr_set_text(struct arena *a, struct xml_el *el, struct str name, struct str value)
{
    struct xml_attr attr = {.name = name, .value = value, .tok = (uint16_t)token_find(name)};
    put_attr(a, el, find_attr_text(el, name), attr);
}

/* ---- children ---- */

static struct xml_el *element_from(struct xml_node *n)
{
    while (n && n->kind != XML_ELEMENT)
        n = n->next;
    return (struct xml_el *)n;
}

struct xml_el *xml_first(const struct xml_el *el)
{
    return element_from(el->children);
}

struct xml_el *xml_next(const struct xml_el *prev)
{
    return element_from(prev->node.next);
}

struct xml_el *xml_child(const struct xml_el *el, enum token name, enum token ns)
{
    struct xml_el *c = xml_first(el);
    while (c && !(c->tok == name && (ns == TOK_NONE || c->ns == ns)))
        c = xml_next(c);
    return c;
}

static const struct xml_text *text_from(const struct xml_node *n)
{
    while (n && n->kind != XML_TEXT)
        n = n->next;
    return (const struct xml_text *)n;
}

struct str xml_text_of(struct arena *a, const struct xml_el *el)
{
    const struct xml_text *first = text_from(el->children), *t;
    size_t n = 0;
    if (!first)
        return S("");
    if (!text_from(first->node.next))
        return first->text;
    for (t = first; t; t = text_from(t->node.next))
        n += t->text.n;
    char *p = arena_alloc(a, n + 1), *at = p;
    for (t = first; t; t = text_from(t->node.next)) {
        memcpy(at, t->text.p, t->text.n);
        at += t->text.n;
    }
    *at = 0;
    return str_n(p, n);
}

/* ---- building ---- */

static struct xml_el *new_element(struct arena *a, struct xml_el like)
{
    struct xml_el *el = arena_alloc(a, sizeof(*el));
    *el = like;
    el->node.kind = XML_ELEMENT;
    el->children_tail = &el->children;
    return el;
}

struct xml_el *xml_new(struct arena *a, enum token name, enum token ns)
{
    return new_element(a, (struct xml_el){.tok = (uint16_t)name, .ns = (uint16_t)ns, .name = token_str(name),
                                          .ns_uri = token_str(ns)});
}

struct xml_el *xml_new_text(struct arena *a, struct str name, struct str ns_uri)
{
    return new_element(a, (struct xml_el){.tok = (uint16_t)token_find(name), .ns = (uint16_t)token_find(ns_uri),
                                          .name = name, .ns_uri = ns_uri.p ? ns_uri : S("")});
}

static void append(struct xml_el *parent, struct xml_node *n)
{
    n->next = NULL;
    *parent->children_tail = n;
    parent->children_tail = &n->next;
}

void xml_append(struct xml_el *parent, struct xml_el *child)
{
    content_changed(parent);
    child->parent = parent;
    append(parent, &child->node);
}

void xml_append_text(struct arena *a, struct xml_el *parent, struct str text)
{
    if (text.n == 0)
        return;
    struct xml_text *t = ARENA_NEW(a, struct xml_text);
    content_changed(parent);
    t->node.kind = XML_TEXT;
    t->text = text;
    append(parent, &t->node);
}

struct xml_el *xml_add(struct arena *a, struct xml_el *parent, enum token name, enum token ns)
{
    struct xml_el *el = xml_new(a, name, ns);
    if (ns == TOK_NONE) {
        el->ns = parent->ns;
        el->ns_uri = parent->ns_uri;
    }
    xml_append(parent, el);
    return el;
}

struct xml_el *xml_add_leaf(struct arena *a, struct xml_el *parent, enum token name, struct str text)
{
    struct xml_el *el = xml_add(a, parent, name, TOK_NONE);
    xml_append_text(a, el, text);
    return el;
}

void xml_remove(struct xml_el *parent, struct xml_el *child)
{
    struct xml_node **at = &parent->children;
    while (*at && *at != &child->node)
        at = &(*at)->next;
    if (!*at)
        return;
    content_changed(parent);
    *at = child->node.next;
    if (!*at)
        parent->children_tail = at;
    child->node.next = NULL;
    child->parent = NULL;
}

/* ---- copying ---- */

/* Source bytes already copied for an element around; slices into them are moved along instead of copied again. */
struct copier {
    struct arena *a;
    struct str from;
    const char *to;
};

static struct str copy_str(const struct copier *c, struct str s)
{
    if (!s.p)
        return STR_NULL;
    uintptr_t at = (uintptr_t)s.p - (uintptr_t)c->from.p;
    if (c->from.p && at <= c->from.n && s.n <= c->from.n - at)
        return str_n(c->to + at, s.n);
    return arena_str(c->a, s);
}

static struct str copy_word(const struct copier *c, uint16_t tok, struct str s)
{
    return tok ? token_str((enum token)tok) : copy_str(c, s);
}

static struct xml_attr *copy_attrs(const struct copier *c, const struct xml_attr *from)
{
    struct xml_attr *first = NULL, **tail = &first;
    for (; from; from = from->next) {
        struct xml_attr *to = arena_alloc(c->a, sizeof(*to));
        *to = *from;
        to->next = NULL;
        to->name = copy_word(c, from->tok, from->name);
        to->value = copy_str(c, from->value);
        to->ns_uri = copy_word(c, from->ns, from->ns_uri);
        *tail = to;
        tail = &to->next;
    }
    return first;
}

static struct xml_el *copy_element(struct copier c, const struct xml_el *from);

static void copy_children(const struct copier *c, struct xml_el *to, const struct xml_el *from)
{
    for (const struct xml_node *n = from->children; n; n = n->next) {
        if (n->kind == XML_ELEMENT) {
            struct xml_el *child = copy_element(*c, (const struct xml_el *)n);
            child->parent = to;
            append(to, &child->node);
            continue;
        }
        struct xml_text *t = arena_alloc(c->a, sizeof(*t));
        t->node.kind = XML_TEXT;
        t->text = copy_str(c, ((const struct xml_text *)n)->text);
        append(to, &t->node);
    }
}

static struct xml_el *copy_element(struct copier c, const struct xml_el *from)
{
    struct xml_el *to = new_element(c.a, *from);
    to->node.next = NULL;
    to->parent = NULL;
    to->children = NULL;
    struct str source = from->raw.p ? from->raw : from->raw_inner, copy = copy_str(&c, source);
    if (source.p) {
        c.from = source;
        c.to = copy.p;
    }
    to->raw = from->raw.p ? copy : STR_NULL;
    to->raw_inner = copy_str(&c, from->raw_inner);
    to->name = copy_word(&c, from->tok, from->name);
    to->ns_uri = copy_word(&c, from->ns, from->ns_uri);
    to->attrs = copy_attrs(&c, from->attrs);
    copy_children(&c, to, from);
    return to;
}

struct xml_el *xml_copy(struct arena *a, const struct xml_el *el)
{
    return copy_element((struct copier){.a = a}, el);
}
