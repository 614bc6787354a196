/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pool_shape.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "db/pattern.h"
#include "db/pattern_shape.h"

/* The addresses of a pool, from the first to the last. */
struct addresses {
	struct eui first, last;
};

const struct eui_block *pool_block(const char *text, struct eui_block *room)
{
	return text && *text && eui_block_parse(text, room, NULL) == 0 ? room : NULL;
}

/* A pool of addresses gives addresses and nothing else: the whole pattern is one placeholder. 0:
 * another pattern. */
static int width_of(const char *pattern)
{
	static const struct {
		const char *name;
		int width;
	} rows[] = {{"{mac", 48}, {"{eui64", 64}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].name);

		if (!strncmp(pattern, rows[i].name, n) &&
			(pattern[n] == ':' || pattern[n] == '}') &&
			strcspn(pattern, "}") == strlen(pattern) - 1)
			return rows[i].width;
	}
	return 0;
}

static struct addresses addresses_of(const struct pool_new *p, const struct eui_block *b)
{
	int width = width_of(p->pattern);
	struct eui first = {(uint64_t)p->first, width}, last = {(uint64_t)p->last, width};

	return b ? (struct addresses){eui_of_block(b, width, (uint64_t)p->first),
			   eui_of_block(b, width, (uint64_t)p->last)}
		 : (struct addresses){first, last};
}

static int check_block_end(const struct pool_new *p, const struct eui_block *b, struct err *e)
{
	int width = width_of(p->pattern);
	uint64_t size = b ? eui_block_size(b, width) : UINT64_C(1) << 24;
	uint64_t start = b ? 0 : (uint64_t)p->first & ~(size - 1);
	struct eui end = b ? eui_of_block(b, width, size - 1) : (struct eui){start + size - 1, 48};
	char text[EUI_TEXT_SIZE];

	if ((uint64_t)p->last - start < size)
		return 0;
	eui_text(&end, EUI_COLON, text);
	if (b)
		return err_set(e, ERR_INVALID,
			"pool %s: the last number is %lld, but the block %s ends at %llu (%s)",
			p->id, (long long)p->last, p->block, (unsigned long long)size - 1, text);
	return err_set(e, ERR_INVALID,
		"pool %s: the last number is %lld, but the block of 24 bits that %lld is in ends at %llu (%s)",
		p->id, (long long)p->last, (long long)p->first, (unsigned long long)end.bits, text);
}

static int check_bits(const struct pool_new *p, const struct eui *first, struct err *e)
{
	char text[EUI_TEXT_SIZE];

	eui_text(first, EUI_COLON, text);
	if (eui_is_multicast(first))
		return err_set(e, ERR_INVALID,
			"pool %s: %s is a multicast address (bit 0 of its first octet is 1), which no device can have",
			p->id, text);
	if (eui_is_local(first) && !p->local)
		return err_set(e, ERR_INVALID,
			"pool %s: %s is locally administered (bit 1 of its first octet is 1): say 'local: true' if that is meant",
			p->id, text);
	if (!eui_is_local(first) && p->local)
		return err_set(e, ERR_INVALID,
			"pool %s: 'local' is true, but %s is not locally administered (bit 1 of its first octet is 0)",
			p->id, text);
	return 0;
}

static int check_span(const struct pool_new *p, struct err *e)
{
	int64_t span = p->span ? p->span : 1;

	if (span < 1 || span > 256 || (span & (span - 1)))
		return err_set(e, ERR_INVALID,
			"pool %s: 'span' is %lld: a power of two from 1 to 256 expected", p->id,
			(long long)span);
	if (p->first % span)
		return err_set(e, ERR_INVALID,
			"pool %s: a value is the first of %lld addresses, so that the first number must be a multiple of %lld, and is %lld",
			p->id, (long long)span, (long long)span, (long long)p->first);
	if ((p->last + 1) % span)
		return err_set(e, ERR_INVALID,
			"pool %s: a value is the first of %lld addresses: the last number %lld would cut them short",
			p->id, (long long)span, (long long)p->last);
	return 0;
}

static int check_addresses(const struct pool_new *p, struct err *e)
{
	struct eui_block room;
	const struct eui_block *b = p->block ? &room : NULL;
	struct addresses a;

	if (p->block && eui_block_parse(p->block, &room, e) < 0)
		return err_prefix(e, "pool %s", p->id);
	if (!width_of(p->pattern) || strcmp(p->check, "none") != 0)
		return err_set(e, ERR_INVALID,
			"pool %s: a pool of addresses has the pattern {mac}, {mac:dash}, {mac:bare} or the same with eui64, without a check digit, not '%s'",
			p->id, p->pattern);
	if (width_of(p->pattern) == 64 && !b)
		return err_set(e, ERR_INVALID,
			"pool %s: {eui64} needs the 'block' that the addresses come from", p->id);
	if (check_block_end(p, b, e) < 0 || check_span(p, e) < 0)
		return -(int)e->code;
	a = addresses_of(p, b);
	return check_bits(p, &a.first, e);
}

/* What is of addresses alone. */
int pool_check_no_addresses(const struct pool_new *p, struct err *e)
{
	if (p->block || p->local || p->span > 1)
		return err_set(e, ERR_INVALID,
			"pool %s: 'block', 'local' and 'span' are of pools of the kind mac with a pattern",
			p->id);
	return 0;
}

/* --- two pools --- */

bool pools_both_give(const struct pool_new *a, const struct pool_new *b)
{
	const struct pattern_range x = {a->pattern, a->check, a->first, a->last};
	const struct pattern_range y = {b->pattern, b->check, b->first, b->last};
	bool address = width_of(a->pattern) != 0;
	struct eui_block room[2];
	struct addresses p, q;

	if (address != (width_of(b->pattern) != 0))
		return false;
	if (!address)
		return pattern_overlap(&x, &y);
	p = addresses_of(a, pool_block(a->block, &room[0]));
	q = addresses_of(b, pool_block(b->block, &room[1]));
	return p.first.width == q.first.width && p.first.bits <= q.last.bits &&
	       q.first.bits <= p.last.bits;
}

bool pool_gives(const struct pool_new *p, const char *value)
{
	const struct pattern_range r = {p->pattern, p->check, p->first, p->last};
	struct eui_block room;
	struct addresses a;
	struct eui v;

	if (!width_of(p->pattern))
		return pattern_could_give(&r, value);
	a = addresses_of(p, pool_block(p->block, &room));
	return eui_parse(value, &v) && v.width == a.first.width && v.bits >= a.first.bits &&
	       v.bits <= a.last.bits;
}

const char *pool_value_flaw(const char *kind, const char *value)
{
	struct eui a;

	if (strcmp(kind, "mac") != 0)
		return NULL;
	if (!eui_parse(value, &a))
		return "not a MAC address such as AC:DE:48:00:12:34";
	return eui_is_multicast(&a) ? "a multicast address, which no device can have" : NULL;
}

int pool_check_alone(const struct pool_new *p, struct err *e)
{
	struct eui_block room;

	if (p->first < 0 || p->last < p->first)
		return err_set(e, ERR_INVALID, "pool %s: the range %lld..%lld is empty", p->id,
			(long long)p->first, (long long)p->last);
	if ((strcmp(p->kind, "mac") ? pool_check_no_addresses(p, e) : check_addresses(p, e)) < 0)
		return -(int)e->code;
	return pattern_check(p->pattern, p->check, p->last, pool_block(p->block, &room), e);
}
