/*
 * Commands that carry data between servers and formats: SQL files, the portable format (XEP-0227), spools of other servers.
 * Entries only.
 */
#include "admin/command.h"

#define FOLDER_ARG T_BINARY("dir", "Folder for the files, with its whole path")

/* --- out --- */

ADMIN_CMD(export2sql) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Write the data of a virtual host from the embedded database into a file of SQL statements",
    .text = "The statements suit the database that the configuration names. When they have been executed there, delete_mnesia "
            "removes what was copied.",
    SHAPES({ARGS(T_STRING("host", "Virtual host"), T_STRING("file", "File to write, with its whole path")),
            RESULT(T_RESCODE("res")), EXAMPLE("example.com", "/var/lib/ejabberd/example.com.sql")}),
};

ADMIN_CMD(export_piefxis) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Write the data of all accounts into files of the portable format (XEP-0227)",
    .text = "One file is written per virtual host, and one that includes them all.",
    SHAPES({ARGS(FOLDER_ARG), RESULT(T_RESCODE("res")), EXAMPLE("/var/lib/ejabberd/")}),
};

ADMIN_CMD(export_piefxis_host) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Write the data of the accounts of a virtual host into files of the portable format (XEP-0227)",
    SHAPES({ARGS(FOLDER_ARG, T_BINARY("host", "Virtual host")), RESULT(T_RESCODE("res")),
            EXAMPLE("/var/lib/ejabberd/", "example.com")}),
};

/* --- in --- */

ADMIN_CMD(import_piefxis) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Take in the accounts of a file of the portable format (XEP-0227)",
    SHAPES({ARGS(T_BINARY("file", "File to read, with its whole path")), RESULT(T_RESCODE("res")),
            EXAMPLE("/var/lib/ejabberd/example.com.xml")}),
};

ADMIN_CMD(import_prosody) = {
    .tags = "mnesia sql", .where = RUNS_HERE,
    .brief = "Take in the data of a Prosody server",
    SHAPES({ARGS(T_STRING("dir", "Prosody's data folder, with its whole path")), RESULT(T_RESCODE("res")),
            EXAMPLE("/var/lib/prosody/datadump/")}),
};

ADMIN_CMD(import_dir) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Take in all accounts of a jabberd 1.4 server",
    SHAPES({ARGS(T_STRING("file", "Its spool folder, with the whole path")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("/var/lib/ejabberd/jabberd14/")}),
};

ADMIN_CMD(import_file) = {
    .tags = "mnesia", .where = RUNS_HERE,
    .brief = "Take in one account of a jabberd 1.4 server",
    SHAPES({ARGS(T_STRING("file", "Its spool file, with the whole path")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("/var/lib/ejabberd/jabberd14.spool")}),
};
