/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/http_service.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/trace_context.h"
#include "base/util.h"

const char *const http_auth_names[] = {[HTTP_AUTH_BEARER] = "bearer",
	[HTTP_AUTH_BASIC] = "basic",
	[HTTP_AUTH_SIGV4] = "sigv4",
	[HTTP_AUTH_AZURE_DPS] = "azure-dps",
	NULL};

void http_service_trace(struct http_service *s, const struct trace_context *t, const char *run_id)
{
	char span[TRACE_SPAN_BYTES], text[TRACE_TEXT_BYTES];

	if (!t)
		return;
	str_replace(&s->traceparent, trace_text(t, trace_run_span(run_id, span), text));
	str_replace(&s->tracestate, t->state[0] ? t->state : NULL);
}

void http_service_done(struct http_service *s)
{
	if (s->token)
		secret_wipe(s->token, strlen(s->token));
	free(s->token);
	free(s->url);
	free(s->user);
	free(s->scope);
	free(s->ca);
	free(s->cert);
	free(s->key);
	free(s->traceparent);
	free(s->tracestate);
	*s = (struct http_service){0};
}
