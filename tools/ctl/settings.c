/*
 * Where the server is and how it is started: options of the command line, environment, ejabberdctl.cfg, defaults, in this
 * order of precedence. Options that the tool does not know go to the server, in place of what is taken out.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CONFIG_DIR
#define CONFIG_DIR "/etc/cjabberd"
#endif
#define DEFAULT_SPOOL "/var/lib/cjabberd"
#define DEFAULT_LOGS "/var/log/cjabberd"
#define DEFAULT_TIMEOUT_S 60
#define MAX_TIMEOUT_S 86400
#define CFG_MAX 65536

/* --- ejabberdctl.cfg: NAME=value, as a shell reads it, without substitutions --- */

static struct {
    char text[CFG_MAX + 1];
    const char *spool, *logs, *config, *node;
} cfg;

static const char **cfg_setting(const char *name)
{
    static const struct {
        const char *name, **to;
    } known[] = {{"SPOOL_DIR", &cfg.spool},
                 {"LOGS_DIR", &cfg.logs},
                 {"EJABBERD_CONFIG_PATH", &cfg.config},
                 {"ERLANG_NODE", &cfg.node}};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (!strcmp(known[i].name, name))
            return known[i].to;
    return NULL;
}

static void cfg_line(const struct options *o, const char *file, unsigned no, char *line, size_t n)
{
    char *words[2];
    const char *why;
    int count = words_split(line, n, words, 2, &why); /* "export NAME=value", "NAME=value" */
    if (count < 1)
        return;
    char *setting = count == 2 && !strcmp(words[0], "export") ? words[1] : words[0];
    char *equals = strchr(setting, '=');
    if (!equals)
        return;
    *equals = '\0';
    const char **to = cfg_setting(setting);
    if (to && strchr(equals + 1, '$'))
        complain(o, 0, "%s:%u: %s is passed over: substitutions are not done here", file, no, setting);
    else if (to && equals[1])
        *to = equals + 1;
}

static bool cfg_read(const struct options *o, const char *file, bool must)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && !must)
        return true;
    ssize_t n = fd < 0 ? -1 : read(fd, cfg.text, CFG_MAX);
    if (n < 0)
        complain(o, 0, "cannot read %s: %s", file, strerror(errno));
    if (fd >= 0)
        close(fd);
    unsigned no = 1;
    for (char *p = cfg.text, *end = cfg.text + (n > 0 ? n : 0); p < end; no++) {
        char *line_end = memchr(p, '\n', (size_t)(end - p));
        if (!line_end)
            line_end = end;
        cfg_line(o, file, no, p, (size_t)(line_end - p));
        p = line_end + 1;
    }
    return n >= 0;
}

/* --- the command line --- */

struct given {
    const char *spool, *logs, *config, *config_dir, *cfg_file, *node, *timeout, *server;
};

static const char **given_option(struct given *g, const char *word)
{
    if (!strcmp(word, "--spool"))
        return &g->spool;
    if (!strcmp(word, "--logs"))
        return &g->logs;
    if (!strcmp(word, "--config"))
        return &g->config;
    if (!strcmp(word, "--config-dir"))
        return &g->config_dir;
    if (!strcmp(word, "--ctl-config"))
        return &g->cfg_file;
    if (!strcmp(word, "--node"))
        return &g->node;
    if (!strcmp(word, "--timeout"))
        return &g->timeout;
    if (!strcmp(word, "--server"))
        return &g->server;
    return NULL;
}

/* Words that an option of the server has of its own. */
static int option_words(const char *option)
{
    return !strcmp(option, "--version") ? 1 : !strcmp(option, "--auth") ? 3 : 0;
}

int settings_server_options(char **words, int count)
{
    int i = 0;
    while (i < count && !strncmp(words[i], "--", 2))
        i += 1 + option_words(words[i]);
    return i < count ? i : count;
}

