/* SPDX-License-Identifier: Apache-2.0 */
#include "base/merkle.h"

#include <string.h>

#include "base/util.h"

static struct merkle_hash hash_of(uint8_t prefix, const void *a, size_t n, const void *b, size_t m)
{
	struct sha256 *d = sha256_new();
	struct merkle_hash ret;

	sha256_add(d, &prefix, 1);
	sha256_add(d, a, n);
	if (m)
		sha256_add(d, b, m);
	sha256_end(d, ret.b);
	sha256_free(d);
	return ret;
}

struct merkle_hash merkle_leaf(const void *data, size_t n)
{
	return hash_of(0, data, n, NULL, 0);
}

struct merkle_hash merkle_parent(const struct merkle_hash *left, const struct merkle_hash *right)
{
	return hash_of(1, left->b, sizeof left->b, right->b, sizeof right->b);
}

bool merkle_equal(const struct merkle_hash *a, const struct merkle_hash *b)
{
	return !memcmp(a->b, b->b, sizeof a->b);
}

/* Before the last leaf of a node all nodes of the leaves before it were completed: of i leaves 2i - (bits
 * of i); then that leaf, and a node for each level up to it. */
uint64_t merkle_position(unsigned level, uint64_t index)
{
	uint64_t leaf = ((index + 1) << level) - 1;

	return 2 * leaf - (uint64_t)__builtin_popcountll(leaf) + level;
}

/* --- a tree that grows --- */

int merkle_add(struct merkle_growth *g, const struct merkle_hash *leaf, merkle_made_fn *made,
	void *data, struct err *e)
{
	struct merkle_hash h = *leaf;
	unsigned level = 0;
	int r = made ? made(data, 0, g->size, &h, e) : 0;

	for (; r == 0 && g->size >> level & 1; level++) {
		h = merkle_parent(&g->peak[level], &h);
		if (made)
			r = made(data, level + 1, g->size >> (level + 1), &h, e);
	}
	if (r < 0)
		return r;
	g->peak[level] = h;
	g->size++;
	return 0;
}

struct merkle_hash merkle_root_of(const struct merkle_growth *g)
{
	struct merkle_hash h;
	bool any = false;

	sha256_of("", 0, h.b);
	for (unsigned level = 0; level <= MERKLE_LEVELS; level++) {
		if (!(g->size >> level & 1))
			continue;
		h = any ? merkle_parent(&g->peak[level], &h) : g->peak[level];
		any = true;
	}
	return h;
}

/* --- a tree whose nodes are stored --- */

/* The level of the largest power of two below n, n > 1. */
static unsigned split_level(uint64_t n)
{
	return 63 - (unsigned)__builtin_clzll(n - 1);
}

/* Of the leaves from start on, n of them, where start is a multiple of the largest power of two in n. */
static int root_of(const struct merkle_nodes *t, uint64_t start, uint64_t n,
	struct merkle_hash *ret, struct err *e)
{
	struct merkle_hash left, right;
	unsigned level;
	int r;

	if ((n & (n - 1)) == 0) {
		level = (unsigned)__builtin_ctzll(n);
		return t->read(t->data, level, start >> level, ret, e);
	}
	level = split_level(n);
	r = t->read(t->data, level, start >> level, &left, e);
	if (r == 0)
		r = root_of(
			t, start + (UINT64_C(1) << level), n - (UINT64_C(1) << level), &right, e);
	if (r == 0)
		*ret = merkle_parent(&left, &right);
	return r;
}

int merkle_root(const struct merkle_nodes *t, uint64_t size, struct merkle_hash *ret, struct err *e)
{
	if (size > 0)
		return root_of(t, 0, size, ret, e);
	sha256_of("", 0, ret->b);
	return 0;
}

/* Proofs go from the root down, and are written from the leaves up. */
static void reverse(struct merkle_proof *p)
{
	for (size_t i = 0; i < p->n / 2; i++) {
		struct merkle_hash h = p->h[i];

		p->h[i] = p->h[p->n - 1 - i];
		p->h[p->n - 1 - i] = h;
	}
}

int merkle_inclusion(const struct merkle_nodes *t, uint64_t index, uint64_t size,
	struct merkle_proof *ret, struct err *e)
{
	uint64_t start = 0, n = size;
	int r = 0;

	ret->n = 0;
	while (r == 0 && n > 1) {
		uint64_t k = UINT64_C(1) << split_level(n);

		if (index - start < k) {
			r = root_of(t, start + k, n - k, &ret->h[ret->n++], e);
			n = k;
		} else {
			r = root_of(t, start, k, &ret->h[ret->n++], e);
			start += k;
			n -= k;
		}
	}
	reverse(ret);
	return r;
}

int merkle_consistency(const struct merkle_nodes *t, uint64_t before, uint64_t size,
	struct merkle_proof *ret, struct err *e)
{
	uint64_t start = 0, n = size;
	int r = 0;

