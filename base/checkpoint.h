/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint: how many records a host has and the root of their tree, as a text that is signed. The form
 * is that of C2SP tlog-checkpoint in a C2SP signed-note, so that the tools of transparency logs read it,
 * and openssl alone verifies it:
 *
 *	provd.records/5d0c31d2a4b6f788              origin: the host
 *	1042                                        records
 *	9Jq0...=                                    root (base/merkle.h), base64
 *	epoch 5d0c31d2a4b6f788 1                    life of the database, and its number
 *	time 2026-11-30T08:00:00.000Z
 *	                                            (an empty line)
 *	— provd.records/5d0c31d2a4b6f788 Zm9v...=   key id (4 bytes) and Ed25519 signature, base64
 *
 * The signature is over the text up to the empty line. A note without a line of the host's is not signed.
 * Any thread.
 */
#pragma once

#include "base/merkle.h"
#include "base/timefmt.h"
#include "base/x509.h"

#define CHECKPOINT_ORIGIN     "provd.records/"
#define CHECKPOINT_HOST_SIZE  17 /* 16 hex digits */
#define CHECKPOINT_TEXT_BYTES 512
#define CHECKPOINT_NOTE_BYTES 4096
#define CHECKPOINT_SIGNATURE  64

struct checkpoint {
	char host[CHECKPOINT_HOST_SIZE];
	int64_t size;
	struct merkle_hash root;
	char epoch[CHECKPOINT_HOST_SIZE];
	int64_t generation;
	int64_t time_ms;
};

/* What is signed; returns its length. */
size_t checkpoint_text(const struct checkpoint *c, char ret[CHECKPOINT_TEXT_BYTES]);
/* Exactly such a text, byte for byte: -ERR_INVALID, which names the line. */
int checkpoint_read(const char *text, size_t n, struct checkpoint *ret, struct err *e);

/* The text with its signature, owned by the caller. key: Ed25519; NULL: without one. */
char *checkpoint_note(const char *text, const struct x509_key *key,
	const uint8_t signature[CHECKPOINT_SIGNATURE]);
/* A note; its lines of signatures are looked at for their form alone. *ret_text: the length of what is
 * signed; *ret_signed: whether there is a line of the host's (NULL: not asked for). -ERR_INVALID, which names
 * the line. */
int checkpoint_note_read(const char *note, struct checkpoint *ret, size_t *ret_text,
	bool *ret_signed, struct err *e);
/* Whether the note is signed by that key. -ERR_KEY_NOT_PROVEN: not signed at all, by another key, or the
 * signature does not fit; -ERR_INVALID for a key of another kind. */
int checkpoint_note_verify(const char *note, const struct x509_key *key, struct err *e);
