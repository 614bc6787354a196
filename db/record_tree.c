/* SPDX-License-Identifier: Apache-2.0 */
#include "db/record_tree.h"

#include "db/stmt.h"

static int read_node(
	void *data, unsigned level, uint64_t index, struct merkle_hash *ret, struct err *e)
{
	static const char sql[] = "SELECT hash FROM record_nodes WHERE pos = ?";
	const uint64_t pos = merkle_position(level, index);
	char hex[SHA256_HEX + 1];
	int r = db_text(data, e, hex, sizeof hex, sql, (int64_t)pos);

	if (r < 0)
		return r;
	return r > 0 && is_sha256_hex(hex) && hex_parse(hex, ret->b, sizeof ret->b)
		       ? 0
		       : err_set(e, ERR_RECORDS_DAMAGED,
				 "node %llu of the tree of records is missing or is not a hash",
				 (unsigned long long)pos);
}

struct merkle_nodes record_tree(struct db *d)
{
	return (struct merkle_nodes){.read = read_node, .data = d};
}

static int put_node(
	void *data, unsigned level, uint64_t index, const struct merkle_hash *h, struct err *e)
{
	static const char sql[] = "INSERT INTO record_nodes (pos, hash) VALUES (?, ?)";
	char hex[SHA256_HEX];

	return db_do(data, e, sql, (int64_t)merkle_position(level, index),
		hex_of(h->b, sizeof h->b, hex));
}

int record_tree_add(struct db *tx, int64_t size, const struct merkle_hash *leaf, struct err *e)
{
	struct merkle_growth g = {.size = (uint64_t)size};
	int r = 0;

	/* Of the nodes without a parent, those that get one now. */
	for (unsigned level = 0; r == 0 && g.size >> level & 1; level++)
		r = read_node(tx, level, (g.size >> level) - 1, &g.peak[level], e);
	return r < 0 ? r : merkle_add(&g, leaf, put_node, tx, e);
}
