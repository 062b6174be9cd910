/* The command line of cjabberd; see the header. */
#include "main/args.h"
#include "core/server.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "Usage: cjabberd [options]\n"
    "  --config FILE    configuration (default: /etc/cjabberd/ejabberd.yml)\n"
    "  --spool DIR      data (default: /var/lib/cjabberd)\n"
    "  --logs DIR       log files; without it the log goes to standard error\n"
    "  --check-config   check the configuration and end\n"
    "  --print KIND     print what is made from the command table and end: markdown, tags, html, man, openapi or json\n"
    "  --version        print the version and end\n"
    "  --help           print this and end\n";

static const char *env_or(const char *name, const char *otherwise)
{
    const char *v = getenv(name);
    return v && *v ? v : otherwise;
}

bool args_parse(int argc, char **argv, struct args *out)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"spool", required_argument, NULL, 's'},
                                            {"logs", required_argument, NULL, 'l'},   {"check-config", no_argument, NULL, 'k'},
                                            {"print", required_argument, NULL, 'p'},
                                            {"check-module", required_argument, NULL, 'm'},
                                            {"object", required_argument, NULL, 'o'},
                                            {"version", no_argument, NULL, 'v'},      {"help", no_argument, NULL, 'h'},
                                            {0}};
    *out = (struct args){.config = env_or("CJABBERD_CONFIG", "/etc/cjabberd/ejabberd.yml"),
                         .spool = env_or("CJABBERD_SPOOL", "/var/lib/cjabberd"),
                         .logs = env_or("CJABBERD_LOGS", NULL)};
    int o;
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'c': out->config = optarg; break;
        case 's': out->spool = optarg; break;
        case 'l': out->logs = optarg; break;
        case 'p': out->print = optarg; break;
        case 'k': out->check = true; break;
        case 'm': out->check_module = optarg; break;
        case 'o': out->object = optarg; break;
        case 'v': printf("cjabberd %s (API of ejabberd %s)\n", server_own_version(), server_version()); return false;
        case 'h': fputs(usage, stdout); return false;
        default: out->exit_code = 2; return false;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "cjabberd: unexpected argument '%s'\n%s", argv[optind], usage);
        out->exit_code = 2;
        return false;
    }
    return true;
}
