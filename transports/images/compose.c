/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>

#include "transports/images/compose_impl.h"
#include "transports/images/image_write.h"

struct compose *compose_new(void)
{
	return xcalloc(1, sizeof(struct compose));
}

struct compose *compose_free(struct compose *c)
{
	if (!c)
		return NULL;
	for (size_t k = 0; k < c->runs; k++) {
		secret_wipe(c->run[k].data, c->run[k].bytes);
		free(c->run[k].data);
	}
	for (size_t k = 0; k < c->parts; k++)
		free((char *)(uintptr_t)c->part[k].name);
	free(c->run);
	free(c->seal);
	free(c->part);
	free(c->sum);
	free(c);
	return NULL;
}

/* --- the bytes --- */

/* The first run that ends above the address, or the number of runs. */
static size_t find_run(const struct compose *c, uint64_t at)
{
	size_t k = 0;

	while (k < c->runs && c->run[k].address + c->run[k].bytes <= at)
		k++;
	return k;
}

uint8_t *compose_at(const struct compose *c, uint64_t at, uint64_t n)
{
	size_t k = find_run(c, at);
	const struct compose_run *g = k < c->runs ? &c->run[k] : NULL;

	if (!g || at < g->address || n > g->bytes - (at - g->address))
		return NULL;
	return g->data + (at - g->address);
}

/* A new run where there is none; the bytes are of `fill`. */
static int add_run(struct compose *c, uint64_t at, uint64_t n, uint8_t fill, struct err *e)
{
	size_t k = find_run(c, at);
	uint8_t *data = malloc(n);
	struct compose_run *more = reallocarray(c->run, c->runs + 1, sizeof *more);

	if (more)
		c->run = more;
	if (!data || !more) {
		free(data);
		return err_errno(
			e, ERR_NO_MEMORY, ENOMEM, "an image of %llu bytes", (unsigned long long)n);
	}
	memset(data, fill, n);
	memmove(&c->run[k + 1], &c->run[k], (c->runs - k) * sizeof *c->run);
	c->run[k] = (struct compose_run){at, n, data};
	c->runs++;
	return 0;
}

int compose_blank(struct compose *c, uint64_t address, uint64_t bytes, uint8_t fill, struct err *e)
{
	if (bytes == 0 || bytes > IMAGE_MAX_BYTES || address > UINT64_MAX - bytes)
		return err_set(e, ERR_INVALID, "an image of %llu bytes: from 1 to %llu expected",
			(unsigned long long)bytes, IMAGE_MAX_BYTES);
	return add_run(c, address, bytes, fill, e);
}

static int lay(struct compose *c, const struct image_segment *g, struct err *e)
{
	uint8_t *to = compose_at(c, g->address, g->len);
	int r = 0;

	if (!to && c->runs && !c->placed)
		return err_set(e, ERR_PART_OUTSIDE,
			"the base has %llu bytes at 0x%llx, and the image is to have %llu at 0x%llx: make 'size' larger",
			(unsigned long long)g->len, (unsigned long long)g->address,
			(unsigned long long)c->run[0].bytes, (unsigned long long)c->run[0].address);
	if (!to)
		r = add_run(c, g->address, g->len, 0, e);
	if (r < 0)
		return r;
	memcpy(compose_at(c, g->address, g->len), g->data, g->len);
	return 0;
}

int compose_base(struct compose *c, const struct image *i, struct err *e)
{
	int r = 0;

	c->has_base = true;
	c->placed = i->placed;
	c->has_entry = i->has_entry;
	c->entry = i->entry;
	for (size_t k = 0; r == 0 && k < i->count; k++)
		r = i->segments[k].target == 0
			    ? lay(c, &i->segments[k], e)
			    : err_set(e, ERR_UNSUPPORTED,
				      "%s is for several memories (target %u): a base for one expected",
				      i->path, i->segments[k].target);
	if (r == 0)
		compose_find_seals(c, i);
	return r;
}

void compose_allow_gaps(struct compose *c)
{
	c->gaps = true;
}

/* --- parts --- */

static int check_overlap(
	const struct compose *c, const char *name, uint64_t at, uint64_t n, struct err *e)
{
	for (size_t k = 0; k < c->parts; k++)
		if (compose_meets(at, n, c->part[k].at, c->part[k].bytes))
			return err_set(e, ERR_PART_OVERLAP,
				"parts '%s' (0x%llx, %llu bytes) and '%s' (0x%llx, %llu bytes) overlap: give each its own place",
				c->part[k].name, (unsigned long long)c->part[k].at,
				(unsigned long long)c->part[k].bytes, name, (unsigned long long)at,
				(unsigned long long)n);
	return 0;
}

