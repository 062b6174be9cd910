/* Compiler runs for contributed modules; see the header. Keeps nothing. */
#include "core/module/contrib_build.h"

#include "core/module/contrib_place.h"
#include "core/module/contrib_spec.h"
#include "rt/child.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef CJABBERD_INCLUDE_DIR
#define CJABBERD_INCLUDE_DIR "/usr/include"
#endif
#ifndef CJABBERD_DATA_DIR
#define CJABBERD_DATA_DIR "/usr/share/cjabberd"
#endif

#define COMPILE_MS 120000
#define PROBE_MS 30000
#define WORDS_MAX (16 << 10)
#define FILES_MAX 200
#define ARGS_MAX (FILES_MAX + 120)
#define NOT_FOUND 127 /* main/limited.h: LIMITED_NOT_FOUND */

/* --- where things are --- */

/* Either of two places near the program, or the installed one; whichever has `file` in it. */
static int find_near(const char *near, const char *other, const char *installed, const char *file, char out[4096])
{
    char exe[CONTRIB_PATH_MAX], dir[CONTRIB_PATH_MAX], probe[CONTRIB_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    exe[n > 0 ? n : 0] = 0;
    char *slash = strrchr(exe, '/');
    if (slash)
        *slash = 0;
    const char *below[] = {near, other};
    for (size_t i = 0; slash && i < ARRAY_LEN(below); i++)
        if (contrib_path(dir, exe, below[i], NULL) == 0 && contrib_path(probe, dir, file, NULL) == 0 && access(probe, R_OK) == 0)
            return snprintf(out, 4096, "%s", dir) < 4096 ? 0 : -1;
    if (contrib_path(probe, installed, file, NULL) != 0 || access(probe, R_OK) != 0)
        return -1;
    return snprintf(out, 4096, "%s", installed) < 4096 ? 0 : -1;
}

int contrib_headers(char out[4096])
{
    return find_near("include", "../include", CJABBERD_INCLUDE_DIR, "cjabberd/module.h", out);
}

int contrib_examples(char out[4096])
{
    return find_near("../contrib", "../share/cjabberd/contrib", CJABBERD_DATA_DIR "/contrib", "README.md", out);
}

/* --- the command --- */

struct command {
    struct arena *arena;
    const char *argv[ARGS_MAX + 1];
    size_t n;
};

static void add(struct command *c, const char *word)
{
    if (c->n < ARGS_MAX)
        c->argv[c->n++] = word;
}

static int is_source(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 2 && e->d_name[0] != '.' && e->d_name[0] != '-' && strcmp(e->d_name + n - 2, ".c") == 0;
}

/* The .c files of DIR/below, in order of their names, as paths from DIR. How many. */
static int add_sources(struct command *c, const char *dir, const char *below)
{
    char path[CONTRIB_PATH_MAX];
    struct dirent **v;
    int n = contrib_path(path, dir, below, NULL) == 0 ? scandir(path, &v, is_source, alphasort) : -1;
    for (int i = 0; i < n; i++) {
        if (i < FILES_MAX)
            add(c, arena_printf(c->arena, "%s/%s", below, v[i]->d_name).p);
        free(v[i]);
    }
    if (n >= 0)
        free(v);
    return n;
}

static int make_command(struct command *c, const struct contrib_env *env, const char *dir, const struct contrib_spec *spec,
                        struct error *err)
{
    static const char *const ours[] = {
        "-std=gnu17", "-D_GNU_SOURCE", "-DCJABBERD_CONTRIB", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-strict-aliasing",
        "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers",
        "-Werror=implicit-function-declaration", "-Werror=incompatible-pointer-types", "-Werror=int-conversion", "-Isrc", "-I."};
    char headers[4096];
    if (contrib_headers(headers) != 0)
        return err_set(err, ERR_CONFIG, "the header files of cjabberd are not installed (cjabberd/module.h is not in %s)",
                       CJABBERD_INCLUDE_DIR);
    if (env->memory_max) { /* main/limited.h */
        add(c, "/proc/self/exe");
        add(c, "--limited");
        add(c, arena_printf(c->arena, "%" PRIu64, env->memory_max).p);
    }
    add(c, env->compiler);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        add(c, ours[i]);
    for (size_t i = 0; env->flags && env->flags[i] && i < 50; i++)
        add(c, env->flags[i]);
    add(c, arena_printf(c->arena, "-I%s", headers).p);
    add(c, arena_printf(c->arena, "-I%s/cjabberd", headers).p);
    add(c, "-o");
    add(c, arena_printf(c->arena, "%.*s.so", STR_ARG(spec->name)).p);
    int n = add_sources(c, dir, "src");
    if (n <= 0)
        n = add_sources(c, dir, ".");
    if (n <= 0 || n > FILES_MAX)
        return err_set(err, ERR_CONFIG, "%.*s has %s%d source files (*.c, or src/ with them)", STR_ARG(spec->name),
                       n > 0 ? "more than " : "", n > 0 ? FILES_MAX : 0);
    for (size_t i = 0; i < spec->lib_count; i++)
        add(c, arena_printf(c->arena, "-l%.*s", STR_ARG(spec->libs[i])).p);
    c->argv[c->n] = NULL;
    return 0;
}

static int sync_file(const char *dir, const char *name, struct error *err)
{
    char path[CONTRIB_PATH_MAX];
    FILE *f = contrib_path(path, dir, name, NULL) == 0 ? fopen(path, "re") : NULL;
    int rc = f && fsync(fileno(f)) == 0 ? 0 : err_set(err, ERR_IO, "cannot write %s to disk", name);
    if (f)
        fclose(f);
    return rc;
}

/* A compiler that gets no more memory says so in words of its own, among many others. */
static bool out_of_memory(struct str words)
{
    static const char *const says[] = {"out of memory", "memory exhausted", "annot allocate memory", "bad_alloc"};
    for (size_t i = 0; i < ARRAY_LEN(says); i++)
        if (words.n && memmem(words.p, words.n, says[i], strlen(says[i])))
            return true;
    return false;
}

static int compile(const struct contrib_env *env, const struct command *c, const char *dir, const struct contrib_spec *spec,
                   struct buf *words, struct error *err)
{
    struct child child = {.argv = c->argv, .dir = dir, .timeout_ms = COMPILE_MS, .output_max = WORDS_MAX};
    size_t before = words->n;
    int rc = child_run(&child, words, err);
    if ((rc < 0 && err->code == ERR_NOT_FOUND) || (env->memory_max && rc == NOT_FOUND))
        return err_set(err, ERR_CONFIG, "there is no compiler '%s': install one, or name it in option contrib_compiler",
                       env->compiler);
    if (rc > 0 && env->memory_max && out_of_memory(str_n(words->p + before, words->n - before)))
        return err_set(err, ERR_CONFIG, "compiling %.*s takes more memory than option contrib_compiler_memory allows "
                       "(%" PRIu64 " bytes)", STR_ARG(spec->name), env->memory_max);
    return rc > 0 ? err_set(err, ERR_CONFIG, "%.*s does not compile", STR_ARG(spec->name)) : rc;
}

int contrib_build(const struct contrib_env *env, const char *dir, const struct contrib_spec *spec, struct buf *words,
                  struct error *err)
{
    struct command c = {.arena = arena_new()};
    int rc = make_command(&c, env, dir, spec, err);
    if (rc == 0)
        rc = compile(env, &c, dir, spec, words, err);
    struct str object = arena_printf(c.arena, "%.*s.so", STR_ARG(spec->name));
    if (rc == 0)
        rc = sync_file(dir, object.p, err);
    arena_release(&c.arena);
    return rc;
}

int contrib_probe(const char *dir, const char *name, struct buf *words, struct error *err)
{
    char file[CONTRIB_PATH_MAX], object[CONTRIB_NAME_MAX + 4];
    snprintf(object, sizeof(object), "%s.so", name);
    if (contrib_path(file, dir, object, NULL) != 0)
        return err_set(err, ERR_IO, "the path of %s is too long", name);
    const char *argv[] = {"/proc/self/exe", "--check-module", name, "--object", file, NULL};
    struct child child = {.argv = argv, .whole_environment = true, .timeout_ms = PROBE_MS, .output_max = WORDS_MAX};
    int rc = child_run(&child, words, err);
    if (rc > 0)
        return err_set(err, ERR_CONFIG, "%s compiles but cannot be loaded", name);
    if (rc < 0)
        err->code = ERR_CONFIG; /* the module's fault, not ours */
    return rc < 0 ? err_wrap(err, "%s compiles, but loading it failed", name) : 0;
}
