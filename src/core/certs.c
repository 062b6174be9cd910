/* Certificates for a configuration; see the header. Blocks on files: start and blocking pool only. */
#include "core/certs.h"
#include "base/log.h"
#include "net/tls_selfsigned.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILES_MAX 1024

struct files {
    const char *names[FILES_MAX];
    size_t n;
};

static int add_pattern(struct arena *a, struct files *f, struct str pattern, struct error *err)
{
    glob_t g;
    int rc = glob(arena_cstr(a, pattern), 0, NULL, &g);
    if (rc == GLOB_NOMATCH)
        return err_set(err, ERR_CONFIG, "certfiles: no file matches '%.*s'", STR_ARG(pattern));
    if (rc != 0)
        return err_set(err, ERR_CONFIG, "certfiles: cannot read '%.*s'", STR_ARG(pattern));
    for (size_t i = 0; i < g.gl_pathc && f->n < FILES_MAX - 1; i++)
        f->names[f->n++] = arena_cstr(a, str_of(g.gl_pathv[i]));
    globfree(&g);
    return 0;
}

static int list_files(struct arena *a, const struct config *c, struct files *f, struct error *err)
{
    const struct str *patterns;
    size_t n = opt_list(c->global, "certfiles", &patterns);
    for (size_t i = 0; i < n; i++)
        if (add_pattern(a, f, patterns[i], err) != 0)
            return -1;
    return 0;
}

/* Hosts without a certificate share one self-signed file; it is made anew when a host joins. */
static int add_self_signed(struct arena *a, const struct config *c, const struct tls_certs *certs,
                           const struct server_env *env, struct files *f, struct error *err)
{
    const char *path = arena_cstr(a, arena_printf(a, "%s/self-signed.pem", env->spool_dir));
    struct str *hosts = ARENA_ARRAY(a, struct str, c->host_count + 1);
    size_t n = 0;
    for (size_t i = 0; i < c->host_count; i++)
        if (!tls_certs_cover(certs, c->hosts[i].name)) {
            hosts[n++] = c->hosts[i].name;
            LOG(WARNING, "tls", NULL, "no certificate for %.*s: using a self-signed one (%s)", STR_ARG(c->hosts[i].name), path);
        }
    if (!n)
        return 0;
    f->names[f->n++] = path;
    return tls_selfsigned_ensure(path, hosts, n, err);
}

struct tls_certs *certs_for(const struct config *c, const struct server_env *env, struct error *err)
{
    struct arena *a = arena_new();
    struct files *f = ARENA_NEW(a, struct files);
    struct tls_certs *certs = NULL;
    if (list_files(a, c, f, err) == 0)
        certs = tls_certs_load(f->names, f->n, err);
    if (certs) {
        size_t before = f->n;
        if (add_self_signed(a, c, certs, env, f, err) != 0)
            tls_certs_release(&certs);
        else if (f->n != before) {
            tls_certs_release(&certs);
            certs = tls_certs_load(f->names, f->n, err);
        }
    }
    arena_release(&a);
    return certs;
}
