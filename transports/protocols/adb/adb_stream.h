/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream of a connection: a service of the device, opened by its name. Each side may have one
 * WRTE that the other has not answered with OKAY (delayed_ack is not offered).
 */
#pragma once

#include "transports/protocols/adb/adb_conn.h"

struct adb_stream;

/* -ERR_DEVICE_REFUSED where the device closes it at once. */
int adb_stream_open(struct adb_conn *c, const char *service, const struct iotime *it,
	struct adb_stream **ret, struct err *e);
/* Says CLSE where the device has not, within a short time of its own; takes NULL, returns NULL. */
struct adb_stream *adb_stream_free(struct adb_stream *s);
DEFINE_CLEANUP(struct adb_stream, adb_stream_free)

/* Hands over n bytes. Ends early, with 0 and *ret_heard true, where the device has said something
 * or closed the stream meanwhile: read what it says. ret_heard NULL: that is an error
 * (-ERR_PROTOCOL for the close, what it says is kept). */
int adb_stream_write(struct adb_stream *s, const void *p, size_t n, bool *ret_heard,
	const struct iotime *it, struct err *e);
/* The next bytes, valid until the next call on this connection; *ret_n 0 once the device has closed
 * the stream. */
int adb_stream_read(struct adb_stream *s, const uint8_t **ret, size_t *ret_n,
	const struct iotime *it, struct err *e);
/* Exactly n bytes; a close before them is -ERR_PROTOCOL. */
int adb_stream_read_exact(
	struct adb_stream *s, void *buf, size_t n, const struct iotime *it, struct err *e);
/* Waits until the device closes the stream, dropping what it says. */
int adb_stream_wait_close(struct adb_stream *s, const struct iotime *it, struct err *e);
/* The largest piece that goes in one packet. */
size_t adb_stream_piece(const struct adb_stream *s);
struct adb_conn *adb_stream_conn(const struct adb_stream *s);
