/* SPDX-License-Identifier: Apache-2.0
 *
 * What a file is, by its content: a name alone does not allow a file to be flashed.
 */
#include <ctype.h>

#include "transports/images/image_impl.h"

#define TEXT_LOOK_BYTES 4096u

/* How many of the characters at s are hexadecimal digits. */
static size_t hex_run(const uint8_t *s, size_t n)
{
	size_t i = 0;

	while (i < n && isxdigit(s[i]))
		i++;
	return i;
}

/* The shortest record of each has length, address, type or checksum: 10 digits in Intel HEX
 * (":00000001FF"), 8 in S-records ("S9030000FC"). */
static bool is_ihex(const uint8_t *s, size_t n)
{
	return n > 10 && s[0] == ':' && hex_run(s + 1, n - 1) >= 10;
}

static bool is_srec(const uint8_t *s, size_t n)
{
	return n > 9 && (s[0] | 0x20) == 's' && isdigit(s[1]) && hex_run(s + 2, n - 2) >= 8;
}

/* "@F000", and on the next line bytes as pairs of digits. A Verilog memory file begins alike, and
 * the reader says so where the end mark is missing. */
static bool is_titxt(const uint8_t *s, size_t n)
{
	size_t at = 1 + hex_run(s + 1, n - 1);

	if (s[0] != '@' || at < 2 || at > 9)
		return false;
	while (at < n && isspace(s[at]))
		at++;
	return at + 1 < n && hex_run(s + at, 3) == 2;
}

static enum image_format record_at(const uint8_t *s, size_t n)
{
	return is_ihex(s, n)	? IMAGE_IHEX
	       : is_srec(s, n)	? IMAGE_SREC
	       : is_titxt(s, n) ? IMAGE_TITXT
				: IMAGE_BIN;
}

/* The first record at the beginning of a line, as long as everything is text. */
static enum image_format first_record(const uint8_t *s, size_t n)
{
	bool begins = true;

	n = MIN(n, TEXT_LOOK_BYTES);
	for (size_t i = 0; i < n; i++) {
		enum image_format f = begins ? record_at(s + i, n - i) : IMAGE_BIN;

		if (f != IMAGE_BIN)
			return f;
		if (!isprint(s[i]) && !isspace(s[i]) && s[i] < 0x80)
			return IMAGE_BIN;
		begins = s[i] == '\n' || s[i] == '\r' || (begins && isspace(s[i]));
	}
	return IMAGE_BIN;
}

/* The same in UTF-16, whatever its byte order: the reader refuses it by name. */
static enum image_format first_wide_record(const uint8_t *s, size_t n)
{
	uint8_t narrow[64];
	size_t k = 0;
	size_t from = s[0] == 0xff ? 2 : 3;

	for (size_t i = from; i < n && k < sizeof narrow; i += 2)
		narrow[k++] = s[i];
	return first_record(narrow, k);
}

static enum image_format text_format(const uint8_t *s, size_t n)
{
	if (n >= 2 && (!memcmp(s, "\xff\xfe", 2) || !memcmp(s, "\xfe\xff", 2)))
		return first_wide_record(s, n);
	if (n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3))
		return first_record(s + 3, n - 3);
	return first_record(s, n);
}

static const struct {
	const char *magic;
	size_t len;
	enum image_format format;
} magics[] = {
	{"\x7f"
	 "ELF",
		4, IMAGE_ELF},
	{"UF2\n", 4, IMAGE_UF2},
	{"DfuSe", 5, IMAGE_DFU},
	{"\x3a\xff\x26\xed", 4, IMAGE_SPARSE},
	{"ANDROID!", 8, IMAGE_BOOTIMG},
	{"VNDRBOOT", 8, IMAGE_BOOTIMG},
	{"PK\x03\x04", 4, IMAGE_ZIP},
};

enum image_format image_detect(const void *bytes, size_t n)
{
	const uint8_t *s = bytes;

	if (image_has_dfu_suffix(s, n))
		return IMAGE_DFU;
	for (size_t i = 0; i < ARRAY_LEN(magics); i++)
		if (n >= magics[i].len && !memcmp(s, magics[i].magic, magics[i].len))
			return magics[i].format;
	return text_format(s, n);
}
