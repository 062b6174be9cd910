/*
 * Registry of modules and the hook tables made from them. A set of tables never changes; adding, replacing and removing a
 * module makes a new set, which each shard takes over between two events (module_set_publish). Which module is on for which
 * host is worked out on each shard whenever a configuration or a set is put in force.
 *
 * Threads: `latest` and the slots belong to whoever starts the process, later to the one fiber that changes modules, under
 * the lock because pool threads check configurations; `view` belongs to its shard. Nothing suspends but publishing.
 */
#include "core/module/module_set.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/config/config_module.h"
#include "core/http_routes.h"
#include "core/module/service.h"
#include "core/router.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

extern struct module *const __start_cj_modules[] __attribute__((weak));
extern struct module *const __stop_cj_modules[] __attribute__((weak));

#define SWITCH_DEADLINE_MS 10000

struct hook_handler {
    const struct hook_entry *entry;
    unsigned slot; /* of its module */
};

struct iq_handler {
    const struct iq_entry *entry;
    unsigned slot;
};

struct module_set {
    struct arena *arena; /* owns the set; its count is the set's */
    size_t n;
    const struct module *modules[MODULE_MAX]; /* by name */
    uint16_t at[MODULE_MAX];                  /* position + 1 of the module of a slot; 0: none */
    /* By hook, in stage order; within a stage by module name, so that the order never depends on the linker. */
    struct hook_handler *handlers[HOOK__COUNT];
    unsigned handlers_n[HOOK__COUNT];
    uint16_t iq_at[IQ_TO__COUNT][TOK__COUNT]; /* position in iqs + 1; 0: nobody */
    struct iq_handler *iqs;
    size_t iqs_n, named; /* named ones (entry->uri) come last, from `named` on */
};

/* What a shard goes by. */
struct view {
    struct module_set *set;
    struct config *config;
    size_t hosts;
    struct host_bits {
        uint64_t bits[MODULE_MAX / 64];
    } *on; /* one bit per slot for every host */
    struct arena *arena;
    const struct options **options; /* of contributed modules: [host * set->n + position] */
    struct service_table services;
};
static _Thread_local struct view view;
static _Thread_local uint64_t changes;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct module_set *latest;
static char *slot_names[MODULE_MAX];
static unsigned slots_n;

/* --- making a set --- */

static struct module_set *set_hold(struct module_set *s)
{
    arena_hold(s->arena);
    return s;
}

void module_set_release(struct module_set **sp)
{
    if (!*sp)
        return;
    struct arena *a = (*sp)->arena;
    *sp = NULL;
    arena_release(&a);
}

static struct module_set *latest_hold(void)
{
    pthread_mutex_lock(&lock);
    struct module_set *s = latest ? set_hold(latest) : NULL;
    pthread_mutex_unlock(&lock);
    return s;
}

static void latest_set(struct module_set *s)
{
    pthread_mutex_lock(&lock);
    struct module_set *was = latest;
    latest = s;
    pthread_mutex_unlock(&lock);
    module_set_release(&was);
}

/* A name keeps its number, so that a replaced module and fibers that still run the old one agree about it. */
static int give_slot(struct module *m, struct error *err)
{
    for (unsigned i = 0; i < slots_n; i++)
        if (strcmp(slot_names[i], m->name) == 0) {
            m->slot = i;
            return 0;
        }
    if (slots_n == MODULE_MAX)
        return err_set(err, ERR_UNAVAILABLE, "%s: no room for more than %d module names; restart the server", m->name, MODULE_MAX);
    slot_names[slots_n] = mem_alloc(strlen(m->name) + 1);
    strcpy(slot_names[slots_n], m->name);
    m->slot = slots_n++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct module *const *)a)->name, (*(struct module *const *)b)->name);
}

static void place_hook(struct module_set *s, const struct hook_entry *e, unsigned slot)
{
    struct hook_handler *v = s->handlers[e->hook];
    unsigned i = s->handlers_n[e->hook]++;
    for (; i > 0 && v[i - 1].entry->stage > e->stage; i--)
        v[i] = v[i - 1];
    v[i] = (struct hook_handler){e, slot};
}

