/* SPDX-License-Identifier: Apache-2.0
 *
 * A certificate profile: what a certificate says, as a document with a version and a digest
 * (docs/keys.md). It belongs to provd-keyd, which reads it from its own folder: whoever may ask for
 * certificates cannot change what is in them.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/form.h"
#include "base/x509.h"

enum csr_rule {
	CSR_SAME,  /* what the request asks for is what the profile says, or nothing */
	CSR_IGNORE /* whatever it asks for; the profile alone decides */
};

struct profile {
	char *name;
	int version;
	unsigned keys;		 /* 1 << enum x509_alg for each that it takes */
	const json_t *subject;	 /* attribute -> text with ${NAME}, in order; of doc */
	int days;		 /* 0: no end (99991231235959Z, RFC 5280, 4.1.2.5) */
	const json_t *key_usage; /* of doc; NULL: no such extension. Names as OpenSSL has them */
	const json_t *extended_key_usage; /* of doc; NULL: none */
	const json_t *san; /* list of {dns|uri|hardware_module: ...}, of doc; NULL: none */
	const json_t
		*same_in_issuer; /* attributes of the subject that the issuer's must have alike */
	int csr_subject, csr_extensions; /* enum csr_rule */
	char digest[SHA256_HEX];	 /* of the document as JSON, keys sorted */
	json_t *doc;			 /* owned */
};

extern const struct form_row profile_rows[];

/* DIR/NAME.yaml. Every mistake is in the error's sentence or, with its place, in report. */
int profile_load(const char *dir, const char *name, struct strbuf *report, struct profile **ret,
	struct err *e);
struct profile *profile_free(struct profile *p);
DEFINE_CLEANUP(struct profile, profile_free)

/* A text of the profile with the values put in; owned by the caller. NULL, -ERR_PROFILE_REFUSED, for
 * a name that `values` lacks, or a value that is empty or longer than 64 characters. */
char *profile_text(const char *text, const json_t *values, struct err *e);
