/*
 * mod_configure: server administration over XMPP, XEP-0133, and the nodes below which clients find it. Who may do that says the
 * module's option access, for each host; what concerns the whole server needs all of them. Nodes and what they do:
 * configure_work.c.
 */
#include "admin/configure.h"

#include "core/account/account.h"
#include "core/auth/auth.h"
#include "core/server.h"

#define ITEMS_MAX 5000

static const char denied[] = "Access denied by service policy";
static const char running[] = "running nodes";

bool configure_allowed(const struct config *c, unsigned asked, unsigned host, const struct access_subject *who)
{
    if (asked >= c->host_count || host >= c->host_count)
        return false;
    const struct options *o = config_module(&c->hosts[host], S("mod_configure"));
    if (!o)
        o = config_module(&c->hosts[asked], S("mod_configure"));
    return o && access_allowed(&c->hosts[host], opt_node(o, "access"), who);
}

bool configure_everywhere(const struct config *c, unsigned asked, const struct access_subject *who)
{
    for (unsigned h = 0; h < c->host_count; h++)
        if (!configure_allowed(c, asked, h, who))
            return false;
    return true;
}

/* --- nodes --- */

/* "running nodes/ejabberd@localhost", what follows it in *rest. */
static bool below_node(struct str node, struct str *rest)
{
    struct str name = str_of(server_node());
    size_t n = strlen(running) + 1 + name.n;
    if (node.n < n || !str_starts(node, str_of(running)) || node.p[strlen(running)] != '/' ||
        memcmp(node.p + strlen(running) + 1, name.p, name.n) != 0)
        return false;
    *rest = str_n(node.p + n, node.n - n);
    return true;
}

static bool exists(const struct configure_node *n)
{
    const struct command *cmd = command_find(str_of(n->command));
    return cmd && cmd->d->run;
}

static const struct configure_node *find_node(struct str node)
{
    struct str rest = STR_NULL;
    bool below = below_node(node, &rest);
    for (size_t i = 0; i < configure_node_count; i++) {
        const struct configure_node *n = &configure_nodes[i];
        if (n->on_node == below && str_eq(str_of(n->node), below ? rest : node))
            return exists(n) ? n : NULL;
    }
    return NULL;
}

static struct str full_node(struct arena *a, const struct configure_node *n)
{
    return n->on_node ? arena_printf(a, "%s/%s%s", running, server_node(), n->node) : str_of(n->node);
}

/* --- discovery --- */

enum place { PLACE_NONE, PLACE_COMMAND, PLACE_CONFIG, PLACE_USER, PLACE_ONLINE, PLACE_ALL, PLACE_S2S, PLACE_RUNNING, PLACE_NODE,
             PLACE_BELOW, PLACE_STOPPED };

static const struct {
    const char *node, *name;
    enum place place;
} places[] = {{"config", "Configuration", PLACE_CONFIG},
              {"user", "User Management", PLACE_USER},
              {"online users", "Online Users", PLACE_ONLINE},
              {"all users", "All Users", PLACE_ALL},
              {"outgoing s2s", "Outgoing s2s Connections", PLACE_S2S},
              {"running nodes", "Running Nodes", PLACE_RUNNING},
              {"stopped nodes", "Stopped Nodes", PLACE_STOPPED}};

static bool has_children(struct str parent)
{
    for (size_t i = 0; i < configure_node_count; i++)
        if (configure_nodes[i].on_node && str_eq(str_of(configure_nodes[i].parent), parent) && exists(&configure_nodes[i]))
            return true;
    return false;
}

static enum place place_of(struct str node)
{
    struct str rest;
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (str_eq(node, str_of(places[i].node)))
            return places[i].place;
    if (find_node(node))
        return PLACE_COMMAND;
    if (!below_node(node, &rest))
        return PLACE_NONE;
    return rest.n == 0 ? PLACE_NODE : has_children(rest) ? PLACE_BELOW : PLACE_NONE;
}

enum right { RIGHT_NONE, RIGHT_HOST, RIGHT_SERVER };

static enum right right_of(struct arena *a, const struct stanza *request, unsigned host, struct api_caller *out) YIELDS;
static enum right right_of(struct arena *a, const struct stanza *request, unsigned host, struct api_caller *out)
{
    adhoc_caller(a, S("mod_configure"), request->from, out);
    const struct config *c = config_current();
    if (!configure_allowed(c, host, host, &out->who))
        return RIGHT_NONE;
    return configure_everywhere(c, host, &out->who) ? RIGHT_SERVER : RIGHT_HOST;
}

