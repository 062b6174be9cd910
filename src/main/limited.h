/*
 * cjabberd --limited BYTES PROGRAM ARGUMENT...: for the server itself. posix_spawn cannot set limits, a limit set on a process
 * that runs comes late for what it has started by then, and this process's own limits are its threads' as well: so the program
 * begins as a second cjabberd, which limits itself and becomes it (core/module/contrib_build.c).
 */
#ifndef MAIN_LIMITED_H
#define MAIN_LIMITED_H

enum { LIMITED_WRONG = 126, LIMITED_NOT_FOUND = 127 }; /* exit statuses, as a shell's */

/*
 * argv: BYTES, PROGRAM and its arguments, ended by NULL. PROGRAM, looked up in PATH, and what it starts have BYTES of address
 * space each, write no larger file and leave no core. Returns the exit status when the limits cannot be set, and ends
 * the process when the program cannot be run.
 */
int limited_run(char **argv);

#endif
