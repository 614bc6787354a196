/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/text.h"

#include <ctype.h>
#include <errno.h>

#define CTRL_Z 0x1a

int text_begin(struct image_source *s, struct text *ret, struct err *e)
{
	const uint8_t *p = s->bytes;
	size_t n = s->n;

	s->by_line = true;
	s->limit = 1ull << 32;
	if (n >= 2 && (!memcmp(p, "\xff\xfe", 2) || !memcmp(p, "\xfe\xff", 2)))
		return image_malformed(s, 1, e, "UTF-16 text: save the file as ASCII");
	if (n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3)) {
		image_note(s->image, "begins with a byte order mark");
		p += 3;
		n -= 3;
	}
	s->decoded = malloc(n / 2 + 1);
	if (!s->decoded)
		return err_errno(e, ERR_NO_MEMORY, errno, "firmware file %s", s->image->path);
	*ret = (struct text){.p = p, .n = n};
	return 0;
}

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool only_blank(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isspace(p[i]) && p[i] != CTRL_Z)
			return false;
	return true;
}

/* Whatever ends it: CR, LF or both. */
static size_t line_end(struct text *t, size_t from)
{
	while (from < t->n && t->p[from] != '\n' && t->p[from] != '\r')
		from++;
	t->at = from;
	if (t->at < t->n)
		t->at += t->at + 1 < t->n && !memcmp(t->p + t->at, "\r\n", 2) ? 2 : 1;
	return from;
}

bool text_line(struct text *t, const uint8_t **ret, size_t *ret_n)
{
	while (t->at < t->n) {
		const uint8_t *p = t->p + t->at;
		size_t from = t->at;
		size_t n = line_end(t, from) - from;
		size_t lead = 0;

		t->line++;
		while (n > 0 && blank(p[n - 1]))
			n--;
		while (lead < n && blank(p[lead]))
			lead++;
		if (lead < n && p[lead] == CTRL_Z && only_blank(p + lead, t->n - from - lead))
			break;
		if (n > 0) {
			*ret = p;
			*ret_n = n;
			return true;
		}
	}
	return false;
}

bool text_comment(struct text *t, const uint8_t *line)
{
	bool is = line[0] == ';' || line[0] == '#';

	t->comments += is;
	return is;
}

void text_end(struct image_source *s, const struct text *t)
{
	if (t->comments)
		image_note(s->image, "%llu lines of comment are passed over",
			(unsigned long long)t->comments);
}

int text_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_record(const struct image_source *s, const struct text *t, const uint8_t *p, size_t n,
	size_t at, uint8_t out[TEXT_RECORD_MAX], size_t *ret_n, struct err *e)
{
	size_t k = n / 2;

	if (k > TEXT_RECORD_MAX)
		return image_malformed(s, t->line, e, "a record of %zu digits is too long", n);
	for (size_t i = 0; i < n; i++)
		if (text_digit(p[i]) < 0)
			return image_malformed(s, t->line, e,
				"column %zu: a hexadecimal digit was expected, not byte %02x",
				at + i + 1, p[i]);
	if (n % 2)
		return image_malformed(
			s, t->line, e, "an odd number of digits (%zu): the record is cut off", n);
	for (size_t i = 0; i < k; i++)
		out[i] = (uint8_t)(text_digit(p[2 * i]) << 4 | text_digit(p[2 * i + 1]));
	*ret_n = k;
	return 0;
}

int text_data(struct image_source *s, const struct text *t, uint64_t address, const uint8_t *bytes,
	size_t n, struct err *e)
{
	return text_data_of(s, t, 0, address, bytes, n, e);
}

int text_data_of(struct image_source *s, const struct text *t, uint8_t target, uint64_t address,
	const uint8_t *bytes, size_t n, struct err *e)
{
	uint8_t *to = s->decoded + s->decoded_len;

	if (n == 0)
		return 0;
	memcpy(to, bytes, n);
	s->decoded_len += n;
	return image_add(s, target, address, to, n, t->line, e);
}
