/* SPDX-License-Identifier: Apache-2.0
 *
 * The Merkle tree of RFC 6962, 2.1 (the same in RFC 9162, 2.1), with SHA-256:
 *
 *	MTH({})    SHA-256()
 *	MTH({d})   SHA-256(0x00 || d)
 *	MTH(D[n])  SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n])), k the largest power of two below n
 *
 * A subtree of 2^l leaves that is complete never changes: it is a node, of that level and an index from
 * 0. Nodes are numbered in the order in which a growing tree completes them, so that whoever stores
 * them only ever adds one at the end:
 *
 *	        6
 *	    2       5
 *	  0   1   3   4   7      the leaves 0 to 4
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

/* Of a tree with as many leaves as an int64_t counts. */
#define MERKLE_LEVELS 63

struct merkle_hash {
	uint8_t b[SHA256_BYTES];
};

struct merkle_hash merkle_leaf(const void *data, size_t n);
struct merkle_hash merkle_parent(const struct merkle_hash *left, const struct merkle_hash *right);
bool merkle_equal(const struct merkle_hash *a, const struct merkle_hash *b);
/* The number of a node. */
uint64_t merkle_position(unsigned level, uint64_t index);

/* --- a tree that grows, as far as its root needs it --- */

struct merkle_growth {
	uint64_t size;
	struct merkle_hash peak[MERKLE_LEVELS + 1]; /* by level, where that bit of size is set */
};
/* Called for each node that a new leaf completes, the leaf first, in the order of their numbers; an error
 * ends it. */
typedef int merkle_made_fn(
	void *data, unsigned level, uint64_t index, const struct merkle_hash *h, struct err *e);
/* made: NULL where nobody keeps nodes. The growth stays as it was on an error. */
int merkle_add(struct merkle_growth *g, const struct merkle_hash *leaf, merkle_made_fn *made,
	void *data, struct err *e);
struct merkle_hash merkle_root_of(const struct merkle_growth *g);

/* --- a tree whose nodes are stored --- */

struct merkle_nodes {
	int (*read)(
		void *data, unsigned level, uint64_t index, struct merkle_hash *ret, struct err *e);
	void *data;
};
int merkle_root(
	const struct merkle_nodes *t, uint64_t size, struct merkle_hash *ret, struct err *e);

struct merkle_proof {
	size_t n;
	struct merkle_hash h[2 * MERKLE_LEVELS];
};
/* PATH(index, D[size]) of 2.1.1, index < size. */
int merkle_inclusion(const struct merkle_nodes *t, uint64_t index, uint64_t size,
	struct merkle_proof *ret, struct err *e);
/* PROOF(before, D[size]) of 2.1.2, 0 < before <= size. */
int merkle_consistency(const struct merkle_nodes *t, uint64_t before, uint64_t size,
	struct merkle_proof *ret, struct err *e);

/* The subtrees of D[size] that have none of the leaves from `from` to before `to`, from left to right:
 * with these leaves they make the root. from < to <= size. */
int merkle_range(const struct merkle_nodes *t, uint64_t from, uint64_t to, uint64_t size,
	struct merkle_proof *ret, struct err *e);

/* --- by whoever has a proof and a root (RFC 9162, 2.1.3.2 and 2.1.4.2) --- */

bool merkle_included(const struct merkle_hash *leaf, uint64_t index, uint64_t size,
	const struct merkle_proof *p, const struct merkle_hash *root);
bool merkle_consistent(uint64_t before, const struct merkle_hash *before_root, uint64_t size,
	const struct merkle_hash *root, const struct merkle_proof *p);
/* The next of the leaves of a range. */
typedef int merkle_next_fn(void *data, struct merkle_hash *ret, struct err *e);
/* The root that a range of leaves makes with the subtrees of merkle_range(). Each leaf is asked for once, in
 * their order. -ERR_INVALID where there are too few or too many subtrees. */
int merkle_range_root(uint64_t from, uint64_t to, uint64_t size, const struct merkle_proof *outside,
	merkle_next_fn *next, void *data, struct merkle_hash *ret, struct err *e);
