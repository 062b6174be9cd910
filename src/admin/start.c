/* See the header. */
#include "admin/start.h"

#include "admin/args.h"
#include "admin/command.h"
#include "admin/listen_xmlrpc.h"

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
    listeners_register(&listen_xmlrpc);
    done = true;
    return 0;
}
