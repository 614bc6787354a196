/* SPDX-License-Identifier: Apache-2.0
 *
 * A manifest: which files belong together, with the size and SHA-256 of each, what they are, and who says so.
 * It is an in-toto Statement in an envelope of DSSE (base/dsse.h), canonical JSON (RFC 8785) on one line:
 *
 *	subject        [{name, digest: {sha256}, annotations: {bytes}}], sorted by name
 *	predicateType  what the files are together
 *	predicate      what else is known of them: an object of the caller's
 *
 * A name is a path below the folder of the manifest: never absolute, without "." and "..", so that no
 * manifest of somebody else leads out of it. Any thread.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/seal.h"
#include "base/x509.h"

#define MANIFEST_MAX_BYTES (64u * 1024 * 1024)

struct manifest_file {
	char *name;
	int64_t bytes;
	char sha256[SHA256_HEX];
};

struct manifest {
	char *type;    /* predicateType */
	json_t *about; /* predicate */
	struct manifest_file *file;
	size_t files, cap;
	char *envelope; /* of one that was read: its text */
};

/* Takes a manifest that was zeroed or read in part. */
void manifest_done(struct manifest *m);
/* sha256: 64 hex digits. */
void manifest_add(struct manifest *m, const char *name, int64_t bytes, const char *sha256);
const struct manifest_file *manifest_find(const struct manifest *m, const char *name);

/* The text with a line end, owned by the caller. Sorts the files. seal: NULL leaves it unsigned. */
int manifest_text(
	struct manifest *m, const struct seal *seal, const char *type, char **ret, struct err *e);
/* A text of that type; NULL: of any. -ERR_INVALID, which says where it is not one. */
int manifest_read(
	const void *bytes, size_t n, const char *type, struct manifest *ret, struct err *e);
/* The file of a manifest; the path is before each sentence. */
int manifest_load(const char *path, const char *type, struct manifest *ret, struct err *e);
/* Whether one of the keys has signed it: -ERR_KEY_NOT_PROVEN. */
int manifest_verify(
	const struct manifest *m, const struct x509_key *key, size_t keys, struct err *e);
/* Whether the file in that folder is the one of the manifest: -ERR_RECORDS_DAMAGED names it, with what was
 * recorded and what is there; -ERR_IO where it cannot be read. */
int manifest_check_file(const char *dir, const struct manifest_file *f, struct err *e);
