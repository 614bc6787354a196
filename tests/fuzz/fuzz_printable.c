/* SPDX-License-Identifier: Apache-2.0
 *
 * Other people's text on the way to a terminal: whatever comes, what goes out is UTF-8 (by the C
 * library's reader, not by ours) without a control or a character of direction, and it does not
 * matter how the text was cut into writes.
 */
#include "tests/fuzz/fuzz.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/util.h"
#include "cli/printable.h"

static void check(const char *s)
{
	mbstate_t state = {0};
	wchar_t c;

	while (*s) {
		size_t n = mbrtowc(&c, s, strlen(s), &state);

		if (n == (size_t)-1 || n == (size_t)-2)
			abort();
		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
			(c >= 0x2066 && c <= 0x2069) || c == 0xfeff)
			abort();
		s += n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct strbuf whole = {0};
	struct strbuf parts = {0};
	const char *s = (const char *)bytes;
	size_t cut = n ? bytes[0] % n : 0;
	size_t used;

	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		abort();
	if (printable_add(&whole, s, n, "", false) != n)
		abort();
	used = printable_add(&parts, s, cut, "", true);
	printable_add(&parts, s + used, n - used, "", false);
	if (used > cut || cut - used > 3 || whole.len != parts.len ||
		(whole.len && memcmp(whole.s, parts.s, whole.len) != 0))
		abort();
	check(whole.s ? whole.s : "");
	sb_done(&whole);
	sb_done(&parts);
	return 0;
}
