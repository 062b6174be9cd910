/*
 * Limits of this version that are errors, not warnings: an account that LDAP would refuse must not be let in because
 * nobody asked LDAP. Pure; any thread.
 */
#include "core/config/supported.h"

#include "core/auth/auth_method.h"

static int check_auth(const struct vhost *h, struct error *err)
{
    const struct str *methods;
    size_t n = opt_list(h->options, "auth_method", &methods);
    for (size_t i = 0; i < n; i++)
        if (!auth_method_known(methods[i]))
            return err_set(err, ERR_CONFIG, "host %.*s: auth_method '%.*s' is not supported yet", STR_ARG(h->name),
                           STR_ARG(methods[i]));
    return 0;
}

static bool lists(const struct options *o, const char *name, struct str word)
{
    const struct str *v;
    size_t n = opt_list(o, name, &v);
    while (n--)
        if (str_eq(v[n], word))
            return true;
    return false;
}

/* One database serves all hosts: the embedded one, or one SQLite file. */
static int check_store(const struct config *c, const struct vhost *h, struct error *err)
{
    bool global_sql = str_eq(opt_str(c->global, "default_db"), S("sql"));
    struct str type = opt_str(h->options, "sql_type");
    bool sql = str_eq(opt_str(h->options, "default_db"), S("sql"));
    bool sql_accounts = lists(h->options, "auth_method", S("sql"));
    bool accounts = sql_accounts || lists(h->options, "auth_method", S("mnesia")) ||
                    lists(h->options, "auth_method", S("internal"));
    if ((accounts && sql_accounts != global_sql) || sql != global_sql)
        return err_set(err, ERR_CONFIG, "host %.*s: all data of all hosts is in one place for now: set default_db to 'sql' for "
                                        "everything, or leave it and auth_method out", STR_ARG(h->name));
    if (!global_sql)
        return 0;
    if (!str_eq(type, S("sqlite")))
        return err_set(err, ERR_CONFIG, "host %.*s: sql_type '%.*s' is not supported yet; 'sqlite' is", STR_ARG(h->name),
                       STR_ARG(type));
    if (!str_eq(opt_str(h->options, "sql_database"), opt_str(c->global, "sql_database")))
        return err_set(err, ERR_CONFIG, "host %.*s: an sql_database of its own is not supported yet", STR_ARG(h->name));
    if (c->host_count > 1 && !opt_bool(c->global, "new_sql_schema"))
        return err_set(err, ERR_CONFIG, "%zu hosts in one database need new_sql_schema: true (the default schema does not say "
                                        "whose a row is)", c->host_count);
    return 0;
}

/* Tokens that were issued elsewhere would all be refused, and new ones lost to whoever looks there. */
static int check_oauth(const struct config *c, struct error *err)
{
    struct str type = opt_str(c->global, "oauth_db_type");
    bool sql = str_eq(opt_str(c->global, "default_db"), S("sql"));
    if (str_eq(type, sql ? S("sql") : S("mnesia")))
        return 0;
    return err_set(err, ERR_CONFIG, "oauth_db_type '%.*s' is not supported yet: tokens are kept with all other data, leave the "
                                    "option out", STR_ARG(type));
}

#ifndef HAVE_LDAP
static int check_directory(const struct vhost *h, struct error *err)
{
    const struct options *o = config_module(h, S("mod_vcard"));
    if (o && str_eq(opt_str(o, "db_type"), S("ldap")))
        return err_set(err, ERR_CONFIG, "host %.*s: db_type 'ldap' of mod_vcard: this build has no LDAP", STR_ARG(h->name));
    return 0;
}
#else
static int check_directory(const struct vhost *h, struct error *err)
{
    (void)h;
    (void)err;
    return 0;
}
#endif

int supported_check(const struct config *c, struct error *err)
{
    if (check_oauth(c, err) != 0)
        return -1;
    for (size_t i = 0; i < c->host_count; i++)
        if (check_auth(&c->hosts[i], err) != 0 || check_store(c, &c->hosts[i], err) != 0 ||
            check_directory(&c->hosts[i], err) != 0)
            return -1;
    return 0;
}
