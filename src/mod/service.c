/*
 * What every service of a module answers by itself (core/module/service.h): service discovery (XEP-0030), from its module's table
 * and options, and its vCard (XEP-0054). Runs where the request came in, on a fiber: what modules add may suspend.
 */
#include "core/module/service.h"
#include "core/config/option.h"
#include "mod/api/disco.h"
#include "mod/api/vcard.h"

/* As long as nothing suspends. */
static const struct service_host *asked(const struct iq *iq)
{
    return service_find(jid_host(iq->stanza->to));
}

/* NULL: the module does not declare it. */
static const struct options *options_with(const struct service_host *h, const char *name)
{
    const struct options *o = module_options(h->host, h->module);
    return o && opt_def_find(o->group, str_of(name)) ? o : NULL;
}

static void describe(struct disco_ask *ask, const struct service_host *h)
{
    const struct service *s = h->module->service;
    const struct options *o = options_with(h, "name");
    disco_add_identity(ask, s->category, s->type, o ? opt_str(o, "name") : STR_NULL);
    disco_add_feature(ask, "http://jabber.org/protocol/disco#info");
    disco_add_feature(ask, "http://jabber.org/protocol/disco#items");
    disco_add_feature(ask, "vcard-temp");
    for (const char *const *f = s->features; f && *f; f++)
        disco_add_feature(ask, *f);
    disco_add_contacts(ask, h->module->name);
}

static enum disco_found ask_module(struct disco_ask *ask, const char *module, bool items) YIELDS;
static enum disco_found ask_module(struct disco_ask *ask, const char *module, bool items)
{
    const struct disco_nodes *d = disco_nodes_of(module);
    enum disco_found (*answer)(struct disco_ask *) YIELDS = !d ? NULL : items ? d->service_items : d->service_info;
    enum disco_found found = answer ? answer(ask) : DISCO_NOT_MINE;
    if (found == DISCO_NOT_MINE && ask->node.n)
        return disco_refuse(ask, ERR_NOT_FOUND, "Node not found");
    return found;
}

static void answer_disco(struct iq *iq, bool items) YIELDS;
static void answer_disco(struct iq *iq, bool items)
{
    const struct service_host *h = asked(iq);
    if (!h || iq_refuse_set(iq))
        return;
    struct stanza *r = iq_result_new(iq);
    struct disco_ask ask = {.request = iq->stanza, .host = iq->host, .node = xml_attr_get(iq->child, TOK_node), .arena = r->arena};
    ask.query = xml_add(r->arena, r->el, TOK_query, items ? TOK_NS_DISCO_ITEMS : TOK_NS_DISCO_INFO);
    if (ask.node.n)
        xml_attr_set(r->arena, ask.query, TOK_node, arena_str(r->arena, ask.node));
    else if (!items)
        describe(&ask, h);
    if (ask_module(&ask, h->module->name, items) != DISCO_REFUSED) {
        iq_result(iq, r);
        return;
    }
    iq_error(iq, ask.code, ask.text);
    stanza_end(&r);
}

static void on_info(struct iq *iq) YIELDS;
static void on_info(struct iq *iq)
{
    answer_disco(iq, false);
}

static void on_items(struct iq *iq) YIELDS;
static void on_items(struct iq *iq)
{
    answer_disco(iq, true);
}

static void on_vcard(struct iq *iq)
{
    const struct service_host *h = asked(iq);
    if (!h || iq_refuse_set(iq))
        return;
    struct stanza *r = iq_result_new(iq);
    struct xml_el *vcard = xml_add(r->arena, r->el, TOK_vCard, TOK_NS_VCARD);
    const struct options *o = options_with(h, "vcard");
    if (o && opt_is_set(o, "vcard")) {
        service_vcard_fill(r->arena, vcard, opt_node(o, "vcard"));
    } else {
        vcard_add_text(r->arena, vcard, S("FN"), arena_printf(r->arena, "cjabberd/%s", h->module->name));
        if (h->module->service->summary)
            vcard_add_text(r->arena, vcard, S("DESC"), str_of(h->module->service->summary));
    }
    iq_result(iq, r);
}

static const struct iq_entry iqs[] = {{IQ_TO_SERVICE, TOK_NS_DISCO_INFO, true, on_info},
                                      {IQ_TO_SERVICE, TOK_NS_DISCO_ITEMS, true, on_items},
                                      {IQ_TO_SERVICE, TOK_NS_VCARD, false, on_vcard},
                                      {0}};

/* Not in the configuration: a service without these would be no service. */
MODULE(service) = {.name = "service", .xep = "XEP-0030 2.5rc3", .core = true, .iqs = iqs};
