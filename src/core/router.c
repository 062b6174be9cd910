/*
 * Routing by address. Stanzas for accounts go to their home shard, stanzas for a served domain are answered where they are
 * (the server's own answers need no state), stanzas for a module's service go to the module (core/module/service.h), everything
 * else is remote. Runs on any shard. Remote domains are answered with remote-server-not-found as long as there are no server
 * connections.
 */
#include "core/account/session.h"
#include "core/config/config.h"
#include "core/module/service.h"
#include "core/router.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"

struct routed {
    struct msg m;
    struct stanza *stanza; /* the message lives in the stanza's arena */
};

static void on_routed_at_home(struct msg *m)
{
    struct stanza *s = CONTAINER_OF(m, struct routed, m)->stanza;
    account_receive(&s);
}

void router_bounce(struct stanza **sp, enum err_code code, const char *text)
{
    struct stanza *err = stanza_error(*sp, code, str_of(text));
    if (code == ERR_UNAVAILABLE)
        stanza_was_lost(*sp);
    if (err)
        stanza_follow(err, *sp);
    stanza_end(sp);
    if (err)
        router_route(&err);
}

static void to_account(struct stanza **sp)
{
    struct stanza *s = *sp;
    unsigned home = shard_of(jid_home_hash(s->to));
    if (home == shard_self()) {
        account_receive(sp);
        return;
    }
    struct routed *r = ARENA_NEW(s->arena, struct routed);
    r->m.fn = on_routed_at_home;
    r->stanza = s;
    *sp = NULL;
    mail_post(home, &r->m);
}

static void message_to_server(struct stanza **sp, const struct vhost *h)
{
    struct server_event ev = {.host = h->index, .stanza = *sp};
    enum hook_verdict v = hook_run_server_message(h->index, &ev);
    if (v == HOOK_STOP)
        stanza_end(sp);
    else if (v == HOOK_REJECT)
        router_bounce(sp, ev.reject, ev.reject_text);
    else
        router_bounce(sp, ERR_NOT_FOUND, "No available resource found");
}

/* Presence to a served domain itself: nobody is there to take it. */
static void to_server(struct stanza **sp, const struct vhost *h)
{
    struct stanza *s = *sp;
    if (s->kind == STANZA_IQ && jid_is_bare(s->to))
        router_answer_iq(sp, h->index, IQ_TO_SERVER);
    else if (s->kind == STANZA_PRESENCE)
        stanza_end(sp);
    else if (s->kind == STANZA_MESSAGE)
        message_to_server(sp, h);
    else
        router_bounce(sp, ERR_NOT_FOUND, "No available resource found");
}

static void to_service(struct stanza **sp, const struct service_host *h);

static void to_anywhere(struct stanza **sp)
{
    struct stanza *s = *sp;
    const struct vhost *h = config_host(config_current(), jid_host(s->to));
    const struct service_host *service = h ? NULL : service_find(jid_host(s->to));
    if (service)
        to_service(sp, service);
    else if (!h)
        router_bounce(sp, ERR_NO_HOST, "Server connections are not available");
    else if (s->to.user_len)
        to_account(sp);
    else
        to_server(sp, h);
}

/* --- IQ handlers --- */

/* Whether the fiber that routes may wait itself: set around router_route_waiting on its own shard. */
static _Thread_local const struct fiber *may_wait;

bool router_may_wait(void)
{
    return may_wait && may_wait == fiber_self();
}

struct iq_job {
    struct stanza *stanza;
    const struct iq_entry *entry;
    unsigned host;
};

static void run_iq(struct stanza *s, const struct iq_entry *e, unsigned host) YIELDS;
static void run_iq(struct stanza *s, const struct iq_entry *e, unsigned host)
{
    struct iq iq = {.stanza = s, .child = xml_first(s->el), .arena = s->arena, .host = host};
    e->fn(&iq);
    if (!iq.answered)
        iq_error(&iq, ERR_INTERNAL, "No answer was produced");
    stanza_end(&s);
}

static void iq_fiber(void *arg) YIELDS;
static void iq_fiber(void *arg)
{
    struct iq_job job = *(struct iq_job *)arg;
    run_iq(job.stanza, job.entry, job.host);
}

static bool check_children(struct stanza **sp)
{
    struct xml_el *first = xml_first((*sp)->el);
    const char *why = !first ? "No child elements found" : xml_next(first) ? "Too many child elements" : NULL;
    if (why)
        router_bounce(sp, ERR_BAD_REQUEST, why);
    return !why;
}

