/* RFC 6121 Appendix A, state by state: every transition in words of the RFC, and the columns they are kept in. */
#include "../store/harness.h"

#include "core/account/subscription.h"

/* States in words: subscription, "+o" we asked, "+i" she asked. */
static const char *const names[SUB__COUNT] = {"none", "none+o", "none+i", "none+oi", "to", "to+i", "from", "from+o", "both"};

struct row {
    const char *from, *to;
    bool pass;
    enum stanza_type reply;
};

#define SAME(s) {s, s, false, ST_INVALID}
#define SENT(s) {s, s, true, ST_INVALID}
#define GOES(s, t) {s, t, true, ST_INVALID}
#define TOLD(s) {s, s, false, ST_SUBSCRIBED}
#define DONE(s, t) {s, t, true, ST_UNSUBSCRIBED}

static enum sub_state named(const char *name)
{
    for (unsigned s = 0; s < SUB__COUNT; s++)
        if (!strcmp(names[s], name))
            return (enum sub_state)s;
    abort();
}

static void check(const struct row *rows, enum stanza_type t, struct sub_step (*fn)(enum sub_state s, enum stanza_type t))
{
    for (unsigned i = 0; i < SUB__COUNT; i++) {
        struct sub_step got = fn(named(rows[i].from), t);
        if (strcmp(names[got.next], rows[i].to) || got.pass != rows[i].pass || got.reply != rows[i].reply)
            fprintf(stderr, "%s of %s: %s\n", stanza_type_str(t).p, rows[i].from, names[got.next]);
        CHECK(!strcmp(names[got.next], rows[i].to));
        CHECK(got.pass == rows[i].pass);
        CHECK(got.reply == rows[i].reply);
    }
}

/* A.2.1 */
static void out_subscribe(void **state)
{
    static const struct row rows[] = {GOES("none", "none+o"), SENT("none+o"), GOES("none+i", "none+oi"), SENT("none+oi"),
                                      SENT("to"), SENT("to+i"), GOES("from", "from+o"), SENT("from+o"), SENT("both")};
    check(rows, ST_SUBSCRIBE, subscription_out);
}

/* A.2.2 */
static void out_unsubscribe(void **state)
{
    static const struct row rows[] = {SENT("none"), GOES("none+o", "none"), SENT("none+i"), GOES("none+oi", "none+i"),
                                      GOES("to", "none"), GOES("to+i", "none+i"), SENT("from"), GOES("from+o", "from"),
                                      GOES("both", "from")};
    check(rows, ST_UNSUBSCRIBE, subscription_out);
}

/* A.2.3 */
static void out_subscribed(void **state)
{
    static const struct row rows[] = {SAME("none"), SAME("none+o"), GOES("none+i", "from"), GOES("none+oi", "from+o"), SAME("to"),
                                      GOES("to+i", "both"), SAME("from"), SAME("from+o"), SAME("both")};
    check(rows, ST_SUBSCRIBED, subscription_out);
}

/* A.2.4 */
static void out_unsubscribed(void **state)
{
    static const struct row rows[] = {SAME("none"), SAME("none+o"), GOES("none+i", "none"), GOES("none+oi", "none+o"), SAME("to"),
                                      GOES("to+i", "to"), GOES("from", "none"), GOES("from+o", "none+o"), GOES("both", "to")};
    check(rows, ST_UNSUBSCRIBED, subscription_out);
}

/* A.3.1 */
static void in_subscribe(void **state)
{
    static const struct row rows[] = {GOES("none", "none+i"), GOES("none+o", "none+oi"), SAME("none+i"), SAME("none+oi"),
                                      GOES("to", "to+i"), SAME("to+i"), TOLD("from"), TOLD("from+o"), TOLD("both")};
    check(rows, ST_SUBSCRIBE, subscription_in);
}

/* A.3.2 */
static void in_unsubscribe(void **state)
{
    static const struct row rows[] = {SAME("none"), SAME("none+o"), GOES("none+i", "none"), GOES("none+oi", "none+o"), SAME("to"),
                                      GOES("to+i", "to"), DONE("from", "none"), DONE("from+o", "none+o"), DONE("both", "to")};
    check(rows, ST_UNSUBSCRIBE, subscription_in);
}

/* A.3.3 */
static void in_subscribed(void **state)
{
    static const struct row rows[] = {SAME("none"), GOES("none+o", "to"), SAME("none+i"), GOES("none+oi", "to+i"), SAME("to"),
                                      SAME("to+i"), SAME("from"), GOES("from+o", "both"), SAME("both")};
    check(rows, ST_SUBSCRIBED, subscription_in);
}

/* A.3.4 */
static void in_unsubscribed(void **state)
{
    static const struct row rows[] = {SAME("none"), GOES("none+o", "none"), SAME("none+i"), GOES("none+oi", "none+i"),
                                      GOES("to", "none"), GOES("to+i", "none+i"), SAME("from"), GOES("from+o", "from"),
                                      GOES("both", "from")};
    check(rows, ST_UNSUBSCRIBED, subscription_in);
}

static void columns(void **state)
{
    for (unsigned s = 0; s < SUB__COUNT; s++)
        CHECK(subscription_state(subscription_of_state((enum sub_state)s), subscription_ask_of_state((enum sub_state)s)) == s);
    /* What contradicts itself counts as the subscription says. */
    CHECK(subscription_state(ROSTER_BOTH, ROSTER_ASK_BOTH) == SUB_BOTH);
    CHECK(subscription_state(ROSTER_TO, ROSTER_ASK_OUT) == SUB_TO);
    CHECK(subscription_state(ROSTER_TO, ROSTER_ASK_BOTH) == SUB_TO_IN);
    CHECK(subscription_state(ROSTER_FROM, ROSTER_ASK_IN) == SUB_FROM);
    CHECK(subscription_state(ROSTER_FROM, ROSTER_ASK_BOTH) == SUB_FROM_OUT);
}

static void words(void **state)
{
    static const enum roster_subscription all[] = {ROSTER_NONE, ROSTER_TO, ROSTER_FROM, ROSTER_BOTH};
    enum roster_subscription got;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        CHECK(subscription_parse(str_of(subscription_name(all[i])), &got) && got == all[i]);
    CHECK(!subscription_parse(S("Both"), &got));
    CHECK(!subscription_parse(S(""), &got));
    CHECK(!subscription_parse(S("remove"), &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(out_subscribe), cmocka_unit_test(out_unsubscribe), cmocka_unit_test(out_subscribed),
        cmocka_unit_test(out_unsubscribed), cmocka_unit_test(in_subscribe), cmocka_unit_test(in_unsubscribe),
        cmocka_unit_test(in_subscribed), cmocka_unit_test(in_unsubscribed), cmocka_unit_test(columns), cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
