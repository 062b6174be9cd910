/* Digests of disco#info: whatever the answer, they end; what has one has it again when its parts come in another order. */
#include "xml/stream.h"
#include "xmpp/caps.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The same with its children from last to first. */
static struct xml_el *turned(struct arena *a, const struct xml_el *query)
{
    struct xml_el *out = xml_new(a, TOK_query, TOK_NS_DISCO_INFO), **els;
    size_t n = 0;
    for (struct xml_el *el = xml_first(query); el; el = xml_next(el))
        n++;
    els = ARENA_ARRAY(a, struct xml_el *, n + 1);
    n = 0;
    for (struct xml_el *el = xml_first(query); el; el = xml_next(el))
        els[n++] = el;
    while (n)
        xml_append(out, xml_copy(a, els[--n]));
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new();
    struct xml_el *query = xml_parse(a, str_n((const char *)data, n), TOK_NS_DISCO_INFO, NULL);
    struct str one, two, *features;
    size_t n_features;
    if (query) {
        struct xml_el *other = turned(a, query);
        const char *why = caps_ver(a, query, S("sha-1"), &one), *why2 = caps_ver(a, other, S("sha-1"), &two);
        if (!why != !why2 || (!why && !str_eq(one, two)))
            abort();
        if (!why && caps_features(a, query, &features, &n_features))
            abort();
        why = caps2_ver(a, query, S("en"), S("sha-256"), &one);
        why2 = caps2_ver(a, other, S("en"), S("sha-256"), &two);
        if (!why != !why2 || (!why && !str_eq(one, two)))
            abort();
    }
    arena_release(&a);
    return 0;
}
