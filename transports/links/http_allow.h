/* SPDX-License-Identifier: Apache-2.0
 *
 * Where provd may send what somebody asked for over the API (webhooks): a list of the installation's, of
 * names and networks. What a name resolves to is looked at when the connection is made, address by
 * address, so that another answer of the name server a moment later changes nothing.
 *
 *	HOST          that name; what it resolves to must be an address of the internet (IANA's registries of
 *	              special-purpose addresses), or in a network of the list
 *	*.DOMAIN      each name below it, the same
 *	ADDRESS/BITS  that network, by whatever name; ADDRESS alone: that one
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define HTTP_HOST_BYTES 256 /* RFC 1035, 2.3.4, with the end */

struct http_net {
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
	unsigned bits;	  /* of the 128 */
};

struct http_allow {
	char **name;
	size_t names;
	struct http_net *net;
	size_t nets;
};

/* One entry as written. -ERR_INVALID. */
int http_allow_add(struct http_allow *a, const char *text, struct err *e);
void http_allow_done(struct http_allow *a);
static inline bool http_allow_empty(const struct http_allow *a)
{
	return a->names + a->nets == 0;
}

/* The host of a url that http_url_check() takes, without [] and port. */
void http_url_host(const char *url, char ret[HTTP_HOST_BYTES]);
/* Whether a connection to that host may go to that address. */
bool http_allow_address(const struct http_allow *a, const char *host, const struct sockaddr *to);
/* Whether it ever may: by its name, as an address, or, where the list has networks, by what it resolves
 * to. */
bool http_allow_host(const struct http_allow *a, const char *host);
/* Whether it is this machine's own address alone. */
bool http_is_loopback(const struct sockaddr *to);
