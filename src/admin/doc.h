/*
 * Documents made from the command table: Markdown, HTML, manual page, OpenAPI. Everything they say stands in the table; a
 * document is never edited. Pure functions, any thread, after commands_start.
 */
#ifndef ADMIN_DOC_H
#define ADMIN_DOC_H

#include "admin/command.h"

enum doc_language { DOC_JSON = 1, DOC_XMLRPC = 2, DOC_JAVA = 4, DOC_PERL = 8, DOC_CURL = 16 };

/* Languages of a comma separated list; words nobody knows say nothing, COMPAT(ejabberd). */
unsigned doc_languages(struct str words);

/* Is the command to be part of the document? */
typedef bool (*doc_filter_fn)(const struct command *cmd, void *arg);

/* Commands in order of names, newest API version. Internal ones are in no document. filter NULL: all. */
void doc_markdown_commands(struct buf *out, unsigned languages, doc_filter_fn filter, void *arg);
/* Commands by tag, then by module. */
void doc_markdown_tags(struct buf *out);
void doc_html_commands(struct buf *out, unsigned languages, doc_filter_fn filter, void *arg);
/* A page for section 7, in the man macros. */
void doc_man(struct buf *out);
/* OpenAPI 3.1: every command, and every older shape under its version. */
void doc_openapi(struct buf *out);

/* "markdown", "tags", "html", "man", "openapi" or "json" (the table itself, see admin/help.h); false: no such document. */
bool doc_by_name(struct buf *out, struct str name);

/* --- parts shared by the documents --- */

/* The types as the documents name them: what goes over the wire as text is a string, codes are integers. */
void doc_type(struct buf *out, const struct type *t);
/* Help of a result; codes and reports have a text of their own. NULL: none. */
const char *doc_result_help(const struct type *t);
bool doc_shown(const struct command *cmd);
/* The module a command is shown under; NULL for the server's own. */
const char *doc_module(const struct command *cmd);

/*
 * The example of a shape: a call with its arguments bound and its result (rows of a list: ->rows) set, from the entry's words or,
 * where it has none, made up from names and types. End it with cmd_call_end.
 */
struct cmd_call *doc_example(const struct command *cmd, const struct cmd_shape *s);
void doc_example_print(struct buf *out, const struct cmd_call *c, enum doc_language language);
/* Typed values as indented JSON. */
void doc_json(struct buf *out, const struct type *t, const struct value *v, unsigned indent);
/* {"user": ..., "host": ...} */
void doc_json_args(struct buf *out, const struct cmd_call *c, unsigned indent);
/* The body of a successful answer. */
void doc_json_result(struct buf *out, const struct cmd_call *c, unsigned indent);

#endif
