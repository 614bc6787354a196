/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands on the device. With the feature shell_v2 standard output, standard error and the exit
 * status come apart, in frames (u8 id, u32 length, data) that may be split over packets or share
 * one. Without it one merged stream comes and no status: the command is then wrapped so that a
 * line with a random word gives its status.
 *
 * A stream that ends without a status proves nothing, and is an error.
 *
 * Source: AOSP packages/modules/adb, shell_protocol.h, docs/dev/services.md.
 */
#pragma once

#include "base/strbuf.h"
#include "transports/protocols/adb/adb_stream.h"

/* Bytes of the command's output as they come. is_err: of its standard error. */
typedef int adb_output_fn(void *data, bool is_err, const void *p, size_t n, struct err *e);

struct adb_shell_result {
	int status;
	bool by_marker; /* the status came from the wrapped command, not from the protocol */
	bool cut;	/* more was said than is kept */
	struct strbuf out, err;
};
void adb_shell_result_done(struct adb_shell_result *r);

/* One shell command line. What it says is kept up to keep bytes each (the rest is dropped, and cut
 * set), or given to `output` where that is not NULL. 0 with any status. */
int adb_shell(struct adb_conn *c, const char *command, size_t keep, adb_output_fn *output,
	void *data, const struct iotime *it, struct adb_shell_result *ret, struct err *e);
/* The same, where only status 0 is success: otherwise -ERR_DEVICE_REFUSED with what it said. */
int adb_shell_ok(struct adb_conn *c, const char *command, const struct iotime *it,
	struct adb_shell_result *ret, struct err *e);
/* Runs a service whose whole answer is its output (exec:, root:, remount:) until it closes. */
int adb_service_read(struct adb_conn *c, const char *service, adb_output_fn *output, void *data,
	const struct iotime *it, struct err *e);
/* As adb_service_read, the answer kept up to keep bytes. */
int adb_service_text(struct adb_conn *c, const char *service, size_t keep, struct strbuf *ret,
	const struct iotime *it, struct err *e);

/* Adds word so that a shell takes it as one word whatever it holds. */
void adb_quote(struct strbuf *b, const char *word);
/* A property's value, "" without one. */
int adb_getprop(struct adb_conn *c, const char *name, char *ret, size_t size,
	const struct iotime *it, struct err *e);
