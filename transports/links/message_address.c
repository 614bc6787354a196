/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/message_address.h"

#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"

static int bad(const char *text, struct err *e)
{
	return err_set(
		e, ERR_INVALID, "'%.100s': HOST, HOST:PORT or HOST:PORT/DEVICE expected", text);
}

int message_address_read(const char *text, uint16_t port, const char *device,
	struct message_address *ret, struct err *e)
{
	struct message_address a = {.port = port};
	size_t n = strcspn(text, "/");
	const char *colon;
	unsigned long long v;

	if (n == 0 || n >= sizeof a.host || strlen(text + n) > sizeof a.device)
		return bad(text, e);
	snprintf(a.host, sizeof a.host, "%.*s", (int)n, text);
	snprintf(a.device, sizeof a.device, "%s", text[n] ? text + n + 1 : device);
	colon = strrchr(a.host, ':');
	/* [2001:db8::7] has no port. */
	if (colon && !strchr(colon, ']')) {
		if (!parse_size(colon + 1, &v) || v == 0 || v > UINT16_MAX)
			return bad(text, e);
		a.port = (uint16_t)v;
		a.host[colon - a.host] = '\0';
	}
	if (!a.host[0] || !a.device[0])
		return bad(text, e);
	*ret = a;
	return 0;
}
