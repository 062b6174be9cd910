/*
 * Limit of messages a session may send, XEP-0205 "Stanza Limits": a bucket that holds `burst`
 * messages and fills by `per_minute`. What is above is answered with <resource-constraint/> and goes nowhere; the session stays.
 * Groupchat messages count, errors and chat states without text do not. A bucket is made with a session's first message and dies with
 * the session; it belongs to the shard of the account.
 */
#include "cjabberd/module.h"

struct bucket {
    struct map_node node;
    uint64_t last_ms;
    uint64_t tokens; /* of a message: 60,000 */
    char jid[];
};

#define COST 60000 /* a millisecond adds per_minute of these */

static _Thread_local struct map buckets;
static _Thread_local unsigned hosts_on;

static struct module mod_message_rate;

static bool same_jid(const struct map_node *n, const void *key)
{
    return str_eq(str_of(((const struct bucket *)(const void *)n)->jid), *(const struct str *)key);
}

static struct bucket *find(struct str jid)
{
    return (struct bucket *)(void *)map_find(&buckets, hash_str(jid), same_jid, &jid);
}

static struct bucket *full_bucket(struct str jid, int64_t burst)
{
    struct bucket *b = mem_zalloc(sizeof(*b) + jid.n + 1);
    memcpy(b->jid, jid.p, jid.n);
    b->last_ms = clock_mono_ms();
    b->tokens = (uint64_t)burst * COST;
    map_add(&buckets, &b->node, hash_str(jid));
    return b;
}

/* Takes one message out; false: it is empty. */
static bool take(struct bucket *b, int64_t per_minute, int64_t burst)
{
    uint64_t now = clock_mono_ms(), most = (uint64_t)burst * COST, came = now - b->last_ms;
    uint64_t add = came > most ? most : came * (uint64_t)per_minute;
    b->tokens = b->tokens + add > most ? most : b->tokens + add;
    b->last_ms = now;
    if (b->tokens < COST)
        return false;
    b->tokens -= COST;
    return true;
}

static void refuse(const struct stanza *s)
{
    struct stanza *e = stanza_error_words(s, S("wait"), S("resource-constraint"), S("Too many messages; try again later"));
    if (e)
        router_route(&e);
}

static enum hook_verdict on_sent(struct stanza_event *e)
{
    const struct stanza *s = e->stanza;
    if (s->kind != STANZA_MESSAGE || s->type == ST_ERROR || !e->session || !xml_child(s->el, TOK_body, TOK_NS_CLIENT))
        return HOOK_PASS;
    const struct options *o = module_options(e->account->host, &mod_message_rate);
    int64_t burst = opt_int(o, "burst");
    struct str jid = jid_full(session_jid(e->session));
    struct bucket *b = find(jid);
    if (take(b ? b : full_bucket(jid, burst), opt_int(o, "per_minute"), burst))
        return HOOK_PASS;
    refuse(s);
    return HOOK_STOP;
}

static void drop(struct bucket *b)
{
    map_del(&buckets, &b->node);
    free(b);
}

static enum hook_verdict on_closed(struct session_event *e)
{
    struct bucket *b = find(jid_full(session_jid(e->session)));
    if (b)
        drop(b);
    return HOOK_PASS;
}

static void on_start(unsigned host)
{
    if (hosts_on++ == 0)
        map_init(&buckets);
}

static void on_stop(unsigned host)
{
    if (--hosts_on)
        return; /* buckets of this host's sessions go with them */
    for (struct map_node *n; (n = map_next(&buckets, NULL)) != NULL;)
        drop((struct bucket *)(void *)n);
    map_deinit(&buckets);
}

static const struct opt_def options[] = {MODULE_OPTION("per_minute", INT, "int(1,100000)", "60"),
                                         MODULE_OPTION("burst", INT, "int(1,100000)", "20"), {0}};
static const struct hook_entry hooks[] = {ON(stanza_sent, FILTER, on_sent), ON(session_closed, STATE, on_closed), {0}};

MODULE(mod_message_rate) = {.name = "mod_message_rate", .xep = "XEP-0205 1.0.2", .hooks = hooks, .options = options,
                            .start = on_start, .stop = on_stop};