static void make_hooks(struct module_set *s)
{
    unsigned count[HOOK__COUNT] = {0};
    for (size_t i = 0; i < s->n; i++)
        for (const struct hook_entry *e = s->modules[i]->hooks; e && e->fn.any; e++)
            count[e->hook]++;
    for (unsigned h = 0; h < HOOK__COUNT; h++)
        s->handlers[h] = ARENA_ARRAY(s->arena, struct hook_handler, count[h] + 1u);
    for (size_t i = 0; i < s->n; i++)
        for (const struct hook_entry *e = s->modules[i]->hooks; e && e->fn.any; e++)
            place_hook(s, e, s->modules[i]->slot);
}

static int place_iq(struct module_set *s, const struct module *m, const struct iq_entry *e, struct error *err)
{
    const char *uri = e->uri ? e->uri : token_str(e->ns).p;
    for (size_t i = 0; i < s->iqs_n; i++) {
        const struct iq_entry *o = s->iqs[i].entry;
        if (o->to == e->to && strcmp(uri, o->uri ? o->uri : token_str(o->ns).p) == 0)
            return err_set(err, ERR_CONFLICT, "%s and %s both answer namespace '%s'",
                           s->modules[s->at[s->iqs[i].slot] - 1]->name, m->name, uri);
    }
    if (!e->uri)
        s->iq_at[e->to][e->ns] = (uint16_t)(s->iqs_n + 1);
    s->iqs[s->iqs_n++] = (struct iq_handler){e, m->slot};
    return 0;
}

static int make_iqs(struct module_set *s, struct error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        for (const struct iq_entry *e = s->modules[i]->iqs; e && e->fn; e++)
            n++;
    s->iqs = ARENA_ARRAY(s->arena, struct iq_handler, n + 1);
    for (int named = 0; named < 2; named++) {
        s->named = s->iqs_n;
        for (size_t i = 0; i < s->n; i++)
            for (const struct iq_entry *e = s->modules[i]->iqs; e && e->fn; e++)
                if ((e->uri != NULL) == named && place_iq(s, s->modules[i], e, err) != 0)
                    return -1;
    }
    return 0;
}

/* Takes the list as it is and sorts it. */
static struct module_set *set_new(const struct module *const *modules, size_t n, struct error *err)
{
    struct arena *a = arena_new();
    struct module_set *s = ARENA_NEW(a, struct module_set);
    s->arena = a;
    s->n = n;
    if (n)
        memcpy(s->modules, modules, n * sizeof *modules);
    qsort(s->modules, n, sizeof s->modules[0], by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(s->modules[i - 1]->name, s->modules[i]->name) == 0) {
            err_set(err, ERR_CONFLICT, "%s: there is a module of this name already", s->modules[i]->name);
            goto fail;
        }
    for (size_t i = 0; i < n; i++)
        s->at[s->modules[i]->slot] = (uint16_t)(i + 1);
    if (make_iqs(s, err) != 0)
        goto fail;
    make_hooks(s);
    return s;
fail:
    arena_release(&a);
    return NULL;
}

struct module_set *module_set_with(const struct module *was, struct module *now, struct error *err)
{
    const struct module *v[MODULE_MAX];
    size_t n = 0;
    struct module_set *s = latest_hold();
    for (size_t i = 0; s && i < s->n; i++)
        if (s->modules[i] != was)
            v[n++] = s->modules[i];
    module_set_release(&s);
    if (now) {
        if (n == MODULE_MAX) {
            err_set(err, ERR_UNAVAILABLE, "more than %d modules", MODULE_MAX);
            return NULL;
        }
        if (give_slot(now, err) != 0)
            return NULL;
        v[n++] = now;
    }
    return set_new(v, n, err);
}

void module_registry_start(void)
{
    const struct module *v[MODULE_MAX];
    struct error err = ERROR_INIT;
    size_t n = 0;
    if (latest)
        return;
    for (struct module *const *p = __start_cj_modules; p < __stop_cj_modules; p++) {
        if (!*p)
            continue; /* a sanitizer may pad the section */
        if (n == MODULE_MAX || give_slot(*p, &err) != 0)
            abort();
        v[n++] = *p;
    }
    struct module_set *s = set_new(v, n, &err);
    if (!s) {
        fprintf(stderr, "module table: %s\n", err.text);
        abort();
    }
    latest_set(s);
}

