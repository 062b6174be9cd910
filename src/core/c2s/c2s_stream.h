/* The parts of a client stream, shared by core/c2s*.c. One stream lives on one shard at a time (it moves after login). */
#ifndef CORE_C2S_STREAM_H
#define CORE_C2S_STREAM_H

#include "base/list.h"
#include "core/account/session.h"
#include "core/c2s/c2s.h"
#include "core/c2s/c2s_fast.h"
#include "core/c2s/c2s_upgrade.h"
#include "rt/timer.h"
#include "xml/stream.h"
#include "xmpp/sasl.h"

enum c2s_state {
    C2S_HEADER, /* a stream header is due: first, after TLS, after SASL */
    C2S_AUTH,   /* features were sent, nobody is authenticated */
    C2S_BIND,   /* authenticated, no resource yet */
    C2S_BOUND,
    C2S_ENDED   /* our end tag was sent */
};

/* Needed only until a resource is bound. Its arena may hold passwords and is wiped. */
struct c2s_login {
    struct arena *arena;
    struct str host;           /* a copy: names of the configuration may go while a fiber waits */
    struct str user;           /* prepared; set when authenticated */
    struct str from;           /* bare address in the stream's header; absent: none */
    bool authenticated;
    bool stranger;             /* nobody's name: what is kept under it goes with the session */
    unsigned offered;          /* mechanisms of the last features, SASL_MECH_BIT */
    unsigned failures;
    bool running;              /* an exchange waits for <response/> */
    enum sasl_mech mech;
    struct scram_server scram;
    struct scram_keys keys;
    bool fake;                 /* keys of nobody: the exchange must fail */
    bool challenged_empty;     /* the initial response is still due */
    struct sasl2 *v2;          /* the exchange is one of XEP-0388 */
    struct c2s_cert *cert;     /* the client's, verified; NULL: none (core/c2s/c2s_cert.h) */
    struct c2s_fast fast;
    struct c2s_upgrade upgrade;
};

struct c2s {
    struct conn *conn;
    struct xml_stream *xml;
    struct session *session;
    struct csi *csi;           /* NULL: active */
    struct c2s_login *login;
    struct list link;          /* of the shard's streams */
    struct timer timer;        /* negotiation; later an unfinished stanza */
    uint8_t state;             /* enum c2s_state */
    bool header_sent, tls_asked, moving;
    unsigned host;             /* index in the configuration; valid once a header named it */
    bool host_known;
    bool working;              /* a stanza of it is being dealt with */
    bool leaving;              /* its session is about to be resumed elsewhere: nothing more is read */
    char lang[36];             /* of the client's header when it differs from the server's; RFC 5646 §4.4.1: 35 fit all */
};

/* core/c2s/c2s_open.c */
void c2s_open(struct c2s *c, const struct xml_el *header) YIELDS;
/* XEP-0478: what is true from here on. */
void c2s_limits_feature(const struct c2s *c, struct buf *b);
void c2s_send_header(struct c2s *c, struct str from, struct str to, struct str version);
/* Features of rosters, for a stream that is authenticated. */
void c2s_roster_features(const struct c2s *c, struct buf *b);
/* core/c2s/c2s_sasl.c: an element of urn:ietf:params:xml:ns:xmpp-sasl */
void c2s_sasl(struct c2s *c, struct xml_el *el) YIELDS;
unsigned c2s_mechanisms(struct c2s *c);
/* Option disable_sasl_mechanisms; also for those that are not in features by themselves. */
bool c2s_mech_disabled(const struct c2s *c, struct str name);
#define C2S_BINDINGS 3
/* The channel bindings this connection has (XEP-0440); none without TLS. */
size_t c2s_channel_bindings(struct c2s *c, struct str out[C2S_BINDINGS]);
void c2s_login_delete(struct c2s_login **l);
/* For mechanisms in files of their own. The exchange ends; several tries are allowed. text may be absent. */
void c2s_sasl_fail(struct c2s *c, enum sasl_failure f, struct str text);
/* The same, telling the log and the modules whose credentials were not good. */
void c2s_sasl_refuse(struct c2s *c, struct str user, enum sasl_failure f, struct str text) YIELDS;
/* The prepared name is proved; data goes with the success. */
void c2s_sasl_accept(struct c2s *c, struct str user, struct str data) YIELDS;
/* true: answered, or the stream ended meanwhile. */
bool c2s_sasl_banned(struct c2s *c, struct str user) YIELDS;
/* core/c2s/c2s_sasl2.c */
bool c2s_sasl2_offered(const struct c2s *c);
void c2s_sasl2_features(struct c2s *c, struct buf *b);
/* An exchange begins, or the element is another one: false. */
bool c2s_sasl2_begin(struct c2s *c, struct xml_el *el);
struct xml_el *c2s_sasl2_initial(const struct c2s *c); /* NULL: none */
/* A child of <authenticate/>; NULL: none, or the exchange is of the older profile. */
struct xml_el *c2s_sasl2_child(const struct c2s *c, const char *name, const char *ns);
/* The installation of the client (user-agent id); absent: it does not say, or too long. */
struct str c2s_sasl2_agent(const struct c2s *c);
void c2s_sasl2_challenge(struct c2s *c, struct str data);
void c2s_sasl2_failure(struct c2s *c, struct str condition, struct str text);
/* Who it is is known: after the tasks that are left (core/c2s/c2s_upgrade.h) it is complete. */
void c2s_sasl2_proved(struct c2s *c, struct str data) YIELDS;
/* The stream goes home and finishes there, on its own fiber. */
void c2s_sasl2_complete(struct c2s *c, struct str data);
void c2s_sasl2_finish(struct c2s *c) YIELDS;
void c2s_send_features(struct c2s *c);
/* core/c2s/c2s_stanza.c */
/*
 * Of a stranger, who is written down before anything can be: *out is to be given to stranger_settle when there is a session, NULL:
 * it is none. false: the stream has ended.
 */
