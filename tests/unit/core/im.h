/*
 * For the tests of accounts, delivery, routing and modules: a runtime of two shards with a configuration in force on both, and
 * client streams that only write down what they are given (they take the place of core/c2s/c2s.c at link time).
 */
#ifndef TEST_CORE_IM_H
#define TEST_CORE_IM_H

#include "../store/harness.h"

#include "base/buf.h"
#include "core/account/session.h"
#include "core/account/session_table.h"
#include "core/c2s/c2s.h"
#include "core/module/module.h"
#include "core/router.h"
#include "xml/stream.h"
#include "xml/writer.h"

/* --- streams --- */

struct c2s {
    struct session *session;
    struct buf out;
    unsigned ended, injected;
    char condition[64], text[64];
    bool wait; /* c2s_inject suspends once */
};

static bool is_own(const struct stanza *s)
{
    return !jid_present(s->to) || (s->kind == STANZA_PRESENCE && jid_is_bare(s->to));
}

void c2s_send(struct c2s *c, const struct stanza *s)
{
    struct str to = jid_full(is_own(s) ? session_jid(c->session) : s->to);
    xml_write_addressed(&c->out, s->el, TOK_NS_CLIENT, jid_full(s->from), to);
}

void c2s_end(struct c2s *c, const char *condition, struct str text)
{
    if (c->ended++)
        return;
    snprintf(c->condition, sizeof(c->condition), "%s", condition);
    snprintf(c->text, sizeof(c->text), "%.*s", STR_ARG(text));
    session_close(&c->session, condition);
}

void c2s_info(const struct c2s *c, const char **connection_out, struct ip *ip_out, uint16_t *port_out)
{
    *connection_out = "c2s_tls";
    *ip_out = (struct ip){.family = 4, .b = {127, 0, 0, 1}};
    *port_out = 1234;
}

int c2s_inject(struct session *x, struct stanza **s, struct error *err)
{
    struct c2s *c = x->owner;
    if (c->wait)
        fiber_sleep(0);
    c->injected++;
    stanza_end(s);
    return 0;
}

/* A stream of one of the account's resources; free with stream_free. */
static UNUSED struct c2s *stream_new(struct arena *a, unsigned host, const char *jid)
{
    struct c2s *c = calloc(1, sizeof(*c));
    struct jid j;

    CHECK(jid_parse(a, str_of(jid), &j));
    c->session = session_open(host, j, c);
    session_opened(c->session);
    return c;
}

static UNUSED void stream_free(struct c2s *c)
{
    session_close(&c->session, "test");
    buf_deinit(&c->out);
    free(c);
}

static inline struct str taken(struct c2s *c)
{
    return buf_str(&c->out);
}

/* What was written since the last look is exactly this. */
#define SAID(c, words)                 \
    do {                               \
        CHECK_STR(taken(c), S(words)); \
        buf_clear(&(c)->out);          \
    } while (0)

/* --- stanzas --- */

static inline struct stanza *stanza_parse(const char *xml)
{
    struct arena *a = arena_new();
    const char *why = "";
    struct xml_el *el = xml_parse(a, arena_str(a, str_of(xml)), TOK_NS_CLIENT, &why);
    struct stanza *s = el ? stanza_of(a, el) : NULL;
    struct str from, to;

    CHECK(s);
    from = xml_attr_get(el, TOK_from);
    to = xml_attr_get(el, TOK_to);
    CHECK(!from.p || jid_parse(a, from, &s->from));
    CHECK(!to.p || jid_parse(a, to, &s->to));
    return s;
}

static UNUSED void route(const char *xml)
{
    struct stanza *s = stanza_parse(xml);

    router_route(&s);
    CHECK(!s);
}

static UNUSED void presence(struct c2s *c, const char *xml)
{
    struct stanza *s = stanza_parse(xml);

    s->from = session_jid(c->session);
    session_presence(c->session, s);
    stanza_end(&s);
}

/* --- the runtime --- */

static struct config *im_config;

static struct config *config_text(const char *text)
{
    static const struct config_env env = {.spool_dir = "/tmp", .log_dir = "/tmp", .config_dir = "/tmp"};
    struct error err = ERROR_INIT;
    struct config *c = config_parse("test.yml", str_of(text), &env, &err);

    if (!c)
        fprintf(stderr, "%s\n", err.text);
    CHECK(c);
    return c;
}

/* As core/server.c does it on every shard. */
static void im_install(struct config *c)
{
    config_install(c);
    module_apply_config(c);
    account_config_changed(c);
}

static void im_shard_start(unsigned shard)
{
    account_shard_start();
    im_install(im_config);
}

static void im_shard_stop(unsigned shard)
{
    account_shard_stop();
    module_shard_stop();
    config_install(NULL);
}

/* fn on a fiber of shard 0 of two. */
static UNUSED void im_run(const char *config, void (*fn)(void *arg), void *arg)
{
    struct rt_config cfg = {.shards = 2, .pool_threads = 1, .on_stop = im_shard_stop};
    struct body b = {.m.fn = body_start, .fn = fn, .arg = arg};
    struct error err = ERROR_INIT;

    log_set_level(LOG_NONE);
    module_registry_start();
    im_config = config_text(config);
    CHECK(rt_start(&cfg, im_shard_start, &err) == 0);
    mail_post(0, &b.m);
    rt_run();
    config_release(&im_config);
}

/* fn(arg) on a fiber of that shard; waits. */
static UNUSED void on_shard(unsigned shard, call_fn fn, void *arg)
{
    struct error err = ERROR_INIT;

    CHECK_INT(mail_call(shard, fn, arg, NULL, 10000, &err), 0);
}

/* "PREFIXn@HOST" whose home is the shard. */
static UNUSED const char *home_at(struct arena *a, unsigned shard, const char *prefix, const char *host)
{
    for (int i = 0;; i++) {
        struct jid j;
        CHECK(jid_parse(a, arena_printf(a, "%s%d@%s", prefix, i, host), &j));
        if (shard_of(jid_home_hash(j)) == shard)
            return arena_cstr(a, jid_bare(j));
    }
}

#define FMT(a, ...) arena_cstr((a), arena_printf((a), __VA_ARGS__))

#endif
