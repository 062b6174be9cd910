/*
 * Sessions of an account, presence among them, counters and the questions from other shards (core/account/account.c,
 * account_query.c).
 */
#include "im.h"

#define CONFIG "hosts: [a.example, b.example]\nmodules:\n  mod_ping: {}\n"

/* --- what the hooks saw --- */

static struct {
    unsigned opened, closed, presences;
    bool was, now;
    char status[128], reason[64];
    struct c2s *ends; /* this stream ends as soon as anything happens */
} seen;

static void strike(void)
{
    struct c2s *c = seen.ends;
    seen.ends = NULL;
    if (c)
        c2s_end(c, "policy-violation", S("hook"));
}

static enum hook_verdict on_opened(struct session_event *e)
{
    seen.opened++;
    strike();
    return HOOK_PASS;
}

static enum hook_verdict on_closed(struct session_event *e)
{
    seen.closed++;
    CHECK(session_find(e->session->account, jid_res(session_jid(e->session))) == e->session);
    snprintf(seen.reason, sizeof(seen.reason), "%s", e->reason);
    strike();
    return HOOK_PASS;
}

static enum hook_verdict on_presence(struct presence_event *e)
{
    struct xml_el *status = xml_child(e->presence->el, TOK_status, TOK_NS_CLIENT);
    seen.presences++;
    seen.was = e->was_available;
    seen.now = e->available;
    snprintf(seen.status, sizeof(seen.status), "%.*s", STR_ARG(status ? xml_text_of(e->presence->arena, status) : S("-")));
    strike();
    return HOOK_PASS;
}

/* A second handler looks at the session after the first may have ended it. */
static enum hook_verdict look_again(struct presence_event *e)
{
    CHECK(jid_user(session_jid(e->session)).n > 0);
    CHECK(e->session->account->user_len > 0);
    return HOOK_PASS;
}

static const struct hook_entry hooks[] = {
    ON(session_opened, STATE, on_opened), ON(session_closed, STATE, on_closed), ON(session_presence, STATE, on_presence),
    ON(session_presence, FANOUT, look_again), {0}};
MODULE(watcher) = {.name = "mod_ping", .hooks = hooks};

/* --- one account on this shard --- */

struct scene {
    struct arena *a;
    const char *ann;
    struct c2s *of[3];
};

static struct c2s *open_one(struct scene *sc, const char *resource)
{
    return stream_new(sc->a, 0, FMT(sc->a, "%s/%s", sc->ann, resource));
}

static void scene_open(struct scene *sc)
{
    sc->a = arena_new();
    sc->ann = home_at(sc->a, 0, "ann", "a.example");
    memset(&seen, 0, sizeof(seen));
    for (size_t i = 0; i < ARRAY_LEN(sc->of); i++)
        sc->of[i] = open_one(sc, FMT(sc->a, "r%zu", i));
}

static void scene_close(struct scene *sc)
{
    for (size_t i = 0; i < ARRAY_LEN(sc->of); i++)
        stream_free(sc->of[i]);
    CHECK(!session_table_self()->accounts.count);
    CHECK(!session_table_self()->all.root);
    arena_release(&sc->a);
}

/* Exactly this presence, from one resource to another. */
static void got_presence(struct scene *sc, unsigned to, unsigned from, const char *attrs, const char *inner)
{
    const char *end = *inner ? FMT(sc->a, ">%s</presence>", inner) : "/>";
    const char *want = FMT(sc->a, "<presence to='%s/r%u' from='%s/r%u'%s%s", sc->ann, to, sc->ann, from, attrs, end);
    CHECK_STR(taken(sc->of[to]), str_of(want));
    buf_clear(&sc->of[to]->out);
}

