/*
 * What strangers leave behind; see the header. Their names are in a table of the store while they are online, so that a process
 * that was killed can be followed by one that cleans up. While an account is going nobody gets in under its name
 * (auth_anonymous.c).
 */
#include "core/account/stranger.h"

#include "base/log.h"
#include "core/account/subscribe.h"
#include "store/account.h"

struct account *stranger_begin(unsigned host, struct jid bare)
{
    struct account *a = account_pin(host, bare);
    if (stranger_add(jid_host(bare), jid_user(bare)) == STORE_OK) {
        a->stranger = true;
        return a;
    }
    account_unpin(a);
    return NULL;
}

/* Modules forget it too. */
static void tell_modules(struct account *a) YIELDS;
static void tell_modules(struct account *a)
{
    struct known_event ev = {.account = account_jid(a), .stranger = true};
    if (a->host != HOST_NONE)
        hook_run_account_known(a->host, &ev);
}

/* Behind the account's last stanzas. Somebody else may have come under the name meanwhile, where several may share one. */
static void erase(struct account *a, void *arg) YIELDS;
static void erase(struct account *a, void *arg)
{
    struct jid own = account_jid(a);
    int64_t tokens;
    (void)arg;
    if (!list_empty(&a->sessions)) {
        a->erasing = false;
        return;
    }
    enum store_rc rc = account_erase(jid_host(own), jid_user(own), &tokens);
    if (rc == STORE_OK)
        tell_modules(a);
    else if (rc != STORE_NONE)
        LOG_LIMITED(WARNING, "accounts", NULL, "what a stranger left is removed at the next start only: the store does not answer");
    a->erasing = false;
    a->stranger = !list_empty(&a->sessions);
    if (a->stranger && stranger_add(jid_host(own), jid_user(own)) != STORE_OK)
        LOG_LIMITED(WARNING, "accounts", NULL, "a stranger could not be written down: the store does not answer");
}

void stranger_settle(struct account *a)
{
    if (a->stranger && !a->erasing && list_empty(&a->sessions)) {
        a->erasing = true;
        account_in_turn(a, erase, NULL);
    }
    account_unpin(a);
}

int stranger_start(struct error *err)
{
    uint64_t removed;
    enum store_rc rc = stranger_remove_all(&removed);
    if (rc != STORE_OK)
        return store_error(rc, "what strangers left", err);
    if (removed)
        LOG(INFO, "accounts", NULL, "what %llu strangers of before left was removed", (unsigned long long)removed);
    return 0;
}
