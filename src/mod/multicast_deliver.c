/*
 * One stanza to many: its text is made once; every shard that recipients live on gets it in one message, and each of them a copy
 * that keeps the bytes. Where a shard's part is handed out nothing waits; each account receives it like any stanza
 * (core/account/deliver.c). Everybody else (services, hosts, other servers) gets a copy through the router.
 */
#include "core/account/session.h"
#include "core/router.h"
#include "mod/api/multicast.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "xml/stream.h"
#include "xml/writer.h"

/* A shard's part; lives in its own arena. */
struct part {
    struct msg m;
    struct arena *arena;
    struct stanza *stanza;
    struct multicast_to *to;
    size_t n;
};

static struct stanza *copy_for(const struct stanza *p, const struct multicast_to *to)
{
    struct stanza *s = stanza_copy(p, to->jid);
    stanza_follow(s, p);
    if (to->bcc)
        xml_append(xml_child(s->el, TOK_addresses, TOK_NS_ADDRESS), xml_copy(s->arena, to->bcc));
    return s;
}

static void hand_out(struct part *p)
{
    struct arena *a = p->arena;
    for (size_t i = 0; i < p->n; i++) {
        struct stanza *s = copy_for(p->stanza, &p->to[i]);
        account_receive(&s);
    }
    arena_release(&a);
}

static void on_part(struct msg *m)
{
    hand_out(CONTAINER_OF(m, struct part, m));
}

static struct stanza *from_text(struct arena *a, struct str text, const struct stanza *like)
{
    const char *why;
    struct xml_el *el = xml_parse(a, text, TOK_NS_CLIENT, &why);
    struct stanza *s = el ? stanza_of(a, el) : NULL;
    if (s) {
        s->from = jid_copy(a, like->from);
        stanza_follow(s, like);
    }
    return s;
}

static void send_part(unsigned shard, const struct stanza *like, struct str text, const struct multicast_to *to, size_t n)
{
    struct arena *a = arena_new();
    struct part *p = ARENA_NEW(a, struct part);
    *p = (struct part){.m = {.fn = on_part}, .arena = a, .stanza = from_text(a, text, like), .n = n};
    p->to = ARENA_ARRAY(a, struct multicast_to, n);
    for (size_t i = 0; i < n; i++)
        p->to[i] = (struct multicast_to){jid_copy(a, to[i].jid), to[i].bcc ? xml_copy(a, to[i].bcc) : NULL};
    if (!p->stanza)
        arena_release(&a); /* what was parsed and written cannot fail to parse */
    else if (shard == shard_self())
        hand_out(p); /* at once: a stanza that follows must not come before it */
    else
        mail_post(shard, &p->m);
}

static void send_one(const struct stanza *s, const struct multicast_to *to)
{
    struct stanza *copy = copy_for(s, to);
    stanza_stamp(copy);
    router_route(&copy);
}

/* Accounts of this server, by shard; the shard count stands for everybody else. */
static unsigned place_of(struct jid j)
{
    bool account = j.user_len && config_host(config_current(), jid_host(j));
    return account ? shard_of(jid_home_hash(j)) : shard_count();
}

void multicast_deliver(const struct stanza *s, struct multicast_to *to, size_t n)
{
    struct arena *a = arena_new();
    struct buf text = BUF_INIT;
    struct multicast_to *batch = ARENA_ARRAY(a, struct multicast_to, n + 1);
    xml_write_addressed(&text, s->el, TOK_NS_CLIENT, jid_full(s->from), STR_NULL);
    for (unsigned shard = 0; shard < shard_count(); shard++) {
        size_t m = 0;
        for (size_t i = 0; i < n; i++)
            if (place_of(to[i].jid) == shard)
                batch[m++] = to[i];
        if (m)
            send_part(shard, s, buf_str(&text), batch, m);
    }
    for (size_t i = 0; i < n; i++)
        if (place_of(to[i].jid) == shard_count())
            send_one(s, &to[i]);
    buf_deinit(&text);
    arena_release(&a);
}
