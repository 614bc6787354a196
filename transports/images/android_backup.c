/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/android_backup.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#include "base/util.h"

#define TAIL	 1024u /* two empty blocks end a tar */
#define HEAD_MAX 256u

static int cut_short(struct err *e)
{
	return err_set(e, ERR_IMAGE_INVALID, "the backup ends in its middle");
}

/* One line of the head; NULL where there is none. */
static const uint8_t *take_line(const uint8_t **at, const uint8_t *end, size_t *ret_n)
{
	const uint8_t *line = *at;
	const uint8_t *nl = memchr(line, '\n', MIN((size_t)(end - line), (size_t)HEAD_MAX));

	if (!nl)
		return NULL;
	*at = nl + 1;
	*ret_n = (size_t)(nl - line);
	return line;
}

/* The Adler-32 after the deflated bytes is right only for all of them. */
static int inflate_all(const uint8_t *p, size_t n, struct err *e)
{
	z_stream z = {0};
	uint8_t out[65536];
	int r = inflateInit(&z);

	if (r != Z_OK)
		return err_set(e, ERR_NO_MEMORY, "inflate");
	while (r == Z_OK) {
		uInt k = (uInt)MIN(n, (size_t)INT_MAX);

		if (z.avail_in == 0) {
			z.next_in = (Bytef *)(uintptr_t)p;
			z.avail_in = k;
			p += k;
			n -= k;
		}
		z.next_out = out;
		z.avail_out = sizeof out;
		r = inflate(&z, Z_NO_FLUSH);
	}
	inflateEnd(&z);
	return r == Z_STREAM_END ? 0 : cut_short(e);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static int check_body(const uint8_t *p, size_t n, struct android_backup *b, struct err *e)
{
	int r = 0;

	if (strcmp(b->encryption, "none") != 0)
		return n > TAIL ? 0 : cut_short(e);
	if (b->compressed)
		r = inflate_all(p, n, e);
	else if (n < TAIL || !all_zero(p + n - TAIL, TAIL))
		r = cut_short(e);
	else if (n == TAIL)
		r = err_set(e, ERR_IMAGE_INVALID, "the backup holds nothing");
	b->whole = r == 0;
	return r;
}

int android_backup_check(const uint8_t *p, size_t n, struct android_backup *ret, struct err *e)
{
	static const char magic[] = "ANDROID BACKUP";
	const uint8_t *at = p;
	const uint8_t *end = p + n;
	struct android_backup b = {0};
	const uint8_t *line;
	size_t k = 0;
	int r;

	line = take_line(&at, end, &k);
	if (!line || k != strlen(magic) || memcmp(line, magic, k) != 0)
		return err_set(e, ERR_IMAGE_INVALID,
			"%zu bytes that are not a backup: was it confirmed on the unit's screen?",
			n);
	line = take_line(&at, end, &k);
	for (size_t i = 0; line && i < k && i < 4 && line[i] >= '0' && line[i] <= '9'; i++)
		b.version = b.version * 10 + (unsigned)(line[i] - '0');
	line = take_line(&at, end, &k);
	b.compressed = line && k == 1 && *line == '1';
	line = take_line(&at, end, &k);
	if (!line || k == 0 || k >= sizeof b.encryption || b.version == 0)
		return err_set(e, ERR_IMAGE_INVALID, "the backup's head is not whole");
	memcpy(b.encryption, line, k);
	r = check_body(at, (size_t)(end - at), &b, e);
	if (r < 0)
		return r;
	*ret = b;
	return 0;
}
