/*
 * mod_fail2ban: addresses with too many failed logins are turned away for a while (options c2s_max_auth_failures,
 * c2s_auth_ban_lifetime; whom `access` allows is never counted). Failures are counted on the shard that an address belongs to,
 * over all hosts, so that neither shards nor hosts give more tries; a login that succeeds wipes the slate.
 */
#include "mod/api/fail2ban.h"

#include "base/clock.h"
#include "core/config/access.h"
#include "core/module/module.h"
#include "mod/api/ip_table.h"
#include "rt/mailbox.h"
#include "rt/shard.h"

#include <time.h>

#define DEADLINE_MS 5000

static _Thread_local struct ip_table failures;
static _Thread_local unsigned hosts; /* where this is loaded */

static struct module mod_fail2ban;

/* A question to the address's shard; the answer stays here. */
struct ask {
    struct ip ip;
    enum { ASK_COUNT, ASK_FAILED, ASK_CLEAR } what;
    uint64_t life_ms;
    unsigned count;
    uint64_t left_ms;
};

static int at_home(void *arg, struct error *err)
{
    struct ask *q = arg;
    uint64_t now = clock_mono_ms();
    struct ip_note *n = q->what == ASK_FAILED ? ip_table_keep(&failures, &q->ip, now, now + q->life_ms)
                                              : ip_table_find(&failures, &q->ip, now);
    (void)err;
    if (q->what == ASK_FAILED)
        n->count++;
    q->count = n ? n->count : 0;
    q->left_ms = n ? n->until_ms - now : 0;
    if (q->what == ASK_CLEAR && n)
        ip_table_forget(&failures, &(struct ip_net){q->ip, q->ip.family == 4 ? 32 : 128}, now);
    return 0;
}

/* A shard that does not answer counts nothing: logins go on. */
static struct ask ask(struct ask q) YIELDS;
static struct ask ask(struct ask q)
{
    struct arena *a = arena_new();
    struct ask *copy = ARENA_NEW(a, struct ask);
    struct error err = ERROR_INIT;
    *copy = q;
    if (mail_call(ip_table_home(&q.ip), at_home, copy, a, DEADLINE_MS, &err) == 0)
        q = *copy;
    arena_release(&a);
    return q;
}

/* NULL: this address is not watched. */
static const struct options *watched(unsigned host, const struct ip *ip)
{
    const struct options *o = module_options(host, &mod_fail2ban);
    struct access_subject who = {.ip = *ip};
    return o && ip->family && !access_allowed(&config_current()->hosts[host], opt_node(o, "access"), &who) ? o : NULL;
}

static struct str refusal(struct arena *a, const struct ip *ip, unsigned count, uint64_t left_ms)
{
    char text[IP_TEXT_MAX], when[64] = "";
    struct tm tm;
    time_t t = (time_t)(clock_wall_s() + left_ms / 1000);
    if (gmtime_r(&t, &tm))
        strftime(when, sizeof(when), "%H:%M:%S %d.%m.%Y", &tm);
    return arena_printf(a, "Too many (%u) failed authentications from this IP address (%s). The address will be unblocked at "
                        "%s UTC", count, ip_print(ip, text), when);
}

static enum hook_verdict judge(struct login_event *e, struct ask q) YIELDS;
static enum hook_verdict judge(struct login_event *e, struct ask q)
{
    const struct options *o = watched(e->host, &e->ip);
    if (!o)
        return HOOK_PASS;
    int64_t max = opt_int(o, "c2s_max_auth_failures");
    q.ip = e->ip;
    q.life_ms = (uint64_t)opt_int(o, "c2s_auth_ban_lifetime");
    q = ask(q);
    if (q.what == ASK_CLEAR || (int64_t)q.count < max)
        return HOOK_PASS;
    e->text = refusal(e->arena, &e->ip, q.count, q.left_ms);
    return HOOK_REJECT;
}

static enum hook_verdict on_tried(struct login_event *e) YIELDS;
static enum hook_verdict on_tried(struct login_event *e)
{
    return judge(e, (struct ask){.what = ASK_COUNT});
}

static enum hook_verdict on_ended(struct login_event *e) YIELDS;
static enum hook_verdict on_ended(struct login_event *e)
{
    return judge(e, (struct ask){.what = e->accepted ? ASK_CLEAR : ASK_FAILED});
}

static int forget_here(void *arg, void *slot, struct error *err)
{
    (void)err;
    *(unsigned *)slot = ip_table_forget(&failures, arg, clock_mono_ms());
    return 0;
}

int fail2ban_forget(const struct ip_net *net, unsigned *forgotten_out, struct error *err)
{
    struct arena *a = arena_new();
    void **slots = ARENA_ARRAY(a, void *, shard_count());
    struct ip_net *copy = ARENA_NEW(a, struct ip_net);
    *copy = *net;
    for (unsigned i = 0; i < shard_count(); i++)
        slots[i] = ARENA_NEW(a, unsigned);
    int rc = mail_gather(forget_here, copy, slots, a, DEADLINE_MS, err);
    *forgotten_out = 0;
    for (unsigned i = 0; rc == 0 && i < shard_count(); i++)
        *forgotten_out += *(unsigned *)slots[i];
    arena_release(&a);
    return rc;
}

static void on_start(unsigned host)
{
    (void)host;
    hosts++;
}

static void on_stop(unsigned host)
{
    (void)host;
    if (--hosts == 0)
        ip_table_clear(&failures);
}

static const struct hook_entry hooks[] = {ON(login_tried, FILTER, on_tried), ON(login_ended, STATE, on_ended), {0}};

MODULE(mod_fail2ban) = {.name = "mod_fail2ban", .hooks = hooks, .start = on_start, .stop = on_stop};
