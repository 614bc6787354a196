/* SPDX-License-Identifier: Apache-2.0
 *
 * Text in other encodings than UTF-8. None has a magic; each is proven by the whole file: every
 * byte has its place in the encoding, and the characters are those that people write with. Machine
 * code has zeros, encrypted data has every byte, and a table of samples has no letters that repeat.
 */
#include "transports/images/foreign_impl.h"

#include <ctype.h>
#include <string.h>

#include "base/util.h"

#define WIDE_LOOK_BYTES 4096u /* of UTF-16 and UTF-32 */
#define LETTERS_MIN	8
#define SCRIPT_MIN	32 /* characters of a script of its own */
#define PAIRS_MIN	16
#define DISTINCT_MIN	12
#define SMALL_PERCENT	80
#define SINGLE_MIN	64 /* bytes of an encoding with a byte for each letter */
#define EBCDIC_MIN	32
#define SHORT_MIN	3
#define SHORT_MAX	7

/* -- wide characters -- */

static bool is_wide_letter(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0x7f) ||
	       (c >= 0xa0 && c < 0xd800) || (c >= 0xf900 && c < 0xfff0) ||
	       (c >= 0x1f000 && c < 0x30000);
}

static bool is_plain_letter(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0x7f);
}

static uint32_t wide_at(const uint8_t *s, unsigned width, bool big)
{
	uint32_t c = 0;

	for (unsigned k = 0; k < width; k++)
		c |= (uint32_t)s[k] << 8 * (big ? width - 1 - k : k);
	return c;
}

/* Whether the characters go up and down as letters do, and are several: a number that fills a
 * memory stays, a table of samples rises or falls for long, and one of settings has few values. */
static bool reads_like_text(const uint8_t *s, uint64_t end, unsigned width, bool big)
{
	bool seen[256] = {false};
	unsigned distinct = 0;
	uint64_t turns = 0;
	uint32_t a = 0, b = 0;

	for (uint64_t i = 0; i < end; i++) {
		uint32_t c = wide_at(s + i * width, width, big);

		turns += i > 1 && ((b > a && c < b) || (b < a && c > b));
		distinct += !seen[c & 0xff];
		seen[c & 0xff] = true;
		a = b;
		b = c;
	}
	return turns * 4 >= end && distinct >= LETTERS_MIN;
}

/* Characters of `width` bytes: all of the first 4 KiB are letters, and as many are ASCII as the
 * length needs to be sure of it. */
static bool is_wide_text(const uint8_t *s, uint64_t n, unsigned width, bool big)
{
	uint64_t end = MIN(n, WIDE_LOOK_BYTES) / width;
	uint64_t marked = 0;
	uint64_t plain = 0;

	for (uint64_t i = 0; i < end; i++) {
		uint32_t c = wide_at(s + i * width, width, big);

		if (i == 0 && c == 0xfeff)
			marked = 1;
		/* The halves of a pair. */
		else if (width == 2 && c >= 0xd800 && c < 0xe000)
			continue;
		else if (!is_wide_letter(c))
			return false;
		plain += is_plain_letter(c);
	}
	if (marked && plain + 1 == end)
		return end >= 2;
	return (marked ? end >= 64 : end >= 16 && plain > end / 10 * 9) &&
	       reads_like_text(s, end, width, big);
}

/* Scripts of UTF-16 (Unicode 15, Blocks.txt): how much of the text has to be of it, and what else
 * it may have. Japanese has Chinese characters, and kana among them. */
static const struct script {
	uint16_t first, last, other_first, other_last;
	unsigned percent;
	bool spaced; /* words are divided by blanks */
} scripts[] = {
	{0x0370, 0x06ff, 0, 0, 50, true}, /* Greek to Arabic */
	{0x3040, 0x30ff, 0x4e00, 0x9fff, 25, false},
	{0x4e00, 0x9fff, 0, 0, 60, false},
	{0xac00, 0xd7a3, 0, 0, 50, true},
};

/* What ends words and sentences: a row of samples has nothing of the kind. */
static bool is_stop(const struct script *x, uint32_t c)
{
	return (x->spaced && c == ' ') || c == '\n' || c == '\r' || (c >= 0x3000 && c < 0x3003) ||
	       c == 0xff01 || c == 0xff0c || c == 0xff1a || c == 0xff1f;
}

static bool is_of_script(const struct script *x, uint32_t c)
{
	return is_plain_letter(c) || (c >= 0x2010 && c < 0x2027) || (c >= 0x3000 && c < 0x3040) ||
	       (c > 0xff00 && c < 0xff5f) || (c >= x->first && c <= x->last) ||
	       (x->other_first && c >= x->other_first && c <= x->other_last);
}