static void presence_body(void *arg)
{
    struct scene sc;
    scene_open(&sc);

    /* the first: only itself (RFC 6121 §4.2.2) */
    presence(sc.of[0], "<presence><show>away</show><priority>7</priority></presence>");
    got_presence(&sc, 0, 0, "", "<show>away</show><priority>7</priority>");
    SAID(sc.of[1], "");
    CHECK(!seen.was && seen.now);
    CHECK_INT(sc.of[0]->session->priority, 7);
    CHECK_INT(sc.of[0]->session->show, SHOW_AWAY);

    /* the second learns of the first, then everybody of the second */
    presence(sc.of[1], "<presence><status>x&lt;y</status></presence>");
    CHECK_STR(taken(sc.of[1]),
              str_of(FMT(sc.a, "<presence to='%s/r1' from='%s/r0'><show>away</show><priority>7</priority></presence>"
                               "<presence to='%s/r1' from='%s/r1'><status>x&lt;y</status></presence>",
                         sc.ann, sc.ann, sc.ann, sc.ann)));
    buf_clear(&sc.of[1]->out);
    got_presence(&sc, 0, 1, "", "<status>x&lt;y</status>");
    SAID(sc.of[2], ""); /* not available: nothing */
    CHECK_STR(str_of(seen.status), S("x<y"));

    /* a change goes to all who are available, nobody is introduced again */
    presence(sc.of[1], "<presence><show>dnd</show></presence>");
    got_presence(&sc, 0, 1, "", "<show>dnd</show>");
    got_presence(&sc, 1, 1, "", "<show>dnd</show>");
    CHECK(seen.was && seen.now);

    /* unavailable: also to the one that says so (RFC 6121 §4.5.2) */
    presence(sc.of[1], "<presence type='unavailable'><status>bye</status></presence>");
    got_presence(&sc, 0, 1, " type='unavailable'", "<status>bye</status>");
    got_presence(&sc, 1, 1, " type='unavailable'", "<status>bye</status>");
    CHECK(seen.was && !seen.now);
    CHECK_STR(str_of(seen.status), S("bye"));
    CHECK(!session_available(sc.of[1]->session));
    CHECK_INT(sc.of[1]->session->priority, -1);
    CHECK(!session_last_presence(sc.of[1]->session));

    /* again: nothing to tell */
    presence(sc.of[1], "<presence type='unavailable'/>");
    SAID(sc.of[0], "");
    SAID(sc.of[1], "");
    CHECK(!seen.was && !seen.now);
    scene_close(&sc);
}

static void own_presence(void **state)
{
    im_run(CONFIG, presence_body, NULL);
}

static void words_body(void *arg)
{
    static const struct { const char *xml; int show, priority; } rows[] = {
        {"<presence/>", SHOW_AVAILABLE, 0},
        {"<presence><show>chat</show></presence>", SHOW_CHAT, 0},
        {"<presence><show>xa</show><priority> -5 </priority></presence>", SHOW_XA, -5},
        {"<presence><show>dnd</show><priority>127</priority></presence>", SHOW_DND, 127},
        {"<presence><priority>128</priority></presence>", SHOW_AVAILABLE, 127},
        {"<presence><priority>-128</priority></presence>", SHOW_AVAILABLE, -128},
        {"<presence><priority>-999999</priority></presence>", SHOW_AVAILABLE, -128},
        {"<presence><priority>99999999999999999999999</priority></presence>", SHOW_AVAILABLE, 0},
        {"<presence><priority/></presence>", SHOW_AVAILABLE, 0},
        {"<presence><show>Away</show></presence>", SHOW_AVAILABLE, 0},
        {"<presence><show xmlns='test:x'>away</show></presence>", SHOW_AVAILABLE, 0},
    };
    struct scene sc;
    scene_open(&sc);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        presence(sc.of[0], rows[i].xml);
        CHECK_INT(sc.of[0]->session->show, rows[i].show);
        CHECK_INT(sc.of[0]->session->priority, rows[i].priority);
    }
    scene_close(&sc);
}

static void show_and_priority(void **state)
{
    im_run(CONFIG, words_body, NULL);
}

static void gone_body(void *arg)
{
    struct scene sc;
    scene_open(&sc);
    presence(sc.of[0], "<presence/>");
    presence(sc.of[1], "<presence/>");
    buf_clear(&sc.of[0]->out);

    /* the server speaks for a lost session, the reason is its status */
    session_close(&sc.of[1]->session, "Connection failed: <reset>");
    CHECK(!sc.of[1]->session);
    got_presence(&sc, 0, 1, " type='unavailable'", "<status>Connection failed: &lt;reset&gt;</status>");
    CHECK_STR(str_of(seen.status), S("Connection failed: <reset>"));
    CHECK_STR(str_of(seen.reason), S("Connection failed: <reset>"));
    CHECK(seen.was && !seen.now);

    /* one that never was available says nothing, and its hook runs all the same */
    unsigned presences = seen.presences;
    session_close(&sc.of[2]->session, "test");
    SAID(sc.of[0], "");
    CHECK_INT(seen.presences, presences);
    CHECK_INT(seen.closed, 2);
    session_close(&sc.of[2]->session, "test");
    CHECK_INT(seen.closed, 2);
    scene_close(&sc);
}

static void lost_sessions(void **state)
{
    im_run(CONFIG, gone_body, NULL);
}

