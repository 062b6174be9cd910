/* Commands of the tag acme: certificates that a certification authority issues by itself (RFC 8555). Entries only. */
#include "admin/command.h"

ADMIN_CMD(list_certificates) = {
    .tags = "acme", .where = RUNS_HERE, .flags = CMD_READS,
    .brief = "List the certificates that were obtained by ACME",
    SHAPES({NO_ARGS, RESULT(T_LIST("certificates", "Domain, file, and whether the server uses the certificate",
                                   T_TUPLE("certificate", T_STRING("domain", NULL), T_STRING("file", NULL),
                                           T_STRING("used", NULL))))}),
};

ADMIN_CMD(request_certificate) = {
    .tags = "acme", .where = RUNS_HERE,
    .brief = "Obtain certificates by ACME for some domains or for all",
    .text = "The word all stands for every virtual host and service of this server.",
    SHAPES({ARGS(T_STRING("domains", "Domains, separated by commas, or all")), RESULT(T_RESTUPLE("res")),
            EXAMPLE("example.com,domain.tld,conference.domain.tld")}),
};

ADMIN_CMD(revoke_certificate) = {
    .tags = "acme", .where = RUNS_HERE,
    .brief = "Have the authority revoke a certificate that was obtained by ACME",
    SHAPES({ARGS(T_STRING("file", "File that holds the certificate")), RESULT(T_RESTUPLE("res"))}),
};
