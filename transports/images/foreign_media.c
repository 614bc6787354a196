/* SPDX-License-Identifier: Apache-2.0
 *
 * Pictures and films without a container: a header whose sizes fit the file, or units that follow
 * each other as their format demands.
 */
#include "transports/images/foreign_impl.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

#define PICTURE_SIDE_MAX 65535
#define PARAMETERS_MAX	 256 /* bytes of a parameter set of H.264 and H.265 */
#define SEQUENCE_MAX	 160 /* bytes of a sequence header of MPEG video, with both matrices */

/* -- Netpbm -- */

/* The decimal number at *at, after blanks and comments; false: none (netpbm, pnm(5)). */
static bool pnm_number(const uint8_t *s, uint64_t n, uint64_t *at, uint64_t *ret)
{
	uint64_t i = *at;
	uint64_t v = 0;

	while (i < n && (isspace(s[i]) || s[i] == '#')) {
		if (s[i] == '#')
			while (i < n && s[i] != '\n')
				i++;
		else
			i++;
	}
	if (i == *at || i >= n || !isdigit(s[i]))
		return false;
	while (i < n && isdigit(s[i]) && v <= PICTURE_SIDE_MAX)
		v = v * 10 + (s[i++] - '0');
	*at = i;
	*ret = v;
	return v > 0 && v <= PICTURE_SIDE_MAX;
}

/* P4, P5, P6: width, height, the largest value, one blank, and all of the pixels. P1 to P3 are
 * text. */
static bool is_pnm(const uint8_t *s, uint64_t n)
{
	uint64_t at = 2;
	uint64_t width, height, most;
	uint64_t row;

	if (n < 8 || s[0] != 'P' || s[1] < '4' || s[1] > '6' || !pnm_number(s, n, &at, &width) ||
		!pnm_number(s, n, &at, &height))
		return false;
	row = (width + 7) / 8;
	if (s[1] != '4') {
		if (!pnm_number(s, n, &at, &most))
			return false;
		row = width * (s[1] == '6' ? 3 : 1) * (most > 255 ? 2 : 1);
	}
	return at < n && isspace(s[at]) && n - at - 1 >= row * height;
}

/* -- others -- */

/* Manufacturer, version, encoding, bits; a window; a zero; planes, and the bytes of a line, which
 * hold the width and are even (ZSoft PCX, technical reference). */
static bool is_pcx(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 128u));
	const uint8_t *head = rb_take(&b, 4);
	uint16_t left = rb_le16(&b), top = rb_le16(&b);
	uint16_t right = rb_le16(&b), bottom = rb_le16(&b);

	rb_take(&b, 52);

	const uint8_t *planes = rb_take(&b, 2);
	uint16_t line = rb_le16(&b);
	uint32_t bits;

	if (b.bad || n <= 128 || head[0] != 0x0a || head[1] > 5 || head[1] == 1 || head[2] != 1 ||
		!strchr("\1\2\4\10", head[3]) || !head[3] || left > right || top > bottom ||
		planes[0] != 0 || planes[1] < 1 || planes[1] > 4)
		return false;
	bits = (right - left + 1u) * head[3];
	return line % 2 == 0 && line >= (bits + 7) / 8 && line <= (bits + 7) / 8 + 64;
}

/* The code 474, RLE or not, 1 or 2 bytes, dimensions, sizes, a heading of text, and zeros (SGI
 * image format 1.00). */
static bool is_sgi(const uint8_t *s, uint64_t n)
{
	static const uint8_t none[404];
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 12u));
	uint16_t code = rb_be16(&b);
	uint8_t packed = rb_u8(&b);
	uint8_t bytes = rb_u8(&b);
	uint16_t dimensions = rb_be16(&b);
	uint16_t x = rb_be16(&b), y = rb_be16(&b), z = rb_be16(&b);

	return n > 512 && code == 474 && packed <= 1 && (bytes == 1 || bytes == 2) &&
	       dimensions >= 1 && dimensions <= 3 && x && y && z &&
	       !memcmp(s + 108, none, sizeof none);
}

/* -- films in start codes -- */

/* How many bytes after s the next 00 00 01 begins, within `most`; 0: none. */
static uint64_t next_start(const uint8_t *s, uint64_t n, uint64_t most)
{
	const uint8_t *at = n > 4 ? memmem(s + 1, (size_t)MIN(n - 1, most), "\0\0\1", 3) : NULL;

	return at ? (uint64_t)(at - s) : 0;
}

/* The unit after the start code at *at, and *at moved to the next one; -1: there is none. */
static int next_unit(const uint8_t *s, uint64_t n, uint64_t *at)
{
	int unit = n - *at > 5 ? s[*at + 3] : -1;
	uint64_t next = unit < 0 ? 0 : next_start(s + *at, n - *at, PARAMETERS_MAX);

	if (next == 0)
		return -1;
	*at += next;
	return unit;
}

static uint64_t skip_zero(const uint8_t *s, uint64_t n)
{
	return n > 5 && !memcmp(s, "\0\0\0\1", 4) ? 1 : 0;
}

/* A unit of that type to which others refer. */
static bool is_parameter_set(int unit, int type)
{
	return unit > 0 && (unit & 0x9f) == type && (unit & 0x60);
}

