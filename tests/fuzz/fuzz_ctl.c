/* Requests on the control socket, and the words of a command line as arguments of the command they name. */
#include "admin/args.h"
#include "admin/ctl.h"
#include "admin/ctl_proto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void bind_words(const struct str *words, size_t n)
{
    const struct command *cmd = n > 1 ? command_find(words[1]) : NULL;
    if (!cmd) {
        if (n > 1 && str_empty(command_nearest(words[1])) && words[1].n < 200)
            abort();
        return;
    }
    const struct cmd_shape *shape = command_shape(cmd, API_NEWEST);
    struct cmd_call *c = cmd_call_new(cmd, shape, API_NEWEST);
    if (n - 2 == shape->arg_count && args_bind_words(c, words + 2, n - 2) < 0 && c->failure.code == ERR_NONE)
        abort();
    cmd_call_end(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct str words[CTL_MAX_WORDS];
    static bool started;
    struct error err = ERROR_INIT;
    size_t count;
    if (!started && commands_start(&err) < 0)
        abort();
    started = true;
    char *copy = malloc(n ? n : 1); /* exact size: reading past the end is seen */
    if (!copy)
        abort();
    memcpy(copy, data, n);
    for (size_t used = 0; used < n;) {
        ptrdiff_t took = ctl_parse(copy + used, n - used, words, &count);
        if (took <= 0)
            break;
        bind_words(words, count);
        used += (size_t)took;
    }
    free(copy);
    return 0;
}
