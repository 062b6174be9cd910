/* Turns of accounts: rows of a shard, in which those of one account and kind stand in order of arrival; the first has it. */
#include "core/account/turn.h"

#include "base/hash.h"

#define ROWS 64

static _Thread_local struct list rows[ROWS]; /* set up when first used */

static struct list *row_of(const struct account_turn *t)
{
    struct list *row = &rows[hash_str(jid_bare(t->owner)) % ROWS];
    if (!row->next)
        list_init(row);
    return row;
}

/* The first of the same account and kind behind `at`; NULL: none. */
static struct account_turn *next_of(struct list *row, const struct list *at, const struct account_turn *t)
{
    for (struct list *it = at->next; it != row; it = it->next) {
        struct account_turn *other = LIST_ENTRY(it, struct account_turn, link);
        if (other->kind == t->kind && jid_bare_eq(other->owner, t->owner))
            return other;
    }
    return NULL;
}

void account_turn_begin(struct account_turn *t, enum turn_kind kind, struct jid owner)
{
    *t = (struct account_turn){.kind = kind, .owner = owner, .fiber = fiber_self()};
    struct list *row = row_of(t);
    bool taken = next_of(row, row, t) != NULL;
    list_push(row, &t->link);
    if (taken)
        fiber_suspend("turn"); /* whoever goes before hands it over */
}

void account_turn_end(struct account_turn *t)
{
    struct account_turn *next = next_of(row_of(t), &t->link, t);
    list_del(&t->link);
    if (next)
        fiber_wake(next->fiber);
}
