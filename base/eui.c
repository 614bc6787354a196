/* SPDX-License-Identifier: Apache-2.0 */
#include "base/eui.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

bool eui_form_from_str(const char *s, enum eui_form *ret)
{
	static const char *const names[] = {"colon", "dash", "bare"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i], s)) {
			*ret = (enum eui_form)i;
			return true;
		}
	return false;
}

static unsigned hex_digit(char c)
{
	return isdigit((unsigned char)c) ? (unsigned)(c - '0')
					 : (unsigned)(toupper((unsigned char)c) - 'A' + 10);
}

/* Octets of two digits with the same separator between all of them, or none at all. Gives the
 * number of digits, 0 for anything else. */
static int take_hex(const char *text, uint64_t *ret)
{
	char separator = strlen(text) > 2 && strchr(":-", text[2]) ? text[2] : '\0';
	uint64_t v = 0;
	int digits = 0;

	for (const char *p = text; *p; p++) {
		if (separator && *p == separator && digits > 0 && digits % 2 == 0 &&
			p[-1] != separator)
			continue;
		if (!isxdigit((unsigned char)*p) || digits == 16 ||
			(separator && digits > 0 && digits % 2 == 0 && p[-1] != separator))
			return 0;
		v = v << 4 | hex_digit(*p);
		digits++;
	}
	*ret = v;
	return *text && text[strlen(text) - 1] != separator ? digits : 0;
}

bool eui_parse(const char *text, struct eui *ret)
{
	uint64_t v;
	int digits = take_hex(text, &v);

	if (digits != 12 && digits != 16)
		return false;
	*ret = (struct eui){v, digits * 4};
	return true;
}

void eui_text(const struct eui *a, enum eui_form form, char ret[EUI_TEXT_SIZE])
{
	static const char *const separator[] = {":", "-", ""};
	size_t n = 0;

	for (int shift = a->width - 8; shift >= 0; shift -= 8)
		n += (size_t)snprintf(ret + n, EUI_TEXT_SIZE - n, "%02X%s",
			(unsigned)(a->bits >> shift & 0xff), shift ? separator[form] : "");
}

static unsigned first_octet(const struct eui *a)
{
	return (unsigned)(a->bits >> (a->width - 8) & 0xff);
}

bool eui_is_multicast(const struct eui *a)
{
	return first_octet(a) & 1;
}

bool eui_is_local(const struct eui *a)
{
	return first_octet(a) & 2;
}

int eui_block_parse(const char *text, struct eui_block *ret, struct err *e)
{
	uint64_t v;
	int digits = take_hex(text, &v);

	if (digits != 6 && digits != 7 && digits != 9)
		return err_set(e, ERR_INVALID,
			"the block '%.40s' is none of the IEEE: 6 hexadecimal digits (MA-L), 7 (MA-M) or 9 (MA-S) expected, such as AC:DE:48",
			text);
	*ret = (struct eui_block){v, digits * 4};
	return 0;
}

struct eui eui_of_block(const struct eui_block *b, int width, uint64_t number)
{
	return (struct eui){b->prefix << (width - b->bits) | number, width};
}

uint64_t eui_block_size(const struct eui_block *b, int width)
{
	return UINT64_C(1) << (width - b->bits);
}
