/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of a request as a client sends it: inflated it keeps to its cap, and what is refused is
 * left as it came. And what its Accept header asks for.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "api/accept.h"
#include "api/httpd_body.h"

#define CAP 65536

static void decode(const char *coding, const uint8_t *bytes, size_t n)
{
	uint8_t *body = malloc(n + 1);
	const char *detail = NULL;
	size_t len = n;
	int status;

	if (!body)
		abort();
	memcpy(body, bytes, n);
	body[n] = 0;
	status = httpd_body_decode(coding, &body, &len, CAP, &detail);
	if (status == 0 ? body[len] != 0 : !detail || len != n || memcmp(body, bytes, n) != 0)
		abort();
	if (status == 0 && coding && len > CAP)
		abort();
	free(body);
}

/* A header asks for a type that it has in it, and for no other. */
static void check_accept(const uint8_t *bytes, size_t n)
{
	char *text = strndup((const char *)bytes, n);

	if (!text ||
		(accept_names(text, "text/event-stream") && !strcasestr(text, "text/event-stream")))
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	decode("gzip", bytes, n);
	decode(NULL, bytes, n);
	check_accept(bytes, n);
	return 0;
}
