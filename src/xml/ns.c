/*
 * Namespaces of the tag under way (Namespaces in XML 1.0), and which elements' bytes can stand alone. Works on the
 * parser's state; owns nothing; suspends never.
 */
#include "xml/parser.h"

#define URI_XMLNS S("http://www.w3.org/2000/xmlns/")

static struct xml_binding predeclared = {.prefix = {"xml", 3}, .tok = TOK_NS_XML,
                                         .uri = {"http://www.w3.org/XML/1998/namespace", 36}};

struct xml_binding xml_ns_stream_binding = {.prefix = {"stream", 6}, .tok = TOK_NS_STREAM,
                                            .uri = {"http://etherx.jabber.org/streams", 32}};

struct xml_binding *xml_ns_find(struct xml_binding *b, struct str prefix)
{
    if (str_eq(prefix, predeclared.prefix))
        return &predeclared;
    while (b && !str_eq(b->prefix, prefix))
        b = b->next;
    return b;
}

/* What may not be declared, in the order in which expat looks; NULL when all is well. */
static const char *refusal(struct str prefix, struct str uri)
{
    if (prefix.n && !uri.n)
        return "must not undeclare prefix";
    if (str_eq(prefix, S("xmlns")))
        return "reserved prefix (xmlns) must not be declared or undeclared";
    bool is_xml = str_eq(uri, predeclared.uri);
    if (str_eq(prefix, predeclared.prefix))
        return is_xml ? NULL : "reserved prefix (xml) must not be undeclared or bound to another namespace name";
    return is_xml || str_eq(uri, URI_XMLNS) ? "prefix must not be bound to one of the reserved namespace names" : NULL;
}

static uint32_t count_of(const struct xml_binding *b)
{
    return b ? b->count : 0;
}

static void bind_prefix(struct xml_parser *x, struct str prefix, struct str uri)
{
    struct xml_binding *b = xml_take(x, sizeof(*b));
    *b = (struct xml_binding){.next = x->tag.bindings, .prefix = prefix, .uri = uri, .tok = (uint16_t)token_find(uri),
                              .depth = x->depth + 1, .count = count_of(x->tag.bindings) + 1};
    x->tag.bindings = b;
}

void xml_ns_declare(struct xml_parser *x, struct str uri)
{
    struct xml_tag *t = &x->tag;
    struct str prefix = t->kind == XML_ATTR_PREFIX_NS ? t->declares : STR_NULL;
    const char *why = refusal(prefix, uri);
    if (why) {
        xml_fail_tag(x, XML_ERR_NOT_WELL_FORMED, why);
    } else if (!prefix.n) {
        t->def = (struct xml_default){.uri = uri, .tok = (uint16_t)token_find(uri), .depth = x->depth + 1};
        t->has_default = true;
    } else if (count_of(t->bindings) >= XML_MAX_BINDINGS) {
        xml_fail_tag(x, XML_ERR_LIMIT, XML_WHY_LIMIT);
    } else {
        bind_prefix(x, prefix, uri);
    }
}

/* The element at the current depth uses a prefix declared at depth `at`: nothing between may be copied without it. */
static void note_prefix(struct xml_parser *x, const struct xml_binding *b)
{
    if (b == &predeclared)
        return;
    for (uint32_t i = b->depth + 1; i <= x->depth; i++)
        x->frames[i].raw_bad = true;
    for (uint32_t i = b->depth ? b->depth : 1; i < x->depth; i++)
        x->frames[i].inner_bad = true;
}

/*
 * An element without prefix takes the default namespace from depth `at`. That is the namespace of every unprefixed
 * element between, so those only lean on it; an element with a prefix is in another one, which a copy of its bytes
 * (or a start tag written anew) would not tell.
 */
void xml_ns_note_default(struct xml_parser *x)
{
    uint32_t at = x->frames[x->depth].def.depth;
    for (uint32_t i = at ? at : 1; i < x->depth; i++)
        if (x->frames[i].prefixed) {
            x->frames[i].inner_bad = true;
            x->frames[i].raw_bad |= i > at;
        }
}

static bool resolve_attr(struct xml_parser *x, struct xml_attr *at)
{
    struct xml_binding *b = xml_ns_find(x->tag.bindings, at->ns_uri);
    if (!b)
        return xml_fail_tag(x, XML_ERR_BAD_NS_PREFIX, "unbound prefix");
    note_prefix(x, b);
    at->ns = b->tok;
    at->ns_uri = b->uri;
    for (const struct xml_attr *o = x->tag.el->attrs; o != at; o = o->next)
        if (o->tok == at->tok && str_eq(o->name, at->name) && str_eq(o->ns_uri, at->ns_uri))
            return xml_fail_tag(x, XML_ERR_NOT_WELL_FORMED, "duplicate attribute");
    return true;
}

/* Source slices of prefixes end at the ':'; that is how an unresolved one is known from a namespace. */
static bool resolve_attrs(struct xml_parser *x)
{
    for (struct xml_attr *at = x->tag.el->attrs; at; at = at->next)
        if (at->ns_uri.n && !resolve_attr(x, at))
            return false;
    return true;
}

bool xml_ns_resolve(struct xml_parser *x)
{
    struct xml_tag *t = &x->tag;
    struct xml_frame *f = &x->frames[x->depth];
    t->el->ns = f->def.tok;
    t->el->ns_uri = f->def.uri;
    if (t->unresolved && !resolve_attrs(x))
        return false;
    if (!t->prefix.n)
        return true;
    struct xml_binding *b = xml_ns_find(t->bindings, t->prefix);
    if (!b)
        return xml_fail_tag(x, XML_ERR_BAD_NS_PREFIX, "unbound prefix");
    note_prefix(x, b);
    t->el->ns = b->tok;
    t->el->ns_uri = b->uri;
    return true;
}
