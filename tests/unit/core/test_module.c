/* The registry of modules: order of hook handlers, what is on for which host, verdicts, and answers to IQs. */
#include "im.h"

/* The names are those of modules the configuration knows; what they do is the test's. */
#define CONFIG                          \
    "hosts: [a.example, b.example]\n"   \
    "modules:\n  mod_last: {}\n  mod_time: {}\n  mod_ping: {}\n" \
    "host_config:\n  b.example:\n    modules:\n      mod_time: {}\n"
#define OTHER "hosts: [b.example]\nmodules:\n  mod_last: {}\n"

static char trail[128];
static struct {
    const char *who;
    enum hook_verdict verdict;
} decides;

static enum hook_verdict step(const char *who, struct stanza_event *e)
{
    snprintf(trail + strlen(trail), sizeof(trail) - strlen(trail), "%s ", who);
    if (!decides.who || strcmp(decides.who, who) != 0)
        return HOOK_PASS;
    e->reject = ERR_FORBIDDEN;
    e->reject_text = "not here";
    return decides.verdict;
}

#define STEP(name)                                            \
    static enum hook_verdict name(struct stanza_event *e)     \
    {                                                         \
        return step(#name, e);                                \
    }
STEP(time_fanout)
STEP(time_filter)
STEP(ping_archive)
STEP(ping_filter)
STEP(core_filter)
STEP(last_filter)
STEP(undelivered)

/* Written in the wrong order on purpose. */
static const struct hook_entry time_hooks[] = {
    ON(stanza_received, FANOUT, time_fanout), ON(stanza_received, FILTER, time_filter), {0}};
static const struct hook_entry ping_hooks[] = {
    ON(stanza_received, ARCHIVE, ping_archive), ON(stanza_received, FILTER, ping_filter), {0}};
static const struct hook_entry core_hooks[] = {
    ON(stanza_received, FILTER, core_filter), ON(message_undelivered, STORE, undelivered), {0}};
static const struct hook_entry last_hooks[] = {ON(stanza_received, FILTER, last_filter), {0}};

static void answer_twice_as_long(struct iq *iq)
{
    struct stanza *r = iq_result_new(iq);
    xml_add_leaf(r->arena, xml_add(r->arena, r->el, TOK_query, TOK_NS_VERSION), TOK_name, S("two"));
    iq_result(iq, r);
}

static void answer_empty(struct iq *iq)
{
    iq_result_empty(iq);
}

static void answer_error(struct iq *iq)
{
    iq_error(iq, ERR_NOT_ALLOWED, "no");
}

static void answer_nothing(struct iq *iq)
{
}

static const struct iq_entry time_iqs[] = {{IQ_TO_SERVER, TOK_NS_TIME, false, answer_empty},
                                           {IQ_TO_ACCOUNT, TOK_NS_TIME, false, answer_error}, {0}};
static const struct iq_entry last_iqs[] = {{IQ_TO_SERVER, TOK_NS_LAST, false, answer_nothing}, {0}};
static const struct iq_entry core_iqs[] = {{IQ_TO_SERVER, TOK_NS_VERSION, false, answer_twice_as_long}, {0}};

MODULE(time_module) = {.name = "mod_time", .iqs = time_iqs, .hooks = time_hooks};
MODULE(ping_module) = {.name = "mod_ping", .hooks = ping_hooks};
MODULE(last_module) = {.name = "mod_last", .iqs = last_iqs, .hooks = last_hooks};
MODULE(core_module) = {.name = "core_things", .core = true, .iqs = core_iqs, .hooks = core_hooks};

/* --- the registry --- */

static const char *run_received(unsigned host)
{
    struct stanza *s = stanza_parse("<message from='x@a.example' to='y@a.example'/>");
    struct stanza_event e = {.stanza = s};
    trail[0] = 0;
    hook_run_stanza_received(host, &e);
    stanza_end(&s);
    return trail;
}

static void order_body(void *arg)
{
    CHECK_INT(module_count(), 4);
    CHECK_STR(str_of(module_at(0)->name), S("core_things"));
    /* by stage, within a stage by the module's name */
    CHECK_STR(str_of(run_received(0)), S("core_filter last_filter ping_filter time_filter ping_archive time_fanout "));
    /* only what is loaded on the host, and core ones always */
    CHECK_STR(str_of(run_received(1)), S("core_filter time_filter time_fanout "));
    /* no such host: nothing at all */
    CHECK_STR(str_of(run_received(2)), S(""));
    CHECK_STR(str_of(run_received(HOST_NONE)), S(""));
    CHECK(module_loaded(0, &ping_module) && !module_loaded(1, &ping_module) && !module_loaded(2, &ping_module));
}

static void stages_and_hosts(void **state)
{
    im_run(CONFIG, order_body, NULL);
}

static void reload_body(void *arg)
{
    struct config *other = config_text(OTHER);
    CHECK(module_iq(0, IQ_TO_SERVER, TOK_NS_TIME));
    im_install(other);
    CHECK_STR(str_of(run_received(0)), S("core_filter last_filter "));
    CHECK_STR(str_of(run_received(1)), S(""));
    CHECK(!module_iq(0, IQ_TO_SERVER, TOK_NS_TIME));
    CHECK(module_iq(0, IQ_TO_SERVER, TOK_NS_LAST));
    im_install(im_config);
    CHECK_STR(str_of(run_received(1)), S("core_filter time_filter time_fanout "));
    config_release(&other);
}

static void reload_changes_what_is_on(void **state)
{
    im_run(CONFIG, reload_body, NULL);
}

static void find_body(void *arg)
{
    CHECK(module_iq(0, IQ_TO_SERVER, TOK_NS_TIME) == &time_iqs[0]);
    CHECK(module_iq(0, IQ_TO_ACCOUNT, TOK_NS_TIME) == &time_iqs[1]);
    CHECK(!module_iq(0, IQ_TO_ACCOUNT, TOK_NS_LAST));
    CHECK(!module_iq(1, IQ_TO_SERVER, TOK_NS_LAST));
    CHECK(module_iq(1, IQ_TO_SERVER, TOK_NS_VERSION) == &core_iqs[0]);
    CHECK(!module_iq(0, IQ_TO_SERVER, TOK_NONE)); /* every unknown namespace is this */
    CHECK(!module_iq(7, IQ_TO_SERVER, TOK_NS_VERSION));
}

static void handlers_by_namespace(void **state)
{
    im_run(CONFIG, find_body, NULL);
}

/* --- verdicts --- */

struct scene {
    struct arena *a;
    const char *ann, *bob;
    struct c2s *ann_c, *bob_c;
};

static void scene_open(struct scene *sc)
{
    sc->a = arena_new();
    sc->ann = home_at(sc->a, 0, "ann", "a.example");
    sc->bob = home_at(sc->a, 0, "bob", "a.example");
    sc->ann_c = stream_new(sc->a, 0, FMT(sc->a, "%s/r", sc->ann));
    sc->bob_c = stream_new(sc->a, 0, FMT(sc->a, "%s/s", sc->bob));
}

static void scene_close(struct scene *sc)
{
    stream_free(sc->ann_c);
    stream_free(sc->bob_c);
    arena_release(&sc->a);
    decides.who = NULL;
}

static bool has(struct c2s *c, const char *words)
{
    struct str s = taken(c);
    bool is = s.n && memmem(s.p, s.n, words, strlen(words));
    buf_clear(&c->out);
    return is;
}

static void to_ann(struct scene *sc, const char *who, enum hook_verdict v)
{
    decides.who = who;
    decides.verdict = v;
    trail[0] = 0;
    route(FMT(sc->a, "<message id='1' from='%s/s' to='%s/r'><body/></message>", sc->bob, sc->ann));
}

static void verdicts_body(void *arg)
{
    struct scene sc;
    scene_open(&sc);
    to_ann(&sc, NULL, HOOK_PASS);
    CHECK(has(sc.ann_c, "<body/>"));

    to_ann(&sc, "ping_filter", HOOK_STOP);
    CHECK_STR(str_of(trail), S("core_filter last_filter ping_filter "));
    SAID(sc.ann_c, "");
    SAID(sc.bob_c, "");

    /* the refusal comes back as an error, which nobody may refuse in turn without ending it */
    to_ann(&sc, "last_filter", HOOK_REJECT);
    SAID(sc.ann_c, "");
    SAID(sc.bob_c, "");
    CHECK_STR(str_of(trail), S("core_filter last_filter core_filter last_filter "));
    scene_close(&sc);
}

static void verdicts(void **state)
{
    im_run(CONFIG, verdicts_body, NULL);
}

static void undelivered_body(void *arg)
{
    static const struct { enum hook_verdict v; const char *back; } rows[] = {
        {HOOK_PASS, "service-unavailable"}, {HOOK_REJECT, "forbidden"}};
    struct scene sc;
    scene_open(&sc);
    const char *nobody = home_at(sc.a, 0, "nobody", "a.example");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        decides.who = "undelivered";
        decides.verdict = rows[i].v;
        route(FMT(sc.a, "<message id='1' from='%s/s' to='%s'><body/></message>", sc.bob, nobody));
        CHECK(has(sc.bob_c, rows[i].back));
    }
    decides.verdict = HOOK_STOP;
    route(FMT(sc.a, "<message id='1' from='%s/s' to='%s'><body/></message>", sc.bob, nobody));
    SAID(sc.bob_c, "");
    /* the sender's client is gone too: nothing goes round */
    decides.verdict = HOOK_PASS;
    route(FMT(sc.a, "<message id='1' from='%s/x' to='%s'><body/></message>", nobody, nobody));
    scene_close(&sc);
}

