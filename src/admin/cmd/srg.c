/*
 * Commands of the tag shared_roster_group: groups of accounts that appear in one another's rosters. A group is named by its
 * identifier and a virtual host.
 */
#include "admin/command.h"

#define GROUP T_BINARY("group", "Identifier of the group")
#define HOST T_BINARY("host", "Virtual host of the group")
#define LABEL T_BINARY("label", "Name that rosters show")
#define DESCRIPTION T_BINARY("description", "What the group is for; rosters do not show it")
#define DISPLAY_HELP "Identifiers of the groups that the members see in their rosters"
#define SRG .tags = "shared_roster_group", .module = "mod_admin_extra", .where = RUNS_HERE

/* --- groups --- */

ADMIN_CMD(srg_list) = {
    SRG, .flags = CMD_READS, .brief = "List the shared roster groups of a virtual host",
    SHAPES({ARGS(T_BINARY("host", "Virtual host of this server")),
            RESULT(T_LIST("groups", "Identifiers of the groups", T_STRING("id", NULL))), EXAMPLE("myserver.com"),
            SHOWS("group1", "group2")}),
};

/* Up to version 0 the groups were one text, with a backslash and the letter n between them. */
static void display_to_list(struct cmd_call *c, const struct value *in, struct value *out)
{
    struct str text = in[4].s;
    size_t start = 0;
    memcpy(out, in, 5 * sizeof(*out));
    out[4] = (struct value){.items = ARENA_ARRAY(c->arena, struct value, text.n / 2 + 1)};
    for (size_t i = 0; i <= text.n; i++) {
        bool cut = i + 1 < text.n && text.p[i] == '\\' && text.p[i + 1] == 'n';
        if (!cut && i < text.n)
            continue;
        if (i > start)
            out[4].items[out[4].n++].s = str_n(text.p + start, i - start);
        start = i + 2;
    }
}

ADMIN_CMD(srg_create) = {
    SRG, .brief = "Create a shared roster group, or give one another name, description and display",
    .text = "The groups to display must exist, apart from the new one itself. Members of a group that is there already stay.",
    RENAMES({"name", "label"}),
    SHAPES({.api = 1, .note = "updated in 24.02",
            ARGS(GROUP, HOST, LABEL, DESCRIPTION, T_LIST("display", DISPLAY_HELP, T_BINARY("group", NULL))),
            RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com", "Group3", "Third group", "group1,group2")},
           {.note = "changed in 21.07",
            ARGS(GROUP, HOST, LABEL, DESCRIPTION, T_BINARY("display", DISPLAY_HELP ", separated by `\\n`")),
            RESULT(T_RESCODE("res")), .to_newest = display_to_list,
            EXAMPLE("group3", "myserver.com", "Group3", "Third group", "group1\\\\ngroup2")}),
};

ADMIN_CMD(srg_add) = {
    SRG, .brief = "Create a shared roster group that has an identifier and nothing else",
    SHAPES({.note = "added in 24.06", ARGS(GROUP, HOST), RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com")}),
};

ADMIN_CMD(srg_delete) = {
    SRG, .brief = "Remove a shared roster group; its members stay where they are",
    SHAPES({ARGS(GROUP, HOST), RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com")}),
};

/* --- what a group says of itself --- */

ADMIN_CMD(srg_get_info) = {
    SRG, .flags = CMD_READS, .brief = "Show the settings of a shared roster group",
    SHAPES({ARGS(GROUP, HOST),
            RESULT(T_LIST("informations", "Names and values of the settings",
                          T_TUPLE("information", T_STRING("key", NULL), T_STRING("value", NULL)))),
            EXAMPLE("group3", "myserver.com"), SHOWS("name", "Group 3", "displayed_groups", "group1")}),
};

ADMIN_CMD(srg_set_info) = {
    SRG, .brief = "Change the label or the description of a shared roster group",
    SHAPES({.note = "added in 24.06",
            ARGS(GROUP, HOST, T_BINARY("key", "`label` or `description`"), T_BINARY("value", "The new text")),
            RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com", "label", "Family")}),
};

/* --- which groups its members see --- */

ADMIN_CMD(srg_get_displayed) = {
    SRG, .flags = CMD_READS, .brief = "List the groups that the members of a shared roster group see",
    SHAPES({.note = "added in 24.06", ARGS(GROUP, HOST), RESULT(T_LIST("display", DISPLAY_HELP, T_BINARY("group", NULL))),
            EXAMPLE("group3", "myserver.com"), SHOWS("group1", "group2")}),
};

ADMIN_CMD(srg_add_displayed) = {
    SRG, .brief = "Let the members of a shared roster group see one more group",
    SHAPES({.note = "added in 24.06", ARGS(GROUP, HOST, T_BINARY("add", "Identifier of the group that they will see")),
            RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com", "group1")}),
};

ADMIN_CMD(srg_del_displayed) = {
    SRG, .brief = "Hide a group from the members of a shared roster group",
    SHAPES({.note = "added in 24.06", ARGS(GROUP, HOST, T_BINARY("del", "Identifier of the group that they will not see any more")),
            RESULT(T_RESCODE("res")), EXAMPLE("group3", "myserver.com", "group1")}),
};

/* --- members --- */

#define MEMBER T_BINARY("user", "Name of the account"), T_BINARY("host", "Virtual host of the account")
#define OF_GROUP GROUP, T_BINARY("grouphost", "Virtual host of the group")
#define MEMBER_EXAMPLE EXAMPLE("user1", "myserver.com", "group3", "myserver.com")

ADMIN_CMD(srg_get_members) = {
    SRG, .flags = CMD_READS, .brief = "List the members of a shared roster group",
    SHAPES({ARGS(GROUP, HOST), RESULT(T_LIST("members", "Bare JIDs of the members", T_STRING("member", NULL))),
            EXAMPLE("group3", "myserver.com"), SHOWS("user1@localhost", "user2@localhost")}),
};

ADMIN_CMD(srg_user_add) = {
    SRG, .brief = "Make an account a member of a shared roster group",
    .text = "The names `@all@` and `@online@` stand for all accounts of the group's virtual host, and for those that are "
            "connected.",
    SHAPES({ARGS(MEMBER, OF_GROUP), RESULT(T_RESCODE("res")), MEMBER_EXAMPLE}),
};

ADMIN_CMD(srg_user_del) = {
    SRG, .brief = "End the membership of an account in a shared roster group",
    SHAPES({ARGS(MEMBER, OF_GROUP), RESULT(T_RESCODE("res")), MEMBER_EXAMPLE}),
};
