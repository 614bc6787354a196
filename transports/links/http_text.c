/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/http_text.h"

#include <string.h>
#include <strings.h>

#include "base/strbuf.h"
#include "base/util.h"

#define UNRESERVED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

/* --- what may be asked for --- */

int http_path_check(const char *path, struct err *e)
{
	if (*path != '/' || strlen(path) > HTTP_PATH_MAX)
		return err_set(e, ERR_INVALID,
			"the path '%.80s' must begin with '/' and have at most %d characters", path,
			HTTP_PATH_MAX);
	for (const char *p = path; *p == '/';) {
		const char *segment = p + 1;
		size_t n = strspn(segment, UNRESERVED "!$&'()*+,;=:@");

		if (segment[n] && segment[n] != '/')
			return err_set(e, ERR_INVALID,
				"the path '%.80s' has a character at position %zu that no path of a service has: letters, digits and -._~!$&'()*+,;=:@ expected (a query goes into 'query')",
				path, (size_t)(segment + n - path) + 1);
		if (n == 0 || (n == 1 && *segment == '.') || (n == 2 && !strncmp(segment, "..", 2)))
			return err_set(e, ERR_INVALID,
				"the path '%.80s' has an empty, '.' or '..' part: it must stay below the address of the service",
				path);
		p = segment + n;
	}
	return 0;
}

int http_header_check(const char *name, const char *value, struct err *e)
{
	static const char *const own[] = {"host", "authorization", "content-length", "cookie",
		"transfer-encoding", "connection", "expect", "upgrade", "te", "trailer",
		"idempotency-key", "content-type", "accept"};

	if (!*name || strspn(name, UNRESERVED "!#$%&'*+^`|") != strlen(name))
		return err_set(e, ERR_INVALID, "'%.80s' cannot name a header", name);
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (!strcasecmp(name, own[i]))
			return err_set(e, ERR_INVALID,
				"the header '%s' is not for a recipe: provd makes it", name);
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(e, ERR_INVALID,
				"the header '%s' has a control character at position %zu", name,
				(size_t)(p - value) + 1);
	return 0;
}

char *http_escape(const char *text)
{
	struct strbuf b = {0};

	for (const char *p = text; *p; p++) {
		if (strchr(UNRESERVED, *p))
			sb_add_n(&b, p, 1);
		else
			sb_addf(&b, "%%%02X", (unsigned char)*p);
	}
	return sb_take(&b);
}

bool http_url_clear(const char *url)
{
	return !strncasecmp(url, "http://", 7);
}

int http_url_check(const char *url, struct err *e)
{
	const char *host = http_url_clear(url)		      ? url + 7
			   : !strncasecmp(url, "https://", 8) ? url + 8
							      : NULL;
	const char *path = host ? strchr(host, '/') : NULL;
	size_t n = path ? (size_t)(path - host) : host ? strlen(host) : 0;

	if (n == 0 || strspn(host, UNRESERVED ":[]") < n || *host == ':')
		return err_set(e, ERR_INVALID,
			"'%.120s' is not an address of a service: https://HOST or https://HOST:PORT/PATH expected, without a user, a query or a '#'",
			url);
	return path ? http_path_check(path, e) : 0;
}
