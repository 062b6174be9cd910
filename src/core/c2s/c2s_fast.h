/* FAST (XEP-0484) on client streams: logging in with a token instead of a password, and what a login leaves for the next one. */
#ifndef CORE_C2S_FAST_H
#define CORE_C2S_FAST_H

#include "base/buf.h"
#include "xmpp/sasl_ht.h"

struct c2s;
struct xml_el;

/* Of a login. */
struct c2s_fast {
    bool used;          /* a token was shown and fitted */
    bool wanted;        /* a new one is to go with <success/> */
    enum ht_mech mech;  /* of the one that fitted */
    enum ht_mech next;  /* of the new one */
    int64_t age_s;
    bool invalidated;
    struct str answer;  /* <token/>, or absent */
};

/* What stands in <inline/>; nothing where it is not offered. */
void c2s_fast_features(struct c2s *c, struct buf *b);
/* <authenticate/> with a mechanism of FAST, whose initial response is `initial`: answers it. */
void c2s_fast_authenticate(struct c2s *c, enum ht_mech m, struct xml_el *initial) YIELDS;
/* The login is proved, however: decides on a new token, while the connection's channel bindings are at hand. */
void c2s_fast_proved(struct c2s *c);
/* Makes it. A failure is logged and the login goes on without: the client has another way in. */
void c2s_fast_issue(struct c2s *c) YIELDS;

#endif
