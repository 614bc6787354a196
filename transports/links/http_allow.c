/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/http_allow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "base/strbuf.h"
#include "base/util.h"

#define V4_BITS	  96 /* of ::ffff:0:0/96 */
#define NAME_CHAR "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

/* --- addresses --- */

/* false: another family. */
static bool bytes_of(const struct sockaddr *to, uint8_t ret[16])
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (to->sa_family == AF_INET) {
		memcpy(&v4, to, sizeof v4);
		memcpy(ret, v4_mapped, sizeof v4_mapped);
		memcpy(ret + 12, &v4.sin_addr, 4);
		return true;
	}
	if (to->sa_family != AF_INET6)
		return false;
	memcpy(&v6, to, sizeof v6);
	memcpy(ret, &v6.sin6_addr, 16);
	return true;
}

static bool read_address(const char *text, uint8_t ret[16])
{
	if (inet_pton(AF_INET6, text, ret) == 1)
		return true;
	memcpy(ret, v4_mapped, sizeof v4_mapped);
	return inet_pton(AF_INET, text, ret + 12) == 1;
}

static bool is_v4(const uint8_t addr[16])
{
	return !memcmp(addr, v4_mapped, sizeof v4_mapped);
}

static bool in_net(const uint8_t addr[16], const struct http_net *n)
{
	const unsigned whole = n->bits / 8;
	const unsigned rest = n->bits % 8;

	if (memcmp(addr, n->addr, whole) != 0)
		return false;
	return rest == 0 || !((addr[whole] ^ n->addr[whole]) >> (8 - rest));
}

/* Addresses that are not of the internet: IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890),
 * multicast, and the ranges of IPv6 that hold an address of IPv4 (RFC 6052, 3056, 4380). */
static const char *const special[] = {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8",
	"169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"};
/* Of IPv6 nothing else is given out (RFC 4291, 2.4; IANA). */
#define GLOBAL_V6 "2000::/3"

static bool read_net(const char *text, struct http_net *ret)
{
	const size_t n = strcspn(text, "/");
	char address[INET6_ADDRSTRLEN];
	unsigned long long bits = 128;

	if (n >= sizeof address)
		return false;
	memcpy(address, text, n);
	address[n] = 0;
	if (!read_address(address, ret->addr))
		return false;
	if (text[n] && (strspn(text + n + 1, "0123456789") != strlen(text + n + 1) ||
			       strlen(text + n) > 4 || !parse_size(text + n + 1, &bits)))
		return false;
	if (text[n] && strchr(address, '.') && is_v4(ret->addr))
		bits += V4_BITS;
	ret->bits = (unsigned)bits;
	return bits <= 128;
}

static bool is_in(const uint8_t addr[16], const char *net)
{
	struct http_net n;

	return read_net(net, &n) && in_net(addr, &n);
}

static bool is_public(const uint8_t addr[16])
{
	if (!is_v4(addr) && !is_in(addr, GLOBAL_V6))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(special); i++)
		if (is_in(addr, special[i]))
			return false;
	return true;
}

bool http_is_loopback(const struct sockaddr *to)
{
	uint8_t addr[16];

	return bytes_of(to, addr) && (is_in(addr, "127.0.0.0/8") || is_in(addr, "::1"));
}

/* --- the list --- */

/* One whose last part is a number is an address, however it is written (WHATWG URL, 3.5). */
static bool ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.');
	const char *last = dot ? dot + 1 : name;

	if (*last == '0' && (last[1] | 0x20) == 'x')
		return strspn(last + 2, "0123456789abcdefABCDEF") == strlen(last + 2);
	return strspn(last, "0123456789") == strlen(last);
}

static bool is_name(const char *text)
{
	const char *name = !strncmp(text, "*.", 2) ? text + 2 : text;
	const size_t n = strlen(name);

	return n > 0 && n < HTTP_HOST_BYTES && strspn(name, NAME_CHAR) == n && *name != '.' &&
	       !ends_in_number(name);
}

int http_allow_add(struct http_allow *a, const char *text, struct err *e)
{
	struct http_net net = {0};

	if (read_net(text, &net)) {
		a->net = reallocarray(a->net, a->nets + 1, sizeof *a->net);
		if (!a->net)
			abort();
		a->net[a->nets++] = net;
		return 0;
	}
	if (!is_name(text))
		return err_set(e, ERR_INVALID,
			"'%.80s' names no receiver: HOST, *.DOMAIN, or a network such as 10.1.0.0/16 expected",
			text);
	a->name = reallocarray(a->name, a->names + 1, sizeof *a->name);
	if (!a->name)
		abort();
	a->name[a->names++] = xstrdup(text);
	return 0;
}

void http_allow_done(struct http_allow *a)
{
	for (size_t i = 0; i < a->names; i++)
		free(a->name[i]);
	free(a->name);
	free(a->net);
	*a = (struct http_allow){0};
}

void http_url_host(const char *url, char ret[HTTP_HOST_BYTES])
{
	const char *host = strstr(url, "://");
	size_t n;

	host = host ? host + 3 : url;
	n = *host == '[' ? strcspn(++host, "]") : strcspn(host, ":/");
	snprintf(ret, HTTP_HOST_BYTES, "%.*s", (int)MIN(n, (size_t)HTTP_HOST_BYTES - 1), host);
}

static bool has_name(const struct http_allow *a, const char *host)
{
	const size_t n = strlen(host);

	for (size_t i = 0; i < a->names; i++) {
		const char *name = a->name[i];
		size_t below = strlen(name);

		if (!strcasecmp(name, host))
			return true;
		if (*name == '*' && n > --below && !strcasecmp(host + n - below, name + 1))
			return true;
	}
	return false;
}

static bool has_address(const struct http_allow *a, const uint8_t addr[16])
{
	for (size_t i = 0; i < a->nets; i++)
		if (in_net(addr, &a->net[i]))
			return true;
	return false;
}

bool http_allow_address(const struct http_allow *a, const char *host, const struct sockaddr *to)
{
	uint8_t addr[16];

	if (!bytes_of(to, addr))
		return false;
	return has_address(a, addr) || (has_name(a, host) && is_public(addr));
}

bool http_allow_host(const struct http_allow *a, const char *host)
{
	uint8_t addr[16];

	if (read_address(host, addr))
		return has_address(a, addr);
	return has_name(a, host) || (a->nets > 0 && is_name(host));
}
