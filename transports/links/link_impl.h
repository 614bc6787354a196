/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of link, for link.c alone. Each opener gets the address without its scheme and leaves
 * `address` and the trace to link.c; messages carry no address, link.c puts it before them.
 */
#pragma once

struct addrinfo;

#include "base/util.h"
#include "transports/links/link.h"

int tty_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e);
int tcp_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e);

/* A connection to HOST:PORT, non-blocking, whose silent peer is noticed by the kernel; the caller closes it.
 * -ERR_DEVICE_GONE, -ERR_TIMEOUT. */
int tcp_connect(const char *rest, const struct iotime *it, int *ret_fd, struct err *e);

/* "HOST[:PORT][/DEVICE]": transports/links/vxi11.h (with a port the portmapper is not asked), hislip.h. */
int vxi11_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e);
int hislip_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e);

/* A node (/dev/usbtmc0), VVVV:PPPP[/SERIAL], or a port (1-1.4). -ERR_CONFLICT where several are meant. */
int usbtmc_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e);

int udp_link_open(const char *rest, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e);

/* The addresses of HOST:PORT or [IPv6]:PORT; type is SOCK_STREAM or SOCK_DGRAM. -ERR_INVALID,
 * -ERR_DEVICE_GONE for an unknown name. */
struct lookup;
int lookup_run(
	const char *rest, int type, const struct iotime *it, struct lookup **ret, struct err *e);
const struct addrinfo *lookup_found(const struct lookup *u);
struct lookup *lookup_unref(struct lookup *u); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct lookup, lookup_unref)

/* The read and write of a non-blocking descriptor, shared by both kinds. A hang-up, end of file or
 * the errno of a vanished device give -ERR_DEVICE_GONE. */
int fd_link_read(
	int fd, void *buf, size_t size, size_t *ret_n, const struct iotime *it, struct err *e);
int fd_link_write(int fd, const void *buf, size_t n, const struct iotime *it, struct err *e);
/* As fd_link_write, of a socket. */
int fd_link_send(int fd, const void *buf, size_t n, const struct iotime *it, struct err *e);
