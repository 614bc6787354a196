/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/links/webhook_sign.h"

#include <string.h>

#include "base/digest.h"
#include "base/secret.h"
#include "base/strbuf.h"
#include "base/util.h"

#define PREFIX "whsec_"

/* The bytes, owned by the caller, who wipes them. */
static int secret_bytes(const char *secret, uint8_t **ret, size_t *ret_n, struct err *e)
{
	const size_t prefix = strlen(PREFIX);
	uint8_t *bytes = NULL;
	size_t n = 0;

	if (!strncmp(secret, PREFIX, prefix))
		bytes = base64_parse(secret + prefix, &n);
	if (bytes && n >= WEBHOOK_SECRET_MIN && n <= WEBHOOK_SECRET_MAX) {
		*ret = bytes;
		*ret_n = n;
		return 0;
	}
	secret_free(bytes);
	return err_set(e, ERR_INVALID,
		"the secret of a webhook is whsec_ and %d to %d bytes in base64: printf 'whsec_%%s' \"$(openssl rand -base64 32)\" makes one",
		WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX);
}

int webhook_secret_check(const char *secret, struct err *e)
{
	uint8_t *bytes = NULL;
	size_t n = 0;
	int r = secret_bytes(secret, &bytes, &n, e);

	if (r == 0)
		secret_free(bytes);
	return r;
}

static int add_signature(struct strbuf *out, const char *secret, const char *text, struct err *e)
{
	uint8_t mac[SHA256_BYTES];
	uint8_t *key = NULL;
	size_t n = 0;
	int r = secret_bytes(secret, &key, &n, e);

	if (r < 0)
		return r;
	hmac_sha256(key, n, text, strlen(text), mac);
	secret_free(key);

	_cleanup_(freep) char *mac64 = base64_of(mac, sizeof mac);

	sb_addf(out, "%sv1,%s", out->len ? " " : "", mac64);
	return 0;
}

int webhook_sign(const char *const *secrets, const char *id, int64_t timestamp, const char *body,
	char **ret, struct err *e)
{
	_cleanup_(freep) char *text = xasprintf("%s.%lld.%s", id, (long long)timestamp, body);
	struct strbuf out = {0};
	int r = 0;

	for (; *secrets && r == 0; secrets++)
		r = add_signature(&out, *secrets, text, e);
	if (r < 0) {
		sb_done(&out);
		return r;
	}
	*ret = sb_take(&out);
	return 0;
}
