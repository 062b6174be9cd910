/*
 * Extended Stanza Addressing, XEP-0033 1.2.1: the multicast service of a host. Reads the addresses of a message or presence,
 * refuses before anything is sent, or sends to all. What a recipient sees: every address delivered, blind ones only by whom they
 * name. Runs on the shard of the sender's stream; nothing suspends. Delivery: multicast_deliver.c; who has to learn that the
 * sender is gone: multicast_presence.c.
 *
 * Loops: an address that is marked as delivered is never sent to (§4.5), nor is a multicast service of this server; so whatever
 * comes back has nobody left. Amplification: option limits, and MULTICAST_HARD_MAX above it; each recipient once.
 * Not here: handing a remote server its recipients in one stanza (there are no server connections yet).
 */
#include "mod/api/multicast.h"

#include "core/account/session.h"
#include "core/config/access.h"
#include "core/module/service.h"
#include "core/router.h"

#include <stdlib.h>

static const struct service multicast;

enum kind { KIND_UNKNOWN, KIND_TO, KIND_CC, KIND_BCC, KIND_REPLY, KIND_NOREPLY };

static enum kind kind_of(struct str type)
{
    static const struct {
        const char *word;
        enum kind kind;
    } kinds[] = {{"to", KIND_TO},         {"cc", KIND_CC},         {"bcc", KIND_BCC},    {"replyto", KIND_REPLY},
                 {"replyroom", KIND_REPLY}, {"noreply", KIND_NOREPLY}, {"ofrom", KIND_REPLY}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(type, str_of(kinds[i].word)))
            return kinds[i].kind;
    return KIND_UNKNOWN;
}

static bool is_recipient(enum kind k)
{
    return k == KIND_TO || k == KIND_CC || k == KIND_BCC;
}

/* What is being worked on; all in the stanza's arena. */
struct job {
    struct stanza *s;
    unsigned host;
    struct xml_el *addresses;
    struct multicast_to *to;
    size_t n, max;
    enum err_code code;
    const char *why;
};

static bool fail(struct job *j, enum err_code code, const char *why)
{
    j->code = code;
    j->why = why;
    return false;
}

/* --- limits --- */

static bool sender_is_local(const struct job *j)
{
    return config_host(config_current(), jid_host(j->s->from)) != NULL;
}

/* The limits that XEP-0033 recommends (§8: more than 20, less than 100, or so) are ejabberd's: COMPAT(ejabberd). */
static size_t limit_of(const struct job *j)
{
    bool local = sender_is_local(j);
    const struct options *o = config_module(&config_current()->hosts[j->host], S("mod_multicast"));
    const struct yaml *limits = o ? opt_node(o, "limits") : NULL;
    const struct yaml *one = yaml_get(yaml_get(limits, local ? S("local") : S("remote")),
                                      j->s->kind == STANZA_MESSAGE ? S("message") : S("presence"));
    int64_t n = local ? 100 : 20;
    if (one && !yaml_int(one, &n))
        n = MULTICAST_HARD_MAX; /* infinite */
    return n > MULTICAST_HARD_MAX ? MULTICAST_HARD_MAX : (size_t)n;
}

static bool allowed(const struct job *j)
{
    const struct vhost *h = &config_current()->hosts[j->host];
    const struct options *o = config_module(h, S("mod_multicast"));
    return o && access_allowed(h, opt_node(o, "access"), &(struct access_subject){.jid = j->s->from});
}

/* --- addresses --- */

/* §4: jid and uri exclude each other, and one of them must be there. */
static bool read_jid(struct job *j, const struct xml_el *address, struct jid *out)
{
    struct str jid = xml_attr_get(address, TOK_jid), uri = xml_attr_get(address, TOK_uri);
    if (jid.p && uri.p)
        return fail(j, ERR_BAD_REQUEST, "An address has either 'jid' or 'uri'");
    if (uri.p)
        return fail(j, ERR_JID_MALFORMED, "Addresses with 'uri' are not supported");
    if (!jid.p)
        return fail(j, ERR_BAD_REQUEST, "Missing attribute 'jid' in tag <address/> qualified by namespace "
                                        "'http://jabber.org/protocol/address'");
    if (!jid_parse(j->s->arena, jid, out))
        return fail(j, ERR_JID_MALFORMED, "Bad value of attribute 'jid' in tag <address/> qualified by namespace "
                                          "'http://jabber.org/protocol/address'");
    return true;
}

/* What it would send to is gone: a service like this one, here, would only hand it out again. */
static bool is_multicast(struct jid jid)
{
    const struct service_host *h = jid.user_len ? NULL : service_find(jid_host(jid));
    return h && h->module->service == &multicast;
}

static bool is_delivered(const struct xml_el *address)
{
    return str_eq(xml_attr_get(address, TOK_delivered), S("true"));
}

static bool read_address(struct job *j, struct xml_el *address)
{
    struct str type = xml_attr_get(address, TOK_type);
    enum kind kind = kind_of(type);
    struct jid jid;
    if (kind == KIND_UNKNOWN)
        return fail(j, ERR_BAD_REQUEST, type.p ? "Bad value of attribute 'type' in tag <address/> qualified by namespace "
                                                 "'http://jabber.org/protocol/address'"
                                               : "Missing attribute 'type' in tag <address/> qualified by namespace "
                                                 "'http://jabber.org/protocol/address'");
    if (kind == KIND_NOREPLY)
        return true;
    if (!read_jid(j, address, &jid))
        return false;
    if (!is_recipient(kind) || is_delivered(address))
        return true;
    if (j->n == j->max)
        return fail(j, ERR_NOT_ACCEPTABLE, "Too many receiver fields were specified");
    j->to[j->n++] = (struct multicast_to){jid, kind == KIND_BCC ? address : NULL};
    return true;
}

