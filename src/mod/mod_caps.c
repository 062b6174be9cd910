/*
 * Entity capabilities (XEP-0115, XEP-0390): announces the server's own, and knows those of local clients. A client's word is not
 * taken: what is new is asked once (disco#info), digested and kept only when the digest is the announced one (XEP-0115 §8, caps
 * poisoning). Remembered on each shard (options cache_*) and in table caps_features. Home shard of the session's account; the
 * fiber that reads the table and the handler of answers suspend. Capabilities of contacts are not looked at.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "mod/api/caps.h"
#include "mod/api/disco.h"
#include "rt/fiber.h"
#include "rt/shard.h"
#include "rt/timer.h"
#include "store/caps.h"
#include "xmpp/caps.h"

#include <stdlib.h>

#define NODE_MAX 1023
#define VER_MAX 128          /* base64 of 512 bits is 88 */
#define ASKED_MAX 16         /* hashes of one session */
#define QUESTIONS_MAX 1000   /* under way on a shard */
#define WAITERS_MAX 8        /* sessions that may be asked when another did not answer well */
#define ANSWER_MS 60000
#define KEPT_MS 60000
#define ID "caps-"
#define NODE2 "urn:xmpp:caps"

static struct module mod_caps;

/* What a client announced. */
struct claim {
    bool two;               /* XEP-0390 */
    struct str node, algo, ver;
    struct str key;         /* who says the same has the same: not the node, which the digest leaves out */
};

/* What was proved. */
struct known {
    struct map_node node;
    struct list age;        /* oldest use first */
    unsigned holders;       /* sessions: not dropped */
    uint64_t until_ms;
    struct arena *arena;    /* owns it */
    struct str key, *features;
    size_t n;
};

/* A session that announces something. */
struct holder {
    struct map_node node;
    struct known *known;    /* NULL: not yet */
    char *key;              /* of its present claim */
    unsigned asked;
    size_t n;
    char full[];
};

/* A client that was asked. */
struct question {
    struct list link;
    struct timer timer;
    struct arena *arena;    /* owns it */
    char id[sizeof ID + 20];
    unsigned host;
    struct jid who;
    struct claim claim;
    struct jid waiters[WAITERS_MAX];
    size_t n_waiters;
};

static _Thread_local struct {
    struct map known, holders;
    struct list by_age, questions;
    size_t n_questions, hosts;
    bool up;
} here;

/* --- tables --- */

static bool known_eq(const struct map_node *n, const void *key)
{
    return str_eq(CONTAINER_OF(n, const struct known, node)->key, *(const struct str *)key);
}

static bool holder_eq(const struct map_node *n, const void *full)
{
    const struct holder *h = CONTAINER_OF(n, const struct holder, node);
    return str_eq(str_n(h->full, h->n), *(const struct str *)full);
}

static struct holder *holder_find(struct str full)
{
    struct map_node *n = here.up ? map_find(&here.holders, hash_str(full), holder_eq, &full) : NULL;
    return n ? CONTAINER_OF(n, struct holder, node) : NULL;
}

static void known_forget(struct known *k)
{
    map_del(&here.known, &k->node);
    list_del(&k->age);
    arena_release(&(struct arena *){k->arena});
}

static struct known *known_find(struct str key)
{
    struct map_node *n = map_find(&here.known, hash_str(key), known_eq, &key);
    struct known *k = n ? CONTAINER_OF(n, struct known, node) : NULL;
    if (k && k->until_ms <= clock_mono_ms() && !k->holders) {
        known_forget(k);
        return NULL;
    }
    if (k) {
        list_del(&k->age);
        list_push(&here.by_age, &k->age);
    }
    return k;
}

/* Sessions online keep theirs, whatever cache_size says: they are bounded themselves. */
static void make_room(const struct options *o)
{
    int64_t max = opt_int(o, "cache_size") / (int64_t)shard_count();
    LIST_EACH_SAFE(it, &here.by_age) {
        struct known *k = LIST_ENTRY(it, struct known, age);
        if ((int64_t)here.known.count < (max < 1 ? 1 : max))
            return;
        if (!k->holders)
            known_forget(k);
    }
}

