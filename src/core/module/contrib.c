/*
 * Changes of contributed modules; see the header. What blocks is done by steps on the pool (core/module/contrib_step.h);
 * registry and configuration are touched on shard 0 between them. `busy` belongs to shard 0.
 */
#include "core/module/contrib_step.h"

#include "base/log.h"
#include "core/module/contrib_spec.h"
#include "core/module/module_load.h"
#include "core/server.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEADLINE_MS 600000 /* of a call, turns of others before it included */
#define WORDS_SHOWN 4000   /* of compilers and git, in answers */

static void on_pool(void *arg, void *state)
{
    struct contrib_job *j = arg;
    (void)state;
    j->rc = j->step(j);
}

static int blocking(struct contrib_job *j, int (*step)(struct contrib_job *j)) YIELDS;
static int blocking(struct contrib_job *j, int (*step)(struct contrib_job *j))
{
    j->step = step;
    pool_run(pool_general(), on_pool, j);
    return j->rc;
}

/* --- in force --- */

static int publish(struct module_set *s, const char *name) YIELDS;
static int publish(struct module_set *s, const char *name)
{
    struct error err = ERROR_INIT;
    if (module_set_publish(s, &err) != 0)
        LOG(WARNING, "module", NULL, "%s: a shard takes its time to follow: %s", name, err.text);
    return 0;
}

/* The loaded module takes the place of the one of its name; `commit` puts it on disk first. */
static int put_in_force(struct contrib_job *j, bool commit) YIELDS;
static int put_in_force(struct contrib_job *j, bool commit)
{
    struct module_set *s = module_set_with(module_find(str_of(j->name)), j->module, &j->err);
    if (!s || module_set_check(s, config_current(), &j->err) != 0 || (commit && blocking(j, contrib_step_commit) != 0)) {
        module_set_release(&s);
        return -1;
    }
    publish(s, j->name);
    LOG(NOTICE, "module", NULL, "%s %s", j->name, j->had ? "runs with new code" : "is installed and runs");
    return 0;
}

static bool named_in_config(const char *name)
{
    const struct config *c = config_current();
    for (size_t h = 0; h < c->host_count; h++)
        if (config_module(&c->hosts[h], str_of(name)))
            return true;
    return false;
}

static int uninstall(struct contrib_job *j) YIELDS;
static int uninstall(struct contrib_job *j)
{
    if (contrib_step_installed(j) != 0 || blocking(j, contrib_step_remove) != 0)
        return -1;
    const struct module *was = module_find(str_of(j->name));
    struct module_set *s = was && was->contrib ? module_set_with(was, NULL, &j->err) : NULL;
    if (s)
        publish(s, j->name);
    j->call->still_named = named_in_config(j->name);
    LOG(NOTICE, "module", NULL, "%s is uninstalled", j->name);
    return 0;
}

/* --- reading shared objects again --- */

struct names {
    struct arena *arena;
    struct str *v;
    size_t n;
};

static void names_add(void *arg, const char *name, const char *dir)
{
    struct names *l = arg;
    char object[CONTRIB_NAME_MAX + 4], file[CONTRIB_PATH_MAX];
    snprintf(object, sizeof(object), "%s.so", name);
    const struct module *m = module_find(str_of(name));
    if (contrib_path(file, dir, object, NULL) != 0 || access(file, R_OK) != 0 || (m && !module_file_changed(m, file)))
        return;
    ARENA_MORE(l->arena, l->v, l->n);
    l->v[l->n++] = arena_str(l->arena, str_of(name));
}

/* A few stat calls: short enough for a loop. */
static size_t changed(struct arena *a, const char *root, struct str **out)
{
    struct names l = {.arena = a};
    contrib_each(root, false, names_add, &l);
    *out = l.v;
    return l.n;
}

static int update_one(struct contrib_job *j, struct str name) YIELDS;
static int update_one(struct contrib_job *j, struct str name)
{
    if (contrib_job_name(j, name.p) != 0)
        return -1;
    return blocking(j, contrib_step_reload) == 0 ? put_in_force(j, false) : -1;
}

static int update(struct contrib_job *j) YIELDS;
static int update(struct contrib_job *j)
{
    struct str *v;
    struct contrib_call *c = j->call;
    size_t n = changed(c->arena, c->env.root, &v), done = 0;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        if (c->name.n && !str_eq(c->name, v[i]))
            continue;
        struct error before = j->err;
        j->err = ERROR_INIT;
        if (update_one(j, v[i]) == 0) {
            v[done++] = v[i];
        } else {
            LOG(WARNING, "module", NULL, "%.*s keeps its old code: %s", STR_ARG(v[i]), j->err.text);
            rc = -1;
        }
        if (j->err.code == ERR_NONE)
            j->err = before;
    }
    c->names = v;
    c->count = done;
    return rc;
}

static int compile(struct contrib_job *j) YIELDS;
static int compile(struct contrib_job *j)
{
    if (blocking(j, contrib_step_compile) != 0)
        return -1;
    return j->module ? put_in_force(j, true) : 0;
}

/* --- a call --- */

