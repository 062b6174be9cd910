/*
 * The parts of mod_shared_roster, to each other. Views are held for as long as somebody uses them: whoever gets one to keep
 * releases it with srg_view_release. A generation numbers the views of a host, upwards.
 */
#ifndef MOD_API_SRG_PARTS_H
#define MOD_API_SRG_PARTS_H

#include "base/err.h"
#include "base/list.h"
#include "core/account/session.h"
#include "mod/api/srg_view.h"

#define SRG_DEADLINE_MS 30000 /* of one shard for the others */

/* A new view on its way to every shard. */
struct srg_delivery {
    struct str host, who; /* who absent: more than one address may look different from the view before */
    struct srg_view *view;
    uint64_t generation;
};

/* What those who are online are to learn. */
struct srg_change {
    struct list link;
    struct str host, who;     /* who absent: anybody */
    struct srg_view *was, *now; /* held */
    uint64_t from, to;
    const struct str *turned; /* those who came online, or went, in byte order */
    size_t n_turned;
    struct arena *arena;      /* owns it */
};

/* --- mod/srg_book.c --- */

/* The view of the host, made when there is none: held. -1: the store, or shard 0, does not answer; nothing is set. */
int srg_book_view(struct str host, struct srg_view **out, uint64_t *generation_out, struct error *err) YIELDS;
/* An account is there from now on, or is no more: then this waits until its memberships have ended. */
void srg_book_account(struct jid account, bool there) YIELDS;

/* --- mod/srg_place.c: of this shard --- */

/* Asked for when there is none yet; NULL: it cannot be had. Borrowed until the next suspension. */
struct srg_view *srg_place_view(struct str host) YIELDS;
/* NULL: not asked for yet. generation_out may be NULL. */
struct srg_view *srg_place_view_now(struct str host, uint64_t *generation_out);
/* Begins to ask for it, unless it is there: for those who cannot wait. */
void srg_place_fetch(struct str host);
/* For mail_gather: takes over a struct srg_delivery unless a newer view is there. */
int srg_place_deliver(void *arg, void *slot, struct error *err) YIELDS;
/* Has the bare address sessions, on any shard? false where no group of its host needs to know. */
bool srg_place_online(struct str jid);
/* A session of the account has just begun, or is about to end: the first, or the last, is told to every shard. */
void srg_place_session(const struct account *a, bool there);

/* --- mod/srg_tell.c --- */

/* Takes the change, with its arena and views. It is told when those before it are. */
void srg_tell(struct srg_change *c);

#endif
