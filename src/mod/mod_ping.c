/*
 * XMPP Ping, XEP-0199: answers for the server and for accounts, and asks clients that have been silent (options send_pings,
 * ping_interval, ping_ack_timeout, timeout_action). Whatever a client sends shows that it is there, not just the answer. Entries
 * live on the account's home shard and nothing suspends. A reload that turns pings on counts for a session from its next stanza on.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "core/account/session_table.h"
#include "core/c2s/c2s.h"
#include "core/module/module.h"
#include "rt/timer.h"

#include <stdlib.h>

#define ACK_MS 32000 /* unless ping_ack_timeout says otherwise */

static struct module mod_ping;

static void on_ping(struct iq *iq)
{
    if (iq->stanza->type != ST_GET || iq->child->tok != TOK_ping)
        iq_error(iq, ERR_BAD_REQUEST, "Ping query is incorrect");
    else
        iq_result_empty(iq);
}

/* --- who is watched --- */

struct watch {
    struct map_node node;
    struct timer timer;
    bool asked; /* the answer is due */
    uint16_t user_len, host_len, res_len;
    char full[];
};

static _Thread_local struct map watched;

static struct jid watch_jid(const struct watch *w)
{
    return (struct jid){w->full, w->user_len, w->host_len, w->res_len};
}

static bool watch_eq(const struct map_node *node, const void *key)
{
    return str_eq(jid_full(watch_jid(CONTAINER_OF(node, const struct watch, node))), *(const struct str *)key);
}

static struct watch *find(struct jid who)
{
    struct str full = jid_full(who);
    struct map_node *n = watched.count ? map_find(&watched, hash_str(full), watch_eq, &full) : NULL;
    return n ? CONTAINER_OF(n, struct watch, node) : NULL;
}

static void drop(struct watch *w)
{
    timer_stop(&w->timer);
    map_del(&watched, &w->node);
    free(w);
    if (!watched.count) {
        map_deinit(&watched);
        watched = (struct map){0};
    }
}

/* NULL: nobody is asked there. */
static const struct options *settings(unsigned host)
{
    const struct options *o = host == HOST_NONE ? NULL : module_options(host, &mod_ping);
    return o && opt_bool(o, "send_pings") ? o : NULL;
}

static void ask(const struct session *s)
{
    char id[21] = "";
    struct jid who = session_jid(s);
    struct stanza *iq = stanza_new(STANZA_IQ, ST_GET, JID_NULL, who);
    iq->from = jid_join(iq->arena, STR_NULL, jid_host(who), STR_NULL);
    rand_token(id, sizeof id - 1);
    iq->id = arena_str(iq->arena, str_of(id));
    xml_attr_set(iq->arena, iq->el, TOK_id, iq->id);
    xml_add(iq->arena, iq->el, TOK_ping, TOK_NS_PING);
    session_send((struct session *)s, iq);
    stanza_end(&iq);
}

static void wait_for_answer(struct watch *w, const struct options *o)
{
    int64_t ms = opt_int(o, "ping_ack_timeout");
    w->asked = true;
    timer_arm(&w->timer, ms > 0 ? (uint64_t)ms : ACK_MS);
}

static void wait_for_silence(struct watch *w, const struct options *o)
{
    int64_t ms = opt_int(o, "ping_interval");
    w->asked = false;
    timer_arm(&w->timer, ms > 0 ? (uint64_t)ms : 1);
}

/* One without a stream is waited for by stream management; it is watched again when it goes on. */
static void on_time(struct timer *t)
{
    struct watch *w = CONTAINER_OF(t, struct watch, timer);
    struct account *a = account_find(str_n(w->full, w->user_len), jid_host(watch_jid(w)));
    struct session *s = a ? session_find(a, jid_res(watch_jid(w))) : NULL;
    const struct options *o = s && s->owner ? settings(a->host) : NULL;
    bool silent = w->asked;
    if (!o) {
        drop(w);
    } else if (!silent) {
        wait_for_answer(w, o); /* before anything is written: that may end the stream */
        ask(s);
    } else if (str_eq(opt_str(o, "timeout_action"), S("kill"))) {
        LOG_LIMITED(INFO, "ping", NULL, "%.*s does not answer", STR_ARG(jid_full(session_jid(s))));
        drop(w);
        c2s_end(s->owner, "connection-timeout", S("Ping timeout")); /* RFC 6120 §4.9.3.4; who can resume may */
    } else {
        wait_for_silence(w, o);
    }
}

static void watch(const struct session *s)
{
    const struct options *o = settings(s->account->host);
    struct jid who = session_jid(s);
    struct watch *w = o || watched.count ? find(who) : NULL;
    if (!o)
        return; /* the timer ends what is left */
    if (!w) {
        struct str full = jid_full(who);
        w = mem_zalloc(sizeof *w + full.n);
        w->user_len = who.user_len;
        w->host_len = who.host_len;
        w->res_len = who.res_len;
        memcpy(w->full, full.p, full.n);
        timer_setup(&w->timer, on_time);
        if (!watched.buckets)
            map_init(&watched);
        map_add(&watched, &w->node, hash_str(full));
    }
    wait_for_silence(w, o);
}

static enum hook_verdict on_session(struct session_event *e)
{
    watch(e->session);
    return HOOK_PASS;
}

static enum hook_verdict on_sent(struct stanza_event *e)
{
    if (e->session)
        watch(e->session);
    return HOOK_PASS;
}

static enum hook_verdict on_closed(struct session_event *e)
{
    struct watch *w = find(session_jid(e->session));
    if (w)
        drop(w);
    return HOOK_PASS;
}

/* Sessions that were there before the module was. */
static void on_start(unsigned host)
{
    struct str name = config_current()->hosts[host].name;
    const struct map *accounts = &session_table_self()->accounts;
    if (!settings(host))
        return;
    for (struct map_node *n = map_next(accounts, NULL); n; n = map_next(accounts, n)) {
        const struct account *a = CONTAINER_OF(n, const struct account, node);
        if (a->host != HOST_NONE && str_eq(jid_host(account_jid(a)), name))
            LIST_EACH(it, &a->sessions)
                watch(LIST_ENTRY(it, const struct session, link));
    }
}

static void on_stop(unsigned host)
{
    (void)host;
    for (struct map_node *n; watched.buckets && (n = map_next(&watched, NULL));)
        drop(CONTAINER_OF(n, struct watch, node));
}

static const char *const features[] = {"urn:xmpp:ping", NULL};
static const struct iq_entry iqs[] = {
    {IQ_TO_SERVER, TOK_NS_PING, false, on_ping}, {IQ_TO_ACCOUNT, TOK_NS_PING, false, on_ping}, {0}};
static const struct hook_entry hooks[] = {
    ON(session_opened, STATE, on_session), ON(session_resumed, STATE, on_session), ON(session_closed, STATE, on_closed),
    ON(stanza_sent, FILTER, on_sent), {0}};

MODULE(mod_ping) = {.name = "mod_ping", .xep = "XEP-0199 2.0.1", .features = features, .account_features = features, .iqs = iqs,
                    .hooks = hooks, .start = on_start, .stop = on_stop};
