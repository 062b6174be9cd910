/*
 * Contributed modules at start: loads, makes again, installs; see core/module/contrib.h. On the main thread, before the shards
 * run.
 */
#include "core/module/contrib_step.h"

#include "base/log.h"
#include "core/module/contrib_files.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

struct starting {
    struct contrib_call call;
    bool check;
    unsigned loaded;
};

/* The same steps without shards: everything in turn, on the main thread. */
static int start_one(struct contrib_job *j, bool commit)
{
    struct module_set *s = module_set_with(module_find(str_of(j->name)), j->module, &j->err);
    if (!s || (commit && contrib_step_commit(j) != 0)) {
        module_set_release(&s);
        return -1;
    }
    module_set_start(s);
    return 0;
}

static void load_installed(void *arg, const char *name, const char *dir)
{
    struct starting *st = arg;
    struct contrib_job j = {.call = &st->call};
    int rc = contrib_job_name(&j, name) == 0 ? contrib_load_from(&j, dir) : -1;
    if (rc == 0)
        rc = start_one(&j, false);
    else if (!st->check && j.err.code != ERR_FORBIDDEN) { /* most often a server with other headers than before */
        LOG(NOTICE, "module", NULL, "compiling %s again: %s", name, j.err.text);
        j.err = ERROR_INIT;
        snprintf(j.source, sizeof(j.source), "%s", dir);
        rc = contrib_step_prepare(&j) == 0 ? start_one(&j, true) : -1;
        contrib_step_clear(&j);
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
        struct contrib_job j = {.call = &st->call};
        const char *name = st->call.env.wanted[i];
        char dir[CONTRIB_PATH_MAX];
        if (!contrib_name_valid(str_of(name)) || contrib_job_name(&j, name) != 0 || j.had)
            continue;
        if (!fetched && !contrib_source(st->call.env.root, name, dir)) {
            fetched = true;
            contrib_step_fetch(&j);
        }
        if (contrib_step_check(&j) == 0 && contrib_step_commit(&j) == 0) /* loaded with the others */
            LOG(NOTICE, "module", NULL, "%s is installed", name);
        else
            LOG(ERROR, "module", NULL, "install_contrib_modules: %s: %s%s%.*s", name, j.err.text, j.words.n ? ": " : "",
                STR_ARG(str_trim(buf_str(&j.words))));
        contrib_step_clear(&j);
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
    if (opt_bool(c->global, "allow_contrib_modules") && contrib_env_from(a, c, spool, &st.call.env) == 0 &&
        (st.call.env.wanted[0] || (contrib_path(dir, st.call.env.root, "installed", NULL) == 0 && access(dir, R_OK) == 0))) {
        struct contrib_job folders = {.call = &st.call};
        if (!check) {
            clear_leftovers(st.call.env.root);
            install_wanted(&st);
        }
        if (contrib_make_folders(&folders) == 0)
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
