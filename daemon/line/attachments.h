/* SPDX-License-Identifier: Apache-2.0
 *
 * The store of what is attached to runs: state_dir/attachments/SHA256, each content once. The rows that name
 * them are db/attachments.h.
 *
 *	output/RUN/NAME, synced ──link──> new-RUN ──rename──> SHA256, folder synced ──> row
 *	                                   swept at a start    no row names it: swept after an hour
 *
 * A link, and not a copy: nobody writes to either file, so that it costs no room and no time, and the file of the
 * run may go by age. A file in the place of SHA256 that is there already is replaced by the one that was just
 * written and hashed: what the disk made of the old one does not count. Any thread, but for the sweep.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/media.h"
#include "base/util.h"
#include "daemon/recipe/env.h"

/* A file that no row names goes once it is so old: the row of a younger one may be on its way. */
#define ATTACHMENTS_STRAY_S 3600

struct attachments;

/* The folder is there; root is copied. -ERR_IO. */
int attachments_new(const char *root, struct attachments **ret, struct err *e);
struct attachments *attachments_free(struct attachments *a);
DEFINE_CLEANUP(struct attachments, attachments_free)
/* Durable when it returns 0. output: the folder of outputs (daemon/line/outputs.h). ret_media lives as long as the
 * program. -ERR_RECIPE_INVALID for a file that holds a secret of the run, which would be kept for ever;
 * -ERR_IO where the file is not the one that was saved; -ERR_DISK_FULL. */
int attachments_take(struct attachments *a, const char *output, const char *run,
	const struct attach_file *f, const char **ret_media, struct err *e);

/* Removes files that no row names, and that are older than so many seconds, a little at each call, and none for that long after
 * the wall clock was set; all of them,
 * without a look at the time, where it is the first walk of a start (older_s 0). named: 0 where no row does. One thread. */
void attachments_sweep(struct attachments *a, int64_t older_s,
	int (*named)(void *data, const char *sha256), void *data);