static bool is_address(const struct xml_el *el)
{
    return el->tok == TOK_address && el->ns == TOK_NS_ADDRESS;
}

static bool read_addresses(struct job *j)
{
    bool any = false;
    j->max = limit_of(j);
    j->to = ARENA_ARRAY(j->s->arena, struct multicast_to, j->max + 1);
    for (struct xml_el *el = xml_first(j->addresses); el; el = xml_next(el)) {
        if (!is_address(el))
            continue;
        any = true;
        if (!read_address(j, el))
            return false;
    }
    return any || fail(j, ERR_BAD_REQUEST, "No address elements found");
}

/* §3.2: who may not relay sends to nobody, not even here. */
static bool may_relay(struct job *j)
{
    const struct config *c = config_current();
    if (sender_is_local(j))
        return true;
    for (size_t i = 0; i < j->n; i++)
        if (!config_host(c, jid_host(j->to[i].jid)) && !service_find(jid_host(j->to[i].jid)))
            return fail(j, ERR_FORBIDDEN, "Packet relay is denied by service policy");
    return true;
}

/* By address; who is named openly comes before the same one named blindly. */
static int by_jid(const void *a, const void *b)
{
    const struct multicast_to *x = a, *y = b;
    int c = str_cmp(jid_full(x->jid), jid_full(y->jid));
    return c ? c : (x->bcc != NULL) - (y->bcc != NULL);
}

static void choose(struct job *j)
{
    size_t n = 0;
    if (j->n)
        qsort(j->to, j->n, sizeof *j->to, by_jid);
    for (size_t i = 0; i < j->n; i++)
        if (!is_multicast(j->to[i].jid) && (n == 0 || !jid_eq(j->to[n - 1].jid, j->to[i].jid)))
            j->to[n++] = j->to[i];
    j->n = n;
}

/* As the recipients see it: §4.5, §4.6.3. */
static void rewrite(struct job *j)
{
    struct arena *a = j->s->arena;
    for (struct xml_el *el = xml_first(j->addresses), *next; el; el = next) {
        next = xml_next(el);
        enum kind kind = is_address(el) ? kind_of(xml_attr_get(el, TOK_type)) : KIND_UNKNOWN;
        if (kind == KIND_BCC)
            xml_remove(j->addresses, el);
        else if (is_recipient(kind))
            xml_attr_set(a, el, TOK_delivered, S("true"));
    }
}

/* --- stanzas --- */

static bool acceptable(struct job *j)
{
    const struct stanza *s = j->s;
    if (s->kind == STANZA_PRESENCE && s->type != ST_AVAILABLE && s->type != ST_UNAVAILABLE)
        return fail(j, ERR_NOT_ALLOWED, "Only presence without type or of type 'unavailable' is sent to many");
    if (!j->addresses)
        return fail(j, ERR_BAD_REQUEST, "No addresses element found");
    return read_addresses(j) && may_relay(j);
}

static bool note(struct job *j)
{
    if (j->s->kind != STANZA_PRESENCE)
        return true;
    if (j->s->type == ST_UNAVAILABLE)
        multicast_forget(j->s->from, j->host, j->to, j->n);
    else if (!multicast_note(j->s->from, j->host, j->to, j->n))
        return fail(j, ERR_NOT_ACCEPTABLE, "Directed presence was sent to too many");
    return true;
}

static void work(struct job *j, struct stanza **sp)
{
    if (!allowed(j)) {
        router_bounce(sp, ERR_FORBIDDEN, "Access denied by service policy");
        return;
    }
    if (acceptable(j)) {
        choose(j);
        if (note(j)) {
            rewrite(j);
            multicast_deliver(j->s, j->to, j->n);
            stanza_end(sp);
            return;
        }
    }
    router_bounce(sp, j->code, j->why);
}

static void on_stanza(struct stanza **sp, unsigned host)
{
    struct stanza *s = *sp;
    struct job j = {.s = s, .host = host, .addresses = xml_child(s->el, TOK_addresses, TOK_NS_ADDRESS)};
    if (s->type == ST_ERROR || s->type == ST_RESULT)
        stanza_end(sp);
    else if (s->kind == STANZA_IQ || s->to.user_len || !jid_is_bare(s->to)) /* §3: the service itself is addressed */
        router_bounce(sp, ERR_NO_SERVICE, "No module is handling this query");
    else if (s->kind == STANZA_PRESENCE && s->type == ST_UNAVAILABLE && !j.addresses) { /* §5.1 */
        multicast_end(s->from, host, s);
        stanza_end(sp);
    } else {
        work(&j, sp);
    }
}

/* The sender's session ended without a word to the service. */
static enum hook_verdict on_closed(struct session_event *e)
{
    struct jid from = session_jid(e->session);
    struct stanza *p = stanza_new(STANZA_PRESENCE, ST_UNAVAILABLE, from, jid_to_bare(from));
    multicast_end(from, MULTICAST_ANY_HOST, p);
    stanza_end(&p);
    return HOOK_PASS;
}

static const char *const features[] = {"http://jabber.org/protocol/address", NULL};
static const struct hook_entry hooks[] = {ON(session_closed, STATE, on_closed), {0}};
static const struct service multicast = {.category = "service", .type = "multicast", .features = features,
                                         .summary = "Sends one stanza to many", .receive = on_stanza};

MODULE(mod_multicast) = {
    .name = "mod_multicast", .xep = "XEP-0033 1.2.1", .hooks = hooks, .service = &multicast, .stop = multicast_drop};
