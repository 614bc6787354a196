/* SPDX-License-Identifier: Apache-2.0
 *
 * The replies of a boot ROM: the input is the device's byte stream. Each write of the host is
 * answered by the bytes up to the next FE; the first byte chooses how it is read. A device of
 * random bytes can only be taken as verified when what it gave for the image is the image.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/stm32/stm32_uart.h"

#define ADDRESS	    0x08000000
#define IMAGE_BYTES 20
#define END	    0xfe

struct device {
	const uint8_t *bytes;
	size_t n, at;
};

static void say_next(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct device *d = f->data;
	size_t from = d->at;

	while (d->at < d->n && d->bytes[d->at] != END)
		d->at++;
	fake_say(f, d->bytes + from, d->at - from);
	if (d->at < d->n)
		d->at++;
}

/* Whether the device said so, however it was cut into answers. */
static bool said(const struct device *d, const void *what, size_t n)
{
	uint8_t *all = malloc(d->n + 1);
	size_t k = 0;
	bool found;

	if (!all)
		abort();
	for (size_t i = 0; i < d->n; i++)
		if (d->bytes[i] != END)
			all[k++] = d->bytes[i];
	found = memmem(all, k, what, n) != NULL;
	free(all);
	return found;
}

static struct stm32_opts options(void)
{
	struct stm32_opts o = STM32_OPTS_DEFAULT;

	o.times.reset_us = 0;
	return o;
}

static void flash(struct stm32 *s, const struct device *d, const struct iotime *it)
{
	static const uint8_t content[IMAGE_BYTES + 1] = "firmware of 20 bytes";
	const struct image_segment g = {ADDRESS, IMAGE_BYTES, content, 0};
	struct image image = {.refs = 1,
		.placed = true,
		.bytes = IMAGE_BYTES,
		.segments = (struct image_segment *)(uintptr_t)&g,
		.count = 1,
		.path = (char *)(uintptr_t) "fuzz"};
	const struct stm32_flash_opts o = {.skip_equal = d->n & 1};
	struct stm32_result res = {0};
	struct err e = {0};
	int r = stm32_flash(s, &image, &o, it, &res, &e);

	if (r == 0 &&
		(strcmp(res.sha256_read, res.sha256_written) || !said(d, content, IMAGE_BYTES)))
		abort();
	if (r < 0 && !e.msg[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct stm32_opts o = options();
	struct device d = {n ? bytes + 1 : bytes, n ? n - 1 : 0, 0};
	struct fake_link f;
	struct err e = {0};
	struct stm32 *s;
	int r;

	fake_init(&f, say_next, &d);
	f.read_max = n ? bytes[0] & 7 : 0;
	s = stm32_new(&f.link, &o, NULL);
	r = stm32_connect(s, &it, &e);
	if (r < 0 && !e.msg[0])
		abort();
	if (r == 0) {
		flash(s, &d, &it);
		stm32_erase_mass(s, STM32_MASS_ALL, &it, &e);
		stm32_readout_unprotect(s, &it, &e);
		stm32_go(s, ADDRESS, &it, &e);
	}
	stm32_free(s);
	fake_done(&f);
	return 0;
}
