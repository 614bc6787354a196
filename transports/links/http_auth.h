/* SPDX-License-Identifier: Apache-2.0
 *
 * How provd says to a service who it is, by the secret that provd.yaml names as its token.
 *
 *	bearer     RFC 6750: Authorization: Bearer TOKEN
 *	basic      RFC 7617: the user's name and the token as its password
 *	sigv4      AWS Signature Version 4 (docs.aws.amazon.com/IAM, "Create a signed AWS API request"):
 *	           the user is the access key id, the token its secret; libcurl signs
 *	azure-dps  a group enrolment with a symmetric key of the Azure Device Provisioning Service
 *	           (learn.microsoft.com/azure/iot-dps/iot-dps-https-sym-key-support): the token is the
 *	           key of the group, in base64. Each device has a key of its own that is made of it, and
 *	           signs for the registration that the path names
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "transports/links/http_service.h"

/* Whether what the service has is enough for its kind, without the token. -ERR_INVALID. */
int http_auth_check(const struct http_service *s, struct err *e);
/* The value of Authorization for a request of that path at that time (seconds since 1970), owned by the caller, to be
 * wiped; NULL: there is none, or libcurl makes it. -ERR_INVALID. */
int http_auth_value(
	const struct http_service *s, const char *path, int64_t now_s, char **ret, struct err *e);

/* HMAC-SHA-256 of text, by a key in base64: all that is done with the key of a group. It is the seam for
 * a process of its own that holds such keys. -ERR_INVALID for a key that is no base64. */
int http_auth_mac(const char *key, const char *text, uint8_t ret[32], struct err *e);
/* Of azure-dps: the key, in base64, of the registration that the path names (/registrations/ID/...). Owned
 * by the caller, to be wiped. -ERR_INVALID. */
int http_auth_device_key(const struct http_service *s, const char *path, char **ret, struct err *e);
/* "SharedAccessSignature sr=...&sig=...&se=...&skn=registration" by the key of a device in base64. */
int http_auth_sas(
	const char *key, const char *resource, int64_t expires_s, char **ret, struct err *e);
