/* Commands of the tag mnesia that keep and inspect the embedded database, which is what ejabberd's Mnesia is here. Entries only. */
#include "admin/command.h"

/* --- whole --- */

ADMIN_CMD(backup) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Back the embedded database up into a file",
    .text = "restore and install_fallback take such a file.",
    SHAPES({ARGS(T_STRING("file", "File to write, with its whole path")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("/var/lib/ejabberd/database.backup")}),
};

ADMIN_CMD(restore) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Put a backup back into the embedded database at once",
    .text = "For a large database install_fallback, which does it at the next start, is the gentler way.",
    SHAPES({ARGS(T_STRING("file", "Backup file, with its whole path")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("/var/lib/ejabberd/database.backup")}),
};

ADMIN_CMD(install_fallback) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Have a backup put back into the embedded database at the next start",
    .text = "Nothing changes until the server is restarted. restore does the same at once and needs more memory.",
    SHAPES({ARGS(T_STRING("file", "Backup file, with its whole path")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("/var/lib/ejabberd/database.fallback")}),
};

ADMIN_CMD(dump) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Write the embedded database into a file as text",
    .text = "load takes such a file.",
    SHAPES({ARGS(T_STRING("file", "File to write, with its whole path")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("/var/lib/ejabberd/database.txt")}),
};

ADMIN_CMD(dump_table) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Write one table of the embedded database into a file as text",
    SHAPES({ARGS(T_STRING("file", "File to write, with its whole path"), T_STRING("table", "Name of the table")),
            RESULT(T_RESTUPLE("res")), EXAMPLE("/var/lib/ejabberd/table-muc-registered.txt", "muc_registered")}),
};

ADMIN_CMD(load) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Read a text dump into the embedded database at once",
    .text = "A large database is better carried by backup and install_fallback.",
    SHAPES({ARGS(T_STRING("file", "Text file, with its whole path")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("/var/lib/ejabberd/database.txt")}),
};

ADMIN_CMD(delete_mnesia) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Delete the data of a virtual host from the embedded database",
    .text = "Meant for a host whose data have moved elsewhere, with export2sql for instance.",
    SHAPES({ARGS(T_STRING("host", "Virtual host")), RESULT(T_RESCODE("res")), EXAMPLE("example.com")}),
};

ADMIN_CMD(mnesia_change_nodename) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Rewrite a backup file for a node of another name",
    SHAPES({ARGS(T_STRING("oldnodename", "Name of the node that wrote the file"),
                 T_STRING("newnodename", "Name of the node that will read it"),
                 T_STRING("oldbackup", "Backup file to read, with its whole path"),
                 T_STRING("newbackup", "Backup file to write, with its whole path")),
            RESULT(T_RESTUPLE("res")),
            EXAMPLE("ejabberd@machine1", "ejabberd@machine2", "/var/lib/ejabberd/old.backup", "/var/lib/ejabberd/new.backup")}),
};

/* --- what is in it --- */

ADMIN_CMD(mnesia_info) = {
    .tags = "mnesia", .where = RUNS_HERE, .flags = CMD_READS,
    .brief = "Describe the state of the embedded database",
    SHAPES({NO_ARGS, RESULT(T_STRING("res", NULL))}),
};

ADMIN_CMD(mnesia_info_ctl) = {
    .tags = "ejabberdctl mnesia", .module = "ejabberd_ctl", .where = RUNS_HERE, .flags = CMD_READS | CMD_TOOL_ONLY,
    .brief = "Print the state of the embedded database (command line tool only)",
    .text = "This command belongs to the command line tool; the others have mnesia_info.",
    SHAPES({.note = "renamed in 24.02", NO_ARGS, RESULT(T_RESCODE("res"))}),
};

ADMIN_CMD(mnesia_list_tables) = {
    .tags = "mnesia", .where = RUNS_HERE, .flags = CMD_READS,
    .brief = "List the tables of the embedded database with their sizes",
    SHAPES({.note = "added in 25.03", NO_ARGS,
            RESULT(T_LIST("tables", "Name, kind of storage, number of rows, size",
                          T_TUPLE("table", T_ATOM("name", NULL), T_BINARY("storage_type", NULL), T_INTEGER("elements", NULL),
                                  T_INTEGER("memory_kb", NULL), T_INTEGER("memory_mb", NULL))))}),
};

ADMIN_CMD(mnesia_table_info) = {
    .tags = "mnesia", .where = RUNS_HERE, .flags = CMD_READS,
    .brief = "Describe the state of one table of the embedded database",
    SHAPES({ARGS(T_STRING("table", "Name of the table")), RESULT(T_STRING("res", NULL)), EXAMPLE("roster")}),
};

ADMIN_CMD(mnesia_table_change_storage) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Change how a table of the embedded database is stored",
    SHAPES({.note = "added in 25.03",
            ARGS(T_BINARY("table", "Name of the table"),
                 T_BINARY("storage_type", "ram_copies, disc_copies, disc_only_copies or remote_copy")),
            RESULT(T_RESTUPLE("res"))}),
};
