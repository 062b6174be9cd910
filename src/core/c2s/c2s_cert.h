/* SASL EXTERNAL with client certificates (XEP-0178 §2, RFC 6120 §6.3.4; options tls_verify, cafile, c2s_cafile, ca_file). */
#ifndef CORE_C2S_CERT_H
#define CORE_C2S_CERT_H

#include "core/c2s/c2s_stream.h"

/* Reads the authorities that the configuration names, for as long as it lives. Blocks. ERR_CONFIG. */
int c2s_cert_load(struct config *c, struct error *err);
/* Did the client show a certificate that is good for somebody of the stream's host? */
bool c2s_cert_offered(struct c2s *c);
/*
 * Whose login it is, by the certificate and what the client asked for (authzid, may be empty): the prepared name of an account of
 * the stream's host, which may not exist. In the arena of the login.
 */
enum sasl_failure c2s_cert_user(struct c2s *c, struct str authzid, struct str *user_out);

#endif
