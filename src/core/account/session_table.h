/* The tables behind core/account/account.c, shared with the files that walk them on the same shard. */
#ifndef CORE_SESSION_TABLE_H
#define CORE_SESSION_TABLE_H

#include "core/account/session.h"

struct config;

struct session_table {
    struct map accounts;     /* struct account */
    struct order all;        /* struct session.all, by full address */
    uint64_t (*per_host)[SHOW__COUNT]; /* sessions by host index and what they show */
    size_t hosts;
};

struct session_table *session_table_self(void);
/* Host indices after a reload. */
void account_config_changed(const struct config *c);

#endif
