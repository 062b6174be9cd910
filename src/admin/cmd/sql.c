/* Commands of the tag sql that concern passwords. */
#include "admin/command.h"

#include "base/log.h"
#include "core/auth/auth.h"

/* COMPAT(ejabberd): a host that is not served has no accounts to convert, which is no failure; an empty name is one. */
static int convert_to_scram(struct cmd_call *c) YIELDS;
static int convert_to_scram(struct cmd_call *c)
{
    struct str host;
    struct error err = ERROR_INIT;
    uint64_t converted = 0, left = 0;
    if (!arg_str(c, "host").n)
        return cmd_fail(c, ERR_INTERNAL, "the host is empty");
    if (!arg_host(c, "host", &host)) {
        cmd_reason(c, "'%.*s' is no host name: nothing was converted", STR_ARG(arg_str(c, "host")));
        return 0;
    }
    if (auth_convert_to_scram(host, &converted, &left, &err) < 0) {
        if (err.code != ERR_NO_HOST)
            return cmd_fail_error(c, &err);
        cmd_reason(c, "%.*s is not served: nothing was converted", STR_ARG(host));
        return 0;
    }
    LOG(INFO, "auth", NULL, "%.*s: %llu passwords converted to SCRAM, %llu left as they are", STR_ARG(host),
        (unsigned long long)converted, (unsigned long long)left);
    if (left)
        cmd_reason(c, "%llu converted; %llu passwords cannot be prepared for SCRAM or were changed meanwhile, and stay as they are",
                   (unsigned long long)converted, (unsigned long long)left);
    cmd_code(c, left == 0);
    return 0;
}

ADMIN_CMD(convert_to_scram) = {
    .tags = "sql", .where = RUNS_HERE, .run = convert_to_scram, .brief = "Turn stored plain passwords into SCRAM keys",
    .text = "All accounts of the host whose password is stored as it is get keys instead, from which it cannot be read; their "
            "owners notice nothing. The server goes on serving meanwhile. When it is interrupted, call it again: it goes on "
            "with what is left.",
    SHAPES({ARGS(T_BINARY("host", "Virtual host whose accounts are converted")), RESULT(T_RESCODE("res")), EXAMPLE("example.com")}),
};
