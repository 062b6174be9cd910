/* The spool folder: one server at a time, and a pid file for those who look for it. */
#ifndef MAIN_SPOOL_H
#define MAIN_SPOOL_H

#include "base/err.h"

/*
 * Makes the folder when missing (0750), locks it, writes cjabberd.pid: process id and, on a second line, the log file
 * (may be NULL).
 */
int spool_lock(const char *dir, const char *log_file, struct error *err);
void spool_unlock(void);

#endif
