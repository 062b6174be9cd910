/* XMPP Ping, XEP-0199: answers for the server and for accounts. Pinging idle clients is not done yet. */
#include "core/module/module.h"

static void on_ping(struct iq *iq)
{
    if (iq->stanza->type != ST_GET || iq->child->tok != TOK_ping)
        iq_error(iq, ERR_BAD_REQUEST, "Ping query is incorrect");
    else
        iq_result_empty(iq);
}

static const char *const features[] = {"urn:xmpp:ping", NULL};
static const struct iq_entry iqs[] = {
    {IQ_TO_SERVER, TOK_NS_PING, false, on_ping}, {IQ_TO_ACCOUNT, TOK_NS_PING, false, on_ping}, {0}};

MODULE(mod_ping) = {
    .name = "mod_ping", .xep = "XEP-0199 2.0.1", .features = features, .account_features = features, .iqs = iqs};
