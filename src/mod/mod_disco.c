/*
 * Service Discovery, XEP-0030: disco#info of the server and of accounts, built from the module tables, and disco#items
 * (services of modules, extra_domains of the configuration). Nodes, and more items of the server, come from other modules
 * (mod/api/disco.h); what services themselves answer is in mod/service.c.
 */
#include "mod/api/disco.h"

#include "core/account/roster.h"
#include "core/module/service.h"
#include "xmpp/dataform.h"

#include <stdlib.h>

extern const struct disco_nodes *const __start_cj_disco_nodes[] __attribute__((weak));
extern const struct disco_nodes *const __stop_cj_disco_nodes[] __attribute__((weak));

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
    if (!iq_refuse_set(iq) && xml_attr_get(iq->child, TOK_node).n)
        iq_error(iq, ERR_NOT_FOUND, "Node not found");
    return iq->answered;
}

/* --- nodes of other modules --- */

void disco_add_item(struct disco_ask *ask, struct str jid, struct str node, struct str name)
{
    struct xml_el *item = xml_add(ask->arena, ask->query, TOK_item, TOK_NONE);
    xml_attr_set(ask->arena, item, TOK_jid, arena_str(ask->arena, jid));
    if (node.p)
        xml_attr_set(ask->arena, item, TOK_node, arena_str(ask->arena, node));
    if (name.p)
        xml_attr_set(ask->arena, item, TOK_name, arena_str(ask->arena, name));
}

void disco_add_identity(struct disco_ask *ask, const char *category, const char *type, struct str name)
{
    add_identity(ask->arena, ask->query, str_of(category), str_of(type), name.p ? arena_str(ask->arena, name) : name);
}

void disco_add_feature(struct disco_ask *ask, const char *var)
{
    add_feature(ask->arena, ask->query, str_of(var));
}

enum disco_found disco_refuse(struct disco_ask *ask, enum err_code code, const char *text)
{
    ask->code = code;
    ask->text = text;
    return DISCO_REFUSED;
}

const struct disco_nodes *disco_nodes_of(const char *module)
{
    for (const struct disco_nodes *const *p = __start_cj_disco_nodes; p < __stop_cj_disco_nodes; p++)
        if (*p && strcmp((*p)->module, module) == 0) /* a sanitizer may pad the section */
            return *p;
    return NULL;
}

/* By module name, so that the order never depends on the linker. */
static int by_module(const void *a, const void *b)
{
    return strcmp((*(const struct disco_nodes *const *)a)->module, (*(const struct disco_nodes *const *)b)->module);
}

static const struct disco_nodes **sorted_nodes(struct arena *a, const struct config *c, unsigned host, size_t *n_out)
{
    size_t max = (size_t)(__stop_cj_disco_nodes - __start_cj_disco_nodes), n = 0;
    const struct disco_nodes **sorted = ARENA_ARRAY(a, const struct disco_nodes *, max + 1);
    for (const struct disco_nodes *const *p = __start_cj_disco_nodes; p < __stop_cj_disco_nodes; p++)
        if (*p && config_module(&c->hosts[host], str_of((*p)->module))) /* a sanitizer may pad the section */
            sorted[n++] = *p;
    qsort(sorted, n, sizeof(*sorted), by_module);
    *n_out = n;
    return sorted;
}

/* Everybody may add to the items of the server; a node belongs to whoever answers first. */
static enum disco_found ask_modules(struct disco_ask *ask, bool items, bool account) YIELDS;
static enum disco_found ask_modules(struct disco_ask *ask, bool items, bool account)
{
    size_t n;
    const struct disco_nodes **nodes = sorted_nodes(ask->arena, config_current(), ask->host, &n);
    for (size_t i = 0; i < n; i++) {
        const struct disco_nodes *d = nodes[i];
        enum disco_found (*answer)(struct disco_ask *) YIELDS =
            account ? (items ? d->account_items : d->account_info) : (items ? d->items : d->info);
        if (!answer)
            continue;
        enum disco_found found = answer(ask);
        if (ask->node.n && found != DISCO_NOT_MINE)
            return found;
    }
    return DISCO_NOT_MINE;
}

