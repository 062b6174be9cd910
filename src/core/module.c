/*
 * Registry of modules and the hook tables made from them. Tables are collected once, before the shards run, and never
 * change; which module is on for which host is worked out on each shard whenever a configuration is put in force.
 */
#include "core/module.h"
#include "core/router.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>

extern struct module *const __start_cj_modules[] __attribute__((weak));
extern struct module *const __stop_cj_modules[] __attribute__((weak));

#define HOOK_HANDLERS_MAX 64

struct handler {
    const struct hook_entry *entry;
    unsigned slot; /* of its module */
};

static struct module *modules[MODULE_MAX];
static size_t modules_n;
/* By hook, in stage order; within a stage by module name, so that the order never depends on the linker. */
static struct handler handlers[HOOK__COUNT][HOOK_HANDLERS_MAX];
static unsigned handlers_n[HOOK__COUNT];

/* What is loaded where, on this shard: one bit per module for every host. */
struct loaded {
    uint64_t bits[MODULE_MAX / 64];
};
static _Thread_local struct loaded *loaded;
static _Thread_local size_t loaded_n;

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct module *const *)a)->name, (*(struct module *const *)b)->name);
}

static NORETURN void refuse(const char *what, const char *name)
{
    fprintf(stderr, "module table: %s: %s\n", what, name);
    abort();
}

static void add_hook(const struct module *m, const struct hook_entry *e)
{
    unsigned n = handlers_n[e->hook], i = n;
    if (n == HOOK_HANDLERS_MAX)
        refuse("too many handlers of one hook", m->name);
    while (i > 0 && handlers[e->hook][i - 1].entry->stage > e->stage) {
        handlers[e->hook][i] = handlers[e->hook][i - 1];
        i--;
    }
    handlers[e->hook][i] = (struct handler){e, m->slot};
    handlers_n[e->hook] = n + 1;
}

static void check_iqs(const struct module *m)
{
    for (const struct iq_entry *e = m->iqs; e && e->fn; e++)
        for (size_t i = 0; i < modules_n; i++)
            for (const struct iq_entry *o = modules[i]->iqs; o && o->fn; o++)
                if (o != e && o->to == e->to && o->ns == e->ns)
                    refuse("two handlers for one namespace", m->name);
}

void module_registry_start(void)
{
    if (modules_n)
        return;
    for (struct module *const *p = __start_cj_modules; p < __stop_cj_modules; p++) {
        if (modules_n == MODULE_MAX)
            refuse("too many modules", (*p)->name);
        modules[modules_n++] = *p;
    }
    qsort(modules, modules_n, sizeof modules[0], by_name);
    for (size_t i = 0; i < modules_n; i++) {
        if (i && strcmp(modules[i - 1]->name, modules[i]->name) == 0)
            refuse("two modules of one name", modules[i]->name);
        modules[i]->slot = (unsigned)i;
        check_iqs(modules[i]);
        for (const struct hook_entry *e = modules[i]->hooks; e && e->fn.any; e++)
            add_hook(modules[i], e);
    }
}

size_t module_count(void)
{
    return modules_n;
}

const struct module *module_at(size_t i)
{
    return modules[i];
}

void module_apply_config(const struct config *c)
{
    free(loaded);
    loaded_n = c->host_count;
    loaded = mem_zalloc((loaded_n ? loaded_n : 1) * sizeof *loaded);
    for (size_t h = 0; h < loaded_n; h++)
        for (size_t i = 0; i < modules_n; i++)
            if (modules[i]->core || config_module(&c->hosts[h], str_of(modules[i]->name)))
                loaded[h].bits[i / 64] |= (uint64_t)1 << (i % 64);
}

void module_shard_stop(void)
{
    free(loaded);
    loaded = NULL;
    loaded_n = 0;
}

static bool slot_loaded(unsigned host, unsigned slot)
{
    return host < loaded_n && (loaded[host].bits[slot / 64] >> (slot % 64) & 1);
}

bool module_loaded(unsigned host, const struct module *m)
{
    return slot_loaded(host, m->slot);
}

const struct iq_entry *module_iq(unsigned host, enum iq_to to, enum token ns)
{
    if (ns == TOK_NONE)
        return NULL;
    for (size_t i = 0; i < modules_n; i++)
        for (const struct iq_entry *e = modules[i]->iqs; e && e->fn; e++)
            if (e->ns == ns && e->to == to)
                return slot_loaded(host, (unsigned)i) ? e : NULL;
    return NULL;
}

#define HOOK(name, type, suspends, sentence)                                            \
    enum hook_verdict hook_run_##name(unsigned host, type *event)                       \
    {                                                                                   \
        for (unsigned i = 0; i < handlers_n[HOOK_##name]; i++) {                        \
            const struct handler *h = &handlers[HOOK_##name][i];                        \
            if (!slot_loaded(host, h->slot))                                            \
                continue;                                                               \
            enum hook_verdict v = h->entry->fn.name(event);                             \
            if (v != HOOK_PASS)                                                         \
                return v;                                                               \
        }                                                                               \
        return HOOK_PASS;                                                               \
    }
#define STAGE(hook, name, sentence)
#include "core/hooks.def"
#undef HOOK
#undef STAGE

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