static struct known *remember(const struct options *o, struct str key, const struct str *features, size_t n)
{
    struct known *old = known_find(key);
    if (old)
        return old;
    make_room(o);
    struct arena *a = arena_new();
    struct known *k = ARENA_NEW(a, struct known);
    int64_t life = opt_bool(o, "use_cache") ? opt_int(o, "cache_life_time") : 0;
    if (life < KEPT_MS && life != OPT_INFINITY)
        life = KEPT_MS; /* until those who wait for it have it */
    *k = (struct known){.arena = a, .key = arena_str(a, key), .features = ARENA_ARRAY(a, struct str, n + 1), .n = n};
    k->until_ms = life == OPT_INFINITY ? UINT64_MAX : clock_mono_ms() + (uint64_t)life;
    for (size_t i = 0; i < n; i++)
        k->features[i] = arena_str(a, features[i]);
    map_add(&here.known, &k->node, hash_str(k->key));
    list_push(&here.by_age, &k->age);
    return k;
}

static void holder_let_go(struct holder *h)
{
    if (h->known)
        h->known->holders--;
    h->known = NULL;
    free(h->key);
    h->key = NULL;
}

static void holder_end(struct holder *h)
{
    holder_let_go(h);
    map_del(&here.holders, &h->node);
    free(h);
}

/* What the session announced is known now, or was by then. */
static struct known *known_of(struct holder *h)
{
    if (h && h->key && !h->known && (h->known = known_find(str_of(h->key))))
        h->known->holders++;
    return h ? h->known : NULL;
}

/* --- claims --- */

static bool base64_like(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", s.p[i]) || !s.p[i])
            return false;
    return s.n > 0 && s.n <= VER_MAX;
}

static bool claim_done(struct arena *a, struct claim *c)
{
    if (!caps_hash_known(c->algo) || !base64_like(c->ver) || !c->node.n || c->node.n > NODE_MAX)
        return false;
    c->key = arena_printf(a, "%c%.*s %.*s", c->two ? '2' : '1', STR_ARG(c->algo), STR_ARG(c->ver));
    return true;
}

/* XEP-0390 first: XEP-0115's string can be read in more than one way (§8.1 there). */
static bool claim_of(struct arena *a, const struct xml_el *presence, struct claim *out)
{
    for (struct xml_el *c = xml_first(presence); c; c = xml_next(c)) {
        if (c->tok != TOK_c || !str_eq(c->ns_uri, S(NODE2)))
            continue;
        for (struct xml_el *h = xml_first(c); h; h = xml_next(h)) {
            *out = (struct claim){.two = true, .node = S(NODE2), .algo = xml_attr_get_text(h, S("algo")), .ver = xml_text_of(a, h)};
            if (h->tok == TOK_hash && str_eq(h->ns_uri, S("urn:xmpp:hashes:2")) && claim_done(a, out))
                return true;
        }
    }
    const struct xml_el *c = xml_child(presence, TOK_c, TOK_NS_CAPS);
    if (!c)
        return false;
    *out = (struct claim){.node = xml_attr_get(c, TOK_node), .algo = xml_attr_get(c, TOK_hash), .ver = xml_attr_get(c, TOK_ver)};
    return claim_done(a, out);
}

static struct claim claim_copy(struct arena *a, const struct claim *c)
{
    return (struct claim){c->two, arena_str(a, c->node), arena_str(a, c->algo), arena_str(a, c->ver), arena_str(a, c->key)};
}

/* Behind the node: of disco#info, and in the table. */
static struct str claim_sub(struct arena *a, const struct claim *c)
{
    return c->two ? arena_printf(a, "%.*s.%.*s", STR_ARG(c->algo), STR_ARG(c->ver)) : c->ver;
}

/* --- questions --- */

