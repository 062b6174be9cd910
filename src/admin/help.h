/* Documentation of commands as text, derived from the table. Nothing here suspends. */
#ifndef ADMIN_HELP_H
#define ADMIN_HELP_H

#include "admin/command.h"

/* `help` with at most one word: nothing, "tags", "commands", a tag, a command, a glob. Always an answer. */
void help_print(struct buf *out, struct str program, struct str word, int64_t version);
void help_command(struct buf *out, struct str program, const struct command *cmd, const struct cmd_shape *shape);
/* The whole table as JSON: names, tags, types, texts, per API version. */
void help_dump_json(struct buf *out);

#endif
