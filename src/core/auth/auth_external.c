/* Programs that know the accounts (auth_method external), in ejabberd's protocol: core/auth/programs.h. */
#include "base/mem.h"
#include "core/auth/programs.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS_MAX 64

struct state {
    struct programs *programs;
    struct arena *arena;
    char *argv[WORDS_MAX + 1];
};

static int ask(const struct auth_ask *q, const char *operation, bool with_password, bool writes, bool *yes_out,
               struct error *err) YIELDS;
static int ask(const struct auth_ask *q, const char *operation, bool with_password, bool writes, bool *yes_out, struct error *err)
{
    const struct state *s = q->state;
    return programs_ask(s->programs, q, operation, with_password, writes, yes_out, err);
}

/* --- operations --- */

static int check(const struct auth_ask *q, struct error *err) YIELDS;
static int check(const struct auth_ask *q, struct error *err)
{
    bool yes;
    if (ask(q, "auth", true, false, &yes, err) != 0)
        return -1;
    return yes ? 0 : err_set(err, ERR_NOT_AUTHORIZED, "wrong password");
}

static int exists(const struct auth_ask *q, bool *out, struct error *err) YIELDS;
static int exists(const struct auth_ask *q, bool *out, struct error *err)
{
    return ask(q, "isuser", false, false, out, err);
}

static int add(const struct auth_ask *q, struct error *err) YIELDS;
static int add(const struct auth_ask *q, struct error *err)
{
    bool yes;
    if (ask(q, "tryregister", true, true, &yes, err) != 0)
        return -1;
    return yes ? 0 : err_set(err, ERR_NOT_ALLOWED, "the program that knows the accounts did not make this one");
}

static int set(const struct auth_ask *q, struct error *err) YIELDS;
static int set(const struct auth_ask *q, struct error *err)
{
    bool yes;
    if (ask(q, "setpass", true, true, &yes, err) != 0)
        return -1;
    return yes ? 0 : err_set(err, ERR_NOT_ALLOWED, "the program that knows the accounts did not change the password");
}

/* The program may say yes to everything: what is not there was not removed. */
static int remove_account(const struct auth_ask *q, struct error *err) YIELDS;
static int remove_account(const struct auth_ask *q, struct error *err)
{
    bool yes;
    if (exists(q, &yes, err) != 0)
        return -1;
    if (!yes)
        return err_set(err, ERR_NOT_FOUND, "no such account");
    if (ask(q, "removeuser", false, true, &yes, err) != 0)
        return -1;
    return yes ? 0 : err_set(err, ERR_NOT_ALLOWED, "the program that knows the accounts did not remove this one");
}

/* --- state --- */

/* The words of the command, parted by blanks; there is no shell. */
static int split(struct state *s, struct str command, struct error *err)
{
    struct str rest = command, word;
    size_t n = 0;
    while (str_split(&rest, ' ', &word)) {
        if (!word.n)
            continue;
        if (n == WORDS_MAX)
            return err_set(err, ERR_CONFIG, "extauth_program has more than %d words", WORDS_MAX);
        s->argv[n++] = arena_cstr(s->arena, word);
    }
    if (n == 0)
        return err_set(err, ERR_CONFIG, "it needs extauth_program, the command to run");
    if (strchr(s->argv[0], '/') && access(s->argv[0], X_OK) != 0)
        return err_set(err, ERR_CONFIG, "extauth_program: cannot run '%s': %s", s->argv[0], strerror(errno));
    return 0;
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
    struct state *s = MEM_NEW(struct state);
    int64_t size = opt_int(h->options, "extauth_pool_size");
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    s->arena = arena_new();
    if (split(s, opt_str(h->options, "extauth_program"), err) != 0) {
        drop(s);
        return -1;
    }
    if (size <= 0)
        size = cpus > 0 ? cpus : 1;
    s->programs = programs_new("extauth_program", s->argv, size > PROGRAMS_MAX ? PROGRAMS_MAX : (unsigned)size);
    *state_out = s;
    return 0;
}

const struct auth_backend auth_external = {
    .name = {"external", 8},
    .cached = true,
    .make = make,
    .drop = drop,
    .check = check,
    .exists = exists,
    .add = add,
    .set = set,
    .remove = remove_account,
};
