/* See the header. */
#include "admin/start.h"

#include "admin/args.h"
#include "admin/command.h"

int admin_start(struct error *err)
{
    static bool done;
    if (done)
        return 0;
    if (commands_start(err) < 0) {
        commands_stop();
        return -1;
    }
    args_start();
    done = true;
    return 0;
}
