/* Commands of the tag erlang that have a meaning here. */
#include "admin/command.h"

#include "core/cookie.h"

static int get_cookie(struct cmd_call *c)
{
    arena_mark_secret(c->arena);
    cmd_text(c, cookie());
    return 0;
}

ADMIN_CMD(get_cookie) = {
    .tags = "erlang", .module = "mod_admin_extra", .where = RUNS_HERE, .flags = CMD_READS, .run = get_cookie,
    .brief = "Tell the secret that the nodes of this cluster share",
    .text = "It stands in the file `cookie` of the spool folder, which only the server's user may read; it is made at the first "
            "start. Whoever has it may join the cluster.",
    SHAPES({NO_ARGS, RESULT(T_STRING("cookie", "The cluster secret")), SHOWS("MWTAVMODFELNLSMYXPPD")}),
};
