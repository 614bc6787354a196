/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/disk/disk_image.h"

#include <stdlib.h>
#include <string.h>

#include "transports/images/sparse.h"

#define STEP_BYTES (1u << 20)
#define ALIGN	   4096u

/* -- ranges -- */

static int add_range(struct disk_image *i, size_t room, const struct disk_range *r)
{
	struct disk_range *last = i->count ? &i->range[i->count - 1] : NULL;

	if (!r->n)
		return 0;
	i->mapped += r->n;
	if (last && r->data && last->data && last->at + last->n == r->at &&
		last->data + last->n == r->data) {
		last->n += r->n;
		return 0;
	}
	if (i->count == room)
		return -1;
	i->range[i->count++] = *r;
	return 0;
}

static int of_sparse(struct disk_image *i, const char *name, const struct blob *b, struct err *e)
{
	_cleanup_(sparse_freep) struct sparse *s = NULL;
	int r = sparse_read(name, b->data, b->size, &s, e);

	if (r < 0)
		return r;
	if (s->is_part)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is one part of a sparse image: give the whole", name);
	i->range = calloc(s->count + 1, sizeof *i->range);
	if (!i->range)
		return err_set(e, ERR_NO_MEMORY, "%zu chunks", s->count);
	for (size_t k = 0; k < s->count; k++) {
		const struct sparse_chunk *c = &s->chunk[k];
		struct disk_range range = {.at = c->block * s->block_bytes,
			.n = (uint64_t)c->blocks * s->block_bytes,
			.data = c->kind == SPARSE_RAW ? c->data : NULL,
			.fill = {(uint8_t)c->fill, (uint8_t)(c->fill >> 8),
				(uint8_t)(c->fill >> 16), (uint8_t)(c->fill >> 24)}};

		if (c->kind != SPARSE_SKIP)
			add_range(i, s->count, &range);
	}
	i->bytes = (uint64_t)s->blocks * s->block_bytes;
	i->kind = "sparse";
	return 0;
}

static int of_map(struct disk_image *i, const char *name, const struct blob *b,
	const struct bmap *m, struct err *e)
{
	int r = bmap_compare(m, name, b->data, b->size, e);

	if (r < 0)
		return r;
	for (size_t k = 0; k < m->ranges; k++)
		if (!m->range[k].sha256[0])
			return err_set(e, ERR_IMAGE_INVALID,
				"the block map of %s has no SHA-256 of its ranges: nothing says that it belongs to this image (make it with bmaptool create)",
				name);
	i->range = calloc(m->ranges + 1, sizeof *i->range);
	if (!i->range)
		return err_set(e, ERR_NO_MEMORY, "%zu ranges", m->ranges);
	for (size_t k = 0; k < m->ranges; k++) {
		uint64_t at = m->range[k].first * m->block_bytes;
		uint64_t end = MIN((m->range[k].last + 1) * m->block_bytes, b->size);
		const struct disk_range range = {.at = at, .n = end - at, .data = b->data + at};

		add_range(i, m->ranges, &range);
	}
	i->bytes = b->size;
	i->kind = "bmap";
	return 0;
}

static int of_raw(struct disk_image *i, const struct blob *b, struct err *e)
{
	i->range = calloc(1, sizeof *i->range);
	if (!i->range)
		return err_set(e, ERR_NO_MEMORY, "a range");
	add_range(i, 1, &(struct disk_range){.n = b->size, .data = b->data});
	i->bytes = b->size;
	i->kind = "raw";
	return 0;
}

int disk_image_of(const char *name, const struct blob *b, const struct bmap *m,
	struct disk_image **ret, struct err *e)
{
	_cleanup_(disk_image_freep) struct disk_image *i = xcalloc(1, sizeof *i);
	bool sparse = sparse_detect(b->data, b->size);
	int r;

	if (sparse && m)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is a sparse image, which has its own map: leave 'bmap' out", name);
	r = sparse ? of_sparse(i, name, b, e) : m ? of_map(i, name, b, m, e) : of_raw(i, b, e);
	if (r == 0 && !i->count)
		r = err_set(e, ERR_IMAGE_INVALID, "%s holds nothing to write", name);
	if (r == 0)
		*ret = steal_ptr(&i);
	return r;
}

struct disk_image *disk_image_free(struct disk_image *i)
{
	if (i) {
		free(i->range);
		free(i);
	}
	return NULL;
}

/* -- steps of a MiB -- */

