/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/http_auth.h"

#include <string.h>

#include "base/digest.h"
#include "base/secret.h"
#include "base/util.h"
#include "transports/links/http_text.h"

#define SAS_LIFE_S	 3600
#define REGISTRATIONS	 "/registrations/"
#define REGISTRATION_MAX 128 /* iot-dps-https-sym-key-support: "up to 128 characters" */

static bool is_scope(const char *s)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t n = s ? strspn(s, name) : 0;

	return n > 0 && s[n] == '/' && s[n + 1] && !s[n + 1 + strspn(s + n + 1, name)];
}

/* What follows the host: "/0ne00111111". */
static const char *path_of(const char *url)
{
	const char *path = strchr(strstr(url, "://") + 3, '/');

	return path ? path : "";
}

int http_auth_check(const struct http_service *s, struct err *e)
{
	bool named = s->auth == HTTP_AUTH_BASIC || s->auth == HTTP_AUTH_SIGV4;

	if (named != !!s->user || (s->user && (!*s->user || strchr(s->user, ':'))))
		return err_set(e, ERR_INVALID,
			"'user' is for the auth kinds basic and sigv4, which need it, without a ':'");
	if (s->auth != HTTP_AUTH_SIGV4 ? s->scope != NULL : !is_scope(s->scope))
		return err_set(e, ERR_INVALID,
			"'scope' is for the auth kind sigv4, which needs it: REGION/SERVICE such as eu-central-1/iot");
	if (s->auth == HTTP_AUTH_AZURE_DPS && strlen(path_of(s->url)) < 2)
		return err_set(e, ERR_INVALID,
			"the auth kind azure-dps needs the id scope in 'url', such as https://global.azure-devices-provisioning.net/0ne00111111");
	return 0;
}

static void basic(const struct http_service *s, char **ret)
{
	char *both = xasprintf("%s:%s", s->user, s->token);
	char *coded = base64_of(both, strlen(both));

	*ret = xasprintf("Basic %s", coded);
	secret_wipe(both, strlen(both));
	secret_wipe(coded, strlen(coded));
	free(both);
	free(coded);
}

int http_auth_mac(const char *key, const char *text, uint8_t ret[32], struct err *e)
{
	size_t n = 0;
	uint8_t *raw = base64_parse(key, &n);

	if (!raw || n == 0) {
		free(raw);
		return err_set(e, ERR_INVALID,
			"the token of the service is not a key in base64, as the portal shows it");
	}
	hmac_sha256(raw, n, text, strlen(text), ret);
	secret_wipe(raw, n);
	free(raw);
	return 0;
}

int http_auth_sas(
	const char *key, const char *resource, int64_t expires_s, char **ret, struct err *e)
{
	_cleanup_(freep) char *sr = http_escape(resource);
	_cleanup_(freep) char *text = xasprintf("%s\n%lld", sr, (long long)expires_s);
	_cleanup_(freep) char *coded = NULL, *sig = NULL;
	uint8_t mac[SHA256_BYTES];
	int r = http_auth_mac(key, text, mac, e);

	if (r < 0)
		return r;
	coded = base64_of(mac, sizeof mac);
	sig = http_escape(coded);
	*ret = xasprintf("SharedAccessSignature sr=%s&sig=%s&se=%lld&skn=registration", sr, sig,
		(long long)expires_s);
	return 0;
}

/* The id of the registration that a path names, owned by the caller; NULL with an error. */
static char *registration_of(const char *path, struct err *e)
{
	size_t at = strlen(REGISTRATIONS);
	size_t n = strncmp(path, REGISTRATIONS, at) ? 0 : strcspn(path + at, "/");

	if (n > 0 && n <= REGISTRATION_MAX)
		return strndup(path + at, n);
	err_set(e, ERR_INVALID,
		"the path '%.80s' names no registration: /registrations/ID/... expected, with an id of 1 to %d characters (auth azure-dps)",
		path, REGISTRATION_MAX);
	return NULL;
}

int http_auth_device_key(const struct http_service *s, const char *path, char **ret, struct err *e)
{
	_cleanup_(freep) char *id = registration_of(path, e);
	uint8_t mac[SHA256_BYTES];
	int r = id ? http_auth_mac(s->token, id, mac, e) : -ERR_INVALID;

	if (r < 0)
		return r;
	*ret = base64_of(mac, sizeof mac);
	secret_wipe(mac, sizeof mac);
	return 0;
}

static int azure_dps(
	const struct http_service *s, const char *path, int64_t now_s, char **ret, struct err *e)
{
	_cleanup_(freep) char *id = registration_of(path, e);
	_cleanup_(freep) char *resource = NULL;
	char *key;
	int r = id ? http_auth_device_key(s, path, &key, e) : -ERR_INVALID;

	if (r < 0)
		return r;
	resource = xasprintf("%s" REGISTRATIONS "%s", path_of(s->url) + 1, id);
	r = http_auth_sas(key, resource, now_s + SAS_LIFE_S, ret, e);
	secret_wipe(key, strlen(key));
	free(key);
	return r;
}

int http_auth_value(
	const struct http_service *s, const char *path, int64_t now_s, char **ret, struct err *e)
{
	*ret = NULL;
	if (!s->token)
		return 0;
	switch (s->auth) {
	case HTTP_AUTH_BEARER:
		*ret = xasprintf("Bearer %s", s->token);
		break;
	case HTTP_AUTH_BASIC:
		basic(s, ret);
		break;
	case HTTP_AUTH_SIGV4: /* set_rules() of http.c */
		break;
	case HTTP_AUTH_AZURE_DPS:
		return azure_dps(s, path, now_s, ret, e);
	}
	return 0;
}
