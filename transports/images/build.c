/* SPDX-License-Identifier: Apache-2.0
 *
 * From pieces in the order of the file to the image: sorted, checked against each other, joined
 * where they are adjacent, digested.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "transports/images/image_impl.h"

#define WIDE_SPAN_BYTES (64ull << 20)
#define WIDE_SPAN_RATIO 100

int image_malformed(
	const struct image_source *s, uint64_t where, struct err *e, const char *fmt, ...)
{
	char what[240];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return s->by_line ? err_set(e, ERR_IMAGE_INVALID, "firmware file %s, line %llu: %s",
				    s->image->path, (unsigned long long)where, what)
			  : err_set(e, ERR_IMAGE_INVALID, "firmware file %s, offset 0x%llx: %s",
				    s->image->path, (unsigned long long)where, what);
}

void image_note(struct image *i, const char *fmt, ...)
{
	char text[240];
	va_list ap;

	i->notes++;
	if (i->notes > IMAGE_NOTES_MAX) {
		i->notes = IMAGE_NOTES_MAX;
		str_replace(&i->note[IMAGE_NOTES_MAX - 1], "and more that is odd");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	i->note[i->notes - 1] = xstrdup(text);
}

static int out_of_memory(const struct image_source *s, struct err *e)
{
	return err_errno(e, ERR_NO_MEMORY, ENOMEM, "firmware file %s", s->image->path);
}

static int grow(struct image_source *s, struct err *e)
{
	size_t cap = s->cap ? 2 * s->cap : 16;
	struct image_piece *p;

	if (s->count < s->cap)
		return 0;
	if (s->count >= IMAGE_MAX_PIECES)
		return err_set(e, ERR_IMAGE_INVALID, "firmware file %s: more than %u parts",
			s->image->path, IMAGE_MAX_PIECES);
	p = realloc(s->pieces, cap * sizeof *p);
	if (!p)
		return out_of_memory(s, e);
	s->pieces = p;
	s->cap = cap;
	return 0;
}

static int check_fits(
	const struct image_source *s, uint64_t address, uint64_t len, uint64_t where, struct err *e)
{
	if (address < s->limit && len <= s->limit - address)
		return 0;
	image_malformed(s, where, e, "%llu bytes at 0x%08llx end above the address space",
		(unsigned long long)len, (unsigned long long)address);
	if (e)
		e->code = ERR_IMAGE_RANGE;
	return -ERR_IMAGE_RANGE;
}

int image_add(struct image_source *s, uint8_t target, uint64_t address, const uint8_t *data,
	uint64_t len, uint64_t where, struct err *e)
{
	struct image_piece *last = s->count ? &s->pieces[s->count - 1] : NULL;
	int r = check_fits(s, address, len, where, e);

	if (r < 0)
		return r;
	if (last && last->target == target && last->address + last->len == address &&
		last->data + last->len == data) {
		last->len += len;
		return 0;
	}
	r = grow(s, e);
	if (r < 0)
		return r;
	s->pieces[s->count] = (struct image_piece){.address = address,
		.len = len,
		.data = data,
		.where = where,
		.order = (uint32_t)s->count,
		.target = target};
	s->count++;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct image_piece *p = a;
	const struct image_piece *q = b;

	if (p->target != q->target)
		return p->target < q->target ? -1 : 1;
	if (p->address != q->address)
		return p->address < q->address ? -1 : 1;
	return p->order < q->order ? -1 : p->order > q->order;
}

/* What the builder has joined so far. */
struct joint {
	struct image_source *s;
	uint8_t *bytes;
	uint64_t used;
	size_t cap;   /* of segments */
	size_t twice; /* pieces with bytes that were there already */
	bool unlike;  /* those of one were others */
};

static int clash(const struct image_source *s, const struct image_piece *p, uint64_t at, bool same,
	struct err *e)
{
	return image_malformed(s, p->where, e,
		"the byte for 0x%08llx is there already, %s: parts of the file overlap%s",
		(unsigned long long)at, same ? "the same" : "another one",
		same ? "" : " ('overlap: last' keeps the later ones)");
}

