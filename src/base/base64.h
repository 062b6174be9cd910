/* Base64 (RFC 4648 §4) and lower-case hex. Decoding is strict: padding required, no white space. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/arena.h"

struct str base64_encode(struct arena *a, struct str bytes);
/* false when malformed. */
bool base64_decode(struct arena *a, struct str text, struct str *out);
struct str hex_encode(struct arena *a, struct str bytes);

#endif
