/*
 * The running server: what is loaded on the shards, reload, and how it ends. Reload and the end run on fibers of shard 0;
 * the state here belongs to shard 0, except the environment, which never changes after the start.
 */
#include "core/server.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/account/session_table.h"
#include "core/account/stranger.h"
#include "core/auth/auth.h"
#include "core/auth/auth_method.h"
#include "core/auth/directory.h"
#include "core/auth/oauth.h"
#include "core/c2s/c2s.h"
#include "core/c2s/c2s_cert.h"
#include "core/c2s/c2s_redirect.h"
#include "core/c2s/mgmt.h"
#include "core/certs.h"
#include "core/config/supported.h"
#include "core/listeners.h"
#include "core/module/module_set.h"
#include "core/server_start.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/pool.h"
#include "rt/shard.h"
#include "store/ledger.h"
#include "store/spool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CJABBERD_VERSION
#define CJABBERD_VERSION "0"
#endif

#define CLOSE_MS 3000   /* streams may take this long to take their goodbye */
#define ANSWER_MS 100   /* the command that asked for the end still gets its answer out */

static struct server_env env;
static uint64_t started_ms;
static struct config *first;      /* what the shards start with */
static enum server_end ending;
static bool end_asked;
static bool busy;                 /* a reload or the closing of listeners is under way */
static bool draining;             /* any thread reads it */
static struct server_hooks hooks;

const struct server_env *server_env(void)
{
    return &env;
}

const char *server_node(void)
{
    const char *n = getenv("ERLANG_NODE"); /* COMPAT(ejabberd): ejabberdctl.cfg names the node by this */
    return n && *n ? n : "ejabberd@localhost";
}

const char *server_version(void)
{
    return "25.03"; /* COMPAT(ejabberd): the version whose API this is */
}

const char *server_own_version(void)
{
    return CJABBERD_VERSION;
}

uint64_t server_uptime_s(void)
{
    return (clock_mono_ms() - started_ms) / 1000;
}

bool server_draining(void)
{
    return __atomic_load_n(&draining, __ATOMIC_RELAXED);
}

bool server_end_asked(void)
{
    return end_asked;
}

enum server_end server_ending(void)
{
    return ending;
}

static struct config_env server_config_env(const struct server_env *e)
{
    static char dir[4096];
    const char *slash = strrchr(e->config_file, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - e->config_file) : 1, slash ? e->config_file : ".");
    return (struct config_env){.spool_dir = e->spool_dir, .log_dir = e->log_dir ? e->log_dir : ".", .config_dir = dir};
}

struct config *server_load_config(const struct server_env *e, struct error *err)
{
    struct config_env ce = server_config_env(e);
    struct config *c = config_load(e->config_file, &ce, err);
    if (c && (supported_check(c, err) != 0 || auth_methods_make(c, err) != 0 || directories_make(c, err) != 0 ||
              c2s_cert_load(c, err) != 0 || c2s_redirect_check(c, err) != 0 || module_check_config(c, err) != 0)) {
        err_wrap(err, "%s", e->config_file);
        config_release(&c);
    }
    return c;
}

/* --- configuration on the shards --- */

static void put_in_force(struct config *c)
{
    const struct config *was = config_current();
    struct config *keep = was ? config_hold(was) : NULL;
    if (was)
        c2s_config_coming(c);
    config_install(c);
    module_apply_config(c);
    account_config_changed(c);
    if (keep)
        c2s_config_changed(keep, c);
    config_release(&keep);
}

void server_shard_start(unsigned shard)
{
    (void)shard;
    account_shard_start();
    mgmt_shard_start();
    c2s_shard_start();
    auth_shard_start();
    put_in_force(first);
}

void server_shard_stop(unsigned shard)
{
    (void)shard;
    auth_shard_stop();
    oauth_shard_stop();
    mgmt_shard_stop();
    account_shard_stop();
    module_shard_stop();
    config_install(NULL);
}

static int install_each(void *arg, void *slot, struct error *err)
{
    (void)slot;
    (void)err;
    put_in_force(*(struct config **)arg);
    return 0;
}

static void drop_config(void *arg)
{
    config_release(arg);
}

