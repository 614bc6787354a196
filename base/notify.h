/* SPDX-License-Identifier: Apache-2.0
 *
 * The service manager: readiness, status text, watchdog, sockets handed over. Everything is a no-op
 * when systemd is not there. Main thread only.
 */
#pragma once

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
/* The line that `systemctl status` shows. */
void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void notify_watchdog(void);
/* How often the manager wants the watchdog fed at most, 0 if it does not. */
uint64_t notify_watchdog_us(void);
/* The first stream socket handed over by socket activation, or -1. Owned by the caller. */
int notify_listen_fd(void);
