/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of records. Any bytes as the file: a refusal with a sentence, or findings that are sentences. And any
 * bytes as a checkpoint, or as what provd-keyd is asked to sign: what is taken is written again as the same
 * bytes. Changes of a whole export are never taken for the whole one.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/jcs.h"
#include "base/util.h"
#include "db/verify.h"

struct seen {
	int64_t n;
};

static void found(void *data, const char *sentence)
{
	struct seen *s = data;

	if (!*sentence)
		abort();
	s->n++;
}

static void any_file(const uint8_t *bytes, size_t n)
{
	struct seen s = {0};
	const struct verify_opts o = {.found = found, .data = &s};
	struct verify_result result;
	struct err e = {0};

	if (verify_file(bytes, n, &o, &result, &e) < 0 && !e.msg[0])
		abort();
	if (result.findings != s.n || result.covered != 0 || result.trusted)
		abort();
}

static void any_checkpoint(const uint8_t *bytes, size_t n)
{
	char text[CHECKPOINT_TEXT_BYTES];
	struct checkpoint c;
	struct err e = {0};

	if (checkpoint_read((const char *)bytes, n, &c, &e) == 0) {
		if (checkpoint_text(&c, text) != n || memcmp(text, bytes, n) != 0)
			abort();
	} else if (!e.msg[0]) {
		abort();
	}
}

static void any_note(const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *text = xcalloc(1, n + 1);
	struct checkpoint c;
	bool is_signed;
	size_t size = 0;
	struct err e = {0};

	memcpy(text, bytes, n);
	if (checkpoint_note_read(text, &c, &size, &is_signed, &e) < 0) {
		if (!e.msg[0])
			abort();
		return;
	}
	if (size == 0 || size >= strlen(text) || checkpoint_read(text, size, &c, &e) < 0)
		abort();
}

/* What is canonical is so once more. */
static void any_json(const uint8_t *bytes, size_t n)
{
	json_t *j = json_loadb((const char *)bytes, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) char *again = NULL;
	struct err e = {0};

	if (j && jcs(j, &text, &e) == 0) {
		json_t *k = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

		/* An integer that is written by a real may be beyond what an integer holds. */
		if (k && jcs(k, &again, &e) == 0 && strcmp(text, again) != 0)
			abort();
		json_decref(k);
	}
	json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	any_file(bytes, n);
	any_checkpoint(bytes, n);
	any_note(bytes, n);
	any_json(bytes, n);
	return 0;
}