static int install_everywhere(struct config *c, struct error *err) YIELDS;
static int install_everywhere(struct config *c, struct error *err)
{
    struct arena *a = arena_new();
    struct config **arg = ARENA_NEW(a, struct config *);
    void **slots = ARENA_ARRAY(a, void *, shard_count());
    *arg = config_hold(c);
    arena_on_release(a, drop_config, arg);
    int rc = mail_gather(install_each, arg, slots, a, 10000, err);
    arena_release(&a);
    return rc;
}

void server_print_warnings(const struct config *c)
{
    for (size_t i = 0; i < c->warning_count; i++)
        LOG(WARNING, "config", NULL, "%s", c->warnings[i]);
}

struct load_job {
    struct config *config;
    struct tls_certs *certs;
    struct error err;
};

/* On a blocking thread: reads the file and the certificates it names. */
static void load_blocking(void *arg, void *state)
{
    struct load_job *j = arg;
    (void)state;
    j->config = server_load_config(&env, &j->err);
    if (j->config && !(j->certs = certs_for(j->config, &env, &j->err)))
        config_release(&j->config);
}

static int apply(struct load_job *j, struct error *err) YIELDS;
static int apply(struct load_job *j, struct error *err)
{
    server_print_warnings(j->config);
    tls_certs_install(j->certs);
    enum log_level level;
    if (log_level_parse(opt_str(j->config->global, "loglevel"), &level))
        log_set_level(level);
    log_set_hides(opt_bool(j->config->global, "hide_sensitive_log_data"));
    if (install_everywhere(j->config, err) != 0)
        return -1;
    return server_draining() ? 0 : listeners_apply(j->config, err);
}

static int load_and_apply(struct error *err) YIELDS;
static int load_and_apply(struct error *err)
{
    struct load_job j = {0};
    pool_run(pool_general(), load_blocking, &j);
    if (!j.config) {
        *err = j.err;
        return -1;
    }
    int rc = apply(&j, err);
    tls_certs_release(&j.certs);
    config_release(&j.config);
    if (rc == 0)
        LOG(INFO, "server", NULL, "configuration reloaded");
    return rc;
}

/* Listeners are changed by one at a time. */
static void take_turn(void) YIELDS;
static void take_turn(void)
{
    while (busy)
        fiber_sleep(5);
    busy = true;
}

/* Each reload sees the files as they are when its turn has come, so the last one asked for is the one in force. */
static int reload_on_main(void *arg, struct error *err) YIELDS;
static int reload_on_main(void *arg, struct error *err)
{
    (void)arg;
    take_turn();
    hooks.reloading();
    int rc = load_and_apply(err);
    hooks.reloaded();
    busy = false;
    auth_count_ahead();
    return rc;
}

int server_reload(struct error *err)
{
    struct arena *a = arena_new();
    int rc = mail_call(0, reload_on_main, NULL, a, 60000, err);
    arena_release(&a);
    return rc;
}

static void check_blocking(void *arg, void *state)
{
    struct load_job *j = arg;
    (void)state;
    j->config = server_load_config(&env, &j->err);
}

int server_check_config(struct error *err)
{
    struct load_job j = {0};
    pool_run(pool_general(), check_blocking, &j);
    if (!j.config) {
        *err = j.err;
        return -1;
    }
    config_release(&j.config);
    return 0;
}

/* --- the end --- */

static void close_listeners(void) YIELDS;
static void close_listeners(void)
{
    take_turn();
    listeners_stop();
    busy = false;
}

static int drain_each(void *arg, void *slot, struct error *err)
{
    (void)arg;
    (void)slot;
    (void)err;
    c2s_shutdown_unbound();
    return 0;
}

static int drain_on_main(void *arg, struct error *err) YIELDS;
static int drain_on_main(void *arg, struct error *err)
{
    struct arena *a = arena_new();
    (void)arg;
    __atomic_store_n(&draining, true, __ATOMIC_RELAXED);
    take_turn();
    listeners_drain(c2s_redirects_while_draining());
    busy = false;
    int rc = mail_gather(drain_each, NULL, ARENA_ARRAY(a, void *, shard_count()), a, 10000, err);
    arena_release(&a);
    return rc;
}

