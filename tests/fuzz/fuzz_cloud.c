/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer of a service: a line that is a JSON pointer, then the body. What a pointer finds is a part
 * of the document; a device that is found has the serial number and type that were asked for, once. What is
 * put where a pointer leads is found there; a text that is base64 is what its bytes make.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/util.h"
#include "daemon/actions/cloud_devices.h"
#include "daemon/actions/http_step.h"

static bool is_part(const json_t *whole, const json_t *part)
{
	const char *key;
	json_t *v;
	size_t i;

	if (whole == part)
		return true;
	json_array_foreach((json_t *)(uintptr_t)whole, i, v)
		if (is_part(v, part))
			return true;
	json_object_foreach((json_t *)(uintptr_t)whole, key, v)
		if (is_part(v, part))
			return true;
	return false;
}

static void check_find(const json_t *j, const char *body)
{
	struct cloud_device found = {0};

	if (cloud_find(j, "SN1", "T", &found, NULL) < 0 || !found.id[0])
		return;
	/* No escape in JSON makes these without one of them. */
	if (!strchr(body, '\\') && (!strstr(body, "\"SN1\"") || !strstr(body, "\"T\"")))
		abort();
	if (strlen(found.id) >= CLOUD_ID_BYTES || strpbrk(found.id, " \r\n") ||
		!strcmp(found.id, ".."))
		abort();
}

static void check_put(const char *pointer)
{
	json_t *o = json_object();
	json_t *v = json_integer(7);

	if (*pointer == '/' && http_json_put(o, pointer, json_incref(v)) == 0 &&
		http_json_at(o, pointer) != v)
		abort();
	json_decref(v);
	json_decref(o);
}

static void check_base64(const char *text)
{
	size_t n;
	_cleanup_(freep) uint8_t *raw = base64_parse(text, &n);
	_cleanup_(freep) char *again = raw ? base64_of(raw, n) : NULL;

	/* The last digit may have bits that are not part of a byte. */
	if (again && (strlen(again) != strlen(text) || strncmp(again, text, n / 3 * 4) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *text = strndup((const char *)bytes, n);
	char *body = strchr(text, '\n');
	const json_t *at;
	json_t *j = NULL;

	if (!body)
		return 0;
	*body++ = '\0';
	check_put(text);
	check_base64(text);
	if (http_json("", body, strlen(body), &j, NULL) < 0 || !j)
		return 0;
	at = http_json_at(j, text);
	if (at && !is_part(j, at))
		abort();
	free(http_json_text(at));
	check_find(j, body);
	/* As a path: what is taken has no way up and no second address. */
	if (http_path_check(text, NULL) == 0 &&
		(strstr(text, "/../") || strstr(text, "//") || strpbrk(text, "%?#\\ \r\n")))
		abort();
	json_decref(j);
	return 0;
}