static void answer_node(struct iq *iq, bool items, bool account) YIELDS;
static void answer_node(struct iq *iq, bool items, bool account)
{
    struct stanza *r = iq_result_new(iq);
    struct disco_ask ask = {.request = iq->stanza, .host = iq->host, .node = xml_attr_get(iq->child, TOK_node), .arena = r->arena};
    ask.query = xml_add(r->arena, r->el, TOK_query, items ? TOK_NS_DISCO_ITEMS : TOK_NS_DISCO_INFO);
    xml_attr_set(r->arena, ask.query, TOK_node, arena_str(r->arena, ask.node));
    enum disco_found found = ask_modules(&ask, items, account);
    if (found == DISCO_ANSWERED) {
        iq_result(iq, r);
        return;
    }
    if (found == DISCO_NOT_MINE)
        iq_error(iq, ERR_NOT_FOUND, items || account ? "Node not found" : "No features available");
    else
        iq_error(iq, ask.code, ask.text);
    stanza_end(&r);
}

/* --- contact addresses, XEP-0157 --- */

/* Is this entry of option server_info about the services of a module? mod_disco: about the server itself. */
static bool is_for(const struct yaml *entry, struct str module)
{
    const struct yaml *modules = yaml_get(entry, S("modules"));
    if (!modules || modules->kind == YAML_SCALAR)
        return !modules || str_eq(modules->text, S("all")) || str_eq(modules->text, module);
    for (size_t i = 0; i < modules->n; i++)
        if (str_eq(modules->items[i]->text, S("all")) || str_eq(modules->items[i]->text, module))
            return true;
    return false;
}

static void add_contact(struct arena *a, struct xml_el *x, const struct yaml *entry, struct str module)
{
    const struct yaml *name = yaml_get(entry, S("name")), *urls = yaml_get(entry, S("urls"));
    if (!name || !urls || !is_for(entry, module))
        return;
    struct xml_el *field = dataform_add(a, x, S("list-multi"), name->text, STR_NULL);
    if (urls->kind == YAML_SCALAR)
        dataform_add_value(a, field, urls->text);
    for (size_t i = 0; i < urls->n; i++)
        dataform_add_value(a, field, urls->items[i]->text);
}

void disco_add_contacts(struct disco_ask *ask, const char *module)
{
    const struct options *o = config_module(&config_current()->hosts[ask->host], S("mod_disco"));
    const struct yaml *list = o ? opt_node(o, "server_info") : NULL;
    struct xml_el *x = dataform_new(ask->arena, ask->query, DATAFORM_RESULT);
    dataform_form_type(ask->arena, x, S("http://jabber.org/network/serverinfo"));
    for (size_t i = 0; list && i < list->n; i++)
        add_contact(ask->arena, x, list->items[i], str_of(module));
}

void disco_add_server(struct arena *a, struct xml_el *query, unsigned host)
{
    const struct options *o = config_module(&config_current()->hosts[host], S("mod_disco"));
    add_identity(a, query, S("server"), S("im"), o ? arena_str(a, opt_str(o, "name")) : STR_NULL);
    add_module_features(a, query, host, false);
    disco_add_contacts(&(struct disco_ask){.host = host, .arena = a, .query = query}, "mod_disco");
}

static void answer_info(struct iq *iq, bool account)
{
    if (refuse(iq))
        return;
    struct stanza *r = iq_result_new(iq);
    struct xml_el *q = xml_add(r->arena, r->el, TOK_query, TOK_NS_DISCO_INFO);
    if (account) {
        add_identity(r->arena, q, S("account"), S("registered"), STR_NULL);
        add_module_features(r->arena, q, iq->host, true);
    } else {
        disco_add_server(r->arena, q, iq->host);
    }
    iq_result(iq, r);
}

static void on_server_info(struct iq *iq) YIELDS;
static void on_server_info(struct iq *iq)
{
    if (iq_refuse_set(iq))
        return;
    if (xml_attr_get(iq->child, TOK_node).n)
        answer_node(iq, false, false);
    else
        answer_info(iq, false);
}

/*
 * XEP-0030 §8: strangers learn nothing about an account, and the same about one that does not exist. COMPAT(ejabberd): with
 * subscription-required, not service-unavailable.
 */
static bool refuse_stranger(struct iq *iq) YIELDS;
static bool refuse_stranger(struct iq *iq)
{
    struct account *a = account_pin(iq->host, iq->stanza->to);
    bool known = account_shows_presence_to(a, iq->stanza->from);
    account_unpin(a);
    if (!known)
        iq_error(iq, ERR_SUBSCRIPTION_REQUIRED, "Not subscribed");
    return !known;
}

