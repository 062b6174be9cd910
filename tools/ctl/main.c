/*
 * cjabberdctl: sends its arguments to the server on the local socket of the spool folder and prints what comes back; a few
 * verbs it does itself (server.c). Only the C library is linked, statically where that works: a shell loop over it should
 * cost next to nothing.
 */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Every command says in short why nobody answers; `status` in full, on standard output like its other answers. */
static int not_reached(const struct options *o, int why)
{
    char text[4700];
    if (!strcmp(settings_command(o), "status")) {
        stopped_explain(o, why);
        return CTL_EXIT_UNREACHED;
    }
    stopped_short(o, why, text, sizeof(text));
    complain(o, 0, "%s", text);
    if (o->command == o->count) {
        dprintf(STDERR_FILENO, "\nWithout a server there are:\n");
        for (size_t i = 0; verb_at(i); i++)
            if (verb_at(i)->brief)
                dprintf(STDERR_FILENO, "  %-18s%s\n", verb_at(i)->name, verb_at(i)->brief);
    }
    return CTL_EXIT_UNREACHED;
}

static int run_command(const struct options *o)
{
    static struct channel ch;
    int code;
    ch.fd = client_reach(o);
    if (ch.fd < 0)
        return not_reached(o, errno);
    if (!client_send(o, ch.fd, NULL, 0, o->words, o->count, &code))
        return code ? code : not_reached(o, errno);
    if (client_receive(&ch, false, &code) != ANSWER_DONE) {
        /* a server that is halted goes without a word */
        if (!strcmp(settings_command(o), "halt"))
            return EXIT_DONE;
        return complain(o, code, "the server ended the connection before the command was done");
    }
    if (code == 0)
        server_wait_gone(&ch, settings_command(o));
    return code;
}

/* Otherwise the socket could be taken for standard error, and words for the user would go to the server. */
static void open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(EXIT_ERROR);
}

int main(int argc, char **argv)
{
    struct options o = {.count = 0};
    int code;
    open_standard();
    if (!settings_read(argc, argv, &o, &code))
        return code;
    if (o.batch)
        return batch_run(&o);
    const struct verb *verb = verb_find(settings_command(&o));
    if (!verb)
        return run_command(&o);
    if (o.count - o.command > (strcmp(verb->name, "completion") ? 1 : 2))
        return complain(&o, EXIT_USAGE, "%s takes no arguments", verb->name);
    return verb->run(&o);
}
