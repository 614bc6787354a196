/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup: a folder with a copy of the database, the artifacts and attachments that it names, files of the configuration, and
 * a signed manifest (base/manifest.h) that has the size and digest of each. It is made while provd works or
 * not, and gets its name once all of it is on disk and was verified:
 *
 *	provd.db            as one commit left it
 *	artifacts/SHA256    those that the database names
 *	attachments/SHA256  the same of what is attached to runs
 *	config/..., keys/...   what the caller adds: never a private key in the clear
 *	manifest.json
 *
 * The high-water marks (db/marks.h) are in no backup: they are what a restored one must not have back.
 * Any thread.
 */
#pragma once

#include <jansson.h>

#include "base/checkpoint.h"
#include "base/err.h"

#define BACKUP_TYPE	"urn:provd:backup:1"
#define BACKUP_MANIFEST "manifest.json"
#define BACKUP_DATABASE "provd.db"

/* Sentences: what is found wrong, with its place. */
struct backup_ear {
	void (*found)(void *data, const char *sentence);
	void *data;
};

/* A file that goes with it. */
struct backup_extra {
	const char *name; /* in the backup */
	const char *path;
	bool wrapped; /* a private key under a passphrase: anything else is left out */
};

struct backup_opts {
	const char *state_dir;
	const char *to;	     /* its name: nothing may be there */
	const char *earlier; /* a backup whose artifacts may be linked; NULL: none */
	const struct backup_extra *extra;
	size_t extras;
	const json_t *keys; /* the handles of keys; NULL: none */
	struct backup_ear ear;
};

struct backup_result {
	struct checkpoint at; /* of the copy: host, records with their root, epoch */
	int64_t seq;	      /* of its newest event */
	int64_t files, bytes;
	int64_t findings;
	bool is_signed; /* made: at all; verified: by a key that was given */
};

/* -ERR_CONFLICT where its name is taken, -ERR_BUSY while another one is made in the same folder. What is found
 * in the copy is told, and then there is no backup: -ERR_RECORDS_DAMAGED. An artifact or attachment that is missing or
 * damaged, and an extra file that holds a private key in the clear, are told and left out: findings, and the
 * backup is made. */
int backup_make(const struct backup_opts *o, struct backup_result *ret, struct err *e);

/* Nothing is written to it. 0 however much is found; an error where it cannot be looked at at all.
 * key: who may have signed it; without keys its signature is not looked at. */
int backup_verify(const char *dir, const struct x509_key *key, size_t keys,
	const struct backup_ear *ear, struct backup_result *ret, struct err *e);
