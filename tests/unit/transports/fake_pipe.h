/* SPDX-License-Identifier: Apache-2.0
 *
 * A fastboot pipe whose other end is a script in the same thread: each command is compared with the
 * next line of the script, and its replies wait to be read. Reading what is not there is the
 * deadline; no test waits for a real one.
 *
 *	{"getvar:product", {"OKAYx"}}	{"download:00000003", {"DATA00000003", "OKAY"}}
 *
 * What is sent in a data phase is kept.
 */
#pragma once

#include "tests/unit/unit.h"

#include <string.h>

#include "transports/protocols/fastboot/fastboot_pipe.h"

#define FAKE_REPLIES 12

struct fake_line {
	const char *command;
	const char *reply[FAKE_REPLIES];
	const char *data; /* given in a data phase to the host */
};

struct fake_pipe {
	struct fastboot_pipe pipe;
	const struct fake_line *script; /* NULL command ends it */
	size_t at;
	const char *const *next; /* reply to be read */
	const char *data;
	bool stale, gone;
	size_t reply_bytes; /* of the next reply, where it is not a string; 0 */
	uint8_t *sent;
	size_t sent_n;
	bool closed;
};

static struct fake_pipe *fake_of(struct fastboot_pipe *p)
{
	return container_of(p, struct fake_pipe, pipe);
}

static int fake_command(struct fastboot_pipe *p, const void *bytes, size_t n,
	const struct iotime *it, struct err *e)
{
	struct fake_pipe *f = fake_of(p);
	const struct fake_line *l = &f->script[f->at];

	if (f->gone)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	ck_assert_msg(l->command != NULL, "'%.*s' is said after the script's end", (int)n,
		(const char *)bytes);
	ck_assert_msg(strlen(l->command) == n && !memcmp(l->command, bytes, n),
		"'%.*s' is said, '%s' was due", (int)n, (const char *)bytes, l->command);
	f->at++;
	f->next = l->reply;
	f->data = l->data;
	return 0;
}

static int fake_reply(struct fastboot_pipe *p, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct fake_pipe *f = fake_of(p);

	if (f->gone)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	if (!f->next || !*f->next)
		return err_set(e, ERR_TIMEOUT, "deadline passed");

	size_t n = f->reply_bytes ? f->reply_bytes : strlen(*f->next);

	f->reply_bytes = 0;
	if (n > size)
		return err_set(e, ERR_PROTOCOL, "a reply of %zu bytes", n);
	memcpy(buf, *f->next, n);
	f->next++;
	*ret_n = n;
	return 0;
}

static int fake_stale(struct fastboot_pipe *p, bool *ret, const struct iotime *it, struct err *e)
{
	struct fake_pipe *f = fake_of(p);

	*ret = f->stale || (f->next && *f->next);
	return 0;
}

static int fake_send(struct fastboot_pipe *p, const struct spans *bytes, fastboot_told_fn *told,
	void *told_data, const struct iotime *it, struct err *e)
{
	struct fake_pipe *f = fake_of(p);

	f->sent = realloc(f->sent, f->sent_n + bytes->bytes);
	spans_read(bytes, 0, f->sent + f->sent_n, bytes->bytes);
	f->sent_n += bytes->bytes;
	if (told)
		told(told_data, bytes->bytes);
	return 0;
}

static int fake_receive(
	struct fastboot_pipe *p, void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct fake_pipe *f = fake_of(p);

	if (!f->data || strlen(f->data) < n)
		return err_set(e, ERR_TIMEOUT, "deadline passed");
	memcpy(buf, f->data, n);
	f->data += n;
	return 0;
}

static void fake_close_pipe(struct fastboot_pipe *p)
{
	fake_of(p)->closed = true;
}

static const struct fastboot_pipe_ops fake_pipe_ops = {
	.name = "fake",
	.command = fake_command,
	.reply = fake_reply,
	.stale = fake_stale,
	.send = fake_send,
	.receive = fake_receive,
	.close = fake_close_pipe,
};

static inline void fake_pipe_init(struct fake_pipe *f, const struct fake_line *script)
{
	*f = (struct fake_pipe){.pipe = {&fake_pipe_ops}, .script = script};
}

static inline void fake_pipe_done(struct fake_pipe *f)
{
	ck_assert_msg(!f->script[f->at].command, "'%s' was not said", f->script[f->at].command);
	free(f->sent);
}
