/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a name still leads to the file that is open under it. What is written to a file that was
 * removed, or moved away, is gone with the process. One thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

struct same_file {
	const char *path; /* borrowed */
	bool renewed;	  /* we replace it ourselves: only that there is one counts */
	dev_t dev;
	ino_t ino;
	bool known; /* it was there once */
};

/* Learns the file at the first look that finds one. false where it was there and is gone, or
 * another one has its name. A look that fails otherwise says nothing. */
bool same_file_look(struct same_file *f);
