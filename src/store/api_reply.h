/*
 * Answers of API calls that carried an Idempotency-Key, so that a call that is sent again is answered again instead of being
 * carried out again, also after a restart. Table cjabberd_api_reply (this server's own; ejabberd has none): id text,
 * request text, run text, created bigint (seconds), status integer, type, headers, body text.
 */
#ifndef STORE_API_REPLY_H
#define STORE_API_REPLY_H

#include "store/store.h"

struct api_reply {
    struct str request; /* says whether it is the same call */
    struct str run;     /* the server's run that carries it out or did */
    int status;         /* HTTP; 0: there is no answer yet */
    struct str type;    /* of the body; empty: the body was too large to keep */
    struct str headers, body; /* sealed by whoever keeps them (admin/http_idempotency.c) */
};

/*
 * Claims the id for mine->request and mine->run. STORE_OK: it is the caller's, on disk. STORE_CONFLICT: somebody had it
 * before; *found_out (in `a`) is what there is. Entries made before `expired` are removed on the way, and the oldest
 * beyond `keep` entries now and then.
 */
enum store_rc api_reply_claim(struct arena *a, struct str id, const struct api_reply *mine, int64_t now, int64_t expired,
                              size_t keep, struct api_reply *found_out) YIELDS;
/* The answer of a claimed id. */
enum store_rc api_reply_finish(struct str id, const struct api_reply *r) YIELDS;
/* Nothing was done: the id is free again. */
enum store_rc api_reply_drop(struct str id) YIELDS;

#endif
