/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading partitions back (fastbootd: device/commands.cpp, FetchHandler), and comparing them with
 * what a file makes of them. What the file skips is neither compared nor digested.
 */
#include "transports/protocols/fastboot/fastboot_flash_impl.h"

#include <string.h>

#define FETCH_DEFAULT_BYTES (1u << 20)

int fastboot_fetch(struct fastboot *f, const char *target, uint64_t offset, uint64_t n,
	fastboot_sink_fn *sink, void *sink_data, const struct iotime *it, struct err *e)
{
	uint64_t step = 0;
	int r = fastboot_getvar_size(f, "max-fetch-size", &step, it, e);

	if (r == 0 && step == 0)
		step = FETCH_DEFAULT_BYTES;
	f->send_total = n;
	for (uint64_t done = 0; r == 0 && done < n;) {
		char command[FASTBOOT_NAME_MAX + 48];
		uint64_t k = MIN(n - done, MIN(step, (uint64_t)UINT32_MAX));

		snprintf(command, sizeof command, "fetch:%s:0x%08llx:0x%08llx", target,
			(unsigned long long)(offset + done), (unsigned long long)k);
		f->sent_before = done;
		r = fastboot_collect(f, command, k, k, sink, sink_data, NULL, it, e);
		done += k;
	}
	f->sent_before = f->send_total = 0;
	return r;
}

/* What the partition should hold from a place on. */
struct expected {
	enum sparse_kind kind;
	const uint8_t *data; /* NULL with SPARSE_RAW: zeros */
	uint8_t word[4];
	uint64_t n; /* bytes of it from here on */
};

struct compare {
	const struct fastboot_source *src;
	uint64_t at;  /* offset in the partition */
	size_t chunk; /* of the list */
	uint64_t end; /* of what the file makes */
	struct sha256 *sum;
	uint64_t compared;
	bool differs;
	uint64_t where;
	uint8_t is, should;
};

static struct expected from_list(struct compare *c)
{
	const struct sparse *s = c->src->list;

	while (c->chunk < s->count) {
		const struct sparse_chunk *k = &s->chunk[c->chunk];
		uint64_t from = k->block * s->block_bytes;
		uint64_t to = from + (uint64_t)k->blocks * s->block_bytes;

		if (c->at >= to) {
			c->chunk++;
			continue;
		}

		struct expected x = {.kind = k->kind, .n = to - c->at};
		uint64_t in = c->at - from;

		if (k->kind == SPARSE_RAW && in < k->bytes) {
			x.data = k->data + in;
			x.n = k->bytes - in;
		}
		for (unsigned i = 0; i < 4; i++)
			x.word[i] = (uint8_t)(k->fill >> (8 * ((in + i) % 4)));
		return x;
	}
	return (struct expected){.kind = SPARSE_SKIP, .n = UINT64_MAX};
}

static struct expected expected_at(struct compare *c)
{
	struct expected x = {.kind = SPARSE_RAW};

	if (c->src->list && c->src->list->is_sparse)
		return from_list(c);
	x.n = spans_run(&c->src->whole, c->at, UINT64_MAX, &x.data);
	return x;
}

/* The first byte of n that is not as expected; n where all are. */
static size_t first_difference(
	const struct expected *x, const uint8_t *got, size_t n, uint8_t *should)
{
	if (x->kind == SPARSE_RAW && x->data && !memcmp(x->data, got, n))
		return n;
	for (size_t i = 0; i < n; i++) {
		*should = x->kind == SPARSE_FILL ? x->word[i % 4] : x->data ? x->data[i] : 0;
		if (got[i] != *should)
			return i;
	}
	return n;
}

