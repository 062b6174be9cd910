/* See the header. Blocks, except ldap_dir_read and ldap_dir_user_filter. */
#include "core/auth/ldap_dir.h"

#include <sys/time.h>

/* --- connections --- */

void ldap_dir_let_go(LDAP **ld)
{
    if (*ld)
        ldap_unbind_ext_s(*ld, NULL, NULL);
    *ld = NULL;
}

static int set_options(LDAP *ld, const struct ldap_dir *d)
{
    const struct timeval wait = {.tv_sec = LDAP_ANSWER_S};
    int version = LDAP_VERSION3, fresh = 0;
    int rc = ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version) | ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &wait) |
             ldap_set_option(ld, LDAP_OPT_TIMEOUT, &wait) | ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) |
             ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON) | ldap_set_option(ld, LDAP_OPT_DEREF, &d->deref);
    if (d->tls || d->starttls) {
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &d->verify);
        if (d->cacert)
            rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, d->cacert);
        if (d->cert)
            rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_CERTFILE, d->cert) | ldap_set_option(ld, LDAP_OPT_X_TLS_KEYFILE, d->cert);
        rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &fresh);
    }
    return rc == 0 ? LDAP_SUCCESS : LDAP_LOCAL_ERROR;
}

/* Simple bind with a password of which this makes no copy. */
int ldap_dir_bind(LDAP *ld, const char *dn, struct str password)
{
    struct berval cred = {.bv_len = password.n, .bv_val = (char *)(uintptr_t)password.p};
    return ldap_sasl_bind_s(ld, dn, LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL);
}

int ldap_dir_connect(const struct ldap_dir *d, LDAP **out)
{
    LDAP *ld = NULL;
    int rc = ldap_lib_load() ? ldap_initialize(&ld, d->uris) : LDAP_LOCAL_ERROR;
    if (rc == LDAP_SUCCESS)
        rc = set_options(ld, d);
    if (rc == LDAP_SUCCESS && d->starttls)
        rc = ldap_start_tls_s(ld, NULL, NULL);
    if (rc != LDAP_SUCCESS)
        ldap_dir_let_go(&ld);
    *out = ld;
    return rc;
}

bool ldap_dir_is_gone(int rc)
{
    return rc == LDAP_SERVER_DOWN || rc == LDAP_TIMEOUT || rc == LDAP_CONNECT_ERROR || rc == LDAP_UNAVAILABLE ||
           rc == LDAP_LOCAL_ERROR;
}

/* --- searching --- */

static int connect_search(const struct ldap_dir *d, LDAP **ld)
{
    int rc = *ld ? LDAP_SUCCESS : ldap_dir_connect(d, ld);
    if (rc != LDAP_SUCCESS || d->rootdn[0] == '\0')
        return rc;
    rc = ldap_dir_bind(*ld, d->rootdn, d->password);
    if (rc != LDAP_SUCCESS)
        ldap_dir_let_go(ld);
    return rc;
}

int ldap_dir_search(const struct ldap_dir *d, LDAP **ld, const char *base, int scope, const char *filter, char **attrs, int limit,
                    LDAPMessage **out)
{
    struct timeval wait = {.tv_sec = LDAP_ANSWER_S};
    bool old = *ld != NULL;
    int rc;
    for (*out = NULL;; old = false) {
        rc = *ld ? LDAP_SUCCESS : connect_search(d, ld);
        if (rc == LDAP_SUCCESS)
            rc = ldap_search_ext_s(*ld, base, scope, filter, attrs, 0, NULL, NULL, &wait, limit, out);
        if (!ldap_dir_is_gone(rc))
            return rc;
        ldap_msgfree(*out);
        *out = NULL;
        ldap_dir_let_go(ld);
        if (!old)
            return rc;
    }
}

void ldap_dir_user_filter(const struct ldap_dir *d, struct buf *b, const struct ldap_words *w)
{
    buf_add_str(b, d->filter.n ? S("(&") : STR_NULL);
    buf_add_str(b, d->uid_count > 1 ? S("(|") : STR_NULL);
    for (size_t i = 0; i < d->uid_count; i++)
        ldap_equals(b, d->uids[i].attr, d->uids[i].pattern, w);
    buf_add_str(b, d->uid_count > 1 ? S(")") : STR_NULL);
    ldap_expand(b, d->filter, w);
    buf_add_str(b, d->filter.n ? S(")") : STR_NULL);
}

/* --- options --- */

