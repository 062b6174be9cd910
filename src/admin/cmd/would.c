/* Dry runs: who would be kicked. Asks the account's home shard, so it suspends. */
#include "admin/cmd/would.h"

#include "core/account/account.h"

int would_kick(struct cmd_call *c, struct str user, struct str host, struct str resource)
{
    struct session_info *s;
    struct error err = ERROR_INIT;
    size_t n = 0;
    if (account_user_sessions(c->arena, user, host, &s, &n, &err) < 0)
        return cmd_fail_error(c, &err);
    for (size_t i = 0; i < n; i++)
        if (!resource.n || str_eq(jid_res(s[i].jid), resource))
            cmd_would(c, arena_printf(c->arena, "session %.*s", STR_ARG(jid_full(s[i].jid))));
    return 0;
}