/* The part of p that segment g holds already; *ret_len is how long it is. */
static int check_overlap(struct joint *j, const struct image_segment *g,
	const struct image_piece *p, uint64_t *ret_len, struct err *e)
{
	uint64_t skip = p->address - g->address;
	uint64_t len = MIN(g->len - skip, p->len);

	*ret_len = len;
	for (uint64_t k = 0; k < len; k++)
		if (g->data[skip + k] != p->data[k]) {
			j->unlike = true;
			return clash(j->s, p, p->address + k, false, e);
		}
	if (!j->s->same_twice)
		return clash(j->s, p, p->address, true, e);
	if (j->twice++ == 0)
		image_note(j->s->image, "0x%08llx comes twice, with the same bytes (%s %llu)",
			(unsigned long long)p->address, j->s->by_line ? "line" : "offset",
			(unsigned long long)p->where);
	return 0;
}

static int new_segment(struct joint *j, const struct image_piece *p, struct err *e)
{
	struct image *i = j->s->image;

	if (i->count == IMAGE_MAX_SEGMENTS)
		return err_set(e, ERR_IMAGE_INVALID,
			"firmware file %s: more than %d separate parts", i->path,
			IMAGE_MAX_SEGMENTS);
	if (i->count == j->cap) {
		size_t cap = j->cap ? 2 * j->cap : 8;
		struct image_segment *g = realloc(i->segments, cap * sizeof *g);

		if (!g)
			return out_of_memory(j->s, e);
		i->segments = g;
		j->cap = cap;
	}
	i->segments[i->count++] =
		(struct image_segment){p->address, 0, j->bytes + j->used, p->target};
	return 0;
}

static int join(struct joint *j, const struct image_piece *p, struct err *e)
{
	struct image *i = j->s->image;
	struct image_segment *g = i->count ? &i->segments[i->count - 1] : NULL;
	uint64_t skip = 0;
	int r = 0;

	if (!g || g->target != p->target || g->address + g->len < p->address) {
		r = new_segment(j, p, e);
		g = &i->segments[i->count - 1];
	} else if (g->address + g->len > p->address) {
		r = check_overlap(j, g, p, &skip, e);
	}
	if (r < 0)
		return r;
	memcpy(j->bytes + j->used, p->data + skip, p->len - skip);
	j->used += p->len - skip;
	g->len += p->len - skip;
	return 0;
}

/* Where different bytes are declared to be meant: the extents first, then the bytes in the order of
 * the file, so that the later ones are kept. */
static int extend(struct joint *j, const struct image_piece *p, struct err *e)
{
	struct image *i = j->s->image;
	struct image_segment *g = i->count ? &i->segments[i->count - 1] : NULL;
	uint64_t end = p->address + p->len;
	uint64_t more = p->len;

	if (!g || g->target != p->target || g->address + g->len < p->address) {
		int r = new_segment(j, p, e);

		if (r < 0)
			return r;
		g = &i->segments[i->count - 1];
	} else {
		uint64_t have = g->address + g->len;

		j->twice += have > p->address;
		more = end > have ? end - have : 0;
	}
	g->len += more;
	j->used += more;
	return 0;
}

static int by_order(const void *a, const void *b)
{
	const struct image_piece *p = a;
	const struct image_piece *q = b;

	return p->order < q->order ? -1 : p->order > q->order;
}

static void lay_over(struct joint *j, const struct image_piece *p)
{
	const struct image *i = j->s->image;
	const struct image_segment *g = &i->segments[image_find(i, p->target, p->address)];

	memcpy(j->bytes + (g->data - j->bytes) + (p->address - g->address), p->data, p->len);
}

