/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/env.h"

#include <stdio.h>
#include <string.h>

int prompt_answer_clean(const char *answer, char ret[ANSWER_BYTES], struct err *e)
{
	size_t n = strlen(answer);

	while (n > 0 && strchr("\r\n\t", answer[n - 1]))
		n--;
	if (n >= ANSWER_BYTES)
		return err_set(e, ERR_INVALID, "an answer of %zu bytes, at most %d expected", n,
			ANSWER_BYTES - 1);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)answer[i];
		/* C1 in UTF-8: c2 80 to c2 9f. */
		bool c1 = c == 0xc2 && i + 1 < n && (unsigned char)answer[i + 1] < 0xa0;

		if ((c < 0x20 && c != ANSWER_GS) || c == 0x7f || c1)
			return err_set(e, ERR_INVALID,
				"the answer has a control character at position %zu: scan or type it again (is the scanner set to plain text?)",
				i + 1);
	}
	memcpy(ret, answer, n);
	ret[n] = '\0';
	return 0;
}

void port_for_programs(const char *node, const char *port, char ret[LINK_ADDRESS_BYTES])
{
	if (!strncmp(node, "usb:/", 5) && *port) {
		snprintf(ret, LINK_ADDRESS_BYTES, "usb:%s", port);
		return;
	}

	bool tty = !strncmp(node, "tty:/", 5);

	snprintf(ret, LINK_ADDRESS_BYTES, "%s", tty ? node + 4 : node);

	char *at = tty ? strrchr(ret, '@') : NULL;

	if (at && at[1] && strspn(at + 1, "0123456789") == strlen(at + 1))
		*at = 0;
}