/* A handler ends the very session it is told about, or another one, in every hook. */
static void ending_body(void *arg)
{
    for (unsigned victim = 0; victim < 2; victim++) {
        struct scene sc;
        scene_open(&sc);
        presence(sc.of[1], "<presence/>");
        seen.ends = sc.of[victim];
        presence(sc.of[0], "<presence/>");
        CHECK(sc.of[victim]->ended);
        fiber_sleep(0);
        scene_close(&sc);

        scene_open(&sc);
        presence(sc.of[0], "<presence/>");
        presence(sc.of[1], "<presence/>");
        seen.ends = sc.of[victim];
        session_close(&sc.of[0]->session, "test");
        CHECK(sc.of[victim]->ended);
        CHECK_INT(seen.closed, victim + 1);
        scene_close(&sc);
    }
    struct scene sc;
    scene_open(&sc);
    seen.ends = sc.of[0];
    struct c2s *late = open_one(&sc, "late");
    CHECK(sc.of[0]->ended && late->session);
    stream_free(late);
    scene_close(&sc);
}

static void ended_by_a_hook(void **state)
{
    im_run(CONFIG, ending_body, NULL);
}

/* A session without a stream (stream management will have them): nothing is written, and it can be ended. */
static void streamless_body(void *arg)
{
    struct arena *a = arena_new();
    const char *ann = home_at(a, 0, "ann", "a.example");
    struct c2s *c = stream_new(a, 0, FMT(a, "%s/r", ann));
    struct error err = ERROR_INIT;
    unsigned n = 0;
    presence(c, "<presence/>");
    buf_clear(&c->out);
    c->session->owner = NULL;
    route(FMT(a, "<message from='%s/x' to='%s'/>", ann, ann));
    SAID(c, "");
    struct str user = str_n(ann, strcspn(ann, "@"));
    CHECK_INT(account_kick(user, S("a.example"), STR_NULL, KICK_ADMIN, STR_NULL, &n, &err), 0);
    CHECK_INT(n, 1);
    c->session = NULL;
    stream_free(c);
    arena_release(&a);
}

static void session_without_stream(void **state)
{
    im_run(CONFIG, streamless_body, NULL);
}

/* Such an account is in the table while a stanza for it is at work. */
static void sessionless_body(void *arg)
{
    struct arena *a = arena_new();
    const char *ann = home_at(a, 0, "ann", "a.example");
    struct error err = ERROR_INIT;
    struct str user = str_n(ann, strcspn(ann, "@"));
    unsigned n = 7;
    struct account *pinned = account_pin(0, jid_join(a, user, S("a.example"), STR_NULL));
    CHECK_INT(account_kick(user, S("a.example"), STR_NULL, KICK_ADMIN, STR_NULL, &n, &err), 0);
    CHECK_INT(n, 0);
    account_unpin(pinned);
    arena_release(&a);
}

static void kick_of_an_account_without_sessions(void **state)
{
    im_run(CONFIG, sessionless_body, NULL);
}

/* --- counters through changes of the configuration --- */

static int install(void *arg, struct error *err)
{
    im_install(arg);
    return 0;
}

static void put_in_force(struct config *c)
{
    on_shard(0, install, c);
    on_shard(1, install, c);
}

static uint64_t count(const char *host)
{
    struct error err = ERROR_INIT;
    uint64_t n = 77;
    CHECK_INT(account_count_sessions(host ? str_of(host) : STR_NULL, &n, &err), 0);
    return n;
}

static void counters_body(void *arg)
{
    struct arena *a = arena_new();
    struct config *turned = config_text("hosts: [c.example, b.example, a.example]\n");
    struct config *less = config_text("hosts: [b.example]\n");
    struct c2s *ann = stream_new(a, 0, FMT(a, "%s/r", home_at(a, 0, "ann", "a.example")));
    struct c2s *ann2 = stream_new(a, 0, FMT(a, "%s/r2", home_at(a, 0, "ann", "a.example")));
    struct c2s *bob = stream_new(a, 1, FMT(a, "%s/r", home_at(a, 0, "bob", "b.example")));
    CHECK_INT(count("a.example"), 2);
    CHECK_INT(count("b.example"), 1);
    CHECK_INT(count("c.example"), 0);
    CHECK_INT(count(NULL), 3);

    put_in_force(turned);
    CHECK_INT(count("a.example"), 2);
    CHECK_INT(count("b.example"), 1);
    CHECK_INT(count("c.example"), 0);
    CHECK_INT(count(NULL), 3);
    stream_free(ann2);
    CHECK_INT(count("a.example"), 1);
    struct c2s *cat = stream_new(a, 0, FMT(a, "%s/r", home_at(a, 0, "cat", "c.example")));
    CHECK_INT(count("c.example"), 1);

    /* hosts that are gone count nowhere, and their sessions take nobody else's place when they end */
    put_in_force(less);
    CHECK_INT(count("a.example"), 0);
    CHECK_INT(count("b.example"), 1);
    CHECK_INT(count(NULL), 1);
    memset(&seen, 0, sizeof(seen));
    stream_free(ann);
    CHECK_INT(seen.closed, 0); /* no host, no modules */
    CHECK_INT(count("b.example"), 1);

    /* and are there again when the host is */
    put_in_force(turned);
    CHECK_INT(count("c.example"), 1);
    CHECK_INT(count("a.example"), 0);
    CHECK_INT(count(NULL), 2);
    stream_free(cat);
    stream_free(bob);
    CHECK_INT(count(NULL), 0);
    config_release(&turned);
    config_release(&less);
    arena_release(&a);
}