static const char nobody[] = "No module is handling this query";

/* own: a service's table; NULL: none. */
static const struct iq_entry *find_handler(struct stanza **sp, unsigned host, enum iq_to to, const struct iq_entry *own)
{
    if ((*sp)->type != ST_GET && (*sp)->type != ST_SET) {
        stanza_end(sp); /* a result or error nobody here asked for */
        return NULL;
    }
    if (!check_children(sp))
        return NULL;
    const struct xml_el *child = xml_first((*sp)->el);
    for (; own && own->fn; own++)
        if (own->uri ? str_eq(child->ns_uri, str_of(own->uri)) : child->ns == own->ns)
            return own;
    const struct iq_entry *e = module_iq_for(host, to, child);
    if (!e)
        router_bounce(sp, ERR_NO_SERVICE, nobody);
    return e;
}

static void answer_on_fiber(struct iq_job job) YIELDS;
static void answer_on_fiber(struct iq_job job)
{
    run_iq(job.stanza, job.entry, job.host);
}

static void answer_iq(struct stanza **sp, unsigned host, enum iq_to to, const struct iq_entry *own)
{
    const struct iq_entry *e = find_handler(sp, host, to, own);
    if (!e)
        return;
    struct iq_job job = {*sp, e, host};
    *sp = NULL;
    if (!e->waits || router_may_wait())
        answer_on_fiber(job); /* yieldcheck: one that waits runs here only for router_route_waiting */
    else
        fiber_run(iq_fiber, &job);
}

void router_answer_iq(struct stanza **sp, unsigned host, enum iq_to to)
{
    answer_iq(sp, host, to, NULL);
}

/* --- services --- */

struct service_job {
    struct msg m;
    struct stanza *stanza; /* the message lives in the stanza's arena */
    const struct service *service;
    unsigned host;
};

static void receive_on_fiber(struct service_job job) YIELDS;
static void receive_on_fiber(struct service_job job)
{
    job.service->receive(&job.stanza, job.host);
    stanza_end(&job.stanza); /* what it did not take */
}

static void service_fiber(void *arg) YIELDS;
static void service_fiber(void *arg)
{
    receive_on_fiber(*(struct service_job *)arg);
}

static void receive(struct service_job job)
{
    if (!job.service->waits || router_may_wait())
        receive_on_fiber(job); /* yieldcheck: one that waits runs here only for router_route_waiting */
    else
        fiber_run(service_fiber, &job);
}

/* The service may have gone while the stanza was on its way between shards. */
static void on_service_home(struct msg *m)
{
    struct stanza *s = CONTAINER_OF(m, struct service_job, m)->stanza;
    const struct service_host *h = service_find(jid_host(s->to));
    if (h && h->module->service->receive)
        receive((struct service_job){.stanza = s, .service = h->module->service, .host = h->host});
    else
        router_bounce(&s, ERR_NO_HOST, NULL);
}

static void hand_over(struct stanza **sp, const struct service_host *h)
{
    struct stanza *s = *sp;
    const struct service *service = h->module->service;
    unsigned home = service->at_home && s->to.user_len ? shard_of(jid_home_hash(s->to)) : shard_self();
    *sp = NULL;
    if (home == shard_self()) {
        receive((struct service_job){.stanza = s, .service = service, .host = h->host});
        return;
    }
    struct service_job *j = ARENA_NEW(s->arena, struct service_job);
    *j = (struct service_job){.m = {.fn = on_service_home}, .stanza = s};
    mail_post(home, &j->m);
}

/* What nobody takes: requests are answered, the rest is dropped as ejabberd's services do. */
static void to_service(struct stanza **sp, const struct service_host *h)
{
    struct stanza *s = *sp;
    const struct service *service = h->module->service;
    bool request = s->kind == STANZA_IQ && (s->type == ST_GET || s->type == ST_SET);
    if (request && !s->to.user_len && jid_is_bare(s->to))
        answer_iq(sp, h->host, IQ_TO_SERVICE, service->iqs);
    else if (service->receive)
        hand_over(sp, h);
    else if (request)
        router_bounce(sp, ERR_NO_SERVICE, nobody);
    else
        stanza_end(sp);
}

void router_route(struct stanza **sp)
{
    const struct fiber *saved = may_wait;
    may_wait = NULL;
    to_anywhere(sp);
    may_wait = saved;
}

void router_route_waiting(struct stanza **sp)
{
    may_wait = fiber_self();
    to_anywhere(sp);
    may_wait = NULL;
}
