/* SPDX-License-Identifier: Apache-2.0
 *
 * Text that leaves the house: wherever a known secret is in it, it is not in what goes out, and no other line comes or goes.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "cli/without_secrets.h"

#define SECRET "zq7-Planted-zq7"

static size_t lines_in(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct secret_set *s = secret_set_new();
	struct strbuf text = {0};
	struct err e;
	char *config, *out;

	config = xasprintf("%.*s", (int)n, (const char *)bytes);
	if (secret_set_add(s, SECRET, &e) < 0)
		abort();
	secrets_of_config(s, config);
	sb_add_n(&text, config, strlen(config) / 2);
	sb_add(&text, SECRET);
	sb_add(&text, config + strlen(config) / 2);
	out = without_secrets(s, text.s);
	if (strstr(out, SECRET))
		abort();
	/* A secret of the input may have line ends of its own. */
	if (lines_in(out) > lines_in(text.s))
		abort();
	free(out);
	free(config);
	sb_done(&text);
	secret_set_free(s);
	return 0;
}
