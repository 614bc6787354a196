/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/http_service.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

const char *const http_auth_names[] = {[HTTP_AUTH_BEARER] = "bearer",
	[HTTP_AUTH_BASIC] = "basic",
	[HTTP_AUTH_SIGV4] = "sigv4",
	[HTTP_AUTH_AZURE_DPS] = "azure-dps",
	NULL};

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
	*s = (struct http_service){0};
}