static void undelivered_messages(void **state)
{
    im_run(CONFIG, undelivered_body, NULL);
}

/* --- answers --- */

static void ask(struct scene *sc, const char *to, const char *ns)
{
    route(FMT(sc->a, "<iq type='get' id='q' from='%s/s' to='%s'><query xmlns='%s'/></iq>", sc->bob, to, ns));
}

static void answers_body(void *arg)
{
    struct scene sc;
    scene_open(&sc);
    ask(&sc, "a.example", "jabber:iq:version");
    CHECK_STR(taken(sc.bob_c), str_of(FMT(sc.a, "<iq to='%s/s' from='a.example' type='result' id='q'>"
                                               "<query xmlns='jabber:iq:version'><name>two</name></query></iq>", sc.bob)));
    buf_clear(&sc.bob_c->out);
    ask(&sc, "a.example", "urn:xmpp:time");
    CHECK_STR(taken(sc.bob_c), str_of(FMT(sc.a, "<iq to='%s/s' from='a.example' type='result' id='q'/>", sc.bob)));
    buf_clear(&sc.bob_c->out);
    ask(&sc, sc.bob, "urn:xmpp:time");
    CHECK(has(sc.bob_c, "<not-allowed "));
    ask(&sc, "a.example", "jabber:iq:last"); /* a handler that forgets to answer */
    CHECK(has(sc.bob_c, "<internal-server-error "));
    scene_close(&sc);
}

static void answers(void **state)
{
    im_run(CONFIG, answers_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_and_hosts),     cmocka_unit_test(reload_changes_what_is_on),
        cmocka_unit_test(handlers_by_namespace), cmocka_unit_test(verdicts),
        cmocka_unit_test(undelivered_messages), cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