static int dispatch(struct contrib_job *j) YIELDS;
static int dispatch(struct contrib_job *j)
{
    struct contrib_call *c = j->call;
    bool named = c->op != CONTRIB_FETCH && c->op != CONTRIB_COMPILE && c->op != CONTRIB_UPDATE;
    if (named && !contrib_name_valid(c->name)) {
        c->why = c->op == CONTRIB_UNINSTALL ? CONTRIB_NOT_INSTALLED : CONTRIB_NOT_AVAILABLE;
        return err_set(&j->err, ERR_BAD_REQUEST, c->op == CONTRIB_UNINSTALL ? "not_installed" : "not_available");
    }
    if (named && contrib_job_name(j, arena_cstr(c->arena, c->name)) != 0)
        return -1;
    switch (c->op) {
    case CONTRIB_INSTALL: return blocking(j, contrib_step_install) == 0 ? put_in_force(j, true) : -1;
    case CONTRIB_UPGRADE: return blocking(j, contrib_step_upgrade) == 0 ? put_in_force(j, true) : -1;
    case CONTRIB_UNINSTALL: return uninstall(j);
    case CONTRIB_CHECK: return blocking(j, contrib_step_check);
    case CONTRIB_UPDATE: return update(j);
    case CONTRIB_COMPILE: return compile(j);
    case CONTRIB_FETCH: return blocking(j, contrib_step_fetch);
    }
    return -1;
}

static struct str shown(struct arena *a, const struct buf *b)
{
    struct str s = str_trim(buf_str(b));
    if (s.n <= WORDS_SHOWN)
        return s.n ? arena_str(a, s) : STR_NULL;
    return arena_printf(a, "%.*s\n...", WORDS_SHOWN, s.p);
}

static int change(struct contrib_call *c, struct error *err) YIELDS;
static int change(struct contrib_call *c, struct error *err)
{
    struct contrib_job *j = ARENA_NEW(c->arena, struct contrib_job); /* too large for a fiber's stack */
    j->call = c;
    if (!opt_bool(config_current()->global, "allow_contrib_modules"))
        return err_set(err, ERR_NOT_ALLOWED, "contributed modules are switched off: allow_contrib_modules is false");
    if (contrib_env_from(c->arena, config_current(), server_env()->spool_dir, &c->env) != 0)
        return err_set(err, ERR_IO, "there is no folder for contributed modules");
    int rc = dispatch(j);
    if (j->work[0])
        blocking(j, contrib_step_clear);
    c->words = shown(c->arena, &j->words);
    buf_deinit(&j->words);
    if (rc != 0)
        *err = j->err;
    if (rc != 0 && err->code == ERR_TIMEOUT)
        err->code = ERR_CONFIG; /* a slow compiler; the caller takes a time-out for one of the call */
    return rc;
}

static bool busy;

static int on_main(void *arg, struct error *err) YIELDS;
static int on_main(void *arg, struct error *err)
{
    while (busy && !rt_stopping())
        fiber_sleep(5);
    if (busy)
        return err_set(err, ERR_UNAVAILABLE, "the server stops");
    busy = true;
    int rc = change(arg, err);
    busy = false;
    return rc;
}

/* An arena for what shard 0 writes, which it may still do when nobody waits any more; lives as long as `a` at least. */
static struct arena *arena_beside(struct arena *a)
{
    struct arena *own = arena_new();
    arena_on_release(a, arena_drop, own);
    return own;
}

struct contrib_call *contrib_call_new(struct arena *a, enum contrib_op op, struct str name)
{
    struct arena *own = arena_beside(a);
    struct contrib_call *c = ARENA_NEW(own, struct contrib_call);
    *c = (struct contrib_call){.arena = own, .op = op, .name = arena_str(own, name)};
    return c;
}

int contrib_run(struct contrib_call *c, struct error *err)
{
    return mail_call(0, on_main, c, c->arena, DEADLINE_MS, err);
}

/* --- lists --- */

struct listing {
    struct arena *arena;
    struct contrib_item *v;
    size_t n;
};

static void list_add(void *arg, const char *name, const char *dir)
{
    struct listing *l = arg;
    struct contrib_spec spec;
    struct error err = ERROR_INIT;
    ARENA_MORE(l->arena, l->v, l->n);
    struct contrib_item *i = &l->v[l->n++];
    i->name = arena_str(l->arena, str_of(name));
    bool good = contrib_spec_read(l->arena, dir, name, &spec, NULL, &err) == 0;
    i->summary = good ? spec.summary : arena_printf(l->arena, "(broken module.yml: %s)", err.text);
}

static int by_item(const void *a, const void *b)
{
    return str_cmp(((const struct contrib_item *)a)->name, ((const struct contrib_item *)b)->name);
}

size_t contrib_list(struct arena *a, bool installed, struct contrib_item **out)
{
    struct listing l = {.arena = a};
    char root[CONTRIB_PATH_MAX];
    if (contrib_root(server_env()->spool_dir, root) != 0)
        return 0;
    contrib_each(root, !installed, list_add, &l);
    if (l.n)
        qsort(l.v, l.n, sizeof(*l.v), by_item);
    size_t n = 0;
    for (size_t i = 0; i < l.n; i++)
        if (!i || !str_eq(l.v[i].name, l.v[i - 1].name))
            l.v[n++] = l.v[i];
    *out = l.v;
    return n;
}

struct changed_job {
    struct arena *arena;
    struct str *v;
    size_t n;
};

static int changed_on_main(void *arg, struct error *err)
{
    struct changed_job *j = arg;
    char root[CONTRIB_PATH_MAX];
    (void)err;
    if (contrib_root(server_env()->spool_dir, root) == 0)
        j->n = changed(j->arena, root, &j->v);
    return 0;
}

size_t contrib_changed(struct arena *a, struct str **out)
{
    struct arena *own = arena_beside(a);
    struct changed_job *j = ARENA_NEW(own, struct changed_job);
    struct error err = ERROR_INIT;
    j->arena = own;
    if (mail_call(0, changed_on_main, j, own, DEADLINE_MS, &err) != 0)
        return 0;
    *out = j->v;
    return j->n;
}
