/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to db/: the nodes of the tree over all records (base/merkle.h), where they are stored.
 */
#pragma once

#include "base/merkle.h"
#include "db/db.h"

/* d is the data of its calls. -ERR_RECORDS_DAMAGED for a node that is not there or not a hash. */
struct merkle_nodes record_tree(struct db *d);
/* A leaf of a tree that has `size` of them: its row, and those of the nodes that it completes. */
int record_tree_add(struct db *tx, int64_t size, const struct merkle_hash *leaf, struct err *e);