/* Nodes of an account are its owner's: how many messages wait, what a resource can do. */
static bool refuse_node(struct iq *iq)
{
    if (!jid_bare_eq(iq->stanza->from, iq->stanza->to) && xml_attr_get(iq->child, TOK_node).n)
        iq_error(iq, ERR_NOT_FOUND, "Node not found");
    return iq->answered;
}

static void on_account_info(struct iq *iq) YIELDS;
static void on_account_info(struct iq *iq)
{
    if (refuse_stranger(iq) || iq_refuse_set(iq) || refuse_node(iq))
        return;
    if (xml_attr_get(iq->child, TOK_node).n)
        answer_node(iq, false, true);
    else
        answer_info(iq, true);
}

static void add_services(struct disco_ask *ask)
{
    const struct service_host *v;
    size_t n = service_list(&v);
    for (size_t i = 0; i < n; i++)
        if (v[i].host == ask->host)
            disco_add_item(ask, v[i].name, STR_NULL, STR_NULL);
}

static void add_extra_domains(struct disco_ask *ask)
{
    const struct options *o = config_module(&config_current()->hosts[ask->host], S("mod_disco"));
    const struct str *extra = NULL;
    size_t n = o ? opt_list(o, "extra_domains", &extra) : 0;
    for (size_t i = 0; i < n; i++)
        disco_add_item(ask, extra[i], STR_NULL, STR_NULL);
}

static void on_server_items(struct iq *iq) YIELDS;
static void on_server_items(struct iq *iq)
{
    if (iq_refuse_set(iq))
        return;
    if (xml_attr_get(iq->child, TOK_node).n) {
        answer_node(iq, true, false);
        return;
    }
    struct stanza *r = iq_result_new(iq);
    struct disco_ask ask = {.request = iq->stanza, .host = iq->host, .arena = r->arena};
    ask.query = xml_add(r->arena, r->el, TOK_query, TOK_NS_DISCO_ITEMS);
    add_services(&ask);
    add_extra_domains(&ask);
    ask_modules(&ask, true, false);
    iq_result(iq, r);
}

/* An account offers no commands, which is a list too (XEP-0050 §2.3). */
static bool is_command_list(const struct iq *iq)
{
    return str_eq(xml_attr_get(iq->child, TOK_node), token_str(TOK_NS_COMMANDS)) &&
           config_module(&config_current()->hosts[iq->host], S("mod_adhoc"));
}

/* Those that are available, which whoever asks sees anyway. COMPAT(ejabberd): with the user's name. */
static void add_resources(struct disco_ask *ask, struct jid who)
{
    struct account *a = account_find(jid_user(who), jid_host(who));
    if (!a)
        return;
    LIST_EACH(it, &a->sessions) {
        struct session *x = LIST_ENTRY(it, struct session, link);
        if (session_available(x))
            disco_add_item(ask, jid_full(session_jid(x)), STR_NULL, jid_user(who));
    }
}

static void answer_items(struct iq *iq, bool commands)
{
    struct stanza *r = iq_result_new(iq);
    struct disco_ask ask = {.request = iq->stanza, .host = iq->host, .arena = r->arena};
    ask.query = xml_add(r->arena, r->el, TOK_query, TOK_NS_DISCO_ITEMS);
    if (commands)
        xml_attr_set(r->arena, ask.query, TOK_node, token_str(TOK_NS_COMMANDS));
    else
        add_resources(&ask, iq->stanza->to);
    iq_result(iq, r);
}

static void on_account_items(struct iq *iq) YIELDS;
static void on_account_items(struct iq *iq)
{
    if (refuse_stranger(iq) || iq_refuse_set(iq))
        return;
    bool commands = is_command_list(iq);
    if (commands || !xml_attr_get(iq->child, TOK_node).n)
        answer_items(iq, commands);
    else if (!refuse_node(iq))
        answer_node(iq, true, true);
}

static const char *const account_features[] = {
    "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", NULL};
/* COMPAT(ejabberd): the last two. */
static const char *const features[] = {
    "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "iq", "presence", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_SERVER, TOK_NS_DISCO_INFO, true, on_server_info},
                                      {IQ_TO_SERVER, TOK_NS_DISCO_ITEMS, true, on_server_items},
                                      {IQ_TO_ACCOUNT, TOK_NS_DISCO_INFO, true, on_account_info},
                                      {IQ_TO_ACCOUNT, TOK_NS_DISCO_ITEMS, true, on_account_items},
                                      {0}};

MODULE(mod_disco) = {
    .name = "mod_disco", .xep = "XEP-0030 2.5rc3", .features = features, .account_features = account_features,
    .iqs = iqs};
