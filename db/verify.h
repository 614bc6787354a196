/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether records are what was recorded, for somebody who has them and perhaps a key, and no daemon: a
 * database, or a file that was exported. Nothing is ever written to either.
 *
 * What is found is a sentence with its place: the record and its run, the step, the member. A function
 * returns 0 however much is found, and an error where it cannot look. Any thread.
 */
#pragma once

#include "base/checkpoint.h"
#include "base/err.h"
#include "base/iotime.h"

struct verify_opts {
	/* Who may have signed; none: a database is compared with the keys that are in it. */
	const struct x509_key *key;
	size_t keys;
	const char *host;	/* whose records they must be; NULL: anybody's */
	const char *checkpoint; /* a note that was kept elsewhere; NULL: none */
	int64_t from, to;	/* of a database: whose rows are compared; 0: all */
	const char *
		archives; /* of a database: the folder of its archives, which are read too; NULL: not */
	/* Where attached files are; of a database or a file NULL: they are not looked at, of an archive NULL: in the folder
	 * "attachments" next to it. What is attached to an archived run of a database is looked for in that of archives. */
	const char *attachments;
	const struct cancel *stop; /* of an archive: ends it with the reason; NULL: nobody does */
	void (*found)(void *data, const char *sentence);
	void *data;
};

struct verify_result {
	char host[CHECKPOINT_HOST_SIZE]; /* "" not known */
	int64_t records, findings;
	int64_t archived; /* of the records of a database those that are in archives: without these their leaves alone are looked at */
	int64_t attachments; /* that were looked at */
	int64_t unseen; /* attachments of the records of a file that were not, since nobody said where they are */
	int64_t checkpoints;
	int64_t covered; /* records under the newest checkpoint whose signature is good; 0 none */
	bool trusted;	 /* by a key that was given */
	bool envelope; /* a file with an envelope: without its signature newer records may be missing */
	bool enveloped; /* of a file: the envelope around it is signed, and the signature is good */
};

/* -ERR_IO, -ERR_UNSUPPORTED (not provd's, of another version), -ERR_RECORDS_DAMAGED where nothing can be
 * read. */
int verify_database(
	const char *path, const struct verify_opts *o, struct verify_result *ret, struct err *e);
/* Whether it is one of the two files of an archive. */
bool verify_is_archive(const char *path);
/* An archive of a month, by its manifest or its file of records, which lie in one folder. Each record is looked
 * at with its log, and all of them with the root of the checkpoint. -ERR_IO, -ERR_INVALID for what is none. */
int verify_archive(
	const char *path, const struct verify_opts *o, struct verify_result *ret, struct err *e);
/* A checkpoint (*.txt), the record of a run, a range of records, or the records of a unit, as they were exported. -ERR_INVALID for
 * what is none of them, with the place where that is seen. */
int verify_file(const void *bytes, size_t n, const struct verify_opts *o, struct verify_result *ret,
	struct err *e);
