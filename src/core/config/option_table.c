/* The table of known options and look-ups in it. Constant data and pure functions; any thread. */
#include "core/config/option.h"

#include <pthread.h>

#define GROUP(name, group_kind) {(name), NULL, NULL, OPT_##group_kind, 0},
#define OPT(name, kind, type, def, flag) {(name), (type), (def), OPT_##kind, OPT_FLAG_##flag},
static const struct opt_def table[] = {
#include "core/config/option_top.def"
#include "core/config/option_listen.def"
#include "core/config/option_module.def"
};
#undef GROUP
#undef OPT

#define GROUP_MAX 128
static struct opt_group groups[GROUP_MAX];
static unsigned group_count;
static pthread_once_t groups_once = PTHREAD_ONCE_INIT;

static const struct {
    const char *group, *option;
} effects[] = {
#define EFFECT(group, option) {(group), (option)},
#include "core/config/option_effect.def"
#undef EFFECT
};

const char *const opt_http_handlers[] = {
    "ejabberd_acme",      "ejabberd_captcha",    "ejabberd_ctl",    "ejabberd_http_ws", "ejabberd_oauth",
    "ejabberd_web_admin", "ejabberd_xmlrpc",     "mod_bosh",        "mod_conversejs",   "mod_host_meta",
    "mod_http_api",       "mod_http_fileserver", "mod_http_upload", "mod_matrix_gw",    "mod_mqtt",
    "mod_mqtt_ws",        "mod_register_web"};
const size_t opt_http_handler_count = ARRAY_LEN(opt_http_handlers);

static void groups_fill(void)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].type) {
            groups[group_count - 1].n++;
            continue;
        }
        if (group_count < GROUP_MAX)
            groups[group_count++] =
                (struct opt_group){table[i].name, (enum opt_group_kind)table[i].kind, &table[i + 1], 0};
    }
}

const struct opt_group *opt_group_at(unsigned i)
{
    pthread_once(&groups_once, groups_fill);
    return i < group_count ? &groups[i] : NULL;
}

const struct opt_group *opt_group_find(enum opt_group_kind kind, struct str name)
{
    const struct opt_group *g;
    for (unsigned i = 0; (g = opt_group_at(i)) != NULL; i++)
        if (g->kind == kind && str_eq(str_of(g->name), name))
            return g;
    return NULL;
}

const struct opt_def *opt_def_find(const struct opt_group *g, struct str name)
{
    size_t lo = 0, hi = g ? g->n : 0;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = str_cmp(name, str_of(g->defs[mid].name));
        if (!c)
            return &g->defs[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

struct nearest {
    struct str name;
    const char *best;
    unsigned distance; /* what comes next must be nearer than this */
};

static void nearest_try(struct nearest *n, const char *word)
{
    unsigned d = n->distance ? str_distance(n->name, str_of(word), n->distance - 1) : 0;
    if (n->name.n >= 4 && str_starts(str_of(word), n->name)) /* a word cut short is near, however much is missing */
        d = 1;
    if (d < n->distance) {
        n->distance = d;
        n->best = word;
    }
}

static struct nearest nearest_start(struct str name)
{
    /* Farther than a third of the word is a guess, not help. */
    return (struct nearest){name, NULL, (unsigned)(name.n < 60 ? name.n / 3 + 3 : 20)};
}

const char *opt_near_group(enum opt_group_kind kind, struct str name)
{
    struct nearest n = nearest_start(name);
    const struct opt_group *g;
    for (unsigned i = 0; (g = opt_group_at(i)) != NULL; i++)
        if (g->kind == kind)
            nearest_try(&n, g->name);
    return n.best;
}

const char *opt_near_def(const struct opt_group *g, const struct opt_group *common, struct str name)
{
    struct nearest n = nearest_start(name);
    for (unsigned i = 0; i < g->n; i++)
        nearest_try(&n, g->defs[i].name);
    for (unsigned i = 0; common && i < common->n; i++)
        nearest_try(&n, common->defs[i].name);
    return n.best;
}

const char *str_near(struct str name, const char *const *words, size_t count)
{
    struct nearest n = nearest_start(name);
    for (size_t i = 0; i < count; i++)
        nearest_try(&n, words[i]);
    return n.best;
}

bool opt_has_effect(const char *group, const char *option)
{
    for (size_t i = 0; i < ARRAY_LEN(effects); i++) {
        if (strcmp(effects[i].group, group))
            continue;
        if (option ? effects[i].option && !strcmp(effects[i].option, option) : !effects[i].option)
            return true;
    }
    return false;
}

bool opt_http_handler(struct str name)
{
    for (size_t i = 0; i < opt_http_handler_count; i++)
        if (str_eq(name, str_of(opt_http_handlers[i])))
            return true;
    return false;
}

const struct yaml *opt_default_rule(const char *word)
{
#define RULE(w)                                                                                                        \
    {                                                                                                                  \
        .kind = YAML_SCALAR, .text = {"" w, sizeof(w) - 1}, .file = "default"                                          \
    }
    static const struct yaml rules[] = {RULE("all"),
                                        RULE("none"),
                                        RULE("local"),
                                        RULE("configure"),
                                        RULE("muc_admin"),
                                        RULE("max_user_offline_messages"),
                                        RULE("hard_upload_quota"),
                                        RULE("soft_upload_quota")};
#undef RULE
    for (size_t i = 0; word && i < ARRAY_LEN(rules); i++)
        if (str_eq(rules[i].text, str_of(word)))
            return &rules[i];
    return NULL;
}
