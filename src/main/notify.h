/* systemd's notification socket (sd_notify(3)): one datagram, so no library is loaded for it. No-ops without systemd. */
#ifndef MAIN_NOTIFY_H
#define MAIN_NOTIFY_H

void notify_ready(void);
void notify_stopping(void);

#endif
