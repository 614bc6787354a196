/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to db/: what the checks of a database and of a file share.
 */
#pragma once

#include <jansson.h>

#include "base/merkle.h"
#include "db/verify.h"

struct verify {
	const struct verify_opts *o;
	struct verify_result *res;
};

void verify_found(struct verify *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether one of the keys signed it; the caller says what is wrong. own: of a database, PEM, NULL: none. */
int verify_note(const struct verify *v, const char *note, const char *own, struct err *e);
/* Each member that is not what was recorded, `who` ("run R (record 7)") before it. */
void verify_differences(
	struct verify *v, const char *who, const json_t *recorded, const json_t *there);
/* Each attached file that the record names, in dir. */
void verify_attachments(struct verify *v, const char *who, const json_t *recorded, const char *dir);
/* The text of a member, "" where it is none. */
const char *verify_text(const json_t *o, const char *name);
/* Whether it is the canonical JSON of what it says. */
bool verify_canonical(const json_t *o, const char *text);
/* The number of a record; 0 for what no record has. */
int64_t verify_number(const json_t *o, const char *name);
/* An array of digests in base64; false for what is not exactly that. */
bool verify_proof(const json_t *a, struct merkle_proof *ret);
