/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "transports/links/amqp.h"

#define PORT	 5672
#define PORT_TLS 5671

const char *const amqp_ends[] = {[AMQP_ACCEPTED] = "accepted",
	[AMQP_REJECTED] = "rejected",
	[AMQP_RELEASED] = "released",
	[AMQP_MODIFIED] = "modified",
	[AMQP_TOO_LARGE] = "too-large",
	[AMQP_DETACHED] = "detached",
	[AMQP_LOST] = "connection-lost",
	NULL};

static int wrong(const char *url, struct err *e)
{
	return err_set(e, ERR_INVALID,
		"'%.200s' is not a url of AMQP: amqps://HOST[:PORT] or amqp://HOST[:PORT] expected, without user, path and query",
		url);
}

/* Of HOST, HOST:PORT, [IPv6] and [IPv6]:PORT; NULL: none of these. */
static const char *after_host(const char *text, struct amqp_url *ret)
{
	const bool bracket = *text == '[';
	const char *host = text + bracket;
	const size_t n = strcspn(host, bracket ? "]" : ":");

	if (n == 0 || n >= sizeof ret->host || (bracket && host[n] != ']') ||
		strcspn(host, "/?#@ %") < n)
		return NULL;
	memcpy(ret->host, host, n);
	ret->host[n] = 0;
	return host + n + bracket;
}

int amqp_url_parse(const char *url, struct amqp_url *ret, struct err *e)
{
	struct amqp_url u = {.tls = !strncmp(url, "amqps://", 8)};
	unsigned long long port = u.tls ? PORT_TLS : PORT;
	const char *rest;

	if (!u.tls && strncmp(url, "amqp://", 7) != 0)
		return wrong(url, e);
	rest = after_host(url + (u.tls ? 8 : 7), &u);
	if (!rest || (*rest && *rest != ':') ||
		(*rest && (strspn(rest + 1, "0123456789") != strlen(rest + 1) ||
				  !parse_size(rest + 1, &port) || port == 0 || port > 65535)))
		return wrong(url, e);
	u.port = (uint16_t)port;
	*ret = u;
	return 0;
}
