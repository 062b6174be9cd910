/*
 * What is said between the server and a program that checks accounts (auth_method external): frames of a 16 bit length, big
 * endian, and a text "operation:user:host:password"; the answer is a frame of two bytes, 0 or 1. Pure.
 */
#ifndef CORE_EXTAUTH_H
#define CORE_EXTAUTH_H

#include "base/buf.h"

#define EXTAUTH_ANSWER 4 /* bytes of an answer with its length */

/*
 * Appends a frame; password absent: the operation has none. false, and nothing is appended: a ':' in a name would be read as
 * its end, or it is too long for a frame.
 */
bool extauth_request(struct buf *b, const char *operation, struct str user, struct str host, struct str password);
/* 1 and 0 are the program's yes and no, -1: more bytes are needed, -2: this is no answer; more than one is none either. */
int extauth_answer(struct str bytes);

#endif