static struct session *session_at(struct jid full)
{
    struct account *a = account_find(jid_user(full), jid_host(full));
    struct session *s = a ? session_find(a, jid_res(full)) : NULL;
    return s && !s->closing ? s : NULL;
}

static void question_end(struct question *q)
{
    timer_stop(&q->timer);
    list_del(&q->link);
    here.n_questions--;
    arena_release(&(struct arena *){q->arena});
}

static void question_failed(struct question *q, const char *why);

static void on_late(struct timer *t)
{
    question_failed(CONTAINER_OF(t, struct question, timer), "no answer");
}

static bool still_wants(struct jid full, struct str key)
{
    struct holder *h = holder_find(jid_full(full));
    return h && h->key && str_eq(str_of(h->key), key) && h->asked < ASKED_MAX && session_at(full);
}

static void send_question(const struct question *q)
{
    struct session *s = session_at(q->who);
    struct jid server = jid_join(q->arena, STR_NULL, jid_host(q->who), STR_NULL);
    struct stanza *iq = stanza_new(STANZA_IQ, ST_GET, server, q->who);
    struct str sub = claim_sub(iq->arena, &q->claim);
    xml_attr_set(iq->arena, iq->el, TOK_id, str_of(q->id));
    struct xml_el *query = xml_add(iq->arena, iq->el, TOK_query, TOK_NS_DISCO_INFO);
    xml_attr_set(iq->arena, query, TOK_node, arena_printf(iq->arena, "%.*s#%.*s", STR_ARG(q->claim.node), STR_ARG(sub)));
    iq->id = str_of(q->id);
    stanza_stamp(iq);
    session_send(s, iq);
    stanza_end(&iq);
}

static struct question *question_about(struct str key)
{
    LIST_EACH(it, &here.questions) {
        struct question *q = LIST_ENTRY(it, struct question, link);
        if (str_eq(q->claim.key, key))
            return q;
    }
    return NULL;
}

static void wait_for(struct question *q, struct jid who)
{
    if (q->n_waiters < WAITERS_MAX)
        q->waiters[q->n_waiters++] = jid_copy(q->arena, who);
}

/* One session that announces it is asked; another one only when that was of no use. */
static void ask(unsigned host, struct jid who, const struct claim *c, const struct jid *waiters, size_t n)
{
    struct question *under_way = question_about(c->key);
    if (under_way) {
        wait_for(under_way, who);
        return;
    }
    if (here.n_questions >= QUESTIONS_MAX || !still_wants(who, c->key))
        return;
    holder_find(jid_full(who))->asked++;
    struct arena *a = arena_new();
    struct question *q = ARENA_NEW(a, struct question);
    *q = (struct question){.arena = a, .host = host, .who = jid_copy(a, who), .claim = claim_copy(a, c)};
    memcpy(q->id, ID, sizeof ID - 1);
    rand_token(q->id + sizeof ID - 1, 20);
    for (size_t i = 0; i < n; i++)
        wait_for(q, waiters[i]);
    list_push(&here.questions, &q->link);
    here.n_questions++;
    timer_setup(&q->timer, on_late);
    timer_arm(&q->timer, ANSWER_MS);
    send_question(q);
}

static void question_failed(struct question *q, const char *why)
{
    LOG_LIMITED(DEBUG, "caps", NULL, "%.*s: capabilities not proved: %s", STR_ARG(jid_full(q->who)), why);
    struct arena *a = q->arena;
    arena_hold(a);
    struct question was = *q;
    question_end(q);
    for (size_t i = 0; i < was.n_waiters && here.up; i++)
        if (still_wants(was.waiters[i], was.claim.key)) {
            ask(was.host, was.waiters[i], &was.claim, was.waiters + i + 1, was.n_waiters - i - 1);
            break;
        }
    arena_release(&a);
}

/* NULL: it is what was announced. */
static const char *prove(struct arena *a, const struct claim *c, const struct xml_el *query, struct str lang)
{
    struct str ver;
    const char *why = c->two ? caps2_ver(a, query, lang, c->algo, &ver) : caps_ver(a, query, c->algo, &ver);
    return why ? why : str_eq(ver, c->ver) ? NULL : "another digest";
}

