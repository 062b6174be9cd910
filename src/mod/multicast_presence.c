/*
 * Who got available presence through a multicast service (XEP-0033 §5.1): by sender, on the shard where the sender's
 * stanzas come from, so that everybody is told when the sender is unavailable. Bounded for each sender as directed presence is
 * (core/account/presence.h). Nothing suspends. Forgotten with the process: a client that resumes after a restart sends it again
 * when it goes on.
 */
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "core/account/presence.h"
#include "mod/api/multicast.h"

#include <stdlib.h>

struct noted {
    struct list link;
    struct jid jid; /* s: text */
    unsigned host;
    char text[];
};

struct sender {
    struct map_node node;
    struct list noted;
    size_t n;
    struct jid jid; /* s: text */
    char text[];
};

static _Thread_local struct map senders;
static _Thread_local bool ready;

static bool is_sender(const struct map_node *node, const void *key)
{
    return jid_eq(CONTAINER_OF(node, struct sender, node)->jid, *(const struct jid *)key);
}

static struct sender *find(struct jid from)
{
    struct map_node *n = ready ? map_find(&senders, hash_str(jid_full(from)), is_sender, &from) : NULL;
    return n ? CONTAINER_OF(n, struct sender, node) : NULL;
}

static struct jid put(char *at, struct jid j)
{
    struct str text = jid_full(j);
    memcpy(at, text.p, text.n);
    j.s = at;
    return j;
}

static struct sender *sender_new(struct jid from)
{
    struct sender *s = mem_zalloc(sizeof *s + jid_full(from).n);
    if (!ready)
        map_init(&senders);
    ready = true;
    list_init(&s->noted);
    s->jid = put(s->text, from);
    map_add(&senders, &s->node, hash_str(jid_full(from)));
    return s;
}

static struct noted *find_noted(struct sender *s, unsigned host, struct jid j)
{
    LIST_EACH(it, &s->noted) {
        struct noted *d = LIST_ENTRY(it, struct noted, link);
        if (d->host == host && jid_eq(d->jid, j))
            return d;
    }
    return NULL;
}

static void drop_noted(struct sender *s, struct noted *d)
{
    list_del(&d->link);
    s->n--;
    free(d);
}

static void drop_empty(struct sender *s)
{
    if (s->n)
        return;
    map_del(&senders, &s->node);
    free(s);
    if (senders.count == 0) {
        map_deinit(&senders);
        ready = false;
    }
}

bool multicast_note(struct jid from, unsigned host, const struct multicast_to *to, size_t n)
{
    struct sender *s = find(from);
    size_t more = 0;
    for (size_t i = 0; i < n; i++)
        more += !s || !find_noted(s, host, to[i].jid);
    if ((s ? s->n : 0) + more > DIRECTED_MAX)
        return false;
    if (!s && more)
        s = sender_new(from);
    for (size_t i = 0; i < n && more; i++) {
        if (find_noted(s, host, to[i].jid))
            continue;
        struct noted *d = mem_zalloc(sizeof *d + jid_full(to[i].jid).n);
        d->jid = put(d->text, to[i].jid);
        d->host = host;
        list_push(&s->noted, &d->link);
        s->n++;
    }
    return true;
}

void multicast_forget(struct jid from, unsigned host, const struct multicast_to *to, size_t n)
{
    struct sender *s = find(from);
    if (!s)
        return;
    for (size_t i = 0; i < n; i++) {
        struct noted *d = find_noted(s, host, to[i].jid);
        if (d)
            drop_noted(s, d);
    }
    drop_empty(s);
}

void multicast_end(struct jid from, unsigned host, const struct stanza *p)
{
    struct sender *s = find(from);
    if (!s)
        return;
    struct arena *a = arena_new();
    struct multicast_to *to = ARENA_ARRAY(a, struct multicast_to, s->n + 1);
    size_t n = 0;
    LIST_EACH_SAFE(it, &s->noted) {
        struct noted *d = LIST_ENTRY(it, struct noted, link);
        if (host != MULTICAST_ANY_HOST && d->host != host)
            continue;
        to[n++].jid = jid_copy(a, d->jid);
        drop_noted(s, d);
    }
    drop_empty(s); /* before anything is sent: what comes back finds nothing to end */
    multicast_deliver(p, to, n);
    arena_release(&a);
}

static struct sender *next_with(unsigned host, struct noted **out)
{
    for (struct map_node *n = NULL; ready && (n = map_next(&senders, n));) {
        struct sender *s = CONTAINER_OF(n, struct sender, node);
        LIST_EACH(it, &s->noted)
            if ((*out = LIST_ENTRY(it, struct noted, link))->host == host)
                return s;
    }
    return NULL;
}

void multicast_drop(unsigned host)
{
    struct noted *d;
    for (struct sender *s; (s = next_with(host, &d));) {
        drop_noted(s, d);
        drop_empty(s);
    }
}
