/* The command line of cjabberd. */
#ifndef MAIN_ARGS_H
#define MAIN_ARGS_H

#include <stdbool.h>

struct args {
    const char *config, *spool, *logs; /* logs NULL: standard error */
    const char *print; /* name of the document to print instead of starting, or NULL */
    bool check;
    const char *check_module, *object; /* for the server itself: look at a compiled module (core/module/module_load.h) */
    int exit_code; /* when args_parse says to end */
};

/* false: everything was said (help, version, a mistake); end with exit_code. */
bool args_parse(int argc, char **argv, struct args *out);

#endif