static int outside(
	const struct compose *c, const char *name, uint64_t at, uint64_t n, struct err *e)
{
	const struct compose_run *last = c->runs ? &c->run[c->runs - 1] : NULL;

	return err_set(e, ERR_PART_OUTSIDE,
		"part '%s' (0x%llx, %llu bytes) lies outside of the image, which goes from 0x%llx to 0x%llx in %zu piece%s: correct 'at'%s",
		name, (unsigned long long)at, (unsigned long long)n,
		last ? (unsigned long long)c->run[0].address : 0,
		last ? (unsigned long long)(last->address + last->bytes - 1) : 0, c->runs,
		c->runs == 1 ? "" : "s", c->placed ? ", or say 'outside: add'" : " or 'size'");
}

/* Where it lies, made where that is allowed. */
static int find_place(
	struct compose *c, const char *name, uint64_t at, uint64_t n, uint8_t **ret, struct err *e)
{
	int r = 0;

	*ret = n <= UINT64_MAX - at ? compose_at(c, at, n) : NULL;
	if (*ret)
		return 0;
	if (!c->gaps || !c->placed || n > UINT64_MAX - at)
		return outside(c, name, at, n, e);
	for (size_t k = 0; r == 0 && k < c->runs; k++)
		if (compose_meets(at, n, c->run[k].address, c->run[k].bytes))
			r = outside(c, name, at, n, e);
	if (r == 0)
		r = add_run(c, at, n, 0xff, e);
	if (r == 0)
		*ret = compose_at(c, at, n);
	return r;
}

static int add_part(struct compose *c, const struct compose_part *p, uint8_t **ret, struct err *e)
{
	int r = check_overlap(c, p->name, p->at, p->bytes, e);

	if (r == 0 && c->parts == COMPOSE_PARTS_MAX)
		r = err_set(e, ERR_TOO_LARGE, "more than %d parts", COMPOSE_PARTS_MAX);
	if (r == 0)
		r = find_place(c, p->name, p->at, p->bytes, ret, e);
	if (r == 0)
		r = compose_touch(c, p->name, p->at, p->bytes, e);
	if (r < 0)
		return r;
	c->part = reallocarray(c->part, c->parts + 1, sizeof *c->part);
	if (!c->part)
		abort();
	c->part[c->parts] = *p;
	c->part[c->parts++].name = xstrdup(p->name);
	c->secret |= p->secret;
	return 0;
}

int compose_put(struct compose *c, const char *name, uint64_t at, const uint8_t *p, size_t n,
	bool secret, struct err *e)
{
	const struct compose_part part = {name, at, n, secret, NULL};
	uint8_t *to = NULL;
	int r = n ? add_part(c, &part, &to, e)
		  : err_set(e, ERR_VALUE_EMPTY, "part '%s' has no bytes", name);

	if (r == 0)
		memcpy(to, p, n);
	return r;
}

int compose_crc(struct compose *c, const char *name, const struct compose_crc *s, struct err *e)
{
	const struct compose_part part = {name, s->at, s->kind->width / 8, false, s->kind->name};
	uint8_t *to = NULL;
	int r = 0;

	if (s->bytes == 0 || s->bytes > UINT64_MAX - s->from)
		return err_set(
			e, ERR_INVALID, "'%s': a sum over no bytes: correct 'from' and 'to'", name);
	if (compose_meets(s->from, s->bytes, part.at, part.bytes))
		return err_set(e, ERR_INVALID,
			"'%s' is stored at 0x%llx, within the range that it is made of: a sum cannot cover itself",
			name, (unsigned long long)s->at);
	r = add_part(c, &part, &to, e);
	if (r < 0)
		return r;
	c->sum = reallocarray(c->sum, c->sums + 1, sizeof *c->sum);
	if (!c->sum)
		abort();
	c->sum[c->sums++] = (struct compose_sum){*s, c->parts - 1, false};
	return 0;
}

/* --- sums --- */

/* All sums that it covers are made, and know it of themselves. */
static bool covers_secret(const struct compose *c, const struct compose_crc *s)
{
	for (size_t k = 0; k < c->parts; k++)
		if (c->part[k].secret &&
			compose_meets(s->from, s->bytes, c->part[k].at, c->part[k].bytes))
			return true;
	return false;
}

static int make_crc(struct compose *c, struct compose_sum *x, struct err *e)
{
	const struct crc_kind *kind = x->s.kind;
	struct compose_part *part = &c->part[x->part];
	uint32_t sum = crc_begin(kind);
	uint8_t *to = compose_at(c, part->at, part->bytes);

	for (uint64_t at = x->s.from; at < x->s.from + x->s.bytes;) {
		size_t k = find_run(c, at);
		const struct compose_run *g = k < c->runs ? &c->run[k] : NULL;
		uint64_t n;

		if (!g || at < g->address)
			return err_set(e, ERR_PART_OUTSIDE,
				"'%s' is made of 0x%llx to 0x%llx, and the image has nothing at 0x%llx: correct its range",
				part->name, (unsigned long long)x->s.from,
				(unsigned long long)(x->s.from + x->s.bytes - 1),
				(unsigned long long)at);
		n = MIN(g->address + g->bytes, x->s.from + x->s.bytes) - at;
		sum = crc_add(kind, sum, g->data + (at - g->address), n);
		at += n;
	}
	sum = crc_end(kind, sum);
	for (size_t i = 0; i < part->bytes; i++)
		to[x->s.big ? part->bytes - 1 - i : i] = (uint8_t)(sum >> 8 * i);
	part->secret = covers_secret(c, &x->s);
	x->done = true;
	return 0;
}

