/* SPDX-License-Identifier: Apache-2.0
 *
 * The stripper of control sequences: nothing of them is left, what is left was there, and doing it
 * twice changes nothing.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/terminal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	char *line = malloc(n + 1);
	char *again = malloc(n + 1);

	if (!line || !again)
		abort();
	memcpy(line, bytes, n);

	size_t k = terminal_plain(line, n);

	if (k > n || memchr(line, 0x1b, k) || memchr(line, '\b', k))
		abort();
	if (k > 0 && (line[k - 1] == ' ' || line[k - 1] == '\t' || line[k - 1] == '\r'))
		abort();
	for (size_t i = 0; i < k; i++)
		if (line[i] != ' ' && !memchr(bytes, line[i], n))
			abort();
	memcpy(again, line, k);
	if (terminal_plain(again, k) != k || memcmp(again, line, k))
		abort();
	free(line);
	free(again);
	return 0;
}
