/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of lines, compressed by gzip (RFC 1952): the only door to zlib for records. What is written is the same
 * bytes for the same lines; what is read is read line by line, however large the file is. One thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

/* A line that is longer ends the reading: no compressed file of others fills the memory. */
#define GZIP_LINE_MAX (64u * 1024 * 1024)

struct gzip_writer;
/* The compressed bytes go to `sink`, a call of outfile_add() for one. */
int gzip_writer_new(int (*sink)(void *data, const void *p, size_t n, struct err *e), void *data,
	struct gzip_writer **ret, struct err *e);
int gzip_add(struct gzip_writer *w, const void *p, size_t n, struct err *e);
/* The last bytes; the writer can only be freed afterwards. */
int gzip_end(struct gzip_writer *w, struct err *e);
struct gzip_writer *gzip_writer_free(struct gzip_writer *w); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct gzip_writer, gzip_writer_free)

struct gzip_reader;
int gzip_open(const char *path, struct gzip_reader **ret, struct err *e);
/* 1 with the next line, without its end, which is borrowed until the next call; 0 at the end of the file;
 * -ERR_INVALID, which names the line, for what is no gzip, is cut off, was changed, is not ended by a line end,
 * has a NUL, or is longer than GZIP_LINE_MAX. */
int gzip_line(struct gzip_reader *g, const char **ret, size_t *ret_n, struct err *e);
struct gzip_reader *gzip_close(struct gzip_reader *g); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct gzip_reader, gzip_close)
