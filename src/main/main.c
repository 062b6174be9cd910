/*
 * cjabberd: start order and stop order. Reads the command line, locks the spool folder, starts log, runtime and store,
 * then serves; everything after that happens on the shards. Ends with 0 after a clean stop, 1 when it could not start.
 */
#include "admin/ctl.h"
#include "admin/doc.h"
#include "core/listen_http.h"
#include "admin/start.h"
#include "base/hash.h"
#include "base/log.h"
#include "core/auth/auth.h"
#include "core/certs.h"
#include "core/cookie.h"
#include "core/listeners.h"
#include "core/module/contrib.h"
#include "core/module/module_load.h"
#include "core/server_start.h"
#include "main/args.h"
#include "main/limited.h"
#include "main/notify.h"
#include "main/spool.h"
#include "rt/fault.h"
#include "rt/fiber.h"
#include "rt/shard.h"
#include "store/store.h"
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct args args;
static char log_file[4096]; /* empty: standard error */
static uv_signal_t on_term, on_int, on_hup, on_usr1;

static int complain(const struct error *err)
{
    fprintf(stderr, "cjabberd: %s\n", err->text);
    return 1;
}

/* --- signals --- */

static void ask_stop(uv_signal_t *s, int signum)
{
    (void)s;
    LOG(NOTICE, "server", NULL, "signal %d", signum);
    server_end(SERVER_STOP);
}

static void reload_fiber(void *arg) YIELDS;
static void reload_fiber(void *arg)
{
    struct error err = ERROR_INIT;
    (void)arg;
    if (server_reload(&err) != 0)
        LOG(ERROR, "server", NULL, "reload failed, the old configuration stays: %s", err.text);
}

static void ask_reload(uv_signal_t *s, int signum)
{
    (void)s;
    (void)signum;
    fiber_run(reload_fiber, NULL);
}

static void ask_reopen(uv_signal_t *s, int signum)
{
    (void)s;
    (void)signum;
    log_reopen();
}

static void watch(uv_signal_t *s, int signum, uv_signal_cb cb)
{
    uv_signal_init(shard_loop(), s);
    uv_signal_start(s, cb, signum);
    uv_unref((uv_handle_t *)s);
}

static void watch_signals(void)
{
    watch(&on_term, SIGTERM, ask_stop);
    watch(&on_int, SIGINT, ask_stop);
    watch(&on_hup, SIGHUP, ask_reload);
    watch(&on_usr1, SIGUSR1, ask_reopen);
}

static void unwatch_signals(void)
{
    uv_signal_t *all[] = {&on_term, &on_int, &on_hup, &on_usr1};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i]->loop && !uv_is_closing((uv_handle_t *)all[i]))
            uv_close((uv_handle_t *)all[i], NULL);
}

/* --- life --- */

static int on_started(struct error *err) YIELDS;
static int on_started(struct error *err)
{
    if (ctl_start(args.spool, err) != 0)
        return -1;
    watch_signals();
    LOG(INFO, "server", NULL, "cjabberd %s is started, node %s, %u shards, store %s", server_own_version(), server_node(),
        shard_count(), store_describe());
    notify_ready();
    return 0;
}

/* systemd would end a service that says STOPPING and stays: a restart happens in this process, so to systemd it is a reload. */
static void on_stopping(void)
{
    if (server_ending() == SERVER_RESTART)
        notify_reloading();
    else
        notify_stopping();
    unwatch_signals();
}

static void on_closing(void)
{
    ctl_stop();
}

static void on_halting(void)
{
    notify_stopping();
    store_stop();
    spool_unlock();
    log_stop();
}

/* As many descriptors as the system allows: how many connections there may be is a matter of configuration only. */
static void raise_file_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static int start_log(const struct config *c, struct error *err)
{
    int64_t size = opt_int(c->global, "log_rotate_size");
    struct log_config lc = {.file = log_file[0] ? log_file : NULL, .json = str_eq(opt_str(c->global, "log_format"), S("json")),
                            .rotate_size = size == OPT_INFINITY ? 0 : (uint64_t)size,
                            .rotate_count = (unsigned)opt_int(c->global, "log_rotate_count")};
    enum log_level level;
    if (log_level_parse(opt_str(c->global, "loglevel"), &level))
        log_set_level(level);
    log_set_hides(opt_bool(c->global, "hide_sensitive_log_data"));
    return log_start(&lc, err);
}