static void counters_follow_the_configuration(void **state)
{
    im_run(CONFIG, counters_body, NULL);
}

/* --- from another shard --- */

struct there {
    struct arena *a;
    const char *ann, *jids[4];
    struct c2s *of[4];
};

static int open_there(void *arg, struct error *err)
{
    struct there *t = arg;
    for (size_t i = 0; i < ARRAY_LEN(t->of); i++)
        t->of[i] = stream_new(t->a, 0, t->jids[i]);
    presence(t->of[0], "<presence><show>xa</show><status>out &amp; about</status><priority>3</priority></presence>");
    presence(t->of[1], "<presence/>");
    return 0;
}

static int free_there(void *arg, struct error *err)
{
    struct there *t = arg;
    for (size_t i = 0; i < ARRAY_LEN(t->of); i++)
        stream_free(t->of[i]);
    CHECK(!session_table_self()->accounts.count);
    return 0;
}

static void there_open(struct there *t)
{
    memset(&seen, 0, sizeof(seen));
    t->a = arena_new();
    t->ann = home_at(t->a, 1, "ann", "a.example");
    for (size_t i = 0; i < ARRAY_LEN(t->jids); i++)
        t->jids[i] = FMT(t->a, "%s/r%zu", t->ann, i);
    on_shard(1, open_there, t);
}

static void there_close(struct there *t)
{
    on_shard(1, free_there, t);
    arena_release(&t->a);
}

static struct str user_of(const struct there *t)
{
    return str_n(t->ann, strcspn(t->ann, "@"));
}

static struct arena *kept_arena;

static bool take_first(const struct session_info *s, void *arg)
{
    *(struct str *)arg = str_of(FMT(kept_arena, "%.*s", STR_ARG(jid_full(s->jid))));
    return false;
}

static void lists_body(void *arg)
{
    struct there t;
    struct session_info *si;
    struct error err = ERROR_INIT;
    struct arena *a = arena_new();
    size_t n;
    there_open(&t);
    struct c2s *here = stream_new(t.a, 1, FMT(t.a, "%s/x", home_at(t.a, 0, "bob", "b.example")));

    CHECK_INT(account_user_sessions(a, user_of(&t), S("a.example"), &si, &n, &err), 0);
    CHECK_INT(n, 4);
    CHECK_STR(jid_full(si[0].jid), str_of(t.jids[0]));
    CHECK_STR(str_of(si[0].connection), S("c2s_tls"));
    CHECK_INT(si[0].port, 1234);
    CHECK(ip_is_loopback(&si[0].ip));
    CHECK_INT(si[0].priority, 3);
    CHECK_STR(str_of(si[0].show), S("xa"));
    CHECK_STR(si[0].status_text, S("out & about"));
    CHECK_STR(str_of(si[1].show), S("available"));
    CHECK_INT(si[2].priority, -1);
    CHECK_STR(str_of(si[2].show), S("unavailable"));
    CHECK_STR(si[2].status_text, S(""));

    CHECK_INT(account_user_sessions(a, S("nobody"), S("a.example"), &si, &n, &err), 0);
    CHECK_INT(n, 0);
    CHECK_INT(account_user_sessions(a, user_of(&t), S("b.example"), &si, &n, &err), 0);
    CHECK_INT(n, 0);
    CHECK_INT(account_sessions(a, STR_NULL, &si, &n, &err), 0);
    CHECK_INT(n, 5);
    for (size_t i = 1; i < n; i++)
        CHECK(str_cmp(jid_full(si[i - 1].jid), jid_full(si[i].jid)) < 0);
    struct session_info kept = si[1];
    struct str seen_first = STR_NULL;
    kept_arena = a;
    CHECK_INT(account_sessions_each(STR_NULL, STR_NULL, jid_full(si[1].jid), take_first, &seen_first, &err), 0);
    CHECK_STR(seen_first, jid_full(si[2].jid));
    CHECK_INT(account_sessions(a, S("b.example"), &si, &n, &err), 0);
    CHECK_INT(n, 1);
    CHECK_STR(jid_bare(si[0].jid), str_of(home_at(t.a, 0, "bob", "b.example")));
    CHECK_INT(account_sessions(a, S("none.example"), &si, &n, &err), 0);
    CHECK_INT(n, 0);
    CHECK_INT(count(NULL), 5);
    CHECK_INT(count("a.example"), 4);
    stream_free(here);
    there_close(&t);
    /* answers are copies: they outlive the sessions */
    CHECK_INT(jid_host(kept.jid).n, 9);
    arena_release(&a);
}