struct work {
	const struct disk_port *p;
	const struct disk_image *i;
	const struct teller *tell;
	const struct iotime *it;
	uint8_t *buf, *want; /* STEP_BYTES each, aligned */
	uint64_t done;
	struct sha256 *sum;
};

/* Bytes [from, from + n) of a range. */
static void content_of(const struct disk_range *r, uint64_t from, uint8_t *to, size_t n)
{
	if (r->data) {
		memcpy(to, r->data + from, n);
		return;
	}
	for (size_t k = 0; k < n; k++)
		to[k] = r->fill[(from + k) % sizeof r->fill];
}

static size_t round_up(const struct work *w, size_t n)
{
	return (n + w->p->sector_bytes - 1) / w->p->sector_bytes * w->p->sector_bytes;
}

/* What shares a sector with the end of an image keeps its bytes. */
static int write_step(
	struct work *w, const struct disk_range *r, uint64_t from, size_t n, struct err *e)
{
	size_t whole = round_up(w, n);
	int r2 = 0;

	if (whole != n)
		r2 = w->p->read(w->p->data, r->at + from + whole - w->p->sector_bytes,
			w->buf + whole - w->p->sector_bytes, w->p->sector_bytes, e);
	if (r2 < 0)
		return r2;
	content_of(r, from, w->buf, n);
	return w->p->write(w->p->data, r->at + from, w->buf, whole, e);
}

static int verify_step(
	struct work *w, const struct disk_range *r, uint64_t from, size_t n, struct err *e)
{
	int r2 = w->p->read(w->p->data, r->at + from, w->buf, round_up(w, n), e);

	if (r2 < 0)
		return r2;
	content_of(r, from, w->want, n);
	for (size_t k = 0; memcmp(w->buf, w->want, n) != 0 && k < n; k++)
		if (w->buf[k] != w->want[k])
			return err_set(e, ERR_VERIFY_MISMATCH,
				"the disk differs from the image, first at byte %llu: %02x, %02x expected",
				(unsigned long long)(r->at + from + k), w->buf[k], w->want[k]);
	sha256_add(w->sum, w->buf, n);
	return 0;
}

static int digest_step(
	struct work *w, const struct disk_range *r, uint64_t from, size_t n, struct err *e)
{
	content_of(r, from, w->want, n);
	sha256_add(w->sum, w->want, n);
	return 0;
}

typedef int step_fn(
	struct work *w, const struct disk_range *r, uint64_t from, size_t n, struct err *e);

/* All bytes from image offset `after` on, in pieces. */
static int each_step(struct work *w, const char *phase, uint64_t after, step_fn *fn, struct err *e)
{
	w->done = 0;
	for (size_t k = 0; k < w->i->count; k++) {
		const struct disk_range *range = &w->i->range[k];
		uint64_t from = range->at < after ? MIN(after - range->at, range->n) : 0;

		w->done += from;
		while (from < range->n) {
			size_t n = (size_t)MIN(range->n - from, (uint64_t)STEP_BYTES);
			int r = iotime_check(w->it, e);

			if (r == 0)
				r = fn(w, range, from, n, e);
			if (r < 0)
				return r;
			from += n;
			w->done += n;
			teller_progress(w->tell, phase, w->done, w->i->mapped);
		}
	}
	return 0;
}

/* -- the whole -- */

static int check(const struct disk_port *p, const struct disk_image *i, struct err *e)
{
	if (!p->sector_bytes || p->sector_bytes > ALIGN || p->sector_bytes & (p->sector_bytes - 1))
		return err_set(
			e, ERR_UNSUPPORTED, "the disk has sectors of %u bytes", p->sector_bytes);
	if (i->bytes > p->bytes)
		return err_set(e, ERR_IMAGE_RANGE, "the image is for %llu bytes, the disk has %llu",
			(unsigned long long)i->bytes, (unsigned long long)p->bytes);
	for (size_t k = 0; k < i->count; k++)
		if (i->range[k].at % p->sector_bytes)
			return err_set(e, ERR_IMAGE_RANGE,
				"the image has a range at byte %llu, the disk has sectors of %u bytes",
				(unsigned long long)i->range[k].at, p->sector_bytes);
	return 0;
}

static int work_begin(struct work *w, struct err *e)
{
	w->sum = sha256_new();
	w->buf = aligned_alloc(ALIGN, STEP_BYTES);
	w->want = aligned_alloc(ALIGN, STEP_BYTES);
	return w->buf && w->want ? 0 : err_set(e, ERR_NO_MEMORY, "%u bytes", 2 * STEP_BYTES);
}

