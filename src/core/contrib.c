/*
 * Changes of contributed modules, step by step; see the header. The steps that block run on the pool and touch only the job;
 * registry and configuration are touched on shard 0 between them. `busy` belongs to shard 0.
 */
#include "core/contrib.h"

#include "base/log.h"
#include "core/contrib_fetch.h"
#include "core/contrib_files.h"
#include "core/contrib_place.h"
#include "core/contrib_spec.h"
#include "core/module_load.h"
#include "core/server.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEADLINE_MS 600000 /* of a call, turns of others before it included */
#define WORDS_SHOWN 4000   /* of compilers and git, in answers */

struct job {
    struct contrib_call *call;
    char name[CONTRIB_NAME_MAX + 1];
    char source[CONTRIB_PATH_MAX]; /* a folder with module.yml */
    char work[CONTRIB_PATH_MAX];   /* the copy that is compiled */
    char there[CONTRIB_PATH_MAX];  /* ROOT/installed/NAME */
    bool had;                      /* something is installed there */
    struct buf words;
    struct module *module;
    int (*step)(struct job *j);
    int rc;
    struct error err;
};

/* --- what the configuration says --- */

static const char *const *copy_list(struct arena *a, const struct options *o, const char *option)
{
    const struct str *v;
    size_t n = opt_list(o, option, &v);
    const char **out = (const char **)ARENA_ARRAY(a, char *, n + 1);
    for (size_t i = 0; i < n; i++)
        out[i] = arena_cstr(a, v[i]);
    return out;
}

static int env_from(struct arena *a, const struct config *c, const char *spool, struct contrib_env *out)
{
    char root[CONTRIB_PATH_MAX];
    if (contrib_root(spool, root) != 0)
        return -1;
    *out = (struct contrib_env){.root = arena_cstr(a, str_of(root)),
                                .compiler = arena_cstr(a, opt_str(c->global, "contrib_compiler")),
                                .flags = copy_list(a, c->global, "contrib_compiler_flags"),
                                .sources = copy_list(a, c->global, "contrib_modules_sources"),
                                .wanted = copy_list(a, c->global, "install_contrib_modules")};
    return 0;
}

/* --- steps that block --- */

static int name_job(struct job *j, const char *name)
{
    const char *root = j->call->env.root;
    char work[CONTRIB_NAME_MAX + 10];
    snprintf(j->name, sizeof(j->name), "%s", name);
    snprintf(work, sizeof(work), ".work-%s", j->name);
    if (contrib_path(j->work, root, work, NULL) != 0 || contrib_path(j->there, root, "installed", j->name) != 0)
        return err_set(&j->err, ERR_IO, "the path of %s is too long", j->name);
    j->had = access(j->there, F_OK) == 0;
    return 0;
}

static int find_source(struct job *j)
{
    if (contrib_source(j->call->env.root, j->name, j->source))
        return 0;
    j->call->why = CONTRIB_NOT_AVAILABLE;
    return err_set(&j->err, ERR_BAD_REQUEST, "not_available");
}

