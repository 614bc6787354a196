/* SPDX-License-Identifier: Apache-2.0
 *
 * A part over any base: it is refused with a sentence, or the bytes are there, the rest is as it was but for the sums of an
 * ESP image, and what was whole still is. The first byte says where the part goes; the next 16 are a value of each type.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "transports/images/compose.h"
#include "transports/images/esp_image.h"
#include "transports/images/field.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void try_value(const uint8_t *p, const char *type)
{
	static uint8_t bytes[FIELD_MAX_BYTES];
	char text[17] = "";
	struct field f = {.name = "v", .type = type, .value = text, .scale = p[0] & 1 ? 10 : 0};
	struct err e = {0};
	size_t n = 0;
	int r;

	memcpy(text, p, 16);
	r = field_bytes(&f, bytes, &n, &e);
	must(r == 0 ? n > 0 && n <= 16 : r == -(int)e.code && e.msg[0]);
}

static void check_result(struct compose *c, const uint8_t *base, size_t n, size_t at)
{
	struct blob *b = NULL;
	struct esp_image i;
	struct err e = {0};

	must(compose_result(c, "x", &b, &e) == 0 && b->size == n);
	must(!memcmp(b->data + at, "SN", 2));
	if (compose_esp_seals(c) == 0)
		must(!memcmp(b->data, base, at) &&
			!memcmp(b->data + at + 2, base + at + 2, n - at - 2));
	else if (esp_image_check("x", base, n, &i, NULL) == 0 && at < i.bytes)
		must(esp_image_check("x", b->data, n, &i, NULL) == 0);
	blob_unref(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const struct image_opts o = {.address = 0, .format = IMAGE_BIN};
	struct image *i = NULL;
	struct compose *c;
	struct err e = {0};
	size_t at;
	int r;

	if (n < 20)
		return 0;
	for (const char *const *t = field_types; *t; t++)
		try_value(bytes + 1, *t);
	at = (size_t)bytes[0] * (n - 17 - 2) / 255;
	bytes += 17;
	n -= 17;
	if (image_parse("b", bytes, n, &o, &i, NULL) < 0 || i->placed) {
		image_unref(i);
		return 0;
	}
	c = compose_new();
	r = compose_base(c, i, &e);
	if (r == 0)
		r = compose_put(c, "sn", at, (const uint8_t *)"SN", 2, false, &e);
	if (r == 0)
		r = compose_end(c, &e);
	must(r == 0 || (r == -(int)e.code && e.msg[0]));
	if (r == 0)
		check_result(c, i->segments[0].data, i->bytes, at);
	compose_free(c);
	image_unref(i);
	return 0;
}
