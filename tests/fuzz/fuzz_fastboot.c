/* SPDX-License-Identifier: Apache-2.0
 *
 * A fastboot session over TCP with a device of any bytes: the first byte chooses how they are read,
 * 00 ends what it says to one write. A flash can only pass where the device said OKAY to it.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/fastboot/fastboot_flash.h"

struct device {
	const uint8_t *bytes;
	size_t n, at;
};

/* Replies are given as text, one a line, and framed here: what is fuzzed is what they say. A line
 * that begins with ! is given as it is: the framing itself. */
static void say_next(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct device *d = f->data;

	while (d->at < d->n && d->bytes[d->at] != 0) {
		size_t from = d->at;
		uint8_t head[8] = {0};

		while (d->at < d->n && d->bytes[d->at] != 0 && d->bytes[d->at] != '\n')
			d->at++;
		head[6] = (uint8_t)((d->at - from) >> 8);
		head[7] = (uint8_t)(d->at - from);
		if (d->bytes[from] == '!') {
			fake_say(f, d->bytes + from + 1, d->at - from - 1);
		} else {
			fake_say(f, head, 8);
			fake_say(f, d->bytes + from, d->at - from);
		}
		if (d->at < d->n && d->bytes[d->at] == '\n')
			d->at++;
	}
	if (d->at < d->n)
		d->at++;
}

static int sink(void *data, const uint8_t *bytes, size_t n, struct err *e)
{
	return 0;
}

static void use(struct fastboot *f, const struct device *d, const struct iotime *it)
{
	static const uint8_t content[5000] = "content";
	struct blob b = {.refs = 1,
		.path = (char *)(uintptr_t) "x",
		.size = sizeof content,
		.data = content};
	const struct fastboot_flash_opts o = {.partition = "boot", .limit = 4300};
	struct fastboot_flashed t;
	struct fastboot_vars vars = {0};
	struct err e = {0};
	int r = fastboot_flash(f, &b, &o, it, &t, &e);

	if (r == 0 && !memmem(d->bytes, d->n, "OKAY", 4))
		abort();
	if (r < 0 && !e.msg[0])
		abort();
	fastboot_getvar_all(f, &vars, it, &e);
	fastboot_vars_done(&vars);
	fastboot_collect(f, "upload", 0, 100, sink, NULL, NULL, it, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct device d = {n ? bytes + 1 : bytes, n ? n - 1 : 0, 0};
	const struct fastboot_config c = {.no_getvar = n && bytes[0] & 8};
	struct fastboot_pipe *p = NULL;
	struct fastboot *f = NULL;
	struct fake_link wire;
	struct err e = {0};

	fake_init(&wire, NULL, &d);
	fake_says(&wire, "FB01");
	if (fastboot_tcp_open(&wire.link, &it, &p, &e) < 0)
		abort();
	wire.device = say_next;
	wire.read_max = n ? bytes[0] & 7 : 0;
	if (fastboot_new(p, &c, NULL, &it, &f, &e) == 0)
		use(f, &d, &it);
	else if (!e.msg[0])
		abort();
	fastboot_free(f);
	fake_done(&wire);
	return 0;
}
