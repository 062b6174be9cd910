/*
 * Shared objects of contributed modules. A file is loaded from a copy with a name of its own and stays for the life of the
 * process: fibers may wait inside old code, and a handler's address may stand in a shard's table. What a replaced module leaves
 * behind is its code and static data, some tens of kilobytes each time; a restart of the server clears it.
 * Blocks; any thread that may, one at a time.
 */
#ifndef CORE_MODULE_LOAD_H
#define CORE_MODULE_LOAD_H

#include "core/module/module_set.h"

/*
 * Loads FILE through a copy in the folder `running`; runs the object's constructors. The file must belong to this account or root
 * and not be for everybody to write (ERR_FORBIDDEN); the object must have been compiled against this server's headers, be called
 * `name` and have sound tables. Options become the module's group, `defaults` (a file, may be missing) its options where the
 * configuration says nothing. NULL: err says why, in words.
 */
struct module *module_load(const char *file, const char *running, const char *name, const char *defaults, struct error *err);
/*
 * As the child process that looks at an untrusted file first, and at conf/NAME.yml beside it: prints what is wrong, returns the
 * exit status.
 */
int module_probe(const char *file, const char *name);
/* Is the file on disk another one than the module was loaded from? */
bool module_file_changed(const struct module *m, const char *file);
/* Stamp of the headers this server was compiled with. */
const char *module_abi(void);

#endif
