/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/printable.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "base/util.h"

#define BAD UINT32_MAX

/* What acts, hides or turns round. Ascending. */
static const struct {
	uint32_t first, last;
} harmful[] = {
	{0x0000, 0x001f},   /* C0 */
	{0x007f, 0x009f},   /* DEL, C1 with CSI and NEL */
	{0x00ad, 0x00ad},   /* soft hyphen */
	{0x061c, 0x061c},   /* Arabic letter mark */
	{0x180e, 0x180e},   /* Mongolian vowel separator */
	{0x200b, 0x200f},   /* zero width, direction marks */
	{0x2028, 0x202e},   /* line and paragraph separator, embeddings and overrides */
	{0x2060, 0x206f},   /* word joiner, invisible operators, isolates */
	{0xfeff, 0xfeff},   /* zero width no-break space */
	{0xfff9, 0xfffb},   /* interlinear annotations */
	{0xe0000, 0xe007f}, /* tags */
};

static bool is_harmful(uint32_t c)
{
	for (size_t i = 0; i < ARRAY_LEN(harmful) && c >= harmful[i].first; i++)
		if (c <= harmful[i].last)
			return true;
	return false;
}

/* The length of the character at s (RFC 3629), its value or BAD in *ret; 0 where s ends within
 * it. */
static size_t next_char(const uint8_t *s, size_t n, uint32_t *ret)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	size_t len = 0;
	uint32_t c;

	*ret = BAD;
	while (len < ARRAY_LEN(forms) && (s[0] & forms[len].mask) != forms[len].lead)
		len++;
	if (len == ARRAY_LEN(forms) || s[0] == 0xc0 || s[0] == 0xc1 || s[0] > 0xf4)
		return 1;
	c = s[0] & (uint8_t)~forms[len].mask;
	for (size_t i = 1; i <= len; i++) {
		if (i == n)
			return 0;
		if ((s[i] & 0xc0) != 0x80)
			return 1;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < forms[len].least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 1;
	*ret = c;
	return len + 1;
}

size_t printable_add(struct strbuf *b, const char *s, size_t n, const char *keep, bool more)
{
	size_t i = 0;

	while (i < n) {
		uint32_t c;
		size_t len = next_char((const uint8_t *)s + i, n - i, &c);

		if (len == 0 && more)
			break;
		if (len == 0 || c == BAD)
			sb_addf(b, "\\x%02x", (uint8_t)s[i]);
		else if (!is_harmful(c) || (c && c < 0x80 && strchr(keep, (char)c)))
			sb_add_n(b, s + i, len);
		else if (c == '\n' || c == '\t' || c == '\r')
			sb_addf(b, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
		else
			sb_addf(b, c < 0x80 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
		i += MAX(len, (size_t)1);
	}
	return i;
}

char *printable(const char *s)
{
	struct strbuf b = {0};

	printable_add(&b, s, strlen(s), "", false);
	return sb_take(&b);
}

char *printable_json(const char *json)
{
	struct strbuf b = {0};
	size_t n = strlen(json);
	uint32_t c;

	for (size_t i = 0, len; i < n; i += len) {
		len = MAX(next_char((const uint8_t *)json + i, n - i, &c), (size_t)1);
		if (c == BAD || !is_harmful(c) || c == '\n' || c == '\t' || c == '\r')
			sb_add_n(&b, json + i, len);
		else if (c < 0x10000)
			sb_addf(&b, "\\u%04x", c);
		else /* a pair of surrogates (RFC 8259, 7) */
			sb_addf(&b, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
				0xdc00 + (c & 0x3ff));
	}
	return sb_take(&b);
}

char *printable_cut(const char *s, size_t columns)
{
	char *whole = printable(s);
	size_t i = 0;

	for (size_t n = 0; whole[i]; i++) {
		n += ((unsigned char)whole[i] & 0xc0) != 0x80;
		if (n > columns)
			break;
	}
	whole[i] = 0;
	return whole;
}

/* --- stdout and stderr --- */

struct guard {
	int fd;
	bool own; /* what comes now is a sequence of ours */
	char rest[4];
	size_t rest_len; /* the beginning of a character whose end was not written yet */
};
static struct guard guards[2];

static int write_all(int fd, const char *s, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, s, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		s += k;
		n -= (size_t)k;
	}
	return 0;
}

static ssize_t guard_write(void *cookie, const char *s, size_t n)
{
	struct guard *g = cookie;
	struct strbuf in = {0};
	struct strbuf out = {0};
	size_t used;
	int r;

	if (g->own)
		return write_all(g->fd, s, n) < 0 ? 0 : (ssize_t)n;
	sb_add_n(&in, g->rest, g->rest_len);
	sb_add_n(&in, s, n);
	used = printable_add(&out, in.s, in.len, "\n\t", true);
	g->rest_len = in.len - used;
	memcpy(g->rest, in.s + used, g->rest_len);
	r = write_all(g->fd, out.s, out.len);
	sb_done(&in);
	sb_done(&out);
	return r < 0 ? 0 : (ssize_t)n;
}

static int guard_close(void *cookie)
{
	struct guard *g = cookie;
	struct strbuf out = {0};
	int r;

	printable_add(&out, g->rest, g->rest_len, "", false);
	g->rest_len = 0;
	r = write_all(g->fd, out.s, out.len);
	sb_done(&out);
	return r;
}

static FILE *guard_open(struct guard *g, int fd, int mode)
{
	static const cookie_io_functions_t io = {.write = guard_write, .close = guard_close};
	FILE *f;

	g->fd = fd;
	f = fopencookie(g, "w", io);
	if (!f)
		abort();
	setvbuf(f, NULL, mode, BUFSIZ);
	return f;
}

void printable_guard(void)
{
	stdout = guard_open(&guards[0], STDOUT_FILENO, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
	stderr = guard_open(&guards[1], STDERR_FILENO, _IONBF);
}

void printable_sequence(FILE *out, const char *sequence)
{
	struct guard *g = &guards[out == stderr];

	fflush(out);
	g->own = true;
	fputs(sequence, out);
	fflush(out);
	g->own = false;
}