bool c2s_note_stranger(struct c2s *c, struct account **out) YIELDS;
/* Nobody has removed or banned the account since it logged in. false: the stream has ended. */
bool c2s_still_welcome(struct c2s *c) YIELDS;
/*
 * A session of that resource; whoever has it makes room, whatever resource_conflict says: it is the same client. false: the
 * listener's rule says no. c2s_bound and session_opened are the caller's.
 */
bool c2s_bind_resource(struct c2s *c, struct str resource, struct jid *full_out);
void c2s_element(struct c2s *c, struct xml_el *el, struct arena **a) YIELDS;
/* core/c2s/c2s_mgmt.c: an element of stream management */
void c2s_mgmt(struct c2s *c, struct xml_el *el) YIELDS;
/*
 * What stands in b from `at` on is a stanza for the client, made of st (NULL: nobody waits for it). A request for acknowledgement
 * may follow it.
 */
void c2s_mgmt_sent(struct c2s *c, enum stanza_kind kind, const struct stanza *st, struct buf *b, size_t at);
void c2s_mgmt_features(const struct c2s *c, struct buf *b);
/* Inline in SASL2: the session that <resume/> names, or NULL and <failed/> in out; the stream may have ended. */
struct session *c2s_mgmt_former(struct c2s *c, struct xml_el *resume, struct buf *failed_out) YIELDS;
/* It goes on here; <resumed/> is written between the two. */
void c2s_mgmt_resume(struct c2s *c, struct session *s, struct str before, struct str after);
/* Enables, with the answer to out. */
void c2s_mgmt_enable_inline(struct c2s *c, struct xml_el *enable, struct buf *out);
/* NULL: mod_stream_mgmt is not loaded there. */
const struct options *c2s_mgmt_options(const struct c2s *c);
/* core/c2s/c2s_csi.c: an element of client state indication */
void c2s_csi(struct c2s *c, const struct xml_el *el);
/* On an inactive stream: true when the stanza waits. Sends what has to come before it otherwise. */
bool c2s_csi_keeps(struct c2s *c, const struct stanza *s);
/* What waits is queued for resumption; the stream is over. */
void c2s_csi_to_mgmt(struct c2s *c, struct mgmt *m);
void c2s_csi_free(struct c2s *c);
void c2s_csi_features(const struct c2s *c, struct buf *b);
/* core/c2s/c2s.c */
/* The session ends and the connection is closed; the end tag has been written. */
void c2s_finish(struct c2s *c, const char *why);
/* The connection is no good any more: the session waits for another one, if it can be resumed, or ends. */
void c2s_lost(struct c2s *c, const char *why);
/* Bytes of one element, in the state the stream is in. */
size_t c2s_max_stanza(const struct c2s *c);
const struct vhost *c2s_vhost(const struct c2s *c);
const struct c2s_listen *c2s_listen(const struct c2s *c);
void c2s_write(struct c2s *c, struct str bytes);
/* After SASL success: fresh stream, home shard. */
void c2s_authenticated(struct c2s *c);
void c2s_start_tls(struct c2s *c);
/* A resource is bound: what the login needed is let go. */
void c2s_bound(struct c2s *c);

#endif
