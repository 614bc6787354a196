/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of link, for link.c alone. Each opener gets the address without its scheme and leaves
 * `address` and the trace to link.c; messages carry no address, link.c puts it before them.
 */
#pragma once

#include "transports/links/link.h"

int tty_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e);
int tcp_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e);

/* The read and write of a non-blocking descriptor, shared by both kinds. A hang-up, end of file or
 * the errno of a vanished device give -ERR_DEVICE_GONE. */
int fd_link_read(
	int fd, void *buf, size_t size, size_t *ret_n, const struct iotime *it, struct err *e);
int fd_link_write(int fd, const void *buf, size_t n, const struct iotime *it, struct err *e);
