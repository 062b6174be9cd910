/*
 * The protocol between cjabberdctl and the server on the local socket; the tool includes this file and nothing else of the
 * server. A request is CTL_MAGIC, the length of the rest (32 bits, little endian), and words, each ended by a NUL: the
 * program's name, then its arguments. The answer is frames: a kind, a length (32 bits), bytes; a tool passes over kinds
 * that it does not know. Requests may follow one another on a connection; each is begun when the one before is answered.
 */
#ifndef ADMIN_CTL_PROTO_H
#define ADMIN_CTL_PROTO_H

#define CTL_SOCKET "cjabberd.ctl" /* in the spool folder, mode 0600 */
#define CTL_PID_FILE "cjabberd.pid" /* there too, locked while the server lives: number of the process, next line the log file */
#define CTL_MAGIC "CJC1"
#define CTL_HEADER 8 /* magic and length */
#define CTL_MAX_REQUEST (1u << 20)
#define CTL_MAX_WORDS 1024
#define CTL_FRAME_HEADER 5
#define CTL_FRAME_OUTPUT 'o' /* bytes for standard output */
#define CTL_FRAME_ERROR 'e'  /* bytes for standard error: what legacy scripts must not find in the output */
#define CTL_FRAME_EXIT 'x'   /* one byte: exit code; the last frame */
#define CTL_EXIT_UNREACHED 3

#endif
