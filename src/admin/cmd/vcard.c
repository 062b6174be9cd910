/* Commands of the tag vcard: fields of the vCard of an account (XEP-0054), which is kept at the account's home. */
#include "admin/command.h"

#define OWNER T_BINARY("user", "Name of the account"), T_BINARY("host", "Its virtual host")
#define FIELD T_BINARY("name", "Name of the field, in capital letters")
#define SUBFIELD FIELD, T_BINARY("subname", "Name of the part of the field")
#define CONTENT T_BINARY("content", "The new text")
#define VCARD .tags = "vcard", .module = "mod_admin_extra", .where = RUNS_AT_HOME, .home_user = "user", .home_host = "host"

#define ALL_FIELDS "\nAll fields are in [XEP-0054](https://xmpp.org/extensions/xep-0054.html)."
#define FIELDS_TEXT                                                                                               \
    "Fields that clients show:\n\n"                                                                               \
    "* FN - name\n* NICKNAME - nickname\n* BDAY - birthday\n* TITLE - position at work\n* ROLE - role at work\n"  \
    "* URL - web page\n* DESC - about the person\n" ALL_FIELDS
#define SUBFIELDS_TEXT                                                                                            \
    "Fields that have parts:\n\n"                                                                                 \
    "* N FAMILY, N GIVEN, N MIDDLE - parts of the name\n"                                                         \
    "* ADR CTRY, ADR LOCALITY - country and town\n"                                                               \
    "* TEL HOME, TEL WORK, TEL CELL, TEL VOICE - telephone number of that kind\n"                                 \
    "* EMAIL USERID - mail address\n"                                                                             \
    "* ORG ORGNAME, ORG ORGUNIT - company and department\n" ALL_FIELDS

ADMIN_CMD(get_vcard) = {
    VCARD, .flags = CMD_READS, .brief = "Show a field of the vCard of an account", .text = FIELDS_TEXT,
    SHAPES({ARGS(OWNER, FIELD), RESULT(T_STRING("content", "Text of the field")), EXAMPLE("user1", "myserver.com", "NICKNAME"),
            SHOWS("User 1")}),
};

ADMIN_CMD(get_vcard2) = {
    VCARD, .flags = CMD_READS, .brief = "Show a part of a field of the vCard of an account", .text = SUBFIELDS_TEXT,
    SHAPES({ARGS(OWNER, SUBFIELD), RESULT(T_STRING("content", "Text of that part")),
            EXAMPLE("user1", "myserver.com", "N", "FAMILY"), SHOWS("Schubert")}),
};

ADMIN_CMD(get_vcard2_multi) = {
    VCARD, .flags = CMD_READS, .brief = "Show a part of a field that stands in the vCard of an account more than once",
    .text = SUBFIELDS_TEXT,
    SHAPES({ARGS(OWNER, SUBFIELD), RESULT(T_LIST("contents", NULL, T_STRING("value", NULL)))}),
};

ADMIN_CMD(set_vcard) = {
    VCARD, .brief = "Change a field of the vCard of an account", .text = FIELDS_TEXT,
    SHAPES({ARGS(OWNER, FIELD, CONTENT), RESULT(T_RESCODE("res")), EXAMPLE("user1", "myserver.com", "URL", "www.example.com")}),
};

ADMIN_CMD(set_vcard2) = {
    VCARD, .brief = "Change a part of a field of the vCard of an account", .text = SUBFIELDS_TEXT,
    SHAPES({ARGS(OWNER, SUBFIELD, CONTENT), RESULT(T_RESCODE("res")),
            EXAMPLE("user1", "myserver.com", "TEL", "NUMBER", "123456")}),
};

ADMIN_CMD(set_vcard2_multi) = {
    VCARD, .brief = "Give a part of a field of the vCard of an account several values", .text = SUBFIELDS_TEXT,
    SHAPES({ARGS(OWNER, SUBFIELD, T_LIST("contents", "The new texts", T_BINARY("value", NULL))), RESULT(T_RESCODE("res"))}),
};

ADMIN_CMD(set_nickname) = {
    VCARD, .brief = "Give an account a vCard with a nickname and nothing else",
    .text = "Whatever else was in the vCard is lost; _`set_vcard`_ changes one field.",
    SHAPES({ARGS(OWNER, T_BINARY("nickname", "The nickname")), RESULT(T_RESCODE("res")),
            EXAMPLE("user1", "myserver.com", "User 1")}),
};