static void work_end(struct work *w)
{
	sha256_free(w->sum);
	free(w->buf);
	free(w->want);
}

static void take_digest(struct work *w, char ret[SHA256_HEX])
{
	uint8_t sum[SHA256_BYTES];

	sha256_end(w->sum, sum);
	hex_of(sum, sizeof sum, ret);
	sha256_free(w->sum);
	w->sum = sha256_new();
}

static int verify(struct work *w, struct disk_result *ret, struct err *e)
{
	struct disk_result result = {.bytes = w->i->mapped};
	int r = each_step(w, "verify", 0, verify_step, e);

	if (r == 0)
		r = w->p->same(w->p->data, e);
	if (r < 0)
		return r;
	take_digest(w, result.sha256_read);
	r = each_step(w, "digest", 0, digest_step, e);
	if (r < 0)
		return r;
	take_digest(w, result.sha256_written);
	if (strcmp(result.sha256_read, result.sha256_written) != 0)
		return err_set(e, ERR_INTERNAL, "what was compared has another digest");
	*ret = result;
	return 0;
}

/* How much of the beginning is written last: none where the image leaves the beginning of the disk as it is. */
static size_t head_of(const struct disk_image *i)
{
	return i->range[0].at == 0 ? (size_t)MIN(i->range[0].n, (uint64_t)STEP_BYTES) : 0;
}

static int clear_head(struct work *w, size_t head, struct err *e)
{
	size_t whole = head / w->p->sector_bytes * w->p->sector_bytes;

	memset(w->buf, 0, whole);
	return whole ? w->p->write(w->p->data, 0, w->buf, whole, e) : 0;
}

static int write_all(struct work *w, struct err *e)
{
	size_t head = head_of(w->i);
	int r = clear_head(w, head, e);

	if (r == 0)
		r = each_step(w, "write", head, write_step, e);
	/* What is before it is in the unit before the beginning is. */
	if (r == 0)
		r = w->p->flush(w->p->data, e);
	if (r == 0 && head)
		r = write_step(w, &w->i->range[0], 0, head, e);
	return r == 0 ? w->p->flush(w->p->data, e) : r;
}

int disk_image_write(const struct disk_port *p, const struct disk_image *i,
	const struct teller *tell, struct disk_result *ret, const struct iotime *it, struct err *e)
{
	struct work w = {.p = p, .i = i, .tell = tell, .it = it};
	int r = check(p, i, e);

	if (r < 0)
		return r;
	r = work_begin(&w, e);
	if (r == 0)
		r = write_all(&w, e);
	if (r == 0)
		r = p->same(p->data, e);
	if (r == 0)
		r = verify(&w, ret, e);
	work_end(&w);
	return r;
}

int disk_image_verify(const struct disk_port *p, const struct disk_image *i,
	const struct teller *tell, struct disk_result *ret, const struct iotime *it, struct err *e)
{
	struct work w = {.p = p, .i = i, .tell = tell, .it = it};
	int r = check(p, i, e);

	if (r < 0)
		return r;
	r = work_begin(&w, e);
	if (r == 0)
		r = verify(&w, ret, e);
	work_end(&w);
	return r;
}

int disk_copy_out(const struct disk_port *p, uint64_t at, uint64_t n, disk_piece_fn *fn, void *data,
	const struct teller *tell, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = aligned_alloc(ALIGN, STEP_BYTES);
	int r = buf ? 0 : err_set(e, ERR_NO_MEMORY, "%u bytes", STEP_BYTES);

	if (r == 0 && (at > p->bytes || n > p->bytes - at))
		r = err_set(e, ERR_IMAGE_RANGE, "%llu bytes at %llu: the disk has %llu",
			(unsigned long long)n, (unsigned long long)at,
			(unsigned long long)p->bytes);
	for (uint64_t done = 0; r == 0 && done < n;) {
		uint64_t from = at + done;
		size_t ahead = (size_t)(from % p->sector_bytes);
		size_t k = (size_t)MIN(n - done, (uint64_t)STEP_BYTES - ahead);
		size_t whole =
			(ahead + k + p->sector_bytes - 1) / p->sector_bytes * p->sector_bytes;

		r = iotime_check(it, e);
		if (r == 0)
			r = p->read(p->data, from - ahead, buf, whole, e);
		if (r == 0)
			r = fn(data, buf + ahead, k, e);
		done += k;
		teller_progress(tell, "read", done, n);
	}
	return r == 0 ? p->same(p->data, e) : r;
}
