/* The delivery rules of RFC 6121 §8.5, case by case, on one shard. */
#include "im.h"

#define CONFIG "hosts: [a.example]\n"

/*
 * Sessions: "r1:5 r2:-1 r3:u", a resource and its priority, u: bound but not available. Who: the resource part of the
 * receiver, empty for the bare address. got: resources that get it. back: what the sender is told.
 */
struct row {
    const char *sessions, *stanza, *who, *got, *back;
};

#define MESSAGE(type) "<message type='" type "' id='m'><body>hi</body></message>"
#define NORMAL "<message id='m'><body>hi</body></message>"
#define PRESENCE(type) "<presence type='" type "' id='m'/>"
#define AVAILABLE "<presence id='m'/>"
#define IQ(type) "<iq type='" type "' id='m'><x xmlns='test:none'/></iq>"
#define MANY "r1:5 r2:5 r3:1 r4:-1 r5:u"
#define REFUSED "service-unavailable"

static const struct row rows[] = {
    /* §8.5.2.2.1, §8.5.3.2.1: nobody is there */
    {"", NORMAL, "", "", REFUSED},
    {"", MESSAGE("normal"), "", "", REFUSED},
    {"", MESSAGE("nonsense"), "", "", REFUSED},
    {"", MESSAGE("chat"), "", "", REFUSED},
    {"", MESSAGE("groupchat"), "", "", REFUSED},
    {"", MESSAGE("headline"), "", "", ""},
    {"", MESSAGE("error"), "", "", ""},
    {"", NORMAL, "gone", "", REFUSED},
    {"", MESSAGE("chat"), "gone", "", REFUSED},
    {"", MESSAGE("groupchat"), "gone", "", REFUSED},
    {"", MESSAGE("headline"), "gone", "", ""},
    {"", MESSAGE("error"), "gone", "", ""},
    {"", AVAILABLE, "", "", ""},
    {"", PRESENCE("unavailable"), "", "", ""},
    {"", PRESENCE("subscribe"), "", "", ""},
    {"", PRESENCE("probe"), "", "", ""},
    {"", PRESENCE("error"), "", "", ""},
    {"", AVAILABLE, "gone", "", ""},
    {"", PRESENCE("probe"), "gone", "", ""},
    {"", IQ("get"), "", "", REFUSED},
    {"", IQ("set"), "", "", REFUSED},
    {"", IQ("result"), "", "", ""},
    {"", IQ("error"), "", "", ""},
    {"", IQ("get"), "gone", "", REFUSED},
    {"", IQ("set"), "gone", "", REFUSED},
    {"", IQ("result"), "gone", "", ""},
    {"", IQ("error"), "gone", "", ""},
    /* one */
    {"r1:0", NORMAL, "", "r1", ""},
    {"r1:0", MESSAGE("chat"), "", "r1", ""},
    {"r1:0", MESSAGE("groupchat"), "", "", REFUSED},
    {"r1:0", MESSAGE("headline"), "", "r1", ""},
    {"r1:0", MESSAGE("error"), "", "", ""},
    {"r1:0", NORMAL, "r1", "r1", ""},
    {"r1:0", MESSAGE("chat"), "r1", "r1", ""},
    {"r1:0", MESSAGE("groupchat"), "r1", "r1", ""},
    {"r1:0", MESSAGE("headline"), "r1", "r1", ""},
    {"r1:0", MESSAGE("error"), "r1", "r1", ""},
    {"r1:0", AVAILABLE, "", "r1", ""},
    {"r1:0", AVAILABLE, "r1", "r1", ""},
    {"r1:0", PRESENCE("unavailable"), "r1", "r1", ""},
    {"r1:0", PRESENCE("probe"), "", "", ""},
    {"r1:0", PRESENCE("probe"), "r1", "", ""},
    {"r1:0", IQ("get"), "", "", REFUSED},
    {"r1:0", IQ("get"), "r1", "r1", ""},
    {"r1:0", IQ("set"), "r1", "r1", ""},
    {"r1:0", IQ("result"), "r1", "r1", ""},
    {"r1:0", IQ("error"), "r1", "r1", ""},
    /* several: the highest priority, all of them; §8.5.2.1 */
    {MANY, NORMAL, "", "r1 r2", ""},
    {MANY, MESSAGE("chat"), "", "r1 r2", ""},
    {MANY, MESSAGE("groupchat"), "", "", REFUSED},
    {MANY, MESSAGE("headline"), "", "r1 r2 r3", ""},
    {MANY, MESSAGE("error"), "", "", ""},
    {MANY, AVAILABLE, "", "r1 r2 r3 r4", ""},
    {MANY, PRESENCE("unavailable"), "", "r1 r2 r3 r4", ""},
    {MANY, PRESENCE("subscribe"), "", "r1 r2 r3 r4", ""},
    {MANY, IQ("get"), "", "", REFUSED},
    /* a full address reaches its resource whatever the priority, available or not; §8.5.3.1 */
    {MANY, MESSAGE("chat"), "r3", "r3", ""},
    {MANY, MESSAGE("chat"), "r4", "r4", ""},
    {MANY, MESSAGE("chat"), "r5", "r5", ""},
    {MANY, MESSAGE("error"), "r5", "r5", ""},
    {MANY, AVAILABLE, "r5", "r5", ""},
    {MANY, IQ("get"), "r5", "r5", ""},
    /* and one that is gone */
    {MANY, NORMAL, "gone", "r1 r2", ""},
    {MANY, MESSAGE("chat"), "gone", "r1 r2", ""},
    {MANY, MESSAGE("groupchat"), "gone", "", REFUSED},
    {MANY, MESSAGE("headline"), "gone", "", ""},
    {MANY, MESSAGE("error"), "gone", "", ""},
    {MANY, AVAILABLE, "gone", "", ""},
    {MANY, PRESENCE("unavailable"), "gone", "", ""},
    {MANY, IQ("get"), "gone", "", REFUSED},
    {MANY, IQ("result"), "gone", "", ""},
    /* negative priorities and bound resources take nothing sent to the account; §8.5.2.1.1 */
    {"r1:-1 r2:-128", NORMAL, "", "", REFUSED},
    {"r1:-1 r2:-128", MESSAGE("chat"), "", "", REFUSED},
    {"r1:-1", MESSAGE("headline"), "", "", ""},
    {"r1:-1", MESSAGE("chat"), "gone", "", REFUSED},
    {"r1:-1", AVAILABLE, "", "r1", ""},
    {"r1:u", MESSAGE("chat"), "", "", REFUSED},
    {"r1:u", AVAILABLE, "", "", ""},
    {"r1:u r2:-1 r3:0", MESSAGE("chat"), "", "r3", ""},
    {"r1:127 r2:-128", MESSAGE("chat"), "", "r1", ""},
};

