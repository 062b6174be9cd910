/* Unguessable random bytes from the system (getrandom, buffered per thread). Never fails. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *p, size_t n);
uint64_t rand_u64(void);
/* n characters of [0-9a-z] and a NUL; out has room for n + 1. About 5.17 bits each. */
void rand_token(char *out, size_t n);

#endif
