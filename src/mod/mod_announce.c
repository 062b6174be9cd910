/*
 * mod_announce: messages to everybody and the message of the day, asked for by a message to HOST/announce/... or by an ad-hoc
 * command of XEP-0133 (§4.23 to §4.26 and ejabberd's own). Who may is said by option access for each host; what concerns all
 * hosts needs the right on all of them, as in mod_configure. Runs where the request came in, on a fiber. Sending is in
 * announce_run.c and announce_send.c, the message of the day in announce_motd.c.
 */
#include "mod/api/adhoc.h"
#include "mod/api/announce.h"

#include "core/account/session.h"
#include "core/c2s/c2s.h"
#include "core/config/access.h"
#include "core/router.h"
#include "rt/fiber.h"

#define NS_ADMIN "http://jabber.org/protocol/admin"

static const char denied[] = "Access denied by service policy";

static const struct way {
    enum announce_what what;
    bool all_hosts;
    const char *resource, *node, *name;
} ways[] = {
    {ANNOUNCE_ONLINE, false, "announce/online", NS_ADMIN "#announce", "Send announcement to all online users"},
    {ANNOUNCE_ALL, false, "announce/all", NS_ADMIN "#announce-all", "Send announcement to all users"},
    {ANNOUNCE_MOTD, false, "announce/motd", NS_ADMIN "#set-motd", "Set message of the day and send to online users"},
    {ANNOUNCE_MOTD_UPDATE, false, "announce/motd/update", NS_ADMIN "#edit-motd", "Update message of the day (don't send)"},
    {ANNOUNCE_MOTD_DELETE, false, "announce/motd/delete", NS_ADMIN "#delete-motd", "Delete message of the day"},
    {ANNOUNCE_ONLINE, true, "announce/all-hosts/online", NS_ADMIN "#announce-allhosts",
     "Send announcement to all online users on all hosts"},
    {ANNOUNCE_ALL, true, "announce/all-hosts/all", NS_ADMIN "#announce-all-allhosts",
     "Send announcement to all users on all hosts"},
    {ANNOUNCE_MOTD, true, "announce/all-hosts/motd", NS_ADMIN "#set-motd-allhosts",
     "Set message of the day on all hosts and send to online users"},
    {ANNOUNCE_MOTD_UPDATE, true, "announce/all-hosts/motd/update", NS_ADMIN "#edit-motd-allhosts",
     "Update message of the day on all hosts (don't send)"},
    {ANNOUNCE_MOTD_DELETE, true, "announce/all-hosts/motd/delete", NS_ADMIN "#delete-motd-allhosts",
     "Delete message of the day on all hosts"}};

/* --- who --- */

/* The session is here: its stream's stanzas come from its account's home. */
static struct access_subject subject(struct jid from)
{
    struct access_subject who = {.jid = from};
    struct account *a = account_find(jid_user(from), jid_host(from));
    struct session *s = a ? session_find(a, jid_res(from)) : NULL;
    const char *connection;
    uint16_t port;
    if (s && s->owner)
        c2s_info(s->owner, &connection, &who.ip, &port);
    return who;
}

static bool may_on(const struct config *c, unsigned asked, unsigned host, const struct access_subject *who)
{
    const struct options *o = config_module(&c->hosts[host], S("mod_announce"));
    if (!o)
        o = config_module(&c->hosts[asked], S("mod_announce"));
    return o && access_allowed(&c->hosts[host], opt_node(o, "access"), who);
}

static bool may(unsigned host, bool all_hosts, struct jid from)
{
    const struct config *c = config_current();
    struct access_subject who = subject(from);
    if (host >= c->host_count || !may_on(c, host, host, &who))
        return false;
    for (unsigned h = 0; all_hosts && h < c->host_count; h++)
        if (!may_on(c, host, h, &who))
            return false;
    return true;
}

/* --- by message --- */

struct wanted {
    struct stanza *stanza; /* a copy: ours */
    const struct way *way;
    unsigned host;
};

static void work(void *arg) YIELDS;
static void work(void *arg)
{
    struct wanted w = *(struct wanted *)arg;
    struct error err = ERROR_INIT;
    if (announce_begin(w.way->what, w.way->all_hosts, w.host, w.stanza, &err) == 0)
        stanza_end(&w.stanza);
    else
        router_bounce(&w.stanza, err.code, err.text);
}

static enum hook_verdict on_message(struct server_event *e)
{
    const struct way *way = NULL;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (str_eq(jid_res(e->stanza->to), str_of(ways[i].resource)))
            way = &ways[i];
    if (!way || e->stanza->type == ST_ERROR)
        return HOOK_PASS;
    if (!may(e->host, way->all_hosts, e->stanza->from)) {
        e->reject = ERR_FORBIDDEN;
        e->reject_text = denied;
        return HOOK_REJECT;
    }
    fiber_run(work, &(struct wanted){stanza_copy(e->stanza, e->stanza->to), way, e->host});
    return HOOK_STOP;
}

/* --- by command --- */

static const struct way *way_of(struct str node)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (str_eq(node, str_of(ways[i].node)))
            return &ways[i];
    return NULL;
}

