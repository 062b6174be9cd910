/* The command of the tag session that speaks for a session. */
#include "admin/command.h"

/* Up to version 0 the priority was a text. */
static void priority_from_text(struct cmd_call *c, const struct value *in, struct value *out)
{
    struct str digits = in[6].s;
    memcpy(out, in, 7 * sizeof(*out));
    if (digits.n > 1 && digits.p[0] == '+')
        digits = str_n(digits.p + 1, digits.n - 1);
    out[6] = (struct value){.i = 0};
    if (!str_to_i64(digits, &out[6].i))
        cmd_fail(c, ERR_INTERNAL, "argument priority: unfit value");
}

#define SESSION                                                                                                              \
    T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host"), T_BINARY("resource", "Resource of the session")
#define PRESENCE                                                                                                        \
    T_BINARY("type", "`available`, `unavailable`, or another type of presence"),                                        \
        T_BINARY("show", "`away`, `chat`, `dnd`, `xa`, or empty"), T_BINARY("status", "Text that contacts see, may be empty")
#define PRIORITY_HELP "Priority, from -128 to 127"
#define SET_EXAMPLE EXAMPLE("user1", "myserver.com", "tka1", "available", "away", "BB", "7")

ADMIN_CMD(set_presence) = {
    .tags = "session", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host",
    .brief = "Change the presence of a session",
    .text = "It is as if the client had sent it: contacts are told. The session must exist.",
    SHAPES({.api = 1, .note = "updated in 24.02", ARGS(SESSION, PRESENCE, T_INTEGER("priority", PRIORITY_HELP)),
            RESULT(T_RESCODE("res")), SET_EXAMPLE},
           {ARGS(SESSION, PRESENCE, T_BINARY("priority", PRIORITY_HELP)), RESULT(T_RESCODE("res")),
            .to_newest = priority_from_text, SET_EXAMPLE}),
};