static void add_servers(struct buf *b, const struct options *o, const struct options *top, const char *option, bool tls)
{
    const struct str *names;
    size_t n = opt_list(o, option, &names);
    bool set = opt_is_set(o, "ldap_port") || opt_is_set(top, "ldap_port");
    int64_t port = set || !tls ? opt_int(o, "ldap_port") : LDAPS_PORT;
    for (size_t i = 0; i < n; i++) {
        bool six = str_find(names[i], ':') >= 0 && names[i].p[0] != '[';
        buf_printf(b, "%sldap%s://%s%.*s%s:%d", b->n ? " " : "", tls ? "s" : "", six ? "[" : "", STR_ARG(names[i]), six ? "]" : "",
                   (int)port);
    }
}

static int add_uid(struct ldap_dir *d, struct str attr, struct str pattern, struct error *err)
{
    if (d->uid_count == LDAP_UIDS_MAX)
        return err_set(err, ERR_CONFIG, "ldap_uids: more than %d", LDAP_UIDS_MAX);
    for (size_t i = 0; i < attr.n; i++)
        if (strchr("()=*\\&|! ", attr.p[i]))
            return err_set(err, ERR_CONFIG, "ldap_uids: '%.*s' is not the name of an attribute", STR_ARG(attr));
    d->uids[d->uid_count++] = (struct ldap_uid){attr, pattern};
    return 0;
}

static int read_uids(struct ldap_dir *d, const struct yaml *y, struct error *err)
{
    if (!y)
        return add_uid(d, S("uid"), S("%u"), err);
    if (y->kind == YAML_SCALAR)
        return add_uid(d, y->text, S("%u"), err);
    for (size_t i = 0; i < y->n; i++) {
        const struct yaml *v = y->items[i];
        if (v->kind != YAML_SCALAR || (y->kind == YAML_MAP && str_find(v->text, '%') < 0))
            return err_set(err, ERR_CONFIG, "ldap_uids: expected attributes, or a map from attributes to patterns with %%u");
        if (add_uid(d, y->kind == YAML_MAP ? y->keys[i] : v->text, y->kind == YAML_MAP ? v->text : S("%u"), err) != 0)
            return -1;
    }
    return 0;
}

static char *path_option(const struct ldap_dir *d, const struct options *o, const struct options *top, const char *name)
{
    struct str v = opt_str(opt_is_set(o, name) ? o : top, name);
    return v.n ? arena_cstr(d->arena, v) : NULL;
}

static int word_of(struct str word, const char *const *words, const int *values)
{
    size_t i = 0;
    while (words[i + 1] && !str_eq(word, str_of(words[i])))
        i++;
    return values[i];
}

int ldap_dir_read(struct ldap_dir *d, const struct options *o, const struct options *top, struct error *err)
{
    static const char *const derefs[] = {"searching", "finding", "always", "never", NULL};
    static const int deref_values[] = {LDAP_DEREF_SEARCHING, LDAP_DEREF_FINDING, LDAP_DEREF_ALWAYS, LDAP_DEREF_NEVER};
    static const char *const checks[] = {"false", "soft", "hard", NULL};
    static const int check_values[] = {LDAP_OPT_X_TLS_NEVER, LDAP_OPT_X_TLS_ALLOW, LDAP_OPT_X_TLS_DEMAND};
    struct str encrypt = opt_str(o, "ldap_encrypt");
    struct buf uris = BUF_INIT;
    d->tls = str_eq(encrypt, S("tls"));
    d->starttls = str_eq(encrypt, S("starttls"));
    add_servers(&uris, o, top, "ldap_servers", d->tls);
    add_servers(&uris, o, top, "ldap_backups", d->tls);
    d->uris = arena_cstr(d->arena, buf_str(&uris));
    buf_deinit(&uris);
    d->rootdn = arena_cstr(d->arena, opt_str(o, "ldap_rootdn"));
    d->base = arena_cstr(d->arena, opt_str(o, "ldap_base"));
    d->cacert = path_option(d, o, top, "ldap_tls_cacertfile");
    d->cert = path_option(d, o, top, "ldap_tls_certfile");
    d->password = opt_str(o, "ldap_password");
    d->filter = opt_str(o, "ldap_filter");
    d->deref = word_of(opt_str(o, "ldap_deref_aliases"), derefs, deref_values);
    d->verify = word_of(opt_str(o, "ldap_tls_verify"), checks, check_values);
    if (read_uids(d, opt_node(o, "ldap_uids"), err) != 0)
        return -1;
    if (d->filter.n && !ldap_filter_ok(d->filter))
        return err_set(err, ERR_CONFIG, "ldap_filter: parentheses around it all, every one of them closed (RFC 4515)");
    return 0;
}
