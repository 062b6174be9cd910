/* Loading shared objects; see the header. `loads` is the only state: a counter for names. */
#include "core/module/module_load.h"
#include "base/mem.h"
#include "core/config/config_module.h"
#include "core/config/option_type.h"
#include "core/http_routes.h"
#include "core/module/service.h"
#include "abi.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 1000 /* of any table: a missing end is found out before memory ends */
#define SYMBOL "cjabberd_module"

/* As core/module/module.h defines it for modules. */
struct object {
    const char *abi;
    struct module *module;
};

const char *module_abi(void)
{
    return CJABBERD_ABI;
}

/* --- sound tables --- */

static int bad(struct error *err, const char *name, const char *what)
{
    return err_set(err, ERR_CONFIG, "%s: %s", name, what);
}

static int check_hooks(const struct module *m, struct error *err)
{
    unsigned n = 0;
    for (const struct hook_entry *e = m->hooks; e && e->fn.any; e++)
        if (++n > ENTRIES_MAX || (unsigned)e->hook >= HOOK__COUNT || (unsigned)e->stage >= STAGE__COUNT)
            return bad(err, m->name, "the table of hooks is not ended by {0}, or names a hook that does not exist");
    return 0;
}

static int check_iqs(const struct module *m, const struct iq_entry *iqs, struct error *err)
{
    unsigned n = 0;
    for (const struct iq_entry *e = iqs; e && e->fn; e++) {
        if (++n > ENTRIES_MAX || (unsigned)e->to >= IQ_TO__COUNT || (unsigned)e->ns >= TOK__COUNT)
            return bad(err, m->name, "the table of IQ handlers is not ended by {0}, or has a bad entry");
        if (!e->uri == (e->ns == TOK_NONE))
            return bad(err, m->name, "an IQ handler needs either ns or uri");
        if (e->uri && token_find(str_of(e->uri)) != TOK_NONE)
            return err_set(err, ERR_CONFIG, "%s: namespace '%s' has a token: give it as ns", m->name, e->uri);
    }
    return 0;
}

static int check_http(const struct module *m, struct error *err)
{
    unsigned n = 0;
    for (const struct http_handler *h = m->http; h && h->name; h++) {
        if (++n > ENTRIES_MAX || !h->handle)
            return bad(err, m->name, "the table of HTTP handlers is not ended by {0}, or has an entry without function");
        if (strcmp(h->name, m->name) != 0 || http_handler_find(str_of(h->name)))
            return err_set(err, ERR_CONFIG, "%s: an HTTP handler is called like its module, not '%s'", m->name, h->name);
    }
    return 0;
}

static bool declares(const struct module *m, const char *option, enum opt_kind kind)
{
    for (const struct opt_def *d = m->options; d && d->name; d++)
        if (strcmp(d->name, option) == 0)
            return d->kind == kind;
    return false;
}

static int check_service(const struct module *m, struct error *err)
{
    const struct service *s = m->service;
    if (!s)
        return 0;
    if (!s->category || !s->type || !declares(m, "host", OPT_STR))
        return bad(err, m->name, "a service needs an identity (category and type) and an option 'host'");
    if (s->enabled_by && !declares(m, s->enabled_by, OPT_BOOL))
        return err_set(err, ERR_CONFIG, "%s: '%s' of the service is no boolean option", m->name, s->enabled_by);
    return check_iqs(m, s->iqs, err);
}

static int by_option(const void *a, const void *b)
{
    const struct opt_def *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int make_group(const struct module *m, struct opt_group *g, struct error *err)
{
    unsigned n = 0;
    for (const struct opt_def *d = m->options; d && d->name; d++)
        if (++n > ENTRIES_MAX || d->kind > OPT_NODE || !d->type || !type_valid(d->type))
            return err_set(err, ERR_CONFIG, "%s: the table of options is not ended by {0}, or option %u has a bad type", m->name,
                           n);
    struct opt_def *v = mem_zalloc((n + 1) * sizeof *v);
    if (n)
        memcpy(v, m->options, n * sizeof *v);
    qsort(v, n, sizeof *v, by_option);
    int rc = 0;
    for (unsigned i = 0; i < n && rc == 0; i++) {
        if (i && strcmp(v[i - 1].name, v[i].name) == 0)
            rc = err_set(err, ERR_CONFIG, "%s: option '%s' is declared twice", m->name, v[i].name);
        else if (v[i].def && v[i].def[0] == '=') /* there is not always a configuration to follow it in */
            rc = err_set(err, ERR_CONFIG, "%s: the default of option '%s' may not follow another option", m->name, v[i].name);
    }
    if (rc == 0)
        *g = (struct opt_group){m->name, OPT_MODULE, v, n};
    else
        free(v);
    return rc;
}

static int check_module(const struct module *m, const char *name, struct error *err)
{
    if (!m || !m->name || strcmp(m->name, name) != 0)
        return err_set(err, ERR_CONFIG, "%s: the table in the shared object is of module '%s'", name, m && m->name ? m->name : "?");
    if (opt_group_find(OPT_MODULE, str_of(name)))
        return bad(err, name, "this is the name of a module of the server itself");
    return check_hooks(m, err) || check_iqs(m, m->iqs, err) || check_http(m, err) || check_service(m, err) ? -1 : 0;
}

/* --- loading --- */

static void identify(const struct stat *st, uint64_t out[5])
{
    out[0] = (uint64_t)st->st_dev;
    out[1] = (uint64_t)st->st_ino;
    out[2] = (uint64_t)st->st_size;
    out[3] = (uint64_t)st->st_mtim.tv_sec;
    out[4] = (uint64_t)st->st_mtim.tv_nsec;
}

bool module_file_changed(const struct module *m, const char *file)
{
    struct stat st;
    uint64_t now[5];
    if (!m->contrib || stat(file, &st) != 0)
        return false;
    identify(&st, now);
    return memcmp(now, m->contrib->file, sizeof now) != 0;
}

/* Not a link: the file may be overwritten in place while the copy is mapped. */
static int copy_file(const char *from, const char *to, uint64_t id_out[5], struct error *err)
{
    char part[65536];
    struct stat st;
    ssize_t n = -1;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
    if (in >= 0 && fstat(in, &st) == 0 && (out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700)) >= 0)
        while ((n = read(in, part, sizeof part)) > 0)
            if (write(out, part, (size_t)n) != n) {
                n = -1;
                break;
            }
    int e = errno;
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0)
        n = -1;
    if (n != 0)
        return err_set(err, ERR_IO, "cannot copy %s to %s: %s", from, to, strerror(e));
    identify(&st, id_out);
    return 0;
}

