/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of an upload on its way to a file: whole in one request, or in pieces (Content-Range of a request,
 * RFC 9110, 14.5), of which each goes on where the one before has ended, whatever ended it:
 *
 *   Content-Range: bytes 0-1048575/5242880    a piece
 *   Content-Range: bytes * /5242880           (without the space) nothing: how much is there?
 *
 * What came of a piece stays when its connection is cut, and over a restart, until the file is whole or nobody
 * has sent of it for UPLOAD_PART_AGE_S. One request at a time writes a file. Only api/httpd*.c and the router see this.
 */
#pragma once

#include "api/http.h"
#include "base/err.h"

#define UPLOAD_PART_AGE_S (24 * 3600)
/* The name of a file that comes in pieces: this and its SHA-256. */
#define UPLOAD_PART "part-"

struct sha256;

struct upload {
	int fd;		    /* -1: none */
	struct sha256 *sha; /* NULL of a piece: it is read when it is whole */
};

/* Content-Range of a request, which may be absent (ret->total is 0 then). 0, or 400 and what *ret_why says. */
int upload_read_range(const struct request *rq, struct upload_piece *ret, const char **ret_why);

/* Opens the file of an upload: rq->upload_path is set for one in pieces, else it is made in dir. rq->upload_bytes and
 * upload_taken are what the file has already. The status of a refusal, or 0. */
int upload_open(struct upload *u, struct request *rq, const char *dir, const char **ret_why);
/* 0, or 507. */
int upload_write(struct upload *u, const void *data, size_t n);
/* All of the body is there: on disk, and rq->upload_sha256 is filled where the file is whole ("" where more of it
 * is to come); rq->upload_bytes is what the file has. It reads a
 * file that came in pieces, so it is not for an HTTP thread. 0 or 507. */
int upload_end(struct upload *u, struct request *rq);
/* Closes it; the file is removed, unless a handler has moved it or rq->upload_kept. */
void upload_done(struct upload *u, const struct request *rq);

struct upload_parts {
	uint64_t removed, left; /* bytes */
};
/* Removes the parts in the folder of artifacts that nobody has sent of for too long. now_s: of the wall clock. */
struct upload_parts upload_sweep_parts(const char *dir, int64_t now_s);