static const char *check(struct arena *a, const struct claim *c, const struct stanza *answer, struct str **features, size_t *n)
{
    const struct xml_el *query = xml_child(answer->el, TOK_query, TOK_NS_DISCO_INFO);
    struct str lang = xml_attr_get_ns(answer->el, TOK_NS_XML, TOK_lang);
    if (answer->type != ST_RESULT || !query)
        return "an error";
    const char *why = prove(a, c, query, lang);
    if (why && c->two && !lang.n)
        why = prove(a, c, query, S("en")); /* the stream's language, whether or not the client thinks of it */
    return why ? why : caps_features(a, query, features, n);
}

static void learn(struct question *q, const struct stanza *answer) YIELDS;
static void learn(struct question *q, const struct stanza *answer)
{
    struct arena *a = q->arena;
    struct str *features;
    size_t n;
    const struct options *o = module_options(q->host, &mod_caps);
    const char *why = o ? check(answer->arena, &q->claim, answer, &features, &n) : "not wanted any more";
    if (why) {
        question_failed(q, why);
        return;
    }
    remember(o, q->claim.key, features, n);
    arena_hold(a);
    struct claim c = q->claim;
    question_end(q);
    caps_set(c.node, claim_sub(a, &c), features, n); /* unwritten, it is asked again one day */
    arena_release(&a);
}

/* --- what sessions announce --- */

struct lookup {
    struct arena *arena;
    unsigned host;
    struct jid who;
    struct claim claim;
};

static void look_up(void *arg) YIELDS;
static void look_up(void *arg)
{
    struct lookup l = *(struct lookup *)arg;
    struct str *features;
    size_t n;
    enum store_rc rc = caps_get(l.arena, l.claim.node, claim_sub(l.arena, &l.claim), CAPS_FEATURES_MAX, &features, &n);
    const struct options *o = here.up ? module_options(l.host, &mod_caps) : NULL;
    if (o && rc == STORE_OK)
        remember(o, l.claim.key, features, n);
    else if (o)
        ask(l.host, l.who, &l.claim, NULL, 0);
    arena_release(&l.arena);
}

static struct holder *holder_of(struct session *s)
{
    struct str full = jid_full(session_jid(s));
    struct holder *h = holder_find(full);
    if (h)
        return h;
    h = mem_zalloc(sizeof *h + full.n);
    h->n = full.n;
    memcpy(h->full, full.p, full.n);
    map_add(&here.holders, &h->node, hash_str(full));
    return h;
}

static void announced(struct session *s, const struct claim *c)
{
    struct holder *h = holder_of(s);
    if (h->key && str_eq(str_of(h->key), c->key))
        return;
    holder_let_go(h);
    h->key = mem_alloc(c->key.n + 1);
    memcpy(h->key, c->key.p, c->key.n);
    h->key[c->key.n] = 0;
    if (known_of(h))
        return;
    struct arena *a = arena_new();
    struct lookup l = {a, s->account->host, jid_copy(a, session_jid(s)), claim_copy(a, c)};
    fiber_run(look_up, &l);
}

static void read_presence(struct session *s, const struct stanza *p)
{
    struct claim c;
    struct holder *h;
    if (claim_of(p->arena, p->el, &c))
        announced(s, &c);
    else if ((h = holder_find(jid_full(session_jid(s)))))
        holder_let_go(h); /* XEP-0115 §5.1: a broadcast that announces nothing takes back what was announced */
}

static enum hook_verdict on_presence(struct presence_event *e)
{
    if (e->available)
        read_presence(e->session, e->presence);
    return HOOK_PASS;
}

/* Of before the restart, perhaps. */
static enum hook_verdict on_resumed(struct session_event *e)
{
    struct stanza *p = holder_find(jid_full(session_jid(e->session))) ? NULL : session_last_presence(e->session);
    if (p) {
        read_presence(e->session, p);
        stanza_end(&p);
    }
    return HOOK_PASS;
}