void module_set_start(struct module_set *s)
{
    latest_set(s);
}

/* --- looking things up --- */

/* Threads that are no shard, and the time before the shards start, see the latest. */
static const struct module_set *here(void)
{
    return view.set ? view.set : latest;
}

size_t module_count(void)
{
    const struct module_set *s = here();
    return s ? s->n : 0;
}

const struct module *module_at(size_t i)
{
    return here()->modules[i];
}

const struct module *module_find(struct str name)
{
    const struct module_set *s = here();
    for (size_t i = 0; s && i < s->n; i++)
        if (str_eq(str_of(s->modules[i]->name), name))
            return s->modules[i];
    return NULL;
}

const struct http_handler *module_http(struct str name)
{
    const struct module_set *s = here();
    for (size_t i = 0; s && i < s->n; i++)
        for (const struct http_handler *h = s->modules[i]->http; h && h->name; h++)
            if (str_eq(str_of(h->name), name))
                return h;
    return NULL;
}

static bool on_in(const struct view *v, size_t host, unsigned slot)
{
    return host < v->hosts && (v->on[host].bits[slot / 64] >> (slot % 64) & 1);
}

static inline bool slot_loaded(unsigned host, unsigned slot)
{
    return on_in(&view, host, slot);
}

bool module_loaded(unsigned host, const struct module *m)
{
    return slot_loaded(host, m->slot);
}

/* Is it this very table that is in force, not an older or a newer one of its name? */
static bool has(const struct view *v, const struct module *m)
{
    return v->set && v->set->at[m->slot] && v->set->modules[v->set->at[m->slot] - 1] == m;
}

const struct options *module_options(unsigned host, const struct module *m)
{
    bool on = slot_loaded(host, m->slot) && has(&view, m);
    if (!m->contrib)
        return on ? config_module(&view.config->hosts[host], str_of(m->name)) : NULL;
    return on ? view.options[host * view.set->n + view.set->at[m->slot] - 1] : m->contrib->own;
}

const struct iq_entry *module_iq(unsigned host, enum iq_to to, enum token ns)
{
    unsigned at = view.set && ns != TOK_NONE ? view.set->iq_at[to][ns] : 0;
    if (!at)
        return NULL;
    const struct iq_handler *h = &view.set->iqs[at - 1];
    return slot_loaded(host, h->slot) ? h->entry : NULL;
}

const struct iq_entry *module_iq_for(unsigned host, enum iq_to to, const struct xml_el *child)
{
    if (child->ns != TOK_NONE)
        return module_iq(host, to, (enum token)child->ns);
    for (size_t i = view.set ? view.set->named : 0; view.set && i < view.set->iqs_n; i++) {
        const struct iq_handler *h = &view.set->iqs[i];
        if (h->entry->to == to && str_eq(child->ns_uri, str_of(h->entry->uri)))
            return slot_loaded(host, h->slot) ? h->entry : NULL;
    }
    return NULL;
}

