/*
 * Accounts and their passwords. Callable from any shard: work happens on the account's home shard, where a bounded cache
 * of credentials lives (option auth_use_cache and its friends), so nothing needs invalidation. What a host asks (option
 * auth_method) is in core/auth/auth_method.h; ERR_NOT_ALLOWED from register, set and remove: kept elsewhere. Storage form follows
 * auth_password_format / auth_scram_hash. Password derivation runs on the blocking pool. Names are prepared by the caller.
 */
#ifndef CORE_AUTH_H
#define CORE_AUTH_H

#include "base/arena.h"
#include "base/err.h"
#include "store/users.h"

/* Per shard, before it serves. */
void auth_shard_start(void);
void auth_shard_stop(void);

/*
 * ERR_NOT_FOUND no such user or host; ERR_NOT_AUTHORIZED wrong password; ERR_UNAVAILABLE. The time does not tell which of
 * the first two.
 */
int auth_check_password(struct str host, struct str user, struct str password, struct error *err) YIELDS;
/*
 * The same for a client that opens a session: where the host lets strangers in (anonymous_protocol login_anon), a name that
 * nobody has needs no password. Callers of the API are never strangers.
 */
int auth_check_login(struct str host, struct str user, struct str password, bool *stranger_out, struct error *err) YIELDS;
/*
 * Credentials for a SCRAM exchange with this hash: stored keys, or derived on the spot from a plain password. ERR_NOT_FOUND
 * when there is no such user or no usable form (the caller goes on with scram_fake_keys). Copied into a.
 */
int auth_scram_keys(struct arena *a, struct str host, struct str user, enum scram_hash h, struct scram_keys *out,
                    struct error *err) YIELDS;
int auth_exists(struct str host, struct str user, bool *out, struct error *err) YIELDS;
/*
 * ERR_CONFLICT; ERR_NO_HOST; ERR_NOT_ACCEPTABLE when the password cannot be prepared; ERR_JID_MALFORMED a name that is too
 * long. Writes the "Registered but didn't login" last activity.
 */
int auth_register(struct str host, struct str user, struct str password, struct error *err) YIELDS;
/* ERR_NOT_FOUND */
int auth_set_password(struct str host, struct str user, struct str password, struct error *err) YIELDS;
/*
 * The same, and in the same transaction an element of private storage is set (without xml: removed). Only where the store is all
 * there is (auth_stores_all); other methods leave it out.
 */
struct private_element;
int auth_set_password_with(struct str host, struct str user, struct str password, const struct private_element *with,
                           struct error *err) YIELDS;
bool auth_stores_all(struct str host);
/* All FAST and OAuth tokens of an account end. What changes a password in the store does so itself. */
enum store_rc auth_forget_tokens(struct str host, struct str user) YIELDS;
/*
 * With everything that the store has of it, in one transaction; its contacts are told. ERR_NOT_FOUND when it was not there (what an
 * account that is known elsewhere left behind goes all the same). Does not end sessions: core/account/account.h does.
 */
int auth_remove(struct str host, struct str user, struct error *err) YIELDS;
int auth_count(struct str host, uint64_t *out, struct error *err) YIELDS;
/*
 * Counts what is not known, in the background, so that nobody who asks has to wait for it: after the start, a reload (hosts), and
 * when counts have been forgotten.
 */
void auth_count_ahead(void);
int auth_list(struct arena *a, struct str host, struct str after, size_t limit, struct str **out, size_t *n_out,
              struct error *err) YIELDS;
/*
 * The stored plain password of an account; absent: there is none (no such account), or it is stored as SCRAM keys
 * (*scram_out). Copied into a, which is marked secret.
 */
int auth_plain_password(struct arena *a, struct str host, struct str user, struct str *out, bool *scram_out,
                        struct error *err) YIELDS;
/*
 * Replaces plain stored passwords of a host by SCRAM keys: those that auth_scram_hash and its friends name; where the
 * configuration stores plain ones, keys of every hash, so that whatever a client may choose goes on working. Works in small
 * batches; what was done stays done when it fails, and a second call goes on from there. ERR_NO_HOST. The counts are of
 * accounts converted, and of those whose password cannot be prepared for SCRAM (they stay as they are).
 */
int auth_convert_to_scram(struct str host, uint64_t *converted_out, uint64_t *left_out, struct error *err) YIELDS;
/* Which forms of the password are stored, AUTH_FORM_* (auth_policy.h); 0 where SCRAM makes no sense. ERR_NOT_FOUND. */
int auth_forms(struct str host, struct str user, unsigned *forms_out, struct error *err) YIELDS;
/*
 * Stores further keys beside the others, made from the password that `known` was proved with. ERR_CONFLICT: that is not the
 * account's any more. Where there are keys of this hash already nothing changes.
 */
int auth_add_keys(struct str host, struct str user, const struct scram_keys *known, const struct scram_keys *add,
                  struct error *err) YIELDS;
/* Forgets cached credentials on every shard. */
int auth_clear_cache(struct error *err) YIELDS;
/* Do new passwords of this host get a plain form (auth_password_format, auth_stored_password_types)? It serves every hash. */
bool auth_stores_plain(struct str host);
/* Does SCRAM with this hash make sense for the host: its accounts have such keys, or a plain form to derive them from. */
bool auth_serves_scram(struct str host, enum scram_hash h);
/* Is there any method of the host to which a password or a token can be shown? */
bool auth_takes_passwords(struct str host);
/* Is what passes for a password there a password: no signed token that ends by itself, no visitor's that means nothing. */
bool auth_passwords_last(struct str host);
/* SASL ANONYMOUS (XEP-0175). */
bool auth_serves_anonymous(struct str host);

#endif