struct scene {
    struct arena *a;
    struct c2s *sender, *of[8];
    size_t n;
    const char *account;
};

static void add_session(struct scene *sc, struct str word)
{
    struct str name;
    char jid[128], xml[128];

    CHECK(str_split(&word, ':', &name));
    snprintf(jid, sizeof(jid), "%s/%.*s", sc->account, STR_ARG(name));
    struct c2s *c = sc->of[sc->n++] = stream_new(sc->a, 0, jid);
    if (str_eq(word, S("u")))
        return;
    snprintf(xml, sizeof(xml), "<presence><priority>%.*s</priority></presence>", STR_ARG(word));
    presence(c, xml);
}

static void open_scene(struct scene *sc, const char *sessions)
{
    struct str rest = str_of(sessions), word;

    *sc = (struct scene){.a = arena_new()};
    sc->account = home_at(sc->a, 0, "ann", "a.example");
    sc->sender = stream_new(sc->a, 0, FMT(sc->a, "%s/s", home_at(sc->a, 0, "bob", "a.example")));
    while (rest.n && str_split(&rest, ' ', &word))
        add_session(sc, word);
    for (size_t i = 0; i < sc->n; i++)
        buf_clear(&sc->of[i]->out);
}

static void close_scene(struct scene *sc)
{
    stream_free(sc->sender);
    for (size_t i = 0; i < sc->n; i++)
        stream_free(sc->of[i]);
    arena_release(&sc->a);
}

static struct str resources_that_got_one(struct scene *sc)
{
    struct str got = STR_NULL;

    for (size_t i = 0; i < sc->n; i++) {
        struct str name = jid_res(session_jid(sc->of[i]->session));
        if (sc->of[i]->out.n)
            got = arena_printf(sc->a, "%.*s%s%.*s", STR_ARG(got), got.n ? " " : "", STR_ARG(name));
    }
    return got;
}

/* Condition of the error in what the sender got; the whole when it is something else. */
static struct str condition(struct scene *sc)
{
    struct str got = taken(sc->sender);

    if (!got.n)
        return got;
    struct stanza *s = stanza_parse(arena_cstr(sc->a, got));
    struct xml_el *e = xml_child(s->el, TOK_error, TOK_NS_CLIENT);
    struct str word = e && s->type == ST_ERROR && str_eq(s->id, S("m")) ? arena_str(sc->a, xml_first(e)->name) : got;
    stanza_end(&s);
    return word;
}

static void send_row(struct scene *sc, const struct row *r)
{
    struct stanza *s = stanza_parse(r->stanza);
    const char *to = FMT(sc->a, "%s%s%s", sc->account, *r->who ? "/" : "", r->who);

    s->from = session_jid(sc->sender->session);
    CHECK(jid_parse(s->arena, arena_str(s->arena, str_of(to)), &s->to));
    router_route(&s);
    CHECK(!s);
}