int server_drain(struct error *err)
{
    struct arena *a = arena_new();
    int rc = mail_call(0, drain_on_main, NULL, a, 60000, err);
    arena_release(&a);
    return rc;
}

/* Streams say goodbye, other connections end after what is queued for them; with `*arg` everything ends at once. */
static int shutdown_each(void *arg, void *slot, struct error *err)
{
    (void)err;
    c2s_shutdown_all();
    if (*(bool *)arg)
        conn_abort_all("server stops");
    else
        conn_close_all();
    *(unsigned *)slot = conn_count_here();
    return 0;
}

/* Connections still there, over all shards. */
static unsigned close_connections(bool at_once) YIELDS;
static unsigned close_connections(bool at_once)
{
    struct arena *a = arena_new();
    void **slots = ARENA_ARRAY(a, void *, shard_count());
    for (unsigned i = 0; i < shard_count(); i++)
        slots[i] = ARENA_NEW(a, unsigned);
    bool *arg = ARENA_NEW(a, bool);
    *arg = at_once;
    struct error err = ERROR_INIT;
    unsigned left = 0;
    if (mail_gather(shutdown_each, arg, slots, a, CLOSE_MS, &err) == 0)
        for (unsigned i = 0; i < shard_count(); i++)
            left += *(unsigned *)slots[i];
    arena_release(&a);
    return left;
}

static int save_each(void *arg, void *slot, struct error *err) YIELDS;
static int save_each(void *arg, void *slot, struct error *err)
{
    (void)arg;
    (void)slot;
    (void)err;
    mgmt_save_all();
    return 0;
}

/* Sessions that clients may resume at the next start. */
static void save_sessions(void) YIELDS;
static void save_sessions(void)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    if (mail_gather(save_each, NULL, ARENA_ARRAY(a, void *, shard_count()), a, CLOSE_MS, &err) != 0)
        LOG(WARNING, "server", NULL, "not all resumable sessions were saved: %s", err.text);
    arena_release(&a);
}

static void end_fiber(void *arg) YIELDS;
static void end_fiber(void *arg)
{
    (void)arg;
    LOG(INFO, "server", NULL, "%s", ending == SERVER_RESTART ? "restarting" : "stopping");
    hooks.stopping();
    fiber_sleep(ANSWER_MS);
    close_listeners();
    hooks.closing();
    for (unsigned waited = 0; close_connections(false) && waited < CLOSE_MS; waited += 20)
        fiber_sleep(20);
    close_connections(true);
    save_sessions();
    rt_stop();
}

static void halt_now(void)
{
    LOG(NOTICE, "server", NULL, "halted");
    hooks.halting();
    _exit(1); /* whoever watches the process sees that this was no orderly stop */
}

static void on_end_at_main(struct msg *m)
{
    free(m);
    if (ending == SERVER_HALT)
        halt_now();
    else if (!end_asked) {
        end_asked = true;
        fiber_run(end_fiber, NULL);
    }
}

void server_end(enum server_end how)
{
    struct msg *m = mem_zalloc(sizeof *m);
    ending = how;
    m->fn = on_end_at_main;
    mail_post(0, m);
}

/* --- start --- */

static void start_fiber(void *arg) YIELDS;
static void start_fiber(void *arg)
{
    struct error *err = arg;
    struct error *out = err;
    struct error e = ERROR_INIT;
    const struct config *c = config_current();
    int64_t max = opt_int(c->global, "max_connections");
    listener_set_total_limit(max == OPT_INFINITY ? 0 : (unsigned)max);
    if (stranger_start(&e) != 0 || mgmt_restore(env.spool_dir, &e) != 0 || listeners_apply(c, &e) != 0 || hooks.started(&e) != 0) {
        *out = e;
        ending = SERVER_STOP;
        rt_stop();
        return;
    }
    auth_count_ahead();
}

void server_start(const struct server_env *e, struct config *c, const struct server_hooks *h)
{
    env = *e;
    first = c;
    hooks = *h;
    end_asked = busy = draining = false;
    started_ms = clock_mono_ms();
}

int server_run(struct error *err)
{
    fiber_run(start_fiber, err);
    rt_run();
    spool_settle();
    ledger_close();
    return err->code == ERR_NONE ? 0 : -1;
}
