/*
 * The message of the day of a host (store/motd.h): every account sees it once, whoever is online when it is set then, others when
 * they next become available with a priority that takes messages. Both happen in the account's turn, and what was shown is
 * written down there, so nobody sees it twice. Each shard keeps the text in mind, or that there is none: a login asks the
 * store only while there is one. Suspends but for what the hook calls.
 */
#include "base/log.h"
#include "base/mem.h"
#include "core/account/session.h"
#include "mod/api/announce.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "store/motd.h"

#include <stdlib.h>

#define FORGET_MS 10000
#define SHOW_MS 600000

/* Of a host, on this shard. */
struct known {
    enum { UNKNOWN, NONE, THERE } state;
    char *text;
    size_t n;
};

static _Thread_local struct known *known;
static _Thread_local unsigned known_n;
static _Thread_local uint64_t version; /* another one whenever something is forgotten: what was read before is old */

static struct known *known_of(unsigned host)
{
    if (host >= known_n) {
        known = mem_realloc(known, (host + 1u) * sizeof *known);
        memset(known + known_n, 0, (host + 1u - known_n) * sizeof *known);
        known_n = host + 1u;
    }
    return &known[host];
}

void motd_forget(unsigned host)
{
    struct known *k = known_of(host);
    free(k->text);
    *k = (struct known){0};
    version++;
}

void motd_stop(unsigned host)
{
    unsigned n = 0;
    motd_forget(host);
    for (unsigned i = 0; i < known_n; i++)
        n += known[i].state != UNKNOWN;
    if (n)
        return;
    free(known);
    known = NULL;
    known_n = 0;
}

static void keep(unsigned host, uint64_t asked_at, enum store_rc rc, struct str text)
{
    struct known *k = known_of(host);
    if (asked_at != version || k->state != UNKNOWN || (rc != STORE_OK && rc != STORE_NONE))
        return;
    k->state = rc == STORE_OK ? THERE : NONE;
    if (rc != STORE_OK)
        return;
    k->text = mem_alloc(text.n + 1);
    memcpy(k->text, text.p, text.n);
    k->n = text.n;
}

/* STORE_NONE: there is none. */
static enum store_rc current(struct arena *a, unsigned host, struct str name, struct str *out) YIELDS;
static enum store_rc current(struct arena *a, unsigned host, struct str name, struct str *out)
{
    struct known *k = known_of(host);
    if (k->state == NONE)
        return STORE_NONE;
    if (k->state == THERE) {
        *out = arena_str(a, str_n(k->text, k->n));
        return STORE_OK;
    }
    uint64_t asked_at = version;
    enum store_rc rc = motd_get(a, name, out);
    if (rc == STORE_OK && out->n == 0)
        rc = STORE_NONE;
    keep(host, asked_at, rc, *out);
    return rc;
}

/* --- showing --- */

/* In the account's turn. What cannot be written down as seen is not shown: it would come at every login. */
static void show(struct account *a, void *arg) YIELDS;
static void show(struct account *a, void *arg)
{
    struct arena *own = arena_new();
    struct jid who = jid_copy(own, account_jid(a));
    struct str text;
    (void)arg;
    if (a->host != HOST_NONE && current(own, a->host, jid_host(who), &text) == STORE_OK &&
        motd_seen(jid_host(who), jid_user(who)) == STORE_NONE && !list_empty(&a->sessions)) {
        enum store_rc rc = motd_set_seen(jid_host(who), jid_user(who));
        if (rc == STORE_OK || rc == STORE_UNCERTAIN)
            announce_to_sessions_of(a, text);
        else
            LOG_LIMITED(WARNING, "announce", NULL, "the message of the day is not shown: the store is not available");
    }
    arena_release(&own);
}

enum hook_verdict motd_on_presence(struct presence_event *e)
{
    struct account *a = e->session->account;
    if (!e->was_available && e->available && e->session->priority >= 0 && known_of(a->host)->state != NONE)
        account_in_turn(a, show, NULL);
    return HOOK_PASS;
}

static int show_here(void *arg, void *slot, struct error *err) YIELDS;
static int show_here(void *arg, void *slot, struct error *err)
{
    (void)slot;
    (void)err;
    announce_online_here(*(const struct str *)arg, show, NULL);
    return 0;
}

static int on_every_shard(gather_fn fn, struct str host, unsigned ms, struct error *err) YIELDS;
static int on_every_shard(gather_fn fn, struct str host, unsigned ms, struct error *err)
{
    struct arena *a = arena_new();
    struct str *arg = ARENA_NEW(a, struct str);
    *arg = arena_str(a, host);
    int rc = mail_gather(fn, arg, ARENA_ARRAY(a, void *, shard_count()), a, ms, err);
    arena_release(&a);
    return rc;
}

int motd_show_online(struct str host, struct error *err)
{
    return on_every_shard(show_here, host, SHOW_MS, err);
}

/* --- changing --- */

static int forget_here(void *arg, void *slot, struct error *err)
{
    const struct vhost *h = config_host(config_current(), *(struct str *)arg);
    (void)slot;
    (void)err;
    if (h)
        motd_forget(h->index);
    return 0;
}

/* What the store has may have changed in every case but a clear no. */
static int changed(struct str host, enum store_rc rc, struct error *err) YIELDS;
static int changed(struct str host, enum store_rc rc, struct error *err)
{
    struct error ignored = ERROR_INIT;
    on_every_shard(forget_here, host, FORGET_MS, &ignored); /* a slow shard forgets later */
    if (rc == STORE_OK || rc == STORE_NONE)
        return 0;
    return rc == STORE_UNCERTAIN ? err_set(err, ERR_UNCERTAIN, "The message of the day may or may not have been stored")
                                 : err_set(err, ERR_UNAVAILABLE, "Database failure");
}

/* COMPAT(ejabberd): an update is a new message too: nobody has seen it. */
int motd_change(struct str host, struct str text, struct error *err)
{
    return changed(host, motd_set(host, text, false), err);
}

int motd_drop(struct str host, struct error *err)
{
    return changed(host, motd_remove(host), err);
}