static enum right needed_by(const struct configure_node *n)
{
    return n->on_node ? RIGHT_SERVER : RIGHT_HOST;
}

/* Places are in the order of what they need. */
static enum right needed(enum place place, struct str node)
{
    if (place == PLACE_COMMAND)
        return needed_by(find_node(node));
    return place >= PLACE_RUNNING ? RIGHT_SERVER : RIGHT_HOST;
}

static void add_children(struct disco_ask *ask, bool on_node, const char *parent)
{
    for (size_t i = 0; i < configure_node_count; i++) {
        const struct configure_node *n = &configure_nodes[i];
        if (n->on_node == on_node && (!parent || !strcmp(n->parent, parent)) && exists(n))
            disco_add_item(ask, jid_host(ask->request->to), full_node(ask->arena, n), str_of(n->name));
    }
}

static void add_below(struct disco_ask *ask, const char *part, const char *name)
{
    struct str node = arena_printf(ask->arena, "%s/%s%s", running, server_node(), part);
    if (has_children(str_of(part)))
        disco_add_item(ask, jid_host(ask->request->to), node, str_of(name));
}

static void add_online(struct disco_ask *ask) YIELDS;
static void add_online(struct disco_ask *ask)
{
    struct error err = ERROR_INIT;
    struct session_info *s;
    size_t n = 0;
    if (account_sessions(ask->arena, jid_host(ask->request->to), &s, &n, &err) < 0)
        return;
    for (size_t i = 0; i < n && i < ITEMS_MAX; i++)
        disco_add_item(ask, jid_full(s[i].jid), STR_NULL, jid_bare(s[i].jid));
}

static void add_all(struct disco_ask *ask) YIELDS;
static void add_all(struct disco_ask *ask)
{
    struct error err = ERROR_INIT;
    struct str host = jid_host(ask->request->to), *names;
    size_t n = 0;
    if (auth_list(ask->arena, host, STR_NULL, ITEMS_MAX, &names, &n, &err) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct str jid = arena_printf(ask->arena, "%.*s@%.*s", STR_ARG(names[i]), STR_ARG(host));
        disco_add_item(ask, jid, STR_NULL, jid);
    }
}

static void add_node_items(struct disco_ask *ask)
{
    add_below(ask, "/backup", "Backup Management");
    add_below(ask, "/import", "Import Users From jabberd14 Spool Files");
    add_children(ask, true, "");
}

static enum disco_found items_of(struct disco_ask *ask, enum place place) YIELDS;
static enum disco_found items_of(struct disco_ask *ask, enum place place)
{
    struct str rest;
    switch (place) {
    case PLACE_CONFIG: return disco_refuse(ask, ERR_NOT_FOUND, NULL); /* COMPAT(ejabberd) */
    case PLACE_USER: add_children(ask, false, "user"); break;
    case PLACE_ONLINE: add_online(ask); break;
    case PLACE_ALL: add_all(ask); break;
    case PLACE_RUNNING:
        disco_add_item(ask, jid_host(ask->request->to), arena_printf(ask->arena, "%s/%s", running, server_node()),
                       str_of(server_node()));
        break;
    case PLACE_NODE: add_node_items(ask); break;
    case PLACE_BELOW:
        below_node(ask->node, &rest);
        add_children(ask, true, arena_cstr(ask->arena, rest));
        break;
    default: break;
    }
    return DISCO_ANSWERED;
}

static enum disco_found on_items(struct disco_ask *ask) YIELDS;
static enum disco_found on_items(struct disco_ask *ask)
{
    struct api_caller caller;
    enum place place = ask->node.n ? place_of(ask->node) : PLACE_NONE;
    if (ask->node.n && place == PLACE_NONE)
        return DISCO_NOT_MINE;
    enum right right = right_of(ask->arena, ask->request, ask->host, &caller);
    if (ask->node.n)
        return right >= needed(place, ask->node) ? items_of(ask, place) : disco_refuse(ask, ERR_FORBIDDEN, denied);
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (right >= needed(places[i].place, STR_NULL))
            disco_add_item(ask, jid_host(ask->request->to), str_of(places[i].node), str_of(places[i].name));
    return DISCO_NOT_MINE;
}