static enum adhoc_outcome show_form(struct adhoc_call *c, const struct way *w)
{
    struct xml_el *x = dataform_new(c->arena, c->command, DATAFORM_FORM);
    dataform_title(c->arena, x, str_of(w->name));
    dataform_form_type(c->arena, x, S(NS_ADMIN));
    if (w->what == ANNOUNCE_MOTD_DELETE) {
        struct xml_el *f = dataform_add(c->arena, x, S("boolean"), S("confirm"), S("Really delete message of the day?"));
        dataform_add_value(c->arena, f, S("true"));
    } else {
        dataform_add(c->arena, x, S("text-single"), S("subject"), S("Subject"));
        dataform_add(c->arena, x, S("text-multi"), S("body"), S("Message body"));
    }
    return adhoc_stage(c, 1, false, true);
}

/* Not a headline where it has to wait for who is away: headlines do not (RFC 6121 §5.2.2). */
static struct stanza *message_of(const struct adhoc_call *c, const struct way *w)
{
    const struct dataform_field *body = dataform_find(c->form, S("body"));
    struct str text = body ? dataform_lines(c->arena, body) : STR_NULL, subject = dataform_value(c->form, S("subject"));
    if (str_trim(text).n == 0)
        return NULL;
    enum stanza_type type = w->what == ANNOUNCE_ALL ? ST_NORMAL : ST_HEADLINE;
    struct stanza *s = stanza_new(STANZA_MESSAGE, type, c->from, c->request->to);
    if (subject.n)
        xml_add_leaf(s->arena, s->el, TOK_subject, dataform_clean(s->arena, subject));
    xml_add_leaf(s->arena, s->el, TOK_body, dataform_clean(s->arena, text));
    return s;
}

static enum adhoc_outcome begin(struct adhoc_call *c, const struct way *w, const struct stanza *message) YIELDS;
static enum adhoc_outcome begin(struct adhoc_call *c, const struct way *w, const struct stanza *message)
{
    struct error err = ERROR_INIT;
    if (announce_begin(w->what, w->all_hosts, c->host, message, &err) == 0)
        return ADHOC_DONE;
    return adhoc_fail(c, err.code, "%s", err.text);
}

static enum adhoc_outcome delete_motd(struct adhoc_call *c, const struct way *w) YIELDS;
static enum adhoc_outcome delete_motd(struct adhoc_call *c, const struct way *w)
{
    bool yes;
    if (!dataform_boolean(dataform_value(c->form, S("confirm")), &yes))
        return adhoc_bad_payload(c, "The field 'confirm' must be a boolean");
    return yes ? begin(c, w, NULL) : ADHOC_DONE;
}

static enum adhoc_outcome run(struct adhoc_call *c) YIELDS;
static enum adhoc_outcome run(struct adhoc_call *c)
{
    const struct way *w = way_of(c->node);
    if (!w)
        return ADHOC_NOT_MINE;
    if (!may(c->host, w->all_hosts, c->from))
        return adhoc_forbidden(c);
    if (c->action == ADHOC_START)
        return show_form(c, w);
    if (w->what == ANNOUNCE_MOTD_DELETE)
        return delete_motd(c, w);
    struct stanza *s = message_of(c, w);
    if (!s)
        return adhoc_fail(c, ERR_NOT_ACCEPTABLE, "No body provided for announce message");
    enum adhoc_outcome o = begin(c, w, s);
    stanza_end(&s);
    return o;
}

static void list(struct disco_ask *ask)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++)
        if (may(ask->host, ways[i].all_hosts, ask->request->from))
            disco_add_item(ask, jid_host(ask->request->to), str_of(ways[i].node), str_of(ways[i].name));
}

/* --- discovery --- */

static enum disco_found on_items(struct disco_ask *ask)
{
    const struct way *w = way_of(ask->node);
    bool own = str_eq(ask->node, S("announce"));
    bool allowed = may(ask->host, w && w->all_hosts, ask->request->from);
    if (!ask->node.n && allowed)
        disco_add_item(ask, jid_host(ask->request->to), S("announce"), S("Announcements"));
    if (!own && !w)
        return DISCO_NOT_MINE;
    if (!allowed)
        return disco_refuse(ask, ERR_FORBIDDEN, denied);
    if (own)
        list(ask);
    return DISCO_ANSWERED;
}

static enum disco_found on_info(struct disco_ask *ask)
{
    const struct way *w = way_of(ask->node);
    if (!w && !str_eq(ask->node, S("announce")))
        return DISCO_NOT_MINE;
    if (!may(ask->host, w && w->all_hosts, ask->request->from))
        return disco_refuse(ask, ERR_FORBIDDEN, denied);
    if (!w)
        return DISCO_ANSWERED; /* COMPAT(ejabberd): says nothing about itself */
    disco_add_identity(ask, "automation", "command-node", str_of(w->name));
    disco_add_feature(ask, "http://jabber.org/protocol/commands");
    disco_add_feature(ask, "jabber:x:data");
    return DISCO_ANSWERED;
}

static const struct hook_entry hooks[] = {
    ON(server_message, ANSWER, on_message), ON(session_presence, STATE, motd_on_presence), {0}};

ADHOC_COMMANDS(announce_commands) = {"mod_announce", list, run};
DISCO_NODES(announce_nodes) = {"mod_announce", on_info, on_items};

MODULE(mod_announce) = {
    .name = "mod_announce", .xep = "XEP-0133 1.3.0", .hooks = hooks, .start = motd_forget, .stop = motd_stop};
