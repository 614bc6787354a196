/* SPDX-License-Identifier: Apache-2.0
 *
 * The state directory: its folders, its lock, and what a crash left in it. The only place that
 * knows where a file of it lies.
 *
 *   lock                    one provd works in it (base/state_lock.h)
 *   artifacts/SHA256        firmware and other files, addressed by their content
 *   artifacts/deleted-...   set aside while its deletion is on the way to disk
 *   artifacts/upload-...    on the way in
 *   attachments/SHA256      what steps attached to runs (attachments.h)
 *   keep/NAME               what this installation keeps for itself, such as an ADB key
 *   output/RUN/NAME         what steps wrote (outputs.h)
 *   scratch/                what foreign programs work in; emptied at each start
 *
 * The paths never change: any thread. The rest: main.
 */
#pragma once

#include "base/err.h"

struct db;
struct store;

/* Makes the folders and takes the lock: -ERR_BUSY where another provd has it. */
int store_open(const char *state_dir, struct store **ret, struct err *e);
struct store *store_free(struct store *s);

const char *store_artifacts(const struct store *s);
const char *store_attachments(const struct store *s);
const char *store_keep(const struct store *s);
const char *store_output(const struct store *s);
const char *store_scratch(const struct store *s);
/* Of an artifact, by its SHA-256 in lower-case hex; and where it is set aside. Owned by the caller.
 */
char *store_artifact(const struct store *s, const char *sha256);
char *store_artifact_aside(const struct store *s, const char *sha256);

/* Uploads that a crash left half-way: before anything else, the records may need the room. */
void store_sweep_uploads(struct store *s);
/* Artifacts that no record knows, and deletions that were not finished. */
void store_sweep_artifacts(struct store *s, struct db *d);
