/* SPDX-License-Identifier: Apache-2.0
 *
 * An empty ext4 file system in a file, made by mke2fs (e2fsprogs 1.47). Its own words are a
 * witness, the super block of what it made is the proof.
 */
#pragma once

#include "transports/tools/tool.h"

#define MKE2FS_BLOCK 4096u

extern const struct tool_rule mke2fs_rules[];

/* Makes a file in d; bytes is a multiple of MKE2FS_BLOCK. program NULL: mke2fs out of PATH, or
 * where Debian keeps it. ret_path: the file. *ret is always filled as far as it came:
 * tool_outcome_done(). Errors as tool_run(); -ERR_NO_EVIDENCE where what was made is not such a
 * file system. */
int mke2fs_ext4(const char *program, const struct tool_dir *d, uint64_t bytes,
	const struct teller *tell, struct tool_outcome *ret, char ret_path[600],
	const struct iotime *it, struct err *e);

/* Whether a file is an ext4 file system of just so many bytes, as its super block says ("ext4 Data
 * Structures and Algorithms", 4.1): -ERR_NO_EVIDENCE. */
int mke2fs_check(const char *path, uint64_t bytes, struct err *e);