static enum hook_verdict on_closed(struct session_event *e)
{
    struct holder *h = holder_find(jid_full(session_jid(e->session)));
    if (!h)
        return HOOK_PASS;
    holder_end(h);
    LIST_EACH_SAFE(it, &here.questions) {
        struct question *q = LIST_ENTRY(it, struct question, link);
        if (jid_eq(q->who, session_jid(e->session)))
            question_failed(q, "it is gone");
    }
    return HOOK_PASS;
}

/* Answers to the server's questions. */
static enum hook_verdict on_sent(struct stanza_event *e) YIELDS;
static enum hook_verdict on_sent(struct stanza_event *e)
{
    const struct stanza *s = e->stanza;
    if (s->kind != STANZA_IQ || (s->type != ST_RESULT && s->type != ST_ERROR) || s->to.user_len || !str_starts(s->id, S(ID)))
        return HOOK_PASS;
    LIST_EACH(it, &here.questions) {
        struct question *q = LIST_ENTRY(it, struct question, link);
        if (str_eq(str_of(q->id), s->id) && jid_eq(q->who, s->from) && str_eq(jid_host(s->to), jid_host(q->who))) {
            learn(q, s);
            return HOOK_STOP;
        }
    }
    return HOOK_PASS;
}

bool caps_known(const struct session *s)
{
    return known_of(holder_find(jid_full(session_jid(s)))) != NULL;
}

bool caps_has_feature(const struct session *s, struct str feature)
{
    const struct known *k = known_of(holder_find(jid_full(session_jid(s))));
    for (size_t i = 0; k && i < k->n; i++)
        if (str_eq(k->features[i], feature))
            return true;
    return false;
}

/* --- the server's own --- */

static enum hook_verdict on_features(struct features_event *e)
{
    buf_add_str(e->out, caps_own_elements(e->host));
    return HOOK_PASS;
}

static enum disco_found node_info(struct disco_ask *ask) YIELDS;
static enum disco_found node_info(struct disco_ask *ask)
{
    if (!caps_own_node(ask->host, ask->node))
        return DISCO_NOT_MINE;
    disco_add_server(ask->arena, ask->query, ask->host);
    return DISCO_ANSWERED;
}

static enum disco_found node_items(struct disco_ask *ask) YIELDS;
static enum disco_found node_items(struct disco_ask *ask)
{
    return caps_own_node(ask->host, ask->node) ? DISCO_ANSWERED : DISCO_NOT_MINE;
}

DISCO_NODES(caps_nodes) = {.module = "mod_caps", .info = node_info, .items = node_items};

static void on_start(unsigned host)
{
    (void)host;
    if (here.hosts++)
        return;
    map_init(&here.known);
    map_init(&here.holders);
    list_init(&here.by_age);
    list_init(&here.questions);
    here.up = true;
}

static void on_stop(unsigned host)
{
    (void)host;
    caps_own_forget();
    if (--here.hosts)
        return;
    here.up = false;
    while (!list_empty(&here.questions))
        question_end(LIST_ENTRY(here.questions.next, struct question, link));
    for (struct map_node *n; (n = map_next(&here.holders, NULL));)
        holder_end(CONTAINER_OF(n, struct holder, node));
    while (!list_empty(&here.by_age))
        known_forget(LIST_ENTRY(here.by_age.next, struct known, age));
    map_deinit(&here.known);
    map_deinit(&here.holders);
}

static const char *const features[] = {"http://jabber.org/protocol/caps", "urn:xmpp:caps", NULL};
static const struct hook_entry hooks[] = {
    ON(session_presence, STATE, on_presence), ON(session_resumed, STATE, on_resumed), ON(session_closed, STATE, on_closed),
    ON(stanza_sent, FILTER, on_sent), ON(stream_features, ADD, on_features), {0}};

MODULE(mod_caps) = {
    .name = "mod_caps", .xep = "XEP-0115 1.6.0", .features = features, .hooks = hooks, .start = on_start, .stop = on_stop};