static void all_rows(void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct scene sc;
        open_scene(&sc, rows[i].sessions);
        send_row(&sc, &rows[i]);
        struct str got = resources_that_got_one(&sc), back = condition(&sc);
        if (!str_eq(got, str_of(rows[i].got)) || !str_eq(back, str_of(rows[i].back)))
            fprintf(stderr, "[%s] %s to '%s': got [%.*s], sender [%.*s]\n", rows[i].sessions, rows[i].stanza, rows[i].who,
                    STR_ARG(got), STR_ARG(back));
        CHECK_STR(got, str_of(rows[i].got));
        CHECK_STR(back, str_of(rows[i].back));
        close_scene(&sc);
    }
}

static void table_of_rfc6121(void **state)
{
    im_run(CONFIG, all_rows, NULL);
}

/* --- what is written --- */

static void addresses(void *arg)
{
    struct arena *a = arena_new();
    struct c2s *b = stream_new(a, 0, FMT(a, "%s/s", home_at(a, 0, "bob", "a.example")));
    struct c2s *c = stream_new(a, 0, FMT(a, "%s/r", home_at(a, 0, "ann", "a.example")));
    const char *ann = home_at(a, 0, "ann", "a.example"), *bob = home_at(a, 0, "bob", "a.example");
    presence(c, "<presence/>");
    buf_clear(&c->out);

    /* a message keeps the address it was sent to, presence gets the resource's (RFC 6121 §4.2.2) */
    route(FMT(a, "<message type='chat' from='%s/s' to='%s'><body>a&amp;b</body></message>", bob, ann));
    CHECK_STR(taken(c), str_of(FMT(a, "<message to='%s' from='%s/s' type='chat'><body>a&amp;b</body></message>", ann, bob)));
    buf_clear(&c->out);
    route(FMT(a, "<presence from='%s/s' to='%s'/>", bob, ann));
    CHECK_STR(taken(c), str_of(FMT(a, "<presence to='%s/r' from='%s/s'/>", ann, bob)));

    /* an error carries the original's children and swaps the addresses (RFC 6120 §8.3.1) */
    route(FMT(a, "<iq type='get' id='7' from='%s/s' to='%s/none'><q xmlns='test:q'><i/></q></iq>", bob, ann));
    CHECK_STR(taken(b), str_of(FMT(a, "<iq to='%s/s' from='%s/none' type='error' id='7'><q xmlns='test:q'><i/></q>"
                                      "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
                                      "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>"
                                      "User session not found</text>"
                                      "</error></iq>", bob, ann)));
    stream_free(b);
    stream_free(c);
    arena_release(&a);
}

static void addresses_and_errors(void **state)
{
    im_run(CONFIG, addresses, NULL);
}

/* The last session of the receiver goes while it is being written to: the rest of the delivery must not use what is gone. */
static struct c2s *victim;

static enum hook_verdict end_the_receiver(struct stanza_event *e)
{
    if (victim)
        c2s_end(victim, "policy-violation", STR_NULL);
    return HOOK_PASS;
}

static const struct hook_entry hooks[] = {ON(stanza_received, FILTER, end_the_receiver), {0}};
MODULE(ends_receiver) = {.name = "test_ends_receiver", .core = true, .hooks = hooks};

static void last_goes(void *arg)
{
    struct arena *a = arena_new();
    const char *ann = home_at(a, 0, "ann", "a.example"), *bob = home_at(a, 0, "bob", "a.example");
    struct c2s *b = stream_new(a, 0, FMT(a, "%s/s", bob));
    const char *to[] = {ann, FMT(a, "%s/r", ann)};
    const char *kinds[] = {"message", "presence", "iq type='set'", "message type='headline'"};

    for (size_t i = 0; i < 2 * ARRAY_LEN(kinds); i++) {
        struct c2s *c = stream_new(a, 0, FMT(a, "%s/r", ann));
        presence(c, "<presence/>");
        buf_clear(&c->out);
        victim = c;
        const char *kind = kinds[i / 2];
        route(FMT(a, "<%s id='1' from='%s/s' to='%s'><x xmlns='test:x'/></%.*s>", kind, bob, to[i % 2],
                  (int)strcspn(kind, " "), kind));
        victim = NULL;
        CHECK(c->ended && !c->out.n);
        CHECK(!account_find(S("ann0"), S("a.example")));
        stream_free(c);
    }
    stream_free(b);
    arena_release(&a);
}

static void receiver_ends_in_a_hook(void **state)
{
    im_run(CONFIG, last_goes, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_rfc6121),
        cmocka_unit_test(addresses_and_errors),
        cmocka_unit_test(receiver_ends_in_a_hook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
