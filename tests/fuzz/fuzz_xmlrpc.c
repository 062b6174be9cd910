/*
 * XML-RPC: the body of a call, whatever it names. What binds is written as a result, what does not as a fault; both must be
 * XML again.
 */
#include "admin/xmlrpc_fault.h"
#include "xml/stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must_parse(struct arena *a, struct buf *out)
{
    if (!xml_parse(a, buf_str(out), TOK_NS_CLIENT, NULL))
        abort();
    buf_clear(out);
}

static void answer(struct cmd_call *c, const struct tree *args)
{
    struct tree_problem problem;
    struct buf out = BUF_INIT;
    if (args_bind_tree(c, args, &problem) != TREE_OK) {
        if (c->failure.code == ERR_NONE)
            abort();
        xmlrpc_fault_binding(&out, c, args, &problem);
    } else {
        cmd_fail(c, ERR_CONFLICT, "%.*s", STR_ARG(c->shape->arg_count && c->args[0].s.n < 99 ? c->args[0].s : S("x")));
        xmlrpc_fault_failure(&out, c, args);
        for (unsigned i = 0; i < c->shape->arg_count; i++) {
            must_parse(c->arena, &out);
            /* an argument as if it were a result: all that bytes of a caller can do to an answer */
            struct cmd_shape shape = *c->shape;
            struct cmd_call copy = *c;
            shape.result = &c->shape->args[i];
            copy.shape = &shape;
            copy.result = c->args[i];
            xmlrpc_out_result(&out, &copy);
        }
    }
    must_parse(c->arena, &out);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool started;
    struct error err = ERROR_INIT;
    struct arena *a = arena_new();
    struct xmlrpc_call *call = ARENA_NEW(a, struct xmlrpc_call);
    if (!started && commands_start(&err) < 0)
        abort();
    started = true;
    if (!xmlrpc_parse(a, str_n((const char *)data, n), call)) {
        const struct command *cmd = command_find(call->method);
        for (size_t i = 0; cmd && i < call->n; i++) {
            struct cmd_call *c = cmd_call_new(cmd, command_shape(cmd, API_NEWEST), API_NEWEST);
            if (call->params[i].kind == TREE_STRUCT)
                answer(c, &call->params[i]);
            cmd_call_end(&c);
        }
    }
    arena_release(&a);
    return 0;
}
