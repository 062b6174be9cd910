/*
 * Sessions of ad-hoc commands on this shard: the answers of earlier stages, bounded in number (per account and in all) and
 * time. One that is over is remembered for a while, so that its id is told apart from one that never was (XEP-0050 §4.3).
 * A client's requests always come to the same shard: that of its stream.
 */
#ifndef MOD_API_ADHOC_SESSION_H
#define MOD_API_ADHOC_SESSION_H

#include "base/list.h"
#include "xmpp/dataform.h"
#include "xmpp/jid.h"

#define ADHOC_ID_CHARS 24
#define ADHOC_SESSIONS_PER_ACCOUNT 8
#define ADHOC_SESSIONS_PER_SHARD 1024
#define ADHOC_SESSION_MS (10 * 60 * 1000)

struct adhoc_session {
    struct list link;
    struct arena *arena;  /* of this struct; renewed with the answers, so that going to and fro does not grow it */
    char id[ADHOC_ID_CHARS + 1];
    struct jid owner;     /* full */
    unsigned host;
    struct str node;
    unsigned stage;       /* that was shown last */
    bool goes_on, completes;
    struct dataform form; /* answers so far */
    uint64_t until_ms;
    bool over;
};

enum adhoc_found { ADHOC_FOUND, ADHOC_UNKNOWN, ADHOC_OVER };

/* Valid until the next suspension. */
struct adhoc_session *adhoc_session_new(struct jid owner, unsigned host, struct str node, uint64_t now_ms);
enum adhoc_found adhoc_session_find(struct str id, struct jid owner, unsigned host, struct str node, uint64_t now_ms,
                                    struct adhoc_session **out);
/* Copies the form in place of what the session had, and gives it a new life time. *s moves. */
void adhoc_session_keep(struct adhoc_session **s, const struct dataform *form, uint64_t now_ms);
/* It is over: forgets the answers. *s moves. */
void adhoc_session_end(struct adhoc_session **s);
/* `now` over `earlier`, field by field; borrows both. */
void adhoc_merge(struct arena *a, const struct dataform *earlier, const struct dataform *now, struct dataform *out);
void adhoc_copy_form(struct arena *a, const struct dataform *form, struct dataform *out);
size_t adhoc_session_count(void);
/* Those of a host: its module is stopped. */
void adhoc_sessions_drop(unsigned host);

#endif
