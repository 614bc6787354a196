/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of an installation, as provd.yaml names them: who issues certificates (`issuers`), what
 * keys of units are derived from (`masters`), what signs records (`signers`), in which tokens keys
 * of units are made (`stores`), and where the profiles of certificates are (`profiles`). provd checks these parts of the file with all others; provd-keyd
 * reads them alone, and only it opens what they name.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/form.h"
#include "base/mistake.h"

#define KEYD_PROFILES "/etc/provd/profiles" /* where `profiles` is not given */

/* Where a private key is, and what opens it. */
struct key_place {
	char *key;	      /* absolute path of a PEM file, or a PKCS#11 URI (RFC 7512) */
	char *pin_file;	      /* absolute; NULL: none */
	char *pin_credential; /* name of a credential of provd-keyd; NULL: none */
	/* By what a failure of its module is remembered, borrowed for as long as the process lives; NULL:
	 * its key. */
	const char *watched;
};
bool key_place_is_token(const struct key_place *k);

/* Who signs: provd-keyd, or an authority of the plant that provd asks over the network. */
enum issuer_kind { ISSUER_LOCAL, ISSUER_EST, ISSUER_CMP };
extern const char *const issuer_kinds[]; /* NULL-terminated */

struct issuer_config {
	char *name;
	int kind;	   /* enum issuer_kind */
	char *certificate; /* absolute path, PEM: its own, then those above it; the root may be left out */
	struct key_place place;
	char **profiles; /* NULL-terminated: what it issues */
	/* Of another kind than local: */
	char *service;		  /* name in `services` */
	char *path;		  /* EST: the label, NULL for none; CMP: below the service's url */
	char *reference, *secret; /* CMP: which secret, and its name in `secrets`; */
	char *client_certificate, *client_key; /* or what signs its messages: absolute paths, PEM */
};

/* What a signer signs: a key of one purpose cannot be used for the other. */
enum signs { SIGNS_DOCUMENTS, SIGNS_CHECKPOINTS };
extern const char *const signs_names[]; /* NULL-terminated */

/* A master, a signer of records, or a token for keys of units. */
struct named_key {
	char *name;
	int signs;    /* enum signs, of a signer */
	char *public; /* absolute path, PEM: of a signer in a token; NULL: read from the key */
	struct key_place place;
};

struct keyd_config {
	char *profiles; /* absolute path of a folder */
	struct issuer_config *issuer;
	size_t issuers;
	struct named_key *master, *signer, *store;
	size_t masters, signers, stores;
};

extern const struct form_row issuer_rows[], master_rows[], signer_rows[], store_rows[];

/* Each takes the value of its key in provd.yaml. */
void keyd_read_issuers(
	struct keyd_config *c, const json_t *v, const char *pointer, struct mistakes *m);
void keyd_read_masters(
	struct keyd_config *c, const json_t *v, const char *pointer, struct mistakes *m);
void keyd_read_signers(
	struct keyd_config *c, const json_t *v, const char *pointer, struct mistakes *m);
void keyd_read_stores(
	struct keyd_config *c, const json_t *v, const char *pointer, struct mistakes *m);
/* Whether provd.yaml asks for any key, so that provd-keyd is needed. */
bool keyd_config_any(const struct keyd_config *c);
void keyd_config_done(struct keyd_config *c);

/* The parts of provd.yaml that are for provd-keyd; all others are passed over. Mistakes go to report
 * as file:line:column lines: -ERR_INVALID. */
int keyd_config_load(
	const char *path, struct strbuf *report, struct keyd_config *ret, struct err *e);
