/*
 * Idempotency-Key: a call that changes something and is sent again under the same key is not carried out again; its first
 * answer is. A key belongs to its caller (account, or address of one who is nobody's). Before the call runs the key is
 * claimed on disk, and the answer is on disk before it is sent, so that a restart forgets neither; a call that a crash
 * interrupted is refused under its key instead of being carried out twice.
 *
 * Kept: the answer, sealed with the key, and of the request only an HMAC under it; the key itself is not stored. So the table
 * alone tells nobody anything, as long as clients choose keys that cannot be guessed. Limits below.
 */
#ifndef ADMIN_HTTP_IDEMPOTENCY_H
#define ADMIN_HTTP_IDEMPOTENCY_H

#include "admin/http_answer.h"

#define IDEMPOTENCY_KEY_MAX 255      /* bytes, visible ASCII */
#define IDEMPOTENCY_SECONDS 86400    /* for so long at most */
#define IDEMPOTENCY_COUNT 100000     /* and so many at most; the oldest go first */
#define IDEMPOTENCY_BODY_MAX 16384   /* of an answer that is kept; of a larger one only the status */

struct api_reply;

struct idempotency {
    struct str id;  /* absent: the call has no key, or needs none */
    struct str key; /* as the client sent it */
    struct api_reply *mine;
};

enum idempotency_verdict {
    IDEMPOTENCY_RUN,    /* go on; then idempotency_finish */
    IDEMPOTENCY_REPLAY, /* *an is the first answer: send it */
    IDEMPOTENCY_FAILED  /* c->failure says why not */
};

/* After admission: arguments are bound, the caller is known. */
enum idempotency_verdict idempotency_begin(struct answer *an, struct cmd_call *c, struct idempotency *k) YIELDS;
/* Before the answer is sent. c: as it was left by the call. */
void idempotency_finish(struct answer *an, const struct cmd_call *c, struct idempotency *k) YIELDS;

#endif
