/*
 * Pluggable Authentication Modules (auth_method pam; options pam_service, pam_userinfotype). Modules block, may hang, crash, leave
 * things behind in the process or need rights that a server should not have: they run in a small program of their own
 * (tools/pam), asked in the frames of core/auth/extauth.h, ended when it gives no answer and started again. Nothing is kept of its
 * answers: a password that was changed or an account that was locked counts at once.
 */
#include "base/mem.h"
#include "core/auth/programs.h"

#include <stdlib.h>
#include <unistd.h>

#define PROGRAMS_N 8 /* a module that asks a network waits; logins should not wait for one another */
#define HELPER "cjabberd-pam"

struct state {
    struct programs *programs;
    struct arena *arena;
    char *argv[4];
};

static int check(const struct auth_ask *q, struct error *err) YIELDS;
static int check(const struct auth_ask *q, struct error *err)
{
    const struct state *s = q->state;
    bool yes;
    if (programs_ask(s->programs, q, "auth", true, false, &yes, err) != 0)
        return -1;
    return yes ? 0 : err_set(err, ERR_NOT_AUTHORIZED, "wrong password");
}

static int exists(const struct auth_ask *q, bool *out, struct error *err) YIELDS;
static int exists(const struct auth_ask *q, bool *out, struct error *err)
{
    const struct state *s = q->state;
    return programs_ask(s->programs, q, "isuser", false, false, out, err);
}

/* Beside this program, as in a build folder, or where it is installed. */
static char *helper(struct arena *a)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    struct str dir = str_n(self, n > 0 ? (size_t)n : 0);
    while (dir.n && dir.p[dir.n - 1] != '/')
        dir.n--;
    char *beside = arena_cstr(a, arena_printf(a, "%.*s" HELPER, STR_ARG(dir)));
    return dir.n && access(beside, X_OK) == 0 ? beside : arena_cstr(a, S(CJABBERD_LIBEXEC_DIR "/" HELPER));
}

static void drop(void *arg)
{
    struct state *s = arg;
    programs_delete(&s->programs);
    arena_release(&s->arena);
    free(s);
}

static int make(const struct vhost *h, void **state_out, struct error *err)
{
    struct str service = opt_str(h->options, "pam_service"), type = opt_str(h->options, "pam_userinfotype");
    if (!service.n || memchr(service.p, '/', service.n))
        return err_set(err, ERR_CONFIG, "pam_service must be the name of a file in /etc/pam.d, got '%.*s'", STR_ARG(service));
    struct state *s = MEM_NEW(struct state);
    s->arena = arena_new();
    s->argv[0] = helper(s->arena);
    s->argv[1] = arena_cstr(s->arena, service);
    s->argv[2] = arena_cstr(s->arena, type);
    if (access(s->argv[0], X_OK) != 0) {
        err_set(err, ERR_CONFIG, "cannot run %s, which asks PAM", s->argv[0]);
        drop(s);
        return -1;
    }
    s->programs = programs_new("pam", s->argv, PROGRAMS_N);
    *state_out = s;
    return 0;
}

const struct auth_backend auth_pam = {.name = {"pam", 3}, .make = make, .drop = drop, .check = check, .exists = exists};
