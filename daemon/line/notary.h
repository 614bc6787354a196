/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints of the records: a thread that looks whether one is due (`records` of provd.yaml), has provd-keyd
 * sign it, and puts it on record and into the outbox.
 *
 *	look (one snapshot) ──> sign ──> row, event, outbox (one transaction)
 *
 * Where provd-keyd does not answer it is tried again with the next look: a checkpoint that is not signed is
 * made only where no signer is configured. After an update it also writes the records of the runs
 * that have none.
 */
#pragma once

#include "base/err.h"

struct line_services;
struct notary;

int notary_start(
	const struct line_services *line, const char *db_path, struct notary **ret, struct err *e);
/* At a clean stop with a last checkpoint, which needs the writer and the keys; NULL is fine. */
struct notary *notary_free(struct notary *n);
/* One now, where the newest does not cover all records. It waits for the signature. Any thread. */
int notary_make(struct notary *n, struct err *e);