static int start_store(const struct config *c, struct error *err)
{
    static char path[4096];
    struct str db = opt_str(c->global, "sql_database");
    bool sql = str_eq(opt_str(c->global, "default_db"), S("sql")) && str_eq(opt_str(c->global, "sql_type"), S("sqlite"));
    if (sql && db.n)
        snprintf(path, sizeof path, "%.*s", STR_ARG(db));
    else
        snprintf(path, sizeof path, "%s/%s", args.spool, sql ? "ejabberd.db" : "cjabberd.db");
    struct store_config sc = {.driver = "sqlite", .path = path,
                              .multihost = !sql || opt_bool(c->global, "new_sql_schema"),
                              .durable = !str_eq(opt_str(c->global, "embedded_durability"), S("crash"))};
    return store_start(&sc, err);
}

static int serve(struct config *c, const struct server_env *env, struct error *err)
{
    struct server_hooks hooks = {on_started, on_stopping, on_closing, on_halting, notify_reloading, notify_ready};
    struct tls_certs *certs = certs_for(c, env, err);
    if (!certs)
        return -1;
    tls_certs_install(certs);
    tls_certs_release(&certs);
    server_start(env, c, &hooks);
    struct rt_config rc = {.shards = (unsigned)opt_int(c->global, "shards"), .on_stop = server_shard_stop};
    if (admin_start(err) != 0 || cookie_start(args.spool, err) != 0 || start_store(c, err) != 0)
        return -1;
    int r = rt_start(&rc, server_shard_start, err) == 0 ? server_run(err) : -1;
    store_stop();
    return r;
}

static int check_only(const struct server_env *env)
{
    struct error err = ERROR_INIT;
    struct config *c = server_load_config(env, &err);
    if (!c)
        return complain(&err);
    for (size_t i = 0; i < c->warning_count; i++)
        fprintf(stderr, "warning: %s\n", c->warnings[i]);
    int rc = contrib_start(c, env->spool_dir, true, &err);
    if (rc == 0)
        printf("%s: no errors\n", env->config_file);
    config_release(&c);
    return rc == 0 ? 0 : complain(&err);
}

static int print_document(const char *kind)
{
    struct error err = ERROR_INIT;
    struct buf text = BUF_INIT;
    if (admin_start(&err) != 0)
        return complain(&err);
    bool known = doc_by_name(&text, str_of(kind));
    if (!known)
        fprintf(stderr, "cjabberd: there is no document '%s'; see --help\n", kind);
    bool ok = known && fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0;
    buf_deinit(&text);
    return ok ? 0 : 1;
}

static int start(char **argv, const struct server_env *env)
{
    struct error err = ERROR_INIT;
    if (args.logs)
        snprintf(log_file, sizeof log_file, "%s/cjabberd.log", args.logs);
    if (spool_lock(args.spool, log_file[0] ? log_file : NULL, &err) != 0)
        return complain(&err);
    struct config *c = server_load_config(env, &err);
    int rc = c && start_log(c, &err) == 0 ? 0 : -1;
    if (rc == 0) {
        server_print_warnings(c);
        rc = contrib_start(c, args.spool, false, &err) == 0 ? serve(c, env, &err) : -1;
        if (rc != 0)
            LOG(CRITICAL, "server", NULL, "%s", err.text);
        LOG(INFO, "server", NULL, "cjabberd is stopped");
        log_stop();
    }
    if (rc != 0)
        complain(&err);
    config_release(&c);
    spool_unlock();
    if (rc == 0 && server_ending() == SERVER_RESTART) {
        execvp(argv[0], argv);
        perror("cjabberd: restart");
        rc = -1;
    }
    return rc == 0 ? 0 : 1;
}

/* Large buffers go back to the system when they are freed, whatever else lives around them; the limit must not drift upward. */
static void tune_heap(void)
{
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--limited") == 0)
        return limited_run(argv + 2);
    if (!args_parse(argc, argv, &args))
        return args.exit_code;
    struct server_env env = {.config_file = args.config, .spool_dir = args.spool, .log_dir = args.logs, .argv = argv};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write, not the end */
    tune_heap();
    hash_seed();
    fault_init();
    module_registry_start();
    if (args.check_module)
        return module_probe(args.object ? args.object : "", args.check_module);
    listeners_register(&listen_http);
    if (args.print)
        return print_document(args.print);
    if (args.check)
        return check_only(&env);
    raise_file_limit();
    return start(argv, &env);
}
