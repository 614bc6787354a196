/* SPDX-License-Identifier: Apache-2.0
 *
 * A file that gets its name only when it is whole: the bytes go to PATH.part, which takes the name
 * once it is synced. When outfile_commit() returns 0, the bytes and the name survive a power cut,
 * so that a record may name them.
 *
 * Of one thread. Paths are borrowed and outlive the file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

struct outfile {
	const char *path; /* of outfile_open_at(): the name alone */
	char *part;	  /* NULL: not opened, or committed */
	int fd;		  /* begin with {.fd = -1} */
	int dir;	  /* that the names are relative to */
	bool own_dir;
	struct sha256 *digest;
	uint64_t bytes;
	char sha256[SHA256_HEX]; /* after outfile_end() */
	/* Asked before bytes are written, with how many there are then; a refusal ends the writing.
	 * NULL: as many as the disk takes. */
	int (*room)(void *data, uint64_t bytes, struct err *e);
	void *room_data;
};

/* All: -ERR_IO, -ERR_DISK_FULL. A symbolic link in the place of PATH.part is refused. */
int outfile_open(struct outfile *f, const char *path, struct err *e);
/* In a directory: no symbolic link is followed, and what is in the place of NAME.part goes. dir is
 * taken over, also on failure. */
int outfile_open_at(struct outfile *f, int dir, const char *name, struct err *e);
/* A sink: its first argument is a struct outfile. */
int outfile_add(void *outfile, const void *p, size_t n, struct err *e);
/* All that is left in a file. */
int outfile_add_fd(struct outfile *f, int fd, struct err *e);
/* Syncs the bytes and ends the digest. Until outfile_commit() the caller may still
 * give it up. */
int outfile_end(struct outfile *f, char sha256[SHA256_HEX], struct err *e);
/* Gives it its name, which is synced too. */
int outfile_commit(struct outfile *f, struct err *e);
/* What was not committed is removed. */
void outfile_done(struct outfile *f);
