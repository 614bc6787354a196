/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/bmap.h"

#include <ctype.h>
#include <expat.h>

#define TEXT_BYTES 160
#define RANGES_MAX (1u << 20)

struct parse {
	XML_Parser parser;
	const char *name;
	struct bmap *map;
	char text[TEXT_BYTES]; /* of the element that is open */
	size_t text_len;
	char sum[SHA256_HEX]; /* of the range that is open */
	char own[SHA256_HEX]; /* that the map says of itself */
	unsigned depth;
	bool in_map, has_root;
	struct err *e;
	int failed; /* its code, negative */
};

static void fail(struct parse *p, enum err_code code, const char *what)
{
	if (p->failed)
		return;
	p->failed = -(int)code;
	err_set(p->e, code, "block map %s, line %lu: %s", p->name,
		(unsigned long)XML_GetCurrentLineNumber(p->parser), what);
	XML_StopParser(p->parser, XML_FALSE);
}

static const char *attribute(const XML_Char **a, const char *name)
{
	for (; *a; a += 2)
		if (!strcmp(a[0], name))
			return a[1];
	return "";
}

static void take_version(struct parse *p, const char *version)
{
	snprintf(p->map->version, sizeof p->map->version, "%s", version);
	p->has_root = true;
	if (version[0] != '1' && version[0] != '2')
		fail(p, ERR_UNSUPPORTED, "formats 1 and 2 are known, and this is another one");
}

static void XMLCALL on_begin(void *data, const XML_Char *tag, const XML_Char **a)
{
	struct parse *p = data;
	const char *sum = attribute(a, "chksum");

	if (p->depth == 0 && strcmp(tag, "bmap") != 0)
		fail(p, ERR_IMAGE_INVALID, "it does not begin with <bmap>");
	else if (p->depth == 0)
		take_version(p, attribute(a, "version"));
	p->depth++;
	p->in_map |= p->depth == 2 && !strcmp(tag, "BlockMap");
	p->text_len = 0;
	if (*sum && strlen(sum) >= sizeof p->sum)
		fail(p, ERR_IMAGE_INVALID, "a checksum is longer than SHA-256");
	snprintf(p->sum, sizeof p->sum, "%s", sum);
}

static void XMLCALL on_text(void *data, const XML_Char *s, int n)
{
	struct parse *p = data;

	if (p->text_len + (size_t)n >= sizeof p->text) {
		/* White space between the elements. */
		p->text_len = 0;
		return;
	}
	memcpy(p->text + p->text_len, s, (size_t)n);
	p->text_len += (size_t)n;
}

/* The text without blanks around it, as one word. */
static char *word_of(struct parse *p)
{
	char *s = p->text;

	p->text[p->text_len] = '\0';
	while (p->text_len > 0 && isspace((unsigned char)p->text[p->text_len - 1]))
		p->text[--p->text_len] = '\0';
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

static bool number(const char *s, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)*s) || strlen(s) > 18)
		return false;
	*ret = strtoull(s, &end, 10);
	return *end == '\0';
}

static void take_range(struct parse *p, char *s)
{
	struct bmap *m = p->map;
	char *dash = strchr(s, '-');
	struct bmap_range g = {0};

	if (dash)
		*dash = '\0';
	if (!number(s, &g.first) || (dash && !number(dash + 1, &g.last)))
		fail(p, ERR_IMAGE_INVALID, "a range is not a number of a block, or two with '-'");
	if (!dash)
		g.last = g.first;
	if (g.last < g.first || (m->ranges && g.first <= m->range[m->ranges - 1].last))
		fail(p, ERR_IMAGE_INVALID, "the ranges are not in their order, or overlap");
	if (m->ranges == RANGES_MAX)
		fail(p, ERR_TOO_LARGE, "more than 1048576 ranges");
	if (p->failed)
		return;
	memcpy(g.sha256, p->sum, sizeof g.sha256);
	m->range = reallocarray(m->range, m->ranges + 1, sizeof *m->range);
	if (!m->range)
		abort();
	m->range[m->ranges++] = g;
}