/* Perhaps a delimiter, then a parameter set of the sequence with a profile there is, then one of
 * pictures (ITU-T H.264, 7.3.1 and annex B). */
static bool is_h264(const uint8_t *s, uint64_t n)
{
	static const uint8_t profiles[] = {66, 77, 88, 100, 110, 122, 244, 44, 83, 86, 118, 128};
	uint64_t at = skip_zero(s, n);
	int unit;

	if (n < 16 || memcmp(s + at, "\0\0\1", 3))
		return false;
	if (s[at + 3] == 9)
		next_unit(s, n, &at);
	if (n - at < 8 || !memchr(profiles, s[at + 4], sizeof profiles))
		return false;
	unit = next_unit(s, n, &at);
	return is_parameter_set(unit, 7) && n - at > 5 && is_parameter_set(s[at + 3], 8);
}

/* Perhaps a delimiter, then the parameter sets of the film, of the sequence and of pictures (ITU-T
 * H.265, 7.3.1 and annex B). */
static bool is_h265(const uint8_t *s, uint64_t n)
{
	static const uint8_t types[] = {32, 33, 34};
	uint64_t at = skip_zero(s, n);

	if (n < 16 || memcmp(s + at, "\0\0\1", 3))
		return false;
	if (s[at + 3] >> 1 == 35)
		next_unit(s, n, &at);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (n - at < 6 || s[at + 3] >> 1 != types[i] || s[at + 4] != 1)
			return false;
		if (i + 1 < ARRAY_LEN(types) && next_unit(s, n, &at) < 0)
			return false;
	}
	return true;
}

/* A pack header of MPEG-1 or MPEG-2 with its marks, and the start code of a system header or packet
 * after it (ISO 11172-1, 2.4.3; ISO 13818-1, 2.5.3.3). */
static bool is_program_stream(const uint8_t *s, uint64_t n)
{
	uint64_t next;

	if (n < 24 || memcmp(s, "\0\0\1\xba", 4))
		return false;
	if ((s[4] & 0xc4) == 0x44 && (s[6] & 4) && (s[8] & 4) && (s[9] & 1) && (s[12] & 3) == 3)
		next = 14u + (s[13] & 7);
	else if ((s[4] & 0xf1) == 0x21 && (s[6] & 1) && (s[8] & 1) && (s[11] & 1))
		next = 12;
	else
		return false;
	return n - next >= 4 && !memcmp(s + next, "\0\0\1", 3) && s[next + 3] >= 0xba;
}

/* A sequence header: shape and rate that there are, a mark; after it an extension, user data or a
 * group (ISO 11172-2, 2.4.2.3). */
static bool is_mpeg_video(const uint8_t *s, uint64_t n)
{
	uint64_t next;

	if (n < 20 || memcmp(s, "\0\0\1\xb3", 4) || s[7] >> 4 == 0 || s[7] >> 4 == 15 ||
		(s[7] & 15) == 0 || (s[7] & 15) > 8 || !(s[10] & 0x20))
		return false;
	next = next_start(s + 11, n - 11, SEQUENCE_MAX);
	return next && n - 11 - next > 3 && s[11 + next + 3] &&
	       strchr("\xb2\xb5\xb8", s[11 + next + 3]);
}

/* -- Dolby Digital -- */

/* Bytes of the frame at s (ATSC A/52, 5.4.1 and table 5.18); 0: none. */
static uint64_t ac3_frame(const uint8_t *s, uint64_t n)
{
	static const uint16_t kbit[] = {32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256,
		320, 384, 448, 512, 576, 640};
	unsigned code = n > 5 ? s[4] & 0x3f : 63;

	if (n < 6 || s[0] != 0x0b || s[1] != 0x77 || code / 2 >= ARRAY_LEN(kbit) || s[5] >> 3 > 10)
		return 0;
	switch (s[4] >> 6) {
	case 0:
		return 4u * kbit[code / 2];
	case 1:
		return 2u * (kbit[code / 2] * 96000u / 44100u + (code & 1));
	case 2:
		return 6u * kbit[code / 2];
	default:
		return 0;
	}
}

static bool is_ac3(const uint8_t *s, uint64_t n)
{
	uint64_t at = 0;

	for (unsigned frames = 0; frames < 3; frames++) {
		uint64_t len = at < n ? ac3_frame(s + at, n - at) : 0;

		if (len == 0)
			return false;
		at += len;
	}
	return true;
}

static const struct foreign_row rows[] = {
	{is_pnm, {"a picture (Netpbm: PBM, PGM or PPM)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION}},
	{is_pcx, {"a picture (PCX)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION}},
	{is_sgi, {"a picture (SGI)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION}},
	{is_h264, {"a film (H.264)", ADVICE_DOCUMENT, 0}},
	{is_h265, {"a film (H.265)", ADVICE_DOCUMENT, 0}},
	{is_program_stream, {"a film (MPEG program stream)", ADVICE_DOCUMENT, 0}},
	{is_mpeg_video, {"a film (MPEG video)", ADVICE_DOCUMENT, 0}},
	{is_ac3, {"a sound (Dolby Digital)", ADVICE_DOCUMENT, 0}},
};

const struct foreign_kind *foreign_by_media(const uint8_t *bytes, uint64_t n)
{
	return foreign_first(rows, ARRAY_LEN(rows), bytes, n);
}
