/* SPDX-License-Identifier: Apache-2.0
 *
 * A range of leaves and the rest of the tree make its root; other leaves, or another rest, do not. (Roots and proofs
 * themselves are compared with another program by test_trees.py.)
 */
#include "base/merkle.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define LEAVES 21

static struct merkle_hash nodes[4 * LEAVES], leaves[LEAVES];
static struct err e;

static int keep(
	void *data, unsigned level, uint64_t index, const struct merkle_hash *h, struct err *err)
{
	nodes[merkle_position(level, index)] = *h;
	return 0;
}

static int read_node(
	void *data, unsigned level, uint64_t index, struct merkle_hash *ret, struct err *err)
{
	*ret = nodes[merkle_position(level, index)];
	return 0;
}

static const struct merkle_nodes tree = {.read = read_node};

static void setup(void)
{
	struct merkle_growth g = {0};

	for (int i = 0; i < LEAVES; i++) {
		char text[8];
		int n = snprintf(text, sizeof text, "%d", i);

		leaves[i] = merkle_leaf(text, (size_t)n);
		ck_assert_int_eq(merkle_add(&g, &leaves[i], keep, NULL, &e), 0);
	}
}

static int next(void *data, struct merkle_hash *ret, struct err *err)
{
	uint64_t *at = data;

	*ret = leaves[(*at)++];
	return 0;
}

static int root_of(uint64_t from, uint64_t to, uint64_t size, const struct merkle_proof *outside,
	struct merkle_hash *ret)
{
	uint64_t at = from;
	int r = merkle_range_root(from, to, size, outside, next, &at, ret, &e);

	if (r == 0)
		ck_assert_int_eq((int)at, (int)to);
	return r;
}

static void check_range(uint64_t from, uint64_t to, uint64_t size)
{
	struct merkle_hash root, made;
	struct merkle_proof p;

	ck_assert_int_eq(merkle_root(&tree, size, &root, &e), 0);
	ck_assert_int_eq(merkle_range(&tree, from, to, size, &p, &e), 0);
	ck_assert_int_eq(root_of(from, to, size, &p, &made), 0);
	ck_assert(merkle_equal(&root, &made));
	/* One hash too many, and one too few. */
	p.n++;
	ck_assert_int_eq(root_of(from, to, size, &p, &made), -ERR_INVALID);
	if (p.n < 2)
		return;
	p.n -= 2;
	ck_assert_int_eq(root_of(from, to, size, &p, &made), -ERR_INVALID);
	p.n++;
	p.h[0].b[0] ^= 1;
	ck_assert_int_eq(root_of(from, to, size, &p, &made), 0);
	ck_assert(!merkle_equal(&root, &made));
}

START_TEST(every_range_of_every_tree_makes_its_root)
{
	for (uint64_t size = 1; size <= LEAVES; size++)
		for (uint64_t from = 0; from < size; from++)
			for (uint64_t to = from + 1; to <= size; to++)
				check_range(from, to, size);
}
END_TEST

START_TEST(another_leaf_makes_another_root)
{
	struct merkle_hash root, made;
	struct merkle_proof p;

	ck_assert_int_eq(merkle_root(&tree, LEAVES, &root, &e), 0);
	ck_assert_int_eq(merkle_range(&tree, 5, 12, LEAVES, &p, &e), 0);
	for (int i = 5; i < 12; i++) {
		leaves[i].b[31] ^= 1;
		ck_assert_int_eq(root_of(5, 12, LEAVES, &p, &made), 0);
		ck_assert(!merkle_equal(&root, &made));
		leaves[i].b[31] ^= 1;
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("merkle");
	TCase *t = tcase_create("merkle");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, every_range_of_every_tree_makes_its_root);
	tcase_add_test(t, another_leaf_makes_another_root);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