/* Something in the range is yet to be made. */
static bool is_waited_for(const struct compose *c, uint64_t from, uint64_t n)
{
	for (size_t k = 0; k < c->sums; k++) {
		const struct compose_part *p = &c->part[c->sum[k].part];

		if (!c->sum[k].done && compose_meets(from, n, p->at, p->bytes))
			return true;
	}
	for (size_t k = 0; k < c->seals; k++) {
		const struct compose_seal *s = &c->seal[k];

		if (s->touched && compose_meets(from, n, s->sums_at, s->at + s->bytes - s->sums_at))
			return true;
	}
	return false;
}

/* One round: what covers nothing that is yet to be made. */
static int make_some(struct compose *c, size_t *ret_made, size_t *ret_left, struct err *e)
{
	int r = 0;

	*ret_made = *ret_left = 0;
	for (size_t k = 0; r == 0 && k < c->sums; k++) {
		struct compose_sum *x = &c->sum[k];
		bool ready = !x->done && !is_waited_for(c, x->s.from, x->s.bytes);

		if (ready)
			r = make_crc(c, x, e);
		*ret_made += ready;
		*ret_left += !x->done;
	}
	for (size_t k = 0; r == 0 && k < c->seals; k++) {
		struct compose_seal *s = &c->seal[k];
		bool ready = s->touched && !is_waited_for(c, s->at, s->sums_at - s->at);

		if (ready)
			r = compose_reseal(c, s, e);
		*ret_made += ready;
		*ret_left += s->touched;
	}
	return r;
}

int compose_end(struct compose *c, struct err *e)
{
	size_t made = 0;
	size_t left = 1;

	while (left > 0) {
		int r = make_some(c, &made, &left, e);

		if (r < 0)
			return r;
		if (left > 0 && made == 0)
			return err_set(e, ERR_INVALID,
				"%zu sums cover each other's places, so that none can be made first: correct their ranges",
				left);
	}
	return 0;
}

/* --- what came of it --- */

const struct compose_part *compose_parts(const struct compose *c, size_t *ret_n)
{
	*ret_n = c->parts;
	return c->part;
}

const uint8_t *compose_part_bytes(const struct compose *c, size_t k)
{
	return k < c->parts ? compose_at(c, c->part[k].at, c->part[k].bytes) : NULL;
}

unsigned compose_esp_seals(const struct compose *c)
{
	return c->esp_seals;
}

bool compose_is_secret(const struct compose *c)
{
	return c->secret;
}

bool compose_is_placed(const struct compose *c)
{
	return c->placed;
}

uint64_t compose_address(const struct compose *c)
{
	return c->runs ? c->run[0].address : 0;
}

uint64_t compose_bytes(const struct compose *c)
{
	uint64_t n = 0;

	for (size_t k = 0; k < c->runs; k++)
		n += c->run[k].bytes;
	return n;
}

static int raw_result(const struct compose *c, const char *name, struct blob **ret, struct err *e)
{
	uint8_t *bytes;
	int r = blob_new_private(name, compose_bytes(c), &bytes, ret, e);

	if (r < 0)
		return r;
	memcpy(bytes, c->run[0].data, c->run[0].bytes);
	blob_seal(*ret);
	return 0;
}

static int hex_result(const struct compose *c, const char *name, struct blob **ret, struct err *e)
{
	_cleanup_(freep) struct image_segment *g = xcalloc(c->runs, sizeof *g);
	struct image i = {.path = (char *)(uintptr_t)name,
		.segments = g,
		.count = c->runs,
		.has_entry = c->has_entry,
		.entry = c->entry};
	char *text = NULL;
	uint8_t *bytes;
	size_t n = 0;
	int r;

	for (size_t k = 0; k < c->runs; k++)
		g[k] = (struct image_segment){
			c->run[k].address, c->run[k].bytes, c->run[k].data, 0};
	r = image_text_ihex(&i, &text, &n, e);
	if (r == 0)
		r = blob_new_private(name, n, &bytes, ret, e);
	if (r == 0) {
		memcpy(bytes, text, n);
		blob_seal(*ret);
	}
	if (text)
		secret_wipe(text, n);
	free(text);
	return r;
}

int compose_result(struct compose *c, const char *name, struct blob **ret, struct err *e)
{
	return c->placed ? hex_result(c, name, ret, e) : raw_result(c, name, ret, e);
}
