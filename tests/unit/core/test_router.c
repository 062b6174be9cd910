/* Where stanzas go, on which fiber IQ handlers run, order between shards (core/router.c). */
#include "im.h"

#define CONFIG "hosts: [a.example, b.example]\nmodules:\n  mod_ping: {}\n"

/* --- handlers: one that waits, one that does not --- */

static const struct fiber *ran_on;
static struct fiber *held; /* the handler of a get waits here until the test wakes it */
static bool no_wait;

static void on_waiting(struct iq *iq)
{
    ran_on = fiber_self();
    if (!no_wait) {
        held = fiber_self();
        fiber_suspend("test");
    }
    iq_result_empty(iq);
}

static void on_quick(struct iq *iq)
{
    ran_on = fiber_self();
    iq_result_empty(iq);
}

static const struct iq_entry iqs[] = {{IQ_TO_SERVER, TOK_NS_LAST, true, on_waiting},
                                      {IQ_TO_ACCOUNT, TOK_NS_LAST, true, on_waiting},
                                      {IQ_TO_SERVER, TOK_NS_PING, false, on_quick}, {0}};
MODULE(test_module) = {.name = "mod_ping", .iqs = iqs};

struct scene {
    struct arena *a;
    const char *bob;
    struct c2s *c;
};

static void scene_open(struct scene *sc)
{
    sc->a = arena_new();
    sc->bob = home_at(sc->a, 0, "bob", "a.example");
    sc->c = stream_new(sc->a, 0, FMT(sc->a, "%s/s", sc->bob));
    ran_on = held = NULL;
    no_wait = false;
}

static void scene_close(struct scene *sc)
{
    stream_free(sc->c);
    arena_release(&sc->a);
}

static struct str answer(struct scene *sc)
{
    struct str got = arena_str(sc->a, taken(sc->c));
    buf_clear(&sc->c->out);
    return got;
}

static bool answered(struct scene *sc, const char *words)
{
    struct str got = answer(sc);
    bool is = got.n && memmem(got.p, got.n, words, strlen(words));
    if (!is)
        fprintf(stderr, "answer: %.*s\n", STR_ARG(got));
    return is;
}

/* --- addresses --- */

static void addresses_body(void *arg)
{
    static const struct { const char *xml, *words; } rows[] = {
        {"<iq type='get' id='1' to='far.example'><ping xmlns='urn:xmpp:ping'/></iq>", "<remote-server-not-found "},
        {"<message id='1' to='x@far.example'/>", "<remote-server-not-found "},
        {"<message id='1' type='error' to='x@far.example'/>", NULL},
        {"<iq type='result' id='1' to='far.example'/>", NULL},
        {"<iq type='get' id='1' to='b.example'><ping xmlns='urn:xmpp:ping'/></iq>", "type='result'"},
        {"<iq type='get' id='1' to='a.example'><x xmlns='test:none'/></iq>", "<service-unavailable "},
        {"<iq type='get' id='1' to='a.example/res'><ping xmlns='urn:xmpp:ping'/></iq>", "<item-not-found "},
        {"<iq type='result' id='1' to='a.example'/>", NULL},
        {"<iq type='error' id='1' to='a.example'/>", NULL},
        {"<message id='1' to='a.example'/>", "<item-not-found "},
        {"<presence to='a.example'/>", NULL},
        {"<presence type='subscribe' to='a.example'/>", NULL},
        /* RFC 6120 §8.2.3: a request has exactly one child */
        {"<iq type='get' id='1' to='a.example'/>", "<bad-request "},
        {"<iq type='set' id='1' to='a.example'>text</iq>", "No child elements found"},
        {"<iq type='get' id='1' to='a.example'><ping xmlns='urn:xmpp:ping'/><b/></iq>", "Too many child elements"},
        {"<iq type='get' id='1' to='a.example'> <ping xmlns='urn:xmpp:ping'/> </iq>", "type='result'"},
    };
    struct scene sc;
    scene_open(&sc);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stanza *s = stanza_parse(rows[i].xml);
        s->from = session_jid(sc.c->session);
        router_route(&s);
        CHECK(!s);
        if (rows[i].words)
            CHECK(answered(&sc, rows[i].words));
        else
            SAID(sc.c, "");
    }
    scene_close(&sc);
}

static void by_address(void **state)
{
    im_run(CONFIG, addresses_body, NULL);
}

/* --- whose fiber --- */

static struct stanza *request(struct scene *sc, const char *to, const char *ns)
{
    return stanza_parse(FMT(sc->a, "<iq type='get' id='1' from='%s/s' to='%s'><q xmlns='%s'/></iq>", sc->bob, to, ns));
}

struct stream_fiber {
    struct stanza *s;
    struct fiber *self;
    bool done;
};

static void as_a_stream(void *arg)
{
    struct stream_fiber *f = arg;
    f->self = fiber_self();
    router_route_waiting(&f->s);
    f->done = true;
}

static void wake_held(void)
{
    struct fiber *f = held;
    held = NULL;
    CHECK(f);
    fiber_wake(f);
    fiber_sleep(0);
}

static void fibers_body(void *arg)
{
    struct scene sc;
    scene_open(&sc);

    /* a stream's own fiber waits with the handler: what comes after it waits too */
    struct stream_fiber f = {.s = request(&sc, "a.example", "jabber:iq:last")};
    CHECK(!fiber_run(as_a_stream, &f));
    CHECK(ran_on == f.self && !f.done);
    SAID(sc.c, "");
    wake_held();
    CHECK(f.done);
    CHECK(answered(&sc, "type='result'"));

    /* anybody else is not held up */
    struct stanza *s = request(&sc, "a.example", "jabber:iq:last");
    router_route(&s);
    CHECK(held && ran_on == held && ran_on != fiber_self());
    wake_held();
    CHECK(answered(&sc, "type='result'"));

    /* one that does not wait runs where it is asked */
    s = request(&sc, "a.example", "urn:xmpp:ping");
    router_route(&s);
    CHECK(ran_on == fiber_self());
    CHECK(answered(&sc, "type='result'"));
    scene_close(&sc);
}

