/* The tables of RFC 6121 Appendix A. Owns nothing. Pre-approval (§3.4), which is no state, is core/account/subscribe.c's. */
#include "core/account/subscription.h"

#define KINDS 4 /* subscribe, subscribed, unsubscribe, unsubscribed */
#define GOES(next_) {SUB_##next_, true, ST_INVALID}
#define STAYS(next_) {SUB_##next_, false, ST_INVALID}
#define ANSWERED(next_, reply_) {SUB_##next_, false, ST_##reply_}
#define GOES_ANSWERED(next_, reply_) {SUB_##next_, true, ST_##reply_}

/* §A.2: order of the states as in enum sub_state. */
static const struct sub_step out_steps[KINDS][SUB__COUNT] = {
    [ST_SUBSCRIBE - ST_SUBSCRIBE] = {GOES(NONE_OUT), GOES(NONE_OUT), GOES(NONE_OUT_IN), GOES(NONE_OUT_IN), GOES(TO), GOES(TO_IN),
                                     GOES(FROM_OUT), GOES(FROM_OUT), GOES(BOTH)},
    [ST_SUBSCRIBED - ST_SUBSCRIBE] = {STAYS(NONE), STAYS(NONE_OUT), GOES(FROM), GOES(FROM_OUT), STAYS(TO), GOES(BOTH), STAYS(FROM),
                                      STAYS(FROM_OUT), STAYS(BOTH)},
    [ST_UNSUBSCRIBE - ST_SUBSCRIBE] = {GOES(NONE), GOES(NONE), GOES(NONE_IN), GOES(NONE_IN), GOES(NONE), GOES(NONE_IN), GOES(FROM),
                                       GOES(FROM), GOES(FROM)},
    [ST_UNSUBSCRIBED - ST_SUBSCRIBE] = {STAYS(NONE), STAYS(NONE_OUT), GOES(NONE), GOES(NONE_OUT), STAYS(TO), GOES(TO), GOES(NONE),
                                        GOES(NONE_OUT), GOES(TO)},
};

/* §A.3. Who has a subscription and asks again is told so (§3.1.3); who gives hers up gets it confirmed (§3.3.3). */
static const struct sub_step in_steps[KINDS][SUB__COUNT] = {
    [ST_SUBSCRIBE - ST_SUBSCRIBE] = {GOES(NONE_IN), GOES(NONE_OUT_IN), STAYS(NONE_IN), STAYS(NONE_OUT_IN), GOES(TO_IN),
                                     STAYS(TO_IN),
                                     ANSWERED(FROM, SUBSCRIBED), ANSWERED(FROM_OUT, SUBSCRIBED), ANSWERED(BOTH, SUBSCRIBED)},
    [ST_SUBSCRIBED - ST_SUBSCRIBE] = {STAYS(NONE), GOES(TO), STAYS(NONE_IN), GOES(TO_IN), STAYS(TO), STAYS(TO_IN), STAYS(FROM),
                                      GOES(BOTH), STAYS(BOTH)},
    [ST_UNSUBSCRIBE - ST_SUBSCRIBE] = {STAYS(NONE), STAYS(NONE_OUT), GOES(NONE), GOES(NONE_OUT), STAYS(TO), GOES(TO),
                                       GOES_ANSWERED(NONE, UNSUBSCRIBED), GOES_ANSWERED(NONE_OUT, UNSUBSCRIBED),
                                       GOES_ANSWERED(TO, UNSUBSCRIBED)},
    [ST_UNSUBSCRIBED - ST_SUBSCRIBE] = {STAYS(NONE), GOES(NONE), STAYS(NONE_IN), GOES(NONE_IN), GOES(NONE), GOES(NONE_IN),
                                        STAYS(FROM), GOES(FROM), GOES(FROM)},
};

struct sub_step subscription_out(enum sub_state s, enum stanza_type t)
{
    return out_steps[t - ST_SUBSCRIBE][s];
}

struct sub_step subscription_in(enum sub_state s, enum stanza_type t)
{
    return in_steps[t - ST_SUBSCRIBE][s];
}

static const struct {
    enum roster_subscription subscription;
    enum roster_ask ask;
} columns[SUB__COUNT] = {
    [SUB_NONE] = {ROSTER_NONE, ROSTER_ASK_NONE},     [SUB_NONE_OUT] = {ROSTER_NONE, ROSTER_ASK_OUT},
    [SUB_NONE_IN] = {ROSTER_NONE, ROSTER_ASK_IN},    [SUB_NONE_OUT_IN] = {ROSTER_NONE, ROSTER_ASK_BOTH},
    [SUB_TO] = {ROSTER_TO, ROSTER_ASK_NONE},         [SUB_TO_IN] = {ROSTER_TO, ROSTER_ASK_IN},
    [SUB_FROM] = {ROSTER_FROM, ROSTER_ASK_NONE},     [SUB_FROM_OUT] = {ROSTER_FROM, ROSTER_ASK_OUT},
    [SUB_BOTH] = {ROSTER_BOTH, ROSTER_ASK_NONE},
};

enum sub_state subscription_state(enum roster_subscription subscription, enum roster_ask ask)
{
    bool out = ask == ROSTER_ASK_OUT || ask == ROSTER_ASK_BOTH;
    switch (subscription) {
    case ROSTER_BOTH: return SUB_BOTH;
    case ROSTER_TO: return sub_waits(ask) ? SUB_TO_IN : SUB_TO;
    case ROSTER_FROM: return out ? SUB_FROM_OUT : SUB_FROM;
    case ROSTER_NONE: break;
    }
    if (out)
        return sub_waits(ask) ? SUB_NONE_OUT_IN : SUB_NONE_OUT;
    return sub_waits(ask) ? SUB_NONE_IN : SUB_NONE;
}

enum roster_subscription subscription_of_state(enum sub_state s)
{
    return columns[s].subscription;
}

enum roster_ask subscription_ask_of_state(enum sub_state s)
{
    return columns[s].ask;
}

static const struct {
    struct str word;
    enum roster_subscription subscription;
} names[] = {{{"none", 4}, ROSTER_NONE}, {{"to", 2}, ROSTER_TO}, {{"from", 4}, ROSTER_FROM}, {{"both", 4}, ROSTER_BOTH}};

const char *subscription_name(enum roster_subscription s)
{
    for (size_t i = 1; i < ARRAY_LEN(names); i++)
        if (names[i].subscription == s)
            return names[i].word.p;
    return "none";
}

bool subscription_parse(struct str word, enum roster_subscription *out)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(word, names[i].word)) {
            *out = names[i].subscription;
            return true;
        }
    return false;
}
