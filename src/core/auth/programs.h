/*
 * Programs that answer questions about accounts, in the frames of core/auth/extauth.h: a pool of threads, each with one running
 * program. A program that dies, is silent for too long or says something else than an answer is ended, and the next question
 * starts it again. A program that had said more than it was asked would answer the next question with what belongs to the last
 * one: it is ended too.
 */
#ifndef CORE_PROGRAMS_H
#define CORE_PROGRAMS_H

#include "core/auth/auth_method.h"

#define PROGRAMS_MAX 256 /* of one pool */

struct programs;

/*
 * what: a literal, the option that names it, for the log. argv: words ended by NULL, borrowed like everything it points to until
 * the end. Nothing runs before the first question.
 */
struct programs *programs_new(const char *what, char *const *argv, unsigned size);
/* Kills what runs; nobody may be asking. */
void programs_delete(struct programs **p);
/*
 * 0 and its yes or no; what cannot be said in a frame is a no. ERR_UNAVAILABLE: there is no answer; with `writes` ERR_UNCERTAIN
 * when it may have done what it was asked for.
 */
int programs_ask(struct programs *p, const struct auth_ask *q, const char *operation, bool with_password, bool writes,
                 bool *yes_out, struct error *err) YIELDS;

#endif