static int compare_sink(void *data, const uint8_t *bytes, size_t n, struct err *e)
{
	struct compare *c = data;

	while (n > 0 && c->at < c->end) {
		struct expected x = expected_at(c);
		size_t k = (size_t)MIN((uint64_t)n, MIN(x.n, c->end - c->at));

		if (k == 0)
			return err_set(e, ERR_INTERNAL, "nothing is expected at 0x%llx",
				(unsigned long long)c->at);
		if (x.kind != SPARSE_SKIP) {
			uint8_t should = 0;
			size_t same = c->differs ? k : first_difference(&x, bytes, k, &should);

			if (same < k) {
				c->differs = true;
				c->where = c->at + same;
				c->is = bytes[same];
				c->should = should;
			}
			sha256_add(c->sum, bytes, k);
			c->compared += k;
		}
		bytes += k;
		n -= k;
		c->at += k;
	}
	return 0;
}

/* Reads all that the file makes and compares it; c->differs is the result. */
static int compare_all(struct fastboot *f, struct compare *c, const char *target,
	const struct iotime *it, struct err *e)
{
	return fastboot_fetch(f, target, 0, c->end, compare_sink, c, it, e);
}

static void begin(struct compare *c, const struct fastboot_source *src, uint64_t bytes)
{
	*c = (struct compare){.src = src, .end = bytes, .sum = sha256_new()};
	if (src->moved)
		c->end = src->whole.bytes;
}

static void end(struct compare *c, struct fastboot_flashed *t)
{
	uint8_t raw[SHA256_BYTES];

	sha256_end(c->sum, raw);
	hex_of(raw, sizeof raw, t->sha256_read);
	t->fetched = true;
	t->fetched_bytes = c->compared;
	c->sum = sha256_free(c->sum);
}

/* Whether it says how much it gives: one that has no fetch is not asked for it. */
static int gives_back(struct fastboot *f, bool *ret, const struct iotime *it, struct err *e)
{
	uint64_t step = 0;
	int r = fastboot_getvar_size(f, "max-fetch-size", &step, it, e);

	*ret = r == 0 && step > 0;
	return r;
}

int fastboot_is_there(struct fastboot *f, struct fastboot_source *src, struct fastboot_flashed *t,
	const struct iotime *it, struct err *e)
{
	struct compare c;
	bool can = false;
	int r = gives_back(f, &can, it, e);

	if (r < 0 || !can)
		return r;
	begin(&c, src, t->image_bytes);
	r = compare_all(f, &c, t->target, it, e);
	if (r == -ERR_DEVICE_REFUSED) {
		r = 0;
	} else if (r == 0 && !c.differs) {
		t->skipped = true;
		end(&c, t);
	}
	sha256_free(c.sum);
	return r;
}

static int mismatch(const struct compare *c, const char *target, struct err *e)
{
	return err_set(e, ERR_VERIFY_MISMATCH,
		"partition %s holds 0x%02x at offset 0x%llx, 0x%02x was written", target, c->is,
		(unsigned long long)c->where, c->should);
}

int fastboot_read_back(struct fastboot *f, struct fastboot_source *src,
	const struct fastboot_flash_opts *o, struct fastboot_flashed *t, const struct iotime *it,
	struct err *e)
{
	bool must = o->verify == FASTBOOT_VERIFY_FETCH;
	struct err why = {0};
	struct compare c;
	bool can = must;
	int r = 0;

	if (o->verify == FASTBOOT_VERIFY_NONE) {
		snprintf(t->not_fetched, sizeof t->not_fetched, "not asked for");
		return 0;
	}
	if (!must)
		r = gives_back(f, &can, it, e);
	if (r < 0)
		return r;
	if (!can) {
		snprintf(t->not_fetched, sizeof t->not_fetched, "the device has no fetch");
		return 0;
	}
	begin(&c, src, t->image_bytes);
	r = compare_all(f, &c, t->target, it, &why);
	if (r == -ERR_DEVICE_REFUSED && !must) {
		snprintf(t->not_fetched, sizeof t->not_fetched, "%s", why.msg);
		r = 0;
	} else if (r < 0) {
		if (e)
			*e = why;
		err_prefix(e, "read back");
	} else if (c.differs) {
		r = mismatch(&c, t->target, e);
	} else {
		end(&c, t);
	}
	sha256_free(c.sum);
	return r;
}
