/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a manifest, and as what is in its envelope: a refusal with a sentence, or files whose names stay below the folder. What is taken
 * is written again as something that says the same.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/manifest.h"
#include "base/util.h"

static void check_name(const char *name)
{
	_cleanup_(freep) char *within = xasprintf("/%s/", name);

	if (name[0] == '/' || strstr(within, "/../") || strstr(within, "/./") ||
		strstr(within, "//"))
		abort();
}

static void check_again(struct manifest *m)
{
	_cleanup_(freep) char *text = NULL;
	struct manifest again;
	struct err e;

	/* A number that JSON of others would not keep is not written. */
	if (manifest_text(m, NULL, m->type, &text, &e) < 0)
		return;
	if (manifest_read(text, strlen(text), m->type, &again, &e) < 0 || again.files != m->files)
		abort();
	for (size_t i = 0; i < m->files; i++)
		if (strcmp(m->file[i].name, again.file[i].name) != 0 ||
			m->file[i].bytes != again.file[i].bytes ||
			strcmp(m->file[i].sha256, again.file[i].sha256) != 0)
			abort();
	manifest_done(&again);
}

static void any_text(const void *bytes, size_t n)
{
	struct manifest m;
	struct err e = {0};

	if (manifest_read(bytes, n, NULL, &m, &e) < 0) {
		if (!e.msg[0])
			abort();
		return;
	}
	for (size_t i = 0; i < m.files; i++)
		check_name(m.file[i].name);
	if (manifest_verify(&m, NULL, 0, &e) == 0)
		abort();
	check_again(&m);
	manifest_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *base64 = base64_of(bytes, n);
	_cleanup_(freep) char *envelope = xasprintf(
		"{\"payload\":\"%s\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[]}",
		base64);

	any_text(bytes, n);
	any_text(envelope, strlen(envelope));
	return 0;
}