static void lists_and_counts(void **state)
{
    im_run(CONFIG, lists_body, NULL);
}

static unsigned kick(struct there *t, struct str resource, enum kick_kind kind, struct str reason)
{
    struct error err = ERROR_INIT;
    unsigned n = 77;
    CHECK_INT(account_kick(user_of(t), S("a.example"), resource, kind, reason, &n, &err), 0);
    return n;
}

static void kicks_body(void *arg)
{
    struct there t;
    there_open(&t);
    CHECK_INT(kick(&t, S("r9"), KICK_SESSION, S("why")), 0);
    CHECK_INT(kick(&t, S("r1"), KICK_SESSION, S("why")), 1);
    CHECK_INT(kick(&t, S("r1"), KICK_SESSION, S("why")), 0);
    CHECK_STR(str_of(t.of[1]->condition), S("conflict"));
    CHECK_STR(str_of(t.of[1]->text), S("why"));
    CHECK_INT(count(NULL), 3);
    /* all that are left: the account goes with the last of them */
    CHECK_INT(kick(&t, STR_NULL, KICK_ADMIN, STR_NULL), 3);
    CHECK_STR(str_of(t.of[0]->condition), S("policy-violation"));
    CHECK_STR(str_of(t.of[0]->text), S("has been kicked"));
    CHECK_INT(count(NULL), 0);
    CHECK_INT(kick(&t, STR_NULL, KICK_ADMIN, STR_NULL), 0);
    there_close(&t);

    there_open(&t);
    CHECK_INT(kick(&t, S("r0"), KICK_REMOVED, STR_NULL), 1);
    CHECK_STR(str_of(t.of[0]->text), S("User removed"));
    CHECK_INT(kick(&t, STR_NULL, KICK_STOP, STR_NULL), 3);
    CHECK_STR(str_of(t.of[3]->condition), S("system-shutdown"));
    there_close(&t);
}

static void kicks(void **state)
{
    im_run(CONFIG, kicks_body, NULL);
}

static enum err_code inject(struct there *t, const char *resource)
{
    struct error err = ERROR_INIT;
    struct stanza *s = stanza_parse("<message><body>x</body></message>");
    CHECK_INT(account_inject(user_of(t), S("a.example"), str_of(resource), &s, &err) == 0, err.code == ERR_NONE);
    CHECK(!s);
    return err.code;
}

static void inject_body(void *arg)
{
    struct there t;
    there_open(&t);
    CHECK_INT(inject(&t, "r2"), ERR_NONE);
    CHECK_INT(t.of[2]->injected, 1);
    t.of[2]->wait = true;
    CHECK_INT(inject(&t, "r2"), ERR_NONE);
    CHECK_INT(t.of[2]->injected, 2);
    CHECK_INT(inject(&t, "r9"), ERR_NOT_FOUND);
    CHECK_INT(kick(&t, STR_NULL, KICK_ADMIN, STR_NULL), 4);
    CHECK_INT(inject(&t, "r2"), ERR_NOT_FOUND);
    there_close(&t);
}

static void injected_stanzas(void **state)
{
    im_run(CONFIG, inject_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_presence),
        cmocka_unit_test(show_and_priority),
        cmocka_unit_test(lost_sessions),
        cmocka_unit_test(ended_by_a_hook),
        cmocka_unit_test(session_without_stream),
        cmocka_unit_test(kick_of_an_account_without_sessions),
        cmocka_unit_test(counters_follow_the_configuration),
        cmocka_unit_test(lists_and_counts),
        cmocka_unit_test(kicks),
        cmocka_unit_test(injected_stanzas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
