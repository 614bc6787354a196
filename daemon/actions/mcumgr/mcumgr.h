/* SPDX-License-Identifier: Apache-2.0
 *
 * What the actions mcumgr.* share: the session, and how images are told.
 */
#pragma once

#include "daemon/actions/boot_pins.h"
#include "daemon/actions/common.h"
#include "transports/protocols/mcumgr/smp.h"

extern const char *const mcumgr_versions[];

#define MCUMGR_ROWS_SESSION                                                                      \
	{.name = "smp",                                                                          \
		.type = ARG_CHOICE,                                                              \
		.def = "2",                                                                      \
		.choices = mcumgr_versions,                                                      \
		.doc = "version of the protocol: how the unit tells errors. 1 for servers that " \
		       "refuse 2"},                                                              \
		{.name = "answer",                                                               \
			.type = ARG_DURATION,                                                    \
			.def = "2s",                                                             \
			.doc = "for each answer, in addition to its time on the wire"},          \
		{.name = "attempts",                                                             \
			.type = ARG_INT,                                                         \
			.def = "3",                                                              \
			.low = 1,                                                                \
			.high = 10,                                                              \
			.doc = "at a request that is not answered"},                             \
		ARG_ROWS_BOOT_PINS

#define MCUMGR_ROW_HASH(must, text)                                                 \
	{                                                                           \
		.name = "hash", .type = ARG_STRING, .required = (must), .doc = text \
	}
#define MCUMGR_ROW_IMAGE                                                             \
	{                                                                            \
		.name = "number", .type = ARG_INT, .def = "0", .low = 0, .high = 15, \
		.doc = "of the image, on a unit with several"                        \
	}

struct mcumgr_session {
	struct step *s;
	const struct args *a;
	struct link *link;
	struct smp *smp;
	struct boot_pins pins;
};

/* End it with mcumgr_session_done(), whatever it returned. */
int mcumgr_session_open(
	struct mcumgr_session *x, struct step *s, const struct args *a, struct err *e);
void mcumgr_session_done(struct mcumgr_session *x);

/* 'hash' of the arguments: 64 digits. */
int mcumgr_hash_of(const struct args *a, uint8_t ret[SHA256_BYTES], struct err *e);
/* The list into the evidence. */
void mcumgr_tell_images(const struct smp_images *l, struct step_result *out);
/* version and hash of an image as outputs; i may be NULL. */
void mcumgr_output_image(const struct smp_image *i, struct step_result *out);
char *mcumgr_hex(const struct smp_image *i, char ret[2 * SMP_HASH_MAX + 1]);

#define MCUMGR_OUTPUT_ROWS                                              \
	{"version", "of the image"},                                    \
	{                                                               \
		"hash", "of the image, 64 digits: its name on the unit" \
	}
