/* Sources of contributed modules; see the header. Keeps nothing. */
#include "core/module/contrib_fetch.h"

#include "core/module/contrib_files.h"
#include "core/module/contrib_place.h"
#include "rt/child.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GIT_MS 120000
#define WORDS_MAX 4096

static bool has(const char *dir, const char *name)
{
    char path[CONTRIB_PATH_MAX];
    return contrib_path(path, dir, name, NULL) == 0 && access(path, R_OK) == 0;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* "https://host/a/things.git" -> "things"; only characters that are harmless in a path. */
static int folder_name(const char *source, char out[CONTRIB_NAME_MAX + 1])
{
    struct str s = str_of(source);
    while (s.n && s.p[s.n - 1] == '/')
        s.n--;
    if (s.n > 4 && memcmp(s.p + s.n - 4, ".git", 4) == 0)
        s.n -= 4;
    size_t from = s.n;
    while (from && s.p[from - 1] != '/' && s.p[from - 1] != ':')
        from--;
    s = str_n(s.p + from, s.n - from);
    if (!s.n || s.n > CONTRIB_NAME_MAX || s.p[0] == '.' || s.p[0] == '-')
        return -1;
    for (size_t i = 0; i <= s.n; i++) {
        char c = i < s.n ? s.p[i] : '\0';
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("._-", c));
        out[i] = !c || word ? c : '_';
    }
    return 0;
}

static int clone(const char *source, bool local, const char *to, struct buf *words, struct error *err)
{
    /* "ext::" and the like would run programs; depth means nothing for a folder and would warn. */
    const char *const far[] = {"git", "clone", "--quiet", "--depth=1", "--", source, to, NULL};
    const char *const near[] = {"git", "clone", "--quiet", "--", source, to, NULL};
    static const char *const set[] = {"GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh", NULL};
    struct child c = {.argv = local ? near : far, .set = set, .timeout_ms = GIT_MS, .output_max = WORDS_MAX};
    int rc = child_run(&c, words, err);
    if (rc < 0 && err->code == ERR_NOT_FOUND)
        return err_set(err, ERR_CONFIG, "%s is a git repository, but git is not installed", source);
    if (rc > 0)
        return err_set(err, ERR_CONFIG, "git cannot clone %s", source);
    char meta[CONTRIB_PATH_MAX];
    if (rc == 0 && contrib_path(meta, to, ".git", NULL) == 0)
        tree_remove(meta); /* only the files are of use */
    return rc;
}

static int fetch_into(const char *source, const char *to, struct buf *words, struct error *err)
{
    bool local = is_folder(source);
    if (local && !has(source, ".git") && !(has(source, "HEAD") && has(source, "objects")))
        return tree_copy(source, to, err);
    if (!local && !strstr(source, "://") && !strchr(source, ':'))
        return err_set(err, ERR_CONFIG, "%s is neither a folder nor the address of a git repository", source);
    return source[0] == '-' ? err_set(err, ERR_CONFIG, "%s is no source", source) : clone(source, local, to, words, err);
}

static int fetch_one(const struct contrib_env *env, const char *source, struct buf *words, struct error *err)
{
    char name[CONTRIB_NAME_MAX + 1], work[CONTRIB_PATH_MAX], sources[CONTRIB_PATH_MAX], there[CONTRIB_PATH_MAX];
    if (folder_name(source, name) != 0)
        return err_set(err, ERR_CONFIG, "source '%s' has no name that a folder could have", source);
    if (contrib_path(sources, env->root, "sources", NULL) != 0 || contrib_path(there, sources, name, NULL) != 0 ||
        contrib_path(work, env->root, ".work-sources", NULL) != 0)
        return err_set(err, ERR_IO, "the path of source %s is too long", name);
    tree_remove(work);
    int rc = folder_make(sources, err);
    if (rc == 0)
        rc = fetch_into(source, work, words, err);
    if (rc == 0)
        rc = tree_replace(work, there, err);
    tree_remove(work);
    return rc;
}

int contrib_fetch(const struct contrib_env *env, struct buf *words, struct error *err)
{
    char examples[4096];
    const char *own[] = {NULL, NULL};
    const char *const *v = env->sources;
    int rc = 0;
    if (!v || !v[0]) {
        if (contrib_examples(examples) != 0)
            return err_set(err, ERR_CONFIG, "there are no sources: name repositories or folders in option contrib_modules_sources");
        own[0] = examples;
        v = own;
    }
    for (size_t i = 0; v[i]; i++) {
        struct error e = ERROR_INIT;
        if (fetch_one(env, v[i], words, &e) == 0)
            continue;
        if (rc == 0)
            *err = e;
        else
            buf_printf(words, "%s\n", e.text);
        rc = -1;
    }
    return rc;
}
