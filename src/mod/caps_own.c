/*
 * The server's own entity capabilities: digests of its disco#info, for stream features (XEP-0115 §6.3, XEP-0390 §6). Remembered on
 * each shard until modules or options change. Nothing suspends.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "mod/api/caps.h"
#include "mod/api/disco.h"
#include "xmpp/caps.h"

#include <stdlib.h>

struct own {
    uint64_t made_at; /* module_changes() */
    struct arena *arena;
    struct str elements;
    struct str nodes[3];
};

static _Thread_local struct {
    struct own *hosts;
    size_t n;
} all;

static const char *const hashes[] = {"sha-256", "sha3-256"};

static void add_old(struct own *o, struct buf *b, const struct xml_el *query)
{
    struct str ver;
    if (caps_ver(o->arena, query, S("sha-1"), &ver))
        return;
    buf_printf(b, "<c ver='%.*s' node='" CAPS_NODE "' hash='sha-1' xmlns='http://jabber.org/protocol/caps'/>", STR_ARG(ver));
    o->nodes[0] = arena_printf(o->arena, CAPS_NODE "#%.*s", STR_ARG(ver));
}

static void add_new(struct own *o, struct buf *b, const struct xml_el *query)
{
    struct str ver;
    buf_add_str(b, S("<c xmlns='urn:xmpp:caps'>"));
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++)
        if (!caps2_ver(o->arena, query, S("en"), str_of(hashes[i]), &ver)) {
            buf_printf(b, "<hash xmlns='urn:xmpp:hashes:2' algo='%s'>%.*s</hash>", hashes[i], STR_ARG(ver));
            o->nodes[1 + i] = arena_printf(o->arena, "urn:xmpp:caps#%s.%.*s", hashes[i], STR_ARG(ver));
        }
    buf_add_str(b, S("</c>"));
}

static void make(struct own *o, unsigned host)
{
    struct buf b = BUF_INIT;
    if (o->arena)
        arena_release(&o->arena);
    *o = (struct own){.made_at = module_changes(), .arena = arena_new()};
    struct xml_el *query = xml_new(o->arena, TOK_query, TOK_NS_DISCO_INFO);
    if (config_module(&config_current()->hosts[host], S("mod_disco"))) { /* otherwise nobody would answer */
        disco_add_server(o->arena, query, host);
        add_old(o, &b, query);
        add_new(o, &b, query);
    }
    o->elements = arena_str(o->arena, buf_str(&b));
    buf_deinit(&b);
}

static struct own *own_of(unsigned host)
{
    if (host >= all.n) {
        all.hosts = mem_realloc(all.hosts, (host + 1) * sizeof *all.hosts);
        memset(all.hosts + all.n, 0, (host + 1 - all.n) * sizeof *all.hosts);
        all.n = host + 1;
    }
    struct own *o = &all.hosts[host];
    if (!o->arena || o->made_at != module_changes())
        make(o, host);
    return o;
}

struct str caps_own_elements(unsigned host)
{
    return own_of(host)->elements;
}

bool caps_own_node(unsigned host, struct str node)
{
    const struct own *o = own_of(host);
    for (size_t i = 0; i < ARRAY_LEN(o->nodes); i++)
        if (node.n && str_eq(node, o->nodes[i]))
            return true;
    return false;
}

void caps_own_forget(void)
{
    for (size_t i = 0; i < all.n; i++)
        if (all.hosts[i].arena)
            arena_release(&all.hosts[i].arena);
    free(all.hosts);
    all.hosts = NULL;
    all.n = 0;
}
