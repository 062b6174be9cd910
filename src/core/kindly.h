/*
 * Leaving with notice: new logins are refused, everybody online is told, some time passes, then the server stops, or stays
 * without listeners (evacuated) until it is restarted. One at a time; runs on a fiber of shard 0 whoever asked for it and
 * whether they still listen. A stop, restart or halt meanwhile goes ahead.
 */
#ifndef CORE_KINDLY_H
#define CORE_KINDLY_H

#include "base/err.h"
#include "base/str.h"

#define KINDLY_STEPS 7
#define KINDLY_DELAY_MAX (7 * 86400) /* seconds */

enum kindly_end { KINDLY_STOP, KINDLY_EVACUATE };

/*
 * Begins and returns. The announcement is UTF-8 that XML allows; empty: nobody is told anything. ERR_CONFLICT: one is under
 * way, or the server is evacuated already.
 */
int kindly_begin(enum kindly_end end, unsigned delay_s, struct str announcement, struct error *err) YIELDS;

struct kindly_step {
    bool begun, done;
    unsigned at_s;      /* seconds since the beginning */
    char words[64];     /* "Stopping ejabberd port listeners" */
    char outcome[48];   /* "done" */
};
/* Steps are numbered from 1. Any thread. */
void kindly_step(unsigned number, struct kindly_step *out);

#endif
