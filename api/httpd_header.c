/* SPDX-License-Identifier: Apache-2.0 */
#include "api/httpd_header.h"

#include <microhttpd.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

/* Those on which two readers of one request would not agree where it ends or which host it is for
 * (RFC 9112, 6.3 and 11.2): each may come once. */
static const char *const single_headers[] = {"Content-Length", "Transfer-Encoding", "Host",
	"Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key", "If-Match"};

struct header_look {
	unsigned count[ARRAY_LEN(single_headers)];
	char detail[160]; /* of the first fault; "" none */
};

/* RFC 9110, 5.6.2 */
static bool is_token(const char *s)
{
	static const char more[] = "!#$%&'*+-.^_`|~";

	if (!*s)
		return false;
	for (; *s; s++)
		if (!((*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') ||
			    (*s >= 'a' && *s <= 'z') || strchr(more, *s)))
			return false;
	return true;
}

static enum MHD_Result on_header(
	void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header_look *l = cls;

	if (!name || !is_token(name)) {
		snprintf(l->detail, sizeof l->detail,
			"the name of a header is made of letters, digits and signs, without a space: '%.60s'",
			name ? name : "");
		return MHD_NO;
	}
	for (size_t i = 0; i < ARRAY_LEN(single_headers); i++) {
		if (strcasecmp(name, single_headers[i]) == 0 && ++l->count[i] > 1) {
			snprintf(l->detail, sizeof l->detail, "the header %s came twice",
				single_headers[i]);
			return MHD_NO;
		}
	}
	return MHD_YES;
}

int header_check(
	const struct request *rq, const char *version, bool uri_has_nul, char *ret, size_t size)
{
	struct header_look look = {0};
	const char *coding = request_header(rq, "Transfer-Encoding");
	bool since_1_1 = strcmp(version, "HTTP/1.1") == 0;

	MHD_get_connection_values(rq->connection, MHD_HEADER_KIND, on_header, &look);
	snprintf(ret, size, "%s", look.detail);
	if (*ret)
		return 400;
	if (coding && request_header(rq, "Content-Length"))
		snprintf(ret, size, "Content-Length and Transfer-Encoding exclude each other");
	else if (coding && !since_1_1)
		snprintf(ret, size, "Transfer-Encoding is of HTTP/1.1");
	else if (since_1_1 && !request_header(rq, "Host"))
		snprintf(ret, size, "a request of HTTP/1.1 needs the header Host");
	else if (uri_has_nul)
		snprintf(ret, size, "the path or the query holds %%00");
	if (*ret)
		return 400;
	if (coding && strcasecmp(coding, "chunked") != 0) {
		snprintf(ret, size, "the only Transfer-Encoding is chunked");
		return 501;
	}
	return 0;
}