	ret->n = 0;
	while (r == 0 && before - start != n) {
		uint64_t k = UINT64_C(1) << split_level(n);

		if (before - start <= k) {
			r = root_of(t, start + k, n - k, &ret->h[ret->n++], e);
			n = k;
		} else {
			r = root_of(t, start, k, &ret->h[ret->n++], e);
			start += k;
			n -= k;
		}
	}
	/* The subtree that both have whole; where it is all of the older tree, its root is known. */
	if (r == 0 && start > 0)
		r = root_of(t, start, n, &ret->h[ret->n++], e);
	reverse(ret);
	return r;
}

/* --- by whoever has a proof and a root --- */

bool merkle_included(const struct merkle_hash *leaf, uint64_t index, uint64_t size,
	const struct merkle_proof *p, const struct merkle_hash *root)
{
	uint64_t fn = index, sn = size - 1;
	struct merkle_hash r = *leaf;

	if (index >= size)
		return false;
	for (size_t i = 0; i < p->n; i++) {
		if (sn == 0)
			return false;
		if (fn & 1 || fn == sn) {
			r = merkle_parent(&p->h[i], &r);
			for (; !(fn & 1) && fn; fn >>= 1)
				sn >>= 1;
		} else {
			r = merkle_parent(&r, &p->h[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && merkle_equal(&r, root);
}

/* From the subtree that both trees have whole up to both roots. */
static bool climb(uint64_t fn, uint64_t sn, const struct merkle_hash *path, size_t n,
	const struct merkle_hash *before_root, const struct merkle_hash *root)
{
	struct merkle_hash fr = path[0], sr = path[0];

	for (size_t i = 1; i < n; i++) {
		if (sn == 0)
			return false;
		if (fn & 1 || fn == sn) {
			fr = merkle_parent(&path[i], &fr);
			sr = merkle_parent(&path[i], &sr);
			for (; !(fn & 1) && fn; fn >>= 1)
				sn >>= 1;
		} else {
			sr = merkle_parent(&sr, &path[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && merkle_equal(&fr, before_root) && merkle_equal(&sr, root);
}

bool merkle_consistent(uint64_t before, const struct merkle_hash *before_root, uint64_t size,
	const struct merkle_hash *root, const struct merkle_proof *p)
{
	struct merkle_hash path[2 * MERKLE_LEVELS + 1];
	uint64_t fn = before - 1, sn = size - 1;
	size_t n = 0;

	if (before == 0 || before > size)
		return false;
	if (before == size)
		return p->n == 0 && merkle_equal(before_root, root);
	if ((before & (before - 1)) == 0)
		path[n++] = *before_root;
	for (size_t i = 0; i < p->n; i++)
		path[n++] = p->h[i];
	for (; fn & 1; fn >>= 1)
		sn >>= 1;
	return n > 0 && climb(fn, sn, path, n, before_root, root);
}

/* --- a range of leaves --- */

struct range {
	uint64_t from, to;
};

static bool is_outside(const struct range *g, uint64_t start, uint64_t n)
{
	return start >= g->to || start + n <= g->from;
}

static bool is_inside(const struct range *g, uint64_t start, uint64_t n)
{
	return start >= g->from && start + n <= g->to;
}

static int add_outside(const struct merkle_nodes *t, const struct range *g, uint64_t start,
	uint64_t n, struct merkle_proof *p, struct err *e)
{
	uint64_t k;
	int r;

	if (is_inside(g, start, n))
		return 0;
	if (is_outside(g, start, n))
		return root_of(t, start, n, &p->h[p->n++], e);
	k = UINT64_C(1) << split_level(n);
	r = add_outside(t, g, start, k, p, e);
	return r < 0 ? r : add_outside(t, g, start + k, n - k, p, e);
}

int merkle_range(const struct merkle_nodes *t, uint64_t from, uint64_t to, uint64_t size,
	struct merkle_proof *ret, struct err *e)
{
	const struct range g = {from, to};

	ret->n = 0;
	return add_outside(t, &g, 0, size, ret, e);
}

struct range_root {
	struct range g;
	const struct merkle_proof *outside;
	size_t used;
	merkle_next_fn *next;
	void *data;
};

static int range_root(
	struct range_root *x, uint64_t start, uint64_t n, struct merkle_hash *ret, struct err *e)
{
	struct merkle_hash left, right;
	uint64_t k;
	int r;

	if (is_outside(&x->g, start, n)) {
		if (x->used == x->outside->n)
			return err_set(e, ERR_INVALID, "a hash of the rest of the tree is missing");
		*ret = x->outside->h[x->used++];
		return 0;
	}
	if (n == 1)
		return x->next(x->data, ret, e);
	k = UINT64_C(1) << split_level(n);
	r = range_root(x, start, k, &left, e);
	if (r == 0)
		r = range_root(x, start + k, n - k, &right, e);
	if (r == 0)
		*ret = merkle_parent(&left, &right);
	return r;
}

int merkle_range_root(uint64_t from, uint64_t to, uint64_t size, const struct merkle_proof *outside,
	merkle_next_fn *next, void *data, struct merkle_hash *ret, struct err *e)
{
	struct range_root x = {{from, to}, outside, 0, next, data};
	int r = range_root(&x, 0, size, ret, e);

	return r == 0 && x.used != outside->n
		       ? err_set(e, ERR_INVALID,
				 "there are more hashes of the rest of the tree than it has")
		       : r;
}
