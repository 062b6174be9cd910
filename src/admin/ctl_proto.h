/*
 * The protocol between cjabberdctl and the server on the local socket; the tool includes this file and nothing else of the
 * server. A request is CTL_MAGIC, the length of the rest (32 bits, little endian), and words, each ended by a NUL: the
 * program's name, then its arguments. The answer is frames: a kind, a length (32 bits), bytes.
 */
#ifndef ADMIN_CTL_PROTO_H
#define ADMIN_CTL_PROTO_H

#define CTL_SOCKET "cjabberd.ctl" /* in the spool folder, mode 0600 */
#define CTL_PID_FILE "cjabberd.pid" /* there too: number of the process, next line the log file */
#define CTL_MAGIC "CJC1"
#define CTL_MAX_REQUEST (1u << 20)
#define CTL_MAX_WORDS 1024
#define CTL_FRAME_OUTPUT 'o' /* bytes for standard output */
#define CTL_FRAME_EXIT 'x'   /* one byte: exit code; the last frame */
#define CTL_EXIT_UNREACHED 3

#endif