static bool is_text_of_script(const struct script *x, const uint8_t *s, uint64_t n, bool big)
{
	uint64_t end = MIN(n, WIDE_LOOK_BYTES) / 2;
	uint64_t own = 0;
	uint64_t stops = 0;

	for (uint64_t i = 0; i < end; i++) {
		uint32_t c = wide_at(s + 2 * i, 2, big);

		if (!is_of_script(x, c))
			return false;
		own += c >= x->first && c <= x->last;
		stops += is_stop(x, c);
	}
	return end >= SCRIPT_MIN && own * 100 >= end * x->percent && stops >= 2 &&
	       stops * 50 >= end && reads_like_text(s, end, 2, big);
}

static bool is_wide(const uint8_t *s, uint64_t n)
{
	for (unsigned k = 0; k < 4; k++)
		if (is_wide_text(s, n, k < 2 ? 2 : 4, k & 1))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(scripts) && n % 2 == 0; i++)
		if (is_text_of_script(&scripts[i], s, n, false) ||
			is_text_of_script(&scripts[i], s, n, true))
			return true;
	return false;
}

/* -- two bytes for a character -- */

struct span {
	uint8_t first, last;
};

/* Leads and trails of an encoding, bytes that are a character alone, and the pairs that most of
 * every text consists of: hiragana, the commoner half of the Chinese characters, Korean syllables
 * (JIS X 0208, GB 2312, Big5, KS X 1001). */
static const struct pairs {
	struct span lead[2], trail[2], alone;
	struct span common_lead, common_trail;
	unsigned percent; /* of the pairs are common ones */
} encodings[] = {
	/* Shift-JIS */
	{{{0x81, 0x9f}, {0xe0, 0xfc}}, {{0x40, 0x7e}, {0x80, 0xfc}}, {0xa1, 0xdf}, {0x82, 0x82},
		{0x9f, 0xf1}, 20},
	/* EUC-JP */
	{{{0xa1, 0xfe}, {0x8e, 0x8e}}, {{0xa1, 0xfe}, {0xa1, 0xfe}}, {1, 0}, {0xa4, 0xa4},
		{0xa1, 0xf3}, 20},
	/* GBK, EUC-CN */
	{{{0x81, 0xfe}, {0x81, 0xfe}}, {{0x40, 0x7e}, {0x80, 0xfe}}, {1, 0}, {0xb0, 0xd7},
		{0xa1, 0xfe}, 60},
	/* EUC-KR */
	{{{0xa1, 0xfe}, {0xa1, 0xfe}}, {{0xa1, 0xfe}, {0xa1, 0xfe}}, {1, 0}, {0xb0, 0xc8},
		{0xa1, 0xfe}, 70},
	/* Big5 */
	{{{0xa1, 0xf9}, {0xa1, 0xf9}}, {{0x40, 0x7e}, {0xa1, 0xfe}}, {1, 0}, {0xa4, 0xc6},
		{0x40, 0xfe}, 70},
};

static bool is_in(const struct span *x, uint8_t b)
{
	return b >= x->first && b <= x->last;
}

static bool is_in_either(const struct span x[2], uint8_t b)
{
	return is_in(&x[0], b) || is_in(&x[1], b);
}

/* A blank, or of the first rows, where the marks of sentences are. */
static bool is_stop_at(const uint8_t *s, unsigned len)
{
	return len == 1 ? s[0] == ' ' || s[0] == '\n'
			: s[0] == 0x81 || s[0] == 0xa1 || s[0] == 0xa3;
}

/* How many bytes the character at s has in that encoding; 0: it is not one of it. */
static unsigned pair_at(const struct pairs *x, const uint8_t *s, uint64_t n)
{
	if (s[0] < 0x80)
		return foreign_text_char(s, 1) ? 1 : 0;
	if (is_in(&x->alone, s[0]))
		return 1;
	return n > 1 && is_in_either(x->lead, s[0]) && is_in_either(x->trail, s[1]) ? 2 : 0;
}

/* Samples of 8 bits may have every byte in the encoding, and all pairs among the common ones: they
 * have no line end. */
static bool is_text_in(const struct pairs *x, const uint8_t *s, uint64_t n)
{
	bool seen[256] = {false};
	unsigned distinct = 0;
	uint64_t pairs = 0;
	uint64_t common = 0;
	uint64_t stops = 0;
	uint64_t blanks = 0;
	unsigned k = 0;

	for (uint64_t i = 0; i < n; i += k) {
		k = pair_at(x, s + i, n - i);
		if (k == 0)
			return false;
		stops += is_stop_at(s + i, k);
		blanks += s[i] == ' ' || s[i] == '\n';
		if (k == 1)
			continue;
		pairs++;
		common += is_in(&x->common_lead, s[i]) && is_in(&x->common_trail, s[i + 1]);
		distinct += !seen[s[i + 1]];
		seen[s[i + 1]] = true;
	}
	return pairs >= PAIRS_MIN && distinct >= DISTINCT_MIN && blanks && stops >= 2 &&
	       stops * 50 >= pairs && common * 100 >= pairs * x->percent;
}

