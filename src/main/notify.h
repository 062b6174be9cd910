/* systemd's notification socket (sd_notify(3)): one datagram, so no library is loaded for it. No-ops without systemd. */
#ifndef MAIN_NOTIFY_H
#define MAIN_NOTIFY_H

void notify_ready(void);
/* A reload, or a restart in the same process, has begun; notify_ready ends it. */
void notify_reloading(void);
void notify_stopping(void);

#endif
