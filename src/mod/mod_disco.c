/*
 * Service Discovery, XEP-0030: disco#info of the server and of accounts, built from the module tables, and disco#items
 * (empty as long as there are no services; extra_domains of the configuration). Nodes are unknown here.
 */
#include "core/module.h"

static void add_feature(struct arena *a, struct xml_el *query, struct str var)
{
    xml_attr_set(a, xml_add(a, query, TOK_feature, TOK_NONE), TOK_var, var);
}

static void add_identity(struct arena *a, struct xml_el *query, struct str category, struct str type, struct str name)
{
    struct xml_el *id = xml_add(a, query, TOK_identity, TOK_NONE);
    xml_attr_set(a, id, TOK_category, category);
    xml_attr_set(a, id, TOK_type, type);
    if (name.n)
        xml_attr_set(a, id, TOK_name, name);
}

static void add_module_features(struct arena *a, struct xml_el *query, unsigned host, bool account)
{
    for (size_t i = 0; i < module_count(); i++) {
        const struct module *m = module_at(i);
        const char *const *f = account ? m->account_features : m->features;
        for (; f && *f && module_loaded(host, m); f++)
            add_feature(a, query, str_of(*f));
    }
}

static bool refuse(struct iq *iq)
{
    if (iq->stanza->type != ST_GET)
        iq_error(iq, ERR_NOT_ALLOWED, "Value 'set' of 'type' attribute is not allowed");
    else if (xml_attr_get(iq->child, TOK_node).n)
        iq_error(iq, ERR_NOT_FOUND, "Node not found");
    return iq->answered;
}

static void answer_info(struct iq *iq, bool account)
{
    if (refuse(iq))
        return;
    const struct options *o = config_module(&config_current()->hosts[iq->host], S("mod_disco"));
    struct stanza *r = iq_result_new(iq);
    struct xml_el *q = xml_add(r->arena, r->el, TOK_query, TOK_NS_DISCO_INFO);
    if (account)
        add_identity(r->arena, q, S("account"), S("registered"), STR_NULL);
    else
        add_identity(r->arena, q, S("server"), S("im"), o ? arena_str(r->arena, opt_str(o, "name")) : STR_NULL);
    add_module_features(r->arena, q, iq->host, account);
    iq_result(iq, r);
}

static void on_server_info(struct iq *iq)
{
    answer_info(iq, false);
}

/* XEP-0030 §8: strangers learn nothing about an account. Without rosters everybody but the owner is a stranger. */
static void on_account_info(struct iq *iq)
{
    if (jid_bare_eq(iq->stanza->from, iq->stanza->to))
        answer_info(iq, true);
    else
        iq_error(iq, ERR_NO_SERVICE, NULL);
}

static void answer_items(struct iq *iq, bool server)
{
    if (refuse(iq))
        return;
    struct stanza *r = iq_result_new(iq);
    struct xml_el *q = xml_add(r->arena, r->el, TOK_query, TOK_NS_DISCO_ITEMS);
    const struct options *o = config_module(&config_current()->hosts[iq->host], S("mod_disco"));
    const struct str *extra = NULL;
    size_t n = server && o ? opt_list(o, "extra_domains", &extra) : 0;
    for (size_t i = 0; i < n; i++)
        xml_attr_set(r->arena, xml_add(r->arena, q, TOK_item, TOK_NONE), TOK_jid, arena_str(r->arena, extra[i]));
    iq_result(iq, r);
}

static void on_server_items(struct iq *iq)
{
    answer_items(iq, true);
}

static void on_account_items(struct iq *iq)
{
    if (jid_bare_eq(iq->stanza->from, iq->stanza->to))
        answer_items(iq, false);
    else
        iq_error(iq, ERR_NO_SERVICE, NULL);
}

static const char *const features[] = {
    "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_SERVER, TOK_NS_DISCO_INFO, false, on_server_info},
                                      {IQ_TO_SERVER, TOK_NS_DISCO_ITEMS, false, on_server_items},
                                      {IQ_TO_ACCOUNT, TOK_NS_DISCO_INFO, false, on_account_info},
                                      {IQ_TO_ACCOUNT, TOK_NS_DISCO_ITEMS, false, on_account_items},
                                      {0}};

MODULE(mod_disco) = {
    .name = "mod_disco", .xep = "XEP-0030 2.5rc3", .features = features, .account_features = features, .iqs = iqs};