static void *open_object(const char *file, const char *name, struct module **out, struct error *err)
{
    void *h = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!h) {
        const char *why = dlerror();
        const char *after = why ? strstr(why, ": ") : NULL; /* the copy's path says nothing to the reader */
        err_set(err, ERR_CONFIG, "%s cannot be loaded: %s", name, after ? after + 2 : why ? why : "no reason given");
        return NULL;
    }
    const struct object *o = dlsym(h, SYMBOL);
    if (!o || !o->abi || strcmp(o->abi, CJABBERD_ABI) != 0)
        err_set(err, ERR_CONFLICT, o && o->abi ? "%s was compiled against other headers (%s) than this server's (%s): upgrade it"
                                               : "%s exports no module: one of its sources must use MODULE()",
                name, o && o->abi ? o->abi : "", CJABBERD_ABI);
    else if (check_module(o->module, name, err) == 0) {
        *out = o->module;
        return h;
    }
    return NULL; /* stays loaded: its constructors may have left addresses behind */
}

/* conf/NAME.yml: the module's options, alone or as ejabberd's modules write them, below modules: NAME: */
static int read_defaults(struct arena *a, const char *file, const char *name, const struct yaml **out, struct error *err)
{
    *out = NULL;
    if (!file || access(file, R_OK) != 0)
        return 0;
    const struct yaml *y = yaml_read(a, file, err);
    if (!y)
        return -1;
    const struct yaml *modules = yaml_get(y, S("modules"));
    *out = modules ? yaml_get(modules, str_of(name)) : y;
    return 0;
}

static int contribute(struct module *m, const char *defaults, const uint64_t id[5], struct error *err)
{
    static const struct vhost nowhere = {.name = {"localhost", 9}};
    struct arena *a = arena_new(); /* as long-lived as the code */
    struct module_contrib *c = ARENA_NEW(a, struct module_contrib);
    c->arena = a;
    memcpy(c->file, id, sizeof c->file);
    if (make_group(m, &c->group, err) != 0 || read_defaults(a, defaults, m->name, &c->defaults, err) != 0 ||
        config_module_options(a, &c->group, NULL, &nowhere, &c->own, err) != 0) {
        free((void *)(uintptr_t)c->group.defs);
        arena_release(&a);
        return -1;
    }
    m->contrib = c;
    return 0;
}

/* What everybody may write everybody could make the server run. */
static int check_owner(const char *file, struct error *err)
{
    char dir[4096];
    struct stat st;
    const char *slash = strrchr(file, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - file) : 1, slash ? file : ".");
    const char *both[] = {file, dir};
    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        if (stat(both[i], &st) == 0 && ((st.st_mode & S_IWOTH) || (st.st_uid != geteuid() && st.st_uid != 0)))
            return err_set(err, ERR_FORBIDDEN, "%s is not loaded: it belongs to somebody else, or everybody may write it", both[i]);
    return 0;
}

struct module *module_load(const char *file, const char *running, const char *name, const char *defaults, struct error *err)
{
    static unsigned loads;
    char path[4096];
    uint64_t id[5];
    struct module *m = NULL;
    unsigned number = __atomic_add_fetch(&loads, 1, __ATOMIC_RELAXED);
    if (snprintf(path, sizeof path, "%s/%s.%d.%u.so", running, name, (int)getpid(), number) >= (int)sizeof path) {
        err_set(err, ERR_IO, "the path of %s is too long", name);
        return NULL;
    }
    if (check_owner(file, err) != 0)
        return NULL;
    if (copy_file(file, path, id, err) == 0 && open_object(path, name, &m, err) && contribute(m, defaults, id, err) == 0)
        return m;
    unlink(path);
    return NULL;
}

/* The module's own defaults against the options it declares, on a host of any name. */
static int check_defaults(struct module *m, const char *file, struct error *err)
{
    static const struct vhost host = {.name = {"localhost", 9}};
    const struct options *o;
    char path[4096];
    struct str dir = str_of(file);
    while (dir.n && dir.p[dir.n - 1] != '/')
        dir.n--;
    snprintf(path, sizeof path, "%.*sconf/%s.yml", STR_ARG(dir), m->name);
    if (contribute(m, path, (const uint64_t[5]){0}, err) != 0)
        return -1;
    struct arena *a = arena_new();
    int rc = config_module_options(a, &m->contrib->group, m->contrib->defaults, &host, &o, err);
    arena_release(&a);
    return rc;
}

int module_probe(const char *file, const char *name)
{
    struct error err = ERROR_INIT;
    struct module *m = NULL;
    bool good = open_object(file, name, &m, &err) && check_defaults(m, file, &err) == 0 && module_set_with(NULL, m, &err);
    fprintf(stdout, "%s%s", good ? "" : err.text, good ? "" : "\n");
    fflush(stdout);
    _exit(good ? 0 : 1); /* what the module's destructors would do is not asked for */
}