static bool is_pairs(const uint8_t *s, uint64_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++)
		if (is_text_in(&encodings[i], s, n))
			return true;
	return false;
}

/* -- a byte for a letter -- */

/* Where the small letters are: most letters of a text. */
static const struct span small_letters[][2] = {
	{{0xdc, 0xff}, {0xdc, 0xff}}, /* Windows-1251, ISO 8859-7, Hebrew */
	{{0xc0, 0xdf}, {0xc0, 0xdf}}, /* KOI8-R */
	{{0xd0, 0xef}, {0xd0, 0xef}}, /* ISO 8859-5 */
	{{0x98, 0xaf}, {0xe0, 0xef}}, /* code pages 866 and 737 */
};

static uint64_t count_in(const uint64_t count[256], const struct span x[2])
{
	uint64_t sum = 0;

	for (unsigned b = 0x80; b < 256; b++)
		sum += is_in_either(x, (uint8_t)b) ? count[b] : 0;
	return sum;
}

/* Words of letters above ASCII, with blanks between them. */
static bool is_single_bytes(const uint8_t *s, uint64_t n)
{
	uint64_t count[256] = {0};
	uint64_t high = 0;
	uint64_t blanks;
	unsigned distinct = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (s[i] < 0x80 && foreign_text_char(s + i, 1) == 0)
			return false;
		count[s[i]]++;
	}
	for (unsigned b = 0x80; b < 256; b++) {
		high += count[b];
		distinct += count[b] > 0;
	}
	blanks = count[' '] + count['\n'];
	if (n < SINGLE_MIN || blanks * 20 < n || blanks * 3 > n || distinct < DISTINCT_MIN)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(small_letters); i++)
		if (count_in(count, small_letters[i]) * 100 >= high * SMALL_PERCENT)
			return true;
	return false;
}

/* -- EBCDIC -- */

static bool is_ebcdic_letter(uint8_t b)
{
	return ((b & 0x0f) >= 1 && (b & 0x0f) <= 9 && b >= 0x81 && b != 0xa1 && b != 0xe1 &&
		       (b < 0xb0 || b >= 0xc0)) &&
	       b < 0xf0;
}

/* Code pages 037, 500, 1140 and their like: letters, digits, marks, line ends
 * (CDRA, appendix A). */
static bool is_ebcdic(const uint8_t *s, uint64_t n)
{
	uint64_t letters = 0;
	uint64_t blanks = 0;

	for (uint64_t i = 0; i < n; i++) {
		bool letter = is_ebcdic_letter(s[i]);
		bool digit = s[i] >= 0xf0 && s[i] <= 0xf9;
		bool mark = (s[i] >= 0x40 && s[i] < 0x80) || s[i] == 0xa1 || s[i] == 0xc0 ||
			    s[i] == 0xd0 || s[i] == 0xe0;
		bool end = s[i] == 0x05 || s[i] == 0x0d || s[i] == 0x15 || s[i] == 0x25;

		if (!letter && !digit && !mark && !end)
			return false;
		letters += letter;
		blanks += s[i] == 0x40;
	}
	return n >= EBCDIC_MIN && letters * 2 > n && blanks * 20 >= n && blanks * 3 <= n;
}

/* -- a few bytes -- */

/* Fewer than 8 bytes may be a setting of the unit: a flag for its bootloader ("BOOT"), a revision.
 * A line end after them is what editors and servers write, and the whole answers of a server
 * without one are known. Of two bytes nothing is sure. */
static bool is_short_text(const uint8_t *s, uint64_t n)
{
	static const char *const answers[] = {"{}", "[]", "null", "true", "false"};
	unsigned seen = 0;

	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		if (n == strlen(answers[i]) && !memcmp(s, answers[i], (size_t)n))
			return true;
	if (n < SHORT_MIN || n > SHORT_MAX || s[n - 1] != '\n')
		return false;
	for (uint64_t i = 0; i + 1 < n; i++) {
		if (!isprint(s[i]) && (s[i] != '\r' || i + 2 != n))
			return false;
		seen += isgraph(s[i]) != 0;
	}
	return seen > 0;
}

static const struct foreign_row rows[] = {
	{is_short_text, {"a text of a few letters", ADVICE_TEXT, 0}},
	{is_wide, {"text in UTF-16 or UTF-32", "save it as ASCII", 0}},
	{is_pairs, {"text in Shift-JIS, GBK, Big5 or EUC", ADVICE_TEXT, 0}},
	{is_single_bytes, {"a text file in an 8-bit encoding", ADVICE_TEXT, 0}},
	{is_ebcdic, {"text in EBCDIC", ADVICE_TEXT, 0}},
};

const struct foreign_kind *foreign_by_text(const uint8_t *bytes, uint64_t n)
{
	return foreign_first(rows, ARRAY_LEN(rows), bytes, n);
}
