/* See the header. A list per shard, oldest first; short enough to be searched. Never suspends. */
#include "mod/api/adhoc_session.h"

#include "base/rand.h"

static _Thread_local struct list sessions;
static _Thread_local size_t sessions_n;

static struct list *all(void)
{
    if (!sessions.next)
        list_init(&sessions);
    return &sessions;
}

static void drop(struct adhoc_session *s)
{
    struct arena *a = s->arena;
    list_del(&s->link);
    sessions_n--;
    arena_release(&a);
}

/* Those that are over go first. */
static void make_room(struct jid owner)
{
    struct adhoc_session *oldest_own = NULL, *victim = NULL;
    size_t own = 0;
    LIST_EACH(it, all()) {
        struct adhoc_session *s = LIST_ENTRY(it, struct adhoc_session, link);
        if (!victim || (s->over && !victim->over))
            victim = s;
        if (!jid_bare_eq(s->owner, owner))
            continue;
        own++;
        if (!oldest_own || (s->over && !oldest_own->over))
            oldest_own = s;
    }
    if (own >= ADHOC_SESSIONS_PER_ACCOUNT)
        drop(oldest_own);
    else if (sessions_n >= ADHOC_SESSIONS_PER_SHARD)
        drop(victim);
}

struct adhoc_session *adhoc_session_new(struct jid owner, unsigned host, struct str node, uint64_t now_ms)
{
    make_room(owner);
    struct arena *a = arena_new();
    arena_mark_secret(a); /* forms hold passwords */
    struct adhoc_session *s = ARENA_NEW(a, struct adhoc_session);
    s->arena = a;
    rand_token(s->id, ADHOC_ID_CHARS);
    s->owner = jid_copy(a, owner);
    s->host = host;
    s->node = arena_str(a, node);
    s->until_ms = now_ms + ADHOC_SESSION_MS;
    list_push(all(), &s->link);
    sessions_n++;
    return s;
}

enum adhoc_found adhoc_session_find(struct str id, struct jid owner, unsigned host, struct str node, uint64_t now_ms,
                                    struct adhoc_session **out)
{
    LIST_EACH(it, all()) {
        struct adhoc_session *s = LIST_ENTRY(it, struct adhoc_session, link);
        if (!str_eq(id, str_n(s->id, ADHOC_ID_CHARS)))
            continue;
        /* somebody else's, or for another command: it does not exist as far as this client is concerned */
        if (!jid_eq(s->owner, owner) || s->host != host || !str_eq(s->node, node))
            return ADHOC_UNKNOWN;
        if (now_ms >= s->until_ms)
            adhoc_session_end(&s);
        *out = s;
        return s->over ? ADHOC_OVER : ADHOC_FOUND;
    }
    return ADHOC_UNKNOWN;
}

void adhoc_copy_form(struct arena *a, const struct dataform *form, struct dataform *out)
{
    struct dataform_field *fields = ARENA_ARRAY(a, struct dataform_field, form->n + 1);
    for (size_t i = 0; i < form->n; i++) {
        const struct dataform_field *f = &form->fields[i];
        struct str *values = ARENA_ARRAY(a, struct str, f->n + 1);
        for (size_t k = 0; k < f->n; k++)
            values[k] = arena_str(a, f->values[k]);
        fields[i] = (struct dataform_field){arena_str(a, f->var), values, f->n};
    }
    *out = (struct dataform){form->type, fields, form->n};
}

void adhoc_session_keep(struct adhoc_session **sp, const struct dataform *form, uint64_t now_ms)
{
    struct adhoc_session *s = *sp;
    struct arena *a = arena_new();
    arena_mark_secret(a);
    struct adhoc_session *n = ARENA_NEW(a, struct adhoc_session);
    *n = *s;
    n->arena = a;
    n->owner = jid_copy(a, s->owner);
    n->node = arena_str(a, s->node);
    n->until_ms = now_ms + ADHOC_SESSION_MS;
    if (form)
        adhoc_copy_form(a, form, &n->form);
    else
        n->form = (struct dataform){0};
    list_init(&n->link);
    list_insert_before(&s->link, &n->link);
    sessions_n++;
    drop(s);
    *sp = n;
}

void adhoc_session_end(struct adhoc_session **s)
{
    if ((*s)->form.n)
        adhoc_session_keep(s, NULL, (*s)->until_ms);
    (*s)->over = true;
}

void adhoc_merge(struct arena *a, const struct dataform *earlier, const struct dataform *now, struct dataform *out)
{
    struct dataform_field *fields = ARENA_ARRAY(a, struct dataform_field, earlier->n + now->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < earlier->n; i++)
        if (!dataform_find(now, earlier->fields[i].var))
            fields[n++] = earlier->fields[i];
    for (size_t i = 0; i < now->n; i++)
        fields[n++] = now->fields[i];
    *out = (struct dataform){now->type, fields, n};
}

size_t adhoc_session_count(void)
{
    return sessions_n;
}

void adhoc_sessions_drop(unsigned host)
{
    LIST_EACH_SAFE(it, all()) {
        struct adhoc_session *s = LIST_ENTRY(it, struct adhoc_session, link);
        if (s->host == host)
            drop(s);
    }
}