static void take_number(struct parse *p, const char *tag, const char *s)
{
	const struct {
		const char *tag;
		uint64_t *to;
	} all[] = {{"ImageSize", &p->map->image_bytes}, {"BlockSize", &p->map->block_bytes},
		{"BlocksCount", &p->map->blocks}, {"MappedBlocksCount", &p->map->mapped}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (!strcmp(tag, all[i].tag) && !number(s, all[i].to))
			fail(p, ERR_IMAGE_INVALID, "a number expected");
}

static void XMLCALL on_end(void *data, const XML_Char *tag)
{
	struct parse *p = data;
	char *s = word_of(p);

	if (p->in_map && p->depth == 3 && !strcmp(tag, "Range"))
		take_range(p, s);
	else if (p->depth == 2 && !strcmp(tag, "ChecksumType"))
		snprintf(p->map->checksum, sizeof p->map->checksum, "%s", s);
	else if (p->depth == 2 && !strcmp(tag, "BmapFileChecksum"))
		snprintf(p->own, sizeof p->own, "%s", s);
	else if (p->depth == 2)
		take_number(p, tag, s);
	p->in_map &= p->depth != 2;
	p->depth--;
	p->text_len = 0;
}

bool bmap_is(const uint8_t *bytes, uint64_t n)
{
	/* After the declaration and a long comment. */
	return n > 8 && (!memcmp(bytes, "<?xml", 5) || !memcmp(bytes, "<bmap", 5)) &&
	       memmem(bytes, MIN(n, (uint64_t)8192), "<bmap ", 6) != NULL;
}

/* With zeros in the place of the checksum itself. */
static int compare_own(struct parse *p, const uint8_t *bytes, uint64_t n)
{
	const size_t len = SHA256_HEX - 1;
	const uint8_t *at = memmem(bytes, n, p->own, len);
	static const char zeros[SHA256_HEX] =
		"0000000000000000000000000000000000000000000000000000000000000000";
	struct sha256 *d;
	uint8_t raw[SHA256_BYTES];
	char sum[SHA256_HEX];

	if (!is_sha256_hex(p->own) || !at)
		return err_set(p->e, ERR_IMAGE_INVALID,
			"block map %s: its own checksum is not 64 hexadecimal digits", p->name);
	d = sha256_new();
	sha256_add(d, bytes, (size_t)(at - bytes));
	sha256_add(d, zeros, len);
	sha256_add(d, at + len, n - (size_t)(at - bytes) - len);
	sha256_end(d, raw);
	sha256_free(d);
	hex_of(raw, sizeof raw, sum);
	p->map->own_compared = true;
	return strcmp(sum, p->own) == 0
		       ? 0
		       : err_set(p->e, ERR_IMAGE_INVALID,
				 "block map %s has SHA-256 %.16s..., and says %.16s... of itself: it was changed or damaged",
				 p->name, sum, p->own);
}

static int contradicts(const struct parse *p, const char *what)
{
	return err_set(p->e, ERR_IMAGE_INVALID, "block map %s: %s", p->name, what);
}

static int check(struct parse *p, const uint8_t *bytes, uint64_t n)
{
	const struct bmap *m = p->map;
	bool has_sums = !strcmp(m->checksum, "sha256");
	uint64_t mapped = 0;

	if (m->checksum[0] && !has_sums && strcmp(m->checksum, "sha1") != 0)
		return err_set(p->e, ERR_UNSUPPORTED,
			"block map %s: checksums of type '%s' are not known: it is damaged, or newer than this provd",
			p->name, m->checksum);
	if (!p->has_root || m->block_bytes == 0 || m->block_bytes > 1u << 30 || m->image_bytes == 0)
		return contradicts(p, "BlockSize or ImageSize is missing or makes no sense");
	if (m->blocks != (m->image_bytes + m->block_bytes - 1) / m->block_bytes)
		return contradicts(p, "BlocksCount is not ImageSize in blocks of BlockSize");
	for (size_t i = 0; i < m->ranges; i++) {
		mapped += m->range[i].last - m->range[i].first + 1;
		if (m->range[i].last >= m->blocks)
			return contradicts(p, "a range lies after the last block");
		if (has_sums && !is_sha256_hex(m->range[i].sha256))
			return contradicts(p, "a range has no SHA-256 of 64 hexadecimal digits");
	}
	if (mapped != m->mapped)
		return contradicts(p, "MappedBlocksCount is not what the ranges add up to");
	return has_sums ? compare_own(p, bytes, n) : 0;
}

static int parse(struct parse *p, const uint8_t *bytes, uint64_t n)
{
	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, on_begin, on_end);
	XML_SetCharacterDataHandler(p->parser, on_text);
	if (XML_Parse(p->parser, (const char *)bytes, (int)n, 1) == XML_STATUS_ERROR && !p->failed)
		fail(p, ERR_IMAGE_INVALID, XML_ErrorString(XML_GetErrorCode(p->parser)));
	return p->failed ? p->failed : check(p, bytes, n);
}

int bmap_read(const char *name, const uint8_t *bytes, uint64_t n, struct bmap **ret, struct err *e)
{
	struct err own = {0};
	struct parse p = {.name = name, .e = e ? e : &own};
	int r;

	if (n > BMAP_MAX_BYTES)
		return err_set(e, ERR_TOO_LARGE, "block map %s has %llu bytes, more than %u MiB",
			name, (unsigned long long)n, BMAP_MAX_BYTES >> 20);
	p.parser = XML_ParserCreate(NULL);
	if (!p.parser)
		return err_set(e, ERR_NO_MEMORY, "block map %s", name);
	p.map = xcalloc(1, sizeof *p.map);
	r = parse(&p, bytes, n);
	XML_ParserFree(p.parser);
	if (r == 0)
		*ret = p.map;
	else
		bmap_free(p.map);
	return r;
}

struct bmap *bmap_free(struct bmap *m)
{
	if (m)
		free(m->range);
	free(m);
	return NULL;
}

int bmap_compare(
	const struct bmap *m, const char *name, const uint8_t *image, uint64_t n, struct err *e)
{
	if (n != m->image_bytes)
		return err_set(e, ERR_IMAGE_INVALID,
			"image %s has %llu bytes, and its block map is of one with %llu", name,
			(unsigned long long)n, (unsigned long long)m->image_bytes);
	for (size_t i = 0; i < m->ranges; i++) {
		const struct bmap_range *g = &m->range[i];
		uint64_t from = g->first * m->block_bytes;
		uint64_t to = MIN((g->last + 1) * m->block_bytes, n);
		char sum[SHA256_HEX];

		if (strcmp(m->checksum, "sha256") != 0)
			continue;
		sha256_hex_of(image + from, to - from, sum);
		if (strcmp(sum, g->sha256) != 0)
			return err_set(e, ERR_IMAGE_INVALID,
				"image %s: blocks %llu to %llu (0x%llx) have SHA-256 %.16s..., and its block map says %.16s...: it is another image, or damaged",
				name, (unsigned long long)g->first, (unsigned long long)g->last,
				(unsigned long long)from, sum, g->sha256);
	}
	return 0;
}
