/*
 * Data forms: the first byte picks a command, the rest is a form. What can be read is merged, bound to the command's arguments
 * and shown again; that must be a form too.
 */
#include "admin/adhoc_form.h"
#include "admin/args.h"
#include "mod/api/adhoc_session.h"
#include "xml/stream.h"
#include "xml/writer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void show(struct arena *a, struct cmd_call *c, const struct dataform *form)
{
    struct buf out = BUF_INIT;
    struct dataform again;
    struct xml_el *command = xml_new(a, TOK_command, TOK_NS_COMMANDS);
    adhoc_form_args(a, command, c, S("localhost"), form);
    xml_write(&out, command, TOK_NS_CLIENT);
    struct xml_el *read = xml_parse(a, buf_str(&out), TOK_NS_CLIENT, NULL);
    if (!read || dataform_read(a, xml_first(read), &again))
        abort();
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool started;
    struct error err = ERROR_INIT;
    struct dataform form, merged;
    if (!started && commands_start(&err) < 0)
        abort();
    started = true;
    if (n == 0)
        return 0;
    struct arena *a = arena_new();
    const struct command *cmd = command_at(data[0] % command_count());
    const struct cmd_shape *shape = command_shape(cmd, API_NEWEST);
    struct xml_el *x = xml_parse(a, str_n((const char *)data + 1, n - 1), TOK_NS_DATA, NULL);
    if (x && shape && !dataform_read(a, x, &form)) {
        struct cmd_call *c = cmd_call_new(cmd, shape, API_NEWEST);
        adhoc_merge(a, &form, &form, &merged);
        if (merged.n != form.n)
            abort();
        if (adhoc_form_bind(c, &merged) != TREE_OK && c->failure.code == ERR_NONE)
            abort();
        show(a, c, &merged);
        cmd_call_end(&c);
    }
    arena_release(&a);
    return 0;
}