static enum disco_found on_info(struct disco_ask *ask) YIELDS;
static enum disco_found on_info(struct disco_ask *ask)
{
    struct api_caller caller;
    enum place place = place_of(ask->node);
    if (place == PLACE_NONE)
        return DISCO_NOT_MINE;
    if (right_of(ask->arena, ask->request, ask->host, &caller) < needed(place, ask->node))
        return disco_refuse(ask, ERR_FORBIDDEN, denied);
    if (place == PLACE_NODE)
        disco_add_identity(ask, "ejabberd", "node", str_of(server_node()));
    if (place != PLACE_COMMAND)
        return DISCO_ANSWERED;
    disco_add_identity(ask, "automation", "command-node", str_of(find_node(ask->node)->name));
    disco_add_feature(ask, "http://jabber.org/protocol/commands");
    disco_add_feature(ask, "jabber:x:data");
    return DISCO_ANSWERED;
}

/* --- commands --- */

static void list(struct disco_ask *ask) YIELDS;
static void list(struct disco_ask *ask)
{
    struct api_caller caller;
    enum right right = right_of(ask->arena, ask->request, ask->host, &caller);
    if (right >= RIGHT_HOST)
        add_children(ask, false, NULL);
    if (right >= RIGHT_SERVER)
        add_children(ask, true, NULL);
}

static void add_delays(struct arena *a, struct xml_el *field)
{
    static const struct {
        const char *label, *value;
    } delays[] = {{"immediately", "1"}, {"15 seconds", "15"}, {"30 seconds", "30"}, {"60 seconds", "60"}, {"90 seconds", "90"},
                  {"2 minutes", "120"}, {"3 minutes", "180"}, {"4 minutes", "240"}, {"5 minutes", "300"}, {"10 minutes", "600"},
                  {"15 minutes", "900"}, {"30 minutes", "1800"}};
    for (size_t i = 0; i < ARRAY_LEN(delays); i++)
        dataform_add_option(a, field, str_of(delays[i].label), str_of(delays[i].value));
}

static enum adhoc_outcome show_form(struct adhoc_call *c, const struct configure_node *n)
{
    struct arena *a = c->arena;
    struct xml_el *x = dataform_new(a, c->command, DATAFORM_FORM);
    dataform_title(a, x, n->title ? arena_printf(a, "%s %s", n->title, server_node()) : str_of(n->name));
    if (n->instructions)
        dataform_instructions(a, x, str_of(n->instructions));
    dataform_form_type(a, x, S(CONFIGURE_NS));
    for (const struct configure_field *f = n->fields; f->type; f++) {
        struct xml_el *field = dataform_add(a, x, str_of(f->type), str_of(f->var), str_of(f->label));
        if (f->required)
            dataform_require(a, field);
        if (f->empty)
            dataform_add_value(a, field, S(""));
        if (f->delays)
            add_delays(a, field);
    }
    return adhoc_stage(c, 1, false, true);
}

static bool known_field(const struct configure_node *n, struct str var)
{
    for (const struct configure_field *f = n->fields; f->type; f++)
        if (f->var && str_eq(var, str_of(f->var)))
            return true;
    return str_eq(var, S("FORM_TYPE"));
}

/* Every required field and no unknown one. */
static bool check_form(struct adhoc_call *c, const struct configure_node *n)
{
    for (size_t i = 0; i < c->form->n; i++) {
        struct str var = c->form->fields[i].var;
        if (!known_field(n, var)) {
            adhoc_bad_payload(c, "The form has no field '%.*s'", (int)(var.n < 100 ? var.n : 100), var.p);
            return false;
        }
    }
    for (const struct configure_field *f = n->fields; f->type; f++) {
        const struct dataform_field *answer = f->var ? dataform_find(c->form, str_of(f->var)) : NULL;
        if (f->required && (!answer || !answer->n)) {
            adhoc_bad_payload(c, "The field '%s' is required", f->var);
            return false;
        }
    }
    return true;
}

static enum adhoc_outcome run(struct adhoc_call *c) YIELDS;
static enum adhoc_outcome run(struct adhoc_call *c)
{
    const struct configure_node *n = find_node(c->node);
    struct configure_ask k = {.call = c, .node = n};
    if (!n)
        return ADHOC_NOT_MINE;
    if (right_of(c->arena, c->request, c->host, &k.caller) < needed_by(n))
        return adhoc_forbidden(c);
    if (n->fields && c->action == ADHOC_START)
        return show_form(c, n);
    if (n->fields && !check_form(c, n))
        return ADHOC_FAILED;
    enum adhoc_outcome o = n->work(&k);
    cmd_call_end(&k.last);
    return o;
}

ADHOC_COMMANDS(configure_commands) = {"mod_configure", list, run};
DISCO_NODES(configure_disco) = {"mod_configure", on_info, on_items};

MODULE(mod_configure) = {.name = "mod_configure", .xep = "XEP-0133 1.3.0"};
