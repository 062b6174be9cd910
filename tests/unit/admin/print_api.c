/* Prints the command table as JSON, for test_registry.py. */
#include "admin/help.h"

#include <stdio.h>

int main(void)
{
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    if (commands_start(&err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    help_dump_json(&out);
    fwrite(out.p, 1, out.n, stdout);
    buf_deinit(&out);
    commands_stop();
    return 0;
}
