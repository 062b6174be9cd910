/*
 * libldap, loaded when the first directory is asked: it brings a TLS library of its own and more, three megabytes of memory that a
 * server without directories does not need. Any thread. Include it instead of <ldap.h>; the names are the library's.
 */
#ifndef CORE_LDAP_LIB_H
#define CORE_LDAP_LIB_H

#include <ldap.h>
#include <stdbool.h>

#define LDAP_FUNCTIONS(X)                                                                                           \
    X(ldap_initialize) X(ldap_set_option) X(ldap_start_tls_s) X(ldap_sasl_bind_s)                                   \
    X(ldap_search_ext_s) X(ldap_count_entries) X(ldap_first_entry) X(ldap_next_entry)                               \
    X(ldap_get_dn) X(ldap_get_values_len) X(ldap_value_free_len) X(ldap_memfree)                                    \
    X(ldap_msgfree) X(ldap_unbind_ext_s) X(ldap_err2string)

#define LDAP_POINTER(name) __typeof__(name) *name##_fn;
struct ldap_lib {
    LDAP_FUNCTIONS(LDAP_POINTER)
    void *on; /* LDAP_OPT_ON */
};
#undef LDAP_POINTER
extern struct ldap_lib ldap_lib;

/*
 * false: it is not installed, or lacks something; said once in the log. Before this was true only ldap_err2string and ldap_msgfree
 * (of nothing) may be called.
 */
bool ldap_lib_load(void);

#undef LDAP_OPT_ON
#define LDAP_OPT_ON ldap_lib.on
#define ldap_initialize ldap_lib.ldap_initialize_fn
#define ldap_set_option ldap_lib.ldap_set_option_fn
#define ldap_start_tls_s ldap_lib.ldap_start_tls_s_fn
#define ldap_sasl_bind_s ldap_lib.ldap_sasl_bind_s_fn
#define ldap_search_ext_s ldap_lib.ldap_search_ext_s_fn
#define ldap_count_entries ldap_lib.ldap_count_entries_fn
#define ldap_first_entry ldap_lib.ldap_first_entry_fn
#define ldap_next_entry ldap_lib.ldap_next_entry_fn
#define ldap_get_dn ldap_lib.ldap_get_dn_fn
#define ldap_get_values_len ldap_lib.ldap_get_values_len_fn
#define ldap_value_free_len ldap_lib.ldap_value_free_len_fn
#define ldap_memfree ldap_lib.ldap_memfree_fn
#define ldap_msgfree ldap_lib.ldap_msgfree_fn
#define ldap_unbind_ext_s ldap_lib.ldap_unbind_ext_s_fn
#define ldap_err2string ldap_lib.ldap_err2string_fn

#endif
