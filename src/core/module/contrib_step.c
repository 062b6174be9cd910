/* Blocking steps of changes of contributed modules; see the header. Keeps nothing. */
#include "core/module/contrib_step.h"

#include "core/module/contrib_fetch.h"
#include "core/module/contrib_files.h"
#include "core/module/contrib_spec.h"
#include "core/module/module_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const *copy_list(struct arena *a, const struct options *o, const char *option)
{
    const struct str *v;
    size_t n = opt_list(o, option, &v);
    const char **out = (const char **)ARENA_ARRAY(a, char *, n + 1);
    for (size_t i = 0; i < n; i++)
        out[i] = arena_cstr(a, v[i]);
    return out;
}

int contrib_env_from(struct arena *a, const struct config *c, const char *spool, struct contrib_env *out)
{
    char root[CONTRIB_PATH_MAX];
    if (contrib_root(spool, root) != 0)
        return -1;
    int64_t memory = opt_int(c->global, "contrib_compiler_memory");
    *out = (struct contrib_env){.root = arena_cstr(a, str_of(root)),
                                .compiler = arena_cstr(a, opt_str(c->global, "contrib_compiler")),
                                .flags = copy_list(a, c->global, "contrib_compiler_flags"),
                                .memory_max = memory == OPT_INFINITY ? 0 : (uint64_t)memory,
                                .sources = copy_list(a, c->global, "contrib_modules_sources"),
                                .wanted = copy_list(a, c->global, "install_contrib_modules")};
    return 0;
}

int contrib_job_name(struct contrib_job *j, const char *name)
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

static int find_source(struct contrib_job *j)
{
    if (contrib_source(j->call->env.root, j->name, j->source))
        return 0;
    j->call->why = CONTRIB_NOT_AVAILABLE;
    return err_set(&j->err, ERR_BAD_REQUEST, "not_available");
}

int contrib_make_folders(struct contrib_job *j)
{
    static const char *const names[] = {"installed", "sources", "running"};
    char path[CONTRIB_PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (contrib_path(path, j->call->env.root, names[i], NULL) != 0 || folder_make(path, &j->err) != 0)
            return -1;
    return 0;
}

/* The sources compiled in `work` and looked at; what is installed is not touched. */
static int build_work(struct contrib_job *j)
{
    struct arena *a = arena_new();
    struct contrib_spec spec;
    struct str unknown = S("");
    char object[CONTRIB_PATH_MAX];
    tree_remove(j->work);
    int rc = contrib_make_folders(j);
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

int contrib_load_from(struct contrib_job *j, const char *dir)
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

int contrib_step_prepare(struct contrib_job *j)
{
    return build_work(j) == 0 ? contrib_load_from(j, j->work) : -1;
}

int contrib_step_commit(struct contrib_job *j)
{
    return tree_replace(j->work, j->there, &j->err);
}

int contrib_step_reload(struct contrib_job *j)
{
    if (contrib_make_folders(j) != 0 || contrib_probe(j->there, j->name, &j->words, &j->err) != 0)
        return -1;
    return contrib_load_from(j, j->there);
}

/* Out of sight in one step, then gone. */
int contrib_step_remove(struct contrib_job *j)
{
    tree_remove(j->work);
    if (rename(j->there, j->work) != 0)
        return err_set(&j->err, ERR_IO, "cannot remove %s: %m", j->there);
    return 0;
}

int contrib_step_clear(struct contrib_job *j)
{
    return tree_remove(j->work);
}

int contrib_step_install(struct contrib_job *j)
{
    if (find_source(j) != 0)
        return -1;
    if (j->had) {
        j->call->why = CONTRIB_CONFLICT;
        return err_set(&j->err, ERR_BAD_REQUEST, "conflict");
    }
    return contrib_step_prepare(j);
}

int contrib_step_installed(struct contrib_job *j)
{
    if (j->had)
        return 0;
    j->call->why = CONTRIB_NOT_INSTALLED;
    return err_set(&j->err, ERR_BAD_REQUEST, "not_installed");
}

int contrib_step_upgrade(struct contrib_job *j)
{
    return find_source(j) == 0 && contrib_step_installed(j) == 0 ? contrib_step_prepare(j) : -1;
}

int contrib_step_check(struct contrib_job *j)
{
    return find_source(j) == 0 ? build_work(j) : -1;
}

int contrib_step_fetch(struct contrib_job *j)
{
    return contrib_make_folders(j) == 0 ? contrib_fetch(&j->call->env, &j->words, &j->err) : -1;
}

/* --- compile --- */

/* The module a source file belongs to: the folder with module.yml it lies in, or below src/ of. */
static int find_module_of(struct contrib_job *j, char name_out[CONTRIB_NAME_MAX + 1])
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

int contrib_step_compile(struct contrib_job *j)
{
    char name[CONTRIB_NAME_MAX + 1];
    size_t n = j->call->name.n;
    if (find_module_of(j, name) != 0 || contrib_job_name(j, name) != 0)
        return -1;
    if (n < 3 || memcmp(j->call->name.p + n - 2, ".c", 2) != 0)
        return err_set(&j->err, ERR_CONFIG, "%.*s: not the name of a C source file", STR_ARG(j->call->name));
    if (build_work(j) != 0)
        return -1;
    j->call->installed = j->had;
    return j->had ? contrib_load_from(j, j->work) : 0;
}