static int join_later_wins(struct joint *j, struct err *e)
{
	struct image_source *s = j->s;
	int r = 0;

	for (size_t k = 0; r == 0 && k < s->count; k++)
		r = extend(j, &s->pieces[k], e);
	if (r < 0)
		return r;
	qsort(s->pieces, s->count, sizeof *s->pieces, by_order);
	for (size_t k = 0; k < s->count; k++)
		lay_over(j, &s->pieces[k]);
	if (j->twice)
		image_note(s->image, "%zu parts of the file overlap: the later bytes are kept%s",
			j->twice, s->opts->last_wins ? ", as declared" : "");
	return 0;
}

static int join_strictly(struct joint *j, struct err *e)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < j->s->count; k++)
		r = join(j, &j->s->pieces[k], e);
	return r;
}

static int join_all(struct image_source *s, struct err *e)
{
	struct image *i = s->image;
	struct joint j = {.s = s};
	uint64_t total = 0;
	int r = 0;

	for (size_t k = 0; k < s->count; k++)
		total += s->pieces[k].len;
	/* Only a file that lies says so: its parts are all the same bytes. */
	if (total > IMAGE_MAX_BYTES)
		return err_set(e, ERR_IMAGE_INVALID,
			"firmware file %s: its parts have %llu bytes, more than %llu MiB", i->path,
			(unsigned long long)total, IMAGE_MAX_BYTES >> 20);
	j.bytes = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (j.bytes == MAP_FAILED)
		return out_of_memory(s, e);
	i->owned = j.bytes;
	i->owned_len = total;
	qsort(s->pieces, s->count, sizeof *s->pieces, by_place);
	r = s->opts->last_wins ? join_later_wins(&j, e) : join_strictly(&j, e);
	if (r < 0 && j.unlike && s->opts->for_store) {
		image_note(i,
			"different bytes for one address: no step flashes it unless it says 'overlap: last'");
		i->count = 0;
		j.used = 0;
		j.twice = 0;
		r = join_later_wins(&j, e);
	}
	if (r < 0)
		return r;
	mprotect(i->owned, i->owned_len, PROT_READ);
	image_unmap(i, i->map, i->map_len);
	i->map = NULL;
	return 0;
}

static void digest(struct image *i)
{
	struct sha256 *d = sha256_new();
	uint8_t sum[SHA256_BYTES];

	for (size_t k = 0; k < i->count; k++) {
		const struct image_segment *g = &i->segments[k];
		uint8_t head[17];
		struct wbytes w = wbytes_of(head, sizeof head);

		if (g->target)
			wb_u8(&w, g->target);
		wb_le64(&w, g->address);
		wb_le64(&w, g->len);
		sha256_add(d, head, w.len);
		sha256_add(d, g->data, g->len);
		i->bytes += g->len;
	}
	sha256_end(d, sum);
	sha256_free(d);
	hex_of(sum, sizeof sum, i->payload);
}

static void look_at_span(struct image *i)
{
	const struct image_segment *last = &i->segments[i->count - 1];
	uint64_t span = last->address + last->len - i->segments[0].address;

	if (last->target == i->segments[0].target && span > WIDE_SPAN_BYTES &&
		i->bytes < span / WIDE_SPAN_RATIO)
		image_note(i, "%llu bytes in %zu parts over a span of %llu MiB",
			(unsigned long long)i->bytes, i->count, (unsigned long long)(span >> 20));
}

int image_build(struct image_source *s, struct err *e)
{
	struct image *i = s->image;
	int r = 0;

	if (s->count == 0)
		return err_set(e, ERR_IMAGE_INVALID, "firmware file %s holds no data", i->path);
	/* The file stays in memory where it is the segment, not where it is mostly something else.
	 */
	if (s->count == 1 && !s->decoded && s->pieces[0].len > s->n / 2) {
		i->segments = xcalloc(1, sizeof *i->segments);
		i->segments[0] = (struct image_segment){s->pieces[0].address, s->pieces[0].len,
			s->pieces[0].data, s->pieces[0].target};
		i->count = 1;
	} else {
		r = join_all(s, e);
	}
	if (r < 0)
		return r;
	digest(i);
	look_at_span(i);
	return 0;
}