static void fibers_of_handlers(void **state)
{
    im_run(CONFIG, fibers_body, NULL);
}

/* Two streams wait at once and end in the order they began; each handler runs on its own stream's fiber. */
static void overlap_body(void *arg)
{
    struct scene sc;
    scene_open(&sc);
    struct stream_fiber f1 = {.s = request(&sc, "a.example", "jabber:iq:last")}, f2 = {.s = request(&sc, sc.bob, "jabber:iq:last")};
    CHECK(!fiber_run(as_a_stream, &f1));
    struct fiber *first = held;
    CHECK(!fiber_run(as_a_stream, &f2));
    struct fiber *second = held;
    CHECK(first == f1.self && second == f2.self);
    /* routing in between, from somebody who may not wait */
    struct stanza *s = request(&sc, "a.example", "jabber:iq:last");
    router_route(&s);
    struct fiber *third = held;
    CHECK(third != first && third != second);
    fiber_wake(first);
    fiber_sleep(0);
    CHECK(f1.done && !f2.done);
    /* the first one's stack may be in use again: it must not pass for a stream that may wait */
    s = request(&sc, "a.example", "jabber:iq:last");
    router_route(&s);
    struct fiber *fourth = held;
    CHECK(fourth != fiber_self() && fourth != second);
    fiber_wake(second);
    fiber_wake(third);
    fiber_wake(fourth);
    fiber_sleep(0);
    CHECK(f2.done);
    scene_close(&sc);
}

static void overlapping_waits(void **state)
{
    im_run(CONFIG, overlap_body, NULL);
}

/* The asking session ends while its handler waits: the answer goes nowhere. */
static void gone_body(void *arg)
{
    struct scene sc;
    scene_open(&sc);
    struct stream_fiber f = {.s = request(&sc, sc.bob, "jabber:iq:last")};
    CHECK(!fiber_run(as_a_stream, &f));
    session_close(&sc.c->session, "test");
    wake_held();
    CHECK(f.done);
    SAID(sc.c, "");
    scene_close(&sc);
}

static void asker_goes(void **state)
{
    im_run(CONFIG, gone_body, NULL);
}

/* --- between shards --- */

#define MANY 1000

struct far {
    struct arena *a;
    const char *ann;
    struct c2s *c;
    unsigned got;
};

static int far_open(void *arg, struct error *err)
{
    struct far *f = arg;
    f->c = stream_new(f->a, 0, FMT(f->a, "%s/r", f->ann));
    presence(f->c, "<presence/>");
    buf_clear(&f->c->out);
    return 0;
}

/* Bodies 0, 1, 2 ... each once. */
static int far_check(void *arg, struct error *err)
{
    struct far *f = arg;
    const char *p = buf_str(&f->c->out).p;
    for (f->got = 0; f->got < MANY; f->got++) {
        char want[64];
        snprintf(want, sizeof(want), "<body>%u</body></message>", f->got);
        const char *start = memmem(p, (size_t)(f->c->out.p + f->c->out.n - p), "<body>", 6);
        CHECK(start && strncmp(start, want, strlen(want)) == 0);
        p = start + strlen(want);
    }
    CHECK(p == f->c->out.p + f->c->out.n);
    return 0;
}

static int far_close(void *arg, struct error *err)
{
    struct far *f = arg;
    stream_free(f->c);
    return 0;
}

static void far_body(void *arg)
{
    struct scene sc;
    struct far f = {.a = arena_new()};
    scene_open(&sc);
    f.ann = home_at(sc.a, 1, "ann", "a.example");
    on_shard(1, far_open, &f);
    for (unsigned i = 0; i < MANY; i++) {
        route(FMT(sc.a, "<message type='chat' from='%s/s' to='%s%s'><body>%u</body></message>", sc.bob, f.ann,
                  i % 3 ? "" : "/r", i));
        if (i % 97 == 0)
            fiber_sleep(0); /* over many turns */
    }
    on_shard(1, far_check, &f);
    CHECK_INT(f.got, MANY);
    SAID(sc.c, "");

    /* errors come back over the shards, and a handler of the other shard gets a fiber there */
    route(FMT(sc.a, "<iq type='get' id='1' from='%s/s' to='%s/none'><x xmlns='test:x'/></iq>", sc.bob, f.ann));
    on_shard(1, far_check, &f);
    fiber_sleep(0);
    CHECK(answered(&sc, "<service-unavailable "));
    no_wait = true;
    route(FMT(sc.a, "<iq type='get' id='1' from='%s/s' to='%s'><q xmlns='jabber:iq:last'/></iq>", sc.bob, f.ann));
    on_shard(1, far_check, &f);
    fiber_sleep(0);
    CHECK(answered(&sc, "type='result'"));
    on_shard(1, far_close, &f);
    arena_release(&f.a);
    scene_close(&sc);
}

static void order_between_shards(void **state)
{
    im_run(CONFIG, far_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_address), cmocka_unit_test(fibers_of_handlers), cmocka_unit_test(overlapping_waits),
        cmocka_unit_test(asker_goes), cmocka_unit_test(order_between_shards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
