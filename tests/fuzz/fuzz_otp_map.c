/* SPDX-License-Identifier: Apache-2.0
 *
 * A map of one-time memory, and a value of each field: what is read fits the bounds that the engine
 * counts on, and a value that is taken has no bit outside its field.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/actions/otp_rules.h"

static void check_value(const struct otp_field *f, const char *text)
{
	uint8_t p[OTP_BYTES] = {0};

	if (otp_value_parse(f, text, p, NULL) < 0)
		return;
	if (f->width % 8 && p[0] >> f->width % 8)
		abort();
	if (otp_compare(f, p, p) != OTP_EQUAL)
		abort();
}

static void check_field(const struct otp_map *m, const struct otp_field *f)
{
	const struct otp_field *found;

	if (f->width < 1 || f->width > OTP_WIDTH_MAX || !f->name || strlen(f->name) > OTP_NAME_MAX)
		abort();
	if (otp_map_field(m, f->name, &found, NULL) < 0 || found != f)
		abort();
	check_value(f, "0x5");
	check_value(f, "ff");
	check_value(f, f->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct otp_map *m = NULL;

	if (otp_map_parse("map", bytes, n, &m, NULL) < 0)
		return 0;
	if (!m->fields)
		abort();
	for (size_t i = 0; i < m->fields; i++)
		check_field(m, &m->field[i]);
	otp_map_free(m);
	return 0;
}
