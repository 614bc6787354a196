/* SPDX-License-Identifier: Apache-2.0 */
#include "base/terminal.h"

#include <string.h>

#define ESC 0x1b
#define BEL 0x07

static bool within(const char *s, size_t n, size_t i, unsigned char low, unsigned char high)
{
	return i < n && (unsigned char)s[i] >= low && (unsigned char)s[i] <= high;
}

/* ESC [ at s[0]: up to its final byte, or to the byte that breaks it. */
static size_t csi_len(const char *s, size_t n)
{
	size_t i = 2;

	while (within(s, n, i, 0x20, 0x3f))
		i++;
	return within(s, n, i, 0x40, 0x7e) ? i + 1 : i;
}

/* ESC ] and its like at s[0]: with the terminator; without one the two bytes alone. */
static size_t string_len(const char *s, size_t n)
{
	for (size_t i = 2; i < n; i++) {
		if (s[i] == BEL)
			return i + 1;
		if (s[i] == ESC)
			return i + 1 < n && s[i + 1] == '\\' ? i + 2 : 2;
	}
	return 2;
}

/* ESC at s[0]. */
static size_t sequence_len(const char *s, size_t n)
{
	size_t i = 1;

	if (n > 1 && s[1] == '[')
		return csi_len(s, n);
	if (n > 1 && strchr("]PX^_", s[1]) && s[1])
		return string_len(s, n);
	while (within(s, n, i, 0x20, 0x2f))
		i++;
	return within(s, n, i, 0x30, 0x7e) ? i + 1 : i;
}

/* Whether the sequence of n bytes at s moves the cursor or erases: what follows is not joined to
 * what came before. */
static bool moves(const char *s, size_t n)
{
	if (n > 2 && s[1] == '[')
		return strchr("@ABCDEFGHIJKLMPSTXZ`abdefjkrsu", s[n - 1]);
	/* Save and restore, index, next line, reverse index, reset. */
	return n == 2 && strchr("78DEMc", s[1]);
}

bool terminal_is_cut(const char *s, size_t n)
{
	const char *esc = memrchr(s, ESC, n);
	size_t k = esc ? n - (size_t)(esc - s) : 0;
	size_t i = 2;

	if (k < 2)
		return k == 1;
	if (strchr("]PX^_", esc[1]) && esc[1])
		return !memchr(esc, BEL, k);
	if (esc[1] == '[') {
		while (within(esc, k, i, 0x20, 0x3f))
			i++;
		return i == k;
	}
	for (i = 1; within(esc, k, i, 0x20, 0x2f);)
		i++;
	return i == k;
}

size_t terminal_strip(char *s, size_t n)
{
	bool apart = false;
	size_t k = 0;

	for (size_t i = 0; i < n;) {
		if (s[i] == ESC) {
			size_t len = sequence_len(s + i, n - i);

			/* Two bytes or more are gone: there is room for the blank. */
			apart |= moves(s + i, len);
			i += len;
			continue;
		}
		if (apart && k > 0 && s[k - 1] != ' ' && s[i] != ' ')
			s[k++] = ' ';
		apart = false;
		if (s[i] == '\b') {
			k -= k > 0;
			i++;
		} else {
			s[k++] = s[i++];
		}
	}
	return k;
}

size_t terminal_plain(char *s, size_t n)
{
	size_t k = terminal_strip(s, n);

	while (k > 0 && (s[k - 1] == ' ' || s[k - 1] == '\t' || s[k - 1] == '\r'))
		k--;
	return k;
}
