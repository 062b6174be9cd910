/*
 * Arguments of API calls: the first byte picks a command, the second its version and the form; the rest is the body or the
 * query. Whatever binds is encoded as a log line would show it.
 */
#include "admin/args.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool started;
    struct error err = ERROR_INIT;
    if (!started && commands_start(&err) < 0)
        abort();
    if (!started)
        args_start();
    started = true;
    if (n < 2)
        return 0;
    const struct command *cmd = command_at(data[0] % command_count());
    const struct cmd_shape *shape = command_shape(cmd, data[1] & 3);
    if (!shape)
        return 0;
    struct cmd_call *c = cmd_call_new(cmd, shape, data[1] & 3);
    struct str text = str_n((const char *)data + 2, n - 2);
    struct raw_args *raw = data[1] & 4 ? raw_args_query(c->arena, text) : raw_args_json(c->arena, text);
    if (raw && args_bind(c, raw) < 0 && c->failure.code == ERR_NONE)
        abort();
    cmd_call_end(&c);
    return 0;
}
