/*
 * The configuration: ejabberd.yml as a frozen object. Loading parses, expands (include_config_file, define_macro,
 * host_config, append_host_config), checks every option against the table of known ones and fills defaults. A shard
 * sees one configuration at a time (config_current); reload swaps it by message. Hold it across a suspension.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "base/arena.h"
#include "base/err.h"
#include "core/config/yaml.h"
#include "net/addr.h"

#define OPT_INFINITY INT64_MAX

/* A set of checked options with their defaults: the globals, those of one host, a listener, a module on a host. */
struct options;
struct auth_methods;
struct client_trust;
struct directory;
/*
 * The name must be known for that kind of set and asked for as what it is (checked: aborts, it is a programming error).
 * Times are milliseconds, sizes bytes, fractions (password_strength, min_message_interval) thousandths.
 * Undefined: false, 0, absent, empty, NULL.
 */
bool opt_bool(const struct options *o, const char *name);
int64_t opt_int(const struct options *o, const char *name); /* also times; OPT_INFINITY for infinity/unlimited */
/* Strings and words. Also the name of an access or shaper rule (absent when it is given in place: then opt_node), and a
 * list joined by ':' (ciphers). */
struct str opt_str(const struct options *o, const char *name);
size_t opt_list(const struct options *o, const char *name,
                const struct str **out); /* list of strings, also from one string */
const struct yaml *opt_node(const struct options *o,
                            const char *name); /* structured values, access and shaper rules (also defaults of these) */
bool opt_is_set(const struct options *o, const char *name); /* written in the file (not a default) */

struct module_conf {
    struct str name; /* "mod_ping" */
    const struct options *options;
    const struct yaml *node; /* of a contributed module: as written, for core/module/module_set.h; else NULL */
    const struct yaml *where; /* its name in the file */
};

struct vhost {
    struct str name;               /* prepared */
    unsigned index;                /* position in config.hosts */
    const struct options *options; /* top-level options as they hold for this host */
    const struct module_conf *modules;
    size_t module_count;
    /*
     * As they hold here. COMPAT(ejabberd): host_config replaces the global definitions, append_host_config adds to them
     * and replaces those of the same name.
     */
    const struct yaml *acl, *access_rules, *shaper_rules, *shaper;
    const struct acl_scope *scope; /* the same, compiled: core/config/access.c */
    bool groups_named; /* acl, access_rules or shaper_rules of some host name a shared roster group of this one */
};

struct listen_conf {
    struct str module; /* "ejabberd_c2s", "ejabberd_http" ... */
    struct ip ip;
    uint16_t port;
    struct str unix_path; /* port given as "unix:PATH" */
    bool udp;
    const struct options *options;
    const struct yaml *where;
};

struct config {
    struct arena *arena;
    const char *file;
    const struct options *global;
    const struct vhost *hosts;
    size_t host_count;
    const struct vhost *const *hosts_by_name; /* sorted, for config_host */
    const struct listen_conf *listeners;
    size_t listener_count;
    const struct yaml *root; /* tree after includes and macros, for dump_config */
    const struct yaml *api_permissions;
    const struct acl_scope *scope; /* global definitions, compiled */
    const struct api_rules *api;   /* api_permissions, compiled */
    const char *const *warnings;   /* "file:line:column: words", printed once by whoever loads */
    size_t warning_count;
    struct client_trust *client_trust; /* core/c2s/c2s_cert.c; NULL: nobody's certificate is good */
    struct directory **directories; /* of vCards, by index of the host, core/auth/directory.c; NULL: nowhere */
    const struct auth_methods *auth; /* by index of the host; NULL: the store only. Made by core/auth/auth_method.c */
};

struct config_env {
    const char *spool_dir, *log_dir,
        *config_dir; /* expand @VERSION@, @SEMVER@, CONFIG_PATH, LOGS_PATH, SPOOL_PATH ... */
};

/* Blocks (file reading): call before the shards run, or on the blocking pool. NULL: err says file:line:column, what was
 * wrong, what was expected. */
struct config *config_load(const char *file, const struct config_env *env, struct error *err);
/* The same from text in memory, called `file` in messages; including files is an error there. */
struct config *config_parse(const char *file, struct str text, const struct config_env *env, struct error *err);
struct config *config_hold(const struct config *c);
void config_release(struct config **c);

/*
 * Everything a listener is made of: its place, its options and the top-level options it reads (c2s_... for
 * ejabberd_c2s). Equal keys in two configurations: the running listener can stay.
 */
struct str config_listener_key(struct arena *a, const struct config *c, const struct listen_conf *l);

enum listener_change_kind { LISTENER_STOP, LISTENER_START, LISTENER_RESTART };
struct listener_change {
    enum listener_change_kind kind;      /* RESTART: same place, other settings */
    const struct listen_conf *was, *now; /* NULL where there is none */
};
/* What reload has to do, stops first; unchanged listeners are left out. was may be NULL. Returns the count. */
size_t config_diff_listeners(struct arena *a, const struct config *was, const struct config *now,
                             const struct listener_change **out);

/* This shard's configuration; borrowed until the next suspension. */
const struct config *config_current(void);
/* Puts it in force on this shard (takes a reference); core/server.c calls it on every shard. */
void config_install(struct config *c);
/* NULL when the prepared name is not served. */
const struct vhost *config_host(const struct config *c, struct str host);
/* ip_print for a line of the log about this host (NULL: about none), see option hide_sensitive_log_data. */
const char *config_log_ip(const struct vhost *h, const struct ip *ip, char out[IP_TEXT_MAX]);
/* Module options on a host, NULL when the module is not loaded there. */
const struct options *config_module(const struct vhost *h, struct str module);
/* The expanded configuration as YAML text (dump_config). Passwords masked when `mask`. */
struct str config_dump(struct arena *a, const struct config *c, bool mask);

#endif
