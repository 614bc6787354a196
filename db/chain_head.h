/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest link of the hash chain of runs, as an event: "chain-head" {chain, hash, run, key,
 * signature}. A copy of it that is kept elsewhere shows later that no run up to it was changed,
 * left out or added, even where the whole database was written again.
 */
#pragma once

#include <stdbool.h>

#include "base/digest.h"
#include "base/timefmt.h"
#include "db/db.h"

struct chain_head {
	int64_t chain; /* 0: no run has ended; -1: not looked at */
	char hash[SHA256_HEX];
	char run[UUID_SIZE];
};

/* The text that is signed: {"chain":N,"hash":"...","run":"..."}, byte for byte. */
#define CHAIN_HEAD_TEXT 256
void chain_head_text(const struct chain_head *h, char ret[CHAIN_HEAD_TEXT]);

struct seal;

/* Writes the event where the chain has grown since `told`, the head of the last event, and gives
 * the head in *ret: `told` where nothing was written. seal signs it; NULL: it is not signed. Where
 * `told` has chain -1, the last event is looked for among the newest ones. */
int chain_head_tell(struct db *tx, const struct chain_head *told, const struct seal *seal,
	struct chain_head *ret, struct err *e);