static int make_folders(struct job *j)
{
    static const char *const names[] = {"installed", "sources", "running"};
    char path[CONTRIB_PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (contrib_path(path, j->call->env.root, names[i], NULL) != 0 || folder_make(path, &j->err) != 0)
            return -1;
    return 0;
}

/* The sources compiled in `work` and looked at; what is installed is not touched. */
static int build_work(struct job *j)
{
    struct arena *a = arena_new();
    struct contrib_spec spec;
    struct str unknown = S("");
    char object[CONTRIB_PATH_MAX];
    tree_remove(j->work);
    int rc = make_folders(j);
    if (rc == 0)
        rc = tree_copy(j->source, j->work, &j->err);
    if (rc == 0)
        rc = contrib_spec_read(a, j->work, j->name, &spec, &unknown, &j->err);
    if (rc == 0 && unknown.n)
        buf_printf(&j->words, "module.yml: unknown %.*s\n", STR_ARG(unknown));
    if (rc == 0 && contrib_path(object, j->work, arena_printf(a, "%s.so", j->name).p, NULL) == 0)
        unlink(object); /* nobody else's binaries */
    if (rc == 0)
        rc = contrib_build(&j->call->env, j->work, &spec, &j->words, &j->err);
    if (rc == 0)
        rc = contrib_probe(j->work, j->name, &j->words, &j->err);
    arena_release(&a);
    return rc;
}

static int load_from(struct job *j, const char *dir)
{
    const char *conf_dir = getenv("CONTRIB_MODULES_CONF_DIR"); /* COMPAT(ejabberd): the administrator's instead of the module's */
    char file[CONTRIB_PATH_MAX], running[CONTRIB_PATH_MAX], defaults[CONTRIB_PATH_MAX], name[CONTRIB_NAME_MAX + 8];
    snprintf(name, sizeof(name), "%s.so", j->name);
    if (contrib_path(file, dir, name, NULL) != 0 || contrib_path(running, j->call->env.root, "running", NULL) != 0)
        return err_set(&j->err, ERR_IO, "the path of %s is too long", j->name);
    snprintf(name, sizeof(name), "%s.yml", j->name);
    if (!conf_dir || !*conf_dir || contrib_path(defaults, conf_dir, name, NULL) != 0 || access(defaults, R_OK) != 0)
        if (contrib_path(defaults, dir, "conf", name) != 0)
            return err_set(&j->err, ERR_IO, "the path of %s is too long", j->name);
    j->module = module_load(file, running, j->name, defaults, &j->err);
    return j->module ? 0 : -1;
}

static int step_prepare(struct job *j)
{
    return build_work(j) == 0 ? load_from(j, j->work) : -1;
}

static int step_commit(struct job *j)
{
    return tree_replace(j->work, j->there, &j->err);
}

static int step_reload(struct job *j)
{
    return make_folders(j) == 0 && contrib_probe(j->there, j->name, &j->words, &j->err) == 0 ? load_from(j, j->there) : -1;
}

/* Out of sight in one step, then gone. */
static int step_remove(struct job *j)
{
    tree_remove(j->work);
    if (rename(j->there, j->work) != 0)
        return err_set(&j->err, ERR_IO, "cannot remove %s: %m", j->there);
    return 0;
}

static int step_clear(struct job *j)
{
    return tree_remove(j->work);
}

static int step_install(struct job *j)
{
    if (find_source(j) != 0)
        return -1;
    if (j->had) {
        j->call->why = CONTRIB_CONFLICT;
        return err_set(&j->err, ERR_BAD_REQUEST, "conflict");
    }
    return step_prepare(j);
}

static int step_installed(struct job *j)
{
    if (j->had)
        return 0;
    j->call->why = CONTRIB_NOT_INSTALLED;
    return err_set(&j->err, ERR_BAD_REQUEST, "not_installed");
}

static int step_upgrade(struct job *j)
{
    return find_source(j) == 0 && step_installed(j) == 0 ? step_prepare(j) : -1;
}

static int step_check(struct job *j)
{
    return find_source(j) == 0 ? build_work(j) : -1;
}

static int step_fetch(struct job *j)
{
    return make_folders(j) == 0 ? contrib_fetch(&j->call->env, &j->words, &j->err) : -1;
}

static void on_pool(void *arg, void *state)
{
    struct job *j = arg;
    (void)state;
    j->rc = j->step(j);
}

static int blocking(struct job *j, int (*step)(struct job *j)) YIELDS;
static int blocking(struct job *j, int (*step)(struct job *j))
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
static int put_in_force(struct job *j, bool commit) YIELDS;
static int put_in_force(struct job *j, bool commit)
{
    struct module_set *s = module_set_with(module_find(str_of(j->name)), j->module, &j->err);
    if (!s || module_set_check(s, config_current(), &j->err) != 0 || (commit && blocking(j, step_commit) != 0)) {
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

static int uninstall(struct job *j) YIELDS;
static int uninstall(struct job *j)
{
    if (step_installed(j) != 0 || blocking(j, step_remove) != 0)
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
    size_t n, cap;
};

static void names_add(void *arg, const char *name, const char *dir)
{
    struct names *l = arg;
    char object[CONTRIB_NAME_MAX + 4], file[CONTRIB_PATH_MAX];
    snprintf(object, sizeof(object), "%s.so", name);
    const struct module *m = module_find(str_of(name));
    if (contrib_path(file, dir, object, NULL) != 0 || access(file, R_OK) != 0 || (m && !module_file_changed(m, file)))
        return;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct str *v = ARENA_ARRAY(l->arena, struct str, cap);
        if (l->n)
            memcpy(v, l->v, l->n * sizeof(*v));
        l->v = v;
        l->cap = cap;
    }
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

static int update_one(struct job *j, struct str name) YIELDS;
static int update_one(struct job *j, struct str name)
{
    if (name_job(j, name.p) != 0)
        return -1;
    return blocking(j, step_reload) == 0 ? put_in_force(j, false) : -1;
}

static int update(struct job *j) YIELDS;
static int update(struct job *j)
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

/* --- one file --- */

/* The module a source file belongs to: the folder with module.yml it lies in, or below src/ of. */
static int find_module_of(struct job *j, char name_out[CONTRIB_NAME_MAX + 1])
{
    char file[CONTRIB_PATH_MAX], yml[CONTRIB_PATH_MAX];
    char *path = realpath(arena_cstr(j->call->arena, j->call->name), NULL);
    snprintf(file, sizeof(file), "%s", path ? path : "");
    free(path);
    if (!file[0] || access(file, R_OK) != 0)
        return err_set(&j->err, ERR_NOT_FOUND, "%.*s: no such file or directory", STR_ARG(j->call->name));
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(file, '/');
        const char *below = slash ? slash + 1 : "";
        if (up == 1 && strcmp(below, "src") != 0)
            break;
        if (slash)
            *slash = 0;
        if (contrib_path(yml, file, "module.yml", NULL) == 0 && access(yml, R_OK) == 0) {
            const char *name = strrchr(file, '/');
            snprintf(j->source, sizeof(j->source), "%s", file);
            if (name && contrib_name_valid(str_of(name + 1)))
                return snprintf(name_out, CONTRIB_NAME_MAX + 1, "%s", name + 1) > 0 ? 0 : -1;
        }
    }
    return err_set(&j->err, ERR_CONFIG, "%.*s: there is no module.yml beside it", STR_ARG(j->call->name));
}

static int step_compile(struct job *j)
{
    char name[CONTRIB_NAME_MAX + 1];
    size_t n = j->call->name.n;
    if (find_module_of(j, name) != 0 || name_job(j, name) != 0)
        return -1;
    if (n < 3 || memcmp(j->call->name.p + n - 2, ".c", 2) != 0)
        return err_set(&j->err, ERR_CONFIG, "%.*s: not the name of a C source file", STR_ARG(j->call->name));
    if (build_work(j) != 0)
        return -1;
    j->call->installed = j->had;
    return j->had ? load_from(j, j->work) : 0;
}

static int compile(struct job *j) YIELDS;
static int compile(struct job *j)
{
    if (blocking(j, step_compile) != 0)
        return -1;
    return j->module ? put_in_force(j, true) : 0;
}

/* --- a call --- */

static int dispatch(struct job *j) YIELDS;
static int dispatch(struct job *j)
{
    struct contrib_call *c = j->call;
    bool named = c->op != CONTRIB_FETCH && c->op != CONTRIB_COMPILE && c->op != CONTRIB_UPDATE;
    if (named && !contrib_name_valid(c->name)) {
        c->why = c->op == CONTRIB_UNINSTALL ? CONTRIB_NOT_INSTALLED : CONTRIB_NOT_AVAILABLE;
        return err_set(&j->err, ERR_BAD_REQUEST, c->op == CONTRIB_UNINSTALL ? "not_installed" : "not_available");
    }
    if (named && name_job(j, arena_cstr(c->arena, c->name)) != 0)
        return -1;
    switch (c->op) {
    case CONTRIB_INSTALL: return blocking(j, step_install) == 0 ? put_in_force(j, true) : -1;
    case CONTRIB_UPGRADE: return blocking(j, step_upgrade) == 0 ? put_in_force(j, true) : -1;
    case CONTRIB_UNINSTALL: return uninstall(j);
    case CONTRIB_CHECK: return blocking(j, step_check);
    case CONTRIB_UPDATE: return update(j);
    case CONTRIB_COMPILE: return compile(j);
    case CONTRIB_FETCH: return blocking(j, step_fetch);
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
    struct job *j = ARENA_NEW(c->arena, struct job); /* too large for a fiber's stack */
    j->call = c;
    if (!opt_bool(config_current()->global, "allow_contrib_modules"))
        return err_set(err, ERR_NOT_ALLOWED, "contributed modules are switched off: allow_contrib_modules is false");
    if (env_from(c->arena, config_current(), server_env()->spool_dir, &c->env) != 0)
        return err_set(err, ERR_IO, "there is no folder for contributed modules");
    int rc = dispatch(j);
    if (j->work[0])
        blocking(j, step_clear);
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

static void arena_drop(void *arg)
{
    struct arena *a = arg;
    arena_release(&a);
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
    size_t n, cap;
};

static void list_add(void *arg, const char *name, const char *dir)
{
    struct listing *l = arg;
    struct contrib_spec spec;
    struct error err = ERROR_INIT;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct contrib_item *v = ARENA_ARRAY(l->arena, struct contrib_item, cap);
        if (l->n)
            memcpy(v, l->v, l->n * sizeof(*v));
        l->v = v;
        l->cap = cap;
    }
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

/* --- start --- */

struct starting {
    struct contrib_call call;
    bool check;
    unsigned loaded;
};

/* The same steps without shards: everything in turn, on the main thread. */
static int start_one(struct job *j, bool commit)
{
    struct module_set *s = module_set_with(module_find(str_of(j->name)), j->module, &j->err);
    if (!s || (commit && step_commit(j) != 0)) {
        module_set_release(&s);
        return -1;
    }
    module_set_start(s);
    return 0;
}

static void load_installed(void *arg, const char *name, const char *dir)
{
    struct starting *st = arg;
    struct job j = {.call = &st->call};
    int rc = name_job(&j, name) == 0 ? load_from(&j, dir) : -1;
    if (rc == 0)
        rc = start_one(&j, false);
    else if (!st->check && j.err.code != ERR_FORBIDDEN) { /* most often a server with other headers than before */
        LOG(NOTICE, "module", NULL, "compiling %s again: %s", name, j.err.text);
        j.err = ERROR_INIT;
        snprintf(j.source, sizeof(j.source), "%s", dir);
        rc = step_prepare(&j) == 0 ? start_one(&j, true) : -1;
        step_clear(&j);
    }
    st->loaded += rc == 0;
    if (rc != 0)
        LOG(ERROR, "module", NULL, "installed module %s does not run: %s%s%.*s", name, j.err.text, j.words.n ? ": " : "",
            STR_ARG(str_trim(buf_str(&j.words))));
    buf_deinit(&j.words);
}

static void install_wanted(struct starting *st)
{
    bool fetched = false;
    for (size_t i = 0; st->call.env.wanted[i]; i++) {
        struct job j = {.call = &st->call};
        const char *name = st->call.env.wanted[i];
        char dir[CONTRIB_PATH_MAX];
        if (!contrib_name_valid(str_of(name)) || name_job(&j, name) != 0 || j.had)
            continue;
        if (!fetched && !contrib_source(st->call.env.root, name, dir)) {
            fetched = true;
            step_fetch(&j);
        }
        if (step_check(&j) == 0 && step_commit(&j) == 0) /* loaded with the others */
            LOG(NOTICE, "module", NULL, "%s is installed", name);
        else
            LOG(ERROR, "module", NULL, "install_contrib_modules: %s: %s%s%.*s", name, j.err.text, j.words.n ? ": " : "",
                STR_ARG(str_trim(buf_str(&j.words))));
        step_clear(&j);
        buf_deinit(&j.words);
    }
}

/* Of the last run, or of one that was killed in the middle of a change. */
static void clear_leftovers(const char *root)
{
    char path[CONTRIB_PATH_MAX];
    if (contrib_path(path, root, "running", NULL) == 0)
        tree_remove(path);
    DIR *d = opendir(root);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, ".work-", 6) == 0 && contrib_path(path, root, e->d_name, NULL) == 0)
            tree_remove(path);
    if (d)
        closedir(d);
}

int contrib_start(const struct config *c, const char *spool, bool check, struct error *err)
{
    struct arena *a = arena_new();
    struct starting st = {.call = {.arena = a}, .check = check};
    char dir[CONTRIB_PATH_MAX];
    int rc = 0;
    if (opt_bool(c->global, "allow_contrib_modules") && env_from(a, c, spool, &st.call.env) == 0 &&
        (st.call.env.wanted[0] || (contrib_path(dir, st.call.env.root, "installed", NULL) == 0 && access(dir, R_OK) == 0))) {
        struct job folders = {.call = &st.call};
        if (!check) {
            clear_leftovers(st.call.env.root);
            install_wanted(&st);
        }
        if (make_folders(&folders) == 0)
            contrib_each(st.call.env.root, false, load_installed, &st);
        else
            LOG(ERROR, "module", NULL, "%s", folders.err.text);
        rc = module_check_config(c, err);
    }
    if (st.loaded)
        LOG(INFO, "module", NULL, "%u contributed modules are loaded", st.loaded);
    arena_release(&a);
    return rc;
}
