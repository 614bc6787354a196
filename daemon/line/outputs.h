/* SPDX-License-Identifier: Apache-2.0
 *
 * The files that steps write: state_dir/output/RUN/NAME. A recipe gives the name alone; the folder
 * is provd's own, no symbolic link in it is followed, and foreign programs do not see it. What a
 * step wrote is in its evidence ("saved": name, bytes, sha256), so that the hash chain covers it;
 * the file itself goes away by age.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/outfile.h"
#include "base/util.h"
#include "daemon/line/disk.h"

/* Of one run; its worker's thread. */
struct outputs;

/* max_bytes: of all files of the run together. Nothing is made before the first file is. root and
 * run are borrowed. */
struct outputs *outputs_new(
	const char *root, const char *run, uint64_t max_bytes, struct disk *disk);
struct outputs *outputs_free(struct outputs *o);
DEFINE_CLEANUP(struct outputs, outputs_free)
/* A file of that name for the step of that id; another attempt of the step replaces it. The bytes
 * are counted while they are written: -ERR_TOO_LARGE beyond max_bytes, -ERR_DISK_FULL where the
 * records would lose their room. -ERR_INVALID for a name that leads elsewhere or is another step's.
 * The file ends before o does. */
int outputs_create(
	struct outputs *o, const char *step, const char *name, struct outfile *ret, struct err *e);

/* To read one; any thread. -ERR_GONE where it is not kept any longer. */
int outputs_open(const char *root, const char *run, const char *name, int *ret_fd,
	uint64_t *ret_bytes, struct err *e);

/* Removes what is too old, a little at each call. One thread. */
struct outputs_sweep;
struct outputs_sweep *outputs_sweep_new(const char *root);
struct outputs_sweep *outputs_sweep_free(struct outputs_sweep *w);
/* Files of runs that began before that moment, but of none that is busy. */
void outputs_sweep_step(struct outputs_sweep *w, int64_t before_ms,
	bool (*busy)(void *data, const char *run), void *data);
