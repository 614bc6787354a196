/* SPDX-License-Identifier: Apache-2.0
 *
 * What the adb.* actions share: one connection to the unit's adbd for one step, its coming back
 * after a restart as the same unit, files that are whole or not there. On the worker's thread.
 */
#pragma once

#include "base/outfile.h"
#include "base/digest.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "daemon/actions/common.h"
#include "transports/images/blob.h"
#include "transports/protocols/adb/adb_services.h"

#define ADB_TEXT_MAX 65536u /* of what a unit says, in outputs */

#define ARG_ROWS_ADB                                                                            \
	ARG_ROW_PORT_OF(PORT_KIND_USB | PORT_KIND_TCP, "role of the device"),                   \
		{.name = "key",                                                                 \
			.type = ARG_STRING,                                                     \
			.doc = "file of an RSA key (PEM) that the units know; tried before "    \
			       "provd's own"},                                                  \
		{.name = "authorize",                                                           \
			.type = ARG_DURATION,                                                   \
			.doc = "how long a person may take to tap Allow on the unit's screen; " \
			       "none: nobody is asked"},                                        \
	{                                                                                       \
		.name = "connect_timeout", .type = ARG_DURATION, .def = "10s",                  \
		.doc = "for each answer of the unit while the connection is made"               \
	}

#define ARG_ROW_IDLE                                                        \
	{                                                                   \
		.name = "idle_timeout", .type = ARG_DURATION, .def = "60s", \
		.doc = "the unit's longest silence while bytes go over"     \
	}

struct adb_session {
	struct step *s;
	const struct args *a;
	const char *role;
	struct adb_key *key[2];
	size_t keys;
	struct adb_conn *conn;
	char serial[96];  /* ro.serialno, "" while not known */
	char boot_id[48]; /* of its kernel's run, "" while not known */
};

/* Opens the link or USB device and connects. Fill s and a before; adb_session_done() after, also
 * where it failed. */
int adb_session_open(struct adb_session *x, struct err *e);
void adb_session_done(struct adb_session *x);

/* Before what makes the unit leave: reads its serial number and the run of its kernel, and lets the
 * port expect that it leaves and comes back. */
int adb_session_leaves(struct adb_session *x, struct err *e);
/* After it has left: waits for it on the same port, connects, until it is in that state
 * (NULL: any), and proves by its serial number that it is the same unit: -ERR_WRONG_DEVICE. Adds
 * to the evidence what was seen. */
int adb_session_returns(
	struct adb_session *x, const char *state, struct step_result *out, struct err *e);
/* After that, for a whole restart: -ERR_DEVICE_REFUSED where its kernel runs on as before. */
int adb_session_restarted(struct adb_session *x, struct step_result *out, struct err *e);
/* Text of the unit for outputs and evidence: line ends stay, the rest is escaped; no line end at
 * its end. Owned by the caller. */
char *adb_lines(const struct strbuf *text);
json_t *adb_json_text(const char *text, size_t n);

/* The digest of a file on the unit by its own sha256sum; *ret_by how that was proven. With status
 * -ERR_UNSUPPORTED where it has no such command. */
int adb_remote_sha256(struct adb_session *x, const char *path, char ret[SHA256_HEX],
	const char **ret_by, struct err *e);

/* The bytes of `file`; an empty file is one too. */
struct adb_infile {
	struct blob *blob; /* NULL: empty, or of `content` */
	struct adb_source src;
	char sha256[SHA256_HEX];
	uint32_t mtime;
};
int adb_infile_open(struct adb_infile *f, struct step *s, const char *ref, struct err *e);
void adb_infile_text(struct adb_infile *f, const char *text);
void adb_infile_done(struct adb_infile *f);
