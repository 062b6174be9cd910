/* Paths of contributed modules; see the header. Keeps nothing. */
#include "core/module/contrib_place.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPOSITORIES_MAX 1000
#define MODULES_MAX 10000

int contrib_path(char out[CONTRIB_PATH_MAX], const char *a, const char *b, const char *c)
{
    int n = c ? snprintf(out, CONTRIB_PATH_MAX, "%s/%s/%s", a, b, c) : snprintf(out, CONTRIB_PATH_MAX, "%s/%s", a, b);
    return n > 0 && n < CONTRIB_PATH_MAX ? 0 : -1;
}

int contrib_root(const char *spool, char out[CONTRIB_PATH_MAX])
{
    const char *own = getenv("CONTRIB_MODULES_PATH");
    if (own && *own)
        return snprintf(out, CONTRIB_PATH_MAX, "%s", own) < CONTRIB_PATH_MAX ? 0 : -1;
    return spool ? contrib_path(out, spool, "modules", NULL) : -1;
}

bool contrib_name_valid(struct str name)
{
    if (!name.n || name.n > CONTRIB_NAME_MAX || name.p[0] < 'a' || name.p[0] > 'z')
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!(name.p[i] >= 'a' && name.p[i] <= 'z') && !(name.p[i] >= '0' && name.p[i] <= '9') && name.p[i] != '_')
            return false;
    return true;
}

static bool is_module(const char *dir)
{
    char file[CONTRIB_PATH_MAX];
    return contrib_path(file, dir, "module.yml", NULL) == 0 && access(file, R_OK) == 0;
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* Sorted; -1: no such folder. */
static int entries(const char *dir, struct dirent ***out)
{
    return scandir(dir, out, visible, alphasort);
}

static void drop(struct dirent **v, int n)
{
    for (int i = 0; i < n; i++)
        free(v[i]);
    if (n >= 0)
        free(v);
}

bool contrib_source(const char *root, const char *name, char out[CONTRIB_PATH_MAX])
{
    char sources[CONTRIB_PATH_MAX], repository[CONTRIB_PATH_MAX];
    struct dirent **v;
    if (contrib_path(sources, root, "sources", NULL) != 0)
        return false;
    if (contrib_path(out, sources, name, NULL) == 0 && is_module(out))
        return true;
    int n = entries(sources, &v);
    bool found = false;
    for (int i = 0; i < n && i < REPOSITORIES_MAX && !found; i++)
        found = contrib_path(repository, sources, v[i]->d_name, NULL) == 0 && contrib_path(out, repository, name, NULL) == 0 &&
                is_module(out);
    drop(v, n);
    return found;
}

bool contrib_installed(const char *root, const char *name, char out[CONTRIB_PATH_MAX])
{
    return contrib_path(out, root, "installed", name) == 0 && is_module(out);
}

enum contrib_state contrib_state(const char *root, struct str name)
{
    char cname[CONTRIB_NAME_MAX + 1], path[CONTRIB_PATH_MAX];
    if (!contrib_name_valid(name))
        return CONTRIB_UNKNOWN;
    snprintf(cname, sizeof(cname), "%.*s", STR_ARG(name));
    if (contrib_installed(root, cname, path))
        return CONTRIB_INSTALLED;
    return contrib_source(root, cname, path) ? CONTRIB_AVAILABLE : CONTRIB_UNKNOWN;
}

/* Modules right inside a folder; those of its folders too when `deeper`. */
static void each_in(const char *dir, bool deeper, void (*fn)(void *arg, const char *name, const char *dir), void *arg)
{
    struct dirent **v;
    int n = entries(dir, &v);
    for (int i = 0; i < n && i < MODULES_MAX; i++) {
        char path[CONTRIB_PATH_MAX];
        if (contrib_path(path, dir, v[i]->d_name, NULL) != 0)
            continue;
        if (is_module(path)) {
            if (contrib_name_valid(str_of(v[i]->d_name)))
                fn(arg, v[i]->d_name, path);
        } else if (deeper) {
            each_in(path, false, fn, arg);
        }
    }
    drop(v, n);
}

void contrib_each(const char *root, bool sources, void (*fn)(void *arg, const char *name, const char *dir), void *arg)
{
    char dir[CONTRIB_PATH_MAX];
    if (contrib_path(dir, root, sources ? "sources" : "installed", NULL) == 0)
        each_in(dir, sources, fn, arg);
}