/* An option and its words, or a word alone, of the tool; 0: the server's. */
static int take_own(struct options *o, struct given *g, char **words, int count)
{
    const char **to = given_option(g, words[0]);
    if (to && count > 1) {
        *to = words[1];
        return 2;
    }
    if (!strcmp(words[0], "--keep-going")) {
        o->keep_going = true;
        return 1;
    }
    if (!strcmp(words[0], "--batch")) {
        bool file = count > 1 && (words[1][0] != '-' || !words[1][1]);
        o->batch = file ? words[1] : "-";
        return file ? 2 : 1;
    }
    return 0;
}

static void parse(int argc, char **argv, struct options *o, struct given *g)
{
    int i = 1, n;
    o->words = argv + (argc > 0);
    while (i < argc && !strncmp(argv[i], "--", 2)) {
        if ((n = take_own(o, g, argv + i, argc - i))) {
            i += n;
            continue;
        }
        o->json |= !strcmp(argv[i], "--json");
        for (int own = option_words(argv[i]); own >= 0 && i < argc; own--)
            o->words[o->count++] = argv[i++];
    }
    o->command = o->count;
    while (i < argc)
        o->words[o->count++] = argv[i++];
    if (o->count == o->command + 1 && !strcmp(o->words[o->command], "-")) {
        o->batch = "-";
        o->count--;
    }
}

static const char *first_of(const char *given, const char *env, const char *env2, const char *file, const char *standard)
{
    const char *v = given;
    if (!v && (!(v = getenv(env)) || !*v))
        v = env2 ? getenv(env2) : NULL;
    if (!v || !*v)
        v = file;
    return v ? v : standard;
}

static const char *in_folder(const char *folder, const char *name, char *out)
{
    snprintf(out, PATH_MAX, "%s/%s", folder, name);
    return out;
}

static bool take_timeout(struct options *o, const char *text)
{
    char *end;
    long v = text ? strtol(text, &end, 10) : DEFAULT_TIMEOUT_S;
    if (text && (!*text || *end || v < 1 || v > MAX_TIMEOUT_S)) {
        complain(o, 0, "--timeout takes seconds, 1 to %d, not '%s'", MAX_TIMEOUT_S, text);
        return false;
    }
    o->timeout_s = (unsigned)v;
    return true;
}

bool settings_read(int argc, char **argv, struct options *o, int *code_out)
{
    static char cfg_path[PATH_MAX], config_path[PATH_MAX];
    struct given g = {0};
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    o->program = !argc ? "cjabberdctl" : slash ? slash + 1 : argv[0];
    parse(argc, argv, o, &g);
    *code_out = EXIT_USAGE;
    const char *cfg_env = getenv("CJABBERD_CTL_CONFIG");
    const char *cfg_file = g.cfg_file ? g.cfg_file : cfg_env && *cfg_env && !g.config_dir ? cfg_env : NULL;
    const char *standard = g.config_dir ? in_folder(g.config_dir, "ejabberdctl.cfg", cfg_path) : CONFIG_DIR "/ejabberdctl.cfg";
    if (!cfg_read(o, cfg_file ? cfg_file : standard, cfg_file != NULL))
        return false;
    const char *config_in_dir = g.config_dir && !g.config ? in_folder(g.config_dir, "ejabberd.yml", config_path) : g.config;
    o->spool = first_of(g.spool, "CJABBERD_SPOOL", NULL, cfg.spool, DEFAULT_SPOOL);
    o->logs = first_of(g.logs, "CJABBERD_LOGS", NULL, cfg.logs, DEFAULT_LOGS);
    o->config = first_of(config_in_dir, "CJABBERD_CONFIG", "EJABBERD_CONFIG_PATH", cfg.config, CONFIG_DIR "/ejabberd.yml");
    o->server = first_of(g.server, "CJABBERD_SERVER", NULL, NULL, NULL);
    o->node = g.node ? g.node : cfg.node;
    o->logs_given = g.logs != NULL;
    return take_timeout(o, g.timeout);
}

const char *settings_command(const struct options *o)
{
    return o->command < o->count ? o->words[o->command] : "";
}