const struct service_host *service_find(struct str name)
{
    size_t lo = 0, hi = view.services.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = str_cmp(view.services.v[mid].name, name);
        if (c == 0)
            return &view.services.v[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

size_t service_list(const struct service_host **out)
{
    *out = view.services.v;
    return view.services.n;
}

/* A handler that may suspend can see the tables change around it: those it was found in stay until it is done. */
#define HOOK(name, type, suspends, sentence)                                            \
    enum hook_verdict hook_run_##name(unsigned host, type *event)                       \
    {                                                                                   \
        struct module_set *s = view.set;                                                \
        enum hook_verdict v = HOOK_PASS;                                                \
        if (!s)                                                                         \
            return v;                                                                   \
        if (suspends)                                                                   \
            set_hold(s);                                                                \
        for (unsigned i = 0; v == HOOK_PASS && i < s->handlers_n[HOOK_##name]; i++) {   \
            const struct hook_handler *h = &s->handlers[HOOK_##name][i];                \
            if (slot_loaded(host, h->slot))                                             \
                v = h->entry->fn.name(event);                                           \
        }                                                                               \
        if (suspends)                                                                   \
            module_set_release(&s);                                                     \
        return v;                                                                       \
    }
#define STAGE(hook, name, sentence)
#include "core/hooks.def"
#undef HOOK
#undef STAGE

/* --- what is on here --- */

/* NULL: not named for this host. */
static const struct module_conf *named_for(const struct vhost *h, const char *name)
{
    for (size_t i = 0; i < h->module_count; i++)
        if (str_eq(h->modules[i].name, str_of(name)))
            return &h->modules[i];
    return NULL;
}

static bool named_anywhere(const struct config *c, const char *name)
{
    for (size_t h = 0; h < c->host_count; h++)
        if (named_for(&c->hosts[h], name))
            return true;
    return false;
}

/*
 * Options of an installed module on a host: what the configuration says there; for a module that it names nowhere, what the
 * module brought along. *on_out false: not loaded there.
 */
static int contrib_options(struct arena *a, const struct module *m, bool named, const struct vhost *h, bool *on_out,
                           const struct options **out, struct error *err)
{
    const struct module_conf *mc = named_for(h, m->name);
    *on_out = m->core || mc || !named;
    *out = NULL;
    if (!*on_out)
        return 0;
    return config_module_options(a, &m->contrib->group, mc ? mc->node : m->contrib->defaults, h, out, err);
}

/* own: options of a contributed module. */
static int add_service(struct service_table *t, struct arena *a, const struct module *m, const struct vhost *h,
                       const struct options *own, struct error *err)
{
    const struct module_conf *mc = named_for(h, m->name);
    const struct options *o = m->contrib ? own : mc ? mc->options : NULL;
    return o ? service_table_add(t, a, m, h, o, mc ? mc->where : NULL, err) : 0;
}

static int fill(struct view *v, struct error *err)
{
    int rc = 0;
    v->hosts = v->config->host_count;
    v->arena = arena_new();
    v->on = ARENA_ARRAY(v->arena, struct host_bits, v->hosts + 1);
    v->options = (const struct options **)ARENA_ARRAY(v->arena, struct options *, v->hosts * v->set->n + 1);
    for (size_t i = 0; i < v->set->n; i++) {
        const struct module *m = v->set->modules[i];
        bool named = m->contrib && named_anywhere(v->config, m->name);
        for (size_t h = 0; h < v->hosts; h++) {
            const struct vhost *host = &v->config->hosts[h];
            bool on = m->core || config_module(host, str_of(m->name));
            if (m->contrib && contrib_options(v->arena, m, named, host, &on, &v->options[h * v->set->n + i], err) != 0) {
                on = false; /* without its options it could only abort */
                rc = -1;
            }
            if (on)
                v->on[h].bits[m->slot / 64] |= (uint64_t)1 << (m->slot % 64);
            if (on && m->service && add_service(&v->services, v->arena, m, host, v->options[h * v->set->n + i], err) != 0)
                rc = -1;
        }
    }
    return service_table_close(&v->services, v->config, err) == 0 ? rc : -1;
}

static void view_drop(struct view *v)
{
    module_set_release(&v->set);
    config_release(&v->config);
    arena_release(&v->arena);
    *v = (struct view){0};
}

static bool same_hosts(const struct view *a, const struct view *b)
{
    if (a->hosts != b->hosts)
        return false;
    for (size_t h = 0; h < a->hosts; h++)
        if (!str_eq(a->config->hosts[h].name, b->config->hosts[h].name))
            return false;
    return true;
}

/* Hosts where a module of `of` is on there and not in `other`. */
static void call_each(const struct view *of, const struct view *other, bool same, bool start)
{
    for (size_t i = 0; of->set && i < of->set->n; i++) {
        const struct module *m = of->set->modules[i];
        void (*fn)(unsigned host) = start ? m->start : m->stop;
        bool goes_on = same && has(other, m);
        for (size_t h = 0; fn && h < of->hosts; h++)
            if (on_in(of, h, m->slot) && !(goes_on && on_in(other, h, m->slot)))
                fn((unsigned)h);
    }
}

/* Takes the reference to the set. No event comes between the steps: nothing here suspends. */
static void switch_to(struct module_set *set, const struct config *c)
{
    struct view was = view, now = {.set = set, .config = config_hold(c)};
    struct error err = ERROR_INIT;
    if (fill(&now, &err) != 0)
        LOG(ERROR, "module", NULL, "%s", err.text);
    bool same = same_hosts(&was, &now);
    call_each(&was, &now, same, false);
    view = now;
    changes++;
    call_each(&now, &was, same, true);
    view_drop(&was);
}

void module_apply_config(const struct config *c)
{
    switch_to(view.set ? set_hold(view.set) : latest_hold(), c);
}

uint64_t module_changes(void)
{
    return changes;
}

void module_shard_stop(void)
{
    struct view none = {0};
    call_each(&view, &none, false, false);
    view_drop(&view);
}

/* Options of contributed modules, and addresses of services, on one host. */
static int check_on(struct service_table *t, struct arena *a, const struct config *c, const struct module *m, const struct vhost *h,
                    struct error *err)
{
    const struct options *own = NULL;
    bool on = m->core || config_module(h, str_of(m->name));
    if (m->contrib && contrib_options(a, m, named_anywhere(c, m->name), h, &on, &own, err) != 0)
        return -1;
    return on && m->service ? add_service(t, a, m, h, own, err) : 0;
}

int module_set_check(const struct module_set *s, const struct config *c, struct error *err)
{
    struct arena *a = arena_new();
    struct service_table services = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->n; i++)
        for (size_t h = 0; rc == 0 && (s->modules[i]->contrib || s->modules[i]->service) && h < c->host_count; h++)
            rc = check_on(&services, a, c, s->modules[i], &c->hosts[h], err);
    if (rc == 0)
        rc = service_table_close(&services, c, err);
    arena_release(&a);
    return rc;
}

int module_check_config(const struct config *c, struct error *err)
{
    struct module_set *s = latest_hold();
    int rc = s ? module_set_check(s, c, err) : 0;
    module_set_release(&s);
    return rc;
}

/* --- on every shard --- */

struct switching {
    struct module_set *set;
    const struct module *restart;
    unsigned host;
};

static void drop_switching(void *arg)
{
    module_set_release(&((struct switching *)arg)->set);
}

static int gather(struct switching what, gather_fn each, struct error *err) YIELDS;
static int gather(struct switching what, gather_fn each, struct error *err)
{
    struct arena *a = arena_new();
    struct switching *arg = ARENA_NEW(a, struct switching);
    void **slots = ARENA_ARRAY(a, void *, shard_count());
    *arg = what;
    arena_on_release(a, drop_switching, arg);
    int rc = mail_gather(each, arg, slots, a, SWITCH_DEADLINE_MS, err);
    arena_release(&a);
    return rc;
}

static int switch_here(void *arg, void *slot, struct error *err)
{
    struct switching *s = arg;
    (void)slot;
    (void)err;
    if (view.set)
        switch_to(set_hold(s->set), view.config);
    return 0;
}

int module_set_publish(struct module_set *s, struct error *err)
{
    latest_set(set_hold(s));
    return gather((struct switching){.set = s}, switch_here, err);
}

static int restart_here(void *arg, void *slot, struct error *err)
{
    const struct switching *s = arg;
    (void)slot;
    (void)err;
    if (!has(&view, s->restart) || !slot_loaded(s->host, s->restart->slot))
        return 0;
    if (s->restart->stop)
        s->restart->stop(s->host);
    if (s->restart->start)
        s->restart->start(s->host);
    return 0;
}

int module_restart(const struct module *m, unsigned host, struct error *err)
{
    if (!m->start && !m->stop)
        return 0;
    return gather((struct switching){.restart = m, .host = host}, restart_here, err);
}

/* --- answers --- */

struct stanza *iq_result_new(const struct iq *iq)
{
    return stanza_result(iq->stanza);
}

void iq_result(struct iq *iq, struct stanza *answer)
{
    iq->answered = true;
    router_route(&answer);
}

void iq_result_empty(struct iq *iq)
{
    iq_result(iq, iq_result_new(iq));
}

void iq_error(struct iq *iq, enum err_code code, const char *text)
{
    struct stanza *e = stanza_error(iq->stanza, code, str_of(text));
    iq->answered = true;
    if (e)
        router_route(&e);
}

bool iq_refuse_set(struct iq *iq)
{
    if (iq->stanza->type != ST_GET)
        iq_error(iq, ERR_NOT_ALLOWED, "Value 'set' of 'type' attribute is not allowed");
    return iq->answered;
}
